//! Carries out what an operator decides: retry a delivery, set it aside, rename an agreement, or accept a gap in the
//! register.

mod error;
mod register;
mod rename;
mod tenant;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::calendar::danish_time;
use crate::config::{Configuration, FUTURE_DATE, Store};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::StateLock;
use crate::ledger::{BY_HAND, Ledger, Reason, Record, State, TenantDelivery, TenantDeliveryState};
use crate::spool::Spooled;
use crate::sync::{NO_PRODUCTION_DATE, discover, publish_leavers};
use cprflow::Connector;
use cprflow_transport::{connect, redacted_name};
pub use error::OperatorError;
pub use register::accept_missing_extracts;
pub use rename::rename_agreement;
pub use tenant::{AcceptedForTenant, accept_tenant};

/// A delivery that was set aside for one tenant.
#[derive(Debug)]
pub struct TenantSetAside {
    /// The name of the data file, redacted.
    pub file_name: String,
    /// How many persons left the tenant's scope in the delivery; the tenant is told. An error says why that is not known:
    /// the tenant then keeps these persons until all persons are ordered again.
    pub leavers: Result<u64, Error>,
}

/// A delivery that an operator named by its transfer UUID or its file name.
pub struct DeliverySelector<'a> {
    configuration: &'a Configuration,
    name: &'a str,
}

impl<'a> DeliverySelector<'a> {
    /// Creates a selector for the delivery of this transfer UUID or file name.
    pub fn new(configuration: &'a Configuration, name: &'a str) -> Self {
        Self {
            configuration,
            name,
        }
    }

    /// Releases a delivery that was set aside, so that the next run continues with it.
    ///
    /// The run then accepts findings and reasons with the codes in `accept`. `as_of` (`YYYY-MM-DD`) is the day that the
    /// delivery shows, for an extract that has no production date or one in the future.
    pub fn release(&self, accept: &[String], as_of: Option<&str>) -> Result<(), Error> {
        let not_set_aside = || OperatorError::NotSetAside {
            name: redacted_name(self.name),
        };
        let is_set_aside = |record: &Record| record.state == State::SetAside;
        let (store, record) = self.find(is_set_aside)?.ok_or_else(not_set_aside)?;
        // If the configuration lets no run start, the delivery must not stay released.
        store.check_purposes()?;
        let (_lock, ledger, record) = lock_store(store, record.id)?;
        let record = record.filter(is_set_aside).ok_or_else(not_set_aside)?;
        let now = Timestamp::now();
        check_date(&record, accept, as_of, danish_time(now).date())?;
        let mut accepted = record.accepted.clone();
        accepted.extend(accept.iter().cloned());
        accepted.sort();
        accepted.dedup();
        ledger.release(record.id, &accepted, as_of, now)?;
        Ok(())
    }

    /// Sets a delivery aside and returns its file name. The delivery may still be on the server and unknown to the
    /// ledger.
    pub fn set_aside(&self, connector: &Connector, why: &str) -> Result<String, Error> {
        let reason = Reason::new(BY_HAND, why);
        let now = Timestamp::now();
        // A delivery that was sent again has the same name as the damaged one, and is published.
        let waiting = self.find(|record| !record.state.is_published())?;
        let found = match waiting {
            Some(found) => Some(found),
            None => self.find(|_| true)?,
        };
        if let Some((store, record)) = found {
            let record = not_published(record)?;
            let (_lock, ledger, current) = lock_store(store, record.id)?;
            let record = not_published(current.unwrap_or(record))?;
            ledger.set_aside(record.id, &reason, now)?;
            return Ok(record.redacted_file_name());
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
                        .contains(&self.name)
                });
                let Some(found) = found else { continue };
                crate::fs::private_directory(&store.state)?;
                let _lock = StateLock::take(&store.state)?;
                let ledger = Ledger::open(&store.state)?;
                // A run may have published it since the look into the inbox. An earlier file may have the same transfer.
                let known = ledger.find(agreement.name.as_str(), &found.metadata.transfer_uuid)?;
                known.map(not_published).transpose()?;
                let record = ledger.begin(&found.facts(), now)?;
                ledger.set_aside(record.id, &reason, now)?;
                return Ok(record.redacted_file_name());
            }
        }
        let name = redacted_name(self.name);
        Err(OperatorError::Unknown { name }.into())
    }

    /// Releases a delivery to a tenant, so that the next run publishes it there.
    ///
    /// The delivery was set aside for the tenant, could not be published to it, or was published before the tenant was
    /// configured.
    pub fn release_to(&self, tenant: &str) -> Result<(), Error> {
        let tenant = self.configuration.tenant(tenant)?;
        let (store, record) = self.find_accepted()?;
        store.check_purposes()?;
        if !tenant.sees(&record.agreement) {
            return Err(OperatorError::AgreementNotVisible {
                tenant: tenant.name.to_string(),
                agreement: record.agreement,
            }
            .into());
        }
        let _lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        let share = ledger.tenant_delivery(record.id, tenant.name.as_str())?;
        if share.as_ref().is_some_and(TenantDelivery::has_leavers_only) {
            return Err(OperatorError::TenantHasLeaversOnly {
                tenant: tenant.name.to_string(),
                name: record.redacted_file_name(),
            }
            .into());
        }
        if share.is_some_and(|share| share.state == TenantDeliveryState::Published) {
            return Err(OperatorError::TenantHasDelivery {
                tenant: tenant.name.to_string(),
                name: record.redacted_file_name(),
            }
            .into());
        }
        let spooled = Spooled::new(&store.spool(), &record.agreement, &record.transfer_uuid)?;
        if spooled.whole().is_none() {
            let name = record.redacted_file_name();
            return Err(OperatorError::ExtractGone { name }.into());
        }
        ledger.retry_for_tenant(record.id, tenant.name.as_str(), Timestamp::now())?;
        Ok(())
    }

    /// Sets a delivery aside for one tenant. Other tenants are not affected.
    ///
    /// The tenant is still told who left its scope in the delivery, because no later delivery tells it.
    pub fn set_aside_for(
        &self,
        connector: &Connector,
        tenant: &str,
        why: &str,
    ) -> Result<TenantSetAside, Error> {
        let (store, record) = self.find_accepted()?;
        let _lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        let Some(share) = ledger.tenant_delivery(record.id, tenant)? else {
            return Err(OperatorError::NotWaitingForTenant {
                name: record.redacted_file_name(),
                tenant: redacted_name(tenant),
            }
            .into());
        };
        let configured = self.configuration.tenant(tenant).ok();
        // A run that was killed may have published the delivery before the ledger recorded it.
        let is_in_dataset = match (configured, &share.directory) {
            (Some(tenant), Some(name)) => Dataset::at(&tenant.dataset)
                .map(|dataset| dataset.manifest(&record.agreement, name))
                .transpose()?
                .flatten()
                .is_some_and(|manifest| manifest.transfer_uuid == record.transfer_uuid),
            _ => false,
        };
        if is_in_dataset || share.state == TenantDeliveryState::Published {
            return Err(OperatorError::PublishedToTenant {
                name: record.redacted_file_name(),
                tenant: redacted_name(tenant),
            }
            .into());
        }
        let reason = Reason::new(BY_HAND, why);
        // A party that is no longer a tenant of the agreement gets nothing, not even this.
        let receiver = configured.filter(|tenant| tenant.sees(&record.agreement));
        let leavers = receiver.map_or(Ok(0), |tenant| {
            publish_leavers(connector, store, tenant, &record, &share, why)
        });
        if !matches!(leavers, Ok(1..)) {
            ledger.set_aside_for_tenant(record.id, tenant, &reason, Timestamp::now())?;
        }
        Ok(TenantSetAside {
            file_name: record.redacted_file_name(),
            leavers,
        })
    }

    /// Returns the delivery if it was accepted for publication, so that tenants receive it.
    fn find_accepted(&self) -> Result<(&'a Store, Record), Error> {
        let found = self.find(|record| record.state.is_published())?;
        Ok(found.ok_or_else(|| OperatorError::NotAccepted {
            name: redacted_name(self.name),
        })?)
    }

    /// Returns the delivery of this name that meets the condition, with its store. Fails if several do.
    fn find(
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
                    &record.redacted_file_name(),
                ]
                .into_iter()
                .any(|name| name == self.name);
                if is_of_store && is_named && is_wanted(&record) {
                    found.push((store, record));
                }
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            count => Err(OperatorError::Ambiguous {
                count,
                name: redacted_name(self.name),
            }
            .into()),
        }
    }
}

/// Checks that a day is given for a delivery that needs one, and for no other: the extract's own production date is
/// better than a person's memory.
fn check_date(
    record: &Record,
    accept: &[String],
    as_of: Option<&str>,
    today: Date,
) -> Result<(), OperatorError> {
    let code = record.reason.as_ref().map(|reason| reason.code.as_str());
    let is_future = code == Some(FUTURE_DATE);
    let is_accepted = accept.iter().any(|code| code == FUTURE_DATE);
    let name = || record.redacted_file_name();
    match as_of.map(|day| day.parse::<Date>().is_ok_and(|day| day <= today)) {
        None if is_future && is_accepted => Err(OperatorError::NoDay { name: name() }),
        Some(_) if is_future && !is_accepted => {
            Err(OperatorError::FutureNotAccepted { name: name() })
        }
        Some(_) if !is_future && code != Some(NO_PRODUCTION_DATE) => {
            Err(OperatorError::DayNotNeeded { name: name() })
        }
        Some(false) => Err(OperatorError::DayInFuture { today }),
        _ => Ok(()),
    }
}

/// Returns the record, or an error if its delivery is published.
fn not_published(record: Record) -> Result<Record, OperatorError> {
    match record.state {
        State::Published | State::DataRemoved | State::Done | State::Publishing => {
            let name = record.redacted_file_name();
            Err(OperatorError::AlreadyPublished { name })
        }
        State::Fetching | State::Fetched | State::SetAside => Ok(record),
    }
}

/// Locks a store, opens its ledger, and reads a delivery again: a run may have changed it before the lock was taken.
fn lock_store(store: &Store, delivery: i64) -> Result<(StateLock, Ledger, Option<Record>), Error> {
    crate::failpoint::reached("decided");
    let lock = StateLock::take(&store.state)?;
    let ledger = Ledger::open(&store.state)?;
    let record = ledger.delivery(delivery)?;
    Ok((lock, ledger, record))
}
