//! The extracts that current tables are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;
use sha2::Digest;

use super::error::CurrentError;
use crate::config::Store;
use crate::dataset::{Dataset, GenerationManifest};
use crate::erase::protections;
use crate::error::Error;
use crate::fs::private_directory;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{KeptExtract, Ledger};
use crate::names::AgreementName;
use crate::register::Register;
use crate::sync::completeness;
use crate::tenant::Tenant;
use crate::tenant::former::plain_path;
use cprflow::Pnr;
use cprflow::policy::Policy;

/// Divides the digest of the inputs from that of the key for pseudonyms.
const KEY: &str = "+key:";

/// A state directory, and the agreements whose extracts are wanted from it.
#[derive(Debug, Clone)]
pub(crate) struct RegisterSource {
    pub(crate) state: PathBuf,
    pub(crate) agreements: BTreeSet<AgreementName>,
    /// Agreements that a tenant has seen and no longer may see. Their protections count.
    former: BTreeSet<String>,
}

impl RegisterSource {
    /// Returns whether the tenant may see the agreement.
    pub(crate) fn is_own(&self, agreement: &str) -> bool {
        self.agreements.iter().any(|own| own.as_str() == agreement)
    }

    /// Returns whether the tenant has seen the agreement and no longer may see it.
    pub(crate) fn is_former(&self, agreement: &str) -> bool {
        self.former.contains(agreement)
    }

    /// Returns the persons whom records of erased persons protected.
    pub(crate) fn protected(&self) -> Result<BTreeSet<Pnr>, Error> {
        let own = self.agreements.iter().map(AgreementName::as_str);
        let former = self.former.iter().map(String::as_str);
        protections::numbers(&self.state, own.chain(former))
    }

    /// Returns the state directory that has the extracts of a tenant's agreements; nothing if the configuration has none of
    /// them.
    pub(crate) fn of_tenant(store: &Store, tenant: &Tenant) -> Vec<Self> {
        let own = tenant.agreements.iter().filter(|own| store.has(own));
        let agreements: BTreeSet<AgreementName> = own.cloned().collect();
        match agreements.is_empty() {
            true => Vec::new(),
            false => vec![Self {
                state: store.state.clone(),
                agreements,
                former: BTreeSet::new(),
            }],
        }
    }

    /// Returns the same with the agreements that the tenant has seen and no longer may see.
    ///
    /// The ledger remembers them. A new ledger learns them from the tenant's dataset, as far as it has their deliveries.
    pub(crate) fn with_former(store: &Store, tenant: &Tenant) -> Result<Vec<Self>, Error> {
        Self::with_former_and(store, tenant, |new| {
            let path = plain_path(&tenant.dataset);
            let new = new.iter().map(String::as_str);
            Ok(Ledger::open(&store.state)?.remember_tenant(tenant.name.as_str(), &path, new)?)
        })
    }

    /// Does the same outside of a run: no ledger learns anything.
    pub(crate) fn with_former_to_read(store: &Store, tenant: &Tenant) -> Result<Vec<Self>, Error> {
        Self::with_former_and(store, tenant, |_| Ok(()))
    }

    /// Does what [`with_former`](Self::with_former) does. `remember` tells the ledger of the agreements that it learns.
    fn with_former_and(
        store: &Store,
        tenant: &Tenant,
        remember: impl Fn(&[String]) -> Result<(), Error>,
    ) -> Result<Vec<Self>, Error> {
        let mut sources = Self::of_tenant(store, tenant);
        let name = tenant.name.as_str();
        let mut shown: BTreeSet<String> = store
            .ended
            .iter()
            .map(|ended| ended.as_str().to_owned())
            .filter(|ended| Dataset::has_deliveries(&tenant.dataset, ended).unwrap_or(true))
            .collect();
        if let Some(manifest) = GenerationManifest::current(&tenant.dataset)?
            && manifest.tenant.as_deref() == Some(name)
        {
            let extracts = manifest.extracts.into_iter();
            shown.extend(extracts.map(|extract| extract.agreement));
            shown.extend(manifest.former_agreements);
        }
        let Some(ledger) = Ledger::open_to_read(&store.state)? else {
            return Ok(sources);
        };
        let mut former: BTreeSet<String> = ledger.agreements_seen(name)?.into_iter().collect();
        let mut new = ledger.delivered_agreements()?;
        new.retain(|agreement| {
            shown.contains(agreement) && !former.contains(agreement) && !tenant.sees(agreement)
        });
        if !new.is_empty() {
            remember(&new)?;
        }
        former.extend(new);
        former.retain(|agreement| !tenant.sees(agreement));
        match sources.first_mut() {
            Some(source) => source.former = former,
            None if former.is_empty() => {}
            None => sources.push(Self {
                state: store.state.clone(),
                agreements: BTreeSet::new(),
                former,
            }),
        }
        Ok(sources)
    }
}

/// The extracts that current tables are made from, and a digest of everything that the tables depend on.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    /// The extracts in the order in which they apply, each with the register that has it.
    pub(crate) extracts: Vec<(Register, KeptExtract)>,
    /// The extracts of agreements that a tenant may no longer see, in the same order. Only their protections count.
    pub(crate) former: Vec<(Register, KeptExtract)>,
    /// The persons whom records of erased persons protected.
    pub(crate) protected: BTreeSet<Pnr>,
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
        let extracts = extracts.collect();
        // A delivery without a directory counts too. Current tables can have been made from it: if only these are published, if
        // its directory is no longer kept, or if the ledger knows it only from a tenant's dataset.
        let mut missing = BTreeMap::new();
        for record in ledger.missing_in_register()? {
            if !is_stopped(&record.agreement) {
                *missing.entry(record.agreement).or_default() += 1;
            }
        }
        let ended = store.ended.iter().map(AgreementName::as_str);
        let agreements = store.of_dataset().map(|agreement| agreement.name.as_str());
        let agreements = agreements.chain(ended).filter(|name| !is_stopped(name));
        let protected = protections::numbers(&store.state, agreements)?;
        Ok(Self::new(extracts, Vec::new(), protected, missing, rules))
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
        Self::of_tenant_until(sources, policy, rules, None)
    }

    /// Returns the inputs that a tenant's dataset had at a time; `None` is now.
    pub(super) fn of_tenant_until(
        sources: &[RegisterSource],
        policy: &Policy,
        rules: &serde_json::Value,
        until: Option<Timestamp>,
    ) -> Result<Self, Error> {
        let mut extracts = Vec::new();
        let mut former = Vec::new();
        let mut missing = BTreeMap::new();
        let mut protected = BTreeSet::new();
        for source in sources {
            let Some(ledger) = Ledger::open_to_read(&source.state)? else {
                continue;
            };
            protected.extend(source.protected()?);
            let is_own = |agreement: &str| source.is_own(agreement);
            let register = Register::of(&source.state);
            let is_former = |agreement: &str| source.is_former(agreement);
            let is_later = |kept: &KeptExtract| -> Result<bool, Error> {
                let Some(until) = until else { return Ok(false) };
                let record = ledger.delivery(kept.delivery)?;
                let published = record.and_then(|record| record.published);
                Ok(published.is_none_or(|published| published > until))
            };
            for kept in ledger.applied_extracts()? {
                let chosen = match () {
                    () if is_own(&kept.agreement) => &mut extracts,
                    () if is_former(&kept.agreement) => &mut former,
                    () => continue,
                };
                if is_later(&kept)? {
                    continue;
                }
                check_complete(&kept, policy)?;
                chosen.push((register.clone(), kept));
            }
            for record in ledger.missing_in_register()? {
                if is_own(&record.agreement) || is_former(&record.agreement) {
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
        former.sort_by_key(order);
        let inputs = Self::new(extracts, former, protected, missing, rules);
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
        former: Vec<(Register, KeptExtract)>,
        protected: BTreeSet<Pnr>,
        missing: BTreeMap<String, usize>,
        rules: &serde_json::Value,
    ) -> Self {
        let facts = |extracts: &[(Register, KeptExtract)]| {
            let fact = |(_, kept): &(Register, KeptExtract)| {
                json!([
                    kept.agreement,
                    kept.production_date,
                    kept.sequence,
                    kept.file_sha256
                ])
            };
            extracts.iter().map(fact).collect::<Vec<_>>()
        };
        let canonical = json!({
            "extracts": facts(&extracts),
            "former": facts(&former),
            "protected": protections::digest(&protected),
            "missing": missing,
            "rules": rules,
        });
        Self {
            extracts,
            former,
            protected,
            missing,
            digest: base16ct::lower::encode_string(&sha2::Sha256::digest(canonical.to_string())),
        }
    }

    /// Adds a tenant's key for pseudonyms to the digest, because every number is another one with another key.
    pub(crate) fn with_key(self, home: &Path, key: Option<&str>) -> Result<Self, Error> {
        let Some(key) = key else { return Ok(self) };
        private_directory(home)?;
        let key = ExtractKey::open(home)?.digest(key);
        let key = key.rsplit(':').next().unwrap_or_default();
        Ok(Self {
            digest: format!("{}{KEY}{key}", self.digest),
            ..self
        })
    }

    /// Returns the digest of the key for pseudonyms, if there is one.
    pub(super) fn key(&self) -> Option<&str> {
        self.digest.split_once(KEY).map(|(_, key)| key)
    }

    /// Returns whether a digest is the same, whatever the key for pseudonyms is.
    pub(crate) fn is_same_without_key(&self, digest: &str) -> bool {
        let own = |digest: &str| {
            let (inputs, _) = digest.split_once(KEY).unwrap_or((digest, ""));
            inputs.to_owned()
        };
        own(&self.digest) == own(digest)
    }

    /// Returns the agreements of which only the protections count.
    pub(super) fn former_agreements(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self
            .former
            .iter()
            .map(|(_, kept)| &kept.agreement)
            .collect();
        names.into_iter().cloned().collect()
    }

    /// Returns the newest day that an extract has.
    pub(super) fn newest_day(&self) -> Option<Date> {
        let days = self.extracts.iter();
        days.filter_map(|(_, kept)| kept.production_date.parse().ok())
            .max()
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
        self.check_files(|register, kept| Ok(register.has(kept)))
    }

    /// Does the same, and compares every file with its digest.
    pub(crate) fn check_whole(&self) -> Result<(), Error> {
        self.check()?;
        self.check_files(Register::is_whole)
    }

    fn check_files(
        &self,
        is_there: impl Fn(&Register, &KeptExtract) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for (register, kept) in self.extracts.iter().chain(&self.former) {
            if !is_there(register, kept)? {
                return Err(CurrentError::ExtractChanged {
                    agreement: kept.agreement.clone(),
                    file: kept.file.clone(),
                }
                .into());
            }
        }
        Ok(())
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
