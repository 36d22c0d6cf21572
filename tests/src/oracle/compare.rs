//! Compares a tenant's delivery with the expected one.

use std::collections::BTreeMap;

use cprflow::policy::{NumberRule, ProtectionRule};

use super::choose::{key, text};
use super::columns::{class, relative};
use super::events::{self, EVENTS, MARKS};
use super::extract_cases::TextKind;
use super::search::{Mention, hits};
use super::show::number_of;
use super::{Expected, TenantDelivery, TestPolicy};
use crate::reference_reader::{Row, Tables};

/// Asserts that both deliveries are equal, and reports the first difference.
///
/// # Panics
///
/// Panics if they differ.
pub fn assert_same(got: &TenantDelivery, wanted: &TenantDelivery, what: &str) {
    for (table, columns) in &wanted.view {
        let seen = got.view.get(table);
        assert_eq!(seen, Some(columns), "{what}: columns of {table}");
    }
    for table in got.view.keys() {
        assert!(
            wanted.view.contains_key(table),
            "{what}: {table} must not be shown"
        );
    }
    assert_eq!(
        (got.persons, got.entered, got.left),
        (wanted.persons, wanted.entered, wanted.left),
        "{what}: persons, entered, left"
    );
    for table in got.tables.keys().chain(wanted.tables.keys()) {
        let rows =
            |delivery: &'_ TenantDelivery| delivery.tables.get(table).cloned().unwrap_or_default();
        let (seen, expected) = (rows(got), rows(wanted));
        let places = 0..seen.len().max(expected.len());
        for place in places {
            let (seen, expected) = (seen.get(place), expected.get(place));
            assert!(
                seen == expected,
                "{what}: row {place} of {table}:\n{}",
                difference(seen, expected)
            );
        }
    }
}

/// Describes the columns in which two rows differ. The values may be printed: the persons are generated.
fn difference(seen: Option<&Row>, expected: Option<&Row>) -> String {
    let (Some(seen), Some(expected)) = (seen, expected) else {
        return format!("got {seen:?}\nexpected {expected:?}");
    };
    let pairs = seen.iter().zip(expected);
    let others: Vec<_> = pairs
        .filter(|(seen, expected)| seen != expected)
        .map(|(seen, expected)| format!("got {seen:?}, expected {expected:?}"))
        .collect();
    format!("{} of {:?}", others.join("\n"), expected.first())
}

/// Asserts that the tables mention only persons whom the policy selects, and nothing that the policy hides.
///
/// Other persons may be mentioned only in the record of a selected person, as that person's relative or other number,
/// and only if the policy shows that column.
///
/// # Panics
///
/// Panics if another person is mentioned, or a hidden value is shown.
pub fn assert_only_persons_in_scope(tables: &Tables, wanted: &TestPolicy, answer: &Expected) {
    let policy = &wanted.policy;
    let (chosen, left) = (&answer.choice.chosen, &answer.choice.left);
    let in_scope = |table: &str, number: &String| match table {
        "out_of_scope" => left.contains_key(number),
        _ => chosen.contains(number) || answer.choice.repeated.contains(number),
    };
    let persons = chosen.iter().chain(left.keys());
    let owners: BTreeMap<String, &String> = persons
        .map(|number| (number_of(wanted, number), number))
        .collect();
    for (table, rows) in tables {
        for owner in rows.iter().filter_map(key) {
            let owner = owners.get(owner);
            assert!(
                owner.is_some_and(|owner| in_scope(table, owner)),
                "a row in {table} belongs to a person outside the scope"
            );
        }
        for row in rows {
            let code = text(row, "event_code");
            let mark = text(row, "derived_mark");
            assert!(
                events::is_shown(&EVENTS, code, &policy.classes)
                    && events::is_shown(&MARKS, mark, &policy.classes),
                "{table} shows an event of a hidden class"
            );
        }
    }
    for hit in hits(tables) {
        let place = format!("{}.{}", hit.table, hit.column);
        // Raw lines are shown only if the policy hides nothing, and rejected input only if the policy names the table.
        if matches!(
            hit.table,
            "unknown_record" | "rejected_record" | "input_error"
        ) {
            continue;
        }
        let column = hit.column.rsplit('.').next().unwrap_or_default();
        if let Some(needed) = class(hit.table, column) {
            assert!(policy.classes.contains(needed), "{place} must be hidden");
        }
        // If no column identifies the person of the row, the mentioned person must be in scope.
        let is_own = |number: &String| match key(hit.row) {
            Some(owner) => owner == number_of(wanted, number),
            None => in_scope(hit.table, number),
        };
        let (kind, number) = match &hit.mention {
            Mention::Number(number) => {
                if !answer.facts.seen.contains(number) {
                    continue;
                }
                assert!(
                    policy.numbers == NumberRule::Keep,
                    "{place} shows a person number"
                );
                let may_name = column.ends_with("pnr") || hit.column == "irregular.+";
                assert!(
                    is_own(number) || may_name,
                    "{place} shows another person's number"
                );
                assert!(
                    policy.protection != ProtectionRule::Drop
                        || relative(hit.table, column).is_none()
                        || !answer.facts.is_protected(number),
                    "{place} shows the number of a protected relative"
                );
                continue;
            }
            Mention::Token(kind, number) => (*kind, number),
            Mention::UnnumberedRelative(_, _) => {
                assert!(
                    policy.protection == ProtectionRule::Include,
                    "{place} shows the name of a relative who is not in the extract"
                );
                continue;
            }
        };
        let is_of_relative = relative(hit.table, column).is_some();
        assert!(
            is_own(number) || is_of_relative,
            "{place} mentions another person"
        );
        // Irregular values are free text in fields of any class. The class of their column applies.
        let is_named = matches!(kind, TextKind::Name | TextKind::Address)
            || matches!(
                class(hit.table, column),
                Some("name" | "address" | "free-text")
            );
        match policy.protection {
            ProtectionRule::Include => {}
            ProtectionRule::Mask => assert!(
                !is_named || !answer.facts.is_protected(number),
                "{place} shows the name or address of a protected person"
            ),
            ProtectionRule::Drop => assert!(
                !answer.facts.is_protected(number),
                "{place} mentions a protected person"
            ),
        }
    }
}
