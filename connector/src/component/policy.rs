//! Converts the policies of the interface `source`.

use super::bindings::exports::cprflow::connector::source as wit;
use crate::policy::{LeaverRule, NumberRule, Policy, ProtectionRule};
use crate::{AgeRange, PersonFilter};

impl From<wit::Policy> for Policy {
    fn from(policy: wit::Policy) -> Self {
        let columns = policy.columns.into_iter();
        let rows = policy.rows.into_iter();
        Self {
            persons: policy.persons.into(),
            day: policy.day,
            as_of: policy.as_of,
            classes: policy.classes,
            tables: policy.tables,
            columns: columns.map(|of| (of.table, of.columns)).collect(),
            rows: rows.map(|of| (of.table, of.where_)).collect(),
            protection: match policy.protection {
                wit::ProtectionRule::Include => ProtectionRule::Include,
                wit::ProtectionRule::Mask => ProtectionRule::Mask,
                wit::ProtectionRule::Drop => ProtectionRule::Drop,
            },
            numbers: match policy.numbers {
                wit::NumberRule::Keep => NumberRule::Keep,
                wit::NumberRule::Pseudonym => NumberRule::Pseudonym,
                wit::NumberRule::Drop => NumberRule::Drop,
            },
            leavers: match policy.leavers {
                wit::LeaverRule::Notice => LeaverRule::Notice,
                wit::LeaverRule::Last => LeaverRule::Last,
            },
            may_reveal: policy.may_reveal,
        }
    }
}

impl From<wit::PersonFilter> for PersonFilter {
    fn from(filter: wit::PersonFilter) -> Self {
        Self {
            municipality_codes: filter.municipality_codes,
            status_codes: filter.status_codes,
            ages: filter.ages.map(|ages| AgeRange {
                youngest: ages.youngest,
                oldest: ages.oldest,
            }),
            event_codes: filter.event_codes,
            numbers: filter.numbers,
        }
    }
}
