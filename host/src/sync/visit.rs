//! The visit of one inbox: what is ready is taken, one delivery after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::discover::{Found, Inventory, Orphan, Waiting, discover};
use super::fetch::{Fetch, Fetched};
use super::publish::{Publisher, counts, objection};
use super::run::{Problem, Published, Report, SetAside};
use super::settle::{digest, settle};
use super::stage::{Staged, examine, stage};
use super::tenants::Tenants;
use super::{Connection, Observer, Stop};
use crate::agreement::Agreement;
use crate::config::Store;
use crate::dataset::{Dataset, delivery_name};
use crate::error::Error;
use crate::ledger::{Ledger, Reason, Record, State};
use crate::report::Level;
use crate::sandbox::Connector;
use crate::scan::Scan;
use crate::spool::{self, Spooled};
use crate::transport::{Inbox, said};

/// The visit of one inbox.
pub(super) struct Visit<'a> {
    pub(super) connector: &'a Connector,
    pub(super) store: &'a Store,
    pub(super) observer: &'a dyn Observer,
    pub(super) stop: &'a Stop,
    pub(super) now: fn() -> Timestamp,
    pub(super) inbox: &'a Inbox,
    pub(super) ledger: &'a mut Ledger,
    pub(super) dataset: &'a Dataset,
    pub(super) tenants: &'a Tenants,
    pub(super) report: &'a mut Report,
}

impl<'a> Visit<'a> {
    /// Takes everything that is ready.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let Some(mut connection) = self.connection() else {
            return Ok(());
        };
        self.take_all(&mut connection)
    }

    /// Removes from the server, and then from the spool, what all tenants have by now.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let mut is_left = false;
        for record in self.under_way(&[State::Published, State::DataRemoved])? {
            // What has no tenants was settled at once, or could not be.
            let has_tenants = !self.tenants.of(&record.agreement).is_empty();
            is_left |= has_tenants && self.may_settle(&record)?;
        }
        if let Some(mut connection) = self.connection().filter(|_| is_left) {
            self.stop.check()?;
            self.settle_published(&mut connection)?;
        }
        self.clear_spool()
    }

    fn connection(&self) -> Option<Connection<'a>> {
        let own = self.store.own(self.inbox);
        own.first().copied().map(Connection::new)
    }

    fn take_all(&mut self, connection: &mut Connection<'_>) -> Result<(), Error> {
        self.recover()?;
        self.settle_published(connection)?;
        let inventory = discover(
            self.connector,
            connection.get()?,
            &self.store.sharing(self.inbox),
            &[&*self.ledger],
        )?;
        let mut noted = Noted::at((self.now)());
        self.note(&inventory, &mut noted)?;
        for orphan in &inventory.orphans {
            if let Some(agreement) = self.agreement(orphan.agreement.as_str()) {
                let removed = remove_orphan(orphan, connection);
                self.unless_of_one_file(agreement, removed)?;
            }
        }
        let mut seen = BTreeSet::new();
        for found in &inventory.deliveries {
            let Some(agreement) = self.agreement(found.agreement.as_str()) else {
                // It is published in another store.
                continue;
            };
            self.stop.check()?;
            seen.insert(found.metadata.transfer_uuid.as_str());
            let span = tracing::info_span!(
                "delivery",
                agreement = found.agreement.as_str(),
                transfer = found.metadata.transfer_uuid,
                file = %found.data.name,
            );
            let _entered = span.enter();
            let taken = self.take(agreement, found, connection, &mut noted);
            self.unless_of_one_file(agreement, taken)?;
        }
        let others = inventory.waiting.iter().chain(&inventory.strays);
        seen.extend(others.map(|file| file.name.as_str()));
        self.leftovers(&seen, connection)?;
        // Whatever was not noted in this look is gone.
        let inbox = self.inbox.to_string();
        Ok(self.ledger.forget_strays(&inbox, noted.looked)?)
    }

    /// Finishes what an earlier run was killed at: a delivery that got its name, and the ledger did not hear of it.
    fn recover(&mut self) -> Result<(), Error> {
        for record in self.under_way(&[State::Publishing])? {
            let Some(directory) = &record.directory else {
                continue;
            };
            let manifest = self.dataset.manifest(&record.agreement, directory)?;
            if manifest.is_some_and(|manifest| manifest.transfer_uuid == record.transfer_uuid) {
                self.ledger.published(record.id, (self.now)())?;
            }
        }
        self.clear_spool()
    }

    /// Removes extracts from the spool that are done with.
    fn clear_spool(&self) -> Result<(), Error> {
        for agreement in self.store.own(self.inbox) {
            let directory = self.store.spool().join(agreement.name.as_str());
            for path in spool::entries(&directory)? {
                let transfer = path.file_stem().unwrap_or_default().to_string_lossy();
                let known = self.ledger.find(agreement.name.as_str(), &transfer)?;
                let Some(known) = known.filter(|known| known.state == State::Done) else {
                    continue;
                };
                if !self.ledger.is_needed(known.id)? {
                    self.spooled(agreement.name.as_str(), &transfer)?.remove()?;
                }
            }
        }
        Ok(())
    }

    /// Whether the server's copy of a published delivery may go: every tenant that is well has it, and the spool
    /// keeps it for the others.
    fn may_settle(&self, record: &Record) -> Result<bool, Error> {
        if !self.tenants.is_settled(record.id) {
            return Ok(false);
        }
        if !self.ledger.is_needed(record.id)? {
            return Ok(true);
        }
        // Whoever was stopped may be well all the same.
        let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
        Ok(!self.tenants.is_stopped() && spooled.whole().is_some())
    }

    /// Removes from the server what is published.
    fn settle_published(&mut self, connection: &mut Connection<'_>) -> Result<(), Error> {
        connection.get()?;
        for record in self.under_way(&[State::Published, State::DataRemoved])? {
            let Some(agreement) = self.agreement(&record.agreement) else {
                continue;
            };
            if !self.may_settle(&record)? {
                continue;
            }
            let settled = self.settle(&record, connection);
            self.unless_of_one_file(agreement, settled)?;
        }
        Ok(())
    }

    fn settle(&mut self, record: &Record, connection: &mut Connection<'_>) -> Result<(), Error> {
        settle(
            self.connector,
            connection.get()?,
            self.ledger,
            record,
            (self.now)(),
        )?;
        if !self.ledger.is_needed(record.id)? {
            self.spooled(&record.agreement, &record.transfer_uuid)?
                .remove()?;
            crate::hook::reached("spool-removed");
        }
        Ok(())
    }

    /// Tells the ledger and the report what cannot be taken.
    fn note(&mut self, inventory: &Inventory, noted: &mut Noted) -> Result<(), Error> {
        let inbox = self.inbox.to_string();
        let all = inventory.strays.iter().chain(&inventory.waiting);
        // Together: each by itself would wait for the disk, and there can be many.
        self.ledger.together(|ledger| {
            all.clone().try_for_each(|file| {
                let name = noted.name(&file.name);
                ledger.see_stray(&inbox, &name, file.size, &file.reason, noted.looked)
            })
        })?;
        self.report.strays.extend(inventory.strays.iter().map(told));
        let waiting = inventory.waiting.iter().map(told);
        self.report.waiting.extend(waiting);
        Ok(())
    }

    /// A delivery that stands whole on the server.
    fn take(
        &mut self,
        agreement: &'a Agreement,
        found: &Found,
        connection: &mut Connection<'_>,
        noted: &mut Noted,
    ) -> Result<(), Error> {
        // Asked again: the delivery before may have been the same transfer.
        let known = self
            .ledger
            .find(agreement.name.as_str(), &found.metadata.transfer_uuid)?;
        let is_same = |known: &Record| {
            known.file_name == found.data.name.as_str() && known.size == found.data.stat.size
        };
        match known {
            // It is on its way to the tenants, and goes when they have it.
            Some(known) if known.state.is_published() && !self.may_settle(&known)? => Ok(()),
            Some(known) if known.state.is_published() => {
                self.again(&known, found, connection, noted)
            }
            Some(known) if known.state == State::SetAside && known.reason_is(GONE) => {
                self.fetch(agreement, found, Some(known), connection)
            }
            Some(known) if known.state == State::SetAside => match is_same(&known) {
                true => Ok(()),
                false => self.reused(found, noted),
            },
            known => self.fetch(agreement, found, known, connection),
        }
    }

    fn fetch(
        &mut self,
        agreement: &'a Agreement,
        found: &Found,
        known: Option<Record>,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        crate::hook::reached("ready");
        let spooled = self.spooled(agreement.name.as_str(), &found.metadata.transfer_uuid)?;
        let stat = found.data.stat;
        let is_same_file = known.as_ref().is_some_and(|known| {
            known.size == stat.size && known.modified == stat.modified && stat.modified.is_some()
        });
        if !is_same_file {
            spooled.remove()?;
        }
        let record = self.ledger.begin(&found.facts(), (self.now)())?;
        crate::hook::reached("fetching");
        let start = found.start.as_ref();
        let scan = self.scan(
            agreement,
            start.map(|start| start.task_number.as_str()),
            found.production_date(),
        )?;
        if spooled.whole().is_some() {
            return self.publish_spooled(agreement, &record, &spooled, scan, Some(connection));
        }
        let staging = self.staging(agreement, &record)?;
        self.observer
            .begins(&found.data.name.to_string(), stat.size);
        let fetch = Fetch {
            found,
            spooled: &spooled,
            from: spooled.part_size().min(stat.size),
            staging: staging.as_deref(),
            is_read_once: self.tenants.of(&record.agreement).is_empty(),
            observer: self.observer,
            stop: self.stop,
        };
        let fetched = fetch.run(connection, scan);
        self.observer.ends();
        match fetched? {
            Fetched::Whole { sha256, staged } => self.judge(
                agreement,
                &record,
                &spooled,
                staging.as_deref(),
                sha256,
                *staged,
                Some(connection),
            ),
            Fetched::Changed(reason) => {
                self.report.waiting.push(SetAside {
                    agreement: Some(agreement.name.to_string()),
                    file_name: found.data.name.to_string(),
                    reason,
                });
                Ok(())
            }
        }
    }

    /// A delivery whose extract is whole in the spool already.
    fn publish_spooled(
        &mut self,
        agreement: &'a Agreement,
        record: &Record,
        spooled: &Spooled,
        scan: Scan,
        connection: Option<&mut Connection<'_>>,
    ) -> Result<(), Error> {
        let Some(path) = spooled.whole().map(Path::to_owned) else {
            return Ok(());
        };
        let open = || File::open(&path).map_err(Error::file(&path));
        let sha256 = spool::digest(open()?).map_err(Error::file(&path))?;
        let staging = self.staging(agreement, record)?;
        self.observer.begins(&record.said_name(), record.size);
        self.observer.downloaded(record.size);
        let rows = |rows| self.observer.scanned(rows);
        let staged = match &staging {
            Some(staging) => stage(scan, open()?, staging, rows),
            None => examine(scan, open()?, rows),
        };
        self.observer.ends();
        let staging = staging.as_deref();
        self.judge(
            agreement, record, spooled, staging, sha256, staged, connection,
        )
    }

    /// Where the tables of the whole are made ready; none if nobody is to have the whole.
    fn staging(&self, agreement: &Agreement, record: &Record) -> Result<Option<PathBuf>, Error> {
        let wanted = agreement.unrestricted.as_ref();
        let staging = wanted.map(|_| {
            self.dataset
                .staging(agreement.name.as_str(), &record.transfer_uuid)
        });
        staging.transpose()
    }

    /// Publishes a delivery that is in the spool and staged, or sets it aside.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is known of one delivery, used once"
    )]
    fn judge(
        &mut self,
        agreement: &'a Agreement,
        record: &Record,
        spooled: &Spooled,
        staging: Option<&Path>,
        sha256: String,
        staged: Result<Staged, Error>,
        connection: Option<&mut Connection<'_>>,
    ) -> Result<(), Error> {
        let now = (self.now)();
        let staged = match staged {
            Ok(staged) => staged,
            Err(Error::Component(error)) => {
                let reason = Reason::new("component", error.to_string());
                return self.set_aside(record, &reason);
            }
            Err(error) => return Err(error),
        };
        self.ledger
            .fetched(record.id, &counts(sha256, &staged.summary), now)?;
        crate::hook::reached("fetched");
        let record = self.again_from_ledger(record)?;
        if let Some(reason) = objection(&staged, agreement, &record) {
            return self.set_aside(&record, &reason);
        }
        let newest = match &record.counts.task_number {
            Some(task) => self.ledger.newest_published(&record.agreement, task)?,
            None => None,
        };
        let tenants = self.tenants.of(&record.agreement);
        if !tenants.is_empty() {
            self.ledger.share_out(record.id, &tenants, now)?;
            crate::hook::reached("shared-out");
        }
        let remarks = remarks(&staged, &record, newest.as_deref());
        match staging {
            Some(staging) => self.publish_whole(agreement, &record, &staged, staging, remarks)?,
            None => {
                for remark in remarks {
                    tracing::warn!("{remark}");
                }
                let date = record.production_date().unwrap_or_default();
                let name = |sequence| delivery_name(date, sequence, &record.transfer_uuid);
                self.ledger.publishing(record.id, name, now)?;
                self.ledger.published(record.id, now)?;
            }
        }
        self.tenants.add(record.id)?;
        let record = self.again_from_ledger(&record)?;
        if !self.may_settle(&record)? {
            return Ok(());
        }
        match connection {
            Some(connection) => self.settle(&record, connection),
            None => {
                self.ledger.removed(record.id, State::Done, now)?;
                spooled.remove()
            }
        }
    }

    /// Publishes all of a delivery, for whoever may see everything.
    fn publish_whole(
        &mut self,
        agreement: &'a Agreement,
        record: &Record,
        staged: &Staged,
        staging: &Path,
        remarks: Vec<String>,
    ) -> Result<(), Error> {
        let publisher = Publisher {
            connector: self.connector,
            dataset: self.dataset,
            agreement,
            purpose: agreement.unrestricted.as_deref().unwrap_or_default(),
            now: (self.now)(),
        };
        let directory = publisher.publish(self.ledger, record, staged, staging)?;
        tracing::info!(directory, records = record.counts.records, "published");
        self.report.published.push(Published {
            agreement: record.agreement.clone(),
            tenant: None,
            file_name: record.said_name(),
            directory: Path::new(&format!("agreement={}", record.agreement)).join(directory),
            records: record.counts.records,
            persons: record.counts.persons,
            remarks,
        });
        Ok(())
    }

    fn set_aside(&mut self, record: &Record, reason: &Reason) -> Result<(), Error> {
        tracing::warn!(code = reason.code, "set aside: {}", reason.message);
        self.ledger.set_aside(record.id, reason, (self.now)())?;
        crate::hook::reached("set-aside");
        self.dataset.clear_staging()
    }

    /// A transfer that is published already, and stands on the server again.
    fn again(
        &mut self,
        known: &Record,
        found: &Found,
        connection: &mut Connection<'_>,
        noted: &mut Noted,
    ) -> Result<(), Error> {
        let transport = connection.get()?;
        if digest(transport, &found.data.name)? != known.counts.sha256 {
            return self.reused(found, noted);
        }
        tracing::warn!(
            "this transfer is published already, and the file is the same: it is removed"
        );
        transport.remove(&found.data.name)?;
        crate::hook::reached("copy-removed");
        transport.remove(&found.metadata_name)?;
        Ok(())
    }

    /// Another file under the UUID of a transfer that is known.
    fn reused(&mut self, found: &Found, noted: &mut Noted) -> Result<(), Error> {
        let reason = Reason::new(
            "transfer-reused",
            "its transfer UUID is that of another file that came before: ask the helpdesk which of them is right",
        );
        let inbox = self.inbox.to_string();
        self.ledger.see_stray(
            &inbox,
            &noted.name(found.data.name.as_str()),
            Some(found.data.stat.size),
            &reason,
            noted.looked,
        )?;
        self.report.strays.push(SetAside {
            agreement: Some(found.agreement.to_string()),
            file_name: found.data.name.to_string(),
            reason,
        });
        Ok(())
    }

    /// Deliveries that were begun and are no longer on the server: from the spool if it has them. `seen` are the
    /// transfers that are there whole, and the names of files that are there and cannot be taken.
    fn leftovers(
        &mut self,
        seen: &BTreeSet<&str>,
        connection: &mut Connection<'_>,
    ) -> Result<(), Error> {
        let begun = [State::Fetching, State::Fetched, State::Publishing];
        for record in self.under_way(&begun)? {
            let Some(agreement) = self.agreement(&record.agreement) else {
                continue;
            };
            let is_seen = |text: &str| seen.contains(text);
            if is_seen(&record.transfer_uuid) || is_seen(&record.file_name) {
                continue;
            }
            let spooled = self.spooled(&record.agreement, &record.transfer_uuid)?;
            if spooled.whole().is_none() {
                let reason = Reason::new(
                    GONE,
                    "it has gone from the server before it was fetched whole: somebody else took it, or the platform \
                     deleted it. Ask the helpdesk for a new delivery",
                );
                self.set_aside(&record, &reason)?;
                self.ledger.forget_names(record.id)?;
                continue;
            }
            let counts = &record.counts;
            let scan = self.scan(
                agreement,
                counts.task_number.as_deref(),
                counts.production_date.as_deref(),
            )?;
            let published =
                self.publish_spooled(agreement, &record, &spooled, scan, Some(connection));
            self.unless_of_one_file(agreement, published)?;
        }
        Ok(())
    }

    /// The scan of a whole delivery.
    fn scan(
        &self,
        agreement: &Agreement,
        task_number: Option<&str>,
        production_date: Option<&str>,
    ) -> Result<Scan, Error> {
        let scan = Scan::new(self.connector).check_persons(true);
        let Some(task_number) = task_number else {
            return Ok(scan);
        };
        let newest = self
            .ledger
            .newest_published(agreement.name.as_str(), task_number)?;
        // A delivery that comes late follows another than the newest.
        Ok(match newest {
            Some(newest) if production_date.is_some_and(|date| *date > *newest) => {
                scan.expected_previous(newest)
            }
            _ => scan,
        })
    }

    /// Deliveries of this inbox that are in one of these states.
    fn under_way(&self, states: &[State]) -> Result<Vec<Record>, Error> {
        let mut records = self.ledger.under_way()?;
        records.retain(|record| {
            states.contains(&record.state) && self.agreement(&record.agreement).is_some()
        });
        Ok(records)
    }

    fn agreement(&self, name: &str) -> Option<&'a Agreement> {
        let mut own = self.store.own(self.inbox).into_iter();
        own.find(|agreement| agreement.name.as_str() == name)
    }

    fn spooled(&self, agreement: &str, transfer: &str) -> Result<Spooled, Error> {
        Spooled::new(&self.store.spool(), agreement, transfer)
    }

    fn again_from_ledger(&self, record: &Record) -> Result<Record, Error> {
        let found = self.ledger.find(&record.agreement, &record.transfer_uuid)?;
        Ok(found.unwrap_or_else(|| record.clone()))
    }

    /// What concerns one file alone is told, and the others go on.
    fn unless_of_one_file(
        &mut self,
        agreement: &Agreement,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        match result {
            Err(error) if error.is_of_one_file() => {
                tracing::error!(%error);
                self.report.problems.push(Problem {
                    agreement: Some(agreement.name.to_string()),
                    tenant: None,
                    error,
                });
                Ok(())
            }
            result => result,
        }
    }
}

/// Data goes first, so that what is left of a delivery that is published is its metadata, if anything is.
fn remove_orphan(orphan: &Orphan, connection: &mut Connection<'_>) -> Result<(), Error> {
    tracing::info!(
        transfer = orphan.transfer_uuid,
        "its delivery is published, and only the metadata was left: it is removed"
    );
    connection.get()?.remove(&orphan.name)?;
    Ok(())
}

/// The code of deliveries that vanished from the server.
const GONE: &str = "gone-from-server";

impl Record {
    fn reason_is(&self, code: &str) -> bool {
        self.reason
            .as_ref()
            .is_some_and(|reason| reason.code == code)
    }
}

/// What a look has noted of files that cannot be taken.
struct Noted {
    looked: Timestamp,
    /// How many are said alike.
    names: BTreeMap<String, u32>,
}

impl Noted {
    fn at(looked: Timestamp) -> Self {
        Self {
            looked,
            names: BTreeMap::new(),
        }
    }

    /// The name under which the ledger knows a file: what can be a person number is not in it, so that several can be
    /// alike, and are counted.
    fn name(&mut self, name: &str) -> String {
        let said = said(name);
        let count = self.names.entry(said.clone()).or_default();
        *count += 1;
        match count {
            1 => said,
            count => format!("{said} ({count})"),
        }
    }
}

fn told(file: &Waiting) -> SetAside {
    SetAside {
        agreement: None,
        file_name: file.said_name(),
        reason: file.reason.clone(),
    }
}

/// What a person should hear of a delivery that is published.
fn remarks(staged: &Staged, record: &Record, newest: Option<&str>) -> Vec<String> {
    let findings = staged.summary.findings.iter();
    let mut remarks: Vec<String> = findings
        .filter(|finding| finding.level != Level::Note)
        .map(|finding| format!("{} ({}): {}", finding.code, finding.count, finding.message))
        .collect();
    let date = record.production_date();
    if let (Some(date), Some(newest)) = (date, newest)
        && date < newest
    {
        remarks.push(format!(
            "late: it was produced on {date}, and one of {newest} is published already; it is applied in the order of \
             the dates"
        ));
    }
    remarks
}
