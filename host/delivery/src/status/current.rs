//! The status of the register and of the current tables.

use std::path::Path;

use serde::Serialize;

use super::{Remark, StatusReader, action_needed, note};
use crate::calendar::danish_time;
use crate::dataset::{GenerationManifest, current_generation, generation_directory};
use crate::error::Error;
use crate::integrity::{damaged_extracts, lacking_extracts};
use crate::ledger::{AdoptedDataset, Generation, KeptExtract, Ledger, PolicyChange};
use crate::tenant::Tenant;

/// What a ledger says about the current tables of a dataset.
#[derive(Debug, Default)]
pub(super) struct CurrentStatus {
    /// The newest generation; `None` if there is none.
    pub(super) generation: Option<Generation>,
    /// Why the tables could not be made.
    pub(super) failure: Option<String>,
    /// A change of the tenant's policy that waits for a person.
    pub(super) policy_change: Option<PolicyChange>,
}

impl CurrentStatus {
    fn read(ledger: Option<&Ledger>, place: AdoptedDataset<'_>) -> Result<Self, Error> {
        let Some(ledger) = ledger else {
            return Ok(Self::default());
        };
        let change = place.tenant().map(|tenant| ledger.policy_change(tenant));
        Ok(Self {
            generation: ledger.generation(place)?,
            failure: ledger.current_failure(place)?,
            policy_change: change.transpose()?.flatten(),
        })
    }
}

/// The part of the register that has the extracts of an agreement.
#[derive(Debug, Default, Serialize)]
pub struct RegisterStatus {
    /// The number of kept extracts.
    pub extracts: usize,
    /// The size of the extracts as they were delivered, in bytes.
    pub size: u64,
    /// The size of their files, in bytes.
    pub file_size: u64,
    /// The production date of the oldest extract, `YYYY-MM-DD`.
    pub oldest: Option<String>,
    /// The production date of the newest extract, `YYYY-MM-DD`.
    pub newest: Option<String>,
    /// The number of published deliveries whose extracts the register lacks.
    pub missing: usize,
    /// The names of kept files that are gone or were changed.
    pub damaged: Vec<String>,
}

impl StatusReader<'_> {
    /// Returns the status of the register, and the remarks about it.
    pub(super) fn register(
        &self,
        ledger: Option<&Ledger>,
    ) -> Result<(RegisterStatus, Vec<Remark>), Error> {
        let Some(ledger) = ledger else {
            return Ok((RegisterStatus::default(), Vec::new()));
        };
        let name = self.agreement.name.as_str();
        let mut extracts = ledger.kept_extracts()?;
        extracts.retain(|kept| kept.agreement == name);
        let missing = ledger.missing_in_register()?.into_iter();
        let date = |kept: Option<&KeptExtract>| kept.map(|kept| kept.production_date.clone());
        let status = RegisterStatus {
            extracts: extracts.len(),
            size: extracts.iter().map(|kept| kept.size).sum(),
            file_size: extracts.iter().map(|kept| kept.file_size).sum(),
            oldest: date(extracts.first()),
            newest: date(extracts.last()),
            missing: missing.filter(|record| record.agreement == name).count(),
            damaged: damaged_extracts(&self.store.state, &extracts, self.depth),
        };
        let mut remarks = Vec::new();
        if let Some(first) = status.damaged.first() {
            remarks.push(action_needed(format!(
                "the register is not as it was written: {} of {} extracts are gone or were changed, first {first}. Restore \
                 them from a backup. Without a backup, order a new full load (`cprflow subscription reorder`)",
                status.damaged.len(),
                status.extracts
            )));
        }
        if status.missing > 0 && self.store.publish.current {
            remarks.push(action_needed(lacking_extracts(name, status.missing)));
        }
        Ok((status, remarks))
    }

    /// Returns what is known of the current tables of the unrestricted dataset.
    pub(super) fn current(&self, ledger: Option<&Ledger>) -> Result<CurrentStatus, Error> {
        CurrentStatus::read(ledger, AdoptedDataset::Dataset)
    }

    /// Returns what is known of the current tables of a tenant.
    pub(super) fn current_of(&self, tenant: &Tenant) -> Result<CurrentStatus, Error> {
        let ledger = Ledger::open_to_read(&self.store.state)?;
        let place = AdoptedDataset::Tenant(tenant.name.as_str());
        CurrentStatus::read(ledger.as_ref(), place)
    }

    /// Returns remarks about current tables that are not what the ledger says, or that could not be made.
    pub(super) fn current_remarks(
        &self,
        tenant: Option<&Tenant>,
        dataset: &Path,
        current: &CurrentStatus,
    ) -> Vec<Remark> {
        if !self.store.publish.current {
            return Vec::new();
        }
        let of = match tenant {
            Some(tenant) => format!("tenant {}: ", tenant.name),
            None => String::new(),
        };
        let mut remarks = Vec::new();
        if let Some(generation) = &current.generation {
            if let (Some(day), Some(tenant)) = (&generation.compare_since, tenant) {
                remarks.push(action_needed(format!(
                    "{of}the list of the persons who were in scope was lost, so `out_of_scope` lacks those who left before \
                     {day}. Let the programs that read it compare all their persons with `person`, and then run `cprflow \
                     tenant accept {}`",
                    tenant.name
                )));
            }
            remarks.extend(self.clock_remark(&of, generation));
        }
        if let Some(error) = &current.failure {
            let what = match &current.generation {
                None => "could not be made",
                Some(known) if known.is_current => {
                    "are out of date, because newer ones could not be made"
                }
                Some(_) => "were withdrawn, because newer ones could not be made",
            };
            remarks.push(action_needed(format!(
                "{of}the current tables {what}: {error}"
            )));
        } else if let Some(generation) = &current.generation {
            remarks.extend(self.disk_remark(&of, dataset, generation));
        }
        remarks
    }

    /// Returns a remark if the day of the tables is after the day of the clock: it stays until the clock has reached it.
    fn clock_remark(&self, of: &str, generation: &Generation) -> Option<Remark> {
        let day: jiff::civil::Date = generation.day.parse().ok()?;
        let today = danish_time(self.now).date();
        let days = today.until(day).ok()?.get_days();
        (days > 1).then(|| {
            action_needed(format!(
                "{of}the current tables are of {day}, and the clock says {today}: ages are {days} days ahead. If the clock \
                 is right, run `cprflow sync --accept-clock`; otherwise set the clock"
            ))
        })
    }

    /// Returns a remark if the newest generation is not on the disk as it was made.
    fn disk_remark(&self, of: &str, dataset: &Path, generation: &Generation) -> Option<Remark> {
        if !generation.is_current {
            return Some(action_needed(format!(
                "{of}the current tables were withdrawn. The next `cprflow sync` makes them again"
            )));
        }
        match current_generation(dataset) {
            Ok(Some(number)) if number == generation.number => {
                let directory = generation_directory(dataset, number);
                let damage = GenerationManifest::damage(&directory, self.depth);
                let first = damage.first()?;
                Some(action_needed(format!(
                    "{of}{} of the files in {} are missing or were changed: {first}. Remove {}/current: the next `cprflow \
                     sync` makes the tables again",
                    damage.len(),
                    directory.display(),
                    dataset.display()
                )))
            }
            Ok(Some(number)) if number > generation.number => Some(note(format!(
                "{of}the current tables were just made; the next `cprflow sync` records that"
            ))),
            Ok(_) => Some(action_needed(format!(
                "{of}{}/current is gone or was changed. The next `cprflow sync` makes it again",
                dataset.display()
            ))),
            Err(error) => Some(action_needed(format!("{of}{error}"))),
        }
    }
}
