//! Checks whether an extract with missing records may be published to a tenant.
//!
//! Protection (004), residence (002) and the person itself (001) are records like all others, and nothing else in the
//! extract shows that one is missing. Without it, a protected person would be shown, or a person would be reported as
//! having left the scope.

use crate::error::Error;
use cprflow::Summary;
use cprflow::policy::{PersonFilter, Policy, ProtectionRule};

/// Fails if records may be missing from an extract and the policy is only correct with all of them.
pub(super) fn check(policy: &Policy, summary: &Summary) -> Result<(), Error> {
    match (missing_records(summary), dependency(policy)) {
        (Some(code), Some(on)) => Err(Error::Incomplete { code, on }),
        _ => Ok(()),
    }
}

/// Returns the code of the finding that says that records may be missing.
fn missing_records(summary: &Summary) -> Option<&'static str> {
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
        // The number of records in the end record is right, so that no record is missing.
        return None;
    }
    // Input errors may follow the end record, which does not count them then.
    let not_between = rows("delivery_start") + rows("delivery_end") + rows("input_error");
    let between = summary.records.saturating_sub(not_between);
    let is_more = |declared: u64| declared <= between && !has("records-after-end");
    match summary.declared_records.is_some_and(is_more) {
        true => None,
        false => Some("count-mismatch"),
    }
}

/// Returns what the policy does that is only correct if no record is missing.
fn dependency(policy: &Policy) -> Option<&'static str> {
    match (policy.protection, policy.persons == PersonFilter::default()) {
        (ProtectionRule::Mask, _) => Some("masks protected persons"),
        (ProtectionRule::Drop, _) => Some("leaves out protected persons"),
        (ProtectionRule::Include, false) => Some("selects persons"),
        (ProtectionRule::Include, true) => None,
    }
}
