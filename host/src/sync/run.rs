//! One run over the inboxes of a store.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::visit::Visit;
use super::{Connection, Observer, Silent, Stop};
use crate::config::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ledger::lock::StateLock;
use crate::ledger::{Ledger, Reason, Record, State};
use crate::sandbox::Connector;
use crate::spool;
use crate::transport::Inbox;

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
    /// The data file's name.
    pub file_name: String,
    /// Its directory in the dataset.
    pub directory: PathBuf,
    /// Records of all types.
    pub records: u64,
    /// Records of type 001.
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
    /// The agreement that it happened to.
    pub agreement: String,
    /// What.
    pub error: Error,
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Problem", 2)?;
        fields.serialize_field("agreement", &self.agreement)?;
        fields.serialize_field("error", &self.error.to_string())?;
        fields.end()
    }
}

impl From<Record> for SetAside {
    fn from(record: Record) -> Self {
        Self {
            agreement: Some(record.agreement),
            file_name: record.file_name,
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
        let agreements = &self.store.agreements;
        if let Some(agreement) = agreements.iter().find(|one| one.unrestricted.is_none()) {
            return Err(Error::Request(format!(
                "agreement {}: publishing everything of everyone must be asked for, with a purpose: add \
                 `--unrestricted PURPOSE`, or `unrestricted = \"…\"` to the agreement in the configuration",
                agreement.name
            )));
        }
        spool::private_directory(&self.store.state)?;
        let _lock = StateLock::take(&self.store.state)?;
        let mut ledger = Ledger::open(&self.store.state)?;
        let dataset = Dataset::open(&self.store.dataset)?;
        if ledger.is_new() {
            self.adopt(&ledger, &dataset)?;
        }
        dataset.clear_staging()?;
        let mut report = Report::default();
        for inbox in self.inboxes() {
            let own = self.store.own(&inbox);
            let Some(first) = own.first().copied() else {
                continue;
            };
            let mut visit = Visit {
                connector: self.connector,
                store: self.store,
                observer: self.observer,
                stop: &self.stop,
                now: self.now,
                inbox: &inbox,
                ledger: &mut ledger,
                dataset: &dataset,
                report: &mut report,
            };
            let ended = visit.run(&mut Connection::new(first));
            let error = match ended {
                Ok(()) => None,
                Err(Error::Stopped) => break,
                Err(error) if error.is_of_one_inbox() => Some(error),
                // The next inbox would meet the same disk and the same ledger.
                Err(error) => return Err(error),
            };
            let said = error.as_ref().map(Error::to_string);
            for agreement in &own {
                ledger.visited(agreement.name.as_str(), said.as_deref(), (self.now)())?;
            }
            if let Some(error) = error {
                report.problems.push(Problem {
                    agreement: first.name.to_string(),
                    error,
                });
            }
        }
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

    /// A new ledger takes up what stands in the dataset, so that nothing is published twice.
    fn adopt(&self, ledger: &Ledger, dataset: &Dataset) -> Result<(), Error> {
        for (directory, manifest) in dataset.deliveries()? {
            ledger.adopt(&manifest.record(directory, (self.now)()))?;
        }
        Ok(())
    }

    /// What lies in the spool for too long goes.
    fn expire(&self, ledger: &Ledger) -> Result<(), Error> {
        let spool = self.store.spool();
        let max_age = crate::calendar::days(self.store.max_age_days);
        let now = (self.now)();
        let removed = spool::remove_older(&spool, max_age, now)?;
        let names = |record: &Record| {
            removed.iter().any(|path| {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                name == record.transfer_uuid
            })
        };
        for record in ledger.all()?.iter().filter(|record| names(record)) {
            tracing::warn!(
                agreement = record.agreement,
                transfer = record.transfer_uuid,
                "the spooled extract was kept as long as --max-age says, and is gone now"
            );
        }
        Ok(())
    }
}
