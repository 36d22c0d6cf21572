//! Makes a generation of current tables, switches to it, and removes older ones.
//!
//! The steps are durable in this order:
//! 1. The tables and their manifest are complete beside the dataset.
//! 2. The persons in scope are stored in the state directory, for a tenant, and which older generations may stay.
//! 3. The directory is renamed into `generations`.
//! 4. `current` is switched to it.
//! 5. Older generations are removed, at once if they may show what is hidden now.
//! 6. The ledger records the generation.
//!
//! A run that was killed after step 4 is completed by the next one. A generation that was never current is removed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::history;
use super::inputs::{Inputs, RegisterSource};
use super::plan::{Clock, OnDisk, Plan, plan};
use super::rosters::GenerationRosters;
use super::tables::{self, WrittenTables};
use crate::calendar::danish_time;
use crate::dataset::{
    CheckDepth, ComponentIdentity, Dataset, GenerationExtract, GenerationManifest,
};
use crate::error::Error;
use crate::ledger::{AdoptedDataset, Generation, KeptExtract, Ledger};
use crate::tenant::Tenant;
use cprflow::{Connector, Policy, PseudonymKey};

/// What a tenant may see.
#[derive(Clone, Copy)]
pub(crate) struct TenantRules<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) policy: &'a Policy,
    /// The digest of the policy.
    pub(crate) policy_digest: &'a str,
    pub(crate) key: Option<&'a PseudonymKey>,
    /// Whether persons in scope of earlier deliveries are compared with those of the first generation, because no
    /// delivery tells any more who left.
    pub(crate) has_deliveries: bool,
}

/// Why the data may be used, for the manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Purposes {
    pub(crate) purposes: BTreeSet<String>,
    pub(crate) legal_bases: BTreeSet<String>,
    pub(crate) church_purposes: BTreeSet<String>,
}

/// The current tables of one dataset.
pub(crate) struct CurrentTables<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) dataset: &'a Dataset,
    /// The state directory whose ledger has the dataset's newest generation.
    pub(crate) home: &'a Path,
    /// The registers of a tenant; empty for the unrestricted dataset.
    pub(crate) sources: &'a [RegisterSource],
    /// Whether a person has said that the clock is right.
    pub(crate) is_clock_accepted: bool,
    /// The tenant's rules; `None` for the unrestricted dataset.
    pub(crate) tenant: Option<TenantRules<'a>>,
    pub(crate) purposes: Purposes,
    /// Whether the unrestricted dataset shows church membership.
    pub(crate) shows_church: bool,
    pub(crate) now: Timestamp,
    /// Whether an erasure is not complete, so that the newest generation may show erased persons.
    pub(crate) may_show_erased: bool,
    /// Is called often. Its error ends the work.
    pub(crate) check: Check,
}

/// A function that fails once the work must stop.
pub(crate) type Check = Arc<dyn Fn() -> Result<(), Error> + Send + Sync>;

impl CurrentTables<'_> {
    /// Makes a new generation if the inputs changed or a new day has begun, and removes old generations. Returns the new
    /// generation; `None` if the newest one is up to date.
    pub(crate) fn update(
        &self,
        ledger: &Ledger,
        inputs: &Inputs,
    ) -> Result<Option<Generation>, Error> {
        let known = self.settle(ledger)?;
        if inputs.is_empty() && known.is_none() {
            return Ok(None);
        }
        // Also if nothing else has changed: an extract that is lost can have had persons who are erased now, and persons are
        // not erased from one that was changed.
        match self.may_show_erased {
            true => inputs.check_whole()?,
            false => inputs.check()?,
        }
        let current = self.dataset.current_generation()?;
        let is_damaged = |number| {
            let directory = self.dataset.generation(number);
            !GenerationManifest::damage(&directory, CheckDepth::Sizes).is_empty()
        };
        let on_disk = OnDisk {
            current,
            highest: self.dataset.generations()?.last().copied(),
            is_damaged: current.is_some_and(is_damaged),
        };
        let clock = Clock {
            today: danish_time(self.now).date(),
            newest: inputs.newest_day(),
            is_accepted: self.is_clock_accepted,
        };
        let Some(plan) = plan(known.as_ref(), on_disk, &inputs.digest, clock)? else {
            if let Some(known) = &known {
                self.remove_older(known.number, &known.inputs, &known.day)?;
                self.remove_lists(known.number, known.compared_with)?;
            }
            ledger.set_generation_error(self.place(), None)?;
            return Ok(None);
        };
        let made = self.make(ledger, inputs, &plan, known.as_ref());
        if made.is_err() {
            // Frees disk space. If this fails, the next run tries again.
            let _ = self.dataset.clear_staged_generations();
        }
        made.map(Some)
    }

    /// Makes a generation and switches to it.
    fn make(
        &self,
        ledger: &Ledger,
        inputs: &Inputs,
        plan: &Plan,
        known: Option<&Generation>,
    ) -> Result<Generation, Error> {
        self.check_policy_change(ledger, inputs)?;
        let rosters = self.rosters();
        let comparison = self.comparison(plan, known)?;
        let staged = self.dataset.stage_generation()?;
        let mut written = tables::write(self, inputs, &plan.day, comparison.roster, &staged)?;
        let manifest = GenerationManifest {
            compared_with: comparison.number,
            compare_since: match comparison.is_lost {
                true => Some(plan.day.clone()),
                false => known.and_then(|known| known.compare_since.clone()),
            },
            ..self.manifest(inputs, plan, &written)
        };
        manifest.write(&staged)?;
        if let (Some(rosters), Some(scope)) = (&rosters, &written.roster) {
            rosters.write(plan.number, scope)?;
        }
        if let Some(tenant) = self.tenant {
            self.judge_older(tenant, inputs, &manifest, &mut written, known)?;
        }
        crate::failpoint::reached("generation-roster");
        (self.check)()?;
        self.dataset.add_generation(&staged, plan.number)?;
        self.dataset.switch_current(plan.number)?;
        self.dataset.clear_staged_generations()?;
        self.complete(ledger, &manifest)
    }

    /// Completes what a run that was killed has begun. Returns the newest generation.
    fn settle(&self, ledger: &Ledger) -> Result<Option<Generation>, Error> {
        self.dataset.clear_staged_generations()?;
        let known = ledger.generation(self.place())?;
        let Some(number) = self.dataset.current_generation()? else {
            return Ok(known);
        };
        if known.as_ref().is_some_and(|known| known.number >= number) {
            return Ok(known);
        }
        let Some(manifest) = GenerationManifest::read(&self.dataset.generation(number))? else {
            return Ok(known);
        };
        let tenant = self.tenant.map(|tenant| tenant.tenant.name.as_str());
        if manifest.number != number || manifest.tenant.as_deref() != tenant {
            return Ok(known);
        }
        let has_roster = match self.rosters() {
            Some(rosters) => rosters.read(number)?.is_some(),
            None => true,
        };
        match (has_roster, &known) {
            (true, _) => self.complete(ledger, &manifest).map(Some),
            // The ledger is new, and the list of the persons in scope is lost.
            (false, None) => Ok(Some(self.described(&manifest))),
            (false, Some(_)) => Ok(known),
        }
    }

    /// Removes the generations before one that is current: a tenant's at once if they may show what that one hides, others
    /// after their lifetime.
    fn remove_older(&self, number: u64, inputs: &str, day: &str) -> Result<(), Error> {
        let stay = self.older_that_stay(number, inputs, day)?;
        self.dataset.remove_old_generations(self.now, |older| {
            stay.as_ref().is_none_or(|stay| stay.contains(&older))
        })
    }

    /// Returns what the ledger records of a generation.
    fn described(&self, manifest: &GenerationManifest) -> Generation {
        described(manifest, self.now)
    }

    /// Removes what the generation that is now current replaces, and records it in the ledger.
    fn complete(
        &self,
        ledger: &Ledger,
        manifest: &GenerationManifest,
    ) -> Result<Generation, Error> {
        self.remove_older(manifest.number, &manifest.inputs, &manifest.day)?;
        crate::failpoint::reached("generations-removed");
        let compared_with = manifest.compared_with;
        let generation = self.described(manifest);
        ledger.set_generation(self.place(), &generation)?;
        crate::failpoint::reached("generation-recorded");
        let directory = self.dataset.generation(manifest.number);
        history::append(self.home, &directory, manifest);
        self.remove_lists(manifest.number, compared_with)?;
        Ok(generation)
    }

    /// Removes the lists of persons of a tenant's older generations. A run that was killed may have left some.
    fn remove_lists(&self, newest: u64, compared_with: Option<u64>) -> Result<(), Error> {
        match self.rosters() {
            Some(rosters) => rosters.keep_only(newest, compared_with),
            None => Ok(()),
        }
    }

    fn manifest(
        &self,
        inputs: &Inputs,
        plan: &Plan,
        written: &WrittenTables,
    ) -> GenerationManifest {
        let is_tenant = self.tenant.is_some();
        let extract = |kept: &KeptExtract| GenerationExtract {
            agreement: kept.agreement.clone(),
            production_date: kept.production_date.clone(),
            sequence: (!is_tenant).then_some(kept.sequence),
            sha256: (!is_tenant).then(|| kept.sha256.clone()),
        };
        let Purposes {
            purposes,
            legal_bases,
            church_purposes,
        } = self.purposes.clone();
        GenerationManifest {
            number: plan.number,
            day: plan.day.clone(),
            made: self.now.to_string(),
            extracts: inputs
                .extracts
                .iter()
                .map(|(_, kept)| extract(kept))
                .collect(),
            former_agreements: inputs.former_agreements(),
            inputs: inputs.digest.clone(),
            persons: written.counts.persons,
            entered: written.counts.entered,
            left: written.counts.left,
            rows: written.rows.clone(),
            files: written.files.clone(),
            component: ComponentIdentity {
                sha256: self.connector.sha256().to_owned(),
            },
            policy: match self.tenant {
                None => "unrestricted".to_owned(),
                Some(tenant) => format!("sha256:{}", tenant.policy_digest),
            },
            purposes: purposes.into_iter().collect(),
            legal_bases: legal_bases.into_iter().collect(),
            church_purposes: church_purposes.into_iter().collect(),
            tenant: self.tenant.map(|tenant| tenant.tenant.name.to_string()),
            ..GenerationManifest::default()
        }
    }

    pub(super) fn place(&self) -> AdoptedDataset<'_> {
        match self.tenant {
            None => AdoptedDataset::Dataset,
            Some(tenant) => AdoptedDataset::Tenant(tenant.tenant.name.as_str()),
        }
    }

    pub(super) fn rosters(&self) -> Option<GenerationRosters> {
        let tenant = self.tenant?.tenant.name.as_str();
        Some(GenerationRosters::new(self.home, tenant))
    }
}

/// Removes `current` and every generation of a dataset, and records why. The persons in scope are kept, because the next
/// generation is compared with them.
pub(crate) fn withdraw(
    dataset: &Dataset,
    ledger: &Ledger,
    place: AdoptedDataset<'_>,
    error: Option<String>,
) -> Result<(), Error> {
    let manifest = GenerationManifest::current(dataset.root()).ok().flatten();
    dataset.withdraw_current()?;
    let known = match (ledger.generation(place)?, manifest) {
        // The ledger is new. The next generation must be compared with this one.
        (None, Some(manifest)) if manifest.tenant.as_deref() == place.tenant() => {
            Some(described(&manifest, Timestamp::UNIX_EPOCH))
        }
        (known, _) => known,
    };
    if let Some(known) = known {
        let withdrawn = Generation {
            is_current: false,
            error,
            ..known
        };
        ledger.set_generation(place, &withdrawn)?;
    }
    Ok(())
}

/// Returns what a ledger records of a generation. `now` stands for a time that cannot be read.
fn described(manifest: &GenerationManifest, now: Timestamp) -> Generation {
    Generation {
        number: manifest.number,
        is_current: true,
        compared_with: manifest.compared_with,
        day: manifest.day.clone(),
        inputs: manifest.inputs.clone(),
        policy: manifest.policy.strip_prefix("sha256:").map(str::to_owned),
        persons: manifest.persons,
        entered: manifest.entered,
        left: manifest.left,
        rows: manifest.rows.values().sum(),
        made: manifest.made.parse().unwrap_or(now),
        error: None,
        compare_since: manifest.compare_since.clone(),
    }
}
