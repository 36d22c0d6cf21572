//! Compares the ledger with the disk: whether every published delivery is still in its dataset, as it was published.
//!
//! The server's copy of a published delivery is removed, so a delivery that is deleted or changed by hand can only come
//! from a backup or in a new full load. A person who has decided that a delivery stays gone records this with
//! [`accept_gone`]. It is not looked for any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Configuration, Store};
use crate::dataset::{CheckDepth, Damage, Dataset, Identity, compare_with_disk};
use crate::error::Error;
use crate::fs::{StateLock, ask_disks, digest};
use crate::keyed_hash::ExtractKey;
use crate::ledger::{KeptExtract, Ledger, Reason, Record, TenantDeliveryState};
use crate::register::Register;
use crate::unmounted::empty_datasets;

/// The reason code of a published delivery that a person knows to be gone.
pub(crate) const GONE: &str = "gone";

/// Time in which a disk must respond, if only names and sizes are compared.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

/// The same if every file is read.
const READ_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// What to do about a delivery that is not as it was published.
pub(crate) const ADVICE: &str = "If its disk is not mounted, mount it. Otherwise restore what was published from a \
                                 backup. If there is no backup, accept the loss with `cprflow set-aside --gone \
                                 --reason TEXT`, and order a new full load with `cprflow subscription reorder`, \
                                 because the server no longer has the deliveries";

/// A dataset compared with the ledger.
#[derive(Debug, Clone)]
pub struct DatasetIntegrity {
    /// The tenant whose dataset it is; `None` for the unrestricted dataset.
    pub tenant: Option<String>,
    /// The directory of the dataset.
    pub dataset: PathBuf,
    /// The number of deliveries that must be in it, by agreement.
    pub expected: BTreeMap<String, usize>,
    /// Whether the disk of the dataset responded in time.
    pub has_responded: bool,
    /// The deliveries that are not as they were published.
    pub damaged: Vec<DamagedDelivery>,
    /// Whether the directory is gone or empty although deliveries must be in it, those included that are being made again.
    is_empty: bool,
    /// The agreements of which a run that was killed has left files in the directory for deliveries in preparation.
    left_in_staging: BTreeSet<String>,
    /// A directory in the unrestricted dataset that was made for a tenant, and the tenant.
    made_for_tenant: Option<(PathBuf, String)>,
}

/// A published delivery that is not on the disk as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedDelivery {
    /// The agreement's name.
    pub agreement: String,
    /// The name of the delivery's directory.
    pub directory: String,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// What is missing or changed, in words.
    pub damage: Vec<String>,
    /// Whether the whole directory is gone.
    pub is_gone: bool,
    /// The row ID in the ledger.
    #[serde(skip)]
    id: i64,
}

/// A delivery that must be in a dataset.
#[derive(Debug, Clone)]
struct ExpectedDelivery {
    id: i64,
    agreement: String,
    directory: String,
    transfer_uuid: String,
    /// The SHA-256 of the extract.
    sha256: String,
    /// Its digest with the key of the state directory, in the dataset of a tenant.
    keyed_digest: Option<String>,
}

/// A dataset before it is compared: its tenant, its directory, the deliveries that must be in it, and whether it must have any,
/// those included that are being made again.
type ExpectedDataset = (Option<String>, PathBuf, Vec<ExpectedDelivery>, bool);

impl DatasetIntegrity {
    /// Returns the number of deliveries that must be in the dataset.
    pub fn expected(&self) -> usize {
        self.expected.values().sum()
    }

    /// Returns whether the dataset has none of the deliveries that must be in it. Its disk may not be mounted.
    pub fn is_gone(&self) -> bool {
        let gone = self.damaged.iter().filter(|delivery| delivery.is_gone);
        self.is_empty || self.expected() > 0 && gone.count() == self.expected()
    }

    /// Returns the part of one agreement.
    pub(crate) fn of_agreement(&self, agreement: &str) -> Self {
        let mut own = self.clone();
        own.expected.retain(|name, _| name == agreement);
        own.damaged
            .retain(|delivery| delivery.agreement == agreement);
        own.left_in_staging.retain(|name| name == agreement);
        own
    }

    /// Returns a text about the damage that says what to do; `None` if every delivery is as it was published and nothing is left
    /// of a run that was killed.
    pub fn remark(&self) -> Option<String> {
        let of = match &self.tenant {
            Some(tenant) => format!(" of tenant {tenant}"),
            None => String::new(),
        };
        let dataset = format!("the dataset {}{of}", self.dataset.display());
        if !self.has_responded {
            return Some(format!(
                "{dataset} could not be compared with the ledger: its disk did not respond. Check the disk"
            ));
        }
        if self.is_gone() {
            return Some(format!(
                "{dataset} is gone or empty, but {} published in it. {ADVICE}",
                deliveries(self.expected().max(1))
            ));
        }
        if let Some((directory, tenant)) = &self.made_for_tenant {
            return Some(format!(
                "{dataset} has data that was made for tenant {tenant}, so that rows and values are missing: {}. Move it away, and \
                 restore what was published there from a backup",
                directory.display()
            ));
        }
        let Some(first) = self.damaged.first() else {
            let left = self.left_in_staging.iter().map(String::as_str);
            let left = left.collect::<Vec<_>>().join(", ");
            return (!left.is_empty()).then(|| {
                format!(
                    "{dataset}: the directory for deliveries in preparation beside it still has files of agreement {left}, \
                     which can show what is hidden now. Run `cprflow sync`, which removes them"
                )
            });
        };
        let more = match self.damaged.len() - 1 {
            0 => String::new(),
            count => format!(" (and {count} more)"),
        };
        Some(format!(
            "{dataset} is not as it was published: {} of {} is missing or changed. agreement={}/{}: {}{more}. {ADVICE}",
            self.damaged.len(),
            self.expected(),
            first.agreement,
            first.directory,
            first.damage.join(", ")
        ))
    }
}

fn deliveries(count: usize) -> String {
    match count {
        1 => "1 delivery was".to_owned(),
        count => format!("{count} deliveries were"),
    }
}

/// Compares the datasets of a store with its ledger: the unrestricted one, and that of each tenant.
pub fn check_store(
    store: &Store,
    ledger: &Ledger,
    depth: CheckDepth,
) -> Result<Vec<DatasetIntegrity>, Error> {
    let records = ledger.all()?;
    let shares = ledger.tenant_deliveries()?;
    let key = ExtractKey::read(&store.state)?;
    // A delivery that is being made again can be missing until the next run.
    let open = |tenant: Option<&str>| -> Result<BTreeSet<i64>, Error> {
        let rewritings = ledger.rewritings(tenant)?.into_iter();
        let open = rewritings.filter(|one| !one.is_done);
        Ok(open.map(|one| one.delivery).collect())
    };
    let mut unrestricted = in_dataset(store, &records);
    let rewriting = open(None)?;
    let has_any = !unrestricted.is_empty();
    unrestricted.retain(|delivery| !rewriting.contains(&delivery.id));
    let mut datasets = vec![(None, store.dataset.clone(), unrestricted, has_any)];
    for tenant in &store.tenants {
        let name = tenant.name.as_str();
        let rewriting = open(Some(name))?;
        let own = shares.iter().filter(|share| {
            share.tenant == name
                && share.state == TenantDeliveryState::Published
                && share.expired.is_none()
                && !is_accepted(share.reason.as_ref())
                && is_of(store, &share.agreement)
                && tenant.sees(&share.agreement)
        });
        let expected = own.filter_map(|share| {
            let mut records = records.iter();
            let record = records.find(|record| record.id == share.delivery)?;
            Some(ExpectedDelivery {
                id: share.delivery,
                agreement: share.agreement.clone(),
                directory: share.directory.clone()?,
                transfer_uuid: share.transfer_uuid.clone(),
                sha256: record.counts.sha256.clone(),
                keyed_digest: key.as_ref().map(|key| key.digest(&record.counts.sha256)),
            })
        });
        let mut expected: Vec<_> = expected.collect();
        let has_any = !expected.is_empty();
        expected.retain(|delivery| !rewriting.contains(&delivery.id));
        datasets.push((
            Some(name.to_owned()),
            tenant.dataset.clone(),
            expected,
            has_any,
        ));
    }
    let question = |(tenant, dataset, expected, has_any): &ExpectedDataset| {
        let (dataset, expected, has_any) = (dataset.clone(), expected.clone(), *has_any);
        let is_unrestricted = tenant.is_none();
        move || {
            let is_empty = has_any && has_no_tables(&dataset);
            let left = left_in_staging(&dataset, depth);
            let foreign = is_unrestricted.then(|| made_for_tenant(&dataset)).flatten();
            (damaged(&dataset, &expected, depth), is_empty, left, foreign)
        }
    };
    let timeout = match depth {
        CheckDepth::Directories | CheckDepth::Sizes => DISK_TIMEOUT,
        CheckDepth::Digests => READ_TIMEOUT,
    };
    let answers = ask_disks(timeout, datasets.iter().map(question));
    let checked = datasets.into_iter().zip(answers);
    let checked = checked.map(|((tenant, dataset, expected, _), answer)| {
        let mut counts = BTreeMap::new();
        for delivery in expected {
            *counts.entry(delivery.agreement).or_default() += 1;
        }
        DatasetIntegrity {
            tenant,
            dataset,
            expected: counts,
            has_responded: answer.is_some(),
            is_empty: answer.as_ref().is_some_and(|(_, is_empty, ..)| *is_empty),
            left_in_staging: answer
                .as_ref()
                .map(|(_, _, left, _)| left.clone())
                .unwrap_or_default(),
            made_for_tenant: answer.as_ref().and_then(|(.., foreign)| foreign.clone()),
            damaged: answer.map(|(damaged, ..)| damaged).unwrap_or_default(),
        }
    });
    Ok(checked.collect())
}

/// Returns the names of the kept extracts whose files are gone or were changed. Sizes are compared, and digests too if
/// the depth says so.
pub fn damaged_extracts(state: &Path, extracts: &[KeptExtract], depth: CheckDepth) -> Vec<String> {
    let register = Register::of(state);
    let is_as_written = |kept: &KeptExtract| {
        let path = register.path(kept);
        let digest = || File::open(&path).and_then(digest);
        register.has(kept)
            && (depth != CheckDepth::Digests
                || digest().is_ok_and(|digest| digest == kept.file_sha256))
    };
    let damaged = extracts.iter().filter(|kept| !is_as_written(kept));
    damaged.map(|kept| kept.file.clone()).collect()
}

/// Returns a text for each agreement of a store of which the register lacks extracts, so that no current tables can be made.
pub fn agreements_without_extracts(store: &Store, ledger: &Ledger) -> Result<Vec<String>, Error> {
    if !store.publish.current {
        return Ok(Vec::new());
    }
    let missing = ledger.missing_in_register()?;
    let own = store.agreements.iter().filter_map(|agreement| {
        let name = agreement.name.as_str();
        let own = missing.iter().filter(|record| record.agreement == name);
        match own.count() {
            0 => None,
            count => Some(lacking_extracts(name, count)),
        }
    });
    Ok(own.collect())
}

/// Returns the text about deliveries of an agreement whose extracts the register lacks.
pub(crate) fn lacking_extracts(agreement: &str, deliveries: usize) -> String {
    format!(
        "the register has no extract of {deliveries} published deliveries of agreement {agreement}, so the current tables \
         cannot be made. Restore the state directory from a backup. Without a backup, order a new full load (`cprflow \
         subscription reorder`), and when it has come, run `cprflow register accept-missing {agreement}`"
    )
}

/// Returns the deliveries that must be in the unrestricted dataset. Deliveries of tenants alone have no directory there.
fn in_dataset(store: &Store, records: &[Record]) -> Vec<ExpectedDelivery> {
    let published = records.iter().filter(|record| {
        record.state.is_published()
            && record.expired.is_none()
            && !is_accepted(record.reason.as_ref())
            && is_of(store, &record.agreement)
    });
    let expected = published.filter_map(|record| {
        Some(ExpectedDelivery {
            id: record.id,
            agreement: record.agreement.clone(),
            directory: record.directory.clone()?,
            transfer_uuid: record.transfer_uuid.clone(),
            sha256: record.counts.sha256.clone(),
            keyed_digest: None,
        })
    });
    expected.collect()
}

/// Returns whether a person knows that a published delivery is gone.
fn is_accepted(reason: Option<&Reason>) -> bool {
    reason.is_some_and(|reason| reason.code == GONE)
}

fn is_of(store: &Store, agreement: &str) -> bool {
    let mut own = store.agreements.iter();
    own.any(|own| own.name.as_str() == agreement)
}

/// Returns whether a dataset has neither deliveries nor current tables: its disk may not be mounted.
pub(crate) fn has_no_tables(dataset: &Path) -> bool {
    let is_of_tables = |entry: std::io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("agreement=") || name == "generations"
        })
    };
    fs::read_dir(dataset).map_or(true, |mut entries| !entries.any(is_of_tables))
}

/// Returns the agreements of which files are left in the directory for deliveries in preparation. A run compares only
/// directories, and removes what is left.
fn left_in_staging(dataset: &Path, depth: CheckDepth) -> BTreeSet<String> {
    if depth == CheckDepth::Directories {
        return BTreeSet::new();
    }
    let left = Dataset::at(dataset).map(|dataset| dataset.left_in_staging());
    left.and_then(Result::ok).unwrap_or_default()
}

/// Returns a directory in the unrestricted dataset that was made for a tenant, and the tenant.
fn made_for_tenant(dataset: &Path) -> Option<(PathBuf, String)> {
    let foreign = Dataset::foreign_data(dataset, None).unwrap_or_default();
    let first = foreign.into_iter().next()?;
    Some((first.directory, first.made_for?))
}

fn damaged(
    dataset: &Path,
    expected: &[ExpectedDelivery],
    depth: CheckDepth,
) -> Vec<DamagedDelivery> {
    let mut damaged = Vec::new();
    for delivery in expected {
        let directory = dataset
            .join(format!("agreement={}", delivery.agreement))
            .join(&delivery.directory);
        let identity = Identity {
            transfer_uuid: &delivery.transfer_uuid,
            sha256: &delivery.sha256,
            keyed_digest: delivery.keyed_digest.as_deref(),
        };
        let damage = compare_with_disk(&directory, identity, depth);
        if !damage.is_empty() {
            damaged.push(DamagedDelivery {
                agreement: delivery.agreement.clone(),
                directory: delivery.directory.clone(),
                transfer_uuid: delivery.transfer_uuid.clone(),
                is_gone: damage.contains(&Damage::DirectoryGone),
                damage: damage.iter().map(Damage::to_string).collect(),
                id: delivery.id,
            });
        }
    }
    damaged
}

/// A delivery whose loss was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedLoss {
    /// The tenant in whose dataset the delivery was; `None` for the unrestricted dataset.
    pub tenant: Option<String>,
    /// The agreement's name.
    pub agreement: String,
    /// The name of the delivery's directory.
    pub directory: String,
}

/// Records that the deliveries that are gone or changed on the disk stay so: they are not looked for any more, and the
/// daily job goes on. Compares names and sizes. `tenant` limits this to the dataset of one tenant.
///
/// Rosters and the order of deliveries stay, so that leavers are still reported.
pub fn accept_gone(
    configuration: &Configuration,
    tenant: Option<&str>,
    why: &str,
    now: Timestamp,
) -> Result<Vec<AcceptedLoss>, Error> {
    if let Some(tenant) = tenant
        && !is_former_tenant(configuration, tenant)?
    {
        configuration.tenant(tenant)?;
    }
    let reason = Reason::new(GONE, why);
    let mut accepted = Vec::new();
    for store in &configuration.stores {
        if !Ledger::is_in(&store.state) {
            continue;
        }
        let _lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        for checked in check_store(store, &ledger, CheckDepth::Sizes)? {
            if tenant.is_some() && checked.tenant.as_deref() != tenant {
                continue;
            }
            for delivery in checked.damaged {
                match &checked.tenant {
                    Some(tenant) => {
                        ledger.remark_on_tenant_delivery(delivery.id, tenant, &reason, now)?;
                    }
                    None => ledger.delivery_gone(delivery.id, &reason, now)?,
                }
                accepted.push(AcceptedLoss {
                    tenant: checked.tenant.clone(),
                    agreement: delivery.agreement,
                    directory: delivery.directory,
                });
            }
        }
        // An erasure waits for these too: deliveries that it makes again, and those of agreements that have ended.
        for empty in empty_datasets(store, &ledger)? {
            let is_wanted = match tenant {
                Some(tenant) => empty.tenant.as_deref() == Some(tenant),
                None => empty.is_configured,
            };
            if !is_wanted || !empty.has_responded {
                continue;
            }
            for delivery in empty.deliveries {
                match &empty.tenant {
                    Some(tenant) => {
                        ledger.remark_on_tenant_delivery(delivery.id, tenant, &reason, now)?;
                    }
                    None => ledger.delivery_gone(delivery.id, &reason, now)?,
                }
                accepted.push(AcceptedLoss {
                    tenant: empty.tenant.clone(),
                    agreement: delivery.agreement,
                    directory: delivery.directory,
                });
            }
        }
    }
    Ok(accepted)
}

/// Returns whether a tenant that is not configured any more has deliveries in a ledger.
fn is_former_tenant(configuration: &Configuration, name: &str) -> Result<bool, Error> {
    for store in &configuration.stores {
        if let Some(ledger) = Ledger::open_to_read(&store.state)?
            && ledger.tenants_known()?.iter().any(|known| known == name)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
