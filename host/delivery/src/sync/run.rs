//! The order of a run over all inboxes of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::adopt::Adoption;
use super::current;
use super::error::SyncError;
use super::former_tenants;
use super::inbox_run::InboxRun;
use super::keep;
use super::observer::{Observer, Silent};
use super::report::{MissingDeliveries, RunProblem, RunReport, SkippedFile};
use super::tenants::Tenants;
use crate::calendar;
use crate::config::{Configuration, Store};
use crate::current::{CurrentError, check_clock, withdraw};
use crate::dataset::{CheckDepth, Dataset};
use crate::erase::{self, EraseError, ErasedSubject, Order};
use crate::error::Error;
use crate::fs;
use crate::fs::StateLock;
use crate::integrity::{DatasetIntegrity, check_store};
use crate::ledger::{AdoptedDataset, Ledger, Record, State, TenantDeliveryState};
use crate::retention;
use crate::spool;
use crate::stop::Stop;
use crate::tenant::rosters::{Rosters, is_of_delivered};
use cprflow::Connector;
use cprflow_transport::Inbox;
use jiff::Timestamp;

/// A run over a store: publishes every delivery that is ready in its inboxes.
pub struct Sync<'a> {
    connector: &'a Connector,
    store: &'a Store,
    observer: &'a dyn Observer,
    stop: Stop,
    now: fn() -> Timestamp,
    has_inboxes: bool,
}

/// Runs over a configuration until the run is asked to stop.
///
/// The error of a store that cannot be used is in the report, because the next store has its own disk and ledger.
pub fn run_all(
    connector: &Connector,
    configuration: &Configuration,
    observer: &dyn Observer,
    stop: &Stop,
) -> RunReport {
    let mut all = RunReport::default();
    for store in &configuration.stores {
        if stop.is_set() {
            break;
        }
        let run = Sync::new(connector, store).observer(observer).stop(stop);
        match run.run() {
            Ok(report) => all.append(report),
            Err(Error::Stopped) => break,
            Err(error) => all.problems.push(RunProblem {
                agreement: None,
                tenant: None,
                error,
            }),
        }
    }
    all
}

impl<'a> Sync<'a> {
    /// Creates a run over a store.
    pub fn new(connector: &'a Connector, store: &'a Store) -> Self {
        Self {
            connector,
            store,
            observer: &Silent,
            stop: Stop::default(),
            now: calendar::now,
            has_inboxes: true,
        }
    }

    /// Leaves out the inboxes: only makes again what the register says.
    pub(crate) fn without_inboxes(mut self) -> Self {
        self.has_inboxes = false;
        self
    }

    /// Sets the observer of the run's progress. Default: none.
    pub fn observer(mut self, observer: &'a dyn Observer) -> Self {
        self.observer = observer;
        self
    }

    /// Sets the flag that stops the run.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Runs. Errors of one inbox, file or tenant are in the report. Fails if the store itself cannot be used.
    pub fn run(&self) -> Result<RunReport, Error> {
        let mut report = RunReport::default();
        // A late extract can tell other numbers of erased persons. Then these are erased first, as at the start of each run.
        while self.run_once(&mut report)? {
            report.begin_again();
        }
        Ok(report)
    }

    /// Runs until everything is done, or until other numbers of erased persons were found. Returns whether they were.
    fn run_once(&self, report: &mut RunReport) -> Result<bool, Error> {
        self.store.check_purposes()?;
        fs::private_directory(&self.store.state)?;
        fs::check_state_permissions(&self.store.state)?;
        let _lock = StateLock::take(&self.store.state)?;
        let mut ledger = Ledger::open(&self.store.state)?;
        // Without the list, an extract could bring erased persons back.
        erase::list::check(&self.store.state, &ledger)?;
        // A rename that was interrupted has moved directories. They are neither gone nor new.
        self.check_agreements(&ledger)?;
        // Before the dataset is opened, because that would make an empty one, for example where its disk is not mounted.
        let checked = check_store(self.store, &ledger, CheckDepth::Directories)?;
        let mut gone = self.report_missing(checked, report)?;
        let dataset = self.dataset()?;
        let _dataset_lock = dataset.lock()?;
        let adoption = Adoption {
            store: self.store,
            now: self.now,
        };
        adoption.adopt(&mut ledger, &dataset)?;
        dataset.clear_staging()?;
        let mut unusable = adoption.adopt_shares(&mut ledger)?;
        keep::recover(self.store, &mut ledger, (self.now)())?;
        adoption.adopt_generations(&mut ledger, &unusable)?;
        former_tenants::remember(self.store, &ledger, &unusable)?;
        former_tenants::withdraw(self.store, &ledger, report)?;
        self.check_agreements(&ledger)?;
        let order = self.erase(&mut ledger, &dataset, &mut gone, report)?;
        // Deliveries are also made again that were put back from an older copy; older generations can be back too.
        let may_show_erased = order.is_some() || !report.rewritten.is_empty();
        for tenant in &self.store.tenants {
            if let Some(error) = gone.get(tenant.name.as_str()) {
                let name = tenant.name.as_str();
                unusable.entry(name).or_insert_with(|| error.clone().into());
            }
        }
        let receiving = self.store_of_run(order.as_ref());
        let tenants = Tenants::new(
            self.connector,
            &receiving,
            Ledger::open(&self.store.state)?,
            unusable,
            may_show_erased,
            &self.stop,
            self.now,
        )?;
        let scheduled = Arc::clone(&tenants);
        let started = thread::Builder::new().spawn(move || scheduled.run());
        let scheduler = started.map_err(cprflow::Error::Thread)?;
        let ended = self.process_inboxes(&mut ledger, &dataset, &tenants, may_show_erased, report);
        if ended.is_err() {
            tenants.stop();
        }
        tenants.close();
        // The scheduler does not wait for abandoned threads.
        let _ = scheduler.join();
        let has_new_ties = ended?;
        tenants.report(report)?;
        dataset.clear_staging()?;
        if has_new_ties {
            return Ok(true);
        }
        // The inboxes may have had such an extract again. The current tables report it too, if they are made.
        for error in keep::damaged(&ledger)? {
            let text = error.to_string();
            let mut known = report.problems.iter();
            if !known.any(|problem| problem.error.to_string() == text) {
                report.problems.push(RunProblem {
                    agreement: None,
                    tenant: None,
                    error: error.into(),
                });
            }
        }
        if let (Some(order), true) = (&order, report.problems.is_empty())
            && erase::finish(self.store, &ledger, order, (self.now)())?
            && erase::has_new_numbers(&ledger)?
        {
            return Ok(true);
        }
        if let Some(mut erasing) = erase::pending(self.store, &ledger, CheckDepth::Digests)? {
            erasing.add_problems(&report.problems);
            report.erasing.push(erasing);
        }
        self.expire(&ledger)?;
        self.expire_published(&ledger, report)?;
        let records = ledger.all()?.into_iter();
        report.set_aside.extend(
            records
                .filter(|record| record.state == State::SetAside)
                .map(SkippedFile::from),
        );
        Ok(false)
    }

    /// Fails if the ledger has published deliveries of an agreement that the configuration does not know.
    fn check_agreements(&self, ledger: &Ledger) -> Result<(), Error> {
        match self.store.unknown_agreement(ledger)? {
            None => Ok(()),
            Some(agreement) => Err(SyncError::UnknownAgreement { agreement }.into()),
        }
    }

    /// Continues an erasure that was ordered: erases from the state directory, and makes the deliveries of the unrestricted
    /// dataset again. Returns the order. The tenants' deliveries and the current tables follow.
    ///
    /// An order that waits for a dataset which is not there is not carried out as if nothing were in it: the dataset gets a
    /// problem, so that the order stays. Tenants with such a dataset are added to `gone`.
    fn erase(
        &self,
        ledger: &mut Ledger,
        dataset: &Dataset,
        gone: &mut BTreeMap<String, SyncError>,
        report: &mut RunReport,
    ) -> Result<Option<Order>, Error> {
        let (store, now) = (self.store, (self.now)());
        let order = match Order::read(&store.state)? {
            Some(order) if !order.is_restored => {
                if let Some(again) = erase::before(self.connector, store, ledger, now)? {
                    self.resume(ledger, &again, report)?;
                }
                Some(order)
            }
            earlier => erase::restored(self.connector, store, ledger, earlier, now)?,
        };
        let mut is_unrestricted_there = true;
        if let Some(order) = &order {
            let waiting = erase::waits_for(store, ledger, order)?;
            if waiting.is_empty() || matches!(order.subject, ErasedSubject::Numbers(_)) {
                self.resume(ledger, order, report)?;
            }
            for empty in waiting {
                is_unrestricted_there &= empty.tenant.is_some();
                let error = SyncError::ErasureWaits {
                    path: empty.path,
                    deliveries: empty.deliveries.len(),
                };
                match (empty.tenant, &order.subject) {
                    // Its error is reported with those of the other tenants that get nothing in this run.
                    (Some(tenant), ErasedSubject::Numbers(_) | ErasedSubject::Agreement(_)) => {
                        gone.insert(tenant, error);
                    }
                    (tenant, _) => report.problems.push(RunProblem {
                        agreement: None,
                        tenant,
                        error: error.into(),
                    }),
                }
            }
        }
        if is_unrestricted_there {
            let again =
                erase::make_unrestricted_again(self.connector, store, ledger, dataset, now)?;
            report.rewritten.extend(again);
        }
        Ok(order)
    }

    /// Carries out the steps of an order that change the state directory.
    fn resume(
        &self,
        ledger: &mut Ledger,
        order: &Order,
        report: &mut RunReport,
    ) -> Result<(), Error> {
        let now = (self.now)();
        match erase::resume(self.connector, self.store, ledger, order, &self.stop, now) {
            // An extract cannot be rewritten, or a directory is not what the ledger says. The order stays. The inboxes do not
            // wait: the list has the persons.
            Err(
                error @ (Error::RegisterState(_)
                | Error::DatasetDirectory(_)
                | Error::Erase(
                    EraseError::NotSeparable { .. } | EraseError::MadeForOthers { .. },
                )),
            ) => {
                tracing::error!(%error, "an erasure cannot be continued");
                report.problems.push(RunProblem {
                    agreement: None,
                    tenant: None,
                    error,
                });
                Ok(())
            }
            resumed => resumed,
        }
    }

    /// Processes every inbox, waits for the tenants, and removes from the servers what all tenants have. Returns whether it
    /// ended before that because other numbers of erased persons were found.
    fn process_inboxes(
        &self,
        ledger: &mut Ledger,
        dataset: &Dataset,
        tenants: &Tenants,
        is_erasing: bool,
        report: &mut RunReport,
    ) -> Result<bool, Error> {
        tenants.add_waiting()?;
        for inbox in self.inboxes() {
            let mut inbox_run = self.inbox_run(&inbox, ledger, dataset, tenants, report);
            let ended = inbox_run.run();
            let (is_ok, has_new_ties) = (ended.is_ok(), inbox_run.has_new_ties);
            if self.report_inbox_error(&inbox, ended, ledger, report)? {
                break;
            }
            if has_new_ties {
                tenants.wait();
                return Ok(true);
            }
            if is_ok {
                self.record_visit(&inbox, None, ledger)?;
            }
        }
        tenants.wait();
        let is_current_made = self.make_current(ledger, dataset, tenants, is_erasing, report)?;
        if is_erasing && !self.stop.is_set() {
            self.remove_generations(ledger, dataset, is_current_made)?;
        }
        // This does not look into the inbox again, so that its success is not recorded as a visit.
        for inbox in self.inboxes() {
            let mut inbox_run = self.inbox_run(&inbox, ledger, dataset, tenants, report);
            inbox_run.is_current_made = is_current_made;
            let ended = inbox_run.finish();
            if self.report_inbox_error(&inbox, ended, ledger, report)? {
                break;
            }
        }
        Ok(false)
    }

    fn inbox_run<'b>(
        &'b self,
        inbox: &'b Inbox,
        ledger: &'b mut Ledger,
        dataset: &'b Dataset,
        tenants: &'b Tenants,
        report: &'b mut RunReport,
    ) -> InboxRun<'b> {
        InboxRun {
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
            is_current_made: false,
            has_new_ties: false,
        }
    }

    /// Makes the current tables of the unrestricted dataset and of the tenants, at the same time. Returns whether those of
    /// the unrestricted dataset are up to date.
    fn make_current(
        &self,
        ledger: &Ledger,
        dataset: &Dataset,
        tenants: &Tenants,
        is_erasing: bool,
        report: &mut RunReport,
    ) -> Result<bool, Error> {
        if self.stop.is_set() {
            return Ok(false);
        }
        tenants.want_current();
        let made = match dataset.exists() {
            true => {
                let (store, now) = (self.store, (self.now)());
                let stop = &self.stop;
                current::make(
                    self.connector,
                    store,
                    dataset,
                    ledger,
                    stop,
                    is_erasing,
                    now,
                )
            }
            false => Ok(None),
        };
        tenants.wait();
        tenants.withdraw_outdated();
        match made {
            Ok(made) => {
                report.current.extend(made);
                Ok(true)
            }
            Err(Error::Stopped) => Ok(false),
            Err(Error::Current(
                error @ (CurrentError::ExtractsMissing { .. } | CurrentError::ClockAhead { .. }),
            )) => {
                // `status` says what to do, until a person has done it.
                tracing::warn!("{error}");
                ledger.set_generation_error(AdoptedDataset::Dataset, Some(&error.to_string()))?;
                Ok(false)
            }
            Err(error @ Error::Ledger(_)) => Err(error),
            Err(error) => {
                tracing::error!(%error, "making the current tables failed");
                ledger.set_generation_error(AdoptedDataset::Dataset, Some(&error.to_string()))?;
                report.problems.push(RunProblem {
                    agreement: None,
                    tenant: None,
                    error,
                });
                Ok(false)
            }
        }
    }

    /// Returns the store without a tenant whose data is being erased: the tenant gets nothing in this run.
    fn store_of_run(&self, order: Option<&Order>) -> Store {
        let mut store = self.store.clone();
        if let Some(ErasedSubject::Tenant(name)) = order.map(|order| &order.subject) {
            store.tenants.retain(|tenant| tenant.name != *name);
        }
        store
    }

    /// Removes generations of the unrestricted dataset that may show erased persons: the older ones, or all of them if no new
    /// one could be made.
    fn remove_generations(
        &self,
        ledger: &Ledger,
        dataset: &Dataset,
        is_current_made: bool,
    ) -> Result<(), Error> {
        if !dataset.has_generations()? {
            return Ok(());
        }
        if is_current_made {
            return dataset.remove_old_generations((self.now)(), |_| false);
        }
        let known = ledger.generation(AdoptedDataset::Dataset)?;
        let error = known.and_then(|known| known.error);
        withdraw(dataset, ledger, AdoptedDataset::Dataset, error)
    }

    /// Records a visit of an inbox in the ledger, for each of its agreements, with its error if it failed.
    fn record_visit(
        &self,
        inbox: &Inbox,
        error: Option<&str>,
        ledger: &Ledger,
    ) -> Result<(), Error> {
        for agreement in self.store.own(inbox) {
            ledger.visited(agreement.name.as_str(), error, (self.now)())?;
        }
        Ok(())
    }

    /// Records the error of an inbox in the ledger and the report. Returns `true` if the run was stopped. Fails if the
    /// error is not the inbox's own.
    fn report_inbox_error(
        &self,
        inbox: &Inbox,
        ended: Result<(), Error>,
        ledger: &Ledger,
        report: &mut RunReport,
    ) -> Result<bool, Error> {
        let error = match ended {
            Ok(()) => return Ok(false),
            Err(Error::Stopped) => return Ok(true),
            Err(error) if error.is_of_one_inbox() => error,
            // The next inbox uses the same disk and the same ledger.
            Err(error) => return Err(error),
        };
        self.record_visit(inbox, Some(&error.to_string()), ledger)?;
        if let Some(first) = self.store.own(inbox).first() {
            report.problems.push(RunProblem {
                agreement: Some(first.name.to_string()),
                tenant: None,
                error,
            });
        }
        Ok(false)
    }

    /// Puts published deliveries that are not in their dataset any more into the report. Returns the tenants whose
    /// datasets are gone.
    ///
    /// Fails if the unrestricted dataset is gone: the deliveries of this run would begin a new one without the earlier
    /// ones, and then be removed from the server.
    fn report_missing(
        &self,
        checked: Vec<DatasetIntegrity>,
        report: &mut RunReport,
    ) -> Result<BTreeMap<String, SyncError>, Error> {
        let mut gone = BTreeMap::new();
        for checked in checked {
            let error = SyncError::DatasetGone {
                path: checked.dataset.clone(),
                deliveries: checked.expected().max(1),
            };
            match &checked.tenant {
                Some(tenant) if checked.is_gone() => {
                    gone.insert(tenant.clone(), error);
                    continue;
                }
                None if checked.is_gone() && self.has_unrestricted() => return Err(error.into()),
                _ => {}
            }
            if let Some(remark) = checked.remark() {
                tracing::warn!(tenant = checked.tenant, "{remark}");
                report.missing.push(MissingDeliveries {
                    tenant: checked.tenant,
                    dataset: checked.dataset,
                    deliveries: checked.damaged,
                    remark,
                });
            }
        }
        Ok(gone)
    }

    /// Returns the unrestricted dataset. It is not created if no agreement has one.
    fn dataset(&self) -> Result<Dataset, Error> {
        match Dataset::at(&self.store.dataset).filter(|_| !self.has_unrestricted()) {
            Some(dataset) => Ok(dataset),
            None => Dataset::open(&self.store.dataset),
        }
    }

    /// Returns whether an agreement publishes in the unrestricted dataset.
    fn has_unrestricted(&self) -> bool {
        let mut agreements = self.store.agreements.iter();
        agreements.any(|agreement| agreement.unrestricted.is_some())
    }

    /// Returns the inboxes of the store, each once.
    fn inboxes(&self) -> Vec<Inbox> {
        let mut inboxes: Vec<Inbox> = Vec::new();
        if !self.has_inboxes {
            return inboxes;
        }
        for agreement in &self.store.agreements {
            if !inboxes.contains(&agreement.inbox) {
                inboxes.push(agreement.inbox.clone());
            }
        }
        inboxes
    }

    /// Removes what was kept longer than `keep_deliveries`. An error does not stop the run: nothing waits for this.
    fn expire_published(&self, ledger: &Ledger, report: &mut RunReport) -> Result<(), Error> {
        let now = (self.now)();
        if let Err(Error::Current(error)) = check_clock(self.store, ledger, now) {
            // A wrong clock must not remove what was kept for a short time only.
            tracing::warn!("nothing is removed because of its age: {error}");
            return Ok(());
        }
        match retention::expire_locked(self.connector, self.store, ledger, &self.stop, now) {
            Ok(_) | Err(Error::Stopped) => Ok(()),
            Err(error @ Error::Ledger(_)) => Err(error),
            Err(error) => {
                report.problems.push(RunProblem {
                    agreement: None,
                    tenant: None,
                    error,
                });
                Ok(())
            }
        }
    }

    /// Returns the lists of persons that the deliveries in the tenants' datasets need if they are made again.
    fn lists_of_deliveries(&self, ledger: &Ledger) -> Result<BTreeSet<PathBuf>, Error> {
        let mut lists = BTreeSet::new();
        for share in ledger.tenant_deliveries()? {
            let number = share.sequence.filter(|_| share.expired.is_none());
            let is_published = share.state == TenantDeliveryState::Published;
            if let (Some(number), true) = (number, is_published) {
                let rosters = Rosters::new(&self.store.state, &share.tenant, &share.agreement);
                lists.extend([rosters.before_path(number), rosters.delivered_path(number)]);
            }
        }
        Ok(lists)
    }

    /// Removes extracts, and lists of delivered persons, that are older than the store's maximum age.
    fn expire(&self, ledger: &Ledger) -> Result<(), Error> {
        let spool = self.store.spool();
        let max_age = calendar::days(self.store.max_age_days);
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
        // The server may no longer have the delivery. Its extract stays until the tenant has it or a person decides.
        let is_needed = |path: &Path| needed.iter().any(|record| is_of(path, record));
        let removed = spool::remove_older(&spool, max_age, now, is_needed)?;
        let rosters = self.store.state.join("rosters");
        let lists = self.lists_of_deliveries(ledger)?;
        spool::remove_older(&rosters, max_age, now, |path| {
            !is_of_delivered(path) || lists.contains(path)
        })?;
        let is_removed = |record: &&Record| removed.iter().any(|path| is_of(path, record));
        for record in ledger.all()?.iter().filter(is_removed) {
            tracing::warn!(
                agreement = record.agreement,
                transfer = record.transfer_uuid,
                "the spooled extract was kept as long as --max-age says and is now removed"
            );
        }
        Ok(())
    }
}
