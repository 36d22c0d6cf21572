//! The databases and tables that `cprflow export` has loaded from a dataset: `<dataset>/_exports/*.json`, written by the export.
//!
//! An erasure cannot reach them. They lose the persons when they are loaded again, so the proof and the status name those that
//! have not caught up. A target counts as such until its file says the opposite.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::export_files::{
    DIRECTORY, FORMAT, ListedTarget, Number, Table, Times, datasets, listed,
};
use super::proof;
use crate::config::Store;
use crate::error::Error;
use crate::ledger::{AdoptedDataset, Ledger, RewritingKind};
use crate::tenant::former::plain_path;

/// The kind of a target that keeps no older versions of its tables.
const POSTGRESQL: &str = "postgresql";

/// A target of exports that has not caught up with an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportTarget {
    /// The dataset that is exported.
    pub dataset: PathBuf,
    /// `delta`, `postgresql`, or `unknown` if the file cannot be read.
    pub kind: String,
    /// The target, without user and password.
    pub target: String,
    /// The schema in PostgreSQL.
    pub schema: Option<String>,
    /// The file of the target.
    pub file: PathBuf,
    /// Whether the configuration does not have the dataset any more, at least not in this directory.
    #[serde(rename = "former")]
    pub is_former: bool,
    /// What is known of it.
    pub lag: ExportLag,
}

/// Why a target of exports has not caught up with an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportLag {
    /// It may have rows of erased persons.
    Rows,
    /// Its rows are new, but files of older versions may have erased persons.
    OldFiles,
    /// Its file cannot be read.
    Unknown,
}

impl ExportTarget {
    /// Returns the target and its schema, for a person.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{} (schema {schema})", self.target),
            None => self.target.clone(),
        }
    }
}

/// Displays as a text for a person that says what to do.
impl fmt::Display for ExportTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            file,
            lag,
            dataset,
            ..
        } = self;
        let (target, shown, dataset) = (self.name(), file.display(), dataset.display());
        let option = match kind.as_str() {
            "delta" => " with --vacuum 0",
            _ => "",
        };
        match lag {
            ExportLag::Unknown if file.ends_with(DIRECTORY) => {
                return write!(
                    f,
                    "the export targets in {shown} are not known, because it cannot be read, so they may have rows of erased \
                     persons. Make it readable, for example mount its disk. Then run `cprflow status`"
                );
            }
            ExportLag::Rows => write!(
                f,
                "the export to {target} has not caught up with an erasure, so it may have rows of erased persons. "
            )?,
            ExportLag::OldFiles => write!(
                f,
                "the export to {target} has new rows, but files of older versions may have erased persons. "
            )?,
            ExportLag::Unknown => write!(
                f,
                "the file of the export to {target} cannot be read, so the target may have rows of erased persons. "
            )?,
        }
        match (self.is_former, lag) {
            (true, _) => write!(
                f,
                "The configuration does not have its dataset {dataset} any more. Delete the target and its file {shown}. If the \
                 dataset was moved, you can run `cprflow export` for its new directory instead{option}"
            ),
            (false, ExportLag::Unknown) => {
                write!(f, "Remove {shown}, then run `cprflow export` again{option}")
            }
            (false, ExportLag::Rows) => write!(
                f,
                "Run `cprflow export` again{option}. If the target was deleted, remove its file {shown}"
            ),
            (false, ExportLag::OldFiles) => write!(f, "Run `cprflow export` again{option}"),
        }
    }
}

/// What is known of erasures that are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Erased {
    /// The time at which the last of them was complete.
    pub(super) done: Timestamp,
    /// The directories of the datasets of that erasure. Others can have the persons still.
    pub(super) datasets: BTreeSet<PathBuf>,
    /// The first generation of each dataset without the persons. See [`generations`].
    pub(super) generations: BTreeMap<String, u64>,
}

/// Returns all targets of the datasets of a store, because an erasure that is only planned has not reached any.
pub(super) fn targets(store: &Store, ledger: &Ledger) -> Result<Vec<ExportTarget>, Error> {
    let all = listed(store, ledger)?.into_iter();
    Ok(all.map(|listed| listed.target).collect())
}

/// Returns the targets that have not caught up with the erasures of a store that are complete.
pub(crate) fn exports_behind(store: &Store, ledger: &Ledger) -> Result<Vec<ExportTarget>, Error> {
    match proof::erased(&store.state)? {
        Some(erased) => behind(store, ledger, &erased),
        None => Ok(Vec::new()),
    }
}

/// Returns the targets that have not caught up with erasures.
pub(super) fn behind(
    store: &Store,
    ledger: &Ledger,
    erased: &Erased,
) -> Result<Vec<ExportTarget>, Error> {
    let newest = generations(store, ledger)?;
    let mut found = Vec::new();
    for listed in listed(store, ledger)? {
        let tenant = listed.tenant.as_deref();
        let name = key(tenant);
        let newest = newest.get(&name).copied();
        let known = erased.generations.get(&name).copied().or(newest);
        let needed = Needed {
            done: erased.done,
            // After a loss of the state directory, the numbers can begin again.
            generation: known.map(|number| number.min(newest.unwrap_or(number))),
            sequences: sequences(ledger, tenant)?,
        };
        // A run that read a directory which the erasure did not reach has copied the persons again.
        let is_reached = !listed.target.is_former
            || erased
                .datasets
                .contains(&plain_path(&listed.target.dataset));
        let lag = needed.lag(&listed);
        if let Some(lag) = lag.or((!is_reached).then_some(ExportLag::Rows)) {
            found.push(ExportTarget {
                lag,
                ..listed.target
            });
        }
    }
    Ok(found)
}

/// Returns for each dataset the first generation that has no erased persons, if an erasure is complete: the newest one, or the
/// next one if the current tables are withdrawn. A dataset that never had current tables is left out.
pub(super) fn generations(store: &Store, ledger: &Ledger) -> Result<BTreeMap<String, u64>, Error> {
    let mut found = BTreeMap::new();
    for (tenant, _) in datasets(store) {
        let place = tenant.map_or(AdoptedDataset::Dataset, AdoptedDataset::Tenant);
        if let Some(newest) = ledger.generation(place)? {
            found.insert(key(tenant), newest.number + u64::from(!newest.is_current));
        }
    }
    Ok(found)
}

/// Returns for each agreement the number in the change feed with which the last delivery was made again, or removed, without
/// erased persons.
fn sequences(ledger: &Ledger, tenant: Option<&str>) -> Result<BTreeMap<String, u64>, Error> {
    let mut found = BTreeMap::new();
    for one in ledger.rewritings(tenant)? {
        if one.kind != RewritingKind::Erased || !one.is_done {
            continue;
        }
        if let Some(record) = ledger.delivery(one.delivery)? {
            // They come in the order of their numbers.
            found.insert(record.agreement, one.number);
        }
    }
    Ok(found)
}

/// Returns the name of a dataset in a proof.
fn key(tenant: Option<&str>) -> String {
    match tenant {
        Some(name) => format!("tenant={name}"),
        None => "unrestricted".to_owned(),
    }
}

/// What a target must have, so that it has no rows of erased persons.
struct Needed {
    /// The time after which the last run must have begun: an earlier one can have read what was not erased yet.
    done: Timestamp,
    /// `None` if the dataset never had current tables.
    generation: Option<u64>,
    /// The numbers in the change feed by agreement.
    sequences: BTreeMap<String, u64>,
}

impl Needed {
    /// Returns why a target has not caught up; `None` if it has.
    fn lag(&self, listed: &ListedTarget) -> Option<ExportLag> {
        let progress = listed.progress.as_ref();
        let Some(progress) = progress.filter(|progress| progress.format == FORMAT) else {
            return Some(ExportLag::Unknown);
        };
        // A run that was interrupted can have written rows that the file does not name.
        if progress.finished.is_none() || progress.started < self.done {
            return Some(ExportLag::Rows);
        }
        let mut tables = progress.tables.values();
        if !tables.all(|table| self.is_met_by_rows(table)) {
            return Some(ExportLag::Rows);
        }
        let mut tables = progress.tables.values();
        if listed.target.kind != POSTGRESQL && !tables.all(|table| self.is_met_by_files(table)) {
            return Some(ExportLag::OldFiles);
        }
        None
    }

    /// Returns whether a table was exported after the erasure was complete, and has numbers that are high enough.
    ///
    /// The numbers do not say enough: an erasure makes no new number for a delivery that expires before it is made again, and
    /// after a loss of the state directory the numbers can begin again. So a run between the order and its end does not count,
    /// also if it has read tables that were made again already. The time does not say enough either: the clock of the machine
    /// that exports can be ahead. The rows of a table that is not exported any more stay.
    fn is_met_by_rows(&self, table: &Table) -> bool {
        let is_late = |at: &Timestamp| *at >= self.done;
        let is_exported = match (&table.rows, &table.exported) {
            (Number::Generation(_), Some(Times::All(at))) => is_late(at),
            (Number::Sequences(rows), Some(Times::Agreements(times))) => rows
                .keys()
                .all(|agreement| times.get(agreement).is_some_and(is_late)),
            _ => false,
        };
        is_exported && self.is_met(&table.rows, &table.rows)
    }

    fn is_met_by_files(&self, table: &Table) -> bool {
        let is_late = table.cleaned_at.is_some_and(|at| at >= self.done);
        let cleaned = table.cleaned.as_ref();
        is_late && cleaned.is_some_and(|cleaned| self.is_met(&table.rows, cleaned))
    }

    /// Returns whether numbers are high enough for everything that a table has.
    fn is_met(&self, rows: &Number, numbers: &Number) -> bool {
        match (rows, numbers) {
            (Number::Generation(_), Number::Generation(number)) => {
                self.generation.is_some_and(|needed| *number >= needed)
            }
            (Number::Sequences(rows), Number::Sequences(numbers)) => rows.keys().all(|agreement| {
                let number = |all: &BTreeMap<String, u64>| all.get(agreement).copied();
                number(numbers).unwrap_or_default() >= number(&self.sequences).unwrap_or_default()
            }),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lag(kind: &str, file: &Value) -> Option<ExportLag> {
        let needed = Needed {
            done: "2026-03-05T08:00:00.5Z".parse().unwrap(),
            generation: Some(4),
            sequences: BTreeMap::from([("town".to_owned(), 9)]),
        };
        needed.lag(&ListedTarget {
            tenant: None,
            target: ExportTarget {
                dataset: PathBuf::new(),
                kind: kind.to_owned(),
                target: "x".to_owned(),
                schema: None,
                file: PathBuf::new(),
                is_former: false,
                lag: ExportLag::Rows,
            },
            progress: serde_json::from_value(file.clone()).ok(),
        })
    }

    fn file(tables: &Value) -> Value {
        let (started, finished) = ("2026-03-05T08:00:00.600000Z", "2026-03-05T09:00:00.000000Z");
        json!({"format": 1, "started": started, "finished": finished, "tables": tables})
    }

    const EARLY: &str = "2026-03-05T08:00:00.499999Z";
    const LATE: &str = "2026-03-05T08:00:00.500000Z";

    /// Adds the times of the last export and of the last removal of files to a table that lacks them.
    fn with_times(table: &Value) -> Value {
        let mut table = table.clone();
        let times: Value = match table.get("sequences").and_then(Value::as_object) {
            Some(agreements) => agreements
                .keys()
                .map(|name| (name.clone(), json!(LATE)))
                .collect(),
            None => json!(LATE),
        };
        for (key, value) in [("exported", times), ("cleaned_at", json!(LATE))] {
            if table.get(key).is_none() {
                table[key] = value;
            }
        }
        table
    }

    #[test]
    fn a_text_names_the_schema_and_the_file() {
        let mut target = ExportTarget {
            dataset: PathBuf::from("/d"),
            kind: "postgresql".to_owned(),
            target: "postgresql://db.example/cpr".to_owned(),
            schema: Some("cpr".to_owned()),
            file: PathBuf::from("/d/_exports/postgresql-1.json"),
            is_former: false,
            lag: ExportLag::Rows,
        };
        let text = target.to_string();
        let start = "the export to postgresql://db.example/cpr (schema cpr) has not caught up with an erasure";
        assert!(text.starts_with(start), "{text}");
        let end = "If the target was deleted, remove its file /d/_exports/postgresql-1.json";
        assert!(text.ends_with(end), "{text}");
        target.is_former = true;
        for lag in [ExportLag::Rows, ExportLag::OldFiles, ExportLag::Unknown] {
            target.lag = lag;
            let text = target.to_string();
            let name = "the export to postgresql://db.example/cpr (schema cpr) ";
            assert!(text.contains(name), "{text}");
            let advice = "does not have its dataset /d any more. Delete the target and its file /d/_exports/postgresql-1.json. ";
            assert!(
                text.contains("erased persons") && text.contains(advice),
                "{text}"
            );
        }
        target.file.pop();
        let text = target.to_string();
        assert!(
            text.starts_with("the export targets in /d/_exports are not known"),
            "{text}"
        );
    }

    #[test]
    fn each_table_must_be_exported_after_the_erasure() {
        let sequences = json!({"town": 9, "other": 1});
        let cases = [
            (
                json!({"generation": 4, "cleaned": 4, "exported": EARLY}),
                Some(ExportLag::Rows),
            ),
            (
                json!({"generation": 4, "cleaned": 4, "exported": null}),
                Some(ExportLag::Rows),
            ),
            (
                json!({"generation": 4, "cleaned": 4, "exported": {"town": LATE}}),
                Some(ExportLag::Rows),
            ),
            (
                json!({"generation": 4, "cleaned": 4, "cleaned_at": EARLY}),
                Some(ExportLag::OldFiles),
            ),
            (
                json!({"generation": 4, "cleaned": 4, "cleaned_at": null}),
                Some(ExportLag::OldFiles),
            ),
            (
                json!({"sequences": sequences, "cleaned": sequences, "exported": {"town": LATE, "other": LATE}}),
                None,
            ),
            (
                json!({"sequences": sequences, "cleaned": sequences, "exported": {"town": LATE, "other": EARLY}}),
                Some(ExportLag::Rows),
            ),
            (
                json!({"sequences": sequences, "cleaned": sequences, "exported": {"town": LATE}}),
                Some(ExportLag::Rows),
            ),
            (
                json!({"sequences": {}, "cleaned": {}, "exported": null}),
                Some(ExportLag::Rows),
            ),
        ];
        for (table, expected) in cases {
            let file = file(&json!({"a": with_times(&table)}));
            assert_eq!(lag("delta", &file), expected, "{table}");
        }
        let old = file(&json!({"a": {"generation": 4, "cleaned": 4}}));
        assert_eq!(lag("delta", &old), Some(ExportLag::Rows));
    }

    #[test]
    fn a_target_has_caught_up_if_each_table_has() {
        let cases = [
            (json!({}), None, None),
            (json!({"a": {"generation": 4, "cleaned": 4}}), None, None),
            (json!({"a": {"generation": 7, "cleaned": 5}}), None, None),
            (
                json!({"a": {"generation": 7, "cleaned": 3}}),
                None,
                Some(ExportLag::OldFiles),
            ),
            (
                json!({"a": {"generation": 4, "cleaned": null}}),
                None,
                Some(ExportLag::OldFiles),
            ),
            (
                json!({"a": {"generation": 4, "cleaned": 4}, "b": {"generation": 3, "cleaned": 3}}),
                Some(ExportLag::Rows),
                Some(ExportLag::Rows),
            ),
            (
                json!({"a": {"sequences": {"town": 9, "other": 1}, "cleaned": {"town": 9}}}),
                None,
                None,
            ),
            (
                json!({"a": {"sequences": {"town": 9}, "cleaned": {"other": 12}}}),
                None,
                Some(ExportLag::OldFiles),
            ),
            (
                json!({"a": {"sequences": {"town": 8}, "cleaned": {"town": 8}}}),
                Some(ExportLag::Rows),
                Some(ExportLag::Rows),
            ),
            (
                json!({"a": {"cleaned": 4}}),
                Some(ExportLag::Unknown),
                Some(ExportLag::Unknown),
            ),
        ];
        for (tables, postgresql, delta) in cases {
            let each = tables.as_object().unwrap().iter();
            let timed: Value = each
                .map(|(name, table)| (name.clone(), with_times(table)))
                .collect();
            let file = file(&timed);
            assert_eq!(lag("postgresql", &file), postgresql, "{tables}");
            assert_eq!(lag("delta", &file), delta, "{tables}");
            assert_eq!(lag("unknown", &file), delta, "{tables}");
        }
    }

    #[test]
    fn a_run_that_does_not_count_leaves_a_target_behind() {
        let good = file(&json!({"a": with_times(&json!({"generation": 4, "cleaned": 4}))}));
        assert_eq!(lag("delta", &good), None);
        let changed = |key: &str, value: Value| {
            let mut file = good.clone();
            file[key] = value;
            lag("delta", &file)
        };
        let rows = Some(ExportLag::Rows);
        assert_eq!(changed("finished", Value::Null), rows);
        assert_eq!(changed("started", json!("2026-03-05T08:00:00Z")), rows);
        let unknown = Some(ExportLag::Unknown);
        assert_eq!(changed("started", json!("yesterday")), unknown);
        assert_eq!(changed("format", json!(2)), unknown);
        assert_eq!(lag("delta", &json!("x")), unknown);
    }
}
