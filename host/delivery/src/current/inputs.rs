//! The extracts that current tables are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;
use sha2::Digest;

use super::error::CurrentError;
use crate::config::Store;
use crate::error::Error;
use crate::fs::private_directory;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{KeptExtract, Ledger};
use crate::names::AgreementName;
use crate::register::Register;
use crate::sync::completeness;
use crate::tenant::Tenant;
use cprflow::policy::Policy;

/// A state directory, and the agreements whose extracts are wanted from it.
#[derive(Debug, Clone)]
pub(crate) struct RegisterSource {
    pub(crate) state: PathBuf,
    pub(crate) agreements: BTreeSet<AgreementName>,
}

impl RegisterSource {
    /// Returns the state directories that have the extracts of a tenant's agreements. The first is the home of the
    /// tenant's generations: its ledger has the newest one.
    pub(crate) fn of_tenant(store: &Store, tenant: &Tenant) -> Vec<Self> {
        let mut sources: Vec<Self> = Vec::new();
        for agreement in &tenant.agreements {
            let Some(state) = store.registers.get(agreement) else {
                continue;
            };
            match sources.iter_mut().find(|source| source.state == *state) {
                Some(source) => {
                    source.agreements.insert(agreement.clone());
                }
                None => sources.push(Self {
                    state: state.clone(),
                    agreements: BTreeSet::from([agreement.clone()]),
                }),
            }
        }
        sources
    }
}

/// The extracts that current tables are made from, and a digest of everything that the tables depend on.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    /// The extracts in the order in which they apply, each with the register that has it.
    pub(crate) extracts: Vec<(Register, KeptExtract)>,
    /// The published deliveries that the register lacks, by agreement.
    missing: BTreeMap<String, usize>,
    /// The digest.
    pub(crate) digest: String,
}

impl Inputs {
    /// Returns the inputs of a store's unrestricted dataset.
    ///
    /// Extracts of an agreement count if it published everything when the extract came, and still does. An agreement that
    /// has ended, or is not part of this run, counts as it did before.
    pub(crate) fn of_dataset(
        store: &Store,
        ledger: &Ledger,
        rules: &serde_json::Value,
    ) -> Result<Self, Error> {
        let is_stopped = |agreement: &str| {
            let mut own = store.agreements.iter();
            own.any(|own| own.name.as_str() == agreement && own.unrestricted.is_none())
        };
        let mut extracts = ledger.applied_extracts()?;
        extracts.retain(|kept| kept.is_unrestricted && !is_stopped(&kept.agreement));
        let register = Register::of(&store.state);
        let extracts = extracts.into_iter().map(|kept| (register.clone(), kept));
        let mut missing = BTreeMap::new();
        for record in ledger.missing_in_register()? {
            if record.directory.is_some() && !is_stopped(&record.agreement) {
                *missing.entry(record.agreement).or_default() += 1;
            }
        }
        Ok(Self::new(extracts.collect(), missing, rules))
    }

    /// Returns the inputs of a tenant's dataset.
    ///
    /// Every extract counts, also one that an operator has set aside for the tenant: without it, a protection could be
    /// missing. Fails if records may be missing from an extract and the policy is only correct with all of them.
    pub(crate) fn of_tenant(
        sources: &[RegisterSource],
        policy: &Policy,
        rules: &serde_json::Value,
    ) -> Result<Self, Error> {
        let mut extracts = Vec::new();
        let mut missing = BTreeMap::new();
        for source in sources {
            let Some(ledger) = Ledger::open_to_read(&source.state)? else {
                continue;
            };
            let is_own = |agreement: &str| {
                source
                    .agreements
                    .iter()
                    .any(|own| own.as_str() == agreement)
            };
            let register = Register::of(&source.state);
            for kept in ledger.applied_extracts()? {
                if is_own(&kept.agreement) {
                    check_complete(&kept, policy)?;
                    extracts.push((register.clone(), kept));
                }
            }
            for record in ledger.missing_in_register()? {
                if is_own(&record.agreement) {
                    *missing.entry(record.agreement).or_default() += 1;
                }
            }
        }
        let order = |(_, kept): &(Register, KeptExtract)| {
            (
                kept.production_date.clone(),
                kept.sequence,
                kept.agreement.clone(),
            )
        };
        extracts.sort_by_key(order);
        let inputs = Self::new(extracts, missing, rules);
        let Some(home) = sources.first() else {
            return Ok(inputs);
        };
        // The digest of a small extract would tell the few values in it that are not known.
        private_directory(&home.state)?;
        let digest = ExtractKey::open(&home.state)?.digest(&inputs.digest);
        Ok(Self { digest, ..inputs })
    }

    fn new(
        extracts: Vec<(Register, KeptExtract)>,
        missing: BTreeMap<String, usize>,
        rules: &serde_json::Value,
    ) -> Self {
        let kept: Vec<_> = extracts
            .iter()
            .map(|(_, kept)| {
                json!([
                    kept.agreement,
                    kept.production_date,
                    kept.sequence,
                    kept.file_sha256
                ])
            })
            .collect();
        let canonical = json!({ "extracts": kept, "missing": missing, "rules": rules });
        Self {
            extracts,
            missing,
            digest: base16ct::lower::encode_string(&sha2::Sha256::digest(canonical.to_string())),
        }
    }

    /// Returns whether nothing was ever delivered.
    pub(crate) fn is_empty(&self) -> bool {
        self.extracts.is_empty() && self.missing.is_empty()
    }

    /// Fails if the register lacks extracts: deliveries whose extracts were never kept, or files that are gone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some((agreement, deliveries)) = self.missing.iter().next() {
            return Err(CurrentError::ExtractsMissing {
                agreement: agreement.clone(),
                deliveries: *deliveries,
            }
            .into());
        }
        let is_changed = |(register, kept): &&(Register, KeptExtract)| !register.has(kept);
        match self.extracts.iter().find(is_changed) {
            None => Ok(()),
            Some((_, kept)) => Err(CurrentError::ExtractChanged {
                agreement: kept.agreement.clone(),
                file: kept.file.clone(),
            }
            .into()),
        }
    }
}

/// Fails if records may be missing from an extract and the policy is only correct with all of them.
fn check_complete(kept: &KeptExtract, policy: &Policy) -> Result<(), Error> {
    let code = completeness::code_of(kept.incomplete.as_deref());
    match (code, completeness::dependency(policy)) {
        (Some(code), Some(on)) => Err(CurrentError::RecordsMissing {
            agreement: kept.agreement.clone(),
            code,
            on,
        }
        .into()),
        _ => Ok(()),
    }
}
