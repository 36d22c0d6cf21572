//! A tenant sees everything that its policy does not hide: not more is hidden than the rules say.

use std::collections::{BTreeMap, BTreeSet};

use cprflow::policy::{Policy, ProtectionRule};
use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::marked::promises::Promises;
use cprflow_tests::marked::shape::{Dates, Shape};
use cprflow_tests::marked::{MarkedExtract, Nights};
use cprflow_tests::oracle::choose::{key, text, value};
use cprflow_tests::oracle::columns::CLASSES;
use cprflow_tests::oracle::events::{Disclosed, EVENTS, MARKS};
use cprflow_tests::oracle::product::Tenant;
use cprflow_tests::oracle::{Expected, Extract, TestPolicy, compare};
use cprflow_tests::output_bytes::marks_of;
use cprflow_tests::reference_reader::{Row, Tables, Value};

use crate::hidden_values::{assert_truth, every_class, is_in_scope};
use crate::marked_nights::every_shape;
use crate::random_policy::RULES;

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
        assert!(hidden["its class is hidden"] > 2, "{class}: {hidden:?}");
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
            let of = |codes: &BTreeMap<String, Disclosed>, code| {
                let known = |code: &str| codes.get(code)?.classes.clone();
                match text(told, code) {
                    None => BTreeSet::new(),
                    Some(code) => known(code).unwrap_or_else(every_class),
                }
            };
            let code = of(&EVENTS, "event_code");
            let mark = of(&MARKS, "derived_mark");
            // An event without a code can be any event.
            let code = match text(told, "event_code") {
                None => every_class(),
                Some(_) => code,
            };
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
    let settings = Settings::busy(600, 19);
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
