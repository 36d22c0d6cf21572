//! The state over several extracts: every table, for the whole and for tenants, is what an independent model computes.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor};
use std::sync::LazyLock;

use cprflow::policy::NumberRule;
use cprflow::{DeliveryReader, Error, ExtractCopy, ExtractPlace, Pnr, PseudonymKey, StateScan};
use cprflow_tests::extract::{self, Dice};
use cprflow_tests::oracle::extract_cases::extracts;
use cprflow_tests::oracle::show::number_of;
use cprflow_tests::oracle::state::{KeptExtract, State, state, without};
use cprflow_tests::oracle::{Expected, Extract, TestPolicy, refusal};
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::rows;
use proptest::prelude::*;

use crate::random_policy::{RULES, plan};

/// A register: kept extracts in the order of their arrival.
type Register = Vec<KeptExtract>;

/// The number of nights of a register.
const NIGHTS: u32 = 9;

/// Returns a register of two agreements: an initial load each, nights, nights that arrive late, a night that the other
/// agreement delivers too, a second full load, and receipts.
fn register(seed: u64) -> Register {
    let mut dice = Dice::new(seed);
    let nights = extracts(&RULES, 60, seed, NIGHTS);
    let mut kept = Register::new();
    for case in nights.iter().filter(|case| case.night + 2 != NIGHTS) {
        let mut lines = extract::lines(&case.bytes);
        // Damage is tested with extracts made by hand.
        lines.retain(|line| {
            let kind = String::from_utf8_lossy(line.get(..3).unwrap_or_default()).into_owned();
            let has_key = line
                .get(3..13)
                .is_some_and(|key| key.iter().all(u8::is_ascii_digit));
            // A receipt whose values stand in wrong columns ends no subscription.
            let is_damaged_receipt = kind == "997"
                && !line
                    .get(13..25)
                    .is_some_and(|registered| registered.iter().all(u8::is_ascii_digit));
            RULES.contains_key(&kind) && (has_key || kind == "910") && !is_damaged_receipt
        });
        let date = format!("2026-03-{:02}", 1 + case.night);
        let mut deliver = |agreement: &str, date: &str, lines: &[Vec<u8>]| {
            kept.push(KeptExtract {
                agreement: agreement.to_owned(),
                date: date.to_owned(),
                sequence: kept.len() as u64,
                bytes: extract::join(lines, b"\n"),
            });
        };
        let agreement = if case.night % 3 == 1 { "n" } else { "m" };
        if case.night > 0 {
            add_receipts(&mut lines, &mut dice);
        }
        deliver(agreement, &date, &lines);
        match case.night {
            // Both agreements have an initial load, and one delivery of both is the same.
            0 | 3 => deliver("n", &date, &lines),
            // The same bytes again, with an older date: they arrive late.
            6 => deliver("m", "2026-03-02", &lines),
            _ => {}
        }
    }
    kept
}

/// Ends the subscription of some persons, with and without other records in the extract.
pub(crate) fn add_receipts(lines: &mut Vec<Vec<u8>>, dice: &mut Dice) {
    let persons: Vec<Vec<u8>> = lines
        .iter()
        .filter(|line| line.starts_with(b"001"))
        .map(|line| line[3..13].to_vec())
        .collect();
    for person in persons {
        match dice.below(12) {
            0 => lines.insert(1, [b"997", &person[..]].concat()),
            1 => {
                lines.retain(|line| line.get(3..13) != Some(&person[..]));
                lines.insert(1, [b"997", &person[..]].concat());
            }
            _ => {}
        }
    }
}

static REGISTERS: LazyLock<Vec<Register>> = LazyLock::new(|| (70..73).map(register).collect());

/// A function that opens an extract.
type Open = Box<dyn FnMut(&ExtractPlace) -> io::Result<Cursor<Vec<u8>>> + Send>;

/// Returns the places of extracts, newest first, and a function that opens them.
fn inputs(kept: &[KeptExtract]) -> (Vec<ExtractPlace>, Open) {
    let place = |one: &KeptExtract| ExtractPlace {
        production_date: one.date.clone(),
        sequence: one.sequence,
        agreement: one.agreement.clone(),
    };
    let mut places: Vec<ExtractPlace> = kept.iter().map(place).collect();
    places.sort();
    places.reverse();
    let bytes: BTreeMap<ExtractPlace, Vec<u8>> = kept
        .iter()
        .map(|one| (place(one), one.bytes.clone()))
        .collect();
    let open = move |place: &ExtractPlace| Ok(Cursor::new(bytes[place].clone()));
    (places, Box::new(open))
}

/// Returns the rows by table.
fn tables(reader: &mut DeliveryReader<Cursor<Vec<u8>>>) -> Tables {
    let mut tables = Tables::new();
    for batch in reader {
        let batch = batch.unwrap();
        tables
            .entry(batch.table)
            .or_default()
            .extend(rows::rows(&batch.batch));
    }
    tables
}

/// Returns rows without some columns, sorted.
fn stripped(rows: &[Row], columns: &[&str]) -> Vec<Row> {
    let strip = |row: &Row| {
        let kept = row
            .iter()
            .filter(|(name, _)| !columns.contains(&name.as_str()));
        kept.cloned().collect::<Row>()
    };
    let mut rows: Vec<Row> = rows.iter().map(strip).collect();
    rows.sort();
    rows
}

/// Tables that tell of extracts, not of persons.
const NOT_OF_STATE: [&str; 6] = [
    "delivery_start",
    "delivery_end",
    "input_error",
    "subscription_receipt",
    "unknown_record",
    "rejected_record",
];

/// Asserts that two sets of tables are equal, apart from the columns that only one of them has.
pub(crate) fn assert_same(got: &Tables, expected: &Tables, what: &str) {
    let of_state = |table: &&String| !NOT_OF_STATE.contains(&table.as_str());
    let names: BTreeSet<&String> = got.keys().chain(expected.keys()).filter(of_state).collect();
    for table in names {
        let rows = |tables: &Tables| {
            let rows = tables.get(table).map(Vec::as_slice).unwrap_or_default();
            stripped(rows, &["line", "as_of", "agreement"])
        };
        let (got, expected) = (rows(got), rows(expected));
        let only = |one: &[Row], other: &[Row]| {
            let mut only = one.iter().filter(|row| !other.contains(row));
            only.next()
                .map(|row| row.iter().take(6).cloned().collect::<Row>())
        };
        assert!(
            got == expected,
            "{what}: {table} has {} rows, expected {}; only got {:?}, only expected {:?}",
            got.len(),
            expected.len(),
            only(&got, &expected),
            only(&expected, &got),
        );
    }
}

#[test]
fn the_whole_state_is_what_the_model_computes() {
    for (index, register) in REGISTERS.iter().enumerate() {
        for count in [1, 2, 5, register.len()] {
            let kept = &register[..count];
            let model = state(&RULES, kept, &BTreeSet::new());
            let (places, open) = inputs(kept);
            let mut reader = StateScan::new(rows::connector())
                .read(places, open)
                .unwrap();
            let got = tables(&mut reader);
            let what = format!("register {index}, {count} extracts");
            assert_same(&got, model.extract.rows(), &what);
            let selected = reader.selected().unwrap();
            assert_eq!(selected.persons, model.persons.len() as u64, "{what}");
            assert_origins(&got, &model, &what);
            assert!(
                got.keys()
                    .all(|table| !NOT_OF_STATE.contains(&table.as_str()))
            );
        }
    }
}

/// Asserts that each row has the date and the agreement of its extract.
fn assert_origins(got: &Tables, model: &State, what: &str) {
    for (table, rows) in got {
        let text = |row: &Row, name: &str| match &row.iter().find(|(n, _)| n == name).unwrap().1 {
            Value::Text(text) => text.clone(),
            Value::Days(days) => {
                let epoch = chrono::NaiveDate::default();
                (epoch + chrono::TimeDelta::days(*days)).to_string()
            }
            other => panic!("{other:?}"),
        };
        let origins = rows
            .iter()
            .map(|row| (text(row, "as_of"), text(row, "agreement")));
        let origins: Vec<_> = origins.collect();
        assert_eq!(origins, model.origins[table], "{what}: {table}");
        assert!(rows.iter().flatten().all(|(name, _)| name != "line"));
    }
}

/// What a tenant got of a state.
struct Got {
    tables: Tables,
    roster: Vec<u8>,
    counts: (u64, u64, u64),
}

fn tenant(
    wanted: &TestPolicy,
    roster: Option<&Vec<u8>>,
    kept: &[KeptExtract],
) -> Result<Got, Error> {
    let (places, open) = inputs(kept);
    let mut scan = StateScan::new(rows::connector()).policy(&wanted.policy);
    if let Some(roster) = roster {
        scan = scan.roster(roster.clone());
    }
    if wanted.policy.numbers == NumberRule::Pseudonym {
        scan = scan.pseudonym_key(PseudonymKey::new(&wanted.key).unwrap());
    }
    let mut reader = scan.read(places, open)?;
    let tables = tables(&mut reader);
    let selected = reader.selected().unwrap();
    Ok(Got {
        tables,
        roster: reader.roster()?,
        counts: (selected.persons, selected.entered, selected.left),
    })
}

/// Returns the tables that the tenant must get.
pub(crate) fn expected_tables(wanted: &TestPolicy, answer: &Expected, day: &str) -> Tables {
    let day: chrono::NaiveDate = wanted.policy.day.as_deref().unwrap_or(day).parse().unwrap();
    let day = Value::Days((day - chrono::NaiveDate::default()).num_days());
    let mut expected = answer.delivery.tables.clone();
    for row in expected.get_mut("out_of_scope").into_iter().flatten() {
        for (name, value) in row.iter_mut().filter(|(name, _)| name == "date") {
            assert_eq!(name, "date");
            *value = day.clone();
        }
    }
    let entered = answer.choice.entered.iter().map(|number| {
        let number = ("pnr".to_owned(), Value::Text(number_of(wanted, number)));
        let mut row = vec![number, ("date".to_owned(), day.clone())];
        if wanted.policy.numbers == NumberRule::Drop {
            row.remove(0);
        }
        row
    });
    let entered: Vec<Row> = entered.collect();
    if !entered.is_empty() {
        expected.insert("into_scope".to_owned(), entered);
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tenant_gets_of_a_state_what_the_model_expects(index in 0..3_usize, plan in plan()) {
        let register = &REGISTERS[index];
        let first = Extract::of_lines(&RULES, &register[0].bytes);
        let mut wanted = plan.wanted(&first);
        if refusal::is_refused(&RULES, &wanted) {
            prop_assert!(tenant(&wanted, None, &register[..1]).is_err());
            wanted.policy.may_reveal = true;
        }
        let mut rosters: Option<(Vec<u8>, BTreeSet<String>)> = None;
        for count in [2, 4, 6, register.len()] {
            let kept = &register[..count];
            let before = rosters.as_ref().map(|(_, roster)| roster.clone()).unwrap_or_default();
            let model = state(&RULES, kept, &before);
            let answer = model.extract.expected(&wanted, &before).unwrap();
            let got = tenant(&wanted, rosters.as_ref().map(|(bytes, _)| bytes), kept).unwrap();
            let what = format!("register {index}, {count} extracts");
            let expected = expected_tables(&wanted, &answer, &model.day);
            assert_same(&got.tables, &expected, &what);
            let delivery = &answer.delivery;
            prop_assert_eq!(got.counts, (delivery.persons, delivery.entered, delivery.left));
            rosters = Some((got.roster, answer.roster));
        }
    }
}

/// The registers must have every case that the rules are about.
#[test]
fn the_registers_have_every_case() {
    for register in REGISTERS.iter() {
        let model = state(&RULES, register, &BTreeSet::new());
        let agreements: BTreeSet<_> = model.origins["person"].iter().map(|(_, a)| a).collect();
        assert_eq!(agreements.len(), 2);
        let dates: BTreeSet<_> = model.origins["person"]
            .iter()
            .map(|(date, _)| date)
            .collect();
        assert!(dates.len() > 4, "{dates:?}");
        let all: usize = register
            .iter()
            .map(|one| {
                extract::lines(&one.bytes)
                    .iter()
                    .filter(|l| l.starts_with(b"099"))
                    .count()
            })
            .sum();
        let once = model.origins["event"].len();
        assert!(once > 20 && all > once + 20, "{all} {once}");
        let ended = model.extract.rows()["subscription_receipt"].len();
        assert!(ended > 3, "{ended}");
    }
}

#[test]
fn a_state_without_superseded_records_is_the_same() {
    for register in REGISTERS.iter() {
        let (places, open) = inputs(register);
        let survey = StateScan::new(rows::connector()).survey(places.clone(), open);
        let mut survey = survey.unwrap();
        let mut compacted = Register::new();
        let mut left_out = 0;
        for (index, place) in places.iter().enumerate() {
            let one = register
                .iter()
                .find(|one| one.sequence == place.sequence)
                .unwrap();
            let mut bytes = Vec::new();
            let report = ExtractCopy::new(rows::connector())
                .superseded(survey.superseded_persons(index).unwrap())
                .copy(&one.bytes[..], &mut bytes)
                .unwrap();
            left_out += report.records_left_out();
            compacted.push(KeptExtract {
                bytes,
                ..one.clone()
            });
        }
        assert!(left_out > 500, "{left_out}");
        let policy = TestPolicy::default();
        let read = |kept: &[KeptExtract]| tenant(&policy, None, kept).unwrap();
        let (before, after) = (read(register), read(&compacted));
        assert_eq!(before.tables, after.tables);
        assert_eq!(before.roster, after.roster);
        assert!(survey.superseded_persons(places.len()).is_err());
    }
}

#[test]
fn a_copy_without_persons_has_no_byte_of_them() {
    let contains =
        |bytes: &[u8], number: &str| bytes.windows(10).any(|window| window == number.as_bytes());
    for one in REGISTERS.iter().flatten() {
        let persons: BTreeSet<String> = extract::lines(&one.bytes)
            .iter()
            .filter(|line| line.starts_with(b"001"))
            .map(|line| String::from_utf8_lossy(&line[3..13]).into_owned())
            .collect();
        for number in persons.iter().step_by(23) {
            let erased = BTreeSet::from([number.clone()]);
            let pnr: Pnr = number.parse().unwrap();
            let copy = |blank| {
                let mut bytes = Vec::new();
                let report = ExtractCopy::new(rows::connector())
                    .erased([&pnr])
                    .blank_references(blank)
                    .block_bytes(4099)
                    .copy(&one.bytes[..], &mut bytes)
                    .unwrap();
                (bytes, report)
            };
            let expected = without(&one.bytes, &erased);
            let (bytes, report) = copy(false);
            assert!(bytes == expected, "references stay");
            assert!(report.records_left_out() > 0);
            let referring = extract::lines(&expected);
            let referring = referring.iter().filter(|line| contains(line, number));
            assert_eq!(report.referring, referring.count() as u64);
            let (blanked, report) = copy(true);
            assert!(!contains(&blanked, number));
            // All lines without a reference are there, in their order.
            let lines = extract::lines(&blanked);
            let mut left = lines.iter();
            for line in extract::lines(&expected) {
                if !contains(&line, number) && !line.starts_with(b"999") {
                    assert!(left.any(|other| *other == line));
                }
            }
            assert_eq!(report.referring, 0);
        }
        let mut bytes = Vec::new();
        let copied = ExtractCopy::new(rows::connector()).copy(&one.bytes[..], &mut bytes);
        assert!(copied.unwrap().is_identical() && bytes == one.bytes);
    }
}
