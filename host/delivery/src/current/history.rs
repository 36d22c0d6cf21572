//! The history of generations: counts and reasons of each day, for reports. It holds no value of a person's record.
//!
//! It is a file with one line for each generation, in the state directory. A report can do without it, so an error is
//! logged and does not stop the run.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use arrow::array::{Array, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use crate::dataset::GenerationManifest;
use crate::error::Error;
use crate::fs::{directory_of, private_directory};

/// The name of the directory of the histories in the state directory.
const DIRECTORY: &str = "history";

/// The name of the history of the unrestricted dataset. No tenant can have this name.
const UNRESTRICTED: &str = "=unrestricted";

/// The column of `out_of_scope` with the reason.
const REASON: &str = "reason";

/// A generation in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastGeneration {
    /// The number.
    pub number: u64,
    /// The day for which the persons were judged, `YYYY-MM-DD`.
    pub day: String,
    /// The number of persons in scope.
    pub persons: u64,
    /// The number of those who were not in scope on the day before.
    pub entered: u64,
    /// The number of persons who were in scope on the day before and no longer are.
    pub left: u64,
    /// The number of these persons for each reason.
    pub reasons: BTreeMap<String, u64>,
    /// `unrestricted`, or the digest of the tenant's policy.
    pub policy: String,
}

/// Appends a generation to the history of its dataset. `directory` has its tables.
pub(super) fn append(state: &Path, directory: &Path, manifest: &GenerationManifest) {
    let path = path(state, manifest.tenant.as_deref());
    let appended = line(directory, manifest).and_then(|line| write(&path, &line));
    if let Err(error) = appended {
        tracing::warn!("the history of the current tables lacks a generation: {error}");
    }
}

/// Returns the history of a dataset, one generation for each day, oldest first.
pub fn past_generations(state: &Path, tenant: Option<&str>) -> Result<Vec<PastGeneration>, Error> {
    let path = path(state, tenant);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file(path)(error)),
    };
    // A line that a killed run wrote in part is left out. All generations of a day are compared with the same day before, so
    // the last one tells of the whole day.
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let by_day: BTreeMap<String, PastGeneration> = lines
        .map(|past: PastGeneration| (past.day.clone(), past))
        .collect();
    Ok(by_day.into_values().collect())
}

fn path(state: &Path, tenant: Option<&str>) -> PathBuf {
    let name = tenant.unwrap_or(UNRESTRICTED);
    state.join(DIRECTORY).join(format!("{name}.jsonl"))
}

fn line(directory: &Path, manifest: &GenerationManifest) -> Result<String, Error> {
    let past = PastGeneration {
        number: manifest.number,
        day: manifest.day.clone(),
        persons: manifest.persons,
        entered: manifest.entered,
        left: manifest.left,
        reasons: match manifest.left {
            0 => BTreeMap::new(),
            _ => count_values(
                &directory.join(format!("{}.parquet", cprflow::OUT_OF_SCOPE)),
                REASON,
            )?,
        },
        policy: manifest.policy.clone(),
    };
    let line = serde_json::to_string(&past).map_err(io::Error::other);
    line.map_err(Error::file(directory))
}

fn write(path: &Path, line: &str) -> Result<(), Error> {
    private_directory(directory_of(path))?;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(Error::file(path))
}

/// Counts the rows of a Parquet file for each value of a column. A file that does not exist has none.
fn count_values(path: &Path, column: &str) -> Result<BTreeMap<String, u64>, Error> {
    let mut counts = BTreeMap::new();
    for_each_row(path, &[column], |values| {
        if let [Some(value)] = values {
            *counts.entry((*value).to_owned()).or_default() += 1;
        }
    })?;
    Ok(counts)
}

/// Calls a function for each row of a Parquet file with the texts of some columns. A file that does not exist, or that
/// lacks a column, has no rows.
pub(crate) fn for_each_row(
    path: &Path,
    columns: &[&str],
    mut each: impl FnMut(&[Option<&str>]),
) -> Result<(), Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(Error::file(path))?,
    };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(cprflow::Error::parquet(path))?;
    let has = |name: &&str| builder.schema().index_of(name).is_ok();
    if !columns.iter().all(has) {
        return Ok(());
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).build();
    for batch in reader.map_err(cprflow::Error::parquet(path))? {
        let batch = batch.map_err(|error| Error::file(path)(io::Error::other(error)))?;
        let texts = columns.iter().map(|name| {
            let column = batch.column_by_name(name)?;
            arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).ok()
        });
        let texts: Vec<_> = texts.collect();
        let texts: Vec<Option<&StringArray>> = texts
            .iter()
            .map(|column| column.as_ref()?.as_any().downcast_ref())
            .collect();
        for row in 0..batch.num_rows() {
            let values = texts.iter().map(|column| {
                let column = (*column)?;
                column.is_valid(row).then(|| column.value(row))
            });
            each(&values.collect::<Vec<_>>());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(number: u64, day: &str, persons: u64) -> GenerationManifest {
        GenerationManifest {
            number,
            day: day.to_owned(),
            persons,
            tenant: Some("schools".to_owned()),
            ..GenerationManifest::default()
        }
    }

    #[test]
    fn keeps_the_last_generation_of_each_day() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path();
        assert!(past_generations(state, Some("schools")).unwrap().is_empty());
        for (number, day, persons) in [
            (1, "2026-03-01", 5),
            (2, "2026-03-01", 6),
            (3, "2026-03-02", 7),
        ] {
            append(state, place.path(), &manifest(number, day, persons));
        }
        // A killed run wrote a part of a line.
        write(&path(state, Some("schools")), "{\"number\":4,").unwrap();
        let past = past_generations(state, Some("schools")).unwrap();
        let seen: Vec<_> = past
            .iter()
            .map(|past| (past.number, past.persons))
            .collect();
        assert_eq!(seen, [(2, 6), (3, 7)]);
        assert!(past_generations(state, None).unwrap().is_empty());
    }
}
