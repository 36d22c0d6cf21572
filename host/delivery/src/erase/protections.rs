//! Persons whom the records of erased persons protected: `<state>/erased-protections/<agreement>`, one line for each number
//! with the production date of the newest extract that said it.
//!
//! A record of one person can protect another one: the address of a relative (031-033), a tie of two numbers, a damaged line.
//! Once it is erased, nothing in the register says so any more. The protection counts until the agreement delivers the other
//! person again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::extracts::{State, applied, column, has_number};
use super::persons::ErasedPersons;
use crate::config::Store;
use crate::error::Error;
use crate::fs::{entries, private_directory, remove_file, sync_directory, write_private_file};
use crate::ledger::Ledger;
use crate::register::Register;
use cprflow::{Connector, ExtractPlace, Pnr, Scan, StateScan};

/// The directory of the lists in a state directory.
pub(super) const DIRECTORY: &str = "erased-protections";

/// The persons of an agreement who are protected, each with the day of the newest extract that said it.
type Protections = BTreeMap<Pnr, String>;

/// Adds everybody whom an agreement's kept extracts protect, if one of them has a person who is to be erased.
///
/// Some of them are protected by other records too. Those can change without the person being delivered again, so all of them
/// are kept. `gone` are the erased persons who are in no extract any more.
pub(super) fn add_all(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    persons: &ErasedPersons,
    gone: &BTreeSet<Pnr>,
) -> Result<(), Error> {
    let register = Register::of(&store.state);
    let mut agreements = BTreeMap::new();
    for kept in applied(store, ledger)? {
        let name = kept.agreement.clone();
        agreements.entry(name).or_insert_with(Vec::new).push(kept);
    }
    for (agreement, extracts) in agreements {
        let mut has_erased = false;
        for kept in &extracts {
            has_erased = has_erased
                || has_number(
                    &register.path(kept),
                    &persons.in_extract(&kept.production_date),
                )?;
        }
        let Some(newest) = extracts.first().filter(|_| has_erased) else {
            continue;
        };
        let day = newest.production_date.clone();
        let state = State::new(&register, extracts);
        let protected = protected(connector, state.places(), state.open())?;
        add(&store.state, &agreement, &protected - gone, &day)?;
    }
    Ok(())
}

/// Adds everybody whom one extract protects, before erased persons are left out of it. `gone` are those of them who are in no
/// extract any more.
pub(crate) fn add_of_extract<R: Read + Send + 'static>(
    connector: &Connector,
    state: &Path,
    place: ExtractPlace,
    gone: &BTreeSet<Pnr>,
    extract: R,
) -> Result<(), Error> {
    let (agreement, day) = (place.agreement.clone(), place.production_date.clone());
    let protected = of_extract(connector, place, extract)?;
    add(state, &agreement, &protected - gone, &day)
}

/// Ends the protections of persons whom an agreement delivers again.
pub(crate) fn end_delivered<R: Read>(
    connector: &Connector,
    state: &Path,
    agreement: &str,
    production_date: &str,
    extract: impl FnOnce() -> io::Result<R>,
) -> Result<(), Error> {
    let mut all = read(state, agreement)?;
    if all.values().all(|day| day.as_str() >= production_date) {
        return Ok(());
    }
    let before = all.len();
    let scan = Scan::new(connector).table("person").columns(["pnr"]);
    for batch in scan.read_all(extract().map_err(cprflow::Error::Input)?)? {
        let batch = match batch {
            Ok(batch) => batch,
            // What follows the damage is not published either.
            Err(cprflow::Error::Data(_)) => break,
            Err(error) => return Err(error.into()),
        };
        for number in column(&batch.batch) {
            if all
                .get(&number)
                .is_some_and(|day| day.as_str() < production_date)
            {
                all.remove(&number);
            }
        }
    }
    match all.len() < before {
        true => write(state, agreement, &all),
        false => Ok(()),
    }
}

/// Returns the persons who are protected in these agreements.
pub(crate) fn numbers<'a>(
    state: &Path,
    agreements: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut numbers = BTreeSet::new();
    for agreement in agreements {
        numbers.extend(read(state, agreement)?.into_keys());
    }
    Ok(numbers)
}

/// Returns a digest of the persons; `None` if there are none.
pub(crate) fn digest(numbers: &BTreeSet<Pnr>) -> Option<String> {
    let text: String = numbers.iter().map(Pnr::as_str).collect();
    (!numbers.is_empty()).then(|| base16ct::lower::encode_string(&sha2::Sha256::digest(text)))
}

/// Takes erased persons out of all lists.
pub(super) fn remove_numbers(state: &Path, erased: &BTreeSet<Pnr>) -> Result<(), Error> {
    for path in entries(&state.join(DIRECTORY))? {
        let agreement = path.file_name().unwrap_or_default().to_string_lossy();
        let mut all = read(state, &agreement)?;
        let before = all.len();
        all.retain(|number, _| !erased.contains(number));
        if all.len() < before {
            write(state, &agreement, &all)?;
        }
    }
    Ok(())
}

/// Gives the list of an agreement the agreement's new name.
pub(crate) fn rename(state: &Path, old: &str, new: &str) -> Result<(), Error> {
    let to = path(state, new);
    match fs::rename(path(state, old), &to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file(to)(error)),
        Ok(()) => sync_directory(to.parent()),
    }
}

/// Adds the persons in the lists of one state directory to those of another one.
pub(crate) fn merge(from: &Path, into: &Path) -> Result<(), Error> {
    for source in entries(&from.join(DIRECTORY))? {
        let agreement = source.file_name().unwrap_or_default().to_string_lossy();
        let mut all = read(into, &agreement)?;
        for (number, day) in read(from, &agreement)? {
            let known = all.entry(number).or_default();
            *known = std::mem::take(known).max(day);
        }
        write(into, &agreement, &all)?;
    }
    Ok(())
}

/// Removes the list of an agreement.
pub(super) fn remove(state: &Path, agreement: &str) -> Result<(), Error> {
    remove_file(&path(state, agreement))
}

fn protected<R: Read + Send + 'static>(
    connector: &Connector,
    places: Vec<ExtractPlace>,
    open: impl FnMut(&ExtractPlace) -> io::Result<R> + Send + 'static,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut survey = StateScan::new(connector).survey(places, open)?;
    Ok(survey.protected_numbers()?.into_iter().collect())
}

fn of_extract<R: Read + Send + 'static>(
    connector: &Connector,
    place: ExtractPlace,
    extract: R,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut extract = Some(extract);
    protected(connector, vec![place], move |_| {
        extract.take().ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

fn add(state: &Path, agreement: &str, numbers: BTreeSet<Pnr>, day: &str) -> Result<(), Error> {
    let mut all = read(state, agreement)?;
    for number in numbers {
        let known = all.entry(number).or_default();
        *known = std::mem::take(known).max(day.to_owned());
    }
    match all.is_empty() {
        true => Ok(()),
        false => write(state, agreement, &all),
    }
}

fn write(state: &Path, agreement: &str, all: &Protections) -> Result<(), Error> {
    private_directory(&state.join(DIRECTORY))?;
    let lines = all
        .iter()
        .map(|(number, day)| format!("{} {day}\n", number.as_str()));
    write_private_file(
        &path(state, agreement),
        lines.collect::<String>().as_bytes(),
    )
}

fn read(state: &Path, agreement: &str) -> Result<Protections, Error> {
    let path = path(state, agreement);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::file(path)(error)),
    };
    let line = |line: &str| {
        let (number, day) = line.split_once(' ')?;
        Some((number.parse().ok()?, day.to_owned()))
    };
    let all: Option<Protections> = text.lines().map(line).collect();
    all.ok_or_else(|| {
        Error::file(path)(io::Error::new(
            io::ErrorKind::InvalidData,
            "the list of persons whom erased records protected cannot be read. Restore it from a backup",
        ))
    })
}

fn path(state: &Path, agreement: &str) -> PathBuf {
    state.join(DIRECTORY).join(agreement)
}
