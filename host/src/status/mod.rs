//! How things stand: what was published, what waits, what a person has to look at.

mod tenants;

use cprflow_connector::layout;
use jiff::Timestamp;
use serde::Serialize;

pub use tenants::TenantStatus;

use crate::agreement::{Agreement, Environment};
use crate::calendar::{danish_time, days_since, working_days_between};
use crate::config::{Configuration, Store};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ledger::{Ledger, Record, State, Stray, Visit};
use crate::subscriber::awaited::{Awaited, awaited};
use crate::subscriber::{self, Kind, municipality_name};

/// How an agreement stands.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The agreement's name.
    pub agreement: String,
    /// Where its deliveries come.
    pub inbox: String,
    /// When the inbox was looked into.
    pub visit: Option<Visit>,
    /// How many deliveries are published.
    pub published: usize,
    /// The published delivery that comes last in the order of applying.
    pub newest: Option<Record>,
    /// Deliveries that are under way.
    pub under_way: Vec<Record>,
    /// Deliveries that wait for a person.
    pub set_aside: Vec<Record>,
    /// Files in the inbox that are nobody's, or no delivery yet.
    pub strays: Vec<Stray>,
    /// The tenants who may see the agreement's data.
    pub tenants: Vec<TenantStatus>,
    /// CPR's working days since something was published; none if nothing ever was.
    pub silent_working_days: Option<u32>,
    /// What a person should know or do, in words, with whether it needs doing.
    pub remarks: Vec<Remark>,
}

/// Something that a person should know.
#[derive(Debug, Serialize)]
pub struct Remark {
    /// Whether something has to be done.
    pub needs_attention: bool,
    /// What, in a sentence.
    pub text: String,
}

/// How every agreement of a configuration stands, by its ledgers and certificates alone: no inbox or service is asked.
pub fn status(configuration: &Configuration, now: Timestamp) -> Result<Vec<Status>, Error> {
    let mut all = Vec::new();
    for store in &configuration.stores {
        let ledger = Ledger::open_to_read(&store.state)?;
        for agreement in &store.agreements {
            let look = Look {
                configuration,
                store,
                agreement,
                now,
            };
            all.push(look.status(ledger.as_ref())?);
        }
    }
    Ok(all)
}

/// CPR's working days after which a full load should have begun: it comes the next night.
const LOAD_WORKING_DAYS: u32 = 2;

/// Hours after which half a delivery is worth a look.
const HALF_HOURS: i64 = 24;

struct Look<'a> {
    configuration: &'a Configuration,
    store: &'a Store,
    agreement: &'a Agreement,
    now: Timestamp,
}

impl Look<'_> {
    fn status(&self, ledger: Option<&Ledger>) -> Result<Status, Error> {
        let name = self.agreement.name.as_str();
        let inbox = self.agreement.inbox.to_string();
        let (mut records, mut strays, visit) = match ledger {
            Some(ledger) => (ledger.all()?, ledger.strays()?, ledger.visit(name)?),
            None => (Vec::new(), Vec::new(), None),
        };
        records.retain(|record| record.agreement == name);
        strays.retain(|stray| stray.inbox == inbox);
        let mut published: Vec<_> = records
            .iter()
            .filter(|record| record.state.is_published())
            .collect();
        published.sort_by(|one, other| one.directory.cmp(&other.directory));
        let last = published.iter().filter_map(|record| record.published).max();
        let silent = last.map(|last| self.working_days_since(last));
        let of_state = |wanted: fn(State) -> bool| {
            let those = records.iter().filter(|record| wanted(record.state));
            those.cloned().collect::<Vec<_>>()
        };
        let mut status = Status {
            agreement: name.to_owned(),
            inbox,
            published: published.len(),
            newest: published.last().map(|record| (*record).clone()),
            under_way: of_state(|state| state != State::SetAside && state != State::Done),
            set_aside: of_state(|state| state == State::SetAside),
            silent_working_days: silent,
            remarks: Vec::new(),
            strays,
            visit,
            tenants: Vec::new(),
        };
        let (tenants, of_tenants) = self.tenants(ledger, &records)?;
        status.tenants = tenants;
        let remarks = [
            self.of_visits(&status),
            self.of_silence(&status),
            self.of_subscription(&published)?,
            self.of_certificates(),
            of_set_aside(&status),
            self.of_strays(&status),
            of_initial_load(&published),
            self.of_record_types(ledger, &published),
            of_tenants,
        ];
        status.remarks = remarks.into_iter().flatten().collect();
        Ok(status)
    }

    fn of_visits(&self, status: &Status) -> Vec<Remark> {
        let Some(visit) = &status.visit else {
            return vec![known("the inbox was never looked into: run `cprflow sync`")];
        };
        if let Some(error) = &visit.error {
            return vec![needed(format!(
                "the last look into the inbox failed: {error}"
            ))];
        }
        // Two looks left out are no accident.
        let hours = 2 * self.configuration.interval.as_secs().div_ceil(3600) as i64;
        let since = self.now.duration_since(visit.last).as_hours();
        match since > hours.max(24) {
            true => vec![needed(format!(
                "nobody has looked into the inbox for {since} hours: is `cprflow sync` still running?"
            ))],
            false => Vec::new(),
        }
    }

    fn of_silence(&self, status: &Status) -> Vec<Remark> {
        let limit = self.configuration.silent_working_days;
        let remark = match (status.silent_working_days, &status.visit) {
            (Some(days), _) if days >= limit => format!(
                "no delivery for {days} of CPR's working days. That is right if nobody of the subscription has changed; \
                 otherwise ask the helpdesk"
            ),
            (None, Some(visit)) if self.working_days_since(visit.first) >= limit => format!(
                "nothing has ever come, in {} of CPR's working days: compare the subscription (`cprflow subscription \
                 list`), the SFTP user of the agreement and the folder",
                self.working_days_since(visit.first)
            ),
            _ => return Vec::new(),
        };
        vec![needed(remark)]
    }

    /// Filters that bring a full load, and nothing was produced after the day on which they were added. A delivery of
    /// that day or before, or of unknown date, cannot have brought it, whenever it was published.
    fn of_subscription(&self, published: &[&Record]) -> Result<Vec<Remark>, Error> {
        // There, nothing is ever loaded.
        if self.agreement.environment == Some(Environment::Test) {
            return Ok(Vec::new());
        }
        let directory = subscriber::directory(&self.store.state, &self.agreement.name);
        let dates = published
            .iter()
            .filter_map(|record| record.production_date()?.parse().ok());
        let mut awaited = awaited(&directory, dates.max())?;
        awaited.retain(|filter| self.working_days_since(filter.added) >= LOAD_WORKING_DAYS);
        let Some(first) = awaited.first() else {
            return Ok(Vec::new());
        };
        let days = self.working_days_since(first.added);
        let numbers = awaited.iter().filter(|filter| filter.kind == Kind::Pnr);
        let mut what: Vec<String> = awaited.iter().filter_map(named).collect();
        match numbers.count() {
            0 => {}
            1 => what.push("a person number".to_owned()),
            count => what.push(format!("{count} person numbers")),
        }
        Ok(vec![needed(format!(
            "subscribed to, and no delivery was made after that day: {}. The first was added {days} of CPR's working days \
             ago, and a full load begins the next night. Compare with `cprflow subscription list`; if it is there, ask \
             the helpdesk. Whom a later delivery holds is not looked at: its coming ends this notice",
            what.join(", ")
        ))])
    }

    /// What will soon be wrong with the client certificates of the subscription service, or is.
    fn of_certificates(&self) -> Vec<Remark> {
        let Some(service) = &self.agreement.service else {
            return Vec::new();
        };
        match subscriber::connect(service) {
            Ok(client) => {
                let warnings = client.warnings(self.now).into_iter();
                warnings
                    .map(|warning| needed(warning.to_string()))
                    .collect()
            }
            Err(error) => vec![needed(format!("the subscription service: {error}"))],
        }
    }

    fn of_strays(&self, status: &Status) -> Vec<Remark> {
        let remark = |stray: &Stray| {
            let days = days_since(stray.first_seen, self.now);
            let left = i64::from(self.configuration.retention_days) - days;
            let is_half = ["no-data", "no-metadata", "growing", "size-differs", "gone"]
                .contains(&stray.reason.code.as_str());
            let is_young = self.now.duration_since(stray.first_seen).as_hours() < HALF_HOURS;
            let text = format!(
                "{}: {} ({}; there for {days} days, deleted by the platform in about {left})",
                stray.name, stray.reason.message, stray.reason.code
            );
            match stray.reason.code.as_str() {
                "foreign" => None,
                _ if is_half && is_young => Some(known(text)),
                _ => Some(needed(text)),
            }
        };
        status.strays.iter().filter_map(remark).collect()
    }

    /// Ordered record types that no delivery ever had.
    fn of_record_types(&self, ledger: Option<&Ledger>, published: &[&Record]) -> Vec<Remark> {
        let (Some(ordered), Some(_), false) =
            (&self.agreement.record_types, ledger, published.is_empty())
        else {
            return Vec::new();
        };
        let name = self.agreement.name.as_str();
        if !Dataset::has_deliveries(&self.store.dataset, name).unwrap_or_default() {
            // Everything goes to tenants, each of which sees a part only.
            return Vec::new();
        }
        let seen = Dataset::tables_seen(&self.store.dataset, name);
        // The ledger knows what was published; a dataset that was moved away is no reason to fail.
        let Ok(seen) = seen else { return Vec::new() };
        let came = |record_type: &str| {
            let mut tables = layout::tables().iter();
            let table = tables.find(|table| table.record_type == record_type);
            table.is_some_and(|table| seen.contains(table.name))
        };
        let missing: Vec<&str> = ordered
            .iter()
            .map(String::as_str)
            .filter(|record_type| !came(record_type))
            .collect();
        match missing.is_empty() {
            true => Vec::new(),
            false => vec![known(format!(
                "ordered, and never seen in a delivery: record types {}",
                missing.join(", ")
            ))],
        }
    }

    fn working_days_since(&self, then: Timestamp) -> u32 {
        working_days_between(danish_time(then).date(), danish_time(self.now).date())
    }
}

/// A municipality by its name.
fn named(filter: &Awaited) -> Option<String> {
    let code = filter.value.as_deref()?;
    Some(match municipality_name(code) {
        Some(name) => format!("municipality {code} {name}"),
        None => format!("municipality {code}, which cprflow does not know"),
    })
}

fn of_set_aside(status: &Status) -> Vec<Remark> {
    let remark = |record: &Record| {
        let reason = record.reason.as_ref();
        let (code, message) = reason.map_or(("", ""), |reason| (&reason.code, &reason.message));
        needed(format!(
            "{} is set aside ({code}): {message}. Then: cprflow retry {}",
            record.said_name(),
            record.transfer_uuid
        ))
    };
    status.set_aside.iter().map(remark).collect()
}

/// An extract that runs for five hours is cut and goes on the next night, and nothing in the file says so. What can
/// be seen is that persons came without events: a load, of which more may come.
fn of_initial_load(published: &[&Record]) -> Vec<Remark> {
    let is_load = |record: &&Record| {
        record.counts.persons > 0 && record.counts.events < record.counts.persons
    };
    match published.last() {
        Some(last) if is_load(last) => vec![known(format!(
            "{} brought {} persons, fewer of them with events: an initial load. If it ran for five hours it was cut, \
             and the rest comes with the next delivery; nothing in the file says so",
            last.said_name(),
            last.counts.persons
        ))],
        _ => Vec::new(),
    }
}

fn known(text: impl Into<String>) -> Remark {
    Remark {
        needs_attention: false,
        text: text.into(),
    }
}

fn needed(text: impl Into<String>) -> Remark {
    Remark {
        needs_attention: true,
        text: text.into(),
    }
}
