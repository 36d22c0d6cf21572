//! Processes one inbox: every delivery that is ready, one after the other.
//!
//! This module looks into the inbox, continues what earlier runs left, and keeps the report. What happens to a single
//! delivery is decided in [`decide`](super::decide) and carried out in [`delivery`] and [`keep_again`]; [`erased`] leaves
//! erased persons out.

mod delivery;
mod erased;
mod keep_again;
mod unclaimed;

use std::collections::BTreeSet;

use jiff::Timestamp;

use self::unclaimed::UnclaimedNames;
use super::connection::Connection;
use super::decide::{TenantProgress, may_remove_remote};
use super::discover::{Inventory, OrphanedMetadata, Waiting, discover};
use super::observer::Observer;
use super::report::{RunProblem, RunReport, SkippedFile};
use super::tenants::Tenants;
use crate::agreement::Agreement;
use crate::config::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::entries;
use crate::ledger::{Ledger, Record, State};
use crate::spool::Spooled;
use crate::stop::Stop;
use cprflow::Connector;
use cprflow_transport::Inbox;

/// The processing of one inbox during a run.
pub(super) struct InboxRun<'a> {
    pub(super) connector: &'a Connector,
    pub(super) store: &'a Store,
    pub(super) observer: &'a dyn Observer,
    pub(super) stop: &'a Stop,
    pub(super) now: fn() -> Timestamp,
    pub(super) inbox: &'a Inbox,
    pub(super) ledger: &'a mut Ledger,
    pub(super) dataset: &'a Dataset,
    pub(super) tenants: &'a Tenants,
    pub(super) report: &'a mut RunReport,
    /// Whether the current tables have all deliveries of this run.
    pub(super) is_current_made: bool,
    /// Whether a late extract has told another number of erased persons: they are erased before anything else is published.
    pub(super) has_new_ties: bool,
}

impl<'a> InboxRun<'a> {
    /// Publishes or sets aside every delivery that is ready.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let Some(mut connection) = self.connection() else {
            return Ok(());
        };
        self.process_all(&mut connection)
    }

    /// Removes the deliveries that all tenants have by now: from the server first, then from the spool.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let mut is_any_removable = false;
        for record in self.records_in(&[State::Published, State::DataRemoved])? {
            // Deliveries without tenants were removed when they were published, or could not be removed then.
            let has_tenants = !self.tenants.of(&record.agreement).is_empty();
            is_any_removable |= (has_tenants || !self.store.publish.deliveries)
                && self.may_remove_remote(&record)?;
        }
        if let Some(mut connection) = self.connection().filter(|_| is_any_removable) {
            self.stop.check()?;
            self.remove_published(&mut connection)?;
        }
        self.clear_spool()
    }

    fn connection(&self) -> Option<Connection<'a>> {
        let own = self.store.own(self.inbox);
        let first = own.first().copied();
        first.map(|agreement| Connection::new(agreement, self.stop))
    }

    fn process_all(&mut self, connection: &mut Connection<'_>) -> Result<(), Error> {
        self.recover()?;
        self.remove_published(connection)?;
        let inventory = discover(
            self.connector,
            connection,
            &self.store.sharing(self.inbox),
            &[&*self.ledger],
        )?;
        let mut unclaimed = UnclaimedNames::at((self.now)());
        self.record_unclaimed(&inventory, &mut unclaimed)?;
        for orphan in &inventory.orphans {
            if let Some(agreement) = self.agreement(orphan.agreement.as_str()) {
                let removed = remove_orphan(orphan, connection);
                self.report_file_error(agreement, removed)?;
            }
        }
        let mut on_server = BTreeSet::new();
        for found in &inventory.deliveries {
            let Some(agreement) = self.agreement(found.agreement.as_str()) else {
                // Another store publishes it.
                continue;
            };
            self.stop.check()?;
            on_server.insert(found.metadata.transfer_uuid.as_str());
            let span = tracing::info_span!(
                "delivery",
                agreement = found.agreement.as_str(),
                transfer = found.metadata.transfer_uuid,
                file = %found.data.name,
            );
            let _entered = span.enter();
            let processed = self.process(agreement, found, connection, &mut unclaimed);
            self.report_file_error(agreement, processed)?;
            if self.has_new_ties {
                return Ok(());
            }
        }
        let others = inventory.waiting.iter().chain(&inventory.strays);
        on_server.extend(others.map(|file| file.name.as_str()));
        self.process_all_vanished(&on_server, connection)?;
        // Files that this visit did not record are no longer in the inbox.
        let inbox = self.inbox.to_string();
        Ok(self.ledger.remove_unseen_files(&inbox, unclaimed.visited)?)
    }

    /// Processes deliveries that were begun and are no longer on the server.
    ///
    /// `on_server` holds the transfer UUIDs of the deliveries that are complete there, and the names of the other files.
    fn process_all_vanished(
        &mut self,
        on_server: &BTreeSet<&str>,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        for record in self.records_in(&[State::Fetching, State::Fetched, State::Publishing])? {
            let Some(agreement) = self.agreement(&record.agreement) else {
                continue;
            };
            let is_listed = |text: &str| on_server.contains(text);
            if is_listed(&record.transfer_uuid) || is_listed(&record.file_name) {
                continue;
            }
            let processed = self.process_vanished(agreement, record, connection);
            self.report_file_error(agreement, processed)?;
            if self.has_new_ties {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Completes deliveries that an earlier run moved into the dataset before it was killed: the ledger does not know
    /// yet that they are published.
    fn recover(&mut self) -> Result<(), Error> {
        for record in self.records_in(&[State::Publishing])? {
            let Some(directory) = &record.directory else {
                continue;
            };
            let manifest = self.dataset.manifest(&record.agreement, directory)?;
            if manifest.is_some_and(|manifest| manifest.transfer_uuid == record.transfer_uuid) {
                self.ledger.published(record.id, (self.now)())?;
            }
        }
        self.clear_spool()
    }

    /// Removes the extracts of completed deliveries from the spool.
    fn clear_spool(&self) -> Result<(), Error> {
        for agreement in self.store.own(self.inbox) {
            let directory = self.store.spool().join(agreement.name.as_str());
            for path in entries(&directory)? {
                let transfer = path.file_stem().unwrap_or_default().to_string_lossy();
                let known = self.ledger.find(agreement.name.as_str(), &transfer)?;
                let Some(known) = known.filter(|known| known.state == State::Done) else {
                    continue;
                };
                if !self.ledger.is_needed(known.id)? {
                    self.spooled(agreement.name.as_str(), &transfer)?.remove()?;
                }
            }
        }
        Ok(())
    }

    /// Removes published deliveries from the server, as far as the tenants do not need them.
    fn remove_published(&mut self, connection: &mut Connection<'_>) -> Result<(), Error> {
        connection.get()?;
        for record in self.records_in(&[State::Published, State::DataRemoved])? {
            let Some(agreement) = self.agreement(&record.agreement) else {
                continue;
            };
            if !self.may_remove_remote(&record)? {
                continue;
            }
            let removed = self.remove_remote(&record, connection);
            self.report_file_error(agreement, removed)?;
        }
        Ok(())
    }

    /// Returns whether the server's copy of a published delivery may be removed.
    ///
    /// If only the current tables are published, they must have the delivery first.
    fn may_remove_remote(&self, record: &Record) -> Result<bool, Error> {
        if !self.store.publish.deliveries && !self.is_current_made {
            return Ok(false);
        }
        let progress = if !self.tenants.is_settled(record.id) {
            TenantProgress::Running
        } else if !self.ledger.is_needed(record.id)? {
            TenantProgress::Complete
        } else {
            let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
            TenantProgress::Postponed {
                is_run_stopped: self.tenants.is_stopped(),
                is_spooled: spooled.whole().is_some(),
            }
        };
        Ok(may_remove_remote(progress))
    }

    /// Records the files that are no delivery in the ledger and the report.
    fn record_unclaimed(
        &mut self,
        inventory: &Inventory,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        let inbox = self.inbox.to_string();
        let all = inventory.strays.iter().chain(&inventory.waiting);
        // One transaction: a transaction per file would wait for the disk each time, and there can be many files.
        self.ledger.transaction(|ledger| {
            all.clone().try_for_each(|file| {
                let name = unclaimed.name(&file.name);
                ledger.record_unclaimed_file(
                    &inbox,
                    &name,
                    file.size,
                    &file.reason,
                    unclaimed.visited,
                )
            })
        })?;
        let strays = inventory.strays.iter().map(SkippedFile::from);
        self.report.strays.extend(strays);
        let waiting = inventory.waiting.iter().map(SkippedFile::from);
        self.report.waiting.extend(waiting);
        Ok(())
    }

    /// Returns the deliveries of this inbox that are in one of these states.
    fn records_in(&self, states: &[State]) -> Result<Vec<Record>, Error> {
        let mut records = self.ledger.under_way()?;
        records.retain(|record| {
            states.contains(&record.state) && self.agreement(&record.agreement).is_some()
        });
        Ok(records)
    }

    fn agreement(&self, name: &str) -> Option<&'a Agreement> {
        let mut own = self.store.own(self.inbox).into_iter();
        own.find(|agreement| agreement.name.as_str() == name)
    }

    fn spooled(&self, agreement: &str, transfer: &str) -> Result<Spooled, Error> {
        Spooled::new(&self.store.spool(), agreement, transfer)
    }

    /// Puts an error that concerns one file alone into the report, so that the run goes on with the other files. Returns
    /// any other error.
    fn report_file_error(
        &mut self,
        agreement: &Agreement,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        match result {
            Err(error) if error.is_of_one_file() => {
                tracing::error!(%error);
                self.report.problems.push(RunProblem {
                    agreement: Some(agreement.name.to_string()),
                    tenant: None,
                    error,
                });
                Ok(())
            }
            result => result,
        }
    }
}

/// Removes a metadata file whose delivery is published and whose data file is gone. Data files are always removed before
/// their metadata, so that an interrupted removal leaves at most the metadata.
fn remove_orphan(orphan: &OrphanedMetadata, connection: &mut Connection<'_>) -> Result<(), Error> {
    tracing::info!(
        transfer = orphan.transfer_uuid,
        "removing a metadata file that an earlier run left: its delivery is published and its data file is gone"
    );
    connection.persistently(|inbox| Ok(inbox.remove(&orphan.name)?))
}

impl From<&Waiting> for SkippedFile {
    fn from(file: &Waiting) -> Self {
        Self {
            agreement: None,
            file_name: file.redacted_file_name(),
            transfer_uuid: None,
            reason: file.reason.clone(),
        }
    }
}
