//! `[tenant.NAME.limits]`: what publishing one delivery may use.

use std::time::Duration;

use crate::config::error::{ConfigurationError, KeyProblem};
use crate::config::table_reader::TableReader;
use crate::tenant::TenantLimits;

/// Limits that a configuration could set before. cprflow now sets them itself.
const REMOVED: [&str; 3] = ["call_ms", "columns", "text_bytes"];

/// The largest number of megabytes that a limit can hold (16 TiB); larger numbers count as this one.
const MAX_MEGABYTES: u64 = 1 << 24;

/// The longest time that a limit can hold: one week. Longer times count as this one.
const MAX_SECONDS: u64 = 7 * 24 * 60 * 60;

pub(super) fn read(mut table: TableReader) -> Result<TenantLimits, ConfigurationError> {
    for key in REMOVED {
        if table.has_removed(key) {
            return Err(table.at(key).error(KeyProblem::RemovedLimit));
        }
    }
    let defaults = TenantLimits::default();
    let memory = table.count("memory_mb")?;
    let total = table.count("total_seconds")?;
    let output = table.count("output_mb")?;
    let rows = table.count("rows")?;
    table.finish()?;
    let memory = match memory {
        None => defaults.memory,
        Some(megabytes @ 16..=4096) => usize::try_from(bytes(megabytes)).unwrap_or(defaults.memory),
        Some(_) => return Err(table.invalid("memory_mb", "a whole number from 16 to 4096")),
    };
    Ok(TenantLimits {
        memory,
        total: total.map_or(defaults.total, |seconds| {
            Duration::from_secs(seconds.min(MAX_SECONDS))
        }),
        output: output.map_or(defaults.output, bytes),
        rows: rows.unwrap_or(defaults.rows),
    })
}

fn bytes(megabytes: u64) -> u64 {
    megabytes.min(MAX_MEGABYTES) << 20
}
