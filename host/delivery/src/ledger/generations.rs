//! The newest generation of the current tables of each dataset.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::record::time;
use super::{AdoptedDataset, Ledger, LedgerError};

/// The newest generation of the current tables of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// The number, which is the name of the directory in `generations`.
    pub number: u64,
    /// Whether `current` leads to it; otherwise `current` was withdrawn.
    pub is_current: bool,
    /// The number of the generation whose persons were compared with these; `None` if there was none.
    #[serde(skip)]
    pub compared_with: Option<u64>,
    /// The day for which the persons were judged, `YYYY-MM-DD`.
    pub day: String,
    /// A digest of everything that the tables depend on, except the day.
    #[serde(skip)]
    pub inputs: String,
    /// The digest of the tenant's policy; `None` for the unrestricted dataset.
    pub policy: Option<String>,
    /// The number of persons in scope.
    pub persons: u64,
    /// The number of those who were not in scope before.
    pub entered: u64,
    /// The number of persons who were in scope before and no longer are.
    pub left: u64,
    /// The number of rows in all tables.
    pub rows: u64,
    /// The time at which it was made.
    pub made: Timestamp,
    /// Why no newer generation could be made.
    pub error: Option<String>,
    /// The day of the newest generation that could not be compared with the one before, because the list of the persons
    /// who were in scope was lost; `None` if a person has seen that, or if it never happened.
    pub compare_since: Option<String>,
}

impl Ledger {
    /// Returns the newest generation of a dataset.
    pub(crate) fn generation(
        &self,
        dataset: AdoptedDataset<'_>,
    ) -> Result<Option<Generation>, LedgerError> {
        let found = self.connection.query_row(
            "SELECT number, is_current, compared_with, day, inputs, policy, persons, entered, departed, rows, made, error,
                 compare_since
             FROM generation WHERE dataset = ?1",
            [dataset.name()],
            read_generation,
        );
        self.checked(found.optional())
    }

    /// Returns the newest day of a generation of any dataset, `YYYY-MM-DD`.
    pub(crate) fn newest_generation_day(&self) -> Result<Option<String>, LedgerError> {
        let sql = "SELECT max(day) FROM generation";
        self.checked(self.connection.query_row(sql, [], |row| row.get(0)))
    }

    /// Records the newest generation of a dataset.
    pub(crate) fn set_generation(
        &self,
        dataset: AdoptedDataset<'_>,
        generation: &Generation,
    ) -> Result<(), LedgerError> {
        let number = |number: u64| number.cast_signed();
        self.set_current_failure(dataset, generation.error.as_deref())?;
        self.change(
            "INSERT OR REPLACE INTO generation (dataset, number, is_current, compared_with, day, inputs, policy, persons,
                 entered, departed, rows, made, error, compare_since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                dataset.name(),
                number(generation.number),
                generation.is_current,
                generation.compared_with.map(number),
                generation.day,
                generation.inputs,
                generation.policy,
                number(generation.persons),
                number(generation.entered),
                number(generation.left),
                number(generation.rows),
                generation.made.to_string(),
                generation.error,
                generation.compare_since,
            ],
        )
    }

    /// Records why no newer generation of a dataset could be made; `None` if the newest one is up to date.
    pub(crate) fn set_generation_error(
        &self,
        dataset: AdoptedDataset<'_>,
        error: Option<&str>,
    ) -> Result<(), LedgerError> {
        self.set_current_failure(dataset, error)?;
        self.change(
            "UPDATE generation SET error = ?2 WHERE dataset = ?1 AND error IS NOT ?2",
            params![dataset.name(), error],
        )
    }
}

impl Ledger {
    /// Records that a person knows that a generation could not be compared with the one before.
    pub(crate) fn accept_comparison(&self, dataset: AdoptedDataset<'_>) -> Result<(), LedgerError> {
        self.change(
            "UPDATE generation SET compare_since = NULL WHERE dataset = ?1",
            [dataset.name()],
        )
    }
}

fn read_generation(row: &Row<'_>) -> rusqlite::Result<Generation> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Generation {
        number: count(0)?,
        is_current: row.get(1)?,
        compared_with: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
        day: row.get(3)?,
        inputs: row.get(4)?,
        policy: row.get(5)?,
        persons: count(6)?,
        entered: count(7)?,
        left: count(8)?,
        rows: count(9)?,
        made: time(row, 10)?,
        error: row.get(11)?,
        compare_since: row.get(12)?,
    })
}
