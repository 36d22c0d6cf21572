//! Rewrites old extracts without the records that newer extracts have replaced.
//!
//! The current tables stay the same. The new file is on the disk before the ledger names it, and
//! the old file is removed afterwards.

use std::io;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Store;
use crate::error::Error;
use crate::fs::remove_file;
use crate::ledger::{KeptExtract, Ledger};
use crate::register::{Register, open_file};
use crate::stop::{CheckedWriter, Stop};
use cprflow::{Connector, ExtractCopy, ExtractPlace, StateScan};

/// An extract that was rewritten.
#[derive(Debug, Clone, Serialize)]
pub struct CompactedExtract {
    /// The name of the agreement.
    pub agreement: String,
    /// The day that orders the extracts, `YYYY-MM-DD`.
    pub production_date: String,
    /// The number of records that were left out.
    pub left_out: u64,
    /// The size of the file before, in bytes.
    pub before: u64,
    /// The size of the file now, in bytes.
    pub after: u64,
}

/// Rewrites extracts of a store.
pub(super) fn compact(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    extracts: &[KeptExtract],
    stop: &Stop,
    now: Timestamp,
) -> Result<Vec<CompactedExtract>, Error> {
    let mut compacted = Vec::new();
    if extracts.is_empty() {
        return Ok(compacted);
    }
    let register = Register::of(&store.state);
    let state = State::of(&register, ledger.applied_extracts()?);
    let mut survey = StateScan::new(connector).survey(state.places(), state.open())?;
    for (index, kept) in state.extracts.iter().enumerate() {
        if !extracts.iter().any(|due| due.id == kept.id) {
            continue;
        }
        stop.check()?;
        let superseded = survey.superseded_persons(index)?;
        let copy = ExtractCopy::new(connector).superseded(superseded);
        match rewrite(&register, ledger, kept, copy, stop, now) {
            Ok(one) => compacted.push(one),
            Err(Error::Extract(cprflow::Error::Data(error))) => {
                // Persons cannot be told apart in the extract, so all of it stays. It is tried again after the same time.
                tracing::warn!(agreement = kept.agreement, file = kept.file, %error, "an old extract is kept whole");
                ledger.postpone_compaction(kept.id, now)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(compacted)
}

/// Writes a copy of an extract in place of it.
fn rewrite(
    register: &Register,
    ledger: &Ledger,
    kept: &KeptExtract,
    copy: ExtractCopy,
    stop: &Stop,
    now: Timestamp,
) -> Result<CompactedExtract, Error> {
    let old = register.path(kept);
    let mut left_out = 0;
    let stored = register.rewrite(kept, |sink| {
        let input = open_file(&old).map_err(Error::file(&old))?;
        let report = copy.copy(input, CheckedWriter { sink, stop })?;
        left_out = report.records_left_out();
        Ok(())
    })?;
    crate::failpoint::reached("compacted");
    ledger.replace_kept(kept.id, &stored, now)?;
    crate::failpoint::reached("compacted-recorded");
    remove_file(&old)?;
    Ok(CompactedExtract {
        agreement: kept.agreement.clone(),
        production_date: kept.production_date.clone(),
        left_out,
        before: kept.file_size,
        after: stored.file_size,
    })
}

/// The extracts of a store, newest first.
struct State {
    register: Register,
    extracts: Vec<KeptExtract>,
}

impl State {
    fn of(register: &Register, mut extracts: Vec<KeptExtract>) -> Self {
        extracts.reverse();
        Self {
            register: register.clone(),
            extracts,
        }
    }

    fn places(&self) -> Vec<ExtractPlace> {
        self.extracts.iter().map(place).collect()
    }

    fn open(
        &self,
    ) -> impl FnMut(&ExtractPlace) -> io::Result<Box<dyn io::Read + Send>> + Send + 'static + use<>
    {
        let extracts = self.extracts.iter();
        let paths: Vec<_> = extracts
            .map(|kept| (place(kept), self.register.path(kept)))
            .collect();
        move |wanted| {
            let found = paths.iter().find(|(place, _)| place == wanted);
            let (_, path) = found.ok_or(io::ErrorKind::NotFound)?;
            Ok(Box::new(open_file(path)?))
        }
    }
}

fn place(kept: &KeptExtract) -> ExtractPlace {
    ExtractPlace {
        production_date: kept.production_date.clone(),
        sequence: kept.sequence,
        agreement: kept.agreement.clone(),
    }
}
