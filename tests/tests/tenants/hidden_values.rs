//! Nothing that a policy hides is in any byte of a tenant's output, and nothing else is hidden. Every value of the
//! extracts is a mark that stands nowhere else, so each one found tells where it came from.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use cprflow::ParquetFile;
use cprflow::policy::{LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::TestDirectory;
use cprflow_tests::extract;
use cprflow_tests::marked::promises::Promises;
use cprflow_tests::marked::shape::{
    Chain, DAMAGES, Dates, HARMLESS, Lost, OTHER_TYPES, Shape, UNREADABLE_TYPES,
};
use cprflow_tests::marked::{Mark, MarkedExtract, Nights};
use cprflow_tests::oracle::choose::{key, text, value};
use cprflow_tests::oracle::columns::CLASSES;
use cprflow_tests::oracle::events::{EVENTS, MARKS};
use cprflow_tests::oracle::product::{Actual, Tenant, in_roster};
use cprflow_tests::oracle::{Expected, Extract, TestPolicy, compare};
use cprflow_tests::output_bytes::{
    Found, assert_nothing_under_nulls, assert_parquet_tells_only_its_values, marks_of,
};
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::test_run::tables;
use proptest::prelude::*;

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

/// Returns persons of special shapes over three nights. In the first, all are delivered.
fn nights() -> impl Strategy<Value = Nights> {
    let later = || prop::option::weighted(0.7, shape());
    let group = (shape(), later(), later());
    let group = group.prop_map(|(first, second, third)| vec![Some(first), second, third]);
    let unreadable = prop::option::weighted(0.15, 0..3_usize);
    (prop::collection::vec(group, 4..9), unreadable, any::<u64>()).prop_map(
        |(shapes, unreadable, seed)| Nights {
            shapes,
            unreadable,
            seed,
            is_small: false,
        },
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    let chain = (1..=5_u8, 0..12_u8, any::<u16>(), 0..24_u8, any::<u8>());
    let chain = chain.prop_map(|(changes, protected, links, lost, deleted)| Chain {
        changes,
        protected: Some(protected).filter(|number| *number <= changes),
        links,
        lost: match lost {
            0..6 => Lost::Number(lost % (changes + 1)),
            6..11 => Lost::Link(lost % changes),
            _ => Lost::Nothing,
        },
        deleted,
    });
    let circle = (1..=4_u8, 0..8_u8, any::<bool>());
    prop_oneof![
        4 => Just(Shape::Ordinary),
        2 => prop::sample::select(&Dates::ALL[..]).prop_map(Shape::Protected),
        1 => Just(Shape::ProtectedTwice),
        1 => any::<u8>().prop_map(Shape::OtherProtection),
        1 => any::<u8>().prop_map(Shape::UnreadableType),
        1 => any::<u8>().prop_map(Shape::Damaged),
        1 => any::<u8>().prop_map(Shape::Harmless),
        4 => chain.prop_map(Shape::Chain),
        1 => circle.prop_map(|(length, protected, has_outsider)| Shape::Circle {
            length,
            protected: Some(protected).filter(|number| *number < length),
            has_outsider,
        }),
        1 => Just(Shape::FormerAlone),
        1 => Just(Shape::CurrentAlone),
        1 => Just(Shape::CurrentOfProtected),
        1 => any::<bool>().prop_map(|differ| Shape::Twice { differ }),
        1 => Just(Shape::WithoutPerson),
        1 => any::<u8>().prop_map(Shape::RelativeWithDate),
        1 => Just(Shape::Unsubscribed),
    ]
}

/// Returns every shape: every chain of up to five changes, with a protection at every place and with every kind of
/// gap, and every other shape in all its forms.
fn every_shape() -> Vec<Shape> {
    let mut shapes = vec![
        Shape::Ordinary,
        Shape::ProtectedTwice,
        Shape::FormerAlone,
        Shape::CurrentAlone,
        Shape::CurrentOfProtected,
        Shape::Twice { differ: false },
        Shape::Twice { differ: true },
        Shape::WithoutPerson,
        Shape::Unsubscribed,
    ];
    let indexes = |count: usize| 0..u8::try_from(count).unwrap();
    shapes.extend(Dates::ALL.map(Shape::Protected));
    shapes.extend(indexes(OTHER_TYPES.len()).map(Shape::OtherProtection));
    shapes.extend(indexes(UNREADABLE_TYPES.len()).map(Shape::UnreadableType));
    shapes.extend(indexes(DAMAGES.len()).map(Shape::Damaged));
    shapes.extend(indexes(HARMLESS.len()).map(Shape::Harmless));
    shapes.extend((0..3).map(Shape::RelativeWithDate));
    let places = |count: u8| std::iter::once(None).chain((0..count).map(Some));
    for length in 1..=4 {
        for protected in places(length) {
            shapes.extend([false, true].map(|has_outsider| Shape::Circle {
                length,
                protected,
                has_outsider,
            }));
        }
    }
    for changes in 1..=5 {
        let numbers = (0..=changes).map(Lost::Number);
        let links = (0..changes).map(Lost::Link);
        for lost in [Lost::Nothing].into_iter().chain(numbers).chain(links) {
            for protected in places(changes + 1) {
                // All by 001, all by 022, and by turns.
                for links in [0, 0x5555, 0x9324] {
                    shapes.push(Shape::Chain(Chain {
                        changes,
                        protected,
                        links,
                        lost,
                        deleted: 0b1010,
                    }));
                }
            }
        }
    }
    shapes
}

/// Asserts that the oracle finds the protected persons that the extract was made with.
fn assert_truth(marked: &MarkedExtract, answer: &Expected) {
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

fn is_in_scope(answer: &Expected, number: &String) -> bool {
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

fn every_class() -> BTreeSet<String> {
    CLASSES.map(str::to_owned).into()
}

/// With every class and every person, what is hidden of a person is exactly what the protection of the shape hides.
#[test]
fn every_shape_hides_what_it_must_and_nothing_else() {
    let nights = Nights {
        shapes: every_shape()
            .into_iter()
            .map(|shape| vec![Some(shape)])
            .collect(),
        unreadable: None,
        seed: 7,
        is_small: true,
    };
    let marked = &nights.extracts(&RULES)[0];
    let extract = Extract::of_lines(&RULES, &marked.bytes);
    let mut hidden = BTreeMap::new();
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let wanted = TestPolicy::new(Policy {
            classes: every_class(),
            protection,
            ..Policy::default()
        });
        let answer = extract.expected(&wanted, &BTreeSet::new()).unwrap();
        assert_truth(marked, &answer);
        let got = Tenant::new(wanted.clone()).deliver(&marked.bytes).unwrap();
        compare::assert_same(&got.delivery, &answer.delivery, "every shape");
        let told = count_hidden(&got.delivery.tables, marked, &wanted, &answer);
        hidden.insert(format!("{protection:?}"), told);
    }
    // Under `Drop`, persons without a 001 and the unsubscribed are the only others whom a tenant does not see.
    let of = |protection: &str, why: &str| hidden[protection].get(why).copied().unwrap_or(0);
    assert_eq!(of("Include", "its person is protected"), 0);
    assert!(of("Mask", "its person is protected") > 1000, "{hidden:?}");
    assert!(of("Mask", "its relative is protected") > 100, "{hidden:?}");
    assert!(of("Drop", "its person is left out") > 1000, "{hidden:?}");
    assert!(of("Drop", "its relative is protected") > 100, "{hidden:?}");
}

/// Asserts that each mark is shown if and only if the promises say so, and counts the hidden ones by reason.
fn count_hidden(
    tables: &Tables,
    marked: &MarkedExtract,
    wanted: &TestPolicy,
    answer: &Expected,
) -> BTreeMap<&'static str, usize> {
    let promises = Promises {
        policy: &wanted.policy,
        truth: &marked.truth,
    };
    let shown = marks_of(tables);
    let mut hidden = BTreeMap::new();
    for (mark, place) in &marked.marks {
        let owner = place.owner.as_ref();
        let why = match owner.is_none_or(|owner| is_in_scope(answer, owner)) {
            true => promises.why_hidden(place),
            // A dropped person is outside the scope too.
            false => promises
                .why_hidden(place)
                .filter(|why| *why == "its person is left out")
                .or(Some("outside the scope")),
        };
        // A record that belongs to no person is hidden where only some persons are shown.
        let is_of_nobody =
            place.owner.is_none() && wanted.policy.protection == ProtectionRule::Drop;
        assert_eq!(
            !shown.contains(mark),
            why.is_some() || is_of_nobody,
            "{mark:?}: {why:?}, {place:?}"
        );
        if let Some(why) = why {
            *hidden.entry(why).or_default() += 1;
        }
    }
    hidden
}

/// Each class alone hides its own values. With all other classes, nothing else is hidden.
#[test]
fn each_class_hides_its_own_marks_and_nothing_else() {
    let shapes = [
        vec![Some(Shape::Ordinary); 10],
        vec![Some(Shape::Protected(Dates::Begun)); 2],
        vec![Some(Shape::OtherProtection(3))],
    ];
    let nights = Nights {
        shapes: shapes
            .concat()
            .into_iter()
            .map(|shape| vec![shape])
            .collect(),
        unreadable: None,
        seed: 11,
        is_small: false,
    };
    let marked = &nights.extracts(&RULES)[0];
    let extract = Extract::of_lines(&RULES, &marked.bytes);
    for class in CLASSES {
        let mut classes = every_class();
        classes.remove(class);
        let wanted = TestPolicy::new(Policy {
            classes,
            ..Policy::default()
        });
        let answer = extract.expected(&wanted, &BTreeSet::new()).unwrap();
        let got = Tenant::new(wanted.clone()).deliver(&marked.bytes).unwrap();
        compare::assert_same(&got.delivery, &answer.delivery, class);
        let hidden = count_hidden(&got.delivery.tables, marked, &wanted, &answer);
        assert!(hidden["its class is hidden"] > 5, "{class}: {hidden:?}");
    }
}

/// Every event code with and without derived marks: a code, its mark and its time are shown if and only if all their
/// classes are.
#[test]
fn every_event_code_is_shown_with_its_classes_only() {
    let number = "0101701234";
    let mut lines = vec![
        "00000000000004311012026030220260301".to_owned(),
        format!("001{number}          01"),
        format!("002{number}0851"),
    ];
    let marks: Vec<&str> = MARKS.keys().map(String::as_str).chain(["ZZ"]).collect();
    let codes = EVENTS.keys().map(String::as_str).chain(["A99", "   "]);
    for (place, code) in codes.enumerate() {
        for mark in [
            "",
            marks[place % marks.len()],
            marks[(place + 9) % marks.len()],
        ] {
            let minute = lines.len();
            let moment = format!("20260301{:02}{:02}", 1 + minute / 60, minute % 60);
            lines.push(format!("099{number}{moment}{code}{mark}"));
        }
    }
    let latin1 = |line: &String| line.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let lines: Vec<Vec<u8>> = lines.iter().map(latin1).collect();
    let bytes = extract::join(&lines, b"\n");
    let extract = Extract::of_lines(&RULES, &bytes);
    let mut sets = vec![BTreeSet::new(), every_class()];
    for class in CLASSES {
        sets.push([class.to_owned()].into());
        let mut others = every_class();
        others.remove(class);
        sets.push(others);
    }
    let mut seen = BTreeSet::new();
    for classes in sets {
        let wanted = TestPolicy::new(Policy {
            classes: classes.clone(),
            ..Policy::default()
        });
        let answer = extract.expected(&wanted, &BTreeSet::new()).unwrap();
        let got = Tenant::new(wanted).deliver(&bytes).unwrap();
        compare::assert_same(&got.delivery, &answer.delivery, "events");
        let rows = &got.delivery.tables["event"];
        let told = extract.rows()["event"].iter();
        assert_eq!(rows.len(), told.len(), "no row is missing");
        for (row, told) in rows.iter().zip(told) {
            let of = |codes: &BTreeMap<String, cprflow_tests::oracle::events::Disclosed>, code| {
                let known = |code: &str| codes.get(code)?.classes.clone();
                match text(told, code) {
                    None => BTreeSet::new(),
                    Some(code) => known(code).unwrap_or_else(every_class),
                }
            };
            let code = of(&EVENTS, "event_code");
            let mark = of(&MARKS, "derived_mark");
            let is_shown = code.is_subset(&classes) && mark.is_subset(&classes);
            let values = |row: &Row| {
                ["event_code", "derived_mark", "registered"].map(|c| value(row, c).clone())
            };
            match is_shown {
                true => assert_eq!(values(row), values(told)),
                false => {
                    let [code, mark, moment] = values(row);
                    let midnight = Value::Micros(20_513 * 24 * 60 * 60 * 1_000_000);
                    assert_eq!([code, mark, moment], [Value::Null, Value::Null, midnight]);
                }
            }
            seen.insert((text(told, "event_code").map(str::to_owned), is_shown));
        }
    }
    // Every code was shown once and hidden once, except those without any class, which are hidden by their mark only.
    assert_eq!(seen.len(), 2 * (EVENTS.len() + 2));
}

/// Over nights of a generated population, the masked persons are those whom the rules protect, and no others.
#[test]
fn generated_nights_mask_exactly_the_protected() {
    let settings = Settings::new(600, 19);
    let mut tenant = Tenant::new(TestPolicy::default());
    let mut roster = BTreeSet::new();
    let (mut named, mut masked, mut by_own) = (0, 0, 0);
    for night in 0..=5 {
        let mut bytes = Vec::new();
        match night {
            0 => generate::status(&settings, &mut bytes).unwrap(),
            night => generate::changes(&settings, night, &mut bytes).unwrap(),
        };
        let extract = Extract::of_lines(&RULES, &bytes);
        let answer = extract.expected(&tenant.wanted, &roster).unwrap();
        let got = tenant.deliver(&bytes).unwrap();
        compare::assert_same(&got.delivery, &answer.delivery, "a generated night");
        let of = |rows: &[Row]| -> BTreeSet<String> {
            let has_name = |row: &&Row| text(row, "surname").is_some();
            let rows = rows.iter().filter(has_name);
            rows.filter_map(|row| key(row).map(str::to_owned)).collect()
        };
        let all = of(&extract.rows()["name"]);
        let all: BTreeSet<String> = all.intersection(&answer.choice.chosen).cloned().collect();
        let shown = of(&got.delivery.tables["name"]);
        let hidden: BTreeSet<String> = all.difference(&shown).cloned().collect();
        let protected: BTreeSet<String> = all
            .iter()
            .filter(|number| answer.facts.is_protected(number))
            .cloned()
            .collect();
        assert_eq!(hidden, protected, "night {night}");
        let own = extract.rows().get("protection").into_iter().flatten();
        let own = own.filter(|row| text(row, "protection_type") == Some("0001"));
        let own: BTreeSet<String> = own.filter_map(|row| key(row).map(str::to_owned)).collect();
        assert!(all.intersection(&own).all(|number| hidden.contains(number)));
        // Whoever is masked without a 004 has another number, and that one is protected or missing.
        for number in hidden.difference(&own) {
            assert!(has_other_number(&extract, number), "night {night}");
        }
        named += all.len();
        masked += hidden.len();
        by_own += all.intersection(&own).count();
        roster = answer.roster;
    }
    assert!(named > 700 && by_own > 5, "{named} {by_own}");
    // The share of masked persons is that of the protected ones, and a few numbers of the same persons.
    assert!(
        masked >= by_own && masked <= by_own + named / 50,
        "{masked} {by_own} of {named}"
    );
}

fn has_other_number(extract: &Extract, number: &str) -> bool {
    let names = |table: &str, column: &str| {
        let rows = extract.rows().get(table).into_iter().flatten();
        rows.into_iter().any(|row| {
            let other = text(row, column);
            other.is_some() && (key(row) == Some(number) || other == Some(number))
        })
    };
    let is_replaced = extract.rows()["person"]
        .iter()
        .any(|row| key(row) == Some(number) && matches!(text(row, "status"), Some("50" | "60")));
    names("person", "current_pnr") || names("former_pnr", "former_pnr") || is_replaced
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

/// A person filter, numbers and leavers do not change what is hidden of those who are shown.
#[test]
fn leavers_whose_rows_are_repeated_stay_hidden() {
    let statuses = |status: &str| PersonFilter {
        status_codes: Some(vec![status.to_owned()]),
        ..PersonFilter::default()
    };
    let shapes = (0..40).map(|place| {
        let first = match place % 2 {
            0 => Shape::Ordinary,
            _ => Shape::Protected(Dates::ALL[place % 6]),
        };
        vec![Some(first), Some(Shape::Protected(Dates::ALL[place % 6]))]
    });
    let nights = Nights {
        shapes: shapes.collect(),
        unreadable: None,
        seed: 23,
        is_small: false,
    };
    let marked = nights.extracts(&RULES);
    let mut repeated = 0;
    for protection in [ProtectionRule::Mask, ProtectionRule::Drop] {
        for numbers in [NumberRule::Keep, NumberRule::Pseudonym, NumberRule::Drop] {
            let wanted = TestPolicy::new(Policy {
                persons: statuses("01"),
                classes: every_class(),
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
                roster = answer.roster;
            }
        }
    }
    assert!(repeated > 5, "{repeated}");
}
