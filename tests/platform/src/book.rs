//! What the platform remembers: nights made, and of each agreement its filters and whom it covers.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use cprflow_connector::generate::Day;
use serde::{Deserialize, Serialize};

use crate::filter::Filters;
use crate::judge::{Call, Operation};
use crate::{Agreement, Error};

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// How many nights were made.
    pub(crate) night: u32,
    pub(crate) standings: Vec<Standing>,
}

/// An agreement and how it stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) agreement: Agreement,
    pub(crate) memory: Memory,
}

/// What is remembered of an agreement.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) filters: Filters,
    /// The numbers that the last night covered.
    pub(crate) covered: BTreeSet<String>,
    /// The numbers whose full load was cut off.
    pub(crate) backlog: BTreeSet<String>,
    /// The production date that the next extract names as the one before: year, month, day.
    pub(crate) previous: Option<(i32, u32, u32)>,
    /// The name of the last data file.
    pub(crate) last_name: Option<String>,
}

impl Memory {
    pub(crate) fn previous_day(&self) -> Option<Day> {
        let (year, month, day) = self.previous?;
        Day::new(year, month, day)
    }
}

/// Masked: it holds numbers.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("filters", &self.filters)
            .field("covered", &self.covered.len())
            .field("backlog", &self.backlog.len())
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

/// Why an agreement may not do what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is no such agreement, or it is another municipality's.
    UnknownAgreement,
    /// It is another IT system's.
    WrongUserSystem,
}

impl Book {
    pub(crate) fn new(agreements: &[Agreement]) -> Self {
        let standing = |agreement: &Agreement| Standing {
            agreement: agreement.clone(),
            memory: Memory::default(),
        };
        Self {
            night: 0,
            standings: agreements.iter().map(standing).collect(),
        }
    }

    /// The agreement that a call is about.
    pub(crate) fn standing(&mut self, call: &Call) -> Result<&mut Standing, Denied> {
        let mut standings = self.standings.iter_mut();
        let standing = standings
            .find(|standing| standing.agreement.uuid == call.agreement)
            .ok_or(Denied::UnknownAgreement)?;
        if standing.agreement.user_system != call.user_system {
            return Err(Denied::WrongUserSystem);
        }
        match standing.agreement.user == call.user {
            true => Ok(standing),
            false => Err(Denied::UnknownAgreement),
        }
    }

    /// The state that a file holds, as far as it is of these agreements; as it is where there is no file.
    pub(crate) fn load(&mut self, path: &Path) -> Result<(), Error> {
        if !path.exists() {
            return Ok(());
        }
        let text = fs::read(path).map_err(Error::file(path))?;
        let invalid = |error: serde_json::Error| Error::file(path)(error.into());
        let (night, memories): (u32, Vec<(String, Memory)>) =
            serde_json::from_slice(&text).map_err(invalid)?;
        self.night = night;
        for (uuid, memory) in memories {
            let mut standings = self.standings.iter_mut();
            if let Some(standing) = standings.find(|standing| standing.agreement.uuid == uuid) {
                standing.memory = memory;
            }
        }
        Ok(())
    }

    /// Writes the state to a file, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let memories: Vec<_> = self
            .standings
            .iter()
            .map(|standing| (&standing.agreement.uuid, &standing.memory))
            .collect();
        let text = serde_json::to_vec(&(self.night, memories));
        let text = text.map_err(|error| Error::file(path)(error.into()))?;
        let part = path.with_extension("part");
        fs::write(&part, text).map_err(Error::file(&part))?;
        fs::rename(&part, path).map_err(Error::file(path))
    }
}

impl Standing {
    /// Carries out a change and gives what `Result` says; none for the operation that changes nothing.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Option<&'static str> {
        let filters = &mut self.memory.filters;
        Some(match operation {
            Operation::Add(filter) => filters.add(filter.clone()),
            Operation::Remove(filter) => filters.remove(filter),
            Operation::RemoveAll(group) => filters.remove_all(*group),
            Operation::GetAllFilters => return None,
        })
    }
}
