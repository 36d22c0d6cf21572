//! Which tables and columns a policy lets through.

use std::collections::BTreeMap;

use cprflow::policy::{CLASSES, Numbers, Persons, Policy, Protection};

use super::Slip;
use super::columns::{SUBJECTS, class, needed_class};
use crate::cut::{FieldRule, Rules, TableRule};

/// Columns by table, in order.
pub type View = BTreeMap<String, Vec<String>>;

/// The tables of a policy and their columns.
pub fn view(rules: &Rules, policy: &Policy, slip: Option<Slip>) -> View {
    let mut view = View::new();
    for rule in rules.values() {
        if let Some(columns) = columns(rule, policy, slip) {
            view.insert(rule.table.clone(), columns);
        }
    }
    if hides_nothing(policy) && is_everybody(&policy.persons) {
        for (table, label) in [
            ("unknown_record", "record_type"),
            ("rejected_record", "reason"),
        ] {
            let columns = ["line", label, "raw"].map(str::to_owned);
            view.insert(table.to_owned(), columns.to_vec());
        }
    }
    let mut leaving = vec!["pnr".to_owned(), "reason".to_owned(), "date".to_owned()];
    if policy.numbers == Numbers::Drop {
        leaving.remove(0);
    }
    view.insert("out_of_scope".to_owned(), leaving);
    view
}

/// The columns that are left of a table; none if the table is left out.
fn columns(rule: &TableRule, policy: &Policy, slip: Option<Slip>) -> Option<Vec<String>> {
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
    let shows = match slip {
        Some(Slip::SubjectsShow) => true,
        Some(Slip::FormerStatusesShow) => table.ends_with("_history"),
        _ => false,
    };
    if subject.is_some_and(|(_, class)| !allows(class)) && !shows {
        return None;
    }
    let is_asked = policy.also.contains(table);
    let keeps = policy.numbers == Numbers::Keep;
    match table {
        "delivery_start" | "delivery_end" => return None,
        "person_id" if !keeps && !is_asked => return None,
        "former_pnr" if !keeps && !is_asked || !allows("identity") => return None,
        "input_error" => {
            let is_all =
                keeps && is_everybody(&policy.persons) && policy.protection != Protection::Drop;
            if !(is_asked || is_all) || !allows("identity") || !allows("free-text") {
                return None;
            }
        }
        _ => {}
    }
    let left: Vec<&FieldRule> = rule
        .fields
        .iter()
        .filter(|field| is_left(table, field, policy, slip))
        .collect();
    let tells = |field: &&FieldRule| field.kind != "pnr";
    let could_tell = rule.fields.iter().any(|field| tells(&field));
    if left.is_empty() || could_tell && !left.iter().any(tells) {
        return None;
    }
    let mut columns: Vec<String> = left.iter().map(|field| field.column.clone()).collect();
    if policy.protection == Protection::Include && rule.fields[0].kind == "pnr" {
        columns.push("protected".to_owned());
    }
    let listed = policy.columns.get(table);
    let own = ["irregular", "line"].map(str::to_owned);
    columns.extend(
        own.into_iter()
            .filter(|own| listed.is_none_or(|listed| listed.contains(own))),
    );
    Some(columns)
}

/// Whether the policy lets a column through, if it lets its table through.
fn is_left(table: &str, field: &FieldRule, policy: &Policy, slip: Option<Slip>) -> bool {
    let listed = policy.columns.get(table);
    if listed.is_some_and(|listed| !listed.contains(&field.column)) {
        return false;
    }
    if policy.numbers == Numbers::Drop && field.kind == "pnr" {
        return false;
    }
    let needed = match slip {
        Some(Slip::FormerStatusesShow) => class(table, &field.column),
        _ => needed_class(table, &field.column),
    };
    needed.is_none_or(|class| policy.classes.contains(class))
}

/// Whether the policy lets through all that there is of the persons whom it is about, as it is.
pub fn hides_nothing(policy: &Policy) -> bool {
    CLASSES.iter().all(|class| policy.classes.contains(*class))
        && policy.tables.is_none()
        && policy.columns.is_empty()
        && policy.rows.is_empty()
        && policy.numbers == Numbers::Keep
        && policy.protection == Protection::Include
}

fn is_everybody(persons: &Persons) -> bool {
    *persons == Persons::default()
}
