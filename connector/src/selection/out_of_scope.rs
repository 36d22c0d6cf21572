//! Finds why persons have left the scope.

use roaring::RoaringTreemap;

use super::protection::column;
use crate::layout::Column;
use crate::policy::{ConditionKind, PersonMatcher};
use crate::record::PERSON;

/// The persons who have left the scope, by reason.
#[derive(Clone, Default)]
pub(crate) struct Leavers {
    all: RoaringTreemap,
    by_reason: Vec<(&'static str, RoaringTreemap)>,
}

/// The statuses (001) that end a person's membership of the scope, and the reason for each. The first that applies is
/// used.
const STATUSES: [(&[u8], &str); 6] = [
    (b"90", "dead"),
    (b"80", "emigrated"),
    (b"70", "disappeared"),
    (b"60", "number-changed"),
    (b"50", "number-deleted"),
    (b"30", "number-annulled"),
];

/// The reason for a person who left because of a new protection.
const PROTECTED: &str = "protected";

impl Leavers {
    /// Gives each person in `all` the first reason that applies.
    ///
    /// The reasons are, in order: a status that ends the membership (not for persons in `excluded`, whom only their
    /// protection keeps out); the protection; the first condition that the person does not meet.
    pub(super) fn new(
        all: RoaringTreemap,
        statuses: &PersonStatuses,
        excluded: &RoaringTreemap,
        protected: Option<[&RoaringTreemap; 2]>,
        filter: &PersonMatcher,
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
                given -= excluded;
                given
            });
        }
        for protected in protected.into_iter().flatten() {
            give(PROTECTED, &|left| left & protected);
        }
        for (kind, meeting) in filter.conditions() {
            let reason = match kind {
                ConditionKind::Municipality => "moved",
                ConditionKind::Age => "age",
                ConditionKind::Status => "status",
                ConditionKind::Event => "event",
                ConditionKind::Number => "not-listed",
            };
            give(reason, &|left| left - meeting);
        }
        Self { all, by_reason }
    }

    /// Returns all persons who have left.
    pub(crate) fn all(&self) -> &RoaringTreemap {
        &self.all
    }

    /// Returns why a person has left.
    pub(crate) fn reason(&self, person: u64) -> Option<&'static str> {
        let mut reasons = self.by_reason.iter();
        let found = reasons.find(|(_, persons)| persons.contains(person));
        found.map(|(reason, _)| *reason)
    }
}

/// Persons by the status of their 001, in the order of [`STATUSES`].
#[derive(Default)]
pub(super) struct PersonStatuses([RoaringTreemap; STATUSES.len()]);

const STATUS: &Column = column(PERSON, "status");

impl PersonStatuses {
    /// Reads the status from a 001.
    pub(super) fn add_record(&mut self, person: u64, record: &[u8]) {
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
