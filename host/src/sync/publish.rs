//! Whether a delivery may be published, and its place in the dataset.

use std::path::Path;

use jiff::Timestamp;

use super::stage::Staged;
use crate::agreement::Agreement;
use crate::dataset::{ComponentIdentity, Dataset, Manifest, ManifestFinding, delivery_name};
use crate::error::{DataErrorKind, Error};
use crate::ledger::{Counts, FindingCount, Ledger, Reason, Record};
use crate::report::{Finding, Level, Summary};
use crate::sandbox::Connector;
use crate::transport::said;

/// What the ledger is told of an extract.
pub(super) fn counts(sha256: String, summary: &Summary) -> Counts {
    let start = summary.start.as_ref();
    let records = |table: &str| {
        let mut counts = summary.tables.iter();
        let count = counts.find(|count| count.table == table);
        count.map(|count| count.records).unwrap_or_default()
    };
    Counts {
        sha256,
        task_number: start.map(|start| start.task_number.clone()),
        production_date: start.and_then(|start| start.production_date.clone()),
        previous_production_date: start.and_then(|start| start.previous_production_date.clone()),
        records: summary.records,
        persons: records("person"),
        events: records("event"),
        findings: summary
            .findings
            .iter()
            .map(|finding| FindingCount {
                code: finding.code.clone(),
                level: finding.level.name().to_owned(),
                count: finding.count,
            })
            .collect(),
    }
}

/// Why a delivery is set aside; none if it may be published.
pub(super) fn objection(staged: &Staged, agreement: &Agreement, record: &Record) -> Option<Reason> {
    if let Some(broken) = &staged.broken {
        let code = match broken.kind {
            DataErrorKind::RecordTooLong => "record-too-long",
            DataErrorKind::LookAlike => "look-alike",
            DataErrorKind::LostTrack => "lost-track",
        };
        return Some(Reason::new(
            code,
            format!("{broken}. It cannot be accepted: what follows could not be read"),
        ));
    }
    let is_accepted =
        |code: &String| agreement.accept.contains(code) || record.accepted.contains(code);
    let findings = staged.summary.findings.iter();
    let grave: Vec<_> = findings
        .filter(|finding| finding.level == Level::Error && !is_accepted(&finding.code))
        .collect();
    if let Some(first) = grave.first() {
        // One code stands beside the message already; several are named in it.
        let text = |finding: &&Finding| match grave.len() {
            1 => finding.message.clone(),
            _ => format!("{} ({}): {}", finding.code, finding.count, finding.message),
        };
        let texts: Vec<_> = grave.iter().map(text).collect();
        return Some(Reason::new(&first.code, texts.join("; ")));
    }
    if record.production_date().is_none() {
        return Some(Reason::new(
            "no-production-date",
            "the extract does not say when it was produced, and without that it has no place among the others: give \
             it one with `cprflow retry … --production-date YYYY-MM-DD`",
        ));
    }
    None
}

/// The findings of level error that stood in the way and were accepted.
fn accepted(staged: &Staged) -> Vec<String> {
    let findings = staged.summary.findings.iter();
    findings
        .filter(|finding| finding.level == Level::Error)
        .map(|finding| finding.code.clone())
        .collect()
}

/// What publishes deliveries.
pub(super) struct Publisher<'a> {
    pub(super) connector: &'a Connector,
    pub(super) dataset: &'a Dataset,
    pub(super) agreement: &'a Agreement,
    pub(super) purpose: &'a str,
    pub(super) now: Timestamp,
}

impl Publisher<'_> {
    /// Gives a staged delivery its place, at once and durably; says which.
    pub(super) fn publish(
        &self,
        ledger: &mut Ledger,
        record: &Record,
        staged: &Staged,
        staging: &Path,
    ) -> Result<String, Error> {
        let date = record.production_date().unwrap_or_default().to_owned();
        let name = |sequence| delivery_name(&date, sequence, &record.transfer_uuid);
        let (sequence, directory) = ledger.publishing(record.id, name, self.now)?;
        crate::hook::reached("publishing");
        let manifest = Manifest {
            format: 1,
            agreement: record.agreement.clone(),
            controller: self.agreement.controller.clone(),
            sequence,
            transfer_uuid: record.transfer_uuid.clone(),
            file_name: record.said_name(),
            metadata_name: said(&record.metadata_name),
            sender: record.sender.clone(),
            size: record.size,
            sha256: record.counts.sha256.clone(),
            task_number: record.counts.task_number.clone(),
            production_date: date,
            previous_production_date: record.counts.previous_production_date.clone(),
            published: self.now.to_string(),
            records: record.counts.records,
            rows: staged.rows.clone(),
            record_types: self.agreement.record_types.clone(),
            findings: staged
                .summary
                .findings
                .iter()
                .map(ManifestFinding::from)
                .collect(),
            accepted: accepted(staged),
            component: ComponentIdentity {
                sha256: self.connector.sha256().to_owned(),
            },
            policy: "unrestricted".to_owned(),
            purpose: self.purpose.to_owned(),
            tenant: None,
            written_by: concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        manifest.write(staging)?;
        self.dataset
            .publish(staging, &record.agreement, &directory)?;
        ledger.published(record.id, self.now)?;
        crate::hook::reached("published");
        Ok(directory)
    }
}
