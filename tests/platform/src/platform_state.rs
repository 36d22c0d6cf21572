//! The state of the platform: the number of nightly runs, and the subscription of each agreement.
//!
//! The state file is JSON: `[nights, [[agreement UUID, subscription], …]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use cprflow_connector::generate::Day;
use serde::{Deserialize, Serialize};

use crate::delivery_plan::Traits;
use crate::filter::Filters;
use crate::request_validation::{Operation, ServiceCall};
use crate::{Agreement, Error};

/// The state of the platform.
#[derive(Debug, Default)]
pub(crate) struct PlatformState {
    /// The number of completed nightly runs.
    pub(crate) night: u32,
    pub(crate) agreements: Vec<AgreementState>,
}

/// An agreement and its subscription.
#[derive(Debug)]
pub(crate) struct AgreementState {
    pub(crate) agreement: Agreement,
    pub(crate) subscription: SubscriptionState,
}

/// The subscription of an agreement, as it is kept between nightly runs.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct SubscriptionState {
    pub(crate) filters: Filters,
    /// The numbers that the filters covered in the last run, with what the filters saw of the persons.
    #[serde(default)]
    pub(crate) last_covered: BTreeMap<String, Traits>,
    /// The numbers whose full load was postponed.
    pub(crate) backlog: BTreeSet<String>,
    /// The previous production date in the next extract (year, month, day).
    pub(crate) previous: Option<(i32, u32, u32)>,
    /// The name of the last data file.
    pub(crate) last_name: Option<String>,
}

impl SubscriptionState {
    pub(crate) fn previous_day(&self) -> Option<Day> {
        let (year, month, day) = self.previous?;
        Day::new(year, month, day)
    }
}

/// Shows counts instead of person numbers.
impl fmt::Debug for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionState")
            .field("filters", &self.filters)
            .field("last_covered", &self.last_covered.len())
            .field("backlog", &self.backlog.len())
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

/// Why a call is not authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenialReason {
    /// No agreement has this UUID, or it belongs to another municipality.
    UnknownAgreement,
    /// The agreement belongs to another IT system.
    WrongUserSystem,
}

impl PlatformState {
    pub(crate) fn new(agreements: &[Agreement]) -> Self {
        let new_state = |agreement: &Agreement| AgreementState {
            agreement: agreement.clone(),
            subscription: SubscriptionState::default(),
        };
        Self {
            night: 0,
            agreements: agreements.iter().map(new_state).collect(),
        }
    }

    /// Returns the agreement that a call names, if the caller is authorised.
    pub(crate) fn agreement(
        &mut self,
        call: &ServiceCall,
    ) -> Result<&mut AgreementState, DenialReason> {
        let mut agreements = self.agreements.iter_mut();
        let entry = agreements
            .find(|entry| entry.agreement.uuid == call.agreement)
            .ok_or(DenialReason::UnknownAgreement)?;
        if entry.agreement.user_system != call.user_system {
            return Err(DenialReason::WrongUserSystem);
        }
        match entry.agreement.user == call.user {
            true => Ok(entry),
            false => Err(DenialReason::UnknownAgreement),
        }
    }

    /// Reads the state from a file. Ignores unknown agreements; does nothing if the file does not exist.
    pub(crate) fn load(&mut self, path: &Path) -> Result<(), Error> {
        if !path.exists() {
            return Ok(());
        }
        let text = fs::read(path).map_err(Error::file(path))?;
        let invalid = |error: serde_json::Error| Error::file(path)(error.into());
        let (night, subscriptions): (u32, Vec<(String, SubscriptionState)>) =
            serde_json::from_slice(&text).map_err(invalid)?;
        self.night = night;
        for (uuid, subscription) in subscriptions {
            let mut agreements = self.agreements.iter_mut();
            if let Some(entry) = agreements.find(|entry| entry.agreement.uuid == uuid) {
                entry.subscription = subscription;
            }
        }
        Ok(())
    }

    /// Writes the state to a file atomically.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let subscriptions: Vec<_> = self
            .agreements
            .iter()
            .map(|entry| (&entry.agreement.uuid, &entry.subscription))
            .collect();
        let text = serde_json::to_vec(&(self.night, subscriptions));
        let text = text.map_err(|error| Error::file(path)(error.into()))?;
        let part = path.with_extension("part");
        fs::write(&part, text).map_err(Error::file(&part))?;
        fs::rename(&part, path).map_err(Error::file(path))
    }
}

impl AgreementState {
    /// Applies an operation to the filters. Returns the value of `Result`; `None` for `GetAllFilters`.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Option<&'static str> {
        let filters = &mut self.subscription.filters;
        Some(match operation {
            Operation::Add(filter) => filters.add(filter.clone()),
            Operation::Remove(filter) => filters.remove(filter),
            Operation::RemoveAll(group) => filters.remove_all(*group),
            Operation::GetAllFilters => return None,
        })
    }
}
