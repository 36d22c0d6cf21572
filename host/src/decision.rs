//! What a person decides about a delivery.

use jiff::Timestamp;

use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::ledger::lock::StateLock;
use crate::ledger::{Ledger, Reason, Record, State};
use crate::sandbox::Connector;
use crate::sync::discover;
use crate::transport::connect;

/// A delivery that a person chose, by its transfer UUID or by its file's name.
pub struct DeliveryChoice<'a> {
    configuration: &'a Configuration,
    named: &'a str,
}

impl<'a> DeliveryChoice<'a> {
    /// Chooses.
    pub fn new(configuration: &'a Configuration, named: &'a str) -> Self {
        Self {
            configuration,
            named,
        }
    }

    /// Lets a delivery that was set aside go on with the next run, with these findings accepted.
    pub fn release(&self, accept: &[String], production_date: Option<&str>) -> Result<(), Error> {
        let (store, record) = self
            .one(|record| record.state == State::SetAside)?
            .ok_or_else(|| {
                Error::Request(format!(
                    "no delivery {:?} is set aside: `cprflow status` lists those that are",
                    self.named
                ))
            })?;
        let _lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        let mut accepted = record.accepted.clone();
        accepted.extend(accept.iter().cloned());
        accepted.sort();
        accepted.dedup();
        ledger.release(record.id, &accepted, production_date, Timestamp::now())?;
        Ok(())
    }

    /// Sets a delivery aside, also one that is still on the server and was never begun. Returns its file's name.
    pub fn set_aside(&self, connector: &Connector, why: &str) -> Result<String, Error> {
        let reason = Reason::new("by-hand", why);
        let now = Timestamp::now();
        if let Some((store, record)) = self.one(|_| true)? {
            if record.state.is_published() || record.state == State::Publishing {
                return Err(Error::Request(format!(
                    "{} is published already, and that is not undone",
                    record.file_name
                )));
            }
            let _lock = StateLock::take(&store.state)?;
            Ledger::open(&store.state)?.set_aside(record.id, &reason, now)?;
            return Ok(record.file_name);
        }
        for store in &self.configuration.stores {
            for agreement in &store.agreements {
                let mut transport = connect(&agreement.inbox, &agreement.sftp)?;
                let sharing = store.sharing(&agreement.inbox);
                let inventory = discover(connector, transport.as_mut(), &sharing, None)?;
                let found = inventory.deliveries.iter().find(|found| {
                    found.agreement == agreement.name
                        && [
                            found.metadata.transfer_uuid.as_str(),
                            found.data.name.as_str(),
                        ]
                        .contains(&self.named)
                });
                let Some(found) = found else { continue };
                crate::spool::private_directory(&store.state)?;
                let _lock = StateLock::take(&store.state)?;
                let ledger = Ledger::open(&store.state)?;
                let record = ledger.begin(&found.facts(), now)?;
                ledger.set_aside(record.id, &reason, now)?;
                return Ok(record.file_name);
            }
        }
        Err(Error::Request(format!(
            "there is no delivery {:?}, neither in the ledger nor in an inbox",
            self.named
        )))
    }

    /// The one delivery of the ledgers that is meant, if it is like that.
    fn one(
        &self,
        is_wanted: impl Fn(&Record) -> bool,
    ) -> Result<Option<(&'a Store, Record)>, Error> {
        let mut found = Vec::new();
        for store in &self.configuration.stores {
            let Some(ledger) = Ledger::open_to_read(&store.state)? else {
                continue;
            };
            for record in ledger.all()? {
                let is_of_store = store
                    .agreements
                    .iter()
                    .any(|agreement| agreement.name.as_str() == record.agreement);
                let is_named = [record.transfer_uuid.as_str(), record.file_name.as_str()]
                    .contains(&self.named);
                if is_of_store && is_named && is_wanted(&record) {
                    found.push((store, record));
                }
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Error::Request(format!(
                "{} deliveries are called {:?}: name one by its transfer UUID (`cprflow status --format json`)",
                found.len(),
                self.named
            ))),
        }
    }
}
