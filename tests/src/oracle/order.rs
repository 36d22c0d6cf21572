//! The order of the rows. The order of the extract would tell which rows of different tables belong to one person.

use cprflow::policy::NumberRule;

use super::choose::text;
use super::{InjectedBug, TestPolicy};
use crate::reference_reader::{Row, Rules};

/// Brings the rows of a table, which are in the order of the extract, into the order in which a tenant gets them.
pub fn order(rules: &Rules, wanted: &TestPolicy, table: &str, rows: &mut [Row]) {
    let rule = rules.values().find(|rule| rule.table == table);
    let is_of_persons = match rule {
        Some(rule) => rule.fields[0].kind == "pnr",
        None => table == "out_of_scope",
    };
    let shows = |column: &str| {
        let first = rows.first().into_iter().flatten();
        first.into_iter().any(|(name, _)| name == column)
    };
    // Record numbers are shown only if nothing is hidden.
    if !is_of_persons || shows("line") || wanted.bug == Some(InjectedBug::OrderOfExtractKept) {
        return;
    }
    match (shows("pnr"), wanted.policy.numbers) {
        (true, NumberRule::Keep) => {}
        // The rows of one person stay in their order.
        (true, _) => rows.sort_by_key(|row| text(row, "pnr").map(str::to_owned)),
        (false, _) => rows.sort(),
    }
}
