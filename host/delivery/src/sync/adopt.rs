//! Adds published deliveries to a ledger that does not know them, so that nothing is published twice. This happens when
//! the ledger is new or was rebuilt, and when another ledger's run published to the same dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Store;
use crate::dataset::{Dataset, GenerationManifest, Manifest, current_generation};
use crate::erase::known as erased;
use crate::error::Error;
use crate::fs;
use crate::ledger::{AdoptedDataset, Ledger, Record};
use crate::spool::Spooled;
use crate::tenant::{Tenant, foreign};

/// The time that the tenants' disks have to list their deliveries.
const ADOPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Adds the published deliveries of a store to its ledger.
pub(super) struct Adoption<'a> {
    pub(super) store: &'a Store,
    pub(super) now: fn() -> Timestamp,
}

impl<'a> Adoption<'a> {
    /// Adds the deliveries of the unrestricted dataset that the ledger does not know. They are added in one transaction: a
    /// ledger with a part of them would take the others for new.
    pub(super) fn adopt(&self, ledger: &mut Ledger, dataset: &Dataset) -> Result<(), Error> {
        let now = (self.now)();
        let is_first = !ledger.has_adopted(AdoptedDataset::Dataset)?;
        // Checked in every run, because a run with another ledger may have published at any time.
        let known = ledger.directories()?;
        let mut unknown = dataset.deliveries(|agreement, name| {
            !known.contains(&(agreement.to_owned(), name.to_owned()))
        })?;
        // They have the old name of an agreement that was renamed. `cprflow agreement rename` gives them the new one.
        let records = ledger.all()?;
        unknown.retain(|(directory, manifest)| {
            // It was made for a tenant, so it lacks rows and values. `status` names it.
            if manifest.tenant.is_some() {
                return false;
            }
            let mut configured = self.store.of_dataset();
            let mut records = records.iter();
            configured.any(|own| own.name.as_str() == manifest.agreement)
                || !records.any(|record| {
                    record.transfer_uuid == manifest.transfer_uuid
                        && record.agreement != manifest.agreement
                        && record.directory.as_ref() == Some(directory)
                })
        });
        if unknown.is_empty() && !is_first {
            return Ok(());
        }
        ledger.transaction(|ledger| {
            for (directory, manifest) in unknown {
                ledger.adopt(&manifest.record(directory, now))?;
                let (agreement, transfer) = (&manifest.agreement, &manifest.transfer_uuid);
                if let Some(record) = ledger.find(agreement, transfer)? {
                    erased::note_adopted(&self.store.state, ledger, &record, None, now)?;
                    self.share_spooled(ledger, &record, now)?;
                }
            }
            crate::failpoint::reached("adopting");
            if is_first {
                ledger.mark_adopted(AdoptedDataset::Dataset, now)?;
            }
            Ok(())
        })
    }

    /// Adds the deliveries of the tenants' datasets that the ledger does not know. Returns the errors of the tenants whose
    /// datasets cannot be read or have data that was not made for the tenant; those tenants must receive nothing in this run.
    pub(super) fn adopt_shares(
        &self,
        ledger: &mut Ledger,
    ) -> Result<BTreeMap<&'a str, Error>, Error> {
        let mut questions = Vec::new();
        for tenant in &self.store.tenants {
            let dataset = Dataset::at(&tenant.dataset);
            let known = ledger.tenant_directories(tenant.name.as_str())?;
            let name = tenant.name.to_string();
            let agreements = self.store.agreements.iter();
            let own: Vec<_> = agreements.map(|agreement| agreement.name.clone()).collect();
            questions.push(move || {
                let is_wanted = |agreement: &str, name: &str| {
                    own.iter().any(|own| own.as_str() == agreement)
                        && !known.contains(&(agreement.to_owned(), name.to_owned()))
                };
                let Some(dataset) = dataset else {
                    return Ok((Vec::new(), Vec::new()));
                };
                let foreign = Dataset::foreign_data(dataset.root(), Some(&name))?;
                Ok::<_, Error>((foreign, dataset.deliveries(is_wanted)?))
            });
        }
        let found = fs::ask_disks(ADOPT_TIMEOUT, questions);
        let mut unusable = BTreeMap::new();
        for (tenant, found) in self.store.tenants.iter().zip(found) {
            let found = found.unwrap_or_else(|| {
                Err(Error::TenantStuck {
                    path: tenant.dataset.clone(),
                    seconds: ADOPT_TIMEOUT.as_secs(),
                })
            });
            // A ledger must not take what was made for somebody else for the tenant's.
            let own = found.and_then(|(foreign, deliveries)| {
                let name = tenant.name.as_str();
                foreign::check(&foreign, Some(&*ledger), &self.store.state, name)?;
                Ok(deliveries)
            });
            match own {
                Ok(deliveries) => self.adopt_shares_of(ledger, tenant, deliveries)?,
                Err(error) => {
                    unusable.insert(tenant.name.as_str(), error);
                }
            }
        }
        Ok(unusable)
    }

    /// Adds the deliveries of one tenant's dataset, in one transaction.
    fn adopt_shares_of(
        &self,
        ledger: &mut Ledger,
        tenant: &Tenant,
        mut deliveries: Vec<(String, Manifest)>,
    ) -> Result<(), Error> {
        let now = (self.now)();
        let place = AdoptedDataset::Tenant(tenant.name.as_str());
        let is_first = !ledger.has_adopted(place)?;
        if deliveries.is_empty() && !is_first {
            return Ok(());
        }
        deliveries.sort_by_key(|(_, manifest)| manifest.sequence);
        ledger.transaction(|ledger| {
            for (directory, manifest) in deliveries {
                let counts = manifest.tenant_counts();
                let record = manifest.record(directory, now);
                let find = || ledger.find(&record.agreement, &record.transfer_uuid);
                let is_known = find()?.is_some();
                ledger.adopt_for_tenant(&record, tenant.name.as_str(), &counts)?;
                let Some(record) = find()? else { continue };
                erased::note_adopted(
                    &self.store.state,
                    ledger,
                    &record,
                    Some(tenant.name.as_str()),
                    now,
                )?;
                if !is_known {
                    self.share_spooled(ledger, &record, now)?;
                }
            }
            crate::failpoint::reached("adopting-shares");
            if is_first {
                ledger.mark_adopted(place, now)?;
            }
            Ok(())
        })
    }

    /// Adds the extracts that current tables were made from and that neither the ledger nor the register knows, as
    /// deliveries whose extracts are missing. The state directory was restored from an older copy, and the datasets were
    /// not: without these extracts, protections can be missing.
    ///
    /// `unusable` has the tenants whose datasets cannot be read.
    pub(super) fn adopt_generations(
        &self,
        ledger: &mut Ledger,
        unusable: &BTreeMap<&'a str, Error>,
    ) -> Result<(), Error> {
        let mut places = vec![(AdoptedDataset::Dataset, self.store.dataset.clone())];
        for tenant in &self.store.tenants {
            let name = tenant.name.as_str();
            if !unusable.contains_key(name) {
                places.push((AdoptedDataset::Tenant(name), tenant.dataset.clone()));
            }
        }
        let mut questions = Vec::new();
        for (place, root) in places {
            let known = ledger.generation(place)?.map_or(0, |known| known.number);
            questions.push(move || match current_generation(&root)? {
                Some(number) if number > known => GenerationManifest::current(&root),
                _ => Ok(None),
            });
        }
        let mut extracts = BTreeMap::new();
        for newer in fs::ask_disks(ADOPT_TIMEOUT, questions) {
            // A tenant's dataset that does not answer is reported when its tables are made.
            if let Some(Ok(Some(manifest))) = newer {
                let own = manifest.extracts.into_iter();
                let own = count(own.map(|extract| (extract.agreement, extract.production_date)));
                for (extract, number) in own {
                    let known: &mut usize = extracts.entry(extract).or_default();
                    *known = number.max(*known);
                }
            }
        }
        let own: BTreeSet<&str> = self
            .store
            .of_dataset()
            .map(|agreement| agreement.name.as_str())
            .chain(self.store.ended.iter().map(|name| name.as_str()))
            .collect();
        // An extract that is set aside, or is not published yet, is not the one that the tables were made from.
        let published = ledger.all()?.into_iter();
        let published = published.filter(|record| record.state.is_published());
        let known = count(published.filter_map(|record| {
            let production_date = record.production_date()?.to_owned();
            Some((record.agreement, production_date))
        }));
        extracts.retain(|extract, number| {
            own.contains(extract.0.as_str()) && known.get(extract).is_none_or(|own| *own < *number)
        });
        let now = (self.now)();
        ledger.transaction(|ledger| {
            for (agreement, production_date) in extracts.keys() {
                tracing::warn!(
                    agreement,
                    production_date,
                    "the current tables were made from an extract that the state directory does not know: it was restored \
                     from an older copy"
                );
                ledger.adopt_unseen(agreement, production_date, now)?;
            }
            Ok(())
        })
    }

    /// Queues a published delivery for all its tenants if the spool still has its extract.
    fn share_spooled(&self, ledger: &Ledger, record: &Record, now: Timestamp) -> Result<(), Error> {
        let spool = self.store.spool();
        let spooled = Spooled::new(&spool, &record.agreement, &record.transfer_uuid)?;
        if spooled.whole().is_some() && record.state.is_published() {
            let tenants = self.store.tenants_of(&record.agreement);
            let names: Vec<_> = tenants.map(|tenant| tenant.name.as_str()).collect();
            ledger.add_tenant_deliveries(record.id, &names, now)?;
        }
        Ok(())
    }
}

/// Counts equal extracts: agreement and production date. Two extracts of one agreement can have the same date.
fn count(extracts: impl Iterator<Item = (String, String)>) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for extract in extracts {
        *counts.entry(extract).or_default() += 1;
    }
    counts
}
