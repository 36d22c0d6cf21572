//! Keeps the extracts of deliveries in the register, and recovers the register after a run that was killed or a ledger
//! that was lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::config::Store;
use crate::current::CurrentError;
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
///
/// A damaged file of a lost ledger is added too. It stays, and counts as an extract that was changed: its agreement gets no
/// current tables, because the file can have had protections. See [`damaged`].
pub(super) fn recover(store: &Store, ledger: &mut Ledger, now: Timestamp) -> Result<(), Error> {
    let register = Register::of(&store.state);
    let known = ledger.kept_extracts()?;
    let own = store.agreements.iter().chain(&store.others);
    for agreement in own
        .map(|agreement| agreement.name.as_str())
        .chain(store.ended.iter().map(AgreementName::as_str))
    {
        let mut unknown = register.files(agreement)?;
        // A file that was damaged may have been restored.
        let is_known = |path: &Path| {
            let mut known = known.iter();
            known.any(|kept| !kept.was_damaged() && register.path(kept) == path)
        };
        unknown.retain(|(path, _)| !is_known(path));
        unknown.sort_by(|(_, one), (_, other)| one.kept.cmp(&other.kept));
        for (path, header) in unknown {
            add(&store.state, ledger, agreement, &path, &header, now)?;
        }
    }
    register.remove_unknown(&ledger.kept_extracts()?)
}

/// Returns an error for each file that was damaged when a lost ledger was made again, until the file is restored or a person
/// accepts the loss.
pub(super) fn damaged(ledger: &Ledger) -> Result<Vec<CurrentError>, Error> {
    let kept = ledger.kept_extracts()?.into_iter();
    let damaged = kept.filter(KeptExtract::was_damaged);
    let error = |kept: KeptExtract| CurrentError::ExtractChanged {
        agreement: kept.agreement,
        file: kept.file,
    };
    Ok(damaged.map(error).collect())
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
        let file = describe(path, header)?;
        ledger.adopt_kept(agreement, header, &file, now)?;
        return Ok(());
    };
    let key = ExtractKey::open(state)?;
    let is_same = key.is_same(&header.sha256, &record.counts.sha256);
    let known = ledger.kept_extract(record.id)?;
    let is_wanted = known.as_ref().is_none_or(KeptExtract::was_damaged);
    if record.state.is_published() && is_same && is_wanted {
        let file = describe(path, header)?;
        if known.is_none() || !file.is_damaged() {
            ledger.keep(&record, header, &file, now)?;
        }
    }
    Ok(())
}

/// Reads a file of the register to its end, and returns what the ledger stores of it.
fn describe(path: &Path, header: &FileHeader) -> Result<KeptFile, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let file_size = file.metadata().map_err(Error::file(path))?.len();
    let file_sha256 = digest(file).map_err(Error::file(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let size = open_file(path).and_then(|mut extract| io::copy(&mut extract, &mut io::sink()));
    match size {
        // A file that was cut after its description.
        Ok(0) => Ok(KeptFile::damaged(name.into_owned(), header.size)),
        Ok(size) => Ok(KeptFile {
            file: name.into_owned(),
            file_size,
            file_sha256,
            size,
        }),
        // The disk has failed, and the file may be whole.
        Err(error) if error.raw_os_error().is_some() => Err(Error::file(path)(error)),
        Err(_) => Ok(KeptFile::damaged(name.into_owned(), header.size)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_to_its_end_is_described_as_damaged() {
        let state = tempfile::tempdir().unwrap();
        let register = Register::of(state.path());
        let extract = b"extract";
        let header = FileHeader {
            format: 1,
            name: "one".to_owned(),
            production_date: "2026-03-02".to_owned(),
            task_number: None,
            sha256: "digest".to_owned(),
            is_unrestricted: true,
            incomplete: None,
            file_name: "d".to_owned(),
            metadata_name: "d.metadata".to_owned(),
            size: extract.len() as u64,
            records: [3, 1, 0],
            kept: "2026-03-02T08:00:00Z".to_owned(),
        };
        let stored = register.store("a", &header, &extract[..], || Ok(()));
        let stored = stored.unwrap();
        let path = register.agreement("a").join(&stored.file);
        assert_eq!(describe(&path, &header).unwrap(), stored);
        assert!(!stored.is_damaged());
        let whole = fs::read(&path).unwrap();
        let length = u32::from_le_bytes(whole[4..8].try_into().unwrap());
        let body = 8 + length as usize;
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let last = whole.len() - 1;
        for bytes in [
            &whole[..body],
            &whole[..body + 3],
            &whole[..last],
            flipped.as_slice(),
        ] {
            fs::write(&path, bytes).unwrap();
            let described = describe(&path, &header).unwrap();
            assert!(described.is_damaged(), "{}", bytes.len());
            let expected = KeptFile::damaged(stored.file.clone(), header.size);
            assert_eq!(described, expected, "{}", bytes.len());
        }
        fs::remove_file(&path).unwrap();
        assert!(describe(&path, &header).is_err());
    }
}
