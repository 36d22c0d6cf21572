//! Which tables and columns a policy shows.

use std::collections::BTreeMap;

use cprflow::policy::{NumberRule, PersonFilter, Policy, ProtectionRule};

use super::InjectedBug;
use super::columns::{CLASSES, SUBJECTS, class};
use crate::reference_reader::{FieldRule, Rules, TableRule};

/// The columns of each table, in order.
pub type View = BTreeMap<String, Vec<String>>;

/// Returns the tables that a policy shows, with their columns.
pub fn view(rules: &Rules, policy: &Policy, bug: Option<InjectedBug>) -> View {
    let mut view = View::new();
    for rule in rules.values() {
        if let Some(columns) = columns(rule, policy, bug) {
            view.insert(rule.table.clone(), columns);
        }
    }
    if is_open(policy) {
        for (table, label) in [
            ("unknown_record", "record_type"),
            ("rejected_record", "reason"),
        ] {
            let columns = ["line", label, "raw"].map(str::to_owned);
            view.insert(table.to_owned(), columns.to_vec());
        }
    }
    let mut leaving = vec!["pnr".to_owned(), "reason".to_owned(), "date".to_owned()];
    if policy.numbers == NumberRule::Drop {
        leaving.remove(0);
    }
    view.insert("out_of_scope".to_owned(), leaving);
    view
}

/// Returns the columns of a table that the policy shows, or `None` if it hides the table.
fn columns(rule: &TableRule, policy: &Policy, bug: Option<InjectedBug>) -> Option<Vec<String>> {
    let table = rule.table.as_str();
    if policy
        .tables
        .as_ref()
        .is_some_and(|tables| !tables.contains(table))
    {
        return None;
    }
    let allows = |class: &str| policy.classes.contains(class);
    let subject = SUBJECTS.iter().find(|(of, _)| *of == table);
    let shows = match bug {
        Some(InjectedBug::HiddenSubjectShown) => true,
        Some(InjectedBug::FamilyShown) => {
            subject.is_some_and(|(_, class)| is_of_relatives_or_franchise(class))
        }
        Some(InjectedBug::FormerCivilStatusShown) => table.ends_with("_history"),
        _ => false,
    };
    if subject.is_some_and(|(_, class)| !allows(class)) && !shows {
        return None;
    }
    let is_asked = allows(&table.replace('_', "-"));
    let keeps = policy.numbers == NumberRule::Keep;
    match table {
        "delivery_start" | "delivery_end" => return None,
        "person_id" if !keeps && !is_asked => return None,
        "former_pnr" if !keeps && !is_asked || !allows("identity") => return None,
        "input_error" => {
            let is_all =
                keeps && is_everybody(&policy.persons) && policy.protection != ProtectionRule::Drop;
            if !(is_asked || is_all) || !allows("identity") || !allows("free-text") {
                return None;
            }
        }
        _ => {}
    }
    let left: Vec<&FieldRule> = rule
        .fields
        .iter()
        .filter(|field| is_shown(table, field, policy, bug))
        .collect();
    let tells = |field: &&FieldRule| field.kind != "pnr";
    let could_tell = rule.fields.iter().any(|field| tells(&field));
    if left.is_empty() || could_tell && !left.iter().any(tells) {
        return None;
    }
    let mut columns: Vec<String> = left.iter().map(|field| field.column.clone()).collect();
    if policy.protection == ProtectionRule::Include && rule.fields[0].kind == "pnr" {
        columns.push("protected".to_owned());
    }
    let listed = policy.columns.get(table);
    let irregular = "irregular".to_owned();
    if listed.is_none_or(|listed| listed.contains(&irregular)) {
        columns.push(irregular);
    }
    if is_open(policy) || bug == Some(InjectedBug::LineShown) {
        columns.push("line".to_owned());
    }
    Some(columns)
}

/// Returns whether the policy shows a column, provided that it shows the table.
fn is_shown(table: &str, field: &FieldRule, policy: &Policy, bug: Option<InjectedBug>) -> bool {
    let listed = policy.columns.get(table);
    if listed.is_some_and(|listed| !listed.contains(&field.column)) {
        return false;
    }
    if policy.numbers == NumberRule::Drop && field.kind == "pnr" {
        return false;
    }
    let needed = match bug {
        Some(InjectedBug::FormerCivilStatusShown) => class(table, &field.column),
        _ => class(table, &field.column),
    };
    needed.is_none_or(|class| {
        policy.classes.contains(class)
            || bug == Some(InjectedBug::FamilyShown) && is_of_relatives_or_franchise(class)
    })
}

fn is_of_relatives_or_franchise(class: &str) -> bool {
    matches!(class, "family" | "franchise")
}

/// Returns whether the policy shows everything of every person, unchanged. Only then can the number of a record, or a
/// gap between two, tell nothing about what is hidden.
fn is_open(policy: &Policy) -> bool {
    hides_nothing(policy) && is_everybody(&policy.persons)
}

/// Returns whether the policy shows everything about its persons, unchanged.
pub fn hides_nothing(policy: &Policy) -> bool {
    CLASSES.iter().all(|class| policy.classes.contains(*class))
        && policy.tables.is_none()
        && policy.columns.is_empty()
        && policy.rows.is_empty()
        && policy.numbers == NumberRule::Keep
        && policy.protection == ProtectionRule::Include
}

fn is_everybody(persons: &PersonFilter) -> bool {
    *persons == PersonFilter::default()
}
