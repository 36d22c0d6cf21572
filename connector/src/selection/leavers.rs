//! Who was in scope and no longer is, and why.

use roaring::RoaringTreemap;

use super::filter::Kind;
use crate::layout;
use crate::layout::Column;

/// Persons who have left, by the reason.
#[derive(Clone, Default)]
pub(crate) struct Leavers {
    all: RoaringTreemap,
    by_reason: Vec<(&'static str, RoaringTreemap)>,
}

/// Statuses (001) that end a person's being in scope, and what is said of it, the first that fits.
const STATUSES: [(&[u8], &str); 6] = [
    (b"90", "dead"),
    (b"80", "emigrated"),
    (b"70", "disappeared"),
    (b"60", "number-changed"),
    (b"50", "number-deleted"),
    (b"30", "number-annulled"),
];

/// What is said of a person who is in scope no longer because of a new protection.
const PROTECTED: &str = "protected";

impl Leavers {
    /// Gives each of these persons a reason, the first that fits: a status that ends it, for who fails the filter;
    /// the protection that keeps persons out; the first condition that fails.
    pub(super) fn new(
        all: RoaringTreemap,
        failing: &[(Kind, RoaringTreemap)],
        statuses: Statuses,
        protected: Option<&RoaringTreemap>,
    ) -> Self {
        let mut left = all.clone();
        let mut by_reason = Vec::new();
        let mut give = |reason, persons: RoaringTreemap| {
            let given = &left & persons;
            left -= &given;
            if !given.is_empty() {
                by_reason.push((reason, given));
            }
        };
        let mut fail = RoaringTreemap::new();
        for (_, persons) in failing {
            fail |= persons;
        }
        for ((_, reason), persons) in STATUSES.into_iter().zip(statuses.0) {
            give(reason, persons & &fail);
        }
        if let Some(protected) = protected {
            give(PROTECTED, protected.clone());
        }
        for (kind, persons) in failing {
            let reason = match kind {
                Kind::Municipality => "moved",
                Kind::Age => "age",
                Kind::Status => "status",
                Kind::Event => "event",
                Kind::Number => "not-listed",
            };
            give(reason, persons.clone());
        }
        Self { all, by_reason }
    }

    /// Everybody who has left.
    pub(crate) fn all(&self) -> &RoaringTreemap {
        &self.all
    }

    /// Why a person has left.
    pub(crate) fn reason(&self, person: u64) -> Option<&'static str> {
        let mut reasons = self.by_reason.iter();
        let found = reasons.find(|(_, persons)| persons.contains(person));
        found.map(|(reason, _)| *reason)
    }

    /// Adds others, whose reasons count where there was none.
    pub(super) fn add(&mut self, other: &Self) {
        for (reason, persons) in &other.by_reason {
            let new = persons - &self.all;
            self.by_reason.push((reason, new));
        }
        self.all |= &other.all;
    }

    /// Takes those out who are there after all.
    pub(super) fn remove(&mut self, persons: &RoaringTreemap) {
        self.all -= persons;
        for (_, left) in &mut self.by_reason {
            *left -= persons;
        }
    }
}

/// Persons by the status of their 001, where that can be the reason to leave; in the order of [`STATUSES`].
#[derive(Default)]
pub(super) struct Statuses([RoaringTreemap; STATUSES.len()]);

impl Statuses {
    /// Takes note of a 001.
    pub(super) fn see(&mut self, person: u64, record: &[u8]) {
        let column = layout::by_name("person").and_then(|table| table.column("status"));
        let range = column.map(|column: &Column| column.start()..column.end());
        let status = range.and_then(|range| record.get(range));
        let known = STATUSES.iter().zip(&mut self.0);
        for ((code, _), persons) in known {
            if status == Some(*code) {
                persons.insert(person);
            }
        }
    }
}
