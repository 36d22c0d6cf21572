//! Filters rows that are Arrow batches already, by the same conditions as a scan.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use crate::columns::schema::{ColumnId, TableId};
use crate::error::Error;
use crate::predicate::{Comparable, Predicate, Row, RowCell};

/// A condition on the rows of a table that are Arrow batches, for example of a published dataset.
///
/// It gives the same rows as the condition of a scan that returned the batches.
#[derive(Debug, Clone)]
pub struct BatchFilter {
    predicate: Predicate,
    columns: Vec<ColumnId>,
}

impl BatchFilter {
    /// Parses a condition on a table. `has_column` tells whether the rows have a column; others cannot be compared.
    ///
    /// Fails if there is no such table, or if the condition is not valid.
    pub fn new(
        table: &str,
        condition: &str,
        has_column: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let Some(id) = TableId::by_name(table) else {
            return Err(Error::InvalidRequest(format!(
                "there is no table {table:?}; `cprflow tables` lists them"
            )));
        };
        let mut columns = id.columns();
        columns.push(ColumnId::Protected);
        columns.retain(|column| has_column(column.name()));
        let predicate = Predicate::new(condition, &Comparable::all(&columns)).map_err(|error| {
            Error::InvalidRequest(format!(
                "the condition on rows of the table {table:?} cannot be read: {error}"
            ))
        })?;
        let used = predicate.columns();
        columns.retain(|column| used.contains(column));
        Ok(Self { predicate, columns })
    }

    /// Returns the names of the columns that the condition compares.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(ColumnId::name)
    }

    /// Returns which rows meet the condition. A column that the batch lacks is null.
    ///
    /// Fails with the name of a column that has another type than in the table.
    pub fn matches(&self, batch: &RecordBatch) -> Result<BooleanArray, &'static str> {
        let mut cells = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            if let Some(array) = batch.column_by_name(column.name()) {
                cells.push((*column, Cells::new(*column, array).ok_or(column.name())?));
            }
        }
        let row = |row| BatchRow { cells: &cells, row };
        let rows = (0..batch.num_rows()).map(|index| self.predicate.is_met(&row(index)));
        Ok(rows.map(Some).collect())
    }
}

/// The values of a column.
enum Cells<'a> {
    Text(&'a arrow_array::StringArray),
    Days(&'a arrow_array::Date32Array),
    Micros(&'a arrow_array::TimestampMicrosecondArray),
    Number(&'a arrow_array::Int64Array),
    Flag(&'a BooleanArray),
}

impl<'a> Cells<'a> {
    /// Returns the values of an array, or `None` if it has another type than the column.
    fn new(column: ColumnId, array: &'a ArrayRef) -> Option<Self> {
        match column.data_type() {
            DataType::Utf8 => array.as_string_opt().map(Self::Text),
            DataType::Date32 => array.as_primitive_opt::<Date32Type>().map(Self::Days),
            DataType::Timestamp(TimeUnit::Microsecond, None) => array
                .as_primitive_opt::<TimestampMicrosecondType>()
                .map(Self::Micros),
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Self::Number),
            DataType::Boolean => array.as_boolean_opt().map(Self::Flag),
            _ => None,
        }
    }

    fn cell(&self, row: usize) -> RowCell<'a> {
        let array: &dyn Array = match *self {
            Self::Text(array) => array,
            Self::Days(array) => array,
            Self::Micros(array) => array,
            Self::Number(array) => array,
            Self::Flag(array) => array,
        };
        if array.is_null(row) {
            return RowCell::Null;
        }
        match self {
            Self::Text(array) => RowCell::Unicode(array.value(row)),
            Self::Days(array) => RowCell::Number(array.value(row).into()),
            Self::Micros(array) => RowCell::Number(array.value(row)),
            Self::Number(array) => RowCell::Number(array.value(row)),
            Self::Flag(array) => RowCell::Flag(array.value(row)),
        }
    }
}

/// A row of a batch.
struct BatchRow<'a> {
    cells: &'a [(ColumnId, Cells<'a>)],
    row: usize,
}

impl Row for BatchRow<'_> {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        let found = self.cells.iter().find(|(id, _)| *id == column);
        found.map_or(RowCell::Null, |(_, cells)| cells.cell(self.row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Settings, status};
    use crate::{Scan, ScanOptions, TableRequest};

    /// Returns the rows of a table of an extract.
    fn rows(extract: &[u8], table: &str, predicate: Option<&str>) -> Vec<RecordBatch> {
        let request = TableRequest {
            name: table.to_owned(),
            predicate: predicate.map(str::to_owned),
            ..TableRequest::default()
        };
        let options = ScanOptions {
            tables: Some(vec![request]),
            ..ScanOptions::default()
        };
        let mut scan = Scan::open(&options, None).unwrap();
        scan.push(extract.to_vec()).unwrap();
        scan.finish().unwrap();
        std::iter::from_fn(|| scan.next().unwrap())
            .map(|rows| rows.batch)
            .collect()
    }

    #[test]
    fn gives_the_same_rows_as_a_scan() {
        let mut extract = Vec::new();
        status(&Settings::busy(600, 5), &mut extract).unwrap();
        for (table, condition) in [
            (
                "person",
                "status in ('01', '03') and birth_date < '1990-01-01'",
            ),
            ("person", "not (sex = 'K') or current_pnr is not null"),
            ("person", "birth_date between '1960-01-01' and '1980-12-31'"),
            (
                "person",
                "status_start >= '2000-01-01 12:00' and line > 100",
            ),
            ("person", "pnr_start_date_uncertain = true"),
            (
                "address",
                "municipality_code != '0851' and house_number > '020'",
            ),
            (
                "plaintext_address",
                "town_name >= 'M' or addressing_name > 'Ø'",
            ),
        ] {
            let filter = BatchFilter::new(table, condition, |_| true).unwrap();
            let mut seen = 0;
            let mut all = 0;
            let lines = |batch: &RecordBatch| {
                let lines = batch.column_by_name("line").unwrap();
                lines.as_primitive::<Int64Type>().values().to_vec()
            };
            let expected = rows(&extract, table, Some(condition));
            let expected: Vec<i64> = expected.iter().flat_map(lines).collect();
            for batch in rows(&extract, table, None) {
                let matches = filter.matches(&batch).unwrap();
                for (row, line) in lines(&batch).into_iter().enumerate() {
                    all += 1;
                    if matches.value(row) {
                        assert_eq!(expected[seen], line, "{table}: {condition}");
                        seen += 1;
                    }
                }
            }
            assert_eq!(seen, expected.len(), "{table}: {condition}");
            assert!(
                0 < seen && seen < all,
                "{table}: {condition}: {seen} of {all}"
            );
        }
    }

    #[test]
    fn a_missing_column_is_null_or_refused() {
        let mut extract = Vec::new();
        status(&Settings::busy(20, 5), &mut extract).unwrap();
        let batch = &rows(&extract, "person", None)[0];
        let narrow = batch.project(&[0, 1]).unwrap();
        let count = |condition| {
            let filter = BatchFilter::new("person", condition, |_| true).unwrap();
            filter.matches(&narrow).unwrap().true_count()
        };
        assert_eq!(count("birth_date is null"), narrow.num_rows());
        assert_eq!(count("birth_date > '1900-01-01'"), 0);
        let has_column = |name: &str| name == "pnr";
        let error = BatchFilter::new("person", "sex = 'K'", has_column).unwrap_err();
        assert!(error.to_string().contains("no column \"sex\""), "{error}");
        assert!(BatchFilter::new("nothing", "sex = 'K'", |_| true).is_err());
    }
}
