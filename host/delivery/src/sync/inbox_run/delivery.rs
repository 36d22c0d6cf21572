//! Carries out what [`decide`] says about one delivery.
//!
//! The steps are durable in this order: the download, the ledger's record of the extract, the tenants' shares, the
//! published directory, the removal from the server, the removal from the spool.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::InboxRun;
use super::unclaimed::UnclaimedNames;
use crate::agreement::Agreement;
use crate::calendar::danish_time;
use crate::error::Error;
use crate::fs::digest as digest_of;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{Reason, Record};
use crate::register::FileHeader;
use crate::spool::Spooled;
use crate::sync::completeness;
use crate::sync::connection::Connection;
use crate::sync::decide::{
    self, FoundAction, PublishedCopyAction, VanishedAction, Verdict, church_without_purpose,
    found_delivery, published_again, scanned_delivery, vanished_delivery, wrong_routing,
};
use crate::sync::discover::FoundDelivery;
use crate::sync::download::{Fetch, Fetched};
use crate::sync::keep::Keeper;
use crate::sync::publish::{Publisher, counts};
use crate::sync::remote_cleanup::{digest, remove_published};
use crate::sync::report::{PublishedDelivery, SkippedFile};
use crate::sync::stage::{Staged, examine, stage};
use cprflow::{DataErrorKind, Pnr, Scan};

/// A delivery whose extract is complete in the spool and was scanned.
struct Scanned {
    record: Record,
    /// The SHA-256 of the extract, in hexadecimal.
    sha256: String,
    /// The result of the scan.
    staged: Result<Staged, Error>,
    /// The directory with the tables of the unrestricted dataset; `None` if the agreement publishes to tenants only.
    staging: Option<PathBuf>,
}

impl<'a> InboxRun<'a> {
    /// Processes a delivery that is complete on the server.
    pub(super) fn process(
        &mut self,
        agreement: &'a Agreement,
        found: &FoundDelivery,
        connection: &mut Connection<'_>,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        // The inventory's record may be out of date: an earlier delivery of this run may have the same transfer UUID.
        let known = self
            .ledger
            .find(agreement.name.as_str(), &found.metadata.transfer_uuid)?;
        let may_remove = match &known {
            Some(known) if known.state.is_published() => self.may_remove_remote(known)?,
            _ => false,
        };
        let lacks_extract = match &known {
            Some(known) if known.state.is_published() => self.lacks_extract(known)?,
            _ => false,
        };
        let action = found_delivery(known.as_ref(), &found.data, may_remove, lacks_extract);
        match (action, known) {
            (FoundAction::CompareWithPublished, Some(known)) => {
                self.remove_published_again(&known, found, connection, unclaimed)
            }
            (FoundAction::KeepAgain, Some(known)) => {
                self.keep_again(agreement, &known, found, connection, unclaimed)
            }
            (
                FoundAction::CompareWithPublished | FoundAction::KeepAgain | FoundAction::Fetch,
                known,
            ) => self.fetch(agreement, found, known, connection),
            (FoundAction::WaitForTenants | FoundAction::LeaveSetAside, _) => Ok(()),
            (FoundAction::ReportReusedTransfer, _) => self.report_reused(found, unclaimed),
        }
    }

    fn fetch(
        &mut self,
        agreement: &'a Agreement,
        found: &FoundDelivery,
        known: Option<Record>,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        crate::failpoint::reached("ready");
        let spooled = self.spooled(agreement.name.as_str(), &found.metadata.transfer_uuid)?;
        let stat = found.data.stat;
        if !decide::can_resume(known.as_ref(), &stat) {
            spooled.remove()?;
        }
        let record = self.ledger.begin(&found.facts(), (self.now)())?;
        if let Some(reason) = wrong_routing(agreement, &record) {
            return self.set_aside(&record, &reason);
        }
        crate::failpoint::reached("fetching");
        let start = found.start.as_ref();
        let scan = self.scan(
            agreement,
            start.map(|start| start.task_number.as_str()),
            found.production_date(),
        )?;
        if spooled.whole().is_some() {
            return self.publish_spooled(agreement, record, &spooled, scan, connection);
        }
        let staging = self.staging(agreement, &record)?;
        self.observer
            .begins(&found.data.name.to_string(), stat.size);
        let fetch = Fetch {
            found,
            spooled: &spooled,
            from: spooled.part_size().min(stat.size),
            staging: staging.as_deref(),
            is_read_once: self.tenants.of(&record.agreement).is_empty(),
            observer: self.observer,
            stop: self.stop,
        };
        let fetched = fetch.run(connection, scan);
        self.observer.ends();
        match fetched? {
            Fetched::Whole { sha256, staged } => {
                let scanned = Scanned {
                    record,
                    sha256,
                    staged: *staged,
                    staging,
                };
                self.publish_or_set_aside(agreement, scanned, connection)
            }
            Fetched::Vanished => self.set_aside_vanished(&record),
            Fetched::Changed(reason) => {
                self.report.waiting.push(SkippedFile {
                    agreement: Some(agreement.name.to_string()),
                    file_name: found.data.name.to_string(),
                    transfer_uuid: None,
                    reason,
                });
                Ok(())
            }
        }
    }

    /// Publishes a delivery whose complete extract is in the spool, or sets it aside.
    fn publish_spooled(
        &mut self,
        agreement: &'a Agreement,
        record: Record,
        spooled: &Spooled,
        scan: Scan,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        let Some(path) = spooled.whole().map(Path::to_owned) else {
            return Ok(());
        };
        let open = || File::open(&path).map_err(Error::file(&path));
        let sha256 = digest_of(open()?).map_err(Error::file(&path))?;
        let staging = self.staging(agreement, &record)?;
        self.observer
            .begins(&record.redacted_file_name(), record.size);
        self.observer.downloaded(record.size);
        let rows = |rows| self.observer.scanned(rows);
        let staged = match &staging {
            Some(staging) => stage(scan, open()?, staging, rows),
            None => examine(scan, open()?, rows),
        };
        self.observer.ends();
        let scanned = Scanned {
            record,
            sha256,
            staged,
            staging,
        };
        self.publish_or_set_aside(agreement, scanned, connection)
    }

    /// Returns a new directory for the tables of the unrestricted dataset; `None` if the agreement publishes to tenants
    /// only, or no deliveries.
    fn staging(&self, agreement: &Agreement, record: &Record) -> Result<Option<PathBuf>, Error> {
        let wanted = agreement.unrestricted.as_ref();
        let wanted = wanted.filter(|_| self.store.publish.deliveries);
        let staging = wanted.map(|_| {
            self.dataset
                .staging(agreement.name.as_str(), &record.transfer_uuid)
        });
        staging.transpose()
    }

    fn publish_or_set_aside(
        &mut self,
        agreement: &'a Agreement,
        scanned: Scanned,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        let now = (self.now)();
        let Scanned {
            record,
            sha256,
            staged,
            staging,
        } = scanned;
        let staged = match staged {
            Ok(staged) => staged,
            Err(error) => {
                let reason = decide::scan_failure(error)?;
                return self.set_aside(&record, &reason);
            }
        };
        self.ledger
            .fetched(record.id, &counts(sha256, &staged.summary), now)?;
        crate::failpoint::reached("fetched");
        let record = self.current(record)?;
        let key = ExtractKey::open(&self.store.state)?;
        let keyed_digest = key.digest(&record.counts.sha256);
        let published = self.ledger.published_with_content(&record, &keyed_digest)?;
        let verdict = scanned_delivery(
            &staged,
            &agreement.accept,
            &record,
            published.as_ref(),
            danish_time(now).date(),
        );
        if let Verdict::SetAside(reason) = verdict {
            return self.set_aside(&record, &reason);
        }
        if agreement.lacks_church_purpose()
            && let Some(reason) = church_without_purpose(&staged.summary, self.connector.catalog())
        {
            return self.set_aside(&record, &reason);
        }
        let newest = match &record.counts.task_number {
            Some(task) => self.ledger.newest_published(&record.agreement, task)?,
            None => None,
        };
        let header = FileHeader::of_delivery(
            &record,
            agreement.unrestricted.is_some(),
            completeness::missing_records(&staged.summary),
            now,
        );
        let erased = self.erased_in(&record, &header)?;
        if self.waits_for_erasure(&record, &header, &erased)? {
            return Ok(());
        }
        match self.keep_with_protections(&record, &header, &erased) {
            Err(Error::Extract(cprflow::Error::Data(error)))
                if error.kind == DataErrorKind::NotSeparable =>
            {
                return self.set_aside(&record, &decide::not_separable(&error));
            }
            kept => kept?,
        }
        let erased = erased.numbers;
        let staged = self.without_erased(&record, staged, staging.as_deref(), &erased)?;
        let tenants = self.tenants.of(&record.agreement);
        if !tenants.is_empty() {
            self.ledger.assign_to_tenants(record.id, &tenants, now)?;
            crate::failpoint::reached("shared-out");
        }
        let remarks = decide::remarks(
            &staged.summary.findings,
            record.production_date(),
            newest.as_deref(),
        );
        match staging {
            Some(staging) => {
                self.publish_unrestricted(agreement, &record, &staged, &staging, remarks)?;
            }
            None => {
                for remark in remarks {
                    tracing::warn!("{remark}");
                }
                self.ledger.published_to_tenants_only(record.id, now)?;
            }
        }
        if !erased.is_empty() {
            // The tenants read the kept extract.
            self.spooled(&record.agreement, &record.transfer_uuid)?
                .remove()?;
        }
        self.tenants.add(record.id)?;
        let record = self.current(record)?;
        match self.may_remove_remote(&record)? {
            true => self.remove_remote(&record, connection),
            false => Ok(()),
        }
    }

    /// Keeps the extract of an accepted delivery in the register, which commits the delivery.
    pub(super) fn keep(
        &mut self,
        record: &Record,
        header: &FileHeader,
        erased: &BTreeSet<Pnr>,
    ) -> Result<(), Error> {
        let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
        let now = (self.now)();
        let Some(extract) = spooled.whole() else {
            return Err(Error::file(self.store.spool())(
                io::ErrorKind::NotFound.into(),
            ));
        };
        let keeper = Keeper {
            connector: self.connector,
            store: self.store,
            stop: self.stop,
            now,
        };
        keeper.keep(self.ledger, record, header, extract, erased)
    }

    /// Publishes the complete delivery in the unrestricted dataset.
    fn publish_unrestricted(
        &mut self,
        agreement: &'a Agreement,
        record: &Record,
        staged: &Staged,
        staging: &Path,
        remarks: Vec<String>,
    ) -> Result<(), Error> {
        let publisher = Publisher {
            connector: self.connector,
            dataset: self.dataset,
            agreement,
            now: (self.now)(),
        };
        let directory = publisher.publish(self.ledger, record, staged, staging)?;
        tracing::info!(directory, records = record.counts.records, "published");
        self.report.published.push(PublishedDelivery {
            agreement: record.agreement.clone(),
            tenant: None,
            file_name: record.redacted_file_name(),
            directory: Path::new(&format!("agreement={}", record.agreement)).join(directory),
            records: record.counts.records,
            persons: record.counts.persons,
            remarks,
        });
        Ok(())
    }

    pub(super) fn set_aside(&mut self, record: &Record, reason: &Reason) -> Result<(), Error> {
        tracing::warn!(code = reason.code, "set aside: {}", reason.message);
        // An earlier run may have kept the extract and was killed then.
        self.ledger.unkeep(record.id)?;
        self.ledger.set_aside(record.id, reason, (self.now)())?;
        crate::failpoint::reached("set-aside");
        self.dataset.clear_staging()
    }

    /// Removes a published delivery from the server, and from the spool if no tenant needs it.
    pub(super) fn remove_remote(
        &mut self,
        record: &Record,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        let lacks_extract = self.lacks_extract(record)?;
        connection.persistently(|inbox| {
            // A try before this one may have removed the data file.
            let current = self.current(record.clone())?;
            remove_published(
                self.connector,
                inbox,
                self.ledger,
                &self.store.state,
                &current,
                lacks_extract,
                (self.now)(),
            )
        })?;
        if !self.ledger.is_needed(record.id)? {
            self.spooled(&record.agreement, &record.transfer_uuid)?
                .remove()?;
            crate::failpoint::reached("spool-removed");
        }
        Ok(())
    }

    /// Removes a file from the server whose transfer is published, if it has the published bytes.
    fn remove_published_again(
        &mut self,
        known: &Record,
        found: &FoundDelivery,
        connection: &mut Connection<'_>,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        let sha256 = connection.persistently(|inbox| Ok(digest(inbox, &found.data.name)?))?;
        let key = ExtractKey::open(&self.store.state)?;
        match published_again(key.is_same(&sha256, &known.counts.sha256)) {
            PublishedCopyAction::ReportReusedTransfer => self.report_reused(found, unclaimed),
            PublishedCopyAction::Remove => {
                tracing::warn!(
                    "removing a file whose transfer is published already: it has the bytes that were published"
                );
                connection.persistently(|inbox| Ok(inbox.remove(&found.data.name)?))?;
                crate::failpoint::reached("copy-removed");
                connection.persistently(|inbox| Ok(inbox.remove(&found.metadata_name)?))
            }
        }
    }

    /// Reports a file whose transfer UUID belongs to another file that came before.
    pub(super) fn report_reused(
        &mut self,
        found: &FoundDelivery,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        self.leave_on_server(found, decide::transfer_reused(), unclaimed)
    }

    /// Reports a delivery that stays on the server for this reason.
    pub(super) fn leave_on_server(
        &mut self,
        found: &FoundDelivery,
        reason: Reason,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        let inbox = self.inbox.to_string();
        self.ledger.record_unclaimed_file(
            &inbox,
            &unclaimed.name(found.data.name.as_str()),
            Some(found.data.stat.size),
            &reason,
            unclaimed.visited,
        )?;
        self.report.strays.push(SkippedFile {
            agreement: Some(found.agreement.to_string()),
            file_name: found.data.name.to_string(),
            transfer_uuid: None,
            reason,
        });
        Ok(())
    }

    /// Sets a delivery aside that disappeared from the server before its download was complete.
    fn set_aside_vanished(&mut self, record: &Record) -> Result<(), Error> {
        self.set_aside(record, &decide::gone_from_server())?;
        Ok(self.ledger.redact_names(record.id)?)
    }

    /// Processes a delivery that was begun and is no longer on the server.
    pub(super) fn process_vanished(
        &mut self,
        agreement: &'a Agreement,
        record: Record,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
        match vanished_delivery(spooled.whole().is_some()) {
            VanishedAction::SetAside(_) => self.set_aside_vanished(&record),
            VanishedAction::PublishFromSpool => {
                // The configuration may have changed since the delivery was begun.
                if let Some(reason) = wrong_routing(agreement, &record) {
                    return self.set_aside(&record, &reason);
                }
                let counts = &record.counts;
                let scan = self.scan(
                    agreement,
                    counts.task_number.as_deref(),
                    counts.production_date.as_deref(),
                )?;
                self.publish_spooled(agreement, record, &spooled, scan, connection)
            }
        }
    }

    /// Returns the scan of a complete delivery.
    pub(super) fn scan(
        &self,
        agreement: &Agreement,
        task_number: Option<&str>,
        production_date: Option<&str>,
    ) -> Result<Scan, Error> {
        let scan = Scan::new(self.connector)
            .check_persons(true)
            .threads(self.store.threads);
        let Some(task_number) = task_number else {
            return Ok(scan);
        };
        let newest = self
            .ledger
            .newest_published(agreement.name.as_str(), task_number)?;
        Ok(match decide::expected_previous(newest, production_date) {
            Some(previous) => scan.expected_previous(previous),
            None => scan,
        })
    }

    /// Reads a record from the ledger again.
    pub(super) fn current(&self, record: Record) -> Result<Record, Error> {
        let found = self.ledger.find(&record.agreement, &record.transfer_uuid)?;
        Ok(found.unwrap_or(record))
    }
}
