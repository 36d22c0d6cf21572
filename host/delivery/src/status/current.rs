//! The status of the register and of the current tables.

use std::path::Path;

use serde::Serialize;

use super::{Remark, StatusReader, action_needed, note};
use crate::dataset::current_generation;
use crate::error::Error;
use crate::integrity::damaged_extracts;
use crate::ledger::{AdoptedDataset, Generation, KeptExtract, Ledger};
use crate::tenant::Tenant;

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
            remarks.push(action_needed(format!(
                "the register has no extract of {} published deliveries, so the current tables cannot be made. Restore the \
                 state directory from a backup. Without a backup, order a new full load (`cprflow subscription reorder`), \
                 and when it has come, run `cprflow register accept-missing {name}`",
                status.missing
            )));
        }
        Ok((status, remarks))
    }

    /// Returns the newest generation of the unrestricted dataset.
    pub(super) fn current(&self, ledger: Option<&Ledger>) -> Result<Option<Generation>, Error> {
        match ledger {
            Some(ledger) => Ok(ledger.generation(AdoptedDataset::Dataset)?),
            None => Ok(None),
        }
    }

    /// Returns the newest generation of a tenant. The ledger of the tenant's first agreement has it.
    pub(super) fn current_of(&self, tenant: &Tenant) -> Result<Option<Generation>, Error> {
        let mut homes = tenant.agreements.iter();
        let home = homes.find_map(|agreement| self.store.registers.get(agreement));
        let ledger = home.map(|home| Ledger::open_to_read(home)).transpose()?;
        let Some(ledger) = ledger.flatten() else {
            return Ok(None);
        };
        Ok(ledger.generation(AdoptedDataset::Tenant(tenant.name.as_str()))?)
    }

    /// Returns a remark if the current tables are not what the ledger says, or could not be made.
    pub(super) fn current_remark(
        &self,
        tenant: Option<&Tenant>,
        dataset: &Path,
        generation: Option<&Generation>,
    ) -> Option<Remark> {
        if !self.store.publish.current {
            return None;
        }
        let generation = generation?;
        let of = match tenant {
            Some(tenant) => format!("tenant {}: ", tenant.name),
            None => String::new(),
        };
        if let Some(error) = &generation.error {
            let what = match generation.is_current {
                true => "are out of date, because newer ones could not be made",
                false => "were withdrawn, because newer ones could not be made",
            };
            return Some(action_needed(format!(
                "{of}the current tables {what}: {error}"
            )));
        }
        if !generation.is_current {
            return Some(action_needed(format!(
                "{of}the current tables were withdrawn. The next `cprflow sync` makes them again"
            )));
        }
        match current_generation(dataset) {
            Ok(Some(number)) if number == generation.number => None,
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
