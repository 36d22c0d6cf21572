//! Which policies are refused because they select persons or rows by what they hide.

use cprflow::policy::{NumberRule, Policy};

use super::columns::class;
use super::events::{self, EVENTS};
use super::predicate::Operand;
use super::{InjectedBug, TestPolicy};
use crate::reference_reader::{Rules, Value};

/// Returns whether the policy is refused. Being selected would reveal a hidden value, unless the policy allows that.
pub fn is_refused(rules: &Rules, wanted: &TestPolicy) -> bool {
    let policy = &wanted.policy;
    let names_line = |columns: &Vec<String>| columns.iter().any(|column| column == "line");
    // A policy with a list of columns or a condition on rows hides something, so it has no record numbers.
    if policy.columns.values().any(names_line) {
        return true;
    }
    let mut operands = wanted
        .rows
        .iter()
        .flat_map(|(table, predicate)| predicate.operands().into_iter().map(move |o| (table, o)));
    if operands
        .clone()
        .any(|(_, operand)| operand.column == "line")
    {
        return true;
    }
    if policy.may_reveal || wanted.bug == Some(InjectedBug::HiddenSelects) {
        return false;
    }
    let by_hidden_home =
        policy.persons.municipality_codes.is_some() && !policy.classes.contains("address");
    let by_hidden_number = policy.persons.numbers.is_some() && policy.numbers != NumberRule::Keep;
    let mut events = policy.persons.event_codes.iter().flatten();
    by_hidden_home
        || by_hidden_number
        || events.any(|code| !shows(policy, code))
        || operands.any(|(table, operand)| is_hidden(rules, policy, table, &operand))
}

fn shows(policy: &Policy, event: &str) -> bool {
    events::is_shown(&EVENTS, Some(event), &policy.classes)
}

/// Returns whether a condition uses a column or a value that the policy hides.
fn is_hidden(rules: &Rules, policy: &Policy, table: &str, operand: &Operand) -> bool {
    let column = operand.column.as_str();
    let rule = rules.values().find(|rule| rule.table == table);
    let mut fields = rule.into_iter().flat_map(|rule| &rule.fields);
    let is_number = fields.any(|field| field.column == column && field.kind == "pnr");
    let is_compared = !operand.values.is_empty();
    let hides_number = match policy.numbers {
        NumberRule::Keep => false,
        // A pseudonym is not known while rows are selected, only whether there is a number.
        NumberRule::Pseudonym => is_number && is_compared,
        NumberRule::Drop => is_number,
    };
    let is_of_hidden_event = |value: &&Value| match value {
        Value::Text(code) => column == "event_code" && !shows(policy, code),
        _ => false,
    };
    hides_number
        || class(table, column).is_some_and(|class| !policy.classes.contains(class))
        || operand
            .values
            .iter()
            .any(|value| is_of_hidden_event(&value))
}
