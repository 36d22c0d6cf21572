//! Keeps the extracts of deliveries in the register, and recovers the register after a run that was killed or a ledger
//! that was lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::config::Store;
use crate::error::Error;
use crate::fs::digest;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{KeptExtract, KeptFile, Ledger, Record};
use crate::names::AgreementName;
use crate::register::{FileHeader, Register, open_file};
use crate::stop::Stop;
use cprflow::{Connector, ExtractCopy, Pnr};

/// Keeps the extracts of deliveries that are accepted.
pub(super) struct Keeper<'a> {
    pub(super) connector: &'a Connector,
    pub(super) store: &'a Store,
    pub(super) stop: &'a Stop,
    pub(super) now: Timestamp,
}

impl Keeper<'_> {
    /// Keeps the extract of a delivery. When this returns, the extract is on the disk and the ledger has its row: the
    /// delivery is applied, whatever happens afterwards. Persons who were erased before are left out.
    pub(super) fn keep(
        &self,
        ledger: &mut Ledger,
        record: &Record,
        header: &FileHeader,
        extract: &Path,
        erased: &BTreeSet<Pnr>,
    ) -> Result<(), Error> {
        let register = Register::of(&self.store.state);
        let known = ledger.kept_extract(record.id)?;
        let is_same = |known: &KeptExtract| {
            known.sha256 == header.sha256
                && known.production_date == header.production_date
                && known.is_unrestricted == header.is_unrestricted
        };
        if let Some(known) = known.filter(is_same)
            && register.is_whole(&known)?
        {
            return Ok(());
        }
        let file = File::open(extract).map_err(Error::file(extract))?;
        let agreement = &record.agreement;
        let kept = match erased.is_empty() {
            true => register.store(agreement, header, file, || self.stop.check())?,
            false => register.store_copy(agreement, header, |sink| {
                let copy = ExtractCopy::new(self.connector).erased(erased);
                copy.copy(file, sink)?;
                Ok(())
            })?,
        };
        crate::failpoint::reached("kept");
        ledger.keep(record, header, &kept, self.now)?;
        crate::failpoint::reached("committed");
        Ok(())
    }
}

/// Adds files of the register to a ledger that does not know them, and then removes the files of deliveries that were not
/// committed.
pub(super) fn recover(store: &Store, ledger: &mut Ledger, now: Timestamp) -> Result<(), Error> {
    let register = Register::of(&store.state);
    let known = ledger.kept_extracts()?;
    let own = store.agreements.iter().chain(&store.others);
    for agreement in own
        .map(|agreement| agreement.name.as_str())
        .chain(store.ended.iter().map(AgreementName::as_str))
    {
        let mut unknown = register.files(agreement)?;
        unknown.retain(|(path, _)| !known.iter().any(|kept| register.path(kept) == *path));
        unknown.sort_by(|(_, one), (_, other)| one.kept.cmp(&other.kept));
        for (path, header) in unknown {
            add(&store.state, ledger, agreement, &path, &header, now)?;
        }
    }
    register.remove_unknown(&ledger.kept_extracts()?)
}

/// Adds a file of the register to the ledger, if it belongs to a published delivery, or to one that the ledger does not
/// know: then the ledger is new.
fn add(
    state: &Path,
    ledger: &mut Ledger,
    agreement: &str,
    path: &Path,
    header: &FileHeader,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(record) = ledger.find(agreement, &header.name)? else {
        ledger.adopt_kept(agreement, header, &describe(path)?, now)?;
        return Ok(());
    };
    let key = ExtractKey::open(state)?;
    let is_same = key.is_same(&header.sha256, &record.counts.sha256);
    if record.state.is_published() && is_same && ledger.kept_extract(record.id)?.is_none() {
        ledger.keep(&record, header, &describe(path)?, now)?;
    }
    Ok(())
}

/// Reads a file of the register to its end, and returns what the ledger stores of it.
fn describe(path: &Path) -> Result<KeptFile, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let file_size = file.metadata().map_err(Error::file(path))?.len();
    let file_sha256 = digest(file).map_err(Error::file(path))?;
    let size = open_file(path).and_then(|mut extract| io::copy(&mut extract, &mut io::sink()));
    Ok(KeptFile {
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        file_size,
        file_sha256,
        size: size.map_err(Error::file(path))?,
    })
}
