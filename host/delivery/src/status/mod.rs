//! The status of agreements: what is published, what is waiting, and what a person has to do.

mod current;
mod tenants;

use std::path::PathBuf;

use cprflow_connector::layout;
use cprflow_transport::HELPDESK;
use jiff::Timestamp;
use serde::Serialize;

pub use current::RegisterStatus;
pub use tenants::TenantStatus;

use crate::agreement::Agreement;
use crate::calendar::{danish_time, days_since, working_days_between};
use crate::config::{Configuration, Store};
use crate::dataset::{CheckDepth, Dataset};
use crate::erase::{self, PendingErasure, check_list};
use crate::error::Error;
use crate::integrity::{DamagedDelivery, DatasetIntegrity, check_store};
use crate::ledger::{Generation, InboxVisit, Ledger, Reason, Record, State, UnclaimedFile};
use crate::names::Environment;
use crate::subscription::overdue::{OverdueFilter, overdue_filters};
use crate::subscription::{self, FilterKind, municipality_name};

/// The status of an agreement.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The name of the agreement.
    pub agreement: String,
    /// The address of the inbox.
    pub inbox: String,
    /// The visits to the inbox; `None` if it was never visited.
    pub visit: Option<InboxVisit>,
    /// The number of published deliveries.
    pub published: usize,
    /// The published delivery that is applied last.
    pub newest: Option<Record>,
    /// The deliveries that are neither done nor set aside.
    pub under_way: Vec<Record>,
    /// The deliveries that were set aside: they wait for a person, or a person has decided so.
    pub set_aside: Vec<Record>,
    /// The files in the inbox that belong to no agreement, or that are not a complete delivery.
    #[serde(rename = "strays")]
    pub unclaimed_files: Vec<UnclaimedFile>,
    /// The extracts of the agreement that the register keeps.
    pub register: RegisterStatus,
    /// The newest generation of the current tables in the unrestricted dataset; `None` if there is none.
    pub current: Option<Generation>,
    /// The status of each tenant that may see data of the agreement.
    pub tenants: Vec<TenantStatus>,
    /// The deliveries that are not in the unrestricted dataset as they were published.
    pub damaged: Vec<DamagedDelivery>,
    /// The erasure in the agreement's state directory that is not complete; `None` if there is none.
    pub erasing: Option<PendingErasure>,
    /// The number of CPR's working days since the last publication; `None` if nothing was ever published.
    pub silent_working_days: Option<u32>,
    /// The client certificate of the subscription service; `None` without a service, or if it cannot be read.
    pub client_certificate: Option<ClientCertificate>,
    /// The remarks about what a person should know or do.
    pub remarks: Vec<Remark>,
}

/// A client certificate that is in use.
#[derive(Debug, Serialize)]
pub struct ClientCertificate {
    /// The file.
    pub file: PathBuf,
    /// The end of its validity.
    pub ends: Timestamp,
    /// The whole days that are left.
    pub days_left: i64,
}

/// A remark for a person.
#[derive(Debug, Serialize)]
pub struct Remark {
    /// Whether a person has to do something.
    pub needs_attention: bool,
    /// The text.
    pub text: String,
}

/// Returns the status of every agreement of a configuration.
///
/// It reads the state directories, datasets and certificates. It connects to no inbox and no service. Published
/// deliveries are compared with the disk by the names and sizes of their files.
pub fn status(configuration: &Configuration, now: Timestamp) -> Result<Vec<Status>, Error> {
    status_to_depth(configuration, now, CheckDepth::Sizes)
}

/// Returns the status of every agreement, with published deliveries compared to a depth.
pub fn status_to_depth(
    configuration: &Configuration,
    now: Timestamp,
    depth: CheckDepth,
) -> Result<Vec<Status>, Error> {
    let mut all = Vec::new();
    for store in &configuration.stores {
        let ledger = Ledger::open_to_read(&store.state)?;
        let integrity = match &ledger {
            Some(ledger) => check_store(store, ledger, depth)?,
            None => Vec::new(),
        };
        let list = match &ledger {
            Some(ledger) => check_list(&store.state, ledger),
            None => Ok(()),
        };
        let list_error = list.err().map(|error| error.to_string());
        let erasing = match &ledger {
            Some(ledger) => erase::pending(store, ledger, depth)?,
            None => None,
        };
        for agreement in &store.agreements {
            let name = agreement.name.as_str();
            let own = integrity.iter().map(|checked| checked.of_agreement(name));
            let reader = StatusReader {
                configuration,
                store,
                agreement,
                integrity: own.collect(),
                erasing: erasing.clone(),
                depth,
                now,
            };
            let mut status = reader.status(ledger.as_ref())?;
            if let Some(error) = &list_error {
                status.remarks.insert(0, action_needed(error.as_str()));
            }
            all.push(status);
        }
    }
    Ok(all)
}

/// The number of CPR's working days after which a full load is overdue. It should start the next night.
const LOAD_WORKING_DAYS: u32 = 2;

/// The age in hours after which an incomplete delivery needs attention.
const INCOMPLETE_HOURS: i64 = 24;

/// Reads the status of one agreement.
struct StatusReader<'a> {
    configuration: &'a Configuration,
    store: &'a Store,
    agreement: &'a Agreement,
    /// The datasets compared with the ledger: the deliveries of the agreement.
    integrity: Vec<DatasetIntegrity>,
    /// The erasure of the store that is not complete.
    erasing: Option<PendingErasure>,
    /// How thoroughly files are compared with the disk.
    depth: CheckDepth,
    now: Timestamp,
}

impl Status {
    /// Returns the number of deliveries that were set aside and about which no person has decided.
    pub fn undecided(&self) -> usize {
        let set_aside = self.set_aside.iter();
        set_aside.filter(|record| needs_decision(record)).count()
    }
}

impl StatusReader<'_> {
    fn status(&self, ledger: Option<&Ledger>) -> Result<Status, Error> {
        let name = self.agreement.name.as_str();
        let inbox = self.agreement.inbox.to_string();
        let (mut records, mut unclaimed_files, visit) = match ledger {
            Some(ledger) => (
                ledger.all()?,
                ledger.unclaimed_files()?,
                ledger.visit(name)?,
            ),
            None => (Vec::new(), Vec::new(), None),
        };
        records.retain(|record| record.agreement == name);
        unclaimed_files.retain(|file| file.inbox == inbox);
        let mut published: Vec<_> = records
            .iter()
            .filter(|record| record.state.is_published())
            .collect();
        let order =
            |record: &Record| (record.production_date().map(str::to_owned), record.sequence);
        published.sort_by_key(|record| order(record));
        let last = published.iter().filter_map(|record| record.published).max();
        let silent_working_days = last.map(|last| self.working_days_since(last));
        let of_state = |wanted: fn(State) -> bool| {
            let matching = records.iter().filter(|record| wanted(record.state));
            matching.cloned().collect::<Vec<_>>()
        };
        let (register, register_remarks) = self.register(ledger)?;
        let current = self.current(ledger)?;
        let current_remarks = self.current_remarks(None, &self.store.dataset, &current);
        let mut status = Status {
            agreement: name.to_owned(),
            inbox,
            published: published.len(),
            newest: published.last().map(|record| (*record).clone()),
            under_way: of_state(|state| state != State::SetAside && state != State::Done),
            set_aside: of_state(|state| state == State::SetAside),
            silent_working_days,
            client_certificate: self.client_certificate(),
            remarks: Vec::new(),
            unclaimed_files,
            visit,
            register,
            current: current.generation,
            tenants: Vec::new(),
            damaged: self.damaged(None),
            erasing: self.erasing.clone(),
        };
        let (tenants, tenant_remarks) = self.tenants(ledger, &records)?;
        status.tenants = tenants;
        let remarks = [
            self.erasing_remarks(),
            self.export_remarks(ledger)?,
            self.integrity_remarks(),
            register_remarks,
            current_remarks,
            self.visit_remarks(&status),
            self.silence_remarks(&status),
            self.subscription_remarks(&published)?,
            self.certificate_remarks(),
            set_aside_remarks(&status),
            self.unclaimed_file_remarks(&status),
            initial_load_remarks(&published),
            self.record_type_remarks(ledger, &published),
            tenant_remarks,
        ];
        status.remarks = remarks.into_iter().flatten().collect();
        Ok(status)
    }

    /// Returns the deliveries that are not in a dataset as they were published.
    fn damaged(&self, tenant: Option<&str>) -> Vec<DamagedDelivery> {
        let mut all = self.integrity.iter();
        let checked = all.find(|checked| checked.tenant.as_deref() == tenant);
        checked
            .map(|checked| checked.damaged.clone())
            .unwrap_or_default()
    }

    fn erasing_remarks(&self) -> Vec<Remark> {
        let erasing = self.erasing.iter();
        erasing
            .map(|erasing| action_needed(erasing.to_string()))
            .collect()
    }

    /// Returns remarks about targets of exports that have not caught up with erasures. They are those of the whole store.
    fn export_remarks(&self, ledger: Option<&Ledger>) -> Result<Vec<Remark>, Error> {
        let Some(ledger) = ledger.filter(|_| self.is_first_of_store()) else {
            return Ok(Vec::new());
        };
        let behind = erase::exports_behind(self.store, ledger)?;
        let texts = behind.iter().map(ToString::to_string);
        Ok(texts.map(action_needed).collect())
    }

    fn integrity_remarks(&self) -> Vec<Remark> {
        let remarks = self.integrity.iter().filter_map(DatasetIntegrity::remark);
        remarks.map(action_needed).collect()
    }

    fn visit_remarks(&self, status: &Status) -> Vec<Remark> {
        let Some(visit) = &status.visit else {
            return vec![note(match status.under_way.is_empty() {
                true => "the inbox was never checked. Run `cprflow sync`",
                false => "the first check of the inbox has not ended yet",
            })];
        };
        if let Some(error) = &visit.error {
            return vec![action_needed(format!(
                "the last visit to the inbox failed: {error}"
            ))];
        }
        // One missed run can be an accident; two runs in a row are not.
        let hours = 2 * self.configuration.interval.as_secs().div_ceil(3600) as i64;
        let since = self.now.duration_since(visit.last).as_hours();
        match since > hours.max(24) {
            true => vec![action_needed(format!(
                "the inbox was last visited {since} hours ago. Check whether `cprflow sync` is still running"
            ))],
            false => Vec::new(),
        }
    }

    fn silence_remarks(&self, status: &Status) -> Vec<Remark> {
        let limit = self.configuration.silent_working_days;
        let remark = match (status.silent_working_days, &status.visit) {
            (Some(days), _) if days >= limit => format!(
                "no delivery for {days} of CPR's working days. That is normal if no person in the subscription has changed; \
                 otherwise ask the helpdesk ({HELPDESK})"
            ),
            (None, Some(visit)) if self.working_days_since(visit.first) >= limit => format!(
                "no delivery has arrived in {} of CPR's working days. Check the subscription (`cprflow subscription \
                 list`), the SFTP user of the agreement and the folder",
                self.working_days_since(visit.first)
            ),
            _ => return Vec::new(),
        };
        vec![action_needed(remark)]
    }

    /// Returns a remark about full loads that are overdue: no delivery was produced after the day of the subscription.
    ///
    /// A delivery that was produced on that day or before, or on an unknown date, cannot contain the full load.
    fn subscription_remarks(&self, published: &[&Record]) -> Result<Vec<Remark>, Error> {
        // The test environment never delivers a full load.
        if self.agreement.environment == Some(Environment::Test) {
            return Ok(Vec::new());
        }
        let directory = subscription::directory(&self.store.state, &self.agreement.name);
        let dates = published
            .iter()
            .filter_map(|record| record.production_date()?.parse().ok());
        let mut overdue = overdue_filters(&directory, dates.max())?;
        overdue.retain(|filter| self.working_days_since(filter.added) >= LOAD_WORKING_DAYS);
        let Some(first) = overdue.first() else {
            return Ok(Vec::new());
        };
        let days = self.working_days_since(first.added);
        let numbers = overdue
            .iter()
            .filter(|filter| filter.kind == FilterKind::Pnr);
        let mut filters: Vec<String> = overdue.iter().filter_map(municipality_label).collect();
        match numbers.count() {
            0 => {}
            1 => filters.push("a person number".to_owned()),
            count => filters.push(format!("{count} person numbers")),
        }
        Ok(vec![action_needed(format!(
            "no delivery was made since these filters were added: {}. The first was added {days} of CPR's working days \
             ago, and an initial load begins the next night. Check whether `cprflow subscription list` shows it; if it does, \
             ask the helpdesk ({HELPDESK}). Any later delivery ends this remark, whether or not it contains these persons",
            filters.join(", ")
        ))])
    }

    fn client_certificate(&self) -> Option<ClientCertificate> {
        let client = subscription::connect(self.agreement.service.as_ref()?).ok()?;
        let ends = client.certificate_ends();
        Some(ClientCertificate {
            file: client.certificate().to_owned(),
            ends,
            days_left: ends.duration_since(self.now).as_hours() / 24,
        })
    }

    /// Returns remarks about client certificates of the subscription service that are invalid or will expire soon.
    fn certificate_remarks(&self) -> Vec<Remark> {
        let Some(service) = &self.agreement.service else {
            return Vec::new();
        };
        match subscription::connect(service) {
            Ok(client) => {
                let warnings = client.warnings(self.now).into_iter();
                warnings
                    .map(|warning| action_needed(warning.to_string()))
                    .collect()
            }
            Err(error) => vec![action_needed(format!("the subscription service: {error}"))],
        }
    }

    fn unclaimed_file_remarks(&self, status: &Status) -> Vec<Remark> {
        let remark = |file: &UnclaimedFile| {
            let days = days_since(file.first_seen, self.now);
            let left = i64::from(self.configuration.retention_days) - days;
            let is_incomplete = ["no-data", "no-metadata", "growing", "size-differs", "gone"]
                .contains(&file.reason.code.as_str());
            let is_recent = self.now.duration_since(file.first_seen).as_hours() < INCOMPLETE_HOURS;
            let text = format!(
                "{}: {} ({}; in the inbox for {days} days, deleted by the platform in about {left} days)",
                file.name, file.reason.message, file.reason.code
            );
            match file.reason.code.as_str() {
                "foreign" => None,
                _ if is_incomplete && is_recent => Some(note(text)),
                _ => Some(action_needed(text)),
            }
        };
        status.unclaimed_files.iter().filter_map(remark).collect()
    }

    /// Returns a remark about ordered record types that no delivery contained.
    fn record_type_remarks(&self, ledger: Option<&Ledger>, published: &[&Record]) -> Vec<Remark> {
        let (Some(ordered), Some(_), false) =
            (&self.agreement.record_types, ledger, published.is_empty())
        else {
            return Vec::new();
        };
        let name = self.agreement.name.as_str();
        if !Dataset::has_deliveries(&self.store.dataset, name).unwrap_or_default() {
            // All data goes to tenants, and each of them sees only a part.
            return Vec::new();
        }
        let seen = Dataset::tables_seen(&self.store.dataset, name);
        // The ledger knows what was published, so the status works without a dataset that was moved away.
        let Ok(seen) = seen else { return Vec::new() };
        let was_seen = |record_type: &str| {
            let mut tables = layout::tables().iter();
            let table = tables.find(|table| table.record_type == record_type);
            table.is_some_and(|table| seen.contains(table.name))
        };
        let missing: Vec<&str> = ordered
            .iter()
            .map(String::as_str)
            .filter(|record_type| !was_seen(record_type))
            .collect();
        match missing.is_empty() {
            true => Vec::new(),
            false => vec![note(format!(
                "ordered record types that no delivery contained: {}",
                missing.join(", ")
            ))],
        }
    }

    fn working_days_since(&self, then: Timestamp) -> u32 {
        working_days_between(danish_time(then).date(), danish_time(self.now).date())
    }
}

/// Returns the code and the name of a municipality; `None` for a filter without a value.
fn municipality_label(filter: &OverdueFilter) -> Option<String> {
    let code = filter.value.as_deref()?;
    Some(match municipality_name(code) {
        Some(name) => format!("municipality {code} {name}"),
        None => format!("municipality {code} (unknown to cprflow)"),
    })
}

/// Returns whether no person has decided about a delivery that was set aside.
fn needs_decision(record: &Record) -> bool {
    let reason = record.reason.as_ref();
    !reason.is_some_and(Reason::is_by_hand)
}

fn set_aside_remarks(status: &Status) -> Vec<Remark> {
    let remark = |record: &Record| {
        let reason = record.reason.as_ref();
        let (code, message) = reason.map_or(("", ""), |reason| (&reason.code, &reason.message));
        let (name, transfer) = (record.redacted_file_name(), &record.transfer_uuid);
        if needs_decision(record) {
            return action_needed(format!(
                "{name} was set aside ({code}): {message}. Then run cprflow retry {transfer}. If the delivery is not needed any \
                 more, run cprflow set-aside {transfer} --reason TEXT"
            ));
        }
        note(format!(
            "{name} was set aside by a person ({code}): {message}. If that was wrong, run cprflow retry {transfer}"
        ))
    };
    status.set_aside.iter().map(remark).collect()
}

/// Returns a remark if the newest delivery looks like a part of an initial load.
///
/// CPR stops an extract after five hours and continues it the next night, and the file does not say so. The only sign is
/// persons without events.
fn initial_load_remarks(published: &[&Record]) -> Vec<Remark> {
    match published.last() {
        Some(last) if last.counts.looks_like_load() => vec![note(format!(
            "{} contains {} persons and fewer events, so it is probably an initial load. CPR stops an extract after five \
             hours and delivers the rest the next night; the file does not say whether that happened",
            last.redacted_file_name(),
            last.counts.persons
        ))],
        _ => Vec::new(),
    }
}

fn note(text: impl Into<String>) -> Remark {
    Remark {
        needs_attention: false,
        text: text.into(),
    }
}

fn action_needed(text: impl Into<String>) -> Remark {
    Remark {
        needs_attention: true,
        text: text.into(),
    }
}
