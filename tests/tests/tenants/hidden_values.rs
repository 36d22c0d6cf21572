//! Nothing that a policy hides is in any byte of a tenant's output, and nothing else is hidden. Every value of the
//! extracts is a mark that stands nowhere else, so each one found tells where it came from.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use cprflow::ParquetFile;
use cprflow::policy::{LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow_tests::command::TestDirectory;
use cprflow_tests::marked::promises::Promises;
use cprflow_tests::marked::shape::{Dates, Shape};
use cprflow_tests::marked::{Mark, MarkedExtract, Nights};
use cprflow_tests::oracle::columns::CLASSES;
use cprflow_tests::oracle::product::{Actual, Tenant, in_roster};
use cprflow_tests::oracle::{Expected, Extract, TestPolicy, compare};
use cprflow_tests::output_bytes::{
    Found, assert_nothing_under_nulls, assert_parquet_tells_only_its_values, marks_of,
};
use cprflow_tests::reference_reader::{Tables, Value};
use cprflow_tests::test_run::tables;
use proptest::prelude::*;

use crate::marked_nights::nights;
use crate::random_policy::{RULES, accepted, plan};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_hidden_is_in_any_byte(nights in nights(), plan in plan()) {
        let marked = nights.extracts(&RULES);
        let extracts: Vec<Extract> = marked
            .iter()
            .map(|night| Extract::of_lines(&RULES, &night.bytes))
            .collect();
        let wanted = accepted(&plan, &(marked[0].bytes.clone(), extracts[0].clone()));
        let mut tenant = Tenant::new(wanted.clone());
        let mut roster = BTreeSet::new();
        let mut persons = BTreeSet::new();
        let numbers = marked.iter().flat_map(|night| night.numbers.clone()).collect();
        for (marked, extract) in marked.iter().zip(&extracts) {
            let answer = extract.expected(&wanted, &roster).unwrap();
            assert_truth(marked, &answer);
            let got = tenant.deliver(&marked.bytes).unwrap();
            compare::assert_same(&got.delivery, &answer.delivery, "a night");
            compare::assert_only_persons_in_scope(&got.delivery.tables, &wanted, &answer);
            assert_promises(&got.delivery.tables, marked, &wanted, &answer);
            // The host makes the pseudonyms, so the batches of the native connector have person numbers.
            let is_native = std::env::var_os("CPRFLOW_NATIVE").is_some();
            if !is_native || wanted.policy.numbers != NumberRule::Pseudonym {
                assert_bytes(&got, &answer.delivery.tables, &numbers);
            }
            roster = answer.roster;
            persons.extend(extract.persons());
        }
        prop_assert_eq!(in_roster(tenant.roster.as_deref().unwrap(), &persons), roster);
    }
}

/// Asserts that the oracle finds the protected persons that the extract was made with.
pub(crate) fn assert_truth(marked: &MarkedExtract, answer: &Expected) {
    let (truth, facts) = (&marked.truth, &answer.facts);
    assert_eq!(facts.has_unknown_protection, truth.is_anybody);
    assert_eq!(facts.delivered, truth.delivered);
    for number in &marked.numbers {
        assert_eq!(
            facts.is_protected(number),
            truth.is_protected(number),
            "protection of {number}"
        );
    }
    let uncertain: BTreeSet<String> = facts.damaged.union(&facts.doubled).cloned().collect();
    assert_eq!(uncertain, truth.uncertain);
}

/// Asserts that every mark in the tables may be shown.
fn assert_promises(
    tables: &Tables,
    marked: &MarkedExtract,
    wanted: &TestPolicy,
    answer: &Expected,
) {
    let promises = Promises {
        policy: &wanted.policy,
        truth: &marked.truth,
    };
    for mark in marks_of(tables) {
        let Some(place) = marked.marks.get(&mark) else {
            let is_text = matches!(mark, Mark::Long(_) | Mark::Short(_));
            assert!(!is_text, "{mark:?} is not of this extract");
            continue;
        };
        let owner = place.owner.as_ref();
        assert!(
            owner.is_none_or(|owner| is_in_scope(answer, owner)),
            "{mark:?} is of a person outside the scope: {place:?}"
        );
        assert_eq!(promises.why_hidden(place), None, "{mark:?}: {place:?}");
    }
}

pub(crate) fn is_in_scope(answer: &Expected, number: &String) -> bool {
    answer.choice.chosen.contains(number) || answer.choice.repeated.contains(number)
}

/// Asserts that the batches, and Parquet files of them, contain nothing but the expected values in any byte. `numbers`
/// has the person numbers of the extracts.
fn assert_bytes(got: &Actual, expected: &Tables, numbers: &BTreeSet<String>) {
    let mut wanted = Found::default();
    for (_, value) in expected.values().flatten().flatten() {
        match value {
            Value::Text(text) => wanted.add(text.as_bytes()),
            Value::Map(entries) => {
                for (column, text) in entries {
                    wanted.add(column.as_bytes());
                    wanted.add(text.as_bytes());
                }
            }
            _ => {}
        }
    }
    let mut found = Found::default();
    for (_, batch) in &got.batches {
        assert_nothing_under_nulls(batch);
        found.add(&ipc(batch));
    }
    // Texts follow each other without a gap here, so digits of two of them can look like a person number.
    found.assert_marks(&wanted, "Arrow batches");
    let directory = TestDirectory::new();
    write_parquet(&got.batches, &directory);
    let mut found = Found::default();
    found.add_directory(directory.root().as_ref());
    found.assert_marks(&wanted, "Parquet files");
    for number in numbers {
        assert!(
            !found.numbers.contains_key(number) || wanted.numbers.contains_key(number),
            "Parquet files contain {number} in {:?}",
            found.numbers[number]
        );
    }
    let read = tables(directory.root().as_ref());
    assert!(read == *expected, "the files have other rows");
    for (table, rows) in &read {
        let path = directory.path(&format!("{table}.parquet"));
        assert_parquet_tells_only_its_values(path.as_ref(), rows);
    }
}

fn ipc(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn write_parquet(batches: &[(String, RecordBatch)], directory: &TestDirectory) {
    let mut open = BTreeMap::new();
    for (table, batch) in batches {
        let file = open.entry(table).or_insert_with(|| {
            let path = directory.path(&format!("{table}.parquet"));
            let file = File::create(&path).unwrap();
            ParquetFile::new(file, batch.schema(), path).unwrap()
        });
        file.write(batch).unwrap();
    }
    for file in open.into_values() {
        file.finish().unwrap();
    }
}

pub(crate) fn every_class() -> BTreeSet<String> {
    CLASSES.map(str::to_owned).into()
}

/// The random extracts and policies must not be so strict that there is nothing to hide or nothing to show.
#[test]
fn the_random_nights_have_much_to_hide_and_much_to_show() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut shown, mut left) = (0, 0);
    for _ in 0..24 {
        let (nights, plan) = (nights(), plan()).new_tree(&mut runner).unwrap().current();
        let mut roster = BTreeSet::new();
        for marked in nights.extracts(&RULES) {
            let extract = Extract::of_lines(&RULES, &marked.bytes);
            let wanted = plan.wanted(&extract);
            let answer = extract.expected(&wanted, &roster).unwrap();
            let promises = Promises {
                policy: &wanted.policy,
                truth: &marked.truth,
            };
            let told = marks_of(&answer.delivery.tables);
            for (mark, place) in &marked.marks {
                let why = promises.why_hidden(place).unwrap_or("may be shown");
                *reasons.entry(why).or_default() += 1;
                shown += usize::from(told.contains(mark));
            }
            left += answer.choice.left.len();
            roster = answer.roster;
        }
    }
    assert!(
        reasons.len() >= 6 && reasons.values().all(|count| *count > 200),
        "{reasons:?}"
    );
    assert!(shown > 2000 && left > 5, "{shown} {left}");
}

/// The repeated rows of leavers are hidden like other rows, and a state outside the scope is not repeated.
#[test]
fn leavers_whose_rows_are_repeated_stay_hidden() {
    let codes = |codes: &[&str]| Some(codes.iter().map(|code| (*code).to_owned()).collect());
    let by_status = PersonFilter {
        status_codes: codes(&["01"]),
        ..PersonFilter::default()
    };
    let by_home = PersonFilter {
        municipality_codes: codes(&["0851", "0101"]),
        ..PersonFilter::default()
    };
    let shapes = (0..48).map(|place: usize| {
        let protected = Shape::Protected(Dates::ALL[place % 6]);
        let first = match place % 2 {
            0 => Shape::Ordinary,
            _ => protected,
        };
        let ended = Shape::Ended {
            status: (place / 4 % 2) as u8,
            is_unsubscribed: place % 8 > 4,
        };
        vec![
            Some(first),
            Some(if place.is_multiple_of(3) {
                protected
            } else {
                ended
            }),
        ]
    });
    let nights = Nights {
        shapes: shapes.collect(),
        unreadable: None,
        seed: 23,
        is_small: false,
    };
    let marked = nights.extracts(&RULES);
    let (mut repeated, mut receipts) = (0, 0);
    for protection in [ProtectionRule::Mask, ProtectionRule::Drop] {
        for numbers in [NumberRule::Keep, NumberRule::Pseudonym, NumberRule::Drop] {
            let some = BTreeSet::from(["address".to_owned()]);
            for (persons, classes) in [
                (&by_status, every_class()),
                (&by_status, some.clone()),
                (&by_home, some),
            ] {
                let wanted = TestPolicy::new(Policy {
                    persons: persons.clone(),
                    classes,
                    protection,
                    numbers,
                    leavers: LeaverRule::Last,
                    ..Policy::default()
                });
                let mut tenant = Tenant::new(wanted.clone());
                let mut roster = BTreeSet::new();
                for night in &marked {
                    let extract = Extract::of_lines(&RULES, &night.bytes);
                    let answer = extract.expected(&wanted, &roster).unwrap();
                    let got = tenant.deliver(&night.bytes).unwrap();
                    compare::assert_same(&got.delivery, &answer.delivery, "leavers");
                    assert_promises(&got.delivery.tables, night, &wanted, &answer);
                    repeated += answer.choice.repeated.len();
                    let told = got.delivery.tables.get("subscription_receipt");
                    receipts += told.map_or(0, Vec::len);
                    roster = answer.roster;
                }
            }
        }
    }
    assert!(repeated > 30 && receipts > 10, "{repeated} {receipts}");
}
