//! Names of files that cannot be processed, as the ledger stores them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use cprflow_transport::redacted_name;

/// The names of the files of one visit that cannot be processed.
pub(super) struct UnclaimedNames {
    /// The time of the visit.
    pub(super) visited: Timestamp,
    /// How many files have the same redacted name.
    counts: BTreeMap<String, u32>,
}

impl UnclaimedNames {
    /// Creates an empty set of names for a visit at this time.
    pub(super) fn at(visited: Timestamp) -> Self {
        Self {
            visited,
            counts: BTreeMap::new(),
        }
    }

    /// Returns the name under which the ledger stores a file. Digits that can be a person number are redacted; a count
    /// tells several files with the same redacted name apart.
    pub(super) fn name(&mut self, name: &str) -> String {
        let redacted = redacted_name(name);
        let count = self.counts.entry(redacted.clone()).or_default();
        *count += 1;
        match count {
            1 => redacted,
            count => format!("{redacted} ({count})"),
        }
    }
}
