//! The options and the results of a scan.

use std::fmt;

use arrow_array::RecordBatch;

use crate::columns::schema::TableId;
use crate::finding::Finding;
use crate::input::Shape;

/// The default number of rows in a batch: 8,192. The cost of a batch is then small beside that of its rows, and its
/// columns fit the processor's cache.
pub const DEFAULT_BATCH_ROWS: usize = 8 * 1024;

/// A table to scan.
#[derive(Clone, Default)]
pub struct TableRequest {
    /// The table's name.
    pub name: String,
    /// The requested columns, in this order; `None` for all.
    pub columns: Option<Vec<String>>,
    /// The condition on rows, for example `status in ('01', '03')`; `None` for all rows. Under a policy it applies to
    /// what the policy lets through.
    pub predicate: Option<String>,
}

/// The options of a scan.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// The requested tables; `None` for all.
    pub tables: Option<Vec<TableRequest>>,
    /// The largest number of rows in a batch; 0 for [`DEFAULT_BATCH_ROWS`].
    pub batch_rows: usize,
    /// Whether to keep the person numbers read, so that persons without 001 can be found.
    pub check_persons: bool,
    /// The production date of the preceding extract, `YYYY-MM-DD`.
    pub expected_previous: Option<String>,
}

/// A batch of rows of one table.
#[derive(Clone)]
pub struct TableBatch {
    /// The table.
    pub table: TableId,
    /// The rows.
    pub batch: RecordBatch,
    /// The record numbers of the rows. Tests need them for policies that leave out the column `line`.
    #[cfg(test)]
    pub(crate) lines: Vec<i64>,
}

/// The start record (000).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The task number (OPGAVENR), unchanged.
    pub task_number: String,
    /// The production date (PRODDTO) as `YYYY-MM-DD`, if it is a date.
    pub production_date: Option<String>,
    /// The previous production date (PRODDTOFORRIG) as `YYYY-MM-DD`, if it is a date.
    pub previous_production_date: Option<String>,
}

/// What a scan has read so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The number of bytes read.
    pub bytes: u64,
    /// The number of records read; blank lines are not counted.
    pub records: u64,
    /// The physical shape of the file.
    pub shape: Shape,
    /// The start record, if there was one.
    pub start: Option<Start>,
    /// The number of records between start and end that the end record declares.
    pub declared_records: Option<u64>,
    /// The number of records by table, without tables that have none.
    pub tables: Vec<(TableId, u64)>,
    /// The findings, most severe first.
    pub findings: Vec<Finding>,
}

impl fmt::Debug for TableRequest {
    /// Shows whether there is a predicate, but not its text, which can hold a person number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRequest")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .field("has_predicate", &self.predicate.is_some())
            .finish()
    }
}

impl fmt::Debug for TableBatch {
    /// Shows the number of rows, but not their content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableBatch")
            .field("table", &self.table.name())
            .field("rows", &self.batch.num_rows())
            .finish()
    }
}
