//! Policies, feature by feature. Over many nights of a population, every value of a tenant's delivery is the one that the
//! oracle expects, and no other person is mentioned.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cprflow::policy::{
    DATA_CLASSES, DEFAULT_CLASSES, LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule,
};
use cprflow_tests::layout_data;
use cprflow_tests::oracle::choose::{key, text, value};
use cprflow_tests::oracle::extract_cases::{extracts, record_counts};
use cprflow_tests::oracle::predicate::Predicate;
use cprflow_tests::oracle::product::{Actual, Tenant, in_roster};
use cprflow_tests::oracle::{Expected, Extract, TestPolicy, compare};
use cprflow_tests::reference_reader::{Row, Rules, Value};

const NIGHTS: u32 = 14;

static RULES: LazyLock<Rules> = LazyLock::new(layout_data::rules);

/// The deliveries, each as bytes and as the oracle reads it.
static DELIVERIES: LazyLock<Vec<(Vec<u8>, Extract)>> = LazyLock::new(|| {
    let nights = extracts(&RULES, 220, 5, NIGHTS).into_iter();
    nights
        .map(|night| {
            let extract = Extract::of_lines(&RULES, &night.bytes);
            (night.bytes, extract)
        })
        .collect()
});

/// A delivery, with the expected and the actual result.
struct Compared {
    got: Actual,
    answer: Expected,
}

/// Delivers everything to a tenant with this policy, and compares each result with the oracle.
fn compare_all(wanted: TestPolicy) -> Vec<Compared> {
    compare_deliveries(wanted, &DELIVERIES)
}

fn compare_deliveries(wanted: TestPolicy, deliveries: &[(Vec<u8>, Extract)]) -> Vec<Compared> {
    let mut tenant = Tenant::new(wanted.clone());
    let mut roster = BTreeSet::new();
    let mut all = Vec::new();
    for (night, (bytes, extract)) in deliveries.iter().enumerate() {
        let answer = extract.expected(&wanted, &roster).unwrap();
        let got = tenant.deliver(bytes).unwrap();
        compare::assert_same(&got.delivery, &answer.delivery, &format!("night {night}"));
        compare::assert_only_persons_in_scope(&got.delivery.tables, &wanted, &answer);
        roster = answer.roster.clone();
        all.push(Compared { got, answer });
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

fn wanted(change: impl FnOnce(&mut Policy)) -> TestPolicy {
    let mut policy = Policy::default();
    change(&mut policy);
    TestPolicy::new(policy)
}

fn codes(codes: &[&str]) -> Option<Vec<String>> {
    Some(codes.iter().map(|code| (*code).to_owned()).collect())
}

fn every_class() -> BTreeSet<String> {
    DATA_CLASSES.map(str::to_owned).into()
}

/// Counts the reasons of the leavers over all nights.
fn reasons(all: &[Compared]) -> BTreeMap<&'static str, usize> {
    let mut reasons = BTreeMap::new();
    for held in all {
        for reason in held.answer.choice.left.values() {
            *reasons.entry(*reason).or_default() += 1;
        }
    }
    reasons
}

fn rows_of<'a>(all: &'a [Compared], table: &str) -> Vec<&'a Row> {
    all.iter()
        .flat_map(|held| held.got.delivery.tables.get(table).into_iter().flatten())
        .collect()
}

#[test]
fn the_default_policy_shows_little() {
    let all = compare_all(TestPolicy::default());
    let view = &all[0].got.delivery.view;
    for table in [
        "child",
        "parents",
        "custody",
        "mother_address",
        "father_address",
        "child_address",
        "shared_residence",
        "franchise",
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
    assert_eq!(classes.len() + 8, DATA_CLASSES.len());
    let events = rows_of(&all, "event");
    assert!(events.len() > 200);
    let codes: BTreeSet<_> = events.iter().map(|row| text(row, "event_code")).collect();
    assert!(codes.contains(&None) && codes.contains(&Some("A01")));
    for hidden in ["A34", "P56", "A73", "P02", "P32", "P55", "A99"] {
        assert!(!codes.contains(&Some(hidden)), "{hidden}");
    }
    let names = rows_of(&all, "name");
    let masked = names
        .iter()
        .filter(|row| *value(row, "surname") == Value::Null);
    assert!(masked.count() > 100, "protected persons are masked");
    assert!(names.len() > 700);
}

#[test]
fn a_policy_that_hides_nothing_shows_raw_lines() {
    let all = compare_all(wanted(|policy| {
        policy.classes = every_class();
        policy.protection = ProtectionRule::Include;
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
    // Each line has a row, except the start, the end and lines without a person.
    for (held, (_, extract)) in all.iter().zip(&*DELIVERIES) {
        let of = |table: &str| extract.rows().get(table).map_or(0, Vec::len);
        let lines: usize = extract.rows().values().map(Vec::len).sum();
        let facts = &held.answer.facts;
        let is_chosen =
            |pnr: &str| facts.delivered.contains(pnr) && !facts.unsubscribed.contains(pnr);
        let nobody = extract
            .rows()
            .iter()
            .filter(|(table, _)| !matches!(table.as_str(), "delivery_start" | "delivery_end"))
            .flat_map(|(_, rows)| rows)
            .filter(|row| row[0].0 == "pnr")
            .filter(|row| key(row).is_none_or(|pnr| !is_chosen(pnr)))
            .count();
        let tables = held.got.delivery.tables.iter();
        let rows: usize = tables
            .filter(|(table, _)| *table != "out_of_scope")
            .map(|(_, rows)| rows.len())
            .sum();
        assert_eq!(
            rows,
            lines - of("delivery_start") - of("delivery_end") - nobody
        );
    }
}

#[test]
fn filters_by_municipality() {
    for leavers in [LeaverRule::Notice, LeaverRule::Last] {
        let all = compare_all(wanted(|policy| {
            policy.persons.municipality_codes = codes(&["0851", "0101"]);
            policy.leavers = leavers;
        }));
        let reasons = reasons(&all);
        for reason in ["moved", "dead", "status", "unsubscribed"] {
            assert!(
                reasons.contains_key(reason),
                "no leaver with the reason {reason}: {reasons:?}"
            );
        }
        let entered: u64 = all[1..].iter().map(|held| held.got.delivery.entered).sum();
        assert!(entered > 3, "{entered} moved in");
    }
}

#[test]
fn filters_by_status() {
    let all = compare_all(wanted(|policy| {
        policy.persons.status_codes = codes(&["01", "03", "05", "07"]);
        policy.leavers = LeaverRule::Last;
    }));
    let reasons = reasons(&all);
    for reason in ["dead", "emigrated", "disappeared", "number-changed"] {
        assert!(
            reasons.contains_key(reason),
            "no leaver with the reason {reason}: {reasons:?}"
        );
    }
}

#[test]
fn filters_by_age_on_both_kinds_of_day() {
    let minors = |policy: &mut Policy| policy.persons.ages = Some((0, 17));
    let all = compare_all(wanted(minors));
    assert!(reasons(&all).contains_key("age"), "no person comes of age");
    for ages in [(18, 65), (66, 130), (18, 18), (66, 66)] {
        let all = compare_all(wanted(|policy| policy.persons.ages = Some(ages)));
        assert!(all[0].got.delivery.persons > 0);
    }
    for day in ["2026-03-01", "2044-03-02", "1950-02-28"] {
        let all = compare_all(wanted(|policy| {
            minors(policy);
            policy.day = Some(day.to_owned());
        }));
        for held in &all {
            let produced = Value::Days(held.answer.facts.produced.unwrap());
            let told = held.got.delivery.tables.get("out_of_scope");
            let dates = told.into_iter().flatten().map(|row| value(row, "date"));
            assert!(dates.into_iter().all(|date| *date == produced));
        }
    }
}

/// The day of a policy applies to ages only. A protection that started later is still in force.
#[test]
fn the_day_of_a_policy_does_not_end_protections() {
    let names_of_protected = |all: &[Compared]| {
        let told = all.iter().flat_map(|held| {
            let rows = held.got.delivery.tables["name"].iter();
            rows.filter(|row| held.answer.facts.protected.contains(key(row).unwrap()))
        });
        let surnames: Vec<_> = told.map(|row| value(row, "surname").clone()).collect();
        assert!(surnames.len() > 100);
        surnames.into_iter().collect::<BTreeSet<_>>()
    };
    for day in ["1950-02-28", "2026-03-05", "2044-03-02"] {
        let all = compare_all(wanted(|policy| policy.day = Some(day.to_owned())));
        assert_eq!(names_of_protected(&all), [Value::Null].into(), "{day}");
    }
}

#[test]
fn filters_by_event_and_returns_all_records() {
    let all = compare_all(wanted(|policy| {
        policy.persons.event_codes = codes(&["A21", "P03", "A34"]);
        policy
            .classes
            .extend(["identity", "religion"].map(str::to_owned));
        policy.leavers = LeaverRule::Last;
    }));
    assert_eq!(
        all[0].got.delivery.persons, 0,
        "a status file contains no events"
    );
    assert!(reasons(&all).contains_key("event"));
    assert!(rows_of(&all, "name").len() > 10);
}

#[test]
fn filters_by_a_list_of_numbers() {
    let (bytes, extract) = &DELIVERIES[0];
    let persons: Vec<_> = extract.persons().into_iter().collect();
    let list = |of: &mut dyn Iterator<Item = &String>| {
        Some(of.map(|number| number.parse().unwrap()).collect())
    };
    let mut first = Tenant::new(wanted(|policy| {
        policy.persons.numbers = list(&mut persons.iter().step_by(2));
    }));
    first.deliver(bytes).unwrap();
    // The list is shorter on the next day.
    let shorter = wanted(|policy| policy.persons.numbers = list(&mut persons.iter().step_by(4)));
    let mut second = Tenant::new(shorter.clone());
    second.roster = first.roster.clone();
    let roster = in_roster(first.roster.as_deref().unwrap(), &extract.persons());
    let answer = extract.expected(&shorter, &roster).unwrap();
    let got = second.deliver(bytes).unwrap();
    compare::assert_same(&got.delivery, &answer.delivery, "a shorter list");
    assert!(
        answer
            .choice
            .left
            .values()
            .any(|reason| *reason == "not-listed")
    );
    compare_all(shorter);
}

#[test]
fn every_condition_must_be_met() {
    let all = compare_all(wanted(|policy| {
        policy.persons = PersonFilter {
            municipality_codes: codes(&["0851", "0461", "0751", "0101"]),
            status_codes: codes(&["01"]),
            ages: Some((18, 70)),
            ..PersonFilter::default()
        };
        policy.classes = every_class();
        policy.leavers = LeaverRule::Last;
    }));
    assert!(all.iter().map(|held| held.got.delivery.left).sum::<u64>() > 3);
}

#[test]
fn protected_persons_are_marked_masked_or_dropped() {
    let mut unsubscribed = Vec::new();
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        for leavers in [LeaverRule::Notice, LeaverRule::Last] {
            for day in [None, Some("2026-03-10".to_owned())] {
                let all = compare_all(wanted(|policy| {
                    policy.classes = every_class();
                    policy.protection = protection;
                    policy.leavers = leavers;
                    policy.day = day;
                }));
                assert!(!reasons(&all).contains_key("protected"));
                let count = reasons(&all).get("unsubscribed").copied();
                unsubscribed.push((protection, count.unwrap_or_default()));
            }
        }
    }
    // Under `drop`, persons who became protected are told with the same reason.
    let most = |is_drop: bool| {
        let of = unsubscribed
            .iter()
            .filter(|(rule, _)| (*rule == ProtectionRule::Drop) == is_drop);
        of.map(|(_, count)| *count).max().unwrap()
    };
    assert!(most(true) > most(false));
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
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        compare_deliveries(wanted(|policy| policy.protection = protection), &deliveries);
    }
    let of_age = wanted(|policy| policy.persons.ages = Some((18, 130)));
    assert!(
        deliveries[0]
            .1
            .expected(&of_age, &BTreeSet::new())
            .is_none()
    );
    let error = Tenant::new(of_age).deliver(&bytes).unwrap_err().to_string();
    assert!(error.contains("age"), "{error}");
}

#[test]
fn each_class_shows_only_its_own_columns() {
    for class in DATA_CLASSES {
        for classes in [
            BTreeSet::from([class.to_owned()]),
            every_class()
                .into_iter()
                .filter(|other| other != class)
                .collect(),
        ] {
            let deliveries = &DELIVERIES[6..9];
            let policy = wanted(|policy| policy.classes = classes.clone());
            let all = compare_deliveries(policy, deliveries);
            let rows: usize = all[1].got.delivery.tables.values().map(Vec::len).sum();
            assert!(rows > 500, "{rows}");
        }
    }
    compare_deliveries(wanted(|policy| policy.classes.clear()), &DELIVERIES[6..9]);
}

#[test]
fn religion_is_hidden_in_every_table_without_its_class() {
    let with = compare_all(wanted(|policy| {
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
    for numbers in [NumberRule::Keep, NumberRule::Pseudonym, NumberRule::Drop] {
        for number_tables in [&[][..], &["person-id", "former-pnr", "input-error"][..]] {
            if numbers == NumberRule::Drop && number_tables.contains(&"former-pnr") {
                continue;
            }
            let mut policy = Policy {
                classes: every_class()
                    .into_iter()
                    .chain(number_tables.iter().map(|name| (*name).to_owned()))
                    .collect(),
                numbers,
                leavers: LeaverRule::Last,
                ..Policy::default()
            };
            policy.persons.municipality_codes = codes(&["0851", "0101"]);
            let wanted = TestPolicy::new(policy);
            let all = compare_all(wanted);
            let view = &all[0].got.delivery.view;
            assert_eq!(
                view.contains_key("person_id"),
                numbers == NumberRule::Keep || !number_tables.is_empty()
            );
            assert_eq!(view.contains_key("child"), numbers != NumberRule::Drop);
            assert!(all.iter().any(|held| held.got.delivery.left > 0));
        }
    }
}

#[test]
fn shows_only_the_named_tables_and_columns() {
    let all = compare_all(wanted(|policy| {
        policy.classes.insert("family".to_owned());
        let tables = ["person", "address", "name", "event", "parents"];
        policy.tables = Some(tables.map(str::to_owned).into());
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        policy.columns = BTreeMap::from([
            (
                "person".to_owned(),
                columns(&["pnr", "birth_date", "irregular"]),
            ),
            ("address".to_owned(), columns(&["municipality_code"])),
            ("name".to_owned(), columns(&["pnr", "surname", "irregular"])),
        ]);
    }));
    let view = &all[0].got.delivery.view;
    assert_eq!(view.len(), 6);
    assert_eq!(view["address"], ["municipality_code"]);
}

#[test]
fn conditions_on_rows_see_masked_values_as_null() {
    let text = |text: &str| Value::Text(text.to_owned());
    let compare =
        |column: &str, operator, value| Predicate::Compare(column.to_owned(), operator, value);
    let both = |one, other| Predicate::And(Box::new(one), Box::new(other));
    let rows = |policy: TestPolicy| {
        policy
            .rows(
                "person",
                both(
                    Predicate::In("status".to_owned(), false, vec![text("01"), text("90")]),
                    compare("birth_date", "<", Value::Days(7_000)),
                ),
            )
            // Masked values are null to conditions.
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
    let all = compare_all(rows(wanted(|policy| {
        policy.classes = every_class();
    })));
    assert!(rows_of(&all, "name").len() > 50);
    compare_deliveries(
        // With this key, conditions can use hidden columns.
        wanted(|policy| {
            policy.protection = ProtectionRule::Drop;
            policy.may_reveal = true;
        })
        .rows("person", Predicate::IsNull("occupation".to_owned(), true)),
        &DELIVERIES[..2],
    );
}

#[test]
fn the_public_extracts_match_the_oracle() {
    let extracts = cprflow_tests::extract::public().into_iter();
    let deliveries: Vec<_> = extracts
        .filter(|extract| extract.bytes.contains(&b'\n'))
        .map(|extract| {
            let seen = Extract::of_lines(&RULES, &extract.bytes);
            (extract.bytes, seen)
        })
        .collect();
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        compare_deliveries(
            wanted(|policy| {
                policy.classes = every_class();
                policy.protection = protection;
                policy.persons.status_codes = codes(&["01", "05", "90"]);
                policy.leavers = LeaverRule::Last;
            }),
            &deliveries,
        );
        compare_deliveries(wanted(|policy| policy.protection = protection), &deliveries);
    }
}

#[test]
fn the_tables_come_with_out_of_scope_last() {
    let all = compare_all(wanted(|policy| {
        policy.persons.municipality_codes = codes(&["0851"])
    }));
    let mut seen = 0;
    for held in &all {
        let tables: Vec<_> = held.got.batches.iter().map(|(table, _)| table).collect();
        if let Some(place) = tables.iter().position(|table| *table == "out_of_scope") {
            assert_eq!(place + 1, tables.len());
            seen += 1;
        }
        let leavers = held.got.delivery.tables.get("out_of_scope");
        let numbers = leavers.into_iter().flatten();
        let numbers: Vec<_> = numbers.map(|row| text(row, "pnr")).collect();
        assert!(numbers.is_sorted());
    }
    assert!(seen > 3);
}

#[test]
fn the_extracts_have_many_persons() {
    let nights = extracts(&RULES, 220, 5, 3);
    assert!(record_counts(&nights).len() > 220);
}
