//! What a tenant got, held against what it must get.

use std::collections::BTreeMap;

use cprflow::policy::{Leavers, Numbers, Protection};

use super::choose::key;
use super::columns::{class, needed_class, relative};
use super::search::{Who, hits};
use super::season::Told;
use super::show::number_of;
use super::{Answer, Share, Wanted};
use crate::cut::{Row, Tables};

/// Asserts that both are the same, and says where they are not.
///
/// # Panics
///
/// If they differ.
pub fn same(got: &Share, wanted: &Share, what: &str) {
    for (table, columns) in &wanted.view {
        let seen = got.view.get(table);
        assert_eq!(seen, Some(columns), "{what}: columns of {table}");
    }
    for table in got.view.keys() {
        assert!(wanted.view.contains_key(table), "{what}: {table} is there");
    }
    assert_eq!(
        (got.persons, got.entered, got.left),
        (wanted.persons, wanted.entered, wanted.left),
        "{what}: persons, entered, left"
    );
    for table in got.tables.keys().chain(wanted.tables.keys()) {
        let rows = |share: &'_ Share| share.tables.get(table).cloned().unwrap_or_default();
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

/// The columns in which two rows differ; the persons are no real ones.
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

/// Asserts that nobody is told of but the persons of the policy: whoever else is named is so in the record of one of
/// them, as that person's relative or other number, where the policy lets it through; and that nothing that must be
/// kept back stands anywhere at all.
///
/// # Panics
///
/// If somebody is told of.
pub fn nobody_else(tables: &Tables, wanted: &Wanted, answer: &Answer) {
    let policy = &wanted.policy;
    let (chosen, left) = (&answer.choice.chosen, &answer.choice.left);
    let in_scope = |table: &str, number: &String| match table {
        "out_of_scope" => left.contains_key(number),
        _ => {
            let comes_once_more = policy.leavers == Leavers::Last && left.contains_key(number);
            chosen.contains(number) || comes_once_more
        }
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
                "a row in {table} of somebody else"
            );
        }
    }
    for hit in hits(tables) {
        let place = format!("{}.{}", hit.table, hit.column);
        // Lines as they stand are there where nothing is hidden, and rejected input where it is asked for.
        if matches!(
            hit.table,
            "unknown_record" | "rejected_record" | "input_error"
        ) {
            continue;
        }
        let column = hit.column.rsplit('.').next().unwrap_or_default();
        if let Some(needed) = needed_class(hit.table, column) {
            assert!(policy.classes.contains(needed), "{place} is hidden");
        }
        // Without a column that says whose row it is, it must be that of somebody in scope.
        let is_own = |number: &String| match key(hit.row) {
            Some(owner) => owner == number_of(wanted, number),
            None => in_scope(hit.table, number),
        };
        let (told, number) = match &hit.who {
            Who::Number(number) => {
                if !answer.facts.seen.contains(number) {
                    continue;
                }
                assert!(policy.numbers == Numbers::Keep, "{place} tells a number");
                let may_name = column.ends_with("pnr") || hit.column == "irregular.+";
                assert!(
                    is_own(number) || may_name,
                    "{place} tells somebody's number"
                );
                continue;
            }
            Who::Token(told, number) => (*told, number),
            Who::Stranger(_, _) => {
                assert!(
                    policy.protection == Protection::Include,
                    "{place} names a relative of whom nothing is known"
                );
                continue;
            }
        };
        let is_of_relative = relative(hit.table, column).is_some();
        assert!(
            is_own(number) || is_of_relative,
            "{place} tells of somebody else"
        );
        // The oddities are free text in dates of any class: they are of the class of their column.
        let is_named = matches!(told, Told::Name | Told::Address)
            || matches!(
                class(hit.table, column),
                Some("name" | "address" | "free-text")
            );
        match policy.protection {
            Protection::Include => {}
            Protection::Mask => assert!(
                !is_named || !answer.facts.is_protected(number),
                "{place} names a protected person"
            ),
            Protection::Drop => assert!(
                !answer.facts.is_protected(number),
                "{place} tells of a protected person"
            ),
        }
    }
}
