//! Applies a policy with the connector as a native library, without the sandbox: quick to build while a rule changes.

use arrow::array::RecordBatch;
use cprflow::policy::{LeaverRule, NumberRule, Policy, ProtectionRule};
use cprflow_connector::policy as native;
use cprflow_connector::{AgeRange, Error, PersonFilter, Scan, ScanOptions, Selection};

use super::TenantDelivery;
use super::TestPolicy;
use super::product::Actual;
use super::show::number_of;
use crate::reference_reader::{Rules, Tables, Value};
use crate::rows;

/// Returns the delivery that a tenant gets. The input is read in blocks of `block` bytes.
pub fn deliver(
    wanted: &TestPolicy,
    roster: Option<&[u8]>,
    bytes: &[u8],
    block: usize,
) -> Result<Actual, Error> {
    let policy = policy(&wanted.policy);
    let view = policy.view()?;
    let mut selection = Selection::open_policy(policy, roster)?;
    for block in bytes.chunks(block) {
        selection.push(block.to_vec())?;
    }
    let selected = selection.finish()?;
    let mut scan = Scan::open(&ScanOptions::default(), Some(&selection))?;
    let mut batches: Vec<(String, RecordBatch)> = Vec::new();
    let mut blocks = bytes.chunks(block);
    let mut is_finished = false;
    loop {
        match scan.next()? {
            Some(rows) => batches.push((rows.table.name().to_owned(), rows.batch)),
            None if is_finished => break,
            None => match blocks.next() {
                Some(block) => scan.push(block.to_vec())?,
                None => {
                    scan.finish()?;
                    is_finished = true;
                }
            },
        }
    }
    let columns = view.tables.iter().map(|table| {
        let columns = table.columns.iter().map(|column| column.name().to_owned());
        (table.id.name().to_owned(), columns.collect())
    });
    Ok(Actual {
        delivery: TenantDelivery {
            view: columns.collect(),
            tables: tables(wanted, &batches),
            persons: selected.persons,
            entered: selected.entered,
            left: selected.left,
        },
        roster: selection.roster()?,
        batches,
    })
}

/// Returns the rows with pseudonyms in place of person numbers, as the host makes them.
fn tables(wanted: &TestPolicy, batches: &[(String, RecordBatch)]) -> Tables {
    let rules: Rules = crate::layout_data::rules();
    let mut tables = Tables::new();
    for (table, batch) in batches {
        let rule = rules.values().find(|rule| rule.table == *table);
        let is_number = |column: &str| match rule {
            Some(rule) => rule
                .fields
                .iter()
                .any(|field| field.column == column && field.kind == "pnr"),
            None => column == "pnr",
        };
        let mut rows = rows::rows(batch);
        for (column, value) in rows.iter_mut().flatten() {
            match value {
                Value::Text(number) if is_number(column) => *number = number_of(wanted, number),
                _ => {}
            }
        }
        tables.entry(table.clone()).or_default().extend(rows);
    }
    tables
}

fn policy(policy: &Policy) -> cprflow_connector::Policy {
    let filter = &policy.persons;
    let numbers = filter.numbers.as_ref().map(|numbers| {
        let digits = numbers.iter().map(|number| number.as_str().to_owned());
        digits.collect()
    });
    cprflow_connector::Policy {
        persons: PersonFilter {
            municipality_codes: filter.municipality_codes.clone(),
            status_codes: filter.status_codes.clone(),
            ages: filter
                .ages
                .map(|(youngest, oldest)| AgeRange { youngest, oldest }),
            event_codes: filter.event_codes.clone(),
            numbers,
        },
        day: policy.day.clone(),
        as_of: policy.as_of.clone(),
        classes: policy.classes.iter().cloned().collect(),
        tables: policy
            .tables
            .as_ref()
            .map(|tables| tables.iter().cloned().collect()),
        columns: policy.columns.clone().into_iter().collect(),
        rows: policy.rows.clone().into_iter().collect(),
        protection: match policy.protection {
            ProtectionRule::Include => native::ProtectionRule::Include,
            ProtectionRule::Mask => native::ProtectionRule::Mask,
            ProtectionRule::Drop => native::ProtectionRule::Drop,
        },
        numbers: match policy.numbers {
            NumberRule::Keep => native::NumberRule::Keep,
            NumberRule::Pseudonym => native::NumberRule::Pseudonym,
            NumberRule::Drop => native::NumberRule::Drop,
        },
        leavers: match policy.leavers {
            LeaverRule::Notice => native::LeaverRule::Notice,
            LeaverRule::Last => native::LeaverRule::Last,
        },
        may_reveal: policy.may_reveal,
    }
}
