//! Takes the extract of a published delivery into the register again, which lacks it.
//!
//! The state directory was restored from an older backup, or a file of the register is gone. If the server still has the
//! delivery, or has it again, its file is the only copy of the extract. It is not removed before the register has it.
//!
//! The steps are durable in this order: the download, the extract in the register, the ledger's record that the server has the
//! files. What follows is the same as for every published delivery.

use std::fs::File;

use super::InboxRun;
use super::unclaimed::UnclaimedNames;
use crate::agreement::Agreement;
use crate::error::Error;
use crate::fs::digest;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{Reason, Record};
use crate::register::{FileHeader, Register};
use crate::spool::Spooled;
use crate::sync::completeness;
use crate::sync::connection::Connection;
use crate::sync::decide::{self, wrong_routing};
use crate::sync::discover::FoundDelivery;
use crate::sync::download::{Fetch, Fetched};
use crate::sync::publish::counts;
use crate::sync::report::SkippedFile;
use crate::sync::stage::{Staged, examine};
use cprflow::DataErrorKind;

/// An extract in the spool that was scanned.
struct Examined {
    /// The SHA-256 of the extract, in hexadecimal.
    sha256: String,
    /// The result of the scan.
    staged: Result<Staged, Error>,
}

impl<'a> InboxRun<'a> {
    /// Returns whether the register lacks the extract of a published delivery, and no person has accepted that.
    pub(super) fn lacks_extract(&self, record: &Record) -> Result<bool, Error> {
        if let Some(kept) = self.ledger.kept_extract(record.id)? {
            return Ok(!Register::of(&self.store.state).is_whole(&kept)?);
        }
        let missing = self.ledger.missing_in_register()?;
        Ok(missing.iter().any(|missing| missing.id == record.id))
    }

    /// Takes the extract of a published delivery from the server into the register, and then removes it from the server.
    ///
    /// A file that has other bytes than those that were published stays on the server, and so does one that cannot be kept.
    pub(super) fn keep_again(
        &mut self,
        agreement: &'a Agreement,
        known: &Record,
        found: &FoundDelivery,
        connection: &mut Connection<'_>,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        let facts = found.facts();
        let arrived = Record {
            file_name: facts.file_name.clone(),
            metadata_name: facts.metadata_name.clone(),
            size: facts.size,
            modified: facts.modified,
            sender: facts.sender.clone(),
            routing: facts.routing.clone(),
            ..known.clone()
        };
        if let Some(reason) = wrong_routing(agreement, &arrived) {
            return self.report_not_kept(found, &reason, unclaimed);
        }
        let spooled = self.spooled(&known.agreement, &known.transfer_uuid)?;
        let key = ExtractKey::open(&self.store.state)?;
        let is_published = |sha256: &str| key.is_same(sha256, &known.counts.sha256);
        let in_spool = self.examine_spooled(agreement, &spooled)?;
        let examined = match in_spool.filter(|examined| is_published(&examined.sha256)) {
            Some(examined) => examined,
            None => match self.download_again(agreement, found, &spooled, connection)? {
                Some(examined) => examined,
                None => return Ok(()),
            },
        };
        if !is_published(&examined.sha256) {
            spooled.remove()?;
            return self.report_reused(found, unclaimed);
        }
        let kept = match examined.staged {
            Ok(staged) => self.keep_examined(agreement, &arrived, examined.sha256, &staged)?,
            Err(error) => Err(decide::scan_failure(error)?),
        };
        if let Err(reason) = kept {
            if !self.ledger.is_needed(known.id)? {
                spooled.remove()?;
            }
            return self.report_not_kept(found, &reason, unclaimed);
        }
        self.ledger.back_on_server(known.id, &facts, (self.now)())?;
        crate::failpoint::reached("kept-again");
        tracing::info!(
            "the register lacked the extract of a published delivery, and has taken it from the server"
        );
        let record = self.current(arrived)?;
        match self.may_remove_remote(&record)? {
            true => self.remove_remote(&record, connection),
            false => Ok(()),
        }
    }

    /// Returns the extract that an earlier run has left in the spool, if it is complete. A part of one is removed: it can be of
    /// another file.
    fn examine_spooled(
        &self,
        agreement: &Agreement,
        spooled: &Spooled,
    ) -> Result<Option<Examined>, Error> {
        let Some(path) = spooled.whole() else {
            spooled.remove()?;
            return Ok(None);
        };
        let open = || File::open(path).map_err(Error::file(path));
        let sha256 = digest(open()?).map_err(Error::file(path))?;
        let scan = self.scan(agreement, None, None)?;
        let staged = examine(scan, open()?, |_| {});
        Ok(Some(Examined { sha256, staged }))
    }

    /// Downloads the extract into the spool; `None` if it changed or disappeared meanwhile.
    fn download_again(
        &mut self,
        agreement: &Agreement,
        found: &FoundDelivery,
        spooled: &Spooled,
        connection: &mut Connection<'_>,
    ) -> Result<Option<Examined>, Error> {
        spooled.remove()?;
        let scan = self.scan(agreement, None, None)?;
        self.observer
            .begins(&found.data.name.to_string(), found.data.stat.size);
        let fetch = Fetch {
            found,
            spooled,
            from: 0,
            staging: None,
            // It is read again to be kept.
            is_read_once: false,
            observer: self.observer,
            stop: self.stop,
        };
        let fetched = fetch.run(connection, scan);
        self.observer.ends();
        match fetched? {
            Fetched::Whole { sha256, staged } => Ok(Some(Examined {
                sha256,
                staged: *staged,
            })),
            Fetched::Vanished => Ok(None),
            Fetched::Changed(reason) => {
                self.report.waiting.push(SkippedFile {
                    agreement: Some(agreement.name.to_string()),
                    file_name: found.data.name.to_string(),
                    transfer_uuid: None,
                    reason,
                });
                Ok(None)
            }
        }
    }

    /// Keeps an extract that has the published bytes. The inner error is why it cannot be kept.
    fn keep_examined(
        &mut self,
        agreement: &Agreement,
        arrived: &Record,
        sha256: String,
        staged: &Staged,
    ) -> Result<Result<(), Reason>, Error> {
        if let Some(broken) = &staged.broken {
            return Ok(Err(Reason::new(broken.kind.code(), broken.to_string())));
        }
        let mut counts = counts(sha256, &staged.summary);
        // The day of the delivery's place in the order, which a person may have given.
        let date = arrived.counts.production_date.clone();
        counts.production_date = date.or(counts.production_date);
        let record = Record {
            counts,
            ..arrived.clone()
        };
        if record.production_date().is_none() {
            let why = "the extract has no production date";
            return Ok(Err(Reason::new(decide::NO_PRODUCTION_DATE, why)));
        }
        let before = self.ledger.kept_extract(record.id)?;
        let is_unrestricted = match before {
            Some(before) => before.is_unrestricted,
            // Without published deliveries, no directory tells who got it.
            None => {
                record.directory.is_some()
                    || !self.store.publish.deliveries && agreement.unrestricted.is_some()
            }
        };
        let header = FileHeader::of_delivery(
            &record,
            is_unrestricted,
            completeness::missing_records(&staged.summary),
            (self.now)(),
        );
        let erased = self.erased_in(&record, &header)?;
        // An erasure that is not complete may wait for this very extract, which is kept without the persons.
        if let Some(reason) = self.erasure_first(&record, &header, &erased)?
            && (self.has_new_ties || reason.code != decide::ERASURE_UNFINISHED)
        {
            return Ok(Err(reason));
        }
        match self.keep_with_protections(&record, &header, &erased) {
            Err(Error::Extract(cprflow::Error::Data(error)))
                if error.kind == DataErrorKind::NotSeparable =>
            {
                return Ok(Err(decide::not_separable(&error)));
            }
            kept => kept?,
        }
        if !erased.numbers.is_empty() {
            // The tenants read the kept extract.
            self.spooled(&record.agreement, &record.transfer_uuid)?
                .remove()?;
        }
        Ok(Ok(()))
    }

    /// Reports that the extract of a published delivery is not taken into the register, which lacks it.
    fn report_not_kept(
        &mut self,
        found: &FoundDelivery,
        why: &Reason,
        unclaimed: &mut UnclaimedNames,
    ) -> Result<(), Error> {
        let reason = Reason::new(
            decide::NOT_KEPT,
            format!(
                "the register lacks the extract of this published delivery, and it cannot be taken from this file, which stays \
                 on the server ({}): {}",
                why.code, why.message
            ),
        );
        self.leave_on_server(found, reason, unclaimed)
    }
}
