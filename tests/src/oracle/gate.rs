//! The question of the oracle, put to the product: policies in the sandbox, through the host.

use std::collections::BTreeSet;
use std::io::Cursor;

use arrow::array::RecordBatch;
use cprflow::policy::{Numbers, Persons, Policy, Protection};
use cprflow::{Connector, DeliveryReader, Error, PseudonymKey, Scan};

use super::view::View;
use super::{Share, Wanted, native};
use crate::cut::{Tables, Value};
use crate::rows;

/// A tenant: a policy, and the roster that its deliveries leave.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The policy.
    pub wanted: Wanted,
    /// The roster after the latest delivery.
    pub roster: Option<Vec<u8>>,
}

/// What came of a scan.
#[derive(Debug)]
pub struct Got {
    /// What the tenant got, in the oracle's form.
    pub share: Share,
    /// The batches, in their order.
    pub batches: Vec<(String, RecordBatch)>,
    /// The roster after it.
    pub roster: Vec<u8>,
}

impl Tenant {
    /// A tenant that has got nothing yet.
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            roster: None,
        }
    }

    /// Takes a delivery, and remembers its roster.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Got, Error> {
        let got = self.look(bytes, |scan| scan)?;
        self.roster = Some(got.roster.clone());
        Ok(got)
    }

    /// What the tenant would get, with a scan set up as `set` says.
    pub fn look(&self, bytes: &[u8], set: impl FnOnce(Scan) -> Scan) -> Result<Got, Error> {
        if std::env::var_os("CPRFLOW_NATIVE").is_some() {
            let got = native::take(&self.wanted, self.roster.as_deref(), bytes, 4096);
            return got.map_err(|error| Error::Request(error.to_string()));
        }
        let connector = rows::connector();
        let view = view(connector, &self.wanted.policy)?;
        let scan = set(self.scan(connector));
        let mut reader = scan.read_selected(|| Ok(Cursor::new(bytes)))?;
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
        Ok(Got {
            share: Share {
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

    fn scan(&self, connector: &Connector) -> Scan {
        let mut scan = Scan::new(connector).policy(&self.wanted.policy);
        if let Some(roster) = &self.roster {
            scan = scan.roster(roster.clone());
        }
        if self.wanted.policy.numbers == Numbers::Pseudonym {
            scan = scan.pseudonym_key(key(&self.wanted.key));
        }
        scan
    }
}

fn selected<R>(reader: &DeliveryReader<R>) -> (u64, u64, u64) {
    let selected = reader.selected().expect("a scan by a policy selects");
    (selected.persons, selected.entered, selected.left)
}

fn key(bytes: &[u8]) -> PseudonymKey {
    PseudonymKey::new(bytes).expect("the key is long enough")
}

/// The tables and columns that the product says it will show.
pub fn view(connector: &Connector, policy: &Policy) -> Result<View, Error> {
    let view = connector.view(policy)?;
    let columns = |table: &cprflow::Table| table.columns.iter().map(|c| c.name.clone()).collect();
    let tables = view.tables().iter();
    Ok(tables
        .map(|table| (table.name.clone(), columns(table)))
        .collect())
}

/// Whose numbers a roster holds, of these: whoever is delivered and in it leaves a policy that chooses nobody.
pub fn in_roster(roster: &[u8], of: &BTreeSet<String>) -> BTreeSet<String> {
    const NOBODY: &str = "9999999998";
    let mut tenant = Tenant::new(Wanted::new(Policy {
        persons: Persons {
            numbers: Some(vec![NOBODY.parse().expect("ten digits")]),
            ..Persons::default()
        },
        protection: Protection::Include,
        ..Policy::default()
    }));
    tenant.roster = Some(roster.to_vec());
    let persons = of.iter().map(|number| format!("001{number}\n"));
    let extract: String = ["00000000000001109012026030220260301\n".to_owned()]
        .into_iter()
        .chain(persons)
        .collect();
    let got = tenant
        .take(extract.as_bytes())
        .expect("the roster is of the product's own making");
    let left = got.share.tables.get("out_of_scope").into_iter().flatten();
    left.map(|row| match &row[0].1 {
        Value::Text(number) => number.clone(),
        other => panic!("{other:?} is no number"),
    })
    .collect()
}
