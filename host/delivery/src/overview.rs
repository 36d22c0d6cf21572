//! Counts over time for reports: rows by table and month, and events by code and month.

use std::collections::BTreeMap;
use std::path::Path;

use crate::current::for_each_row;
pub use crate::current::{PastGeneration, past_generations};
use crate::dataset::published_deliveries;
use crate::error::Error;

/// Counts by name, and by month (`YYYY-MM`).
pub type CountsByMonth = BTreeMap<String, BTreeMap<String, u64>>;

/// The number of characters of a month in a date, `YYYY-MM`.
const MONTH: usize = 7;

/// Counts the rows of each table in the published deliveries of an agreement, by the month of the production date.
pub fn rows_by_table(dataset: &Path, agreement: &str) -> Result<CountsByMonth, Error> {
    let mut counts = CountsByMonth::new();
    if !dataset.is_dir() {
        return Ok(counts);
    }
    let deliveries = published_deliveries(dataset)?;
    let own = deliveries
        .iter()
        .filter(|delivery| delivery.manifest.agreement == agreement);
    for manifest in own.map(|delivery| &delivery.manifest) {
        let Some(month) = manifest.production_date.get(..MONTH) else {
            continue;
        };
        for (table, rows) in manifest.rows.iter().filter(|(_, rows)| **rows > 0) {
            let months = counts.entry(table.clone()).or_default();
            *months.entry(month.to_owned()).or_default() += rows;
        }
    }
    Ok(counts)
}

/// Counts the events of an agreement in the current tables, by code and by the month of the production date.
pub fn events_by_code(dataset: &Path, agreement: &str) -> Result<CountsByMonth, Error> {
    let mut counts = CountsByMonth::new();
    let path = dataset.join("current/event.parquet");
    for_each_row(&path, &["event_code", "as_of", "agreement"], |values| {
        if let [Some(code), Some(day), Some(of)] = values
            && *of == agreement
            && let Some(month) = day.get(..MONTH)
        {
            let months = counts.entry((*code).to_owned()).or_default();
            *months.entry(month.to_owned()).or_default() += 1;
        }
    })?;
    Ok(counts)
}
