//! Hostile catalogs. `docs/hostile.md` has a line for each of these tests.

use cprflow::{ComponentError, LimitKind, Limits};
use cprflow_tests::hostile_guest::{
    beside_healthy_scan, component, component_error, connector, refused,
};

/// The catalog that the other tests change is accepted unchanged.
#[test]
fn an_unchanged_catalog_is_accepted() {
    let connector = connector("");
    assert_eq!(connector.catalog().tables().len(), 2);
    let events = connector.catalog().event_classes();
    let codes: Vec<_> = events.iter().map(|event| event.code.as_str()).collect();
    assert_eq!(codes, ["A01", "A21", "P11", "BØ"]);
    assert_eq!(events[2].classes.len(), 4);
}

#[test]
fn hostile_columns_by_the_million() {
    let limits = Limits::new().memory(1 << 30);
    is_over(
        &load("million-columns", limits),
        LimitKind::AnswerBytes,
        4 << 20,
    );
}

#[test]
fn hostile_columns_by_the_thousand() {
    is_over(
        &load("many-columns", Limits::new()),
        LimitKind::Columns,
        512,
    );
}

#[test]
fn hostile_tables_by_the_thousand() {
    is_over(&load("many-tables", Limits::new()), LimitKind::Tables, 256);
}

#[test]
fn hostile_table_name_of_a_megabyte() {
    misbehaves("long-name", "has an invalid name");
}

#[test]
fn hostile_tables_of_one_name() {
    misbehaves("duplicate-tables", "or the name of another table");
}

#[test]
fn hostile_table_that_is_a_path() {
    misbehaves("path", "has an invalid name");
}

/// The two names are the same file on file systems that ignore case.
#[test]
fn hostile_tables_that_differ_in_capitals() {
    misbehaves("upper-case", "has an invalid name");
}

#[test]
fn hostile_table_named_by_a_person_number() {
    misbehaves("name-number", "has an invalid name");
}

#[test]
fn hostile_table_without_a_name() {
    misbehaves("no-name", "has an invalid name");
}

#[test]
fn hostile_table_without_columns() {
    misbehaves("no-columns", "has no columns");
}

#[test]
fn hostile_columns_of_one_name() {
    misbehaves("duplicate-columns", "or with the name of another column");
}

#[test]
fn hostile_column_that_is_a_path() {
    misbehaves("column-path", "a column with an invalid name");
}

#[test]
fn hostile_description_with_a_person_number() {
    misbehaves(
        "described-by-number",
        "an invalid record type, title or description",
    );
}

#[test]
fn hostile_description_of_a_megabyte() {
    misbehaves(
        "described-at-length",
        "an invalid record type, title or description",
    );
}

#[test]
fn hostile_record_type_that_is_a_person_number() {
    misbehaves(
        "record-type",
        "an invalid record type, title or description",
    );
}

#[test]
fn hostile_field_that_moves_the_cursor() {
    misbehaves("field-control", "an invalid field name, kind or class");
}

#[test]
fn hostile_event_codes_by_the_million() {
    let limits = Limits::new().memory(1 << 30);
    is_over(
        &load("million-events", limits),
        LimitKind::AnswerBytes,
        4 << 20,
    );
}

#[test]
fn hostile_event_codes_by_the_thousand() {
    misbehaves("many-events", "too many event codes");
}

#[test]
fn hostile_event_code_with_thousands_of_classes() {
    misbehaves("many-classes-of-event", "or with a class twice");
}

#[test]
fn hostile_event_code_that_is_a_person_number() {
    misbehaves("event-number", "an invalid event code");
    misbehaves("event-half-number", "an invalid event code");
}

#[test]
fn hostile_event_code_of_a_megabyte() {
    misbehaves("event-of-a-megabyte", "an invalid event code");
}

#[test]
fn hostile_event_code_of_another_length() {
    misbehaves("event-without-code", "an invalid event code");
    misbehaves("event-mark-of-one", "an invalid event code");
}

#[test]
fn hostile_event_code_that_moves_the_cursor() {
    misbehaves("event-control", "an invalid event code");
    misbehaves("event-path", "an invalid event code");
}

/// One entry could hide what the other one shows.
#[test]
fn hostile_event_code_with_two_entries() {
    misbehaves("event-twice", "an event code twice");
}

/// A class that nobody knows could hold anything, for example a name.
#[test]
fn hostile_event_class_that_is_unknown() {
    for attack in [
        "event-class-unknown",
        "event-class-empty",
        "event-class-word",
    ] {
        misbehaves(attack, "an unknown class");
    }
}

#[test]
fn hostile_event_class_that_is_a_person_number() {
    misbehaves("event-class-number", "an unknown class");
}

#[test]
fn hostile_event_class_that_moves_the_cursor() {
    misbehaves("event-class-control", "an unknown class");
}

#[test]
fn hostile_event_class_that_is_told_twice() {
    misbehaves("event-class-twice", "or with a class twice");
}

fn load(attack: &str, limits: Limits) -> ComponentError {
    beside_healthy_scan(|| refused(&component(attack), limits))
}

fn misbehaves(attack: &str, how: &str) {
    let error = load(attack, Limits::new());
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(how), "{said}");
    assert!(said.len() < 200 && !said.contains("0101"), "{said}");
}

fn is_over(error: &ComponentError, kind: LimitKind, most: u64) {
    let is_over = matches!(error, ComponentError::Limit { limit, at_most } if *limit == kind && *at_most == most);
    assert!(is_over, "{error:?}");
}

#[test]
fn unchanged_reference_tables_are_accepted() {
    let connector = connector("");
    let tables = connector.code_tables().unwrap();
    assert_eq!(tables.len(), 1);
    assert!(tables[0].find("90").is_some());
}

#[test]
fn hostile_codes_by_the_million() {
    let limits = Limits::new().memory(1 << 30);
    is_over(
        &codes("million-codes", limits),
        LimitKind::AnswerBytes,
        4 << 20,
    );
}

#[test]
fn hostile_code_of_a_megabyte() {
    codes_misbehave("code-of-a-megabyte", "an invalid code, or a code twice");
}

#[test]
fn hostile_name_of_a_code_that_is_a_person_number() {
    codes_misbehave("code-number", "an invalid code, or a code twice");
}

#[test]
fn hostile_name_of_a_code_that_moves_the_cursor() {
    codes_misbehave("code-control", "an invalid code, or a code twice");
}

#[test]
fn hostile_code_that_is_told_twice() {
    codes_misbehave("code-twice", "an invalid code, or a code twice");
}

#[test]
fn hostile_code_with_more_values_than_columns() {
    codes_misbehave("code-with-more", "an invalid code, or a code twice");
}

#[test]
fn hostile_reference_table_that_is_a_path() {
    codes_misbehave("code-table-path", "an invalid name, or a name twice");
    codes_misbehave("code-table-column-path", "a column with an invalid name");
}

#[test]
fn hostile_reference_table_that_is_told_twice() {
    codes_misbehave("code-table-twice", "an invalid name, or a name twice");
}

/// Returns the error of reading the reference tables of an attacking component.
fn codes(attack: &str, limits: Limits) -> ComponentError {
    let connector = connector(attack);
    beside_healthy_scan(|| component_error(connector.code_tables_within(limits)))
}

fn codes_misbehave(attack: &str, how: &str) {
    let error = codes(attack, Limits::new());
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(how), "{said}");
    assert!(said.len() < 200 && !said.contains("0101"), "{said}");
}
