//! The persons who are protected from a tenant now: what its older deliveries were compared with.
//!
//! The file is `<state>/hidden/<tenant>.numbers`. It holds person numbers, so only its owner may read it. The ledger has, for
//! each of the tenant's deliveries, the version of the list with which the delivery was compared last.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::{private_directory, remove_file, write_private_file};
use cprflow::Pnr;

/// The directory of the lists in a state directory.
pub(crate) const DIRECTORY: &str = "hidden";

/// The first word of the file, with the version of its format.
const FORMAT: &str = "cprflow-hidden-1";

/// The mark of a number that the version before did not have.
const ADDED: char = '+';

/// The protected persons of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HiddenPersons {
    /// The version of the list, from 1. It grows when persons are added.
    pub(crate) version: u64,
    /// A digest of the extracts that the list was made from.
    pub(crate) inputs: String,
    /// The numbers.
    pub(crate) numbers: BTreeSet<Pnr>,
    /// Those of them that the version before did not have.
    pub(crate) added: BTreeSet<Pnr>,
    /// Whether the list was made from all extracts. It is not stored.
    pub(crate) is_complete: bool,
}

impl HiddenPersons {
    /// Reads the list of a tenant. Returns `None` if its file is gone or cannot be read as a list.
    pub(crate) fn read(state: &Path, tenant: &str) -> Result<Option<Self>, Error> {
        let path = path(state, tenant);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    /// Writes the list of a tenant, durably.
    pub(crate) fn write(&self, state: &Path, tenant: &str) -> Result<(), Error> {
        let mut text = format!("{FORMAT} {} {}\n", self.version, self.inputs);
        for number in &self.numbers {
            if self.added.contains(number) {
                text.push(ADDED);
            }
            text.push_str(number.as_str());
            text.push('\n');
        }
        private_directory(&state.join(DIRECTORY))?;
        write_private_file(&path(state, tenant), text.as_bytes())
    }

    /// Removes the list of a tenant.
    pub(crate) fn remove(state: &Path, tenant: &str) -> Result<(), Error> {
        remove_file(&path(state, tenant))
    }

    /// Returns the list after this one. The version stays if no person was added.
    pub(crate) fn next(self, inputs: String, numbers: BTreeSet<Pnr>) -> Self {
        let added: BTreeSet<Pnr> = &numbers - &self.numbers;
        match added.is_empty() && self.version > 0 {
            true => Self {
                inputs,
                added: &self.added & &numbers,
                numbers,
                version: self.version,
                is_complete: self.is_complete,
            },
            false => Self {
                version: self.version + 1,
                inputs,
                numbers,
                added,
                is_complete: self.is_complete,
            },
        }
    }

    /// Returns the list without these persons. The next run makes it again from the extracts.
    pub(crate) fn without(self, numbers: &BTreeSet<Pnr>) -> Self {
        Self {
            inputs: String::new(),
            numbers: &self.numbers - numbers,
            added: &self.added - numbers,
            ..self
        }
    }

    /// Returns the persons with whom a delivery is still to be compared that was compared with this version last.
    pub(crate) fn since(&self, version: u64) -> &BTreeSet<Pnr> {
        static NONE: BTreeSet<Pnr> = BTreeSet::new();
        match version {
            known if known == self.version => &NONE,
            known if known > 0 && known + 1 == self.version => &self.added,
            _ => &self.numbers,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, numbers) = text.split_once('\n')?;
        let mut words = first.split(' ');
        if words.next() != Some(FORMAT) {
            return None;
        }
        let mut list = Self {
            version: words.next()?.parse().ok()?,
            inputs: words.next()?.to_owned(),
            ..Self::default()
        };
        for line in numbers.lines() {
            let digits = line.strip_prefix(ADDED);
            let number = digits.unwrap_or(line).parse().ok()?;
            list.numbers.insert(number);
            if digits.is_some() {
                list.added.insert(number);
            }
        }
        Some(list)
    }
}

fn path(state: &Path, tenant: &str) -> PathBuf {
    state.join(DIRECTORY).join(format!("{tenant}.numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(digits: &[&str]) -> BTreeSet<Pnr> {
        digits.iter().map(|one| one.parse().unwrap()).collect()
    }

    #[test]
    fn a_version_has_what_was_added() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(HiddenPersons::read(state.path(), "one").unwrap(), None);
        let none = HiddenPersons::default().next("a".to_owned(), BTreeSet::new());
        assert_eq!(none.version, 1);
        let one = none.next("b".to_owned(), numbers(&["0101010010"]));
        let two = one
            .clone()
            .next("c".to_owned(), numbers(&["0101010010", "0101010029"]));
        assert_eq!((one.version, two.version), (2, 3));
        assert_eq!(*two.since(3), BTreeSet::new());
        assert_eq!(*two.since(2), numbers(&["0101010029"]));
        for long_ago in [0, 1] {
            assert_eq!(*two.since(long_ago), two.numbers);
        }
        two.write(state.path(), "one").unwrap();
        let read = HiddenPersons::read(state.path(), "one").unwrap();
        assert_eq!(read, Some(two.clone()));
        let fewer = two.next("d".to_owned(), numbers(&["0101010029"]));
        assert_eq!((fewer.version, fewer.inputs.as_str()), (3, "d"));
        assert_eq!(*fewer.since(2), numbers(&["0101010029"]));
        fs::write(path(state.path(), "one"), "cprflow-hidden-1 3 d\n010101").unwrap();
        assert_eq!(HiddenPersons::read(state.path(), "one").unwrap(), None);
        HiddenPersons::remove(state.path(), "one").unwrap();
        HiddenPersons::remove(state.path(), "one").unwrap();
    }
}
