//! Deliveries with persons who were erased before.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::InboxRun;
use crate::erase::EraseError;
use crate::erase::known::{self, ErasedInExtract, erased_in};
use crate::erase::persons::ErasedPersons;
use crate::erase::protections;
use crate::erase::ties::{self, LateExtract};
use crate::error::Error;
use crate::fs::{entries, remove_file};
use crate::ledger::{Reason, Record};
use crate::register::{FileHeader, Register, open_file};
use crate::sync::decide;
use crate::sync::report::SkippedFile;
use crate::sync::stage::{Staged, stage};
use cprflow::{ExtractPlace, Pnr, Scan};

impl InboxRun<'_> {
    /// Returns the persons of an extract who were erased on its production date or later.
    pub(super) fn erased_in(
        &self,
        record: &Record,
        header: &FileHeader,
    ) -> Result<ErasedInExtract, Error> {
        let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
        erased_in(
            self.connector,
            &self.store.state,
            &header.production_date,
            || match spooled.whole() {
                Some(path) => File::open(path),
                None => Err(io::ErrorKind::NotFound.into()),
            },
        )
    }

    /// Orders an erasure if an extract ties erased persons to numbers that were not erased. Returns whether the delivery waits
    /// until these are erased too, or is set aside because they cannot be.
    pub(super) fn waits_for_erasure(
        &mut self,
        record: &Record,
        header: &FileHeader,
        erased: &ErasedInExtract,
    ) -> Result<bool, Error> {
        match self.erasure_first(record, header, erased)? {
            None => return Ok(false),
            Some(reason) if reason.code == decide::ERASURE_UNFINISHED => {
                // After an order the run begins again, and the delivery does not wait for another run.
                if !self.has_new_ties {
                    self.report.waiting.push(SkippedFile {
                        agreement: Some(record.agreement.clone()),
                        file_name: record.redacted_file_name(),
                        transfer_uuid: None,
                        reason,
                    });
                }
            }
            Some(reason) => self.set_aside(record, &reason)?,
        }
        Ok(true)
    }

    /// Orders an erasure if an extract ties erased persons to numbers that were not erased. Returns why the extract cannot be
    /// kept before that.
    pub(super) fn erasure_first(
        &mut self,
        record: &Record,
        header: &FileHeader,
        erased: &ErasedInExtract,
    ) -> Result<Option<Reason>, Error> {
        let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
        let Some(path) = spooled.whole().filter(|_| !erased.known.is_empty()) else {
            return Ok(None);
        };
        let late = LateExtract {
            delivery: record.id,
            agreement: &record.agreement,
            production_date: &header.production_date,
            path,
        };
        let tied = ties::find(self.connector, self.store, self.ledger, &late, erased)?;
        if tied.is_empty() {
            return Ok(ties::is_pending(self.ledger)?.then(decide::erasure_unfinished));
        }
        match ties::check(self.connector, self.store, self.ledger, &tied) {
            Err(Error::Erase(error @ EraseError::NotSeparable { .. })) => {
                return Ok(Some(decide::tied_not_separable(&error)));
            }
            checked => checked?,
        }
        tracing::warn!(
            transfer = record.transfer_uuid,
            numbers = tied.len(),
            "an extract that was produced before an erasure tells other numbers of erased persons: they are erased under these \
             numbers too"
        );
        ties::remember(self.store, self.ledger, &tied)?;
        crate::failpoint::reached("erase-tied-remembered");
        self.has_new_ties = true;
        Ok(Some(decide::erasure_unfinished()))
    }

    /// Scans an extract again from the register, if persons were left out there.
    pub(super) fn without_erased(
        &self,
        record: &Record,
        staged: Staged,
        staging: Option<&Path>,
        erased: &BTreeSet<Pnr>,
    ) -> Result<Staged, Error> {
        let kept = self.ledger.kept_extract(record.id)?;
        let (Some(staging), Some(kept), false) = (staging, kept, erased.is_empty()) else {
            return Ok(staged);
        };
        tracing::warn!(
            transfer = record.transfer_uuid,
            persons = erased.len(),
            "persons were left out: they were erased after the extract was produced"
        );
        for file in entries(staging)? {
            remove_file(&file)?;
        }
        let path = Register::of(&self.store.state).path(&kept);
        let extract = open_file(&path).map_err(Error::file(&path))?;
        stage(Scan::new(self.connector), extract, staging, |_| {})
    }

    /// Keeps the extract of an accepted delivery. If erased persons are left out of it, those whom their records protect stay
    /// protected.
    pub(super) fn keep_with_protections(
        &mut self,
        record: &Record,
        header: &FileHeader,
        erased: &ErasedInExtract,
    ) -> Result<(), Error> {
        let state = self.store.state.clone();
        let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
        let open = || match spooled.whole() {
            Some(path) => File::open(path),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let end_delivered = |connector| {
            let day = &header.production_date;
            protections::end_delivered(connector, &state, &record.agreement, day, open)
        };
        if erased.numbers.is_empty() {
            self.keep(record, header, &erased.numbers)?;
            return end_delivered(self.connector);
        }
        let place = ExtractPlace {
            agreement: record.agreement.clone(),
            production_date: header.production_date.clone(),
            sequence: 0,
        };
        let full = open().map_err(Error::file(self.store.spool()))?;
        let all: BTreeSet<Pnr> = erased
            .known
            .keys()
            .chain(&erased.numbers)
            .copied()
            .collect();
        let mut days = known::days(&state, &all)?;
        for number in &all {
            // All data are new about a number that only this extract ties to an erased person.
            days.entry(*number).or_default();
        }
        let persons = ErasedPersons::until(all, days);
        let gone = persons.gone(self.store, self.ledger)?;
        protections::add_of_extract(self.connector, &state, place, &gone, full)?;
        self.keep(record, header, &erased.numbers)?;
        end_delivered(self.connector)?;
        self.end_delivered_later(record, header)
    }

    /// Ends the protections of a late extract for persons whom newer extracts of its agreement have delivered already.
    fn end_delivered_later(&self, record: &Record, header: &FileHeader) -> Result<(), Error> {
        let register = Register::of(&self.store.state);
        for kept in self.ledger.kept_extracts()? {
            let is_later =
                kept.agreement == record.agreement && kept.production_date > header.production_date;
            if is_later && register.is_whole(&kept)? {
                let open = || open_file(&register.path(&kept));
                let (state, day) = (&self.store.state, &kept.production_date);
                protections::end_delivered(self.connector, state, &kept.agreement, day, open)?;
            }
        }
        Ok(())
    }
}
