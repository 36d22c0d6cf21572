//! Fuzzes the parser: any bytes give no panic and no loss of data, with any block size.
//!
//! The first byte is the block size minus one, the rest is the extract. A scan in blocks must give the same result as a
//! scan in one piece. If the extract has line ends, its records must be restored from the tables.
#![no_main]

use arrow::array::RecordBatch;
use cprflow_connector::restore::Restorer;
use cprflow_connector::schema::TableId;
use cprflow_connector::{Error, Scan, ScanOptions, Shape, Summary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&block, extract)) = data.split_first() else {
        return;
    };
    let whole = scan(extract, extract.len().max(1));
    let blocks = scan(extract, usize::from(block) + 1);
    assert_eq!(whole.summary, blocks.summary);
    assert_eq!(whole.error, blocks.error);
    assert_eq!(whole.batches, blocks.batches);
    if whole.summary.shape == Shape::Lines && whole.error.is_none() {
        assert_eq!(records(extract), restored(&whole.batches));
    }
});

struct Scanned {
    batches: Vec<(TableId, RecordBatch)>,
    summary: Summary,
    error: Option<Error>,
}

fn scan(extract: &[u8], block: usize) -> Scanned {
    let options = ScanOptions {
        check_persons: true,
        batch_rows: 3,
        expected_previous: Some("2001-11-16".to_owned()),
        ..ScanOptions::default()
    };
    let mut scan = Scan::open(&options, None).expect("the options are valid");
    let mut batches = Vec::new();
    let mut blocks = extract.chunks(block);
    let mut ended = false;
    let error = loop {
        match scan.next() {
            Ok(Some(rows)) => batches.push((rows.table, rows.batch)),
            Ok(None) if ended => break None,
            Ok(None) => match blocks.next() {
                Some(block) => scan.push(block.to_vec()).expect("the scan accepts another block"),
                None => {
                    ended = true;
                    scan.finish().expect("finish is called once");
                }
            },
            Err(error) => break Some(error),
        }
    };
    let mut summary = scan.summary();
    // A scan that ends with an error has consumed a number of bytes that depends on the block size.
    if error.is_some() {
        summary.bytes = 0;
    }
    Scanned {
        batches,
        summary,
        error,
    }
}

/// Splits an extract into records at line ends and removes trailing spaces.
fn records(extract: &[u8]) -> Vec<Vec<u8>> {
    let extract = extract.strip_prefix(b"\xef\xbb\xbf").unwrap_or(extract);
    extract
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .map(|line| line.trim_ascii_end_spaces().to_vec())
        .filter(|line| !line.is_empty())
        .collect()
}

fn restored(batches: &[(TableId, RecordBatch)]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for (table, batch) in batches {
        let restorer = Restorer::new(*table, batch).expect("the batch has all columns");
        for row in 0..batch.num_rows() {
            let mut record = Vec::new();
            restorer.record(row, &mut record).expect("the row was read from a record");
            records.push((restorer.line(row), record.trim_ascii_end_spaces().to_vec()));
        }
    }
    records.sort();
    records.into_iter().map(|(_, record)| record).collect()
}

trait TrimSpaces {
    fn trim_ascii_end_spaces(&self) -> &[u8];
}

impl TrimSpaces for [u8] {
    fn trim_ascii_end_spaces(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| *byte != b' ');
        &self[..end.map_or(0, |at| at + 1)]
    }
}
