//! Handing a delivery to a tenant: its policy's scan of the extract in the spool becomes a directory of its dataset.
//!
//! In this order, and each step is durable before the next begins: the tables stand ready beside the dataset, the
//! ledger gives the delivery its number, the roster that it leaves is kept under that number, the directory gets its
//! name, the ledger hears of it, and the older roster goes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::pool::{Pulse, Work};
use super::run::Published;
use super::stage::examine;
use super::{Stop, complete};
use crate::agreement::{Agreement, AgreementName};
use crate::config::{Configuration, Store};
use crate::dataset::{ComponentIdentity, Dataset, Manifest, TenantManifest, delivery_name};
use crate::error::Error;
use crate::keyed::ListKey;
use crate::ledger::lock::StateLock;
use crate::ledger::{Ledger, Record, Share, ShareState};
use crate::parquet_out::ParquetDirectory;
use crate::policy::Policy;
use crate::pseudonym::PseudonymKey;
use crate::report::{Level, Start};
use crate::roster::Rosters;
use crate::sandbox::Connector;
use crate::scan::Scan;
use crate::selected::Selected;
use crate::spool::Spooled;
use crate::tenant::{Tenant, policy_digest};
use crate::transport::said;

/// A tenant that is ready to get deliveries: its files are read, and the component takes its policy.
pub(super) struct Ready {
    pub(super) tenant: Tenant,
    policy: Policy,
    /// What stands for the policy in manifests; not before there is a dataset to write them to.
    digest: String,
    key: Option<PseudonymKey>,
    pub(super) dataset: Dataset,
    _lock: Option<StateLock>,
}

/// The scan of what a tenant would get of a delivery of an agreement if it came now. The tenant's roster is read, and
/// stays as it is.
///
/// It takes [`Scan::read_selected`]. The agreement can go without a name where the tenant sees one only. The extract is
/// read once before, to see whether it is the agreement's, and whole enough for the policy.
pub fn tenant_scan(
    connector: &Connector,
    configuration: &Configuration,
    tenant: &str,
    agreement: Option<&str>,
    extract: impl Read,
) -> Result<Scan, Error> {
    let tenant = configuration.tenant(tenant)?;
    let names: Vec<_> = tenant
        .agreements
        .iter()
        .map(AgreementName::as_str)
        .collect();
    let agreement = match (agreement, names.as_slice()) {
        (Some(name), _) if tenant.sees(name) => name,
        (None, [only]) => only,
        (Some(_), _) => {
            return Err(Error::Request(format!(
                "tenant {} may not see data of that agreement, only of {}",
                tenant.name,
                names.join(", ")
            )));
        }
        (None, _) => {
            return Err(Error::Request(format!(
                "tenant {} may see data of several agreements; say which this is of, with --agreement: {}",
                tenant.name,
                names.join(", ")
            )));
        }
    };
    let has_agreement = |store: &&Store| {
        let mut own = store.agreements.iter();
        own.any(|own| own.name.as_str() == agreement)
    };
    let store = configuration.stores.iter().find(has_agreement);
    let mut roster = None;
    if let Some(store) = store
        && let Some(ledger) = Ledger::open_to_read(&store.state)?
    {
        let newest = ledger.newest_share(tenant.name.as_str(), agreement)?;
        roster = read_roster(&store.state, tenant, agreement, newest)?;
    }
    let ready = Ready::new(connector, tenant)?;
    let limits = tenant.limits.sandbox();
    let examined = examine(Scan::new(connector).limits(limits), extract, |_| {})
        .map_err(|error| error.of_tenant(Some(tenant.name.as_str())))?;
    if let Some(broken) = examined.broken {
        return Err(broken.into());
    }
    complete::check(&ready.policy, &examined.summary)?;
    let is_named = |one: &&Agreement| one.name.as_str() == agreement;
    if let Some(agreement) = configuration.agreements().find(is_named) {
        is_of(agreement, examined.summary.start.as_ref())?;
    }
    let scan = ready.scan(connector, roster);
    Ok(scan.tenant(tenant.name.as_str()))
}

/// An error if an extract's task number is not the agreement's.
fn is_of(agreement: &Agreement, start: Option<&Start>) -> Result<(), Error> {
    let own = &agreement.files.task_numbers;
    let number = start.map(|start| &start.task_number);
    match own.is_empty() || number.is_some_and(|number| own.contains(number)) {
        true => Ok(()),
        false => Err(Error::Request(format!(
            "the extract is not of agreement {}: its task number is none of those that the configuration names \
             (files.task_numbers). Whose it is, `cprflow verify` and the sender say",
            agreement.name
        ))),
    }
}

impl Ready {
    /// Makes a tenant ready, or says what is wrong with it.
    pub(super) fn new(connector: &Connector, tenant: &Tenant) -> Result<Self, Error> {
        let policy = tenant.policy()?;
        connector.view(&policy)?;
        let dataset = Dataset::at(&tenant.dataset).ok_or_else(|| {
            Error::Request(format!("{} can be no dataset", tenant.dataset.display()))
        })?;
        Ok(Self {
            tenant: tenant.clone(),
            digest: String::new(),
            policy,
            key: tenant.pseudonym_key()?,
            dataset,
            _lock: None,
        })
    }

    /// Makes its dataset ready too, for this process alone.
    pub(super) fn open(self, state: &Path) -> Result<Self, Error> {
        let has_list = self.policy.persons.numbers.is_some();
        let key = has_list.then(|| ListKey::open(state)).transpose()?;
        let dataset = Dataset::open(&self.tenant.dataset)?.for_group(self.tenant.group()?)?;
        Ok(Self {
            digest: policy_digest(&self.policy, key.as_ref()).unwrap_or_default(),
            _lock: dataset.lock()?,
            dataset,
            ..self
        })
    }

    /// The scan of what the tenant may see.
    fn scan(&self, connector: &Connector, roster: Option<Vec<u8>>) -> Scan {
        let mut scan = Scan::new(connector)
            .limits(self.tenant.limits.sandbox())
            .policy(&self.policy);
        if let Some(roster) = roster {
            scan = scan.roster(roster);
        }
        if let Some(key) = &self.key {
            scan = scan.pseudonym_key(key.clone());
        }
        scan
    }
}

/// What hands deliveries to tenants, from any thread. All of it is its own: a thread that does not come back may
/// outlive the run.
pub(super) struct Hand {
    pub(super) connector: Connector,
    pub(super) store: Store,
    /// A connection of the threads' own: the one of the run is in use while they work.
    pub(super) ledger: Mutex<Ledger>,
    pub(super) stop: Stop,
    pub(super) now: fn() -> Timestamp,
}

/// Tables that are ready to be published.
struct Staged {
    directory: PathBuf,
    rows: BTreeMap<String, u64>,
    selected: Selected,
    roster: Vec<u8>,
    /// Whom the extract has delivered, in scope or not.
    delivered: Vec<u8>,
}

/// No delivery has a higher number of six digits.
const LAST_NUMBER: u64 = 999_999;

impl Hand {
    /// Publishes a delivery to a tenant; none if it has it already or shall not have it.
    pub(super) fn publish(
        &self,
        ready: &Ready,
        work: &Work,
        pulse: &Pulse,
    ) -> Result<Option<Published>, Error> {
        let tenant = ready.tenant.name.as_str();
        let (record, share) = {
            let ledger = self.ledger();
            (
                ledger.delivery(work.delivery)?,
                ledger.share(work.delivery, tenant)?,
            )
        };
        let (Some(record), Some(share)) = (record, share) else {
            return Ok(None);
        };
        if share.state.is_settled() {
            return Ok(None);
        }
        if share.state == ShareState::Publishing
            && let Some(name) = &share.directory
            && let Some(manifest) = ready.dataset.manifest(&record.agreement, name)?
            && manifest.transfer_uuid == record.transfer_uuid
        {
            // An earlier run was killed before the ledger heard of it.
            return self.published(ready, &record, &manifest, pulse).map(Some);
        }
        let staged = self.stage(ready, &record, &share, pulse)?;
        crate::hook::reached_by("tenant-scanned", tenant);
        let date = record.production_date().unwrap_or_default();
        let name = |sequence| delivery_name(date, sequence, &record.transfer_uuid);
        let now = (self.now)();
        let (sequence, directory) = self
            .ledger_of(pulse)?
            .share_publishing(record.id, tenant, name, now)?;
        crate::hook::reached("tenant-publishing");
        {
            // Nobody is given up in the middle of it.
            let _ledger = self.ledger_of(pulse)?;
            let rosters = self.rosters(tenant, &record.agreement);
            rosters.write_delivered(sequence, &staged.delivered)?;
            rosters.write(sequence, &staged.roster)?;
        }
        crate::hook::reached("roster-written");
        let manifest = self.manifest(ready, &record, sequence, &staged, now);
        manifest.write(&staged.directory)?;
        ready
            .dataset
            .publish(&staged.directory, &record.agreement, &directory)?;
        crate::hook::reached_by("tenant-renamed", tenant);
        // The directory above is left of it. From here on nothing waits for the tenant's disk.
        self.clear_staging(ready)?;
        self.published(ready, &record, &manifest, pulse).map(Some)
    }

    /// Removes what is left in a tenant's dataset of deliveries that were being made ready.
    pub(super) fn clear_staging(&self, ready: &Ready) -> Result<(), Error> {
        for agreement in &self.store.agreements {
            if ready.tenant.sees(agreement.name.as_str()) {
                ready.dataset.clear_staging_of(agreement.name.as_str())?;
            }
        }
        Ok(())
    }

    /// Tells the ledger what stands in the tenant's dataset.
    fn published(
        &self,
        ready: &Ready,
        record: &Record,
        manifest: &Manifest,
        pulse: &Pulse,
    ) -> Result<Published, Error> {
        let tenant = ready.tenant.name.as_str();
        let counts = manifest.share();
        {
            let ledger = self.ledger();
            if !pulse.finish() {
                // The next run finds it in the dataset.
                return Err(Error::Stopped);
            }
            ledger.share_published(record.id, tenant, &counts, (self.now)())?;
        }
        crate::hook::reached("tenant-published");
        self.rosters(tenant, &record.agreement)
            .remove_older(manifest.sequence)?;
        crate::hook::reached("roster-settled");
        let name = manifest.name();
        tracing::info!(
            tenant,
            agreement = record.agreement,
            transfer = record.transfer_uuid,
            directory = name,
            rows = counts.rows,
            "published to a tenant"
        );
        Ok(Published {
            agreement: record.agreement.clone(),
            tenant: Some(tenant.to_owned()),
            file_name: record.said_name(),
            directory: Path::new(&format!("agreement={}", record.agreement)).join(name),
            records: counts.rows,
            persons: counts.persons,
            remarks: match (counts.entered, counts.left) {
                (0, 0) => Vec::new(),
                (entered, left) => vec![format!(
                    "{entered} persons entered the scope, {left} left it"
                )],
            },
        })
    }

    /// Scans the extract by the tenant's policy and writes every table of it, empty ones too.
    fn stage(
        &self,
        ready: &Ready,
        record: &Record,
        share: &Share,
        pulse: &Pulse,
    ) -> Result<Staged, Error> {
        let limits = &ready.tenant.limits;
        let spooled = Spooled::new(
            &self.store.spool(),
            &record.agreement,
            &record.transfer_uuid,
        )?;
        let path = spooled.whole().ok_or_else(|| {
            Error::Request(format!(
                "its extract is gone from the spool: order its persons anew (`cprflow subscription reorder`), and set \
                 this one aside: cprflow set-aside {} --tenant {} --reason …",
                record.transfer_uuid, ready.tenant.name
            ))
        })?;
        let roster = self.roster(ready, &record.agreement)?;
        crate::hook::reached_by("tenant-reading", ready.tenant.name.as_str());
        let directory = ready
            .dataset
            .staging(&record.agreement, &record.transfer_uuid)?;
        let in_time = || {
            within(
                "limits.total_seconds",
                pulse.elapsed().as_secs(),
                limits.total.as_secs(),
            )
        };
        let mut scan = ready.scan(&self.connector, roster);
        if let Some(superseded) = self.superseded(ready, record, share)? {
            scan = scan.superseded(superseded);
        }
        let batches = scan.read_selected(|| {
            let file = File::open(path)?;
            Ok(Watched {
                file,
                pulse,
                stop: &self.stop,
                total: limits.total,
            })
        });
        // Whoever reads hears only that there is nothing more.
        let mut batches = batches.or_else(|error| in_time().and(Err(error)))?;
        let mut tables = ParquetDirectory::create(&directory, false)?;
        let mut rows = BTreeMap::new();
        let view = batches.view().cloned();
        for table in view.iter().flat_map(|view| view.tables()) {
            rows.insert(table.name.clone(), 0);
            if let Some(schema) = table.schema(None) {
                tables.begin_table(&table.name, schema)?;
            }
        }
        for batch in batches.by_ref() {
            pulse.beat();
            self.stop.check()?;
            // Memory, rows and bytes are the sandbox's to limit; the time here is that of the disk too.
            in_time()?;
            let batch = batch?;
            tables.write(&batch.table, &batch.batch)?;
            *rows.entry(batch.table).or_default() += batch.batch.num_rows() as u64;
        }
        in_time()?;
        complete::check(&ready.policy, &batches.summary()?)?;
        let (roster, delivered) = (batches.roster()?, batches.delivered()?);
        let selected = batches
            .selected()
            .ok_or_else(|| Error::Request("the scan has not chosen anybody".to_owned()))?;
        tables.finish()?;
        Ok(Staged {
            directory,
            rows,
            selected,
            roster,
            delivered,
        })
    }

    /// Who was in scope after the delivery before.
    fn roster(&self, ready: &Ready, agreement: &str) -> Result<Option<Vec<u8>>, Error> {
        let tenant = ready.tenant.name.as_str();
        let newest = self.ledger().newest_share(tenant, agreement)?;
        read_roster(&self.store.state, &ready.tenant, agreement, newest)
    }

    /// Whom the deliveries that are applied after one have delivered. One that comes late says how things were, and
    /// must not bring back who has left since.
    fn superseded(
        &self,
        ready: &Ready,
        record: &Record,
        share: &Share,
    ) -> Result<Option<Vec<u8>>, Error> {
        let tenant = ready.tenant.name.as_str();
        let date = record.production_date().unwrap_or_default();
        // Without a number of its own yet, it gets one after all those that the tenant has.
        let next = || delivery_name(date, LAST_NUMBER, &record.transfer_uuid);
        let directory = share.directory.clone().unwrap_or_else(next);
        let later = self
            .ledger()
            .later_shares(tenant, &record.agreement, &directory)?;
        let rosters = self.rosters(tenant, &record.agreement);
        let mut all: Option<Vec<u8>> = None;
        for number in later {
            let delivered = rosters.read_delivered(number)?.ok_or_else(|| {
                Error::Request(format!(
                    "it comes after a later one, and {} is gone, which says whom that brought: who has left since could \
                     come back. Set it aside (cprflow set-aside {} --tenant {tenant} --reason …), and order its persons \
                     anew where they are missing (`cprflow subscription reorder`)",
                    rosters.delivered_path(number).display(),
                    record.transfer_uuid,
                ))
            })?;
            all = Some(match all {
                None => delivered,
                Some(before) => {
                    let limits = ready.tenant.limits.sandbox();
                    self.connector.join_rosters(limits, &before, &delivered)?
                }
            });
        }
        Ok(all)
    }

    fn manifest(
        &self,
        ready: &Ready,
        record: &Record,
        sequence: u64,
        staged: &Staged,
        now: Timestamp,
    ) -> Manifest {
        let own = |agreement: &&crate::Agreement| agreement.name.as_str() == record.agreement;
        let agreement = self.store.agreements.iter().find(own);
        let Selected {
            persons,
            entered,
            left,
        } = staged.selected;
        Manifest {
            format: 1,
            agreement: record.agreement.clone(),
            controller: agreement.and_then(|agreement| agreement.controller.clone()),
            sequence,
            transfer_uuid: record.transfer_uuid.clone(),
            file_name: record.said_name(),
            metadata_name: said(&record.metadata_name),
            sender: record.sender.clone(),
            size: record.size,
            sha256: record.counts.sha256.clone(),
            task_number: record.counts.task_number.clone(),
            production_date: record.production_date().unwrap_or_default().to_owned(),
            previous_production_date: record.counts.previous_production_date.clone(),
            published: now.to_string(),
            records: staged.rows.values().sum(),
            rows: staged.rows.clone(),
            record_types: None,
            // They are of the whole extract, and tell of persons whom the tenant may not see.
            findings: Vec::new(),
            accepted: record
                .counts
                .findings
                .iter()
                .filter(|finding| finding.level == Level::Error.name())
                .map(|finding| finding.code.clone())
                .collect(),
            component: ComponentIdentity {
                sha256: self.connector.sha256().to_owned(),
            },
            policy: format!("sha256:{}", ready.digest),
            purpose: ready.tenant.purpose.clone(),
            tenant: Some(TenantManifest {
                name: ready.tenant.name.to_string(),
                church_purpose: ready.tenant.church_purpose.clone(),
                persons,
                entered,
                left,
            }),
            written_by: concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Removes rosters that are older than those in force.
    pub(super) fn clear_rosters(&self) -> Result<(), Error> {
        for agreement in &self.store.agreements {
            let agreement = agreement.name.as_str();
            for tenant in self.store.tenants_of(agreement) {
                let tenant = tenant.name.as_str();
                if let Some(number) = self.ledger().newest_share(tenant, agreement)? {
                    self.rosters(tenant, agreement).remove_older(number)?;
                }
            }
        }
        Ok(())
    }

    fn rosters(&self, tenant: &str, agreement: &str) -> Rosters {
        Rosters::new(&self.store.state, tenant, agreement)
    }

    /// The ledger, for a thread that somebody still waits for. What was given up may be tried by another by now.
    fn ledger_of(&self, pulse: &Pulse) -> Result<MutexGuard<'_, Ledger>, Error> {
        let ledger = self.ledger();
        match pulse.is_abandoned() {
            true => Err(Error::Stopped),
            false => Ok(ledger),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The roster that the delivery of that number left. It may be missing only where the tenant has nothing.
fn read_roster(
    state: &Path,
    tenant: &Tenant,
    agreement: &str,
    newest: Option<u64>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(number) = newest else {
        return Ok(None);
    };
    let rosters = Rosters::new(state, tenant.name.as_str(), agreement);
    if let Some(roster) = rosters.read(number)? {
        return Ok(Some(roster));
    }
    if !Dataset::has_deliveries(&tenant.dataset, agreement)? {
        // Nobody is in a copy that is not there, so nobody has to be told to leave it.
        return Ok(None);
    }
    Err(Error::Request(format!(
        "{} is gone, and with it who must be told to be out of scope: put it back from a backup; or move what the \
         tenant has of agreement {agreement} away from {} and order its persons anew (`cprflow subscription reorder`)",
        rosters.path(number).display(),
        tenant.dataset.display(),
    )))
}

fn within(key: &'static str, used: u64, limit: u64) -> Result<(), Error> {
    match used > limit {
        true => Err(Error::TenantLimit { key, limit }),
        false => Ok(()),
    }
}

/// A file that shows that it is read, and ends when it is time to stop.
struct Watched<'a> {
    file: File,
    pulse: &'a Pulse,
    stop: &'a Stop,
    total: Duration,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pulse.beat();
        if self.stop.is_set() {
            return Err(io::Error::other("stopped"));
        }
        if self.pulse.elapsed().as_secs() > self.total.as_secs() {
            return Err(io::Error::other("it took too long"));
        }
        self.file.read(buffer)
    }
}
