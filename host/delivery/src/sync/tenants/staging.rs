//! Scans an extract by a tenant's policy and writes its tables to a directory that is ready to be published.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use super::error::TenantPublishError;
use super::publisher::TenantPublisher;
use super::ready::{ReadyTenant, previous_roster};
use super::scheduler::Heartbeat;
use crate::dataset::{DeliveryFile, delivery_name, describe_files};
use crate::erase::known::fingerprint;
use crate::error::Error;
use crate::ledger::{Record, TenantDelivery, TenantDeliveryState};
use crate::register::{Register, open_file};
use crate::spool::Spooled;
use crate::stop::Stop;
use crate::sync::completeness;
use crate::tenant::TenantLimits;
use cprflow::policy::OUT_OF_SCOPE;
use cprflow::{ParquetDirectory, Pnr, Policy, SelectionCounts};

/// The part of a delivery that is published to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All tables that the policy allows.
    Everything,
    /// Only the table of the leavers.
    Leavers,
}

/// A delivery for a tenant that is ready to be published.
pub(super) struct StagedForTenant {
    pub(super) part: Part,
    /// The directory with the tables.
    pub(super) directory: PathBuf,
    /// The number of rows per table.
    pub(super) rows: BTreeMap<String, u64>,
    /// The files in the directory.
    pub(super) files: BTreeMap<String, DeliveryFile>,
    /// How many persons are in scope, entered it and left it.
    pub(super) selected: SelectionCounts,
    /// The persons in scope after this delivery, in the component's format.
    pub(super) roster: Vec<u8>,
    /// The persons in the extract, in scope or not, in the component's format.
    pub(super) delivered: Vec<u8>,
    /// Those of them who were in scope before, in the component's format.
    pub(super) before: Vec<u8>,
    /// A remark about the extract, for the report.
    pub(super) remark: Option<String>,
}

/// What a tenant may see of an extract, and what is known about its persons from other extracts.
pub(super) struct Rules<'a> {
    pub(super) policy: &'a Policy,
    /// The persons in scope before.
    pub(super) roster: Option<Vec<u8>>,
    /// The persons in deliveries that are applied after this one.
    pub(super) delivered_later: Option<Vec<u8>>,
    /// Persons who are protected by something that the extract does not have.
    pub(super) protected: BTreeSet<Pnr>,
}

/// The highest sequence number: directory names have six digits for it.
const LAST_NUMBER: u64 = 999_999;

impl TenantPublisher {
    /// Scans the extract by the tenant's policy and writes the tables of that part, empty ones too.
    pub(super) fn stage(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        share: &TenantDelivery,
        part: Part,
        heartbeat: &Heartbeat,
    ) -> Result<StagedForTenant, Error> {
        let spooled = Spooled::new(
            &self.store.spool(),
            &record.agreement,
            &record.transfer_uuid,
        )?;
        let kept = self.kept_without_erased(record)?;
        let path = kept.as_deref().or(spooled.whole());
        let path = path.ok_or_else(|| TenantPublishError::ExtractGone {
            transfer: record.transfer_uuid.clone(),
            tenant: ready.tenant.name.to_string(),
        })?;
        let open = || -> io::Result<Box<dyn Read>> {
            Ok(match kept {
                Some(_) => Box::new(open_file(path)?),
                None => Box::new(File::open(path)?),
            })
        };
        let roster = self.previous_roster(ready, &record.agreement)?;
        let text = open().map_err(Error::file(path))?;
        let rules = Rules {
            policy: &ready.policy,
            roster,
            delivered_later: self.delivered_later(ready, record, share)?,
            protected: self.protected_elsewhere(ready, record, text, path, heartbeat)?,
        };
        crate::failpoint::reached_by("tenant-reading", ready.tenant.name.as_str());
        self.stage_extract(ready, record, part, rules, heartbeat, open)
    }

    /// Returns the path of a delivery's kept extract, if persons were ever erased: the extract in the spool can still have
    /// them.
    fn kept_without_erased(&self, record: &Record) -> Result<Option<PathBuf>, Error> {
        if fingerprint(&self.store.state)?.is_none() {
            return Ok(None);
        }
        let register = Register::of(&self.store.state);
        let kept = self.ledger().kept_extract(record.id)?;
        match kept {
            Some(kept) if register.is_whole(&kept)? => Ok(Some(register.path(&kept))),
            _ => Ok(None),
        }
    }

    /// Scans an extract by these rules and writes the tables of that part, empty ones too. `open` opens the extract.
    pub(super) fn stage_extract<R: Read>(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        part: Part,
        rules: Rules<'_>,
        heartbeat: &Heartbeat,
        open: impl Fn() -> io::Result<R>,
    ) -> Result<StagedForTenant, Error> {
        let limits = &ready.tenant.limits;
        let directory = ready
            .dataset
            .staging(&record.agreement, &record.transfer_uuid)?;
        let check_time = || {
            check_limit(
                "limits.total_seconds",
                heartbeat.elapsed().as_secs(),
                limits.total.as_secs(),
            )
        };
        let Rules {
            policy,
            roster,
            delivered_later,
            protected,
        } = rules;
        let roster_before = roster.clone();
        let as_of = record.as_of.as_deref();
        let mut scan = ready
            .scan_under(&self.connector, policy, roster, as_of)
            .protected(&protected)
            .threads(self.store.threads);
        if let Some(delivered_later) = delivered_later {
            scan = scan.delivered_later(delivered_later);
        }
        if part == Part::Leavers {
            scan = scan.table(OUT_OF_SCOPE);
        }
        let batches = scan.read_with_policy(|| Ok(self.watched(open()?, limits, heartbeat)));
        // The scan only sees that reading failed. If the time is up, that is the cause and the better error.
        let mut batches = batches.or_else(|error| check_time().and(Err(error.into())))?;
        let mut tables = ParquetDirectory::create(&directory, false)?;
        let mut rows = BTreeMap::new();
        let view = batches.view().cloned();
        let is_wanted = |name: &str| part == Part::Everything || name == OUT_OF_SCOPE;
        let tables_of_view = view.iter().flat_map(|view| view.tables());
        for table in tables_of_view.filter(|table| is_wanted(&table.name)) {
            rows.insert(table.name.clone(), 0);
            if let Some(schema) = table.schema(None) {
                tables.begin_table(&table.name, schema)?;
            }
        }
        for batch in batches.by_ref() {
            heartbeat.beat();
            self.stop.check()?;
            // The sandbox limits memory, rows and bytes. The time limit is checked here, because it includes writing.
            check_time()?;
            let batch = batch?;
            tables.write(&batch.table, &batch.batch)?;
            *rows.entry(batch.table).or_default() += batch.batch.num_rows() as u64;
        }
        check_time()?;
        let summary = batches.summary()?;
        completeness::check(policy, &summary)?;
        let (roster, delivered) = (batches.roster()?, batches.delivered_persons()?);
        let selected = batches.selected().ok_or(TenantPublishError::NoSelection)?;
        tables.finish()?;
        let files = describe_files(&directory, |path| {
            Ok(self.watched(File::open(path)?, limits, heartbeat))
        });
        let files = files.or_else(|error| check_time().and(Err(error)))?;
        let before =
            self.connector
                .common_roster(limits.sandbox(), roster_before.as_deref(), &delivered)?;
        Ok(StagedForTenant {
            part,
            directory,
            rows,
            files,
            selected,
            roster,
            delivered,
            before,
            remark: completeness::address_remark(policy, &summary),
        })
    }

    /// Returns the roster that the tenant's newest delivery of the agreement left.
    pub(super) fn previous_roster(
        &self,
        ready: &ReadyTenant,
        agreement: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let tenant = ready.tenant.name.as_str();
        let newest = self.ledger().newest_tenant_sequence(tenant, agreement)?;
        previous_roster(&self.store.state, &ready.tenant, agreement, newest)
    }

    /// Returns a reader that fails once the run is stopped or the tenant's time is up.
    pub(super) fn watched<R>(
        &self,
        reader: R,
        limits: &TenantLimits,
        heartbeat: &Heartbeat,
    ) -> WatchedReader<R> {
        WatchedReader {
            reader,
            heartbeat: heartbeat.clone(),
            stop: self.stop.clone(),
            total: limits.total,
        }
    }

    /// Returns the persons in the tenant's deliveries that are applied after this one and were published before it; `None`
    /// if there is no such delivery. A late delivery is older than those, and must not bring back persons who have left
    /// the scope since.
    pub(super) fn delivered_later(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        share: &TenantDelivery,
    ) -> Result<Option<Vec<u8>>, Error> {
        let tenant = ready.tenant.name.as_str();
        let date = record.production_date().unwrap_or_default();
        // A delivery without a number of its own yet gets one after all numbers that the tenant has.
        let next = || delivery_name(date, LAST_NUMBER, &record.transfer_uuid);
        let directory = share.directory.clone().unwrap_or_else(next);
        let later = self
            .ledger()
            .later_tenant_sequences(tenant, &record.agreement, &directory)?;
        // A delivery that is made again has a number already. What came after it was not known then.
        let is_published = share.state == TenantDeliveryState::Published;
        let own = share.sequence.filter(|_| is_published);
        let later = later
            .into_iter()
            .filter(|number| own.is_none_or(|own| *number < own));
        let rosters = self.rosters(tenant, &record.agreement);
        let mut all: Option<Vec<u8>> = None;
        for number in later {
            let delivered = rosters.read_delivered(number)?.ok_or_else(|| {
                TenantPublishError::DeliveredPersonsGone {
                    path: rosters.delivered_path(number),
                    transfer: record.transfer_uuid.clone(),
                    tenant: tenant.to_owned(),
                }
            })?;
            all = Some(match all {
                None => delivered,
                Some(before) => {
                    let limits = ready.tenant.limits.sandbox();
                    self.connector.merge_rosters(limits, &before, &delivered)?
                }
            });
        }
        Ok(all)
    }
}

/// Fails if more than the limit is used.
fn check_limit(key: &'static str, used: u64, limit: u64) -> Result<(), Error> {
    match used > limit {
        true => Err(Error::TenantLimit { key, limit }),
        false => Ok(()),
    }
}

/// A reader that beats the heartbeat at each read, and fails once the run is stopped or the tenant's time is up.
pub(super) struct WatchedReader<R> {
    reader: R,
    heartbeat: Heartbeat,
    stop: Stop,
    total: Duration,
}

impl<R: Read> Read for WatchedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.heartbeat.beat();
        if self.stop.is_set() {
            return Err(io::Error::other("the run was stopped"));
        }
        if self.heartbeat.elapsed().as_secs() > self.total.as_secs() {
            return Err(io::Error::other("the tenant's time limit has passed"));
        }
        self.reader.read(buffer)
    }
}
