//! One run over the inboxes of a store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::tenants::Tenants;
use super::visit::Visit;
use super::{Observer, Silent, Stop};
use crate::config::Store;
use crate::dataset::{Dataset, Manifest};
use crate::disk;
use crate::error::Error;
use crate::ledger::lock::StateLock;
use crate::ledger::{Ledger, Place, Reason, Record, State};
use crate::roster::is_of_delivered;
use crate::sandbox::Connector;
use crate::spool::{self, Spooled};
use crate::tenant::Tenant;
use crate::transport::Inbox;

/// How long it is waited for the tenants' disks to say what they have.
const TO_ADOPT: Duration = Duration::from_secs(30);

/// What a run did, and what it left for others.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Deliveries that were published.
    pub published: Vec<Published>,
    /// Deliveries that wait for a person.
    pub set_aside: Vec<SetAside>,
    /// Files that are no delivery yet.
    pub waiting: Vec<SetAside>,
    /// Files in an inbox that are nobody's, or that something is wrong with.
    pub strays: Vec<SetAside>,
    /// What went wrong, with the agreement that it happened to.
    pub problems: Vec<Problem>,
}

/// A delivery that was published.
#[derive(Debug, Serialize)]
pub struct Published {
    /// Its agreement.
    pub agreement: String,
    /// The tenant that it was published to; none for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The data file's name.
    pub file_name: String,
    /// Its directory in the dataset.
    pub directory: PathBuf,
    /// Records of all types; for a tenant its rows.
    pub records: u64,
    /// Records of type 001; for a tenant the persons in its scope.
    pub persons: u64,
    /// What a person should hear of it.
    pub remarks: Vec<String>,
}

/// A file or delivery that was not taken, and why.
#[derive(Debug, Serialize)]
pub struct SetAside {
    /// Its agreement, if it has one.
    pub agreement: Option<String>,
    /// The file's name.
    pub file_name: String,
    /// Why.
    pub reason: Reason,
}

/// What went wrong.
#[derive(Debug)]
pub struct Problem {
    /// The agreement that it happened to, if it was one.
    pub agreement: Option<String>,
    /// The tenant that it happened to; the others go on.
    pub tenant: Option<String>,
    /// What.
    pub error: Error,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.tenant, &self.agreement) {
            (Some(tenant), Some(agreement)) => {
                write!(f, "tenant {tenant}, agreement {agreement}: ")?
            }
            (Some(tenant), None) => write!(f, "tenant {tenant}: ")?,
            (None, Some(agreement)) => write!(f, "agreement {agreement}: ")?,
            (None, None) => {}
        }
        write!(f, "{}", self.error)
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Problem", 3)?;
        fields.serialize_field("agreement", &self.agreement)?;
        fields.serialize_field("tenant", &self.tenant)?;
        fields.serialize_field("error", &self.error.to_string())?;
        fields.end()
    }
}

impl From<Record> for SetAside {
    fn from(record: Record) -> Self {
        Self {
            file_name: record.said_name(),
            agreement: Some(record.agreement),
            reason: record.reason.unwrap_or_else(|| Reason::new("unknown", "")),
        }
    }
}

impl Report {
    /// Whether a person has to do something.
    pub fn needs_attention(&self) -> bool {
        let is_foreign = |stray: &SetAside| stray.reason.code == "foreign";
        !self.set_aside.is_empty() || !self.strays.iter().all(is_foreign)
    }
}

/// A run: everything that is ready in the inboxes of a store is published in it.
pub struct Sync<'a> {
    connector: &'a Connector,
    store: &'a Store,
    observer: &'a dyn Observer,
    stop: Stop,
    now: fn() -> Timestamp,
}

impl<'a> Sync<'a> {
    /// A run over a store.
    pub fn new(connector: &'a Connector, store: &'a Store) -> Self {
        Self {
            connector,
            store,
            observer: &Silent,
            stop: Stop::default(),
            now: Timestamp::now,
        }
    }

    /// Who wants to hear how far it is.
    pub fn observer(mut self, observer: &'a dyn Observer) -> Self {
        self.observer = observer;
        self
    }

    /// What can stop it.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Runs. An error means that the store itself cannot be worked on; whatever happens to one inbox is in the report.
    pub fn run(&self) -> Result<Report, Error> {
        self.store.check_purposes()?;
        spool::private_directory(&self.store.state)?;
        let _lock = StateLock::take(&self.store.state)?;
        let mut ledger = Ledger::open(&self.store.state)?;
        let dataset = self.dataset()?;
        let _dataset_lock = dataset.lock()?;
        self.adopt(&mut ledger, &dataset)?;
        dataset.clear_staging()?;
        let mut report = Report::default();
        let ill = self.adopt_shares(&mut ledger)?;
        let tenants = Tenants::new(
            self.connector,
            self.store,
            Ledger::open(&self.store.state)?,
            ill,
            &self.stop,
            self.now,
        )?;
        let serving = Arc::clone(&tenants);
        let served = thread::spawn(move || serving.run());
        let ended = self.visits(&mut ledger, &dataset, &tenants, &mut report);
        if ended.is_err() {
            tenants.give_up();
        }
        tenants.close();
        // It does not wait for a tenant that does not come back.
        let _ = served.join();
        ended?;
        tenants.report(&mut report)?;
        dataset.clear_staging()?;
        self.expire(&ledger)?;
        let aside = ledger.all()?.into_iter();
        report.set_aside.extend(
            aside
                .filter(|record| record.state == State::SetAside)
                .map(SetAside::from),
        );
        Ok(report)
    }

    /// Looks into every inbox, waits for the tenants, and removes from the servers what they have.
    fn visits(
        &self,
        ledger: &mut Ledger,
        dataset: &Dataset,
        tenants: &Tenants,
        report: &mut Report,
    ) -> Result<(), Error> {
        tenants.add_waiting()?;
        for inbox in self.inboxes() {
            let mut visit = self.visit(&inbox, ledger, dataset, tenants, report);
            let ended = visit.run();
            let is_good = ended.is_ok();
            if self.told(&inbox, ended, ledger, report)? {
                break;
            }
            if is_good {
                self.looked(&inbox, None, ledger)?;
            }
        }
        tenants.wait();
        // This looks at nothing that was not looked at before: it can fail, and says nothing of how the look went.
        for inbox in self.inboxes() {
            let mut visit = self.visit(&inbox, ledger, dataset, tenants, report);
            let ended = visit.finish();
            if self.told(&inbox, ended, ledger, report)? {
                break;
            }
        }
        Ok(())
    }

    fn visit<'b>(
        &'b self,
        inbox: &'b Inbox,
        ledger: &'b mut Ledger,
        dataset: &'b Dataset,
        tenants: &'b Tenants,
        report: &'b mut Report,
    ) -> Visit<'b> {
        Visit {
            connector: self.connector,
            store: self.store,
            observer: self.observer,
            stop: &self.stop,
            now: self.now,
            inbox,
            ledger,
            dataset,
            tenants,
            report,
        }
    }

    /// Notes for each agreement of an inbox that it was looked into, and what went wrong if something did.
    fn looked(&self, inbox: &Inbox, error: Option<&str>, ledger: &Ledger) -> Result<(), Error> {
        for agreement in self.store.own(inbox) {
            ledger.visited(agreement.name.as_str(), error, (self.now)())?;
        }
        Ok(())
    }

    /// Notes what went wrong with a visit; true if it was stopped.
    fn told(
        &self,
        inbox: &Inbox,
        ended: Result<(), Error>,
        ledger: &Ledger,
        report: &mut Report,
    ) -> Result<bool, Error> {
        let error = match ended {
            Ok(()) => return Ok(false),
            Err(Error::Stopped) => return Ok(true),
            Err(error) if error.is_of_one_inbox() => error,
            // The next inbox would meet the same disk and the same ledger.
            Err(error) => return Err(error),
        };
        self.looked(inbox, Some(&error.to_string()), ledger)?;
        if let Some(first) = self.store.own(inbox).first() {
            report.problems.push(Problem {
                agreement: Some(first.name.to_string()),
                tenant: None,
                error,
            });
        }
        Ok(false)
    }

    /// The dataset of the whole. It is not made where nobody is to have the whole.
    fn dataset(&self) -> Result<Dataset, Error> {
        let mut agreements = self.store.agreements.iter();
        let is_wanted = agreements.any(|agreement| agreement.unrestricted.is_some());
        match Dataset::at(&self.store.dataset).filter(|_| !is_wanted) {
            Some(dataset) => Ok(dataset),
            None => Dataset::open(&self.store.dataset),
        }
    }

    /// The inboxes of the store, each once.
    fn inboxes(&self) -> Vec<Inbox> {
        let mut inboxes: Vec<Inbox> = Vec::new();
        for agreement in &self.store.agreements {
            if !inboxes.contains(&agreement.inbox) {
                inboxes.push(agreement.inbox.clone());
            }
        }
        inboxes
    }

    /// Takes up what stands in the dataset and the ledger does not know, so that nothing is published twice. All of it
    /// is on the disk together: a ledger that has taken up a part would believe the rest to be new.
    fn adopt(&self, ledger: &mut Ledger, dataset: &Dataset) -> Result<(), Error> {
        let now = (self.now)();
        let is_first = !ledger.has_adopted(Place::Dataset)?;
        // Whoever works with another ledger may have published at any time.
        let known = ledger.directories()?;
        let unknown = dataset.deliveries(|agreement, name| {
            !known.contains(&(agreement.to_owned(), name.to_owned()))
        })?;
        if unknown.is_empty() && !is_first {
            return Ok(());
        }
        ledger.together(|ledger| {
            for (directory, manifest) in unknown {
                ledger.adopt(&manifest.record(directory, now))?;
                let (agreement, transfer) = (&manifest.agreement, &manifest.transfer_uuid);
                if let Some(record) = ledger.find(agreement, transfer)? {
                    self.share_spooled(ledger, &record, now)?;
                }
            }
            crate::hook::reached("adopting");
            if is_first {
                ledger.adopted(Place::Dataset, now)?;
            }
            Ok(())
        })
    }

    /// Takes up what stands in the tenants' datasets and the ledger does not know. What is wrong with its dataset is a
    /// tenant's own problem: it is given back, and the tenant gets nothing.
    fn adopt_shares(&self, ledger: &mut Ledger) -> Result<BTreeMap<&'a str, Error>, Error> {
        let mut questions = Vec::new();
        for tenant in &self.store.tenants {
            let dataset = Dataset::at(&tenant.dataset);
            let known = ledger.directories_of(tenant.name.as_str())?;
            let agreements = self.store.agreements.iter();
            let own: Vec<_> = agreements.map(|agreement| agreement.name.clone()).collect();
            questions.push(move || {
                let is_wanted = |agreement: &str, name: &str| {
                    own.iter().any(|own| own.as_str() == agreement)
                        && !known.contains(&(agreement.to_owned(), name.to_owned()))
                };
                dataset.map_or(Ok(Vec::new()), |dataset| dataset.deliveries(is_wanted))
            });
        }
        let found = disk::ask(TO_ADOPT, questions);
        let mut ill = BTreeMap::new();
        for (tenant, found) in self.store.tenants.iter().zip(found) {
            let found = found.unwrap_or_else(|| {
                Err(Error::TenantStuck {
                    path: tenant.dataset.clone(),
                    seconds: TO_ADOPT.as_secs(),
                })
            });
            match found {
                Ok(deliveries) => self.adopt_shares_of(ledger, tenant, deliveries)?,
                Err(error) => {
                    ill.insert(tenant.name.as_str(), error);
                }
            }
        }
        Ok(ill)
    }

    /// The same for one tenant, in whose dataset these stand. All of it is on the disk together.
    fn adopt_shares_of(
        &self,
        ledger: &mut Ledger,
        tenant: &Tenant,
        mut deliveries: Vec<(String, Manifest)>,
    ) -> Result<(), Error> {
        let now = (self.now)();
        let place = Place::Tenant(tenant.name.as_str());
        let is_first = !ledger.has_adopted(place)?;
        if deliveries.is_empty() && !is_first {
            return Ok(());
        }
        deliveries.sort_by_key(|(_, manifest)| manifest.sequence);
        ledger.together(|ledger| {
            for (directory, manifest) in deliveries {
                let counts = manifest.share();
                let record = manifest.record(directory, now);
                let find = || ledger.find(&record.agreement, &record.transfer_uuid);
                let is_known = find()?.is_some();
                ledger.adopt_share(&record, tenant.name.as_str(), &counts)?;
                if let Some(record) = find()?.filter(|_| !is_known) {
                    self.share_spooled(ledger, &record, now)?;
                }
            }
            crate::hook::reached("adopting-shares");
            if is_first {
                ledger.adopted(place, now)?;
            }
            Ok(())
        })
    }

    /// Whoever has not got what the spool still holds gets it.
    fn share_spooled(&self, ledger: &Ledger, record: &Record, now: Timestamp) -> Result<(), Error> {
        let spool = self.store.spool();
        let spooled = Spooled::new(&spool, &record.agreement, &record.transfer_uuid)?;
        if spooled.whole().is_some() && record.state.is_published() {
            let tenants = self.store.tenants_of(&record.agreement);
            let names: Vec<_> = tenants.map(|tenant| tenant.name.as_str()).collect();
            ledger.add_shares(record.id, &names, now)?;
        }
        Ok(())
    }

    /// What lies in the spool for too long goes.
    fn expire(&self, ledger: &Ledger) -> Result<(), Error> {
        let spool = self.store.spool();
        let max_age = crate::calendar::days(self.store.max_age_days);
        let now = (self.now)();
        let is_of = |path: &Path, record: &Record| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            name == record.transfer_uuid
        };
        let mut needed = Vec::new();
        for record in ledger.all()? {
            if record.state.is_published() && ledger.is_needed(record.id)? {
                needed.push(record);
            }
        }
        // The server may have nothing of it any more: it stays until the tenant has it or a person says otherwise.
        let is_needed = |path: &Path| needed.iter().any(|record| is_of(path, record));
        let removed = spool::remove_older(&spool, max_age, now, is_needed)?;
        let rosters = self.store.state.join("rosters");
        spool::remove_older(&rosters, max_age, now, |path| !is_of_delivered(path))?;
        let is_removed = |record: &&Record| removed.iter().any(|path| is_of(path, record));
        for record in ledger.all()?.iter().filter(is_removed) {
            tracing::warn!(
                agreement = record.agreement,
                transfer = record.transfer_uuid,
                "the spooled extract was kept as long as --max-age says, and is gone now"
            );
        }
        Ok(())
    }
}
