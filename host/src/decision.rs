//! What a person decides about a delivery.

use jiff::Timestamp;

use crate::config::{Configuration, Store};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ledger::lock::StateLock;
use crate::ledger::{Ledger, Reason, Record, ShareState, State};
use crate::sandbox::Connector;
use crate::spool::Spooled;
use crate::sync::discover;
use crate::transport::{connect, said};

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
        let none = || {
            Error::Request(format!(
                "no delivery {:?} is set aside: `cprflow status` lists those that are",
                said(self.named)
            ))
        };
        let is_set_aside = |record: &Record| record.state == State::SetAside;
        let (store, record) = self.one(is_set_aside)?.ok_or_else(none)?;
        // A run that would not begin must not leave it released.
        store.check_purposes()?;
        let (_lock, ledger, record) = locked(store, record.id)?;
        let record = record.filter(is_set_aside).ok_or_else(none)?;
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
        let not_published = |record: Record| match record.state {
            State::Published | State::DataRemoved | State::Done | State::Publishing => {
                Err(Error::Request(format!(
                    "{} is published already, and that is not undone",
                    record.said_name()
                )))
            }
            State::Fetching | State::Fetched | State::SetAside => Ok(record),
        };
        if let Some((store, record)) = self.one(|_| true)? {
            let record = not_published(record)?;
            let (_lock, ledger, again) = locked(store, record.id)?;
            let record = not_published(again.unwrap_or(record))?;
            ledger.set_aside(record.id, &reason, now)?;
            return Ok(record.said_name());
        }
        for store in &self.configuration.stores {
            for agreement in &store.agreements {
                let mut transport = connect(&agreement.inbox, &agreement.sftp)?;
                let sharing = store.sharing(&agreement.inbox);
                let inventory = discover(connector, transport.as_mut(), &sharing, &[])?;
                let found = inventory.deliveries.iter().find(|found| {
                    found.agreement == agreement.name
                        && [
                            found.metadata.transfer_uuid.as_str(),
                            found.data.name.as_str(),
                            &found.data.name.to_string(),
                        ]
                        .contains(&self.named)
                });
                let Some(found) = found else { continue };
                crate::spool::private_directory(&store.state)?;
                let _lock = StateLock::take(&store.state)?;
                let ledger = Ledger::open(&store.state)?;
                // Somebody may have taken it since, or another file under the same transfer before.
                let known = ledger.find(agreement.name.as_str(), &found.metadata.transfer_uuid)?;
                known.map(not_published).transpose()?;
                let record = ledger.begin(&found.facts(), now)?;
                ledger.set_aside(record.id, &reason, now)?;
                return Ok(record.said_name());
            }
        }
        Err(Error::Request(format!(
            "there is no delivery {:?}, neither in the ledger nor in an inbox",
            said(self.named)
        )))
    }

    /// Lets a tenant have a delivery after all: one that was set aside for it or could not be published, or one that
    /// was published before the tenant came.
    pub fn release_to(&self, tenant: &str) -> Result<(), Error> {
        let tenant = self.configuration.tenant(tenant)?;
        let (store, record) = self.published()?;
        store.check_purposes()?;
        if !tenant.sees(&record.agreement) {
            return Err(Error::Request(format!(
                "tenant {} may not see data of agreement {}",
                tenant.name, record.agreement
            )));
        }
        let _lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        let share = ledger.share(record.id, tenant.name.as_str())?;
        if share.is_some_and(|share| share.state == ShareState::Published) {
            return Err(Error::Request(format!(
                "tenant {} has {} already",
                tenant.name,
                record.said_name()
            )));
        }
        let spooled = Spooled::new(&store.spool(), &record.agreement, &record.transfer_uuid)?;
        if spooled.whole().is_none() {
            return Err(Error::Request(format!(
                "the extract of {} is no longer in the spool: order its persons anew (`cprflow subscription reorder`), \
                 and they come with a delivery of their own",
                record.said_name()
            )));
        }
        ledger.release_share(record.id, tenant.name.as_str(), Timestamp::now())?;
        Ok(())
    }

    /// Sets a delivery aside for one tenant; the others keep it or get it. Returns its file's name.
    pub fn set_aside_for(&self, tenant: &str, why: &str) -> Result<String, Error> {
        let (store, record) = self.published()?;
        let _lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        let refuse = |what: &str| {
            Err(Error::Request(format!(
                "{} {what} tenant {tenant:?}",
                record.said_name()
            )))
        };
        let Some(share) = ledger.share(record.id, tenant)? else {
            return refuse("is not on its way to a");
        };
        // Killed between the two, a run may have published it and not said so.
        let is_there = match (self.configuration.tenant(tenant), &share.directory) {
            (Ok(tenant), Some(name)) => Dataset::at(&tenant.dataset)
                .map(|dataset| dataset.manifest(&record.agreement, name))
                .transpose()?
                .flatten()
                .is_some_and(|manifest| manifest.transfer_uuid == record.transfer_uuid),
            _ => false,
        };
        if is_there || share.state == ShareState::Published {
            return refuse("is published already, and that is not undone, for");
        }
        let reason = Reason::new("by-hand", why);
        ledger.set_share_aside(record.id, tenant, &reason, Timestamp::now())?;
        Ok(record.said_name())
    }

    /// The delivery, which was judged and is on its way to tenants.
    fn published(&self) -> Result<(&'a Store, Record), Error> {
        self.one(|record| record.state.is_published())?
            .ok_or_else(|| {
                Error::Request(format!(
                    "no delivery {:?} was taken and found sound: `cprflow status` tells how each is",
                    said(self.named)
                ))
            })
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
                let is_named = [
                    &record.transfer_uuid,
                    &record.file_name,
                    &record.said_name(),
                ]
                .into_iter()
                .any(|name| name == self.named);
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
                said(self.named)
            ))),
        }
    }
}

/// The right to change a store, its ledger, and what that says of a delivery now: before, a run may have gone on with it.
fn locked(store: &Store, delivery: i64) -> Result<(StateLock, Ledger, Option<Record>), Error> {
    crate::hook::reached("decided");
    let lock = StateLock::take(&store.state)?;
    let ledger = Ledger::open(&store.state)?;
    let record = ledger.delivery(delivery)?;
    Ok((lock, ledger, record))
}
