//! Tests of states: what several extracts together say.

use std::collections::BTreeMap;

use arrow::array::Array;

use super::*;
use crate::ExtractPlace;
use crate::policy::View;

/// An extract of a test: agreement, production date, sequence number and records.
type Extract = (&'static str, &'static str, u64, String);

const A: &str = "0101010010";
const B: &str = "0101010029";
const C: &str = "0101010037";

fn person(number: &str, status: &str) -> String {
    format!("001{number}          {status}000000000000 K2001-01-01\n")
}

fn replaced(number: &str, current: &str) -> String {
    format!("001{number}{current}60000000000000 K2001-01-01\n")
}

fn home(number: &str, municipality: &str) -> String {
    format!("002{number}{municipality}0001\n")
}

fn name(number: &str, name: &str) -> String {
    format!("008{number}{name}\n")
}

fn protection(number: &str) -> String {
    format!("004{number}00012026-01-01\n")
}

fn event(number: &str, time: &str, code: &str) -> String {
    format!("099{number}{time}{code}\n")
}

fn receipt(number: &str) -> String {
    format!("997{number}202601010000A01\n")
}

/// Returns an extract with these records.
fn extract(
    agreement: &'static str,
    date: &'static str,
    sequence: u64,
    records: &[String],
) -> Extract {
    let day = date.replace('-', "");
    let lines: usize = records.iter().map(|one| one.lines().count()).sum();
    let text = format!(
        "0000000000000111901{day}{day}\n{}9999999999999{lines:08}\n",
        records.concat()
    );
    (agreement, date, sequence, text)
}

fn place((agreement, date, sequence, _): &Extract) -> ExtractPlace {
    ExtractPlace {
        agreement: (*agreement).to_owned(),
        production_date: (*date).to_owned(),
        sequence: *sequence,
    }
}

fn open(
    policy: Option<&Policy>,
    roster: Option<&[u8]>,
    extracts: &[Extract],
) -> (Selection, Selected) {
    let mut selection = Selection::open_state(policy.cloned(), roster).unwrap();
    for extract in extracts {
        selection.begin_extract(&place(extract)).unwrap();
        for piece in extract.3.as_bytes().chunks(7) {
            selection.push(piece.to_vec()).unwrap();
        }
        selection.end_extract().unwrap();
    }
    let selected = selection.finish().unwrap();
    (selection, selected)
}

/// The rows of a state by table, each with its values as text.
type Rows = BTreeMap<&'static str, Vec<String>>;

fn rows_of(selection: &Selection, extracts: &[Extract], options: &ScanOptions) -> Rows {
    let mut scan = Scan::open(options, Some(selection)).unwrap();
    let mut rows = Rows::new();
    let mut take = |scan: &mut Scan| {
        while let Some(batch) = scan.next().unwrap() {
            rows.entry(batch.table.name())
                .or_default()
                .extend((0..batch.batch.num_rows()).map(|row| text(&batch.batch, row)));
        }
    };
    for extract in extracts {
        scan.begin_extract(&place(extract)).unwrap();
        for piece in extract.3.as_bytes().chunks(11) {
            scan.push(piece.to_vec()).unwrap();
            take(&mut scan);
        }
        scan.end_extract().unwrap();
        take(&mut scan);
    }
    scan.finish().unwrap();
    take(&mut scan);
    rows
}

/// Returns the values of a row that are not null, in the order of the columns.
fn text(batch: &RecordBatch, row: usize) -> String {
    let options = arrow::util::display::FormatOptions::default();
    let values = batch.columns().iter().filter(|column| column.is_valid(row));
    let values = values.map(|column| {
        let formatter = arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
        formatter.value(row).to_string()
    });
    values.collect::<Vec<_>>().join(" ")
}

fn request(name: &str, columns: &[&str]) -> TableRequest {
    TableRequest {
        name: name.to_owned(),
        columns: Some(columns.iter().map(|&name| name.to_owned()).collect()),
        predicate: None,
    }
}

/// Returns rows of some columns of some tables.
fn some(policy: Option<&Policy>, extracts: &[Extract], tables: &[(&str, &[&str])]) -> Rows {
    let options = ScanOptions {
        tables: Some(
            tables
                .iter()
                .map(|(name, columns)| request(name, columns))
                .collect(),
        ),
        ..ScanOptions::default()
    };
    let (selection, _) = open(policy, None, extracts);
    rows_of(&selection, extracts, &options)
}

fn persons(policy: Option<&Policy>, extracts: &[Extract]) -> Vec<String> {
    let columns: &[&str] = &["pnr", "status", "as_of", "agreement"];
    let mut rows = some(policy, extracts, &[("person", columns)]);
    rows.remove("person").unwrap_or_default()
}

fn in_municipality(code: &str) -> Policy {
    Policy {
        persons: PersonFilter {
            municipality_codes: codes(&[code]),
            ..PersonFilter::default()
        },
        ..Policy::open()
    }
}

#[test]
fn the_newest_extract_with_a_001_wins_for_all_records() {
    let extracts = [
        // B has no 001 here, so its name is not part of the state.
        extract("m", "2026-03-03", 3, &[name(B, "LOST"), person(C, "01")]),
        extract("m", "2026-03-02", 2, &[person(A, "01"), home(A, "0851")]),
        extract(
            "m",
            "2026-03-01",
            1,
            &[
                person(A, "20"),
                home(A, "0101"),
                name(A, "OLD"),
                person(B, "01"),
                home(B, "0101"),
                name(B, "KEPT"),
            ],
        ),
    ];
    assert_eq!(
        persons(None, &extracts),
        [
            "0101010037 01 2026-03-03 m",
            "0101010010 01 2026-03-02 m",
            "0101010029 01 2026-03-01 m",
        ]
    );
    let rows = some(
        None,
        &extracts,
        &[
            ("address", &["pnr", "municipality_code", "as_of"]),
            ("name", &["pnr", "as_of"]),
        ],
    );
    assert_eq!(
        rows["address"],
        ["0101010010 0851 2026-03-02", "0101010029 0101 2026-03-01"]
    );
    assert_eq!(rows["name"], ["0101010029 2026-03-01"]);
}

#[test]
fn every_event_counts_once() {
    let extracts = [
        extract(
            "m",
            "2026-03-02",
            2,
            &[
                person(A, "01"),
                event(A, "202603020101", "A01"),
                event(A, "202603010101", "A01"),
                event(A, "202603010101", "A01"),
            ],
        ),
        extract(
            "m",
            "2026-03-01",
            1,
            &[
                person(A, "01"),
                event(A, "202603010101", "A01  "),
                event(A, "202603010101", "A01UF"),
                event(A, "202603010101", "A02"),
                event(B, "202603010101", "A01"),
            ],
        ),
    ];
    let rows = some(
        None,
        &extracts,
        &[(
            "event",
            &["pnr", "registered", "event_code", "derived_mark", "as_of"],
        )],
    );
    assert_eq!(
        rows["event"],
        [
            "0101010010 2026-03-02T01:01:00 A01 2026-03-02",
            "0101010010 2026-03-01T01:01:00 A01 2026-03-02",
            "0101010010 2026-03-01T01:01:00 A01 UF 2026-03-01",
            "0101010010 2026-03-01T01:01:00 A02 2026-03-01",
            "0101010029 2026-03-01T01:01:00 A01 2026-03-01",
        ]
    );
}

#[test]
fn a_receipt_ends_the_state_of_its_agreement() {
    let ended = extract("m", "2026-03-02", 2, &[receipt(A)]);
    let first = extract(
        "m",
        "2026-03-01",
        1,
        &[
            person(A, "01"),
            event(A, "202603010101", "A01"),
            person(B, "01"),
        ],
    );
    let kept = "0101010029 01 2026-03-01 m";
    let extracts = [ended.clone(), first.clone()];
    assert_eq!(persons(None, &extracts), [kept]);
    assert!(some(None, &extracts, &[("event", &["pnr"])]).is_empty());
    // A later 001 delivers the person again. An older receipt ends nothing.
    let again = extract("m", "2026-03-03", 3, &[person(A, "03")]);
    let extracts = [again, ended.clone(), first.clone()];
    assert_eq!(
        persons(None, &extracts),
        ["0101010010 03 2026-03-03 m", kept]
    );
    assert!(!some(None, &extracts, &[("event", &["pnr"])]).is_empty());
    // The receipt wins over a 001 of the same extract.
    let both = extract("m", "2026-03-02", 2, &[person(A, "01"), receipt(A)]);
    assert_eq!(persons(None, &[both, first.clone()]), [kept]);
    // Another agreement still delivers the person.
    let other = extract("n", "2026-02-01", 0, &[person(A, "05")]);
    let extracts = [ended, first, other];
    assert_eq!(
        persons(None, &extracts),
        [kept, "0101010010 05 2026-02-01 n"]
    );
    // There is no table of receipts.
    assert!(
        View::state(None)
            .unwrap()
            .table("subscription_receipt")
            .is_none()
    );
}

#[test]
fn the_newest_date_wins_over_agreements_and_a_death_can_be_corrected() {
    let extracts = [
        extract("n", "2026-03-03", 3, &[person(B, "90")]),
        extract("m", "2026-03-02", 2, &[person(A, "01"), person(B, "01")]),
        extract("n", "2026-03-01", 1, &[person(A, "90"), home(A, "0101")]),
    ];
    assert_eq!(
        persons(None, &extracts),
        ["0101010029 90 2026-03-03 n", "0101010010 01 2026-03-02 m"]
    );
    assert!(some(None, &extracts, &[("address", &["pnr"])]).is_empty());
}

/// Returns whether A is protected in the state of these extracts.
fn is_protected(extracts: &[Extract]) -> bool {
    let policy = Policy::open();
    let rows = some(
        Some(&policy),
        extracts,
        &[("person", &["pnr", "protected"])],
    );
    rows["person"].contains(&format!("{A} true"))
}

#[test]
fn protection_is_the_union_over_agreements() {
    let plain = |agreement, date, sequence| extract(agreement, date, sequence, &[person(A, "01")]);
    let secret = |agreement, date, sequence| {
        extract(agreement, date, sequence, &[person(A, "01"), protection(A)])
    };
    assert!(!is_protected(&[plain("m", "2026-03-01", 1)]));
    // Within one agreement the newest state says it all.
    let extracts = [plain("m", "2026-03-02", 2), secret("m", "2026-03-01", 1)];
    assert!(!is_protected(&extracts));
    let extracts = [secret("m", "2026-03-02", 2), plain("m", "2026-03-01", 1)];
    assert!(is_protected(&extracts));
    // Another agreement that knows of no protection does not lift it.
    let extracts = [plain("m", "2026-03-02", 2), secret("n", "2026-03-01", 1)];
    assert!(is_protected(&extracts));
    // Its next delivery does. The end of its subscription says nothing about the protection.
    let ended = extract("n", "2026-03-03", 3, &[receipt(A)]);
    let extracts = [
        ended,
        plain("m", "2026-03-02", 2),
        secret("n", "2026-03-01", 1),
    ];
    assert!(is_protected(&extracts));
    let extracts = [
        plain("n", "2026-03-03", 3),
        plain("m", "2026-03-02", 2),
        secret("n", "2026-03-01", 1),
    ];
    assert!(!is_protected(&extracts));
    // A 004 without a 001 counts, unless a newer extract has the person.
    let alone = |date, sequence| extract("m", date, sequence, &[protection(A)]);
    let extracts = [alone("2026-03-02", 2), plain("m", "2026-03-01", 1)];
    assert!(is_protected(&extracts));
    let extracts = [plain("m", "2026-03-02", 2), alone("2026-03-01", 1)];
    assert!(!is_protected(&extracts));
}

#[test]
fn protection_spreads_over_numbers_from_different_extracts() {
    let extracts = |current: &[String]| {
        [
            extract("m", "2026-03-02", 2, current),
            extract("m", "2026-03-01", 1, &[replaced(A, B)]),
        ]
    };
    assert!(is_protected(&extracts(&[person(B, "01"), protection(B)])));
    assert!(!is_protected(&extracts(&[person(B, "01")])));
    // A tie that a newer 001 no longer names does not spread it.
    let corrected = [
        extract("m", "2026-03-03", 3, &[person(A, "01")]),
        extract("m", "2026-03-02", 2, &[person(B, "01"), protection(B)]),
        extract("m", "2026-03-01", 1, &[replaced(A, B)]),
    ];
    assert!(!is_protected(&corrected));
    let (selection, _) = open(None, None, &extracts(&[person(B, "01"), person(C, "01")]));
    let tied = |number: &str| selection.tied_numbers(&[number.to_owned()]).unwrap();
    assert_eq!(tied(A), [A, B]);
    assert_eq!(tied(B), [A, B]);
    assert_eq!(tied(C), [C]);
    assert!(selection.tied_numbers(&["1".to_owned()]).is_err());
}

#[test]
fn a_relative_is_protected_while_a_record_says_so() {
    let shown = |relative: &str| {
        let row = format!("031{B}{relative}{:236}2026-01-01\n", "");
        extract("m", "2026-03-01", 1, &[person(B, "01"), row])
    };
    let plain = extract("m", "2026-03-02", 2, &[person(A, "01")]);
    assert!(is_protected(&[plain.clone(), shown(A)]));
    assert!(!is_protected(&[plain.clone(), shown(C)]));
    let newer = extract("m", "2026-03-03", 3, &[person(B, "01")]);
    assert!(!is_protected(&[newer, plain, shown(A)]));
}

#[test]
fn damage_counts_until_the_same_agreement_delivers_the_person_again() {
    let first = extract("m", "2026-03-01", 1, &[person(A, "01"), person(B, "01")]);
    let damaged = |line: &str, others: &[String]| {
        let mut records = others.to_vec();
        records.push(format!("{line}\n"));
        extract("m", "2026-03-02", 2, &records)
    };
    let protected = |extracts: &[Extract]| {
        let rows = some(
            Some(&Policy::open()),
            extracts,
            &[("person", &["pnr", "protected"])],
        );
        let mut persons = rows["person"].clone();
        persons.sort();
        persons
    };
    // A damaged 004 with a readable number.
    let of_a = damaged("004 01010100100001", &[]);
    assert_eq!(
        protected(&[of_a.clone(), first.clone()]),
        ["0101010010 true", "0101010029 false"]
    );
    let again = extract("m", "2026-03-03", 3, &[person(A, "01")]);
    let other = extract("n", "2026-03-03", 3, &[person(A, "01")]);
    assert_eq!(
        protected(&[again.clone(), of_a.clone(), first.clone()]),
        ["0101010010 false", "0101010029 false"]
    );
    assert_eq!(
        protected(&[other, of_a, first.clone()]),
        ["0101010010 true", "0101010029 false"]
    );
    // Without a readable number, all persons of the extract.
    let of_somebody = damaged("004", &[person(A, "01")]);
    assert_eq!(
        protected(&[of_somebody.clone(), first.clone()]),
        ["0101010010 true", "0101010029 false"]
    );
    assert_eq!(
        protected(&[again, of_somebody, first.clone()]),
        ["0101010010 false", "0101010029 false"]
    );
    // Two different 001.
    let twice = damaged("0010101010010          03", &[person(A, "01")]);
    assert_eq!(
        protected(&[twice.clone(), first.clone()]),
        ["0101010010 true", "0101010010 true", "0101010029 false"]
    );
    let newer = extract("n", "2026-03-03", 3, &[person(A, "01")]);
    assert_eq!(
        protected(&[newer, twice, first]),
        ["0101010010 false", "0101010029 false"]
    );
}

#[test]
fn a_receipt_ends_no_protection() {
    let relative = format!("031{B}{A}{:236}2026-01-01\n", "");
    let sources: [(&str, &[String]); 4] = [
        ("tie of 001", &[replaced(B, A), protection(B)]),
        (
            "tie of 022",
            &[person(B, "01"), format!("022{A}{B}\n"), protection(B)],
        ),
        ("relative", &[person(B, "01"), relative.clone()]),
        ("relative without 001", &[relative]),
    ];
    for (kind, records) in sources {
        let with = |more: &[String]| {
            let records = [records, &[person(A, "01")], more].concat();
            extract("m", "2026-03-01", 1, &records)
        };
        assert!(is_protected(&[with(&[])]), "{kind}");
        // The receipt is in the same extract, or in a later one.
        assert!(is_protected(&[with(&[receipt(B)])]), "{kind}");
        let later = extract("m", "2026-03-02", 2, &[receipt(B)]);
        assert!(is_protected(&[later.clone(), with(&[])]), "{kind}");
        // Such records are not superseded. Those that protect no person are.
        let (selection, _) = open(None, None, &[later.clone(), with(&[])]);
        let left_out = selection.superseded_persons(1).unwrap();
        assert!(
            !roster::read(&left_out).unwrap().contains(101_010_029),
            "{kind}"
        );
        // The agreement delivers the person of these records again.
        let again = extract("m", "2026-03-03", 3, &[person(B, "01"), person(A, "01")]);
        assert!(!is_protected(&[again, later, with(&[])]), "{kind}");
    }
}

#[test]
fn nobody_is_superseded_while_damage_protects_others() {
    let damaged = format!("031{B}{:10}{:236}2026-01-01\n", "", "");
    let records = [person(A, "01"), person(B, "01"), damaged];
    let first = extract("m", "2026-03-01", 1, &records);
    let left_out = |extracts: &[Extract]| {
        let (selection, _) = open(None, None, extracts);
        let bytes = selection.superseded_persons(extracts.len() - 1).unwrap();
        roster::read(&bytes).unwrap().iter().collect::<Vec<_>>()
    };
    let of_b = extract("m", "2026-03-02", 2, &[person(B, "01")]);
    assert!(left_out(&[of_b.clone(), first.clone()]).is_empty());
    let of_a = extract("m", "2026-03-03", 3, &[person(A, "01")]);
    assert_eq!(left_out(&[of_a, of_b, first]), [101_010_010, 101_010_029]);
}

#[test]
fn lines_that_occur_twice_are_taken_once() {
    let lines = [
        person(A, "01"),
        home(A, "0851"),
        name(A, "X"),
        person(B, "01"),
    ];
    let mut twice = lines.to_vec();
    twice.extend_from_slice(&lines[..3]);
    twice.extend([name(B, "Y"), name(B, "Y")]);
    let extracts = [extract("m", "2026-03-01", 1, &twice)];
    let rows = some(
        None,
        &extracts,
        &[
            ("person", &["pnr"]),
            ("address", &["pnr"]),
            ("name", &["pnr"]),
        ],
    );
    assert_eq!(rows["person"], [A, B]);
    assert_eq!(rows["address"], [A]);
    // B has one 001, so its records stay as they are.
    assert_eq!(rows["name"], [A, B, B]);
}

#[test]
fn a_policy_selects_by_the_state() {
    let extracts = [
        extract("m", "2026-03-03", 3, &[person(C, "01"), home(C, "0851")]),
        extract("m", "2026-03-02", 2, &[person(A, "01"), home(A, "0101")]),
        extract(
            "m",
            "2026-03-01",
            1,
            &[
                person(A, "01"),
                home(A, "0851"),
                person(B, "01"),
                home(B, "0851"),
            ],
        ),
    ];
    let policy = in_municipality("0851");
    let (before, selected) = open(Some(&policy), None, &extracts[2..]);
    assert_eq!(
        (selected.persons, selected.entered, selected.left),
        (2, 2, 0)
    );
    let roster = before.roster().unwrap();
    let (after, selected) = open(Some(&policy), Some(&roster), &extracts);
    assert_eq!(
        (selected.persons, selected.entered, selected.left),
        (2, 1, 1)
    );
    let rows = rows_of(&after, &extracts, &ScanOptions::default());
    assert_eq!(rows["out_of_scope"], ["0101010010 moved 2026-03-03"]);
    assert_eq!(rows["into_scope"], ["0101010037 2026-03-03"]);
    assert_eq!(rows["address"].len(), 2);
    // Told once: the next state has nothing new.
    let (_, selected) = open(Some(&policy), Some(&after.roster().unwrap()), &extracts);
    assert_eq!(
        (selected.persons, selected.entered, selected.left),
        (2, 0, 0)
    );
}

#[test]
fn ages_follow_the_day() {
    let policy = |day: &str| Policy {
        persons: PersonFilter {
            ages: Some(AgeRange {
                youngest: 5,
                oldest: 16,
            }),
            ..PersonFilter::default()
        },
        day: Some(day.to_owned()),
        ..Policy::open()
    };
    // Born on 1 January 2001.
    let extracts = [extract("m", "2005-12-01", 1, &[person(A, "01")])];
    let (before, selected) = open(Some(&policy("2005-12-31")), None, &extracts);
    assert_eq!(selected.persons, 0);
    let roster = before.roster().unwrap();
    let (on, selected) = open(Some(&policy("2006-01-01")), Some(&roster), &extracts);
    assert_eq!((selected.persons, selected.entered), (1, 1));
    let rows = rows_of(&on, &extracts, &ScanOptions::default());
    assert_eq!(rows["into_scope"], ["0101010010 2006-01-01"]);
    let roster = on.roster().unwrap();
    let (after, selected) = open(Some(&policy("2018-01-01")), Some(&roster), &extracts);
    assert_eq!((selected.persons, selected.left), (0, 1));
    let rows = rows_of(&after, &extracts, &ScanOptions::default());
    assert_eq!(rows["out_of_scope"], ["0101010010 age 2018-01-01"]);
    // Without a day of the policy, the newest production date counts.
    let policy = Policy {
        day: None,
        ..policy("2006-01-01")
    };
    let newer = extract("m", "2007-01-01", 2, &[person(B, "01")]);
    let (_, selected) = open(Some(&policy), None, &[newer, extracts[0].clone()]);
    assert_eq!(selected.persons, 2);
}

#[test]
fn persons_leave_when_they_end_or_are_gone() {
    let policy = in_municipality("0851");
    let first = extract(
        "m",
        "2026-03-01",
        1,
        &[
            person(A, "01"),
            home(A, "0851"),
            person(B, "01"),
            home(B, "0851"),
        ],
    );
    let (before, _) = open(Some(&policy), None, std::slice::from_ref(&first));
    let roster = before.roster().unwrap();
    let left = |extracts: &[Extract]| {
        let (selection, _) = open(Some(&policy), Some(&roster), extracts);
        let mut rows = rows_of(&selection, extracts, &ScanOptions::default());
        rows.remove("out_of_scope").unwrap_or_default()
    };
    let ended = extract("m", "2026-03-02", 2, &[receipt(A)]);
    assert_eq!(
        left(&[ended, first]),
        ["0101010010 unsubscribed 2026-03-02"]
    );
    let without = extract("m", "2026-03-02", 2, &[person(B, "01"), home(B, "0851")]);
    assert_eq!(left(&[without]), ["0101010010 unsubscribed 2026-03-02"]);
    // A damaged 001 leaves the roster as it is.
    let unclear = extract("m", "2026-03-02", 2, &["004 01010100100001\n".to_owned()]);
    assert_eq!(left(&[unclear]), ["0101010029 unsubscribed 2026-03-02"]);
}

/// All others are masked as relatives.
#[test]
fn the_persons_with_a_state_and_the_protected_ones_are_listed() {
    let extracts = [
        extract(
            "m",
            "2026-03-02",
            2,
            &[receipt(A), person(C, "01"), protection(C)],
        ),
        extract("m", "2026-03-01", 1, &[person(A, "01"), person(B, "01")]),
    ];
    let policy = in_municipality("0851");
    let (selection, _) = open(Some(&policy), None, &extracts);
    let listed = roster::read(&selection.delivered_persons().unwrap()).unwrap();
    assert_eq!(ten_digits(&listed), [B, C]);
    assert_eq!(selection.protected_numbers().unwrap(), [C]);
}

#[test]
fn the_last_state_in_scope_is_shown_once_more() {
    let policy = Policy {
        leavers: LeaverRule::Last,
        ..in_municipality("0851")
    };
    let first = extract("m", "2026-03-01", 1, &[person(A, "01"), home(A, "0851")]);
    let (before, _) = open(Some(&policy), None, std::slice::from_ref(&first));
    let roster = before.roster().unwrap();
    let dead = extract("m", "2026-03-02", 2, &[person(A, "90"), home(A, "0851")]);
    let extracts = [dead, first];
    let (selection, _) = open(Some(&policy), Some(&roster), &extracts);
    let rows = rows_of(&selection, &extracts, &ScanOptions::default());
    assert_eq!(rows["address"].len(), 1);
    assert_eq!(rows["out_of_scope"], ["0101010010 dead 2026-03-02"]);
}

#[test]
fn events_of_all_extracts_select_persons() {
    let policy = Policy {
        persons: PersonFilter {
            event_codes: codes(&["A01"]),
            ..PersonFilter::default()
        },
        ..Policy::open()
    };
    let extracts = [
        extract("m", "2026-03-02", 2, &[person(A, "01"), person(B, "01")]),
        extract(
            "m",
            "2026-03-01",
            1,
            &[person(A, "01"), event(A, "202603010101", "A01")],
        ),
    ];
    assert_eq!(
        persons(Some(&policy), &extracts),
        ["0101010010 01 2026-03-02 m"]
    );
}

#[test]
fn protected_persons_are_masked_or_left_out() {
    let extracts = [
        extract("m", "2026-03-02", 2, &[person(A, "01"), name(A, "PLAIN")]),
        extract(
            "n",
            "2026-03-01",
            1,
            &[person(A, "01"), protection(A), name(A, "SECRET")],
        ),
    ];
    let policy = |protection| Policy {
        protection,
        ..Policy::open()
    };
    let tables: &[(&str, &[&str])] = &[("name", &["pnr", "given_name"])];
    let shown = some(Some(&policy(ProtectionRule::Include)), &extracts, tables);
    assert_eq!(shown["name"], ["0101010010 PLAIN"]);
    let masked = some(Some(&policy(ProtectionRule::Mask)), &extracts, tables);
    assert_eq!(masked["name"], ["0101010010"]);
    assert!(some(Some(&policy(ProtectionRule::Drop)), &extracts, tables).is_empty());
}

#[test]
fn conditions_can_name_the_extract() {
    let extracts = [
        extract("m", "2026-03-02", 2, &[person(A, "01")]),
        extract("n", "2026-03-01", 1, &[person(B, "01")]),
    ];
    let (selection, _) = open(None, None, &extracts);
    for (predicate, expected) in [
        ("agreement = 'n'", vec![B]),
        ("as_of >= '2026-03-02'", vec![A]),
        ("as_of < '2026-03-02' and agreement = 'm'", vec![]),
    ] {
        let mut request = request("person", &["pnr"]);
        request.predicate = Some(predicate.to_owned());
        let options = ScanOptions {
            tables: Some(vec![request]),
            ..ScanOptions::default()
        };
        let mut rows = rows_of(&selection, &extracts, &options);
        assert_eq!(
            rows.remove("person").unwrap_or_default(),
            expected,
            "{predicate}"
        );
    }
}

#[test]
fn a_state_has_the_tables_of_persons() {
    let whole = View::state(None).unwrap();
    let names = |view: &View| {
        view.tables
            .iter()
            .map(|table| table.id.name())
            .collect::<Vec<_>>()
    };
    for absent in [
        "delivery_start",
        "delivery_end",
        "input_error",
        "unknown_record",
        "rejected_record",
    ] {
        assert!(!names(&whole).contains(&absent), "{absent}");
    }
    for table in &whole.tables {
        let columns: Vec<_> = table.columns.iter().map(|column| column.name()).collect();
        assert!(columns.ends_with(&["as_of", "agreement"]), "{columns:?}");
        assert!(!columns.contains(&"line"));
    }
    let open = View::state(Some(&Policy::open())).unwrap();
    assert_eq!(names(&open)[..names(&whole).len()], names(&whole));
    assert!(names(&open).ends_with(&["out_of_scope", "into_scope"]));
    let dropping = Policy {
        numbers: NumberRule::Drop,
        ..Policy::open()
    };
    for table in View::state(Some(&dropping)).unwrap().tables {
        let columns: Vec<_> = table.columns.iter().map(|column| column.name()).collect();
        assert!(
            !columns.contains(&"as_of") && !columns.contains(&"pnr"),
            "{columns:?}"
        );
    }
    // Deliveries have none of this.
    let of_delivery = Policy::open().view().unwrap();
    assert!(of_delivery.table("into_scope").is_none());
    let columns = &of_delivery.table("person").unwrap().columns;
    assert!(columns.iter().all(|column| column.name() != "as_of"));
}

#[test]
fn superseded_persons_can_be_left_out() {
    let extracts = [
        extract("m", "2026-03-03", 4, &[receipt(C)]),
        extract("n", "2026-03-02", 3, &[person(A, "01")]),
        extract("m", "2026-03-02", 2, &[person(B, "01")]),
        extract(
            "m",
            "2026-03-01",
            1,
            &[person(A, "01"), person(B, "01"), person(C, "01")],
        ),
    ];
    let (selection, _) = open(None, None, &extracts);
    let of = |index| {
        let bytes = selection.superseded_persons(index).unwrap();
        roster::read(&bytes).unwrap().iter().collect::<Vec<_>>()
    };
    assert_eq!(of(3), [101_010_029, 101_010_037]);
    // Another agreement supersedes nothing.
    assert!(of(0).is_empty() && of(1).is_empty() && of(2).is_empty());
    assert!(selection.superseded_persons(4).is_err());
}

#[test]
fn refuses_wrong_orders_of_calls() {
    let [newer, older] = [
        extract("m", "2026-03-02", 2, &[person(A, "01")]),
        extract("m", "2026-03-01", 1, &[person(A, "01")]),
    ];
    let refused = |error: Result<(), Error>| error.unwrap_err().to_string();
    let mut selection = Selection::open_state(None, None).unwrap();
    assert!(refused(selection.push(Vec::new())).contains("begin-extract first"));
    selection.begin_extract(&place(&older)).unwrap();
    assert!(refused(selection.begin_extract(&place(&older))).contains("end-extract first"));
    assert!(refused(selection.finish().map(drop)).contains("end-extract first"));
    selection.push(older.3.as_bytes().to_vec()).unwrap();
    selection.end_extract().unwrap();
    for wrong in [&older, &newer] {
        assert!(refused(selection.begin_extract(&place(wrong))).contains("newest first"));
    }
    selection.finish().unwrap();
    assert!(refused(selection.begin_extract(&place(&newer))).contains("finished"));

    let mut scan = Scan::open(&ScanOptions::default(), Some(&selection)).unwrap();
    assert!(refused(scan.push(Vec::new())).contains("begin-extract first"));
    assert!(refused(scan.begin_extract(&place(&newer))).contains("same order"));
    assert!(refused(scan.finish()).contains("every extract"));
    scan.begin_extract(&place(&older)).unwrap();
    scan.end_extract().unwrap();
    assert!(refused(scan.begin_extract(&place(&older))).contains("until it"));
    assert!(scan.next().unwrap().is_none());
    scan.finish().unwrap();
    let summary = scan.summary();
    assert!(summary.findings.is_empty() && summary.start.is_none());

    assert!(refused(Selection::open_state(None, Some(b"")).map(drop)).contains("policy"));
    let mut plain = Selection::open(PersonFilter::default()).unwrap();
    assert!(refused(plain.begin_extract(&place(&older))).contains("open-state"));
    assert!(refused(plain.merge(&selection)).contains("finish"));
    plain.finish().unwrap();
    assert!(refused(plain.merge(&selection)).contains("states"));
    for (agreement, date) in [
        ("", "2026-03-01"),
        ("a b", "2026-03-01"),
        ("m", "2026-13-01"),
    ] {
        let mut selection = Selection::open_state(None, None).unwrap();
        let place = ExtractPlace {
            agreement: agreement.to_owned(),
            production_date: date.to_owned(),
            sequence: 1,
        };
        assert!(
            selection.begin_extract(&place).is_err(),
            "{agreement:?} {date}"
        );
    }
}

/// The rules for one extract are the rules for a state of one extract.
#[test]
fn a_state_of_one_extract_is_like_the_extract() {
    let text = "00000000000001109012001111720011116\n\
        0010101965058          01000000000000 K1896-01-01\n\
        002010196505808510000\n\
        0010101965066          90000000000000 M1896-01-01\n\
        00401019650660001\n\
        002010196506608510000\n\
        999999999999900000005\n";
    let extracts = [("m", "2001-11-17", 1, text.to_owned())];
    for policy in [
        Policy::open(),
        in_municipality("0851"),
        Policy {
            protection: ProtectionRule::Drop,
            ..Policy::open()
        },
    ] {
        let (of_state, selected) = open(Some(&policy), None, &extracts);
        let (of_extract, expected) = choose(&policy, None, text);
        assert_eq!(selected, expected);
        assert_eq!(of_state.roster().unwrap(), of_extract.roster().unwrap());
        let rows = rows_of(&of_state, &extracts, &ScanOptions::default());
        for (table, batch) in scan(&of_extract, text, &ScanOptions::default()) {
            if View::state(None).unwrap().table(table).is_some() {
                assert_eq!(rows[table].len(), batch.num_rows(), "{table}");
            }
        }
    }
}
