//! Applies a policy with the product: the component in the sandbox, called by the host.

use std::collections::BTreeSet;
use std::io::Cursor;

use arrow::array::RecordBatch;
use cprflow::policy::{NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow::{Connector, DeliveryReader, Error, PseudonymKey, RequestError, Scan};

use super::view::View;
use super::{TenantDelivery, TestPolicy, native};
use crate::reference_reader::{Tables, Value};
use crate::rows;

/// A tenant: a policy and the roster after its last delivery.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The policy.
    pub wanted: TestPolicy,
    /// The roster after the last delivery.
    pub roster: Option<Vec<u8>>,
}

/// The result of a scan with a policy.
#[derive(Debug)]
pub struct Actual {
    /// The tenant's delivery, in the oracle's form.
    pub delivery: TenantDelivery,
    /// The batches in their order, each with its table.
    pub batches: Vec<(String, RecordBatch)>,
    /// The roster after the scan.
    pub roster: Vec<u8>,
}

impl Tenant {
    /// Creates a tenant without any delivery yet.
    pub fn new(wanted: TestPolicy) -> Self {
        Self {
            wanted,
            roster: None,
        }
    }

    /// Delivers an extract and keeps the new roster.
    pub fn deliver(&mut self, bytes: &[u8]) -> Result<Actual, Error> {
        let got = self.preview(bytes, |scan| scan)?;
        self.roster = Some(got.roster.clone());
        Ok(got)
    }

    /// Returns what the tenant would get, without keeping the roster. `set` can change the scan.
    pub fn preview(&self, bytes: &[u8], set: impl FnOnce(Scan) -> Scan) -> Result<Actual, Error> {
        if std::env::var_os("CPRFLOW_NATIVE").is_some() {
            let got = native::deliver(&self.wanted, self.roster.as_deref(), bytes, 4096);
            return got.map_err(|error| RequestError::Refused(error.to_string()).into());
        }
        let connector = rows::connector();
        let view = view(connector, &self.wanted.policy)?;
        let scan = set(self.scan(connector));
        let mut reader = scan.read_with_policy(|| Ok(Cursor::new(bytes)))?;
        let mut batches = Vec::new();
        for batch in reader.by_ref() {
            let batch = batch?;
            batches.push((batch.table, batch.batch));
        }
        let roster = reader.roster()?;
        let selected = selected(&reader);
        let mut tables = Tables::new();
        for (table, batch) in &batches {
            tables
                .entry(table.clone())
                .or_default()
                .extend(rows::rows(batch));
        }
        Ok(Actual {
            delivery: TenantDelivery {
                view,
                tables,
                persons: selected.0,
                entered: selected.1,
                left: selected.2,
            },
            batches,
            roster,
        })
    }

    /// Returns the scan of a delivery.
    pub fn scan(&self, connector: &Connector) -> Scan {
        let mut scan = Scan::new(connector).policy(&self.wanted.policy);
        if let Some(roster) = &self.roster {
            scan = scan.roster(roster.clone());
        }
        if self.wanted.policy.numbers == NumberRule::Pseudonym {
            scan = scan.pseudonym_key(key(&self.wanted.key));
        }
        scan
    }
}

fn selected<R>(reader: &DeliveryReader<R>) -> (u64, u64, u64) {
    let selected = reader
        .selected()
        .expect("a scan with a policy selects persons");
    (selected.persons, selected.entered, selected.left)
}

fn key(bytes: &[u8]) -> PseudonymKey {
    PseudonymKey::new(bytes).expect("the key is long enough")
}

/// Returns the tables and columns that the product announces for a policy.
pub fn view(connector: &Connector, policy: &Policy) -> Result<View, Error> {
    let view = connector.view(policy)?;
    let columns = |table: &cprflow::Table| table.columns.iter().map(|c| c.name.clone()).collect();
    let tables = view.tables().iter();
    Ok(tables
        .map(|table| (table.name.clone(), columns(table)))
        .collect())
}

/// Returns which of these person numbers are in a roster.
///
/// A policy that selects only a number that does not exist makes every delivered person of the roster a leaver.
pub fn in_roster(roster: &[u8], of: &BTreeSet<String>) -> BTreeSet<String> {
    const NOBODY: &str = "9999999998";
    let mut tenant = Tenant::new(TestPolicy::new(Policy {
        persons: PersonFilter {
            numbers: Some(vec![NOBODY.parse().expect("ten digits")]),
            ..PersonFilter::default()
        },
        protection: ProtectionRule::Include,
        ..Policy::default()
    }));
    tenant.roster = Some(roster.to_vec());
    let persons = of.iter().map(|number| format!("001{number}\n"));
    let extract: String = ["00000000000001109012026030220260301\n".to_owned()]
        .into_iter()
        .chain(persons)
        .collect();
    let got = tenant
        .deliver(extract.as_bytes())
        .expect("the product wrote this roster");
    let left = got
        .delivery
        .tables
        .get("out_of_scope")
        .into_iter()
        .flatten();
    left.map(|row| match &row[0].1 {
        Value::Text(number) => number.clone(),
        other => panic!("{other:?} is not a person number"),
    })
    .collect()
}
