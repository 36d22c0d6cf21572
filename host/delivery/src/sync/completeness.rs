//! Checks whether an extract with missing records may be published to a tenant.
//!
//! Protection (004), residence (002) and the person itself (001) are records like all others, and nothing else in the
//! extract shows that one is missing. Without it, a protected person would be shown, or a person would be reported as
//! having left the scope.

use crate::error::Error;
use cprflow::policy::{PersonFilter, Policy, ProtectionRule};
use cprflow::{Level, Summary};

/// Fails if records may be missing from an extract and the policy is only correct with all of them.
pub(super) fn check(policy: &Policy, summary: &Summary) -> Result<(), Error> {
    match (missing_records(summary), dependency(policy)) {
        (Some(code), Some(on)) => Err(Error::Incomplete { code, on }),
        _ => Ok(()),
    }
}

/// Returns the code of the finding that says that records may be missing.
pub(super) fn missing_records(summary: &Summary) -> Option<&'static str> {
    // As a note, the counter is right if it counts the input errors.
    let has = |code: &str| {
        let mut findings = summary.findings.iter();
        findings.any(|finding| finding.code == code && finding.level != Level::Note)
    };
    if has("missing-end") {
        return Some("missing-end");
    }
    if !has("count-mismatch") {
        // The number of records in the end record is right, so that no record is missing.
        return None;
    }
    // Input errors may follow the end record, which does not count them then.
    let not_between = ["delivery_start", "delivery_end", "input_error"];
    let not_between: u64 = not_between.map(|table| rows(summary, table)).iter().sum();
    let between = summary.records.saturating_sub(not_between);
    // A number that is damaged, or zeros, tells nothing.
    let is_more = |declared: u64| (1..=between).contains(&declared) && !has("records-after-end");
    match summary.declared_records.is_some_and(is_more) {
        true => None,
        false => Some("count-mismatch"),
    }
}

/// Returns the code of a finding that says that records may be missing, by its text in the ledger. An unknown code is
/// taken for one.
pub(crate) fn code_of(text: Option<&str>) -> Option<&'static str> {
    text.map(|text| match text {
        "missing-end" => "missing-end",
        _ => "count-mismatch",
    })
}

/// Returns a remark if the policy chooses persons by municipality and the extract has persons, but no address.
///
/// Nobody enters or leaves the scope by such an extract, so it is no error. But an agreement that no longer orders 002
/// would keep the scope as it is for ever.
pub(super) fn address_remark(policy: &Policy, summary: &Summary) -> Option<String> {
    let lacks_addresses = rows(summary, "person") > 0 && rows(summary, "address") == 0;
    (policy.persons.municipality_codes.is_some() && lacks_addresses).then(|| {
        "the extract has persons, but no address (record type 002), so nobody entered the scope, and nobody who moved \
         left it. Check whether the agreement still orders record type 002"
            .to_owned()
    })
}

/// Returns the number of records of a table.
fn rows(summary: &Summary, table: &str) -> u64 {
    let mut tables = summary.tables.iter();
    let count = tables.find(|count| count.table == table);
    count.map_or(0, |count| count.records)
}

/// Returns what the policy does that is only correct if no record is missing.
pub(crate) fn dependency(policy: &Policy) -> Option<&'static str> {
    match (policy.protection, policy.persons == PersonFilter::default()) {
        (ProtectionRule::Mask, _) => Some("masks protected persons"),
        (ProtectionRule::Drop, _) => Some("leaves out protected persons"),
        (ProtectionRule::Include, false) => Some("selects persons"),
        (ProtectionRule::Include, true) => None,
    }
}
