//! Decides which records of an extract are part of a state.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::columns::Origin;
use crate::layout::{self, Column};
use crate::record::{EVENT, PROTECTION, column_of};
use crate::selection::{ScannedExtract, StateScope};
use crate::value::trimmed_len;

/// The columns that tell one event from another, beside the person.
const EVENT_KEY: [&Column; 3] = [
    column_of(EVENT, "registered"),
    column_of(EVENT, layout::EVENT_CODE),
    column_of(EVENT, layout::DERIVED_MARK),
];

/// The records of a state that a scan returns.
pub(super) struct StateRows {
    scope: Arc<StateScope>,
    /// The open extract; `None` before the first.
    extract: Option<ScannedExtract>,
    /// Digests of the events so far: 8 bytes for each.
    events: Digests,
    /// Digests of the lines so far of persons with several 001 in the open extract.
    lines: Digests,
}

/// A set of digests, which need no further hashing.
type Digests = HashSet<u64, BuildHasherDefault<Unhashed>>;

impl StateRows {
    pub(super) fn new(scope: &Arc<StateScope>) -> Self {
        Self {
            scope: scope.clone(),
            extract: None,
            events: Digests::default(),
            lines: Digests::default(),
        }
    }

    /// Begins an extract.
    pub(super) fn begin(&mut self, extract: ScannedExtract) {
        self.lines = Digests::default();
        self.extract = Some(extract);
    }

    /// Returns the open extract's place in time and its agreement.
    pub(super) fn origin(&self) -> Option<&Origin> {
        self.extract.as_ref().map(|extract| &*extract.origin)
    }

    /// Returns whether the records of a person in the open extract are part of the state, apart from events.
    pub(super) fn is_current(&self, person: u64) -> bool {
        let extract = self.extract.as_ref();
        extract.is_some_and(|extract| extract.current.contains(person))
    }

    /// Returns whether a record is part of the state, and remembers it, because some records are taken once.
    /// `is_current` is what [`is_current`](Self::is_current) has returned for its person.
    pub(super) fn takes(
        &mut self,
        index: usize,
        person: u64,
        record: &[u8],
        is_current: bool,
    ) -> bool {
        if index == EVENT {
            return !self.scope.has_ended(person)
                && self.events.insert(event_digest(person, record));
        }
        let Some(extract) = &self.extract else {
            return false;
        };
        // Protection is the union over the agreements.
        let is_protection = index == PROTECTION && extract.elsewhere.contains(person);
        if !is_current && !is_protection {
            return false;
        }
        if extract.several.is_empty() || !extract.several.contains(person) {
            return true;
        }
        let line = record.get(..trimmed_len(record)).unwrap_or(record);
        self.lines.insert(digest(line))
    }
}

fn event_digest(person: u64, record: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    person.hash(&mut hasher);
    for column in EVENT_KEY {
        let field = record.get(column.start()..).unwrap_or_default();
        let field = field.get(..column.length).unwrap_or(field);
        field.get(..trimmed_len(field)).hash(&mut hasher);
    }
    hasher.finish()
}

fn digest(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

/// A hasher of digests, which are spread already.
#[derive(Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}
