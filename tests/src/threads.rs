//! Compares scans with several threads with those of one thread.

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use cprflow::{DeliveryReader, Error, RequestError, Scan, ScanPart, SelectionCounts, Summary};

/// The numbers of threads that are compared with one.
pub const THREADS: [usize; 3] = [2, 3, 7];

/// All that a scan has returned.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// The rows of each table, in their order.
    pub tables: BTreeMap<String, RecordBatch>,
    /// The error that ended the scan.
    pub error: Option<String>,
    /// The summary; none if the scan did not begin.
    pub summary: Option<Summary>,
    /// The number of bytes that were read; 0 after an error.
    pub bytes: u64,
    /// Who was selected, with a policy.
    pub selected: Option<SelectionCounts>,
    /// The roster and the delivered persons, with a policy.
    pub persons: Option<(Vec<u8>, Vec<u8>)>,
}

impl Outcome {
    /// Runs a scan of all requested tables, with its policy or without one.
    pub fn of(scan: Scan, bytes: &[u8], has_policy: bool) -> Self {
        let reader = match has_policy {
            true => scan.read_with_policy(|| Ok(Cursor::new(bytes))),
            false => scan.read_all(Cursor::new(bytes)),
        };
        match reader {
            Ok(reader) => Self::read(reader, has_policy),
            Err(error) => Self {
                tables: BTreeMap::new(),
                error: Some(error.to_string()),
                summary: None,
                bytes: 0,
                selected: None,
                persons: None,
            },
        }
    }

    fn read(mut reader: DeliveryReader<Cursor<&[u8]>>, has_policy: bool) -> Self {
        let mut batches: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
        let mut error = None;
        for batch in reader.by_ref() {
            match batch {
                Ok(rows) => batches.entry(rows.table).or_default().push(rows.batch),
                Err(ended) => error = Some(ended.to_string()),
            }
        }
        let join = |(table, batches): (String, Vec<RecordBatch>)| {
            let rows = concat_batches(&batches[0].schema(), &batches).unwrap();
            (table, rows)
        };
        let persons = |reader: &mut DeliveryReader<_>| -> Result<_, Error> {
            Ok((reader.roster()?, reader.delivered_persons()?))
        };
        let mut summary = reader.summary().ok();
        let mut bytes = reader.bytes_read();
        // After an error, the number of bytes read is that of whole blocks.
        if error.is_some() {
            bytes = 0;
            if let Some(summary) = &mut summary {
                summary.bytes = 0;
            }
        }
        Self {
            tables: batches.into_iter().map(join).collect(),
            error,
            summary,
            bytes,
            selected: reader.selected(),
            persons: has_policy.then(|| persons(&mut reader).unwrap()),
        }
    }
}

/// Reads a table of an extract in parts of about this size, each from its bytes as another process would. Returns the rows
/// and the number of parts, or the error of the division.
pub fn divided(
    scan: &Scan,
    table: &str,
    bytes: &[u8],
    part_bytes: usize,
) -> Result<(Option<RecordBatch>, usize), Error> {
    let scan = scan.clone().threads(1);
    let open = || Ok(Cursor::new(bytes));
    let divided = scan.clone().table(table).divide(part_bytes as u64, open)?;
    let mut batches = Vec::new();
    for part in &divided.parts {
        let part = ScanPart::from_bytes(&part.to_bytes()).unwrap();
        let scan = scan.clone();
        let rows: Result<Vec<RecordBatch>, _> = match part.needs_selection() {
            true => part
                .apply_to(scan)
                .read_table_with_policy(open)
                .unwrap()
                .collect(),
            false => scan.read_part(&part, Cursor::new(bytes)).unwrap().collect(),
        };
        batches.extend(rows.unwrap());
    }
    let rows = batches
        .first()
        .map(|first| concat_batches(&first.schema(), &batches).unwrap());
    Ok((rows, divided.parts.len()))
}

/// Asserts that the parts of a table, each read by itself, have the rows that one scan returns.
fn assert_divided(name: &str, scan: &Scan, bytes: &[u8], part_bytes: usize, expected: &Outcome) {
    // One table in a part of the calls: they are many, and each part needs an instance of its own.
    if !(bytes.len() + part_bytes).is_multiple_of(3) {
        return;
    }
    let count = expected.tables.len().max(1);
    let Some(table) = expected
        .tables
        .keys()
        .nth((bytes.len() / 3 + part_bytes) % count)
    else {
        return;
    };
    match divided(scan, table, bytes, part_bytes) {
        Ok((rows, parts)) => {
            let rows = rows.filter(|rows| rows.num_rows() > 0);
            assert_eq!(
                rows.as_ref(),
                expected.tables.get(table),
                "{name}, {table} in {parts} parts"
            );
            assert!(expected.error.is_none(), "{name}, {table}");
        }
        // The scan names its tables, and is compared as a whole.
        Err(Error::Request(RequestError::OneTable)) => {}
        Err(error) => assert_eq!(Some(error.to_string()), expected.error, "{name}, {table}"),
    }
}

/// Asserts that several threads return the same as one, with parts of these sizes, and so do other processes.
pub fn assert_same(
    name: &str,
    scan: &Scan,
    bytes: &[u8],
    has_policy: bool,
    part_bytes: [usize; 3],
) {
    let expected = Outcome::of(scan.clone().threads(1), bytes, has_policy);
    assert_divided(name, scan, bytes, part_bytes[0], &expected);
    for (threads, part_bytes) in THREADS.into_iter().zip(part_bytes) {
        let scan = scan.clone().threads(threads).part_bytes(part_bytes);
        let actual = Outcome::of(scan, bytes, has_policy);
        let place = format!("{name}, {threads} threads, parts of {part_bytes} bytes");
        assert_eq!(actual.error, expected.error, "{place}");
        assert_eq!(actual.summary, expected.summary, "{place}");
        for (table, rows) in &expected.tables {
            assert_eq!(actual.tables.get(table), Some(rows), "{place}, {table}");
        }
        assert_eq!(actual, expected, "{place}");
    }
}
