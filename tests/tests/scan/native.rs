//! The sandboxed and the native build return the same, for any block sizes.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use arrow::array::RecordBatch;
use cprflow::Scan;
use cprflow_connector::generate::Settings;
use cprflow_connector::{Level, Scan as Native, ScanOptions};
use cprflow_tests::extract::{self, Dice, EVERY_DAMAGE, Extract};
use cprflow_tests::rows;
use proptest::prelude::*;

/// Small batches make many boundaries at which the builds could differ.
const BATCH_ROWS: u32 = 50;

const BLOCKS: [usize; 5] = [7, 4096, 65_536, 1 << 20, 8 << 20];

#[test]
fn public_extracts() {
    for extract in extract::public() {
        compare(&extract, &BLOCKS);
        if extract.bytes.len() < 4096 {
            compare(&extract, &[1]);
        }
    }
}

#[test]
fn generated_extracts() {
    for extract in extract::every_kind(150, 23) {
        compare(&extract, &BLOCKS);
    }
    for extract in extract::every_kind(1, 23) {
        compare(&extract, &[1]);
    }
}

#[test]
fn damaged_extracts() {
    for seed in 0..20 {
        let mut lines = extract::lines(&extract::small(20, seed));
        extract::damage(&mut lines, &mut Dice::new(seed), 100, EVERY_DAMAGE);
        let bytes = extract::join(&lines, b"\n");
        compare(
            &Extract {
                name: format!("damaged {seed}"),
                bytes,
            },
            &BLOCKS,
        );
    }
}

/// In a packed extract one bad record ends the reading. Both builds must stop at the same place.
#[test]
fn both_builds_stop_at_the_same_error() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let mut bytes = extract::packed(4, seed);
        let place = 100 + dice.below(bytes.len() - 100);
        bytes.drain(place..place + 1 + dice.below(5));
        compare(
            &Extract {
                name: format!("shifted {seed}"),
                bytes,
            },
            &[1, 7, 4096, 65_536],
        );
    }
    for extract in [not_an_extract(70_000), not_an_extract(200)] {
        compare(&extract, &[7, 4096, 65_536, 1 << 20]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks(
        seed in 0..1000_u64,
        persons in 1..12_u64,
        packed: bool,
        shift: Option<u16>,
        sizes in prop::collection::vec(1..700_usize, 1..40),
    ) {
        let mut bytes = match packed {
            true => extract::packed(persons, seed),
            false => extract::small(persons, seed),
        };
        if let Some(shift) = shift {
            bytes.remove(usize::from(shift) % bytes.len());
        }
        let whole = native(&bytes, &[bytes.len()]);
        prop_assert_eq!(native(&bytes, &sizes), whole);
    }
}

fn compare(extract: &Extract, blocks: &[usize]) {
    let expected = native(&extract.bytes, &[extract.bytes.len().max(1)]);
    for block in blocks {
        let name = &extract.name;
        assert_eq!(
            native(&extract.bytes, &[*block]),
            expected,
            "native, {name}, blocks of {block}"
        );
        let scan = Scan::new(rows::connector())
            .check_persons(true)
            .batch_rows(BATCH_ROWS)
            .expected_previous("2020-01-01")
            .block_bytes(*block);
        let sandboxed = rows::scan_with(scan, &extract.bytes);
        let outcome = Outcome {
            error: sandboxed.error.as_ref().map(ToString::to_string),
            tables: sandboxed
                .summary
                .tables
                .iter()
                .map(|t| (t.table.clone(), t.records))
                .collect(),
            findings: findings(&sandboxed.summary.findings, |finding| {
                (
                    finding.code.clone(),
                    format!("{:?}", finding.level),
                    finding.count,
                    finding.message.clone(),
                )
            }),
            records: sandboxed.summary.records,
            declared: sandboxed.summary.declared_records,
            batches: sandboxed.batches,
        };
        assert_eq!(outcome, expected, "sandboxed, {name}, blocks of {block}");
    }
}

/// The complete result of a scan, in a form that both builds can return.
#[derive(Debug, PartialEq)]
struct Outcome {
    batches: Vec<(String, RecordBatch)>,
    error: Option<String>,
    records: u64,
    declared: Option<u64>,
    tables: Vec<(String, u64)>,
    findings: Vec<(String, String, u64, String)>,
}

/// Runs a native scan in blocks of these sizes. The last size is repeated.
fn native(bytes: &[u8], sizes: &[usize]) -> Outcome {
    let options = ScanOptions {
        tables: None,
        batch_rows: BATCH_ROWS as usize,
        check_persons: true,
        expected_previous: Some("2020-01-01".to_owned()),
    };
    let mut scan = Native::open(&options, None).unwrap();
    let mut batches = Vec::new();
    let mut error = None;
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    let mut is_finished = false;
    loop {
        match scan.next() {
            Ok(Some(rows)) => batches.push((rows.table.name().to_owned(), rows.batch)),
            Ok(None) if is_finished => break,
            Ok(None) if rest.is_empty() => {
                scan.finish().unwrap();
                is_finished = true;
            }
            Ok(None) => {
                let (block, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                scan.push(block.to_vec()).unwrap();
                rest = after;
            }
            Err(ended) => {
                // A finished scan returns nothing more.
                assert_eq!(scan.next().unwrap_err(), ended);
                error = Some(ended.to_string());
                break;
            }
        }
    }
    let summary = scan.summary();
    Outcome {
        batches,
        error,
        records: summary.records,
        declared: summary.declared_records,
        tables: summary
            .tables
            .iter()
            .map(|(table, count)| (table.name().to_owned(), *count))
            .collect(),
        findings: findings(&summary.findings, |finding| {
            let level = match finding.level {
                Level::Error => "Error",
                Level::Warning => "Warning",
                Level::Note => "Note",
            };
            (
                finding.code.name().to_owned(),
                level.to_owned(),
                finding.count,
                finding.message.clone(),
            )
        }),
    }
}

fn findings<T, R>(findings: &[T], read: impl Fn(&T) -> R) -> Vec<R> {
    findings.iter().map(read).collect()
}

/// Returns an extract whose second record never ends.
fn not_an_extract(length: usize) -> Extract {
    let mut bytes = extract::lines(&extract::small(1, 1))[0].clone();
    bytes.push(b'\n');
    bytes.resize(bytes.len() + length, b'7');
    Extract {
        name: format!("a record of {length}"),
        bytes,
    }
}

/// The comparisons above would also pass without any rows.
#[test]
fn generated_extracts_give_rows_to_compare() {
    let settings = Settings::busy(150, 23);
    let outcome = native(&extract::status(&settings), &[4096]);
    assert!(outcome.batches.len() > 30 && outcome.error.is_none());
}
