//! Tests of selections by filters and under policies.

mod leavers;
mod merge;
mod protect;
mod state;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Date32Type;

use super::*;
use crate::columns::schema::{OUT_OF_SCOPE, TableId};
use crate::policy::{AgeRange, LeaverRule, NumberRule, ProtectionRule};
use crate::{Scan, ScanOptions, TableBatch, TableRequest};

const EXTRACT: &str = "00000000000001109012001111720011116\n\
    0010101965058          01000000000000 K1896-01-01\n\
    002010196505808510000\n\
    0010101965066          90000000000000 M1896-01-01\n\
    002010196506608510000\n\
    0010101965074          01000000000000 M1896-01-01\n\
    002010196507407060000\n\
    0030101965058Somebody\n\
    999999999999900000007\n";

fn select(filter: PersonFilter) -> Selection {
    finish(Selection::open(filter).unwrap(), EXTRACT).0
}

/// Finishes a selection after an extract, pushed in small blocks.
fn finish(mut selection: Selection, extract: &str) -> (Selection, Selected) {
    for piece in extract.as_bytes().chunks(10) {
        selection.push(piece.to_vec()).unwrap();
    }
    let selected = selection.finish().unwrap();
    (selection, selected)
}

fn choose(policy: &Policy, roster: Option<&[u8]>, extract: &str) -> (Selection, Selected) {
    let selection = Selection::open_policy(policy.clone(), roster).unwrap();
    finish(selection, extract)
}

fn codes(codes: &[&str]) -> Option<Vec<String>> {
    Some(codes.iter().map(|code| (*code).to_owned()).collect())
}

/// Returns the batches of a scan with the selection.
fn scan(
    selection: &Selection,
    extract: &str,
    options: &ScanOptions,
) -> Vec<(&'static str, RecordBatch)> {
    let rows = scan_rows(selection, extract, options).into_iter();
    rows.map(|rows| (rows.table.name(), rows.batch)).collect()
}

fn scan_rows(selection: &Selection, extract: &str, options: &ScanOptions) -> Vec<TableBatch> {
    let mut scan = Scan::open(options, Some(selection)).unwrap();
    scan.push(extract.as_bytes().to_vec()).unwrap();
    scan.finish().unwrap();
    let mut batches = Vec::new();
    while let Some(rows) = scan.next().unwrap() {
        batches.push(rows);
    }
    batches
}

/// Returns the line numbers of a scan of all tables with the selection.
fn lines_of(selection: &Selection, extract: &str) -> Vec<i64> {
    let mut lines = Vec::new();
    for rows in scan_rows(selection, extract, &ScanOptions::default()) {
        if rows.table != TableId::OutOfScope {
            lines.extend(rows.lines);
        }
    }
    lines.sort_unstable();
    lines
}

fn lines(selection: &Selection) -> Vec<i64> {
    lines_of(selection, EXTRACT)
}

/// Returns the leavers as `number reason`.
fn left(selection: &Selection, extract: &str) -> Vec<String> {
    let mut left = Vec::new();
    for (table, batch) in scan(selection, extract, &ScanOptions::default()) {
        if table == OUT_OF_SCOPE {
            let text = |name| {
                batch
                    .column_by_name(name)
                    .unwrap()
                    .as_string::<i32>()
                    .clone()
            };
            let (numbers, reasons) = (text("pnr"), text("reason"));
            let pairs = numbers.iter().zip(&reasons);
            left.extend(pairs.map(|(n, r)| format!("{} {}", n.unwrap(), r.unwrap())));
        }
    }
    left
}

#[test]
fn selects_all_records_of_a_person() {
    let living_in_0851 = select(PersonFilter {
        municipality_codes: codes(&["0851"]),
        status_codes: codes(&["01", "03"]),
        ..PersonFilter::default()
    });
    assert_eq!(lines(&living_in_0851), [2, 3, 8]);
    let by_number = select(PersonFilter {
        numbers: codes(&["0101965074", "0101965082"]),
        ..PersonFilter::default()
    });
    assert_eq!(lines(&by_number), [6, 7]);
    let everybody = select(PersonFilter::default());
    assert_eq!(lines(&everybody), [2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn selects_by_age_and_event() {
    let extract = "00000000000001109012026061520260614\n\
        0010101080018          01000000000000 K2008-01-01\n\
        0010101980019          01000000000000 K1998-01-01\n\
        0010101980027          01000000000000 K1998-00-00\n\
        0990101980019202606141200A01\n\
        0990101080018202606141200A02\n";
    let of = |filter: PersonFilter| {
        let policy = Policy {
            persons: filter,
            ..Policy::open()
        };
        lines_of(&choose(&policy, None, extract).0, extract)
    };
    let ages = |youngest, oldest| {
        of(PersonFilter {
            ages: Some(AgeRange { youngest, oldest }),
            ..PersonFilter::default()
        })
    };
    assert_eq!(ages(0, 18), [2, 6]);
    assert_eq!(ages(18, 28), [2, 3, 5, 6]);
    assert_eq!(ages(0, 999), [2, 3, 5, 6]);
    let events = |wanted: &[&str]| {
        of(PersonFilter {
            event_codes: codes(wanted),
            ..PersonFilter::default()
        })
    };
    assert_eq!(events(&["A01"]), [3, 5]);
    assert_eq!(events(&["A01", "A02"]), [2, 3, 5, 6]);
    assert!(events(&[]).is_empty());
}

#[test]
fn refuses_ages_without_a_day() {
    let policy = Policy {
        persons: PersonFilter {
            ages: Some(AgeRange {
                youngest: 0,
                oldest: 99,
            }),
            ..PersonFilter::default()
        },
        ..Policy::open()
    };
    let ended = |policy: &Policy| {
        let mut selection = Selection::open_policy(policy.clone(), None).unwrap();
        selection
            .push(b"0010101080018          01000000000000 K2008-01-01\n".to_vec())
            .unwrap();
        selection.finish()
    };
    assert!(
        matches!(ended(&policy), Err(Error::InvalidRequest(what)) if what.contains("no day to calculate them on"))
    );
    let with_day = Policy {
        day: Some("2026-06-15".to_owned()),
        ..policy
    };
    assert_eq!(ended(&with_day).unwrap().persons, 1);
}

#[test]
fn misuse_and_invalid_requests_have_their_error_type() {
    let mut open = Selection::open(PersonFilter::default()).unwrap();
    assert!(matches!(
        Scan::open(&ScanOptions::default(), Some(&open)),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(open.roster(), Err(Error::Misuse(_))));
    open.finish().unwrap();
    assert!(matches!(open.push(Vec::new()), Err(Error::Misuse(_))));
    assert!(matches!(open.roster(), Err(Error::InvalidRequest(_))));
    let ages = AgeRange {
        youngest: 2,
        oldest: 1,
    };
    for filter in [
        PersonFilter {
            municipality_codes: codes(&["851"]),
            ..PersonFilter::default()
        },
        PersonFilter {
            numbers: codes(&["010196505"]),
            ..PersonFilter::default()
        },
        PersonFilter {
            event_codes: codes(&["A0"]),
            ..PersonFilter::default()
        },
        PersonFilter {
            ages: Some(ages),
            ..PersonFilter::default()
        },
    ] {
        let refused = Selection::open(filter);
        assert!(matches!(refused, Err(Error::InvalidRequest(_))));
    }
}

#[test]
fn debug_names_no_person() {
    let filter = PersonFilter {
        numbers: codes(&["0101965074"]),
        ..PersonFilter::default()
    };
    assert!(!format!("{filter:?}").contains("0101965074"));
    assert!(!format!("{:?}", select(filter.clone())).contains("0101965074"));
    let policy = Policy {
        persons: filter,
        rows: vec![("person".to_owned(), "pnr = '0101965074'".to_owned())],
        ..Policy::open()
    };
    assert!(!format!("{policy:?}").contains("0101965074"));
}

/// Ten zeros do not name a person.
#[test]
fn ten_zeros_select_no_person() {
    let extract = "0010000000000          01000000000000 K1896-01-01\n";
    let (selection, selected) = choose(&Policy::open(), None, extract);
    assert_eq!(selected, Selected::default());
    assert!(lines_of(&selection, extract).is_empty());
}

const FIRST: &str = "00000000000001109012026061420260613\n\
    0010101010010          01000000000000 K1990-01-01\n\
    002010101001008510000\n\
    0010101010029          01000000000000 K1990-01-01\n\
    002010101002908510000\n\
    0010101010037          01000000000000 K1990-01-01\n\
    002010101003708510000\n\
    0010101010045          01000000000000 K1990-01-01\n\
    002010101004508510000\n\
    0010101010053          01000000000000 K1990-01-01\n\
    002010101005308510000\n";

const SECOND: &str = "00000000000001109012026061520260614\n\
    0010101010010          01000000000000 K1990-01-01\n\
    002010101001007060000\n\
    0010101010029          90000000000000 K1990-01-01\n\
    0010101010037          60000000000000 K1990-01-01\n\
    0010101010045          01000000000000 K1990-01-01\n\
    002010101004508510000\n\
    00401010100450001\n\
    00401010100530001\n\
    0010101010061          01000000000000 K1990-01-01\n\
    002010101006108510000\n";

fn in_0851(protection: ProtectionRule) -> Policy {
    Policy {
        persons: PersonFilter {
            municipality_codes: codes(&["0851"]),
            ..PersonFilter::default()
        },
        protection,
        ..Policy::open()
    }
}
