//! The file of the list of erased persons, `<state>/erasures`, and its key, `<state>/erasures.key`.
//!
//! A line has the last day of old data and the keyed hash of a number. The last line has the number of lines and a keyed hash of
//! them, so that a list that was cut or changed, or that belongs to another key, is recognised. The ledger has the number of
//! lines that were applied last, so that a lost list and an older one are recognised. Then nothing may be read or published:
//! erased persons could come back.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{EraseError, proof};
use crate::error::Error;
use crate::fs::{sync_directory, write_private_file};
use crate::keyed_hash::{Key, KeyError};
use crate::ledger::Ledger;

/// The name of the file in a state directory.
const FILE_NAME: &str = "erasures";

/// The name of the key's file in a state directory.
pub(super) const KEY_NAME: &str = "erasures.key";

/// The start of the last line.
const END: &str = "end ";

/// The ending of the names under which a list or key is kept that cannot be used any more.
const LOST: &str = ".lost";

const DAMAGED_KEY: &str = "the file is not a key for erased persons. Restore it from a backup: without it, an older extract \
                           could bring erased persons back";

/// What is wrong with a list of erased persons or its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListLoss {
    /// The file is missing.
    Missing,
    /// The list was cut or changed, or the key is not the one of the list.
    Damaged,
    /// The file of the key is not a key.
    NoKey,
    /// The list is an older one.
    Fewer {
        /// The number of lines.
        found: usize,
        /// The number of lines that the ledger knows of.
        expected: usize,
    },
}

impl fmt::Display for ListLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Damaged => f.write_str("was cut or changed, or erasures.key is another key"),
            Self::NoKey => f.write_str("is not a key"),
            Self::Fewer { found, expected } => {
                write!(
                    f,
                    "has {found} of {expected} numbers that the ledger knows of"
                )
            }
        }
    }
}

/// Opens the key of a state directory, and makes it on first use.
pub(super) fn key(state: &Path) -> Result<Key, Error> {
    Key::open(&state.join(KEY_NAME), DAMAGED_KEY)
}

/// Returns the day of each hash.
pub(super) fn read(state: &Path) -> Result<BTreeMap<String, String>, Error> {
    Ok(read_list(state)?.unwrap_or_default())
}

/// Returns the number of lines.
pub(crate) fn count(state: &Path) -> Result<usize, Error> {
    Ok(read(state)?.len())
}

/// Writes the list, durably. Makes the key if there is none.
pub(super) fn write(state: &Path, all: &BTreeMap<String, String>) -> Result<(), Error> {
    let lines = all.iter().map(|(hash, day)| format!("{day} {hash}\n"));
    let mut text: String = lines.collect();
    let last = last_line(&key(state)?, &text, all.len());
    text.push_str(&last);
    write_private_file(&path(state), text.as_bytes())
}

/// Fails if the list or its key is lost, damaged or older than the ledger. Changes nothing.
pub fn check(state: &Path, ledger: &Ledger) -> Result<(), Error> {
    let applied = ledger.erasures_applied()?;
    let expected = applied.as_deref().and_then(count_of);
    let is_known = applied.is_some() || proof::has_numbers(state)?;
    match (read_list(state)?, expected) {
        (None, _) if is_known => Err(lost(path(state), ListLoss::Missing)),
        (Some(days), Some(expected)) if days.len() < expected => {
            let found = days.len();
            Err(lost(path(state), ListLoss::Fewer { found, expected }))
        }
        _ => Ok(()),
    }
}

/// Returns whether an error says that a list or its key is lost.
pub(crate) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Erase(EraseError::ListLost { .. }))
}

/// Begins a new list if [`check`] fails, because a person has said that the old one is lost. What can be read stays in it; what
/// cannot be used is kept under another name.
pub(super) fn begin_again(state: &Path, ledger: &Ledger) -> Result<(), Error> {
    match check(state, ledger) {
        Ok(()) => return Ok(()),
        Err(error) if is_lost(&error) => {}
        Err(error) => return Err(error),
    }
    let days = match read_list(state) {
        Ok(days) => days.unwrap_or_default(),
        Err(error) if is_lost(&error) => {
            put_aside(&path(state))?;
            BTreeMap::new()
        }
        Err(error) => return Err(error),
    };
    match read_key(state) {
        Ok(_) => {}
        Err(error) if is_lost(&error) => put_aside(&state.join(KEY_NAME))?,
        Err(error) => return Err(error),
    }
    write(state, &days)?;
    Ok(ledger.forget_erasures_applied()?)
}

/// Returns what the ledger has of a list that was applied: its digest and the number of lines.
pub(super) fn mark(digest: &str, count: usize) -> String {
    format!("{digest} {count}")
}

/// Returns the number of lines in a mark.
fn count_of(mark: &str) -> Option<usize> {
    mark.rsplit_once(' ')?.1.parse().ok()
}

/// Returns the number of lines of the list that was applied last; `None` if the ledger does not know.
pub(crate) fn count_applied(ledger: &Ledger) -> Result<Option<usize>, Error> {
    Ok(ledger.erasures_applied()?.as_deref().and_then(count_of))
}

/// Reads the list; `None` if the file does not exist. Fails if it is not as it was written with the key.
fn read_list(state: &Path) -> Result<Option<BTreeMap<String, String>>, Error> {
    let path = path(state);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path)(error)),
    };
    let Some((days, lines, last)) = parse(&bytes) else {
        return Err(lost(path, ListLoss::Damaged));
    };
    let key = read_key(state)?.ok_or_else(|| lost(state.join(KEY_NAME), ListLoss::Missing))?;
    match last_line(&key, lines, days.len()) == last {
        true => Ok(Some(days)),
        false => Err(lost(path, ListLoss::Damaged)),
    }
}

/// Reads the key; `None` if the file does not exist.
fn read_key(state: &Path) -> Result<Option<Key>, Error> {
    match Key::read(&state.join(KEY_NAME), DAMAGED_KEY) {
        Err(Error::HashKey(KeyError::Damaged { path, .. })) => Err(lost(path, ListLoss::NoKey)),
        read => read,
    }
}

/// Returns the list in a file, its lines before the last one, and the last line; `None` if it is damaged.
fn parse(bytes: &[u8]) -> Option<(BTreeMap<String, String>, &str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let start = match text.starts_with(END) {
        true => 0,
        false => text.find("\nend ")? + 1,
    };
    let (lines, last) = text.split_at(start);
    let mut days = BTreeMap::new();
    for line in lines.lines() {
        let (day, hash) = line.split_once(' ')?;
        day.parse::<jiff::civil::Date>().ok()?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            return None;
        }
        days.insert(hash.to_owned(), day.to_owned());
    }
    Some((days, lines, last))
}

/// Returns the last line of a list with these lines.
fn last_line(key: &Key, lines: &str, count: usize) -> String {
    let hash = base16ct::lower::encode_string(&key.hash([END, lines]));
    format!("{END}{count} {hash}\n")
}

fn lost(path: PathBuf, loss: ListLoss) -> Error {
    EraseError::ListLost { path, loss }.into()
}

/// Gives a file another name, durably. A file that does not exist is no error.
fn put_aside(path: &Path) -> Result<(), Error> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(LOST);
    match fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => {
            renamed.map_err(Error::file(path))?;
            sync_directory(path.parent())
        }
    }
}

pub(super) fn path(state: &Path) -> PathBuf {
    state.join(FILE_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(state: &Path) -> Option<ListLoss> {
        match read_list(state) {
            Ok(_) => None,
            Err(Error::Erase(EraseError::ListLost { loss, .. })) => Some(loss),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_list_that_is_not_as_it_was_written_is_recognised() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let day = |hash: &str| (hash.repeat(64), "2026-03-05".to_owned());
        let all = BTreeMap::from([day("a"), day("b")]);
        write(state, &all).unwrap();
        assert_eq!(read(state).unwrap(), all);
        let whole = fs::read(path(state)).unwrap();
        for length in 0..whole.len() {
            fs::write(path(state), &whole[..length]).unwrap();
            assert_eq!(loss(state), Some(ListLoss::Damaged), "{length}");
        }
        let text = String::from_utf8(whole.clone()).unwrap();
        let first = text.lines().next().unwrap();
        let changed = [
            text.replace("03-05", "03-04"),
            text.replace(&format!("{first}\n"), ""),
            text.replace("end 2", "end 3"),
            format!("{text}{first}\n"),
        ];
        for text in changed {
            fs::write(path(state), &text).unwrap();
            assert_eq!(loss(state), Some(ListLoss::Damaged), "{text}");
        }
        fs::write(path(state), &whole).unwrap();
        let key = fs::read(state.join(KEY_NAME)).unwrap();
        for (other, expected) in [
            (Some(&[1; 32][..]), Some(ListLoss::Damaged)),
            (Some(&[1; 31][..]), Some(ListLoss::NoKey)),
            (None, Some(ListLoss::Missing)),
            (Some(key.as_slice()), None),
        ] {
            fs::remove_file(state.join(KEY_NAME)).unwrap_or_default();
            if let Some(other) = other {
                fs::write(state.join(KEY_NAME), other).unwrap();
            }
            assert_eq!(loss(state), expected);
        }
    }

    #[test]
    fn the_ledger_knows_of_a_lost_list() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let ledger = Ledger::open(state).unwrap();
        let day = |hash: &str| (hash.repeat(64), "2026-03-05".to_owned());
        check(state, &ledger).unwrap();
        let fewer = BTreeMap::from([day("a")]);
        let all = BTreeMap::from([day("a"), day("b")]);
        write(state, &all).unwrap();
        ledger.set_erasures_applied(&mark("digest", 2)).unwrap();
        check(state, &ledger).unwrap();
        write(state, &fewer).unwrap();
        assert!(is_lost(&check(state, &ledger).unwrap_err()));
        // What can be read stays.
        begin_again(state, &ledger).unwrap();
        check(state, &ledger).unwrap();
        assert_eq!(read(state).unwrap(), fewer);
        ledger.set_erasures_applied(&mark("digest", 1)).unwrap();
        fs::remove_file(state.join(KEY_NAME)).unwrap();
        assert!(is_lost(&check(state, &ledger).unwrap_err()));
        begin_again(state, &ledger).unwrap();
        check(state, &ledger).unwrap();
        assert!(read(state).unwrap().is_empty());
        assert!(state.join("erasures.lost").is_file());
        // A proof is enough.
        ledger.forget_erasures_applied().unwrap();
        fs::remove_file(path(state)).unwrap();
        check(state, &ledger).unwrap();
        fs::write(state.join("erasures.jsonl"), "{\"numbers\":1}\n").unwrap();
        assert!(is_lost(&check(state, &ledger).unwrap_err()));
    }
}
