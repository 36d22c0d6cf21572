//! The question put to the connector as a library, without the sandbox: quick to build, for whoever changes a rule.

use arrow::array::RecordBatch;
use cprflow::policy::{Leavers, Numbers, Policy, Protection};
use cprflow_connector::policy::{LeaverRule, NumberRule, ProtectionRule};
use cprflow_connector::{AgeRange, Error, PersonFilter, Scan, ScanOptions, Selection};

use super::Share;
use super::Wanted;
use super::gate::Got;
use super::show::number_of;
use crate::cut::{Rules, Tables, Value};
use crate::rows;

/// What a tenant gets, in blocks of that size.
pub fn take(
    wanted: &Wanted,
    roster: Option<&[u8]>,
    bytes: &[u8],
    block: usize,
) -> Result<Got, Error> {
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
    Ok(Got {
        share: Share {
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

/// The rows, with the pseudonyms that the host would make.
fn tables(wanted: &Wanted, batches: &[(String, RecordBatch)]) -> Tables {
    let rules: Rules = crate::cut::rules_of_product();
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
        classes: policy.classes.iter().cloned().collect(),
        tables: policy
            .tables
            .as_ref()
            .map(|tables| tables.iter().cloned().collect()),
        columns: policy.columns.clone().into_iter().collect(),
        rows: policy.rows.clone().into_iter().collect(),
        protection: match policy.protection {
            Protection::Include => ProtectionRule::Include,
            Protection::Mask => ProtectionRule::Mask,
            Protection::Drop => ProtectionRule::Drop,
        },
        numbers: match policy.numbers {
            Numbers::Keep => NumberRule::Keep,
            Numbers::Pseudonym => NumberRule::Pseudonym,
            Numbers::Drop => NumberRule::Drop,
        },
        also: policy.also.iter().cloned().collect(),
        leavers: match policy.leavers {
            Leavers::Notice => LeaverRule::Notice,
            Leavers::Last => LeaverRule::Last,
        },
    }
}
