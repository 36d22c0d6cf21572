//! Publishes complete deliveries in the unrestricted dataset.

use std::path::Path;

use jiff::Timestamp;

use super::stage::Staged;
use crate::agreement::Agreement;
use crate::dataset::{Audience, Dataset, ManifestBuilder, delivery_name};
use crate::error::Error;
use crate::ledger::{Counts, FindingCount, Ledger, Record};
use cprflow::Connector;
use cprflow::Summary;

/// Returns what the ledger stores of an extract.
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

/// Publishes deliveries of one agreement.
pub(super) struct Publisher<'a> {
    pub(super) connector: &'a Connector,
    pub(super) dataset: &'a Dataset,
    pub(super) agreement: &'a Agreement,
    pub(super) now: Timestamp,
}

impl Publisher<'_> {
    /// Moves a staged delivery into the dataset, in one step and durably. Returns the name of its directory.
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
        crate::failpoint::reached("publishing");
        let manifest = ManifestBuilder {
            connector: self.connector,
            record,
            agreement: Some(self.agreement),
            sequence,
            rows: staged.rows.clone(),
            files: staged.files.clone(),
            published: self.now,
            made_again: 0,
        }
        .build(Audience::Unrestricted {
            agreement: self.agreement,
            findings: &staged.summary.findings,
        });
        manifest.write(staging)?;
        self.dataset
            .publish(staging, &record.agreement, &directory)?;
        ledger.published(record.id, self.now)?;
        crate::failpoint::reached("published");
        Ok(directory)
    }
}
