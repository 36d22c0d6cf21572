//! The lists of persons, extracts in progress and snapshots of a state directory, without the erased persons.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::proof::StoreErasure;
use super::protections;
use crate::config::Store;
use crate::current::{forget_shown, shown_lists};
use crate::error::Error;
use crate::fs::{StateLock, TEMPORARY, entries, remove_file, sync_directory, write_private_file};
use crate::ledger::{Ledger, Record, State};
use crate::register::{Register, open_file};
use crate::sync::numbers_in;
use crate::tenant::hidden::{self, HiddenPersons};
use crate::tenant::policies::{self, KeptPolicies};
use cprflow::{Connector, Limits, Pnr};

/// The files of a state directory that have persons, apart from the kept extracts.
#[derive(Debug, Default)]
pub(crate) struct PersonFiles {
    /// The files, each with those of the numbers that it has.
    pub(crate) found: Vec<(PathBuf, BTreeSet<Pnr>)>,
    /// Files that could not be searched, in words.
    pub(crate) unread: Vec<String>,
}

impl PersonFiles {
    fn add(&mut self, path: &Path, found: Result<BTreeSet<Pnr>, Error>) {
        match found {
            Ok(numbers) if numbers.is_empty() => {}
            Ok(numbers) => self.found.push((path.to_owned(), numbers)),
            // A file can also have been removed by a run meanwhile. What was in it may be elsewhere now.
            // Only some errors name the file.
            Err(error @ Error::File { .. }) => self.unread.push(error.to_string()),
            Err(error) => self.unread.push(format!("{}: {error}", path.display())),
        }
    }
}

/// Finds persons in everything of a state directory that [`clean`] cleans, and in the operator's own lists. Changes nothing.
pub(crate) fn files_with(
    connector: &Connector,
    store: &Store,
    numbers: &BTreeSet<Pnr>,
) -> Result<PersonFiles, Error> {
    let mut files = PersonFiles::default();
    for path in rosters(&store.state)? {
        let found = fs::read(&path).map_err(Error::file(&path));
        let found = found.and_then(|roster| listed_in(connector, &roster, numbers));
        files.add(&path, found);
    }
    for path in shown(&store.state)? {
        files.add(&path, persons_shown(connector, &path, numbers));
    }
    let mut texts = spooled(&store.spool())?;
    texts.extend(snapshots(&store.state)?);
    let directories = [
        hidden::DIRECTORY,
        policies::DIRECTORY,
        protections::DIRECTORY,
    ];
    for directory in directories {
        files_below(&store.state.join(directory), &mut texts)?;
    }
    let lists = store
        .tenants
        .iter()
        .filter_map(|tenant| tenant.numbers.clone());
    texts.extend(lists.filter(|path| path.is_file()));
    texts.sort();
    texts.dedup();
    for path in texts {
        files.add(&path, numbers_of_file(&path, numbers));
    }
    Ok(files)
}

/// Returns those of the numbers that are in a list in the component's format.
fn listed_in(
    connector: &Connector,
    roster: &[u8],
    numbers: &BTreeSet<Pnr>,
) -> Result<BTreeSet<Pnr>, Error> {
    let is_listed = |some: &[Pnr]| -> Result<bool, Error> {
        Ok(connector.roster_without(Limits::default(), roster, some)? != roster)
    };
    let all: Vec<Pnr> = numbers.iter().copied().collect();
    let mut found = BTreeSet::new();
    if is_listed(&all)? {
        for number in all {
            if is_listed(&[number])? {
                found.insert(number);
            }
        }
    }
    Ok(found)
}

/// Returns those of the numbers that are in the lists of what a tenant's newest generation shows.
fn persons_shown(
    connector: &Connector,
    path: &Path,
    numbers: &BTreeSet<Pnr>,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut found = BTreeSet::new();
    for list in shown_lists(path)? {
        found.extend(listed_in(connector, &list, numbers)?);
    }
    Ok(found)
}

/// Counts what [`clean`] would change. Changes nothing.
pub(super) fn survey(
    connector: &Connector,
    store: &Store,
    numbers: &BTreeSet<Pnr>,
    found: &mut StoreErasure,
) -> Result<(), Error> {
    let all: Vec<Pnr> = numbers.iter().copied().collect();
    for path in rosters(&store.state)? {
        let roster = fs::read(&path).map_err(Error::file(&path))?;
        if connector.roster_without(Limits::default(), &roster, &all)? != roster {
            found.lists += 1;
        }
    }
    for path in spooled(&store.spool())? {
        if has_number(&path, numbers)? {
            found.spooled += 1;
        }
    }
    for path in snapshots(&store.state)? {
        if has_number(&path, numbers)? {
            found.snapshots += 1;
        }
    }
    found.other_lists = lists_of_operator(store, numbers)?;
    Ok(())
}

/// Takes the persons out of everything in a state directory except the kept extracts. Every step can be repeated.
///
/// `keeps_fetched` keeps whole extracts of deliveries that are under way: the persons are left out of them when they are
/// accepted, and the server may not have them any more.
pub(super) fn clean(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    numbers: &BTreeSet<Pnr>,
    keeps_fetched: bool,
) -> Result<(), Error> {
    let all: Vec<Pnr> = numbers.iter().copied().collect();
    let rosters = match all.is_empty() {
        true => Vec::new(),
        false => rosters(&store.state)?,
    };
    for path in rosters {
        let roster = fs::read(&path).map_err(Error::file(&path))?;
        let rest = connector.roster_without(Limits::default(), &roster, &all)?;
        if rest != roster {
            write_private_file(&path, &rest)?;
        }
    }
    forget_shown(&store.state)?;
    crate::failpoint::reached("erase-rosters");
    let directories = [
        "rosters",
        "generations",
        hidden::DIRECTORY,
        policies::DIRECTORY,
        protections::DIRECTORY,
    ];
    for directory in directories {
        remove_temporary(&store.state.join(directory))?;
    }
    for tenant in &store.tenants {
        let tenant = tenant.name.as_str();
        if let Some(hidden) = HiddenPersons::read(&store.state, tenant)? {
            let rest = hidden.without(numbers);
            rest.write(&store.state, tenant)?;
        }
        KeptPolicies::new(&store.state, tenant).remove_numbers(numbers)?;
    }
    crate::failpoint::reached("erase-hidden");
    clean_spool(store, ledger, numbers, keeps_fetched)?;
    crate::failpoint::reached("erase-spool");
    let subscriptions = entries(&store.state.join("subscription"))?;
    for directory in subscriptions.iter().filter(|path| path.is_dir()) {
        // The lock removes what a killed command has left there. A command that runs has files of its own.
        match StateLock::take(directory) {
            Err(Error::InUse(_)) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    for path in snapshots(&store.state)? {
        if has_number(&path, numbers)? {
            clean_snapshot(&path, numbers)?;
        }
    }
    Ok(())
}

/// Replaces extracts in progress that have one of the persons. The extract of an applied delivery is replaced by the kept
/// one; others are downloaded again, because the server still has them.
fn clean_spool(
    store: &Store,
    ledger: &Ledger,
    numbers: &BTreeSet<Pnr>,
    keeps_fetched: bool,
) -> Result<(), Error> {
    let register = Register::of(&store.state);
    let records = ledger.all()?;
    for path in spooled(&store.spool())? {
        if !has_number(&path, numbers)? {
            continue;
        }
        let is_of = |record: &&Record| {
            path.file_name().unwrap_or_default()
                == format!("{}.extract", record.transfer_uuid).as_str()
        };
        let published = records
            .iter()
            .filter(is_of)
            .find(|record| record.state.is_published());
        let is_fetched = |record: &Record| record.state == State::Fetched;
        if keeps_fetched && records.iter().filter(is_of).any(is_fetched) {
            continue;
        }
        let kept = match published {
            Some(record) => ledger.kept_extract(record.id)?,
            None => None,
        };
        match kept {
            Some(kept) if register.is_whole(&kept)? => {
                let part = path.with_extension("part");
                copy_private(&register.path(&kept), &part)?;
                fs::rename(&part, &path).map_err(Error::file(&path))?;
            }
            _ => remove_file(&path)?,
        }
        sync_directory(path.parent())?;
    }
    Ok(())
}

fn copy_private(kept: &Path, to: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut extract = open_file(kept).map_err(Error::file(kept))?;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(to)
        .map_err(Error::file(to))?;
    std::io::copy(&mut extract, &mut file)
        .and_then(|_| file.sync_all())
        .map_err(Error::file(to))
}

/// Takes the filters of these persons out of a snapshot of a subscription.
fn clean_snapshot(path: &Path, numbers: &BTreeSet<Pnr>) -> Result<(), Error> {
    let bytes = fs::read(path).map_err(Error::file(path))?;
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let Some(mut snapshot) = parsed else {
        // A damaged snapshot cannot be restored either.
        return remove_file(path);
    };
    if let Some(filters) = snapshot
        .get_mut("filters")
        .and_then(serde_json::Value::as_array_mut)
    {
        filters.retain(|filter| {
            let number = filter.get(1).and_then(serde_json::Value::as_str);
            let number = number.and_then(|digits| digits.parse::<Pnr>().ok());
            number.is_none_or(|number| !numbers.contains(&number))
        });
    }
    let bytes = serde_json::to_vec(&snapshot).map_err(std::io::Error::other);
    write_private_file(path, &bytes.map_err(Error::file(path))?)?;
    match has_number(path, numbers)? {
        true => remove_file(path),
        false => Ok(()),
    }
}

/// Returns the files with persons in scope: those of deliveries and those of generations.
fn rosters(state: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for kind in ["rosters", "generations"] {
        for tenant in entries(&state.join(kind))? {
            let files = entries(&tenant)?.into_iter();
            found.extend(files.filter(|path| {
                let extension = path.extension().unwrap_or_default();
                ["roster", "delivered", "before"]
                    .iter()
                    .any(|own| extension == *own)
            }));
        }
    }
    Ok(found)
}

/// Returns the files with what tenants' newest generations show.
fn shown(state: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for tenant in entries(&state.join("generations"))? {
        let files = entries(&tenant)?.into_iter();
        found.extend(files.filter(|path| path.extension().is_some_and(|own| own == "shown")));
    }
    Ok(found)
}

/// Adds the files in a directory and the directories in it.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for path in entries(directory)? {
        match path.is_dir() {
            true => files_below(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

fn spooled(spool: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for agreement in entries(spool)? {
        found.extend(entries(&agreement)?);
    }
    Ok(found)
}

/// Returns the snapshots of the subscriptions of a state directory, and files of them that a killed run left.
fn snapshots(state: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for agreement in entries(&state.join("subscription"))? {
        found.extend(entries(&agreement.join("snapshots"))?);
    }
    Ok(found)
}

/// Removes what a killed run left half written in a directory and the directories in it.
fn remove_temporary(directory: &Path) -> Result<(), Error> {
    for path in entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            remove_temporary(&path)?;
        } else if name.starts_with(TEMPORARY) || name.ends_with(".part") {
            remove_file(&path)?;
        }
    }
    Ok(())
}

fn has_number(path: &Path, numbers: &BTreeSet<Pnr>) -> Result<bool, Error> {
    Ok(!numbers_of_file(path, numbers)?.is_empty())
}

/// Returns those of the numbers that stand anywhere in a file.
fn numbers_of_file(path: &Path, numbers: &BTreeSet<Pnr>) -> Result<BTreeSet<Pnr>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    numbers_in(file, numbers).map_err(Error::file(path))
}

/// Returns the operator's own lists that name one of the persons. cprflow does not change them.
fn lists_of_operator(store: &Store, numbers: &BTreeSet<Pnr>) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for path in store
        .tenants
        .iter()
        .filter_map(|tenant| tenant.numbers.as_ref())
    {
        if path.is_file() && has_number(path, numbers)? {
            found.push(path.clone());
        }
    }
    Ok(found)
}
