//! What the report tells of an agreement.

use std::collections::BTreeMap;

use cprflow::CodeTable;
use cprflow_delivery::calendar::danish_time;
use cprflow_delivery::config::{Configuration, Period, Store, is_remote};
use cprflow_delivery::overview::{self, CountsByMonth};
use cprflow_delivery::status::Status;
use cprflow_delivery::{Agreement, Environment, Ledger, Record};
use cprflow_report::{AgreementReport, Certificate, Fact, FindingRow, Series, Volume, WaitingItem};
use indicatif::HumanBytes;
use jiff::Span;
use jiff::civil::Date;

use super::days::{days, production_date};
use crate::failure::Failure;

/// The number of months in a series.
const MONTHS: i64 = 12;

/// The number of tables and of events with the most rows that are shown.
const MOST: usize = 15;

/// Collects what the report tells of an agreement.
pub(super) struct AgreementReader<'a> {
    store: &'a Store,
    agreement: &'a Agreement,
    status: &'a Status,
    retention_days: u32,
}

impl<'a> AgreementReader<'a> {
    /// Finds the agreement of a status.
    pub(super) fn new(configuration: &'a Configuration, status: &'a Status) -> Option<Self> {
        let stores = configuration.stores.iter();
        let mut all = stores.flat_map(|store| store.agreements.iter().map(move |one| (store, one)));
        let (store, agreement) = all.find(|(_, one)| one.name.as_str() == status.agreement)?;
        Some(Self {
            store,
            agreement,
            status,
            retention_days: configuration.retention_days,
        })
    }

    /// Returns what the report tells.
    pub(super) fn report(
        &self,
        codes: &[CodeTable],
        today: Date,
    ) -> Result<AgreementReport, Failure> {
        let name = &self.status.agreement;
        let ledger =
            Ledger::open_to_read(&self.store.state).map_err(cprflow_delivery::Error::from)?;
        let records = match &ledger {
            Some(ledger) => ledger.all().map_err(cprflow_delivery::Error::from)?,
            None => Vec::new(),
        };
        let own = records
            .into_iter()
            .filter(|record| record.agreement == *name);
        let (mut published, _): (Vec<_>, Vec<_>) =
            own.partition(|record| record.state.is_published());
        published.sort_by_key(|record| (production_date(record), record.sequence));
        let dataset = &self.store.dataset;
        let remarks = |is_urgent: bool| {
            let remarks = self.status.remarks.iter();
            let remarks = remarks.filter(move |remark| remark.needs_attention == is_urgent);
            // The remarks about tenants are in the sections of the tenants. One that was removed has no section.
            let remarks = remarks.filter(|remark| !self.is_of_tenant(&remark.text));
            remarks.map(|remark| remark.text.clone()).collect()
        };
        let event_names = codes.iter().find(|table| table.name == "event");
        let meaning = |code: &str| {
            let name = event_names.and_then(|table| table.find(code)?.name_en.clone());
            name.unwrap_or_else(|| "meaning not known".to_owned())
        };
        Ok(AgreementReport {
            name: name.clone(),
            facts: self.facts(),
            figures: self.figures(),
            attention: remarks(true),
            notes: remarks(false),
            days: days(self.status, &published, today),
            volumes: published.iter().filter_map(volume).collect(),
            tables: series(&overview::rows_by_table(dataset, name)?, today, |_| {
                String::new()
            }),
            events: series(&overview::events_by_code(dataset, name)?, today, meaning),
            findings: findings(&published),
            waiting: self.waiting(),
            retention: self.retention(),
            certificates: self.certificates(),
        })
    }

    /// Returns whether a remark is shown in the section of a tenant.
    fn is_of_tenant(&self, remark: &str) -> bool {
        let mut tenants = self.status.tenants.iter();
        tenants.any(|tenant| remark.starts_with(&format!("tenant {}: ", tenant.tenant)))
    }

    fn facts(&self) -> Vec<Fact> {
        let agreement = self.agreement;
        let environment = agreement.environment.map(|environment| match environment {
            Environment::Test => "test",
            Environment::Production => "production",
        });
        let purpose = agreement.unrestricted.as_deref();
        let facts = [
            ("Controller", agreement.controller.as_deref()),
            ("Environment", environment),
            ("Inbox", Some(self.status.inbox.as_str())),
            (
                "All data is published for",
                Some(purpose.unwrap_or("no purpose: only tenants get data")),
            ),
            (
                "Legal basis",
                agreement
                    .legal_basis
                    .as_deref()
                    .or(purpose.map(|_| "not stated")),
            ),
            (
                "Church membership is published for",
                agreement.church_purpose.as_deref(),
            ),
        ];
        let facts = facts
            .into_iter()
            .filter_map(|(label, value)| Some(Fact::new(label, value?)));
        facts.collect()
    }

    fn figures(&self) -> Vec<Fact> {
        let status = self.status;
        let newest = status
            .newest
            .as_ref()
            .and_then(|newest| newest.production_date());
        let mut figures = vec![
            Fact::new("deliveries published", status.published.to_string()),
            Fact::new("newest delivery", newest.unwrap_or("none")),
        ];
        if let Some(days) = status.silent_working_days {
            figures.push(Fact::new(
                "working days of CPR since the last publication",
                days.to_string(),
            ));
        }
        match &status.current {
            Some(current) if current.is_current => {
                figures.push(Fact::new("current tables for", current.day.clone()));
            }
            Some(_) => figures.push(Fact::new("current tables", "withdrawn")),
            None => {}
        }
        let register = &status.register;
        figures.push(Fact::new(
            "register",
            HumanBytes(register.file_size).to_string(),
        ));
        figures
    }

    fn waiting(&self) -> Vec<WaitingItem> {
        let item = |record: &Record, state: &str| WaitingItem {
            name: record.redacted_file_name(),
            state: state.to_owned(),
            since: Some(danish_time(record.first_seen).date()),
            why: match &record.reason {
                Some(reason) => format!("{}: {}", reason.code, reason.message),
                None => "the next `cprflow sync` goes on".to_owned(),
            },
        };
        let aside = self
            .status
            .set_aside
            .iter()
            .map(|record| item(record, "set aside"));
        let under_way = self.status.under_way.iter();
        let under_way = under_way.map(|record| item(record, record.state.name()));
        let files = self.status.unclaimed_files.iter().map(|file| WaitingItem {
            name: file.name.clone(),
            state: "in the inbox".to_owned(),
            since: Some(danish_time(file.first_seen).date()),
            why: format!("{}: {}", file.reason.code, file.reason.message),
        });
        aside.chain(under_way).chain(files).collect()
    }

    fn retention(&self) -> Vec<Fact> {
        let register = &self.status.register;
        let publish = match (self.store.publish.current, self.store.publish.deliveries) {
            (true, true) => "current tables and deliveries",
            (true, false) => "current tables",
            _ => "deliveries",
        };
        let kept = match self.store.retention.deliveries {
            Period::Days(days) => format!("{days} days"),
            Period::Forever => "forever".to_owned(),
        };
        let mut facts = vec![Fact::new(
            "Register",
            format!(
                "{} extracts, {} ({} as delivered)",
                register.extracts,
                HumanBytes(register.file_size),
                HumanBytes(register.size)
            ),
        )];
        if let (Some(oldest), Some(newest)) = (&register.oldest, &register.newest) {
            facts.push(Fact::new("Extracts", format!("from {oldest} to {newest}")));
        }
        let damaged = self.status.damaged.len() + register.damaged.len();
        if damaged + register.missing > 0 {
            facts.push(Fact::new(
                "Gone or changed",
                format!(
                    "{damaged} deliveries or extracts; {} extracts are missing",
                    register.missing
                ),
            ));
        }
        facts.extend([
            Fact::new("Published", publish),
            Fact::new("Deliveries are kept", kept),
            Fact::new(
                "Extracts in progress are kept",
                format!("at most {} days", self.store.max_age_days),
            ),
            Fact::new(
                "The platform deletes a file",
                format!("after {} days", self.retention_days),
            ),
            Fact::new("Dataset", self.store.dataset.display().to_string()),
            Fact::new("State directory", self.store.state.display().to_string()),
        ]);
        facts
    }

    fn certificates(&self) -> Vec<Certificate> {
        let client = self
            .status
            .client_certificate
            .iter()
            .map(|client| Certificate {
                what: "subscription service".to_owned(),
                place: client.file.display().to_string(),
                ends: Some(danish_time(client.ends).date()),
                days_left: Some(client.days_left),
            });
        let login = is_remote(&self.agreement.inbox).then(|| Certificate {
            what: "key for the login to the inbox".to_owned(),
            place: self.agreement.sftp.identity.display().to_string(),
            ends: None,
            days_left: None,
        });
        client.chain(login).collect()
    }
}

fn volume(record: &Record) -> Option<Volume> {
    Some(Volume {
        day: production_date(record)?,
        records: record.counts.records,
        persons: record.counts.persons,
        events: record.counts.events,
    })
}

/// Returns the findings in deliveries, the most serious first.
fn findings(published: &[Record]) -> Vec<FindingRow> {
    let mut rows: BTreeMap<(u8, String), FindingRow> = BTreeMap::new();
    for record in published {
        for finding in &record.counts.findings {
            let rank = match finding.level.as_str() {
                "error" => 0,
                "warning" => 1,
                _ => 2,
            };
            let row = rows.entry((rank, finding.code.clone()));
            let row = row.or_insert_with(|| FindingRow {
                code: finding.code.clone(),
                level: finding.level.clone(),
                count: 0,
                deliveries: 0,
                last: None,
            });
            row.count += finding.count;
            row.deliveries += 1;
            row.last = row.last.max(production_date(record));
        }
    }
    rows.into_values().collect()
}

/// Returns the series with the largest totals, over the last months.
fn series(counts: &CountsByMonth, today: Date, meaning: impl Fn(&str) -> String) -> Vec<Series> {
    let month = |back: i64| {
        today
            .first_of_month()
            .saturating_sub(Span::new().months(back))
    };
    let months: Vec<Date> = (0..MONTHS).rev().map(month).collect();
    let series = counts.iter().map(|(name, by_month)| Series {
        name: name.clone(),
        meaning: meaning(name),
        months: months
            .iter()
            .map(|month| {
                let key = month.strftime("%Y-%m").to_string();
                (*month, by_month.get(&key).copied().unwrap_or(0))
            })
            .collect(),
    });
    let total = |series: &Series| series.months.iter().map(|month| month.1).sum::<u64>();
    let mut all: Vec<_> = series.filter(|series| total(series) > 0).collect();
    all.sort_by_key(|series| std::cmp::Reverse(total(series)));
    all.truncate(MOST);
    all
}
