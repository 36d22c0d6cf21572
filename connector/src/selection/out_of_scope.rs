//! Finds why persons have left the scope.

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::layout::Column;
use crate::policy::{ConditionKind, PersonMatcher};
use crate::record::{PERSON, column_of};
use crate::wire::{Reader, Writer};

/// The persons who have left the scope, by reason.
#[derive(Clone, Default)]
pub(crate) struct Leavers {
    all: RoaringTreemap,
    by_reason: Vec<(&'static str, RoaringTreemap)>,
    /// The leavers whose rows in this extract still describe what was in scope.
    ended_in_scope: RoaringTreemap,
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

/// The statuses of [`STATUSES`] that end a membership without new data outside the scope. An emigrant has a new address.
const ENDS_IN_SCOPE: [&str; 5] = [
    "dead",
    "disappeared",
    "number-changed",
    "number-deleted",
    "number-annulled",
];

/// The reason for a person whose subscription has ended (997), and for one who left because of a new protection. A reason of
/// its own would point at protected persons.
const UNSUBSCRIBED: &str = "unsubscribed";

impl Leavers {
    /// Gives each person in `all` the first reason that applies.
    ///
    /// The reasons are, in order: a status that ends the membership (not for persons in `without_status`); the end of the
    /// subscription; the protection; the first condition that the person does not meet. `by_place` are the persons for whom
    /// an event of a place counts.
    ///
    /// A person without a reason has not left: the extract has no readable value that keeps the person out, for example
    /// no municipality, so that it is not known where the person lives.
    pub(super) fn new(
        mut all: RoaringTreemap,
        statuses: &PersonStatuses,
        without_status: &RoaringTreemap,
        unsubscribed: &RoaringTreemap,
        protected: Option<&RoaringTreemap>,
        filter: &PersonMatcher,
        by_place: &RoaringTreemap,
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
                given -= without_status;
                given
            });
        }
        give(UNSUBSCRIBED, &|left| left & unsubscribed);
        if let Some(protected) = protected {
            give(UNSUBSCRIBED, &|left| left & protected);
        }
        for (condition, meeting) in filter.conditions(by_place) {
            let reason = match condition.kind {
                ConditionKind::Municipality => "moved",
                ConditionKind::Age => "age",
                ConditionKind::Status => "status",
                ConditionKind::Event => "event",
                ConditionKind::Number => "not-listed",
            };
            give(reason, &|left| {
                let mut given = left - &*meeting;
                match &condition.failing {
                    Some(failing) => given &= failing,
                    None => given -= &condition.unreadable,
                }
                given
            });
        }
        all -= &left;
        let ends_in_scope = |(reason, _): &&(&str, RoaringTreemap)| ENDS_IN_SCOPE.contains(reason);
        let ended = by_reason.iter().filter(ends_in_scope);
        let mut ended_in_scope =
            ended.fold(RoaringTreemap::new(), |all, (_, persons)| all | persons);
        if let Some(place) = filter.municipality() {
            ended_in_scope &= &place.meeting;
            if let Some(elsewhere) = &place.failing {
                ended_in_scope -= elsewhere;
            }
            // An address that cannot be read may be outside too.
            ended_in_scope -= &place.unreadable;
        }
        Self {
            all,
            by_reason,
            ended_in_scope,
        }
    }

    /// Returns whether a person has left by a status that ends the membership, and the extract has an address of the
    /// person in the municipalities of the scope and none outside. Only then do the person's rows describe the last
    /// state that was in scope.
    pub(crate) fn ended_in_scope(&self, person: u64) -> bool {
        self.ended_in_scope.contains(person)
    }

    /// Creates the leavers of a scan of parts. Such a scan needs to know only these: it has no rows of `out_of_scope`.
    pub(super) fn of_part(ended_in_scope: RoaringTreemap) -> Self {
        Self {
            ended_in_scope,
            ..Self::default()
        }
    }

    /// Returns the leavers whose rows in this extract still describe what was in scope.
    pub(super) fn all_ended_in_scope(&self) -> &RoaringTreemap {
        &self.ended_in_scope
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

const STATUS: &Column = column_of(PERSON, "status");

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

    /// Adds what one extract of a state says of the persons in `current`, and empties the other one.
    pub(super) fn absorb(&mut self, extract: &mut Self, current: &RoaringTreemap) {
        for (persons, of_extract) in self.0.iter_mut().zip(&mut extract.0) {
            let mut of_extract = std::mem::take(of_extract);
            of_extract &= current;
            *persons |= of_extract;
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        self.0
            .iter()
            .try_for_each(|persons| writer.persons(persons))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut read = Self::default();
        for persons in &mut read.0 {
            *persons = reader.persons()?;
        }
        Ok(read)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (persons, others) in self.0.iter_mut().zip(&other.0) {
            *persons |= others;
        }
    }
}
