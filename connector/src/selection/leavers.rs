//! Who was in scope and no longer is, and why.

use roaring::RoaringTreemap;

use super::filter::{Filter, Kind};
use super::protection::column;
use crate::layout::Column;
use crate::tally::PERSON;

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
    /// Gives each of these persons a reason, the first that fits: a status that ends it, for who fails the filter and
    /// is not kept out by protection alone; the protection that keeps persons out; the first condition that fails.
    pub(super) fn new(
        all: RoaringTreemap,
        statuses: &Statuses,
        kept_out: &RoaringTreemap,
        protected: Option<[&RoaringTreemap; 2]>,
        filter: &Filter,
    ) -> Self {
        let mut left = all.clone();
        let mut by_reason = Vec::new();
        let mut give = |reason, choose: &dyn Fn(&RoaringTreemap) -> RoaringTreemap| {
            let given = choose(&left);
            left -= &given;
            if !given.is_empty() {
                by_reason.push((reason, given));
            }
        };
        for ((_, reason), persons) in STATUSES.into_iter().zip(&statuses.0) {
            give(reason, &|left| {
                let mut given = left & persons;
                given -= kept_out;
                given
            });
        }
        for protected in protected.into_iter().flatten() {
            give(PROTECTED, &|left| left & protected);
        }
        for (kind, meeting) in filter.conditions() {
            let reason = match kind {
                Kind::Municipality => "moved",
                Kind::Age => "age",
                Kind::Status => "status",
                Kind::Event => "event",
                Kind::Number => "not-listed",
            };
            give(reason, &|left| left - meeting);
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
}

/// Persons by the status of their 001, where that can be the reason to leave; in the order of [`STATUSES`].
#[derive(Default)]
pub(super) struct Statuses([RoaringTreemap; STATUSES.len()]);

const STATUS: &Column = column(PERSON, "status");

impl Statuses {
    /// Takes note of a 001.
    pub(super) fn see(&mut self, person: u64, record: &[u8]) {
        let status = record.get(STATUS.start()..STATUS.end());
        let known = STATUSES.iter().zip(&mut self.0);
        for ((code, _), persons) in known {
            if status == Some(*code) {
                persons.insert(person);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (persons, others) in self.0.iter_mut().zip(&other.0) {
            *persons |= others;
        }
    }
}
