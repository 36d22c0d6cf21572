//! Whether an extract that lacks records may go to a tenant.
//!
//! Who is protected (004), where somebody lives (002) and who somebody is (001) are records like all others. Where they
//! are lost, nothing in the file says so: a person would be unmasked, or be told to have moved away.

use crate::error::Error;
use crate::policy::{Persons, Policy, Protection};
use crate::report::Summary;

/// An error where records may be missing from an extract and the policy depends on each of them.
pub(super) fn check(policy: &Policy, summary: &Summary) -> Result<(), Error> {
    match (lacks(summary), depends(policy)) {
        (Some(code), Some(on)) => Err(Error::Incomplete { code, on }),
        _ => Ok(()),
    }
}

/// The finding that says that records may be missing.
fn lacks(summary: &Summary) -> Option<&'static str> {
    let has = |code: &str| summary.findings.iter().any(|finding| finding.code == code);
    let rows = |table: &str| {
        let mut tables = summary.tables.iter();
        let count = tables.find(|count| count.table == table);
        count.map_or(0, |count| count.records)
    };
    if has("missing-end") {
        return Some("missing-end");
    }
    if !has("count-mismatch") {
        // Whatever else is wrong, the end record's number adds up.
        return None;
    }
    // Input errors may follow the end, and then they do not count.
    let not_between = rows("delivery_start") + rows("delivery_end") + rows("input_error");
    let between = summary.records.saturating_sub(not_between);
    let is_more = |declared: u64| declared <= between && !has("records-after-end");
    match summary.declared_records.is_some_and(is_more) {
        true => None,
        false => Some("count-mismatch"),
    }
}

/// What of a policy is only right if no record is missing.
fn depends(policy: &Policy) -> Option<&'static str> {
    match (policy.protection, policy.persons == Persons::default()) {
        (Protection::Mask, _) => Some("masks whoever is protected"),
        (Protection::Drop, _) => Some("drops whoever is protected"),
        (Protection::Include, false) => Some("chooses persons"),
        (Protection::Include, true) => None,
    }
}
