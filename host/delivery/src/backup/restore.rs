//! Restores a backup.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::{BackedUpStore, BackupError, BackupSummary, erasures, read, rosters};
use crate::config::{Configuration, Store};
use crate::erase::known;
use crate::error::Error;
use crate::fs::{StateLock, entries, exchange, private_directory, remove_file, sync_directory};
use crate::ledger::{Ledger, Record};

/// The ending of the directory, beside the state directory, in which a backup is unpacked.
const UNPACKED: &str = ".restoring";

/// The file in a directory that is not unpacked completely.
const UNFINISHED: &str = ".unfinished";

/// What was restored, or would be.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The backup.
    pub backup: BackupSummary,
    /// The state directories.
    pub stores: Vec<RestoredStore>,
}

/// A state directory that was restored, or would be.
#[derive(Debug, Serialize)]
pub struct RestoredStore {
    /// The state directory.
    pub state: PathBuf,
    /// What the backup has of it.
    #[serde(flatten)]
    pub backup: BackedUpStore,
    /// Where the state directory is now that was replaced; `None` if there was none.
    pub replaced: Option<PathBuf>,
    /// Whether a list of erased persons was found that may be newer than that of the backup.
    pub has_erasures: bool,
    /// The number of deliveries, by agreement, that were published after the backup: their extracts are lost, unless they
    /// are still on the server.
    pub lost: BTreeMap<String, u64>,
    /// The agreements, by tenant, whose next delivery is refused, because the tenant's newest one came after the backup and
    /// its roster is lost.
    pub without_roster: BTreeMap<String, BTreeSet<String>>,
}

/// Reads a whole backup and compares it with its digests. Returns what [`restore`] would do. Changes nothing.
///
/// `erasures` is a directory with the newest list of erased persons, for a state directory that is lost.
pub fn check_backup(
    configuration: &Configuration,
    input: impl Read,
    erasures: Option<&Path>,
) -> Result<Restored, Error> {
    let mut matched = Vec::new();
    let backup = read::read(input, |summary| {
        matched = stores(configuration, summary)?;
        Ok(vec![None; matched.len()])
    })?;
    let restored = matched.iter().zip(&backup.stores).map(|(store, of_store)| {
        let later = published_after(&store.state, backup.made)?;
        let mut sources = erasure_sources(store, erasures);
        Ok(RestoredStore {
            state: store.state.clone(),
            backup: of_store.clone(),
            replaced: None,
            has_erasures: sources.any(|source| known::exists(&source)),
            lost: counts(&later),
            without_roster: BTreeMap::new(),
        })
    });
    let stores = restored.collect::<Result<_, Error>>()?;
    Ok(Restored { backup, stores })
}

/// Restores the state directories of a backup. Those that exist are kept beside the restored ones.
///
/// What was erased after the backup is erased again by the next run. Deliveries that were published after it are known to
/// the restored ledger, so that nothing that their extracts hid is shown.
pub fn restore(
    configuration: &Configuration,
    input: impl Read,
    erasures: Option<&Path>,
    now: Timestamp,
) -> Result<Restored, Error> {
    let mut places = Vec::new();
    let restored = restore_to(&mut places, configuration, input, erasures, now);
    if restored.is_err() {
        // What was unpacked has persons, and is of no use.
        for place in places
            .iter()
            .filter(|place| place.unpacked.join(UNFINISHED).exists())
        {
            read::remove(&place.unpacked)?;
        }
    }
    restored
}

/// Restores the state directories of a backup. `places` gets where each is unpacked.
fn restore_to<'a>(
    places: &mut Vec<Place<'a>>,
    configuration: &'a Configuration,
    input: impl Read,
    erasures: Option<&Path>,
    now: Timestamp,
) -> Result<Restored, Error> {
    let backup = read::read(input, |summary| {
        for store in stores(configuration, summary)? {
            places.push(Place::prepare(store, now)?);
        }
        Ok(places
            .iter()
            .map(|place| Some(place.unpacked.clone()))
            .collect())
    })?;
    crate::failpoint::reached("restore-unpacked");
    let mut stores = Vec::new();
    for (place, of_store) in places.iter().zip(&backup.stores) {
        let mut has_erasures = false;
        if let Some(given) = erasures {
            has_erasures |= erasures::keep(given, &place.unpacked)?;
        }
        for replaced in place.left.iter().chain([&place.store.state]) {
            has_erasures |= erasures::keep_of_replaced(replaced, &place.unpacked)?;
        }
        let later = published_after(&place.store.state, backup.made)?;
        let ledger = Ledger::open(&place.unpacked)?;
        ledger.check()?;
        // Before the deliveries are adopted: the ledger says up to which one the backup has the rosters.
        let replaced = match &place.left {
            // An earlier restore was killed between its two renames.
            Some(left) if !place.store.state.is_dir() => left,
            _ => &place.store.state,
        };
        rosters::keep(place.store, replaced, &place.unpacked, &ledger)?;
        for record in &later {
            ledger.adopt(record)?;
            if let Some(adopted) = ledger.find(&record.agreement, &record.transfer_uuid)?
                && adopted.directory.is_some()
            {
                known::note_adopted(&place.unpacked, &ledger, &adopted, None, now)?;
            }
        }
        ledger.truncate_log()?;
        stores.push(RestoredStore {
            state: place.store.state.clone(),
            backup: of_store.clone(),
            replaced: None,
            has_erasures,
            lost: counts(&later),
            without_roster: BTreeMap::new(),
        });
    }
    for (place, restored) in places.iter().zip(&mut stores) {
        restored.replaced = place.switch()?;
    }
    // Everything is in place. What cannot be read now is named by the next run.
    for (place, restored) in places.iter().zip(&mut stores) {
        restored.without_roster = rosters::missing(place.store).unwrap_or_default();
    }
    Ok(Restored { backup, stores })
}

/// Where a state directory is restored.
struct Place<'a> {
    store: &'a Store,
    /// The directory in which it is unpacked.
    unpacked: PathBuf,
    /// The name for the directory that it replaces.
    aside: PathBuf,
    /// A directory that an earlier restore has left, which was killed.
    left: Option<PathBuf>,
    /// Keeps runs from changing the directory that is replaced.
    _lock: Option<StateLock>,
}

impl<'a> Place<'a> {
    fn prepare(store: &'a Store, now: Timestamp) -> Result<Self, Error> {
        let beside = |ending: &str| {
            let mut name = store.state.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        let unpacked = beside(UNPACKED);
        let aside = beside(&now.strftime(".before-restore-%Y%m%dT%H%M%SZ").to_string());
        let lock = match store.state.is_dir() {
            true => Some(StateLock::take(&store.state)?),
            false => None,
        };
        let mut left = None;
        // A directory without the mark is complete: the one that an earlier restore replaced, or was to put in place.
        if unpacked.join(UNFINISHED).exists() {
            read::remove(&unpacked)?;
        } else if unpacked.exists() {
            let name = free_name(&aside);
            rename(&unpacked, &name)?;
            left = Some(name);
        }
        private_directory(&unpacked)?;
        fs::write(unpacked.join(UNFINISHED), "").map_err(Error::file(&unpacked))?;
        Ok(Self {
            store,
            unpacked,
            aside,
            left,
            _lock: lock,
        })
    }

    /// Puts the directory in place. Returns where the one is that was there before.
    fn switch(&self) -> Result<Option<PathBuf>, Error> {
        let state = &self.store.state;
        sync_below(&self.unpacked)?;
        remove_file(&self.unpacked.join(UNFINISHED))?;
        crate::failpoint::reached("restore-complete");
        if !state.exists() {
            rename(&self.unpacked, state)?;
            return Ok(None);
        }
        let aside = free_name(&self.aside);
        if exchange(&self.unpacked, state)? {
            sync_directory(state.parent())?;
            crate::failpoint::reached("restore-exchanged");
            rename(&self.unpacked, &aside)?;
        } else {
            rename(state, &aside)?;
            crate::failpoint::reached("restore-moved");
            rename(&self.unpacked, state)?;
        }
        Ok(Some(aside))
    }
}

/// Returns the store of the configuration for each state directory in a backup.
fn stores<'a>(
    configuration: &'a Configuration,
    backup: &BackupSummary,
) -> Result<Vec<&'a Store>, Error> {
    let find = |of_store: &BackedUpStore| {
        let is_of = |store: &&Store| {
            let own = store.agreements.iter().map(|agreement| &agreement.name);
            let mut own = own.chain(&store.ended).map(|name| name.as_str());
            own.any(|name| of_store.agreements.iter().any(|one| one == name))
        };
        let mut found = configuration.stores.iter().filter(is_of);
        let agreements = || of_store.agreements.join(", ");
        match (found.next(), found.next()) {
            (Some(store), None) => Ok(store),
            (None, _) => Err(BackupError::UnknownAgreements {
                agreements: agreements(),
            }
            .into()),
            (Some(_), Some(_)) => Err(BackupError::Divided {
                agreements: agreements(),
            }
            .into()),
        }
    };
    let found: Vec<&Store> = backup
        .stores
        .iter()
        .map(find)
        .collect::<Result<_, Error>>()?;
    let states: BTreeSet<&Path> = found.iter().map(|store| store.state.as_path()).collect();
    match states.len() == found.len() {
        true => Ok(found),
        false => {
            let agreements = backup
                .stores
                .iter()
                .flat_map(|store| store.agreements.clone());
            let agreements = agreements.collect::<Vec<_>>().join(", ");
            Err(BackupError::Divided { agreements }.into())
        }
    }
}

/// Returns the directories that may have a newer list of erased persons.
fn erasure_sources(store: &Store, given: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let given = given.map(Path::to_owned);
    given.into_iter().chain([store.state.clone()])
}

/// Returns the deliveries that a state directory knows and that were published after a time.
fn published_after(state: &Path, time: Timestamp) -> Result<Vec<Record>, Error> {
    let Some(ledger) = Ledger::open_to_read(state)? else {
        return Ok(Vec::new());
    };
    let mut records = ledger.all()?;
    records.retain(|record| {
        record.state.is_published() && record.published.unwrap_or(record.updated) > time
    });
    Ok(records)
}

fn counts(records: &[Record]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.agreement.clone()).or_default() += 1;
    }
    counts
}

/// Renames a directory, durably.
fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::file(from))?;
    sync_directory(to.parent())
}

/// Returns the name, or one that is not taken.
fn free_name(wanted: &Path) -> PathBuf {
    let mut name = wanted.to_owned();
    let mut number = 1;
    while name.exists() {
        number += 1;
        let mut next = wanted.to_owned().into_os_string();
        next.push(format!("-{number}"));
        name = next.into();
    }
    name
}

/// Writes the names in a directory and in those below it to the disk.
fn sync_below(directory: &Path) -> Result<(), Error> {
    for path in entries(directory)? {
        if path.is_dir() {
            sync_below(&path)?;
        }
    }
    sync_directory(Some(directory))
}
