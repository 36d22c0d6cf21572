//! Policies, feature by feature: over many nights of a population, the product's tenant gets what the oracle works out,
//! to the last value, and nobody outside the policy is told of.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cprflow::policy::{CLASSES, DEFAULT_CLASSES, Leavers, Numbers, Persons, Policy, Protection};
use cprflow_tests::cut::{self, Row, Rules, Value};
use cprflow_tests::oracle::choose::{key, text, value};
use cprflow_tests::oracle::gate::{Got, Tenant, in_roster};
use cprflow_tests::oracle::predicate::Predicate;
use cprflow_tests::oracle::season::{everybody, nights};
use cprflow_tests::oracle::{Answer, Extract, Wanted, held};

const NIGHTS: u32 = 14;

static RULES: LazyLock<Rules> = LazyLock::new(cut::rules_of_product);

/// The deliveries, and what the oracle sees of them.
static DELIVERIES: LazyLock<Vec<(Vec<u8>, Extract)>> = LazyLock::new(|| {
    let nights = nights(&RULES, 220, 5, NIGHTS).into_iter();
    nights
        .map(|night| {
            let extract = Extract::of_lines(&RULES, &night.bytes);
            (night.bytes, extract)
        })
        .collect()
});

/// A delivery as both sides have it.
struct Held {
    got: Got,
    answer: Answer,
}

/// Gives every delivery to a tenant with that policy, and holds what it gets against the oracle.
fn hold(wanted: Wanted) -> Vec<Held> {
    hold_over(wanted, &DELIVERIES)
}

fn hold_over(wanted: Wanted, deliveries: &[(Vec<u8>, Extract)]) -> Vec<Held> {
    let mut tenant = Tenant::new(wanted.clone());
    let mut roster = BTreeSet::new();
    let mut all = Vec::new();
    for (night, (bytes, extract)) in deliveries.iter().enumerate() {
        let answer = extract.ask(&wanted, &roster).unwrap();
        let got = tenant.take(bytes).unwrap();
        held::same(&got.share, &answer.share, &format!("night {night}"));
        held::nobody_else(&got.share.tables, &wanted, &answer);
        roster = answer.roster.clone();
        all.push(Held { got, answer });
    }
    let persons: BTreeSet<String> = deliveries
        .iter()
        .flat_map(|(_, extract)| extract.persons())
        .collect();
    assert_eq!(
        in_roster(tenant.roster.as_deref().unwrap(), &persons),
        roster,
        "the roster"
    );
    all
}

fn wanted(change: impl FnOnce(&mut Policy)) -> Wanted {
    let mut policy = Policy::default();
    change(&mut policy);
    Wanted::new(policy)
}

fn codes(codes: &[&str]) -> Option<Vec<String>> {
    Some(codes.iter().map(|code| (*code).to_owned()).collect())
}

fn every_class() -> BTreeSet<String> {
    CLASSES.map(str::to_owned).into()
}

/// The reasons of those who left, over all nights.
fn reasons(all: &[Held]) -> BTreeMap<&'static str, usize> {
    let mut reasons = BTreeMap::new();
    for held in all {
        for reason in held.answer.choice.left.values() {
            *reasons.entry(*reason).or_default() += 1;
        }
    }
    reasons
}

fn rows_of<'a>(all: &'a [Held], table: &str) -> Vec<&'a Row> {
    all.iter()
        .flat_map(|held| held.got.share.tables.get(table).into_iter().flatten())
        .collect()
}

#[test]
fn without_words_to_the_contrary_little_is_told() {
    let all = hold(Wanted::default());
    let view = &all[0].got.share.view;
    for table in [
        "church",
        "church_history",
        "civil_status_history",
        "separation_history",
        "disappearance",
        "guardianship",
        "municipal_condition",
        "note",
        "former_pnr",
        "person_id",
        "credit_warning",
        "input_error",
        "unknown_record",
        "rejected_record",
        "delivery_start",
        "delivery_end",
    ] {
        assert!(!view.contains_key(table), "{table}");
    }
    let classes = DEFAULT_CLASSES;
    assert_eq!(classes.len() + 6, CLASSES.len());
    let events = rows_of(&all, "event");
    assert!(events.len() > 200);
    let church = |row: &&&Row| matches!(text(row, "event_code"), Some("A34" | "P56"));
    assert_eq!(events.iter().filter(church).count(), 0);
    let names = rows_of(&all, "name");
    let masked = names
        .iter()
        .filter(|row| *value(row, "surname") == Value::Null);
    assert!(masked.count() > 100, "protected persons are masked");
    assert!(names.len() > 700);
}

#[test]
fn a_policy_that_hides_nothing_shows_the_lines_as_they_are() {
    let all = hold(wanted(|policy| {
        policy.classes = every_class();
        policy.protection = Protection::Include;
    }));
    assert!(!rows_of(&all, "unknown_record").is_empty());
    assert!(!rows_of(&all, "input_error").is_empty());
    let protected: Vec<_> = rows_of(&all, "citizenship")
        .into_iter()
        .map(|row| value(row, "protected").clone())
        .collect();
    assert!(protected.contains(&Value::Flag(true)) && protected.contains(&Value::Flag(false)));
    let has_tail = |row: &&Row| match value(row, "irregular") {
        Value::Map(entries) => entries.iter().any(|(column, _)| column == "+"),
        _ => false,
    };
    assert!(rows_of(&all, "name").iter().any(has_tail));
    // Of every line but the start, the end and those of nobody there is a row.
    for (held, (_, extract)) in all.iter().zip(&*DELIVERIES) {
        let of = |table: &str| extract.rows().get(table).map_or(0, Vec::len);
        let lines: usize = extract.rows().values().map(Vec::len).sum();
        let nobody = extract
            .rows()
            .iter()
            .filter(|(table, _)| !matches!(table.as_str(), "delivery_start" | "delivery_end"))
            .flat_map(|(_, rows)| rows)
            .filter(|row| row[0].0 == "pnr")
            .filter(|row| key(row).is_none_or(|pnr| !held.answer.facts.delivered.contains(pnr)))
            .count();
        let rows: usize = held.got.share.tables.values().map(Vec::len).sum();
        assert_eq!(
            rows,
            lines - of("delivery_start") - of("delivery_end") - nobody
        );
    }
}

#[test]
fn a_municipality_and_who_moves_out_of_it() {
    for leavers in [Leavers::Notice, Leavers::Last] {
        let all = hold(wanted(|policy| {
            policy.persons.municipality_codes = codes(&["0851", "0101"]);
            policy.leavers = leavers;
        }));
        let reasons = reasons(&all);
        for reason in ["moved", "dead"] {
            assert!(reasons.contains_key(reason), "nobody {reason}: {reasons:?}");
        }
        let entered: u64 = all[1..].iter().map(|held| held.got.share.entered).sum();
        assert!(entered > 3, "{entered} moved in");
    }
}

#[test]
fn statuses_and_who_has_another() {
    let all = hold(wanted(|policy| {
        policy.persons.status_codes = codes(&["01", "03", "05", "07"]);
        policy.leavers = Leavers::Last;
    }));
    let reasons = reasons(&all);
    for reason in ["dead", "emigrated", "disappeared", "number-changed"] {
        assert!(reasons.contains_key(reason), "nobody {reason}: {reasons:?}");
    }
}

#[test]
fn ages_on_the_day_of_the_delivery_and_on_a_day_of_the_policys() {
    let minors = |policy: &mut Policy| policy.persons.ages = Some((0, 17));
    let all = hold(wanted(minors));
    assert!(reasons(&all).contains_key("age"), "nobody comes of age");
    for ages in [(18, 65), (66, 130), (18, 18), (66, 66)] {
        let all = hold(wanted(|policy| policy.persons.ages = Some(ages)));
        assert!(all[0].got.share.persons > 0);
    }
    for day in ["2026-03-01", "2044-03-02", "1950-02-28"] {
        let all = hold(wanted(|policy| {
            minors(policy);
            policy.day = Some(day.to_owned());
        }));
        for held in &all {
            let produced = Value::Days(held.answer.facts.produced.unwrap());
            let told = held.got.share.tables.get("out_of_scope");
            let dates = told.into_iter().flatten().map(|row| value(row, "date"));
            assert!(dates.into_iter().all(|date| *date == produced));
        }
    }
}

/// A policy's day is about ages: whoever has been protected since then is protected.
#[test]
fn a_policys_day_lifts_no_protection() {
    let names_of_protected = |all: &[Held]| {
        let told = all.iter().flat_map(|held| {
            let rows = held.got.share.tables["name"].iter();
            rows.filter(|row| held.answer.facts.protected.contains(key(row).unwrap()))
        });
        let surnames: Vec<_> = told.map(|row| value(row, "surname").clone()).collect();
        assert!(surnames.len() > 100);
        surnames.into_iter().collect::<BTreeSet<_>>()
    };
    for day in ["1950-02-28", "2026-03-05", "2044-03-02"] {
        let all = hold(wanted(|policy| policy.day = Some(day.to_owned())));
        assert_eq!(names_of_protected(&all), [Value::Null].into(), "{day}");
    }
}

#[test]
fn events_choose_persons_with_all_their_records() {
    let all = hold(wanted(|policy| {
        policy.persons.event_codes = codes(&["A21", "P03", "A34"]);
        policy.classes.insert("religion".to_owned());
        policy.leavers = Leavers::Last;
    }));
    assert_eq!(all[0].got.share.persons, 0, "a status file has no events");
    assert!(reasons(&all).contains_key("event"));
    assert!(rows_of(&all, "name").len() > 10);
}

#[test]
fn a_list_of_numbers_and_who_is_taken_off_it() {
    let (bytes, extract) = &DELIVERIES[0];
    let persons: Vec<_> = extract.persons().into_iter().collect();
    let list = |of: &mut dyn Iterator<Item = &String>| {
        Some(of.map(|number| number.parse().unwrap()).collect())
    };
    let mut first = Tenant::new(wanted(|policy| {
        policy.persons.numbers = list(&mut persons.iter().step_by(2));
    }));
    first.take(bytes).unwrap();
    // The list is shorter the next day.
    let shorter = wanted(|policy| policy.persons.numbers = list(&mut persons.iter().step_by(4)));
    let mut second = Tenant::new(shorter.clone());
    second.roster = first.roster.clone();
    let roster = in_roster(first.roster.as_deref().unwrap(), &extract.persons());
    let answer = extract.ask(&shorter, &roster).unwrap();
    let got = second.take(bytes).unwrap();
    held::same(&got.share, &answer.share, "a shorter list");
    assert!(
        answer
            .choice
            .left
            .values()
            .any(|reason| *reason == "not-listed")
    );
    hold(shorter);
}

#[test]
fn every_condition_must_be_met() {
    let all = hold(wanted(|policy| {
        policy.persons = Persons {
            municipality_codes: codes(&["0851", "0461", "0751", "0101"]),
            status_codes: codes(&["01"]),
            ages: Some((18, 70)),
            ..Persons::default()
        };
        policy.classes = every_class();
        policy.leavers = Leavers::Last;
    }));
    assert!(all.iter().map(|held| held.got.share.left).sum::<u64>() > 3);
}

#[test]
fn protected_persons_are_marked_masked_or_not_there() {
    for protection in [Protection::Include, Protection::Mask, Protection::Drop] {
        for leavers in [Leavers::Notice, Leavers::Last] {
            for day in [None, Some("2026-03-10".to_owned())] {
                let all = hold(wanted(|policy| {
                    policy.classes = every_class();
                    policy.protection = protection;
                    policy.leavers = leavers;
                    policy.day = day;
                }));
                let is_told = reasons(&all).contains_key("protected");
                assert_eq!(is_told, protection == Protection::Drop);
            }
        }
    }
}

#[test]
fn without_a_day_protections_are_in_force_and_ages_are_refused() {
    let without_day = |bytes: &[u8]| {
        let text = bytes.to_vec();
        let end = text.iter().position(|byte| *byte == b'\n').unwrap();
        let start = b"0000000000000431101".to_vec();
        [start, text[end..].to_vec()].concat()
    };
    let bytes = without_day(&DELIVERIES[0].0);
    let deliveries = [(bytes.clone(), Extract::of_lines(&RULES, &bytes))];
    for protection in [Protection::Include, Protection::Mask, Protection::Drop] {
        hold_over(wanted(|policy| policy.protection = protection), &deliveries);
    }
    let of_age = wanted(|policy| policy.persons.ages = Some((18, 130)));
    assert!(deliveries[0].1.ask(&of_age, &BTreeSet::new()).is_none());
    let error = Tenant::new(of_age).take(&bytes).unwrap_err().to_string();
    assert!(error.contains("age"), "{error}");
}

#[test]
fn each_class_opens_its_own_columns_and_no_others() {
    for class in CLASSES {
        for classes in [
            BTreeSet::from([class.to_owned()]),
            every_class()
                .into_iter()
                .filter(|other| other != class)
                .collect(),
        ] {
            let deliveries = &DELIVERIES[6..9];
            let policy = wanted(|policy| policy.classes = classes.clone());
            let all = hold_over(policy, deliveries);
            let rows: usize = all[1].got.share.tables.values().map(Vec::len).sum();
            assert!(rows > 1000, "{rows}");
        }
    }
    hold_over(wanted(|policy| policy.classes.clear()), &DELIVERIES[6..9]);
}

#[test]
fn religion_is_told_in_no_table_without_its_class() {
    let with = hold(wanted(|policy| {
        policy.classes.insert("religion".to_owned());
    }));
    for table in ["church", "church_history"] {
        assert!(!rows_of(&with, table).is_empty());
    }
    let codes: BTreeSet<_> = rows_of(&with, "event")
        .into_iter()
        .filter_map(|row| text(row, "event_code"))
        .collect();
    assert!(codes.contains("A34") && codes.contains("P56"));
}

#[test]
fn numbers_are_kept_replaced_or_dropped() {
    for numbers in [Numbers::Keep, Numbers::Pseudonym, Numbers::Drop] {
        for also in [&[][..], &["person_id", "former_pnr", "input_error"][..]] {
            if numbers == Numbers::Drop && also.contains(&"former_pnr") {
                continue;
            }
            let mut policy = Policy {
                classes: every_class(),
                numbers,
                leavers: Leavers::Last,
                also: also.iter().map(|name| (*name).to_owned()).collect(),
                ..Policy::default()
            };
            policy.persons.municipality_codes = codes(&["0851", "0101"]);
            let wanted = Wanted::new(policy);
            let all = hold(wanted);
            let view = &all[0].got.share.view;
            assert_eq!(
                view.contains_key("person_id"),
                numbers == Numbers::Keep || !also.is_empty()
            );
            assert_eq!(view.contains_key("child"), numbers != Numbers::Drop);
            assert!(all.iter().any(|held| held.got.share.left > 0));
        }
    }
}

#[test]
fn tables_and_columns_are_only_those_that_are_named() {
    let all = hold(wanted(|policy| {
        let tables = ["person", "address", "name", "event", "parents"];
        policy.tables = Some(tables.map(str::to_owned).into());
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        policy.columns = BTreeMap::from([
            (
                "person".to_owned(),
                columns(&["pnr", "birth_date", "irregular"]),
            ),
            (
                "address".to_owned(),
                columns(&["municipality_code", "line"]),
            ),
            (
                "name".to_owned(),
                columns(&["pnr", "surname", "irregular", "line"]),
            ),
        ]);
    }));
    let view = &all[0].got.share.view;
    assert_eq!(view.len(), 6);
    assert_eq!(view["address"], ["municipality_code", "line"]);
}

#[test]
fn rows_are_judged_by_what_the_records_say_through_the_mask() {
    let text = |text: &str| Value::Text(text.to_owned());
    let compare =
        |column: &str, operator, value| Predicate::Compare(column.to_owned(), operator, value);
    let both = |one, other| Predicate::And(Box::new(one), Box::new(other));
    let rows = |policy: Wanted| {
        policy
            .rows(
                "person",
                both(
                    Predicate::In("status".to_owned(), false, vec![text("01"), text("90")]),
                    compare("birth_date", "<", Value::Days(7_000)),
                ),
            )
            // Hidden columns count, and masked values are null.
            .rows(
                "church",
                Predicate::Not(Box::new(compare("church_relation", "=", text("F")))),
            )
            .rows("name", Predicate::IsNull("middle_name".to_owned(), true))
            .rows(
                "address",
                Predicate::Between(
                    "moved_in".to_owned(),
                    Value::Micros(0),
                    Value::Micros(1_700_000_000_000_000 / 60_000_000 * 60_000_000),
                ),
            )
            .rows(
                "parents",
                Predicate::Or(
                    Box::new(compare("mother_since_uncertain", "=", Value::Flag(true))),
                    Box::new(Predicate::IsNull("father_pnr".to_owned(), false)),
                ),
            )
    };
    let all = hold(rows(wanted(|policy| {
        policy.classes = every_class();
    })));
    assert!(rows_of(&all, "name").len() > 50);
    hold_over(
        wanted(|policy| policy.protection = Protection::Drop)
            .rows("person", Predicate::IsNull("occupation".to_owned(), true)),
        &DELIVERIES[..2],
    );
}

#[test]
fn the_public_extracts_are_shared_out_the_same_way() {
    let extracts = cprflow_tests::extract::public().into_iter();
    let deliveries: Vec<_> = extracts
        .filter(|extract| extract.bytes.contains(&b'\n'))
        .map(|extract| {
            let seen = Extract::of_lines(&RULES, &extract.bytes);
            (extract.bytes, seen)
        })
        .collect();
    for protection in [Protection::Include, Protection::Mask, Protection::Drop] {
        hold_over(
            wanted(|policy| {
                policy.classes = every_class();
                policy.protection = protection;
                policy.persons.status_codes = codes(&["01", "05", "90"]);
                policy.leavers = Leavers::Last;
            }),
            &deliveries,
        );
        hold_over(wanted(|policy| policy.protection = protection), &deliveries);
    }
}

#[test]
fn the_tables_come_with_out_of_scope_last() {
    let all = hold(wanted(|policy| {
        policy.persons.municipality_codes = codes(&["0851"])
    }));
    let mut seen = 0;
    for held in &all {
        let tables: Vec<_> = held.got.batches.iter().map(|(table, _)| table).collect();
        if let Some(place) = tables.iter().position(|table| *table == "out_of_scope") {
            assert_eq!(place + 1, tables.len());
            seen += 1;
        }
        let leavers = held.got.share.tables.get("out_of_scope");
        let numbers = leavers.into_iter().flatten();
        let numbers: Vec<_> = numbers.map(|row| text(row, "pnr")).collect();
        assert!(numbers.is_sorted());
    }
    assert!(seen > 3);
}

#[test]
fn the_nights_have_many_persons() {
    let nights = nights(&RULES, 220, 5, 3);
    assert!(everybody(&nights).len() > 220);
}
