//! Builds the batches of one table from records.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

use super::builder::Builder;
use super::field::FieldBuilder;
use super::irregular::Irregular;
use super::mask::{ColumnMask, RowMask};
use super::numbers::{Flags, Numbers};
use super::origin::{Origin, Origins};
use super::record_block::RecordBlock;
use super::redacted::redacted;
use super::schema::{ColumnId, TAIL, TableId};
use super::text::Text;
use crate::finding::Occurrences;
use crate::layout::{Column, Table};
use crate::value;

/// The rows of one table since its last batch.
pub(crate) struct TableBuilder {
    id: TableId,
    columns: Vec<ColumnId>,
    /// Built with the table's first batch, because most tables of most scans have no rows.
    schema: Option<SchemaRef>,
    /// The columns that are read.
    read: Vec<ReadColumn>,
    /// Built with the table's first record, for the same reason.
    fields: Vec<FieldBuilder>,
    /// The records that are not converted yet; built with the table's first record.
    block: Option<RecordBlock>,
    irregular: Option<Irregular>,
    /// Whether `irregular` may show the bytes after the known layout.
    shows_tail: bool,
    protected: Flags,
    line: Numbers<i64>,
    /// The values of `record_type` or `reason`.
    label: Text,
    raw: Text,
    /// The person numbers of `out_of_scope`.
    number: Text,
    day: Numbers<i32>,
    /// The extracts of the rows, in a scan of a state.
    origins: Origins,
    rows: usize,
    bytes: usize,
}

/// A column that is read, and what a policy hides of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadColumn {
    /// The column.
    pub(crate) id: ColumnId,
    /// The conditions under which the column is null.
    pub(crate) mask: ColumnMask,
    /// Whether `irregular` may show the column's raw text.
    pub(crate) shows_irregular: bool,
    /// Whether person numbers are removed from the column's text and raw text.
    pub(crate) redacts: bool,
}

impl ReadColumn {
    /// Describes a column of which nothing is hidden.
    pub(crate) fn unmasked(id: ColumnId) -> Self {
        Self {
            id,
            mask: ColumnMask::default(),
            shows_irregular: true,
            redacts: false,
        }
    }
}

/// A person who has left the scope: a row of `out_of_scope`.
pub(crate) struct LeaverRow {
    /// The person number's ten digits.
    pub(crate) digits: [u8; 10],
    /// The name of the reason, for example `moved`.
    pub(crate) reason: &'static str,
    /// The extract's production date as a day number, if it is known.
    pub(crate) day: Option<i32>,
}

impl TableBuilder {
    /// Creates a builder for these columns of a table, with nothing hidden.
    pub(crate) fn new(id: TableId, columns: Vec<ColumnId>) -> Self {
        let read = id.columns().into_iter().map(ReadColumn::unmasked);
        Self::of(id, columns, read.collect())
    }

    /// Creates a builder for these columns of a table under a policy. `visible` has all columns that the policy lets
    /// through; `shows_tail` tells whether `irregular` may show the bytes after the known layout.
    pub(crate) fn masked(
        id: TableId,
        columns: Vec<ColumnId>,
        visible: Vec<ReadColumn>,
        shows_tail: bool,
    ) -> Self {
        let mut builder = Self::of(id, columns, visible);
        builder.shows_tail = shows_tail;
        builder
    }

    /// Creates a builder for `columns`, which are among those that are `visible`.
    fn of(id: TableId, columns: Vec<ColumnId>, visible: Vec<ReadColumn>) -> Self {
        let has_irregular = columns.contains(&ColumnId::Irregular);
        // `irregular` covers all visible columns, so that a scan of it alone finds every irregular value.
        let mut read = visible;
        if !has_irregular {
            read.retain(|column| columns.contains(&column.id));
        }
        Self {
            id,
            columns,
            schema: None,
            read,
            fields: Vec::new(),
            block: None,
            irregular: has_irregular.then(Irregular::default),
            shows_tail: true,
            protected: Flags::default(),
            line: Numbers::default(),
            label: Text::default(),
            raw: Text::default(),
            number: Text::default(),
            day: Numbers::default(),
            origins: Origins::default(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn id(&self) -> TableId {
        self.id
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Sets the extract of the rows that follow, in a scan of a state.
    pub(crate) fn set_origin(&mut self, origin: Arc<Origin>) {
        self.origins.begin(self.rows, origin);
    }

    /// Returns the record numbers of the rows.
    #[cfg(test)]
    pub(crate) fn lines(&mut self) -> Vec<i64> {
        self.convert();
        self.line.values().to_vec()
    }

    /// Returns the size of the records behind the rows, in bytes: a measure of the memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of irregular values in the converted records, by column.
    pub(crate) fn irregular_values(
        &self,
    ) -> impl Iterator<Item = (&'static str, Occurrences)> + '_ {
        self.fields
            .iter()
            .filter(|field| field.irregular.count > 0)
            .map(|field| (field.column.name, field.irregular))
    }

    /// Returns the irregular values like [`irregular_values`](Self::irregular_values), and counts from zero again.
    pub(crate) fn take_irregular(&mut self) -> Vec<(&'static str, Occurrences)> {
        let taken = self.irregular_values().collect();
        for field in &mut self.fields {
            field.irregular = Occurrences::default();
        }
        taken
    }

    /// Appends a record of the table's own type.
    #[inline]
    pub(crate) fn push_record(&mut self, table: &'static Table, record: &[u8], line: u64) {
        let block = match &mut self.block {
            Some(block) => block,
            None => build(table, &mut self.block, &mut self.fields, &self.read),
        };
        block.push(record, line);
        if record.len() > table.record_length() {
            self.push_tail(table, record);
        }
        self.end_record(record);
    }

    /// Appends a record of the table's own type, with the masked columns as null.
    pub(crate) fn push_masked(
        &mut self,
        table: &'static Table,
        record: &[u8],
        line: u64,
        mask: RowMask,
    ) {
        let block = match &mut self.block {
            Some(block) => block,
            None => build(table, &mut self.block, &mut self.fields, &self.read),
        };
        block.push_masked(table, record, line, mask);
        if record.len() > table.record_length() && self.shows_tail && mask.is_empty() {
            self.push_tail(table, record);
        }
        self.end_record(record);
    }

    /// Keeps the bytes of the last record after the known layout.
    #[cold]
    fn push_tail(&mut self, table: &Table, record: &[u8]) {
        if let (Some(block), Some(tail)) = (&mut self.block, record.get(table.record_length()..))
            && self.irregular.is_some()
            && !value::is_spaces(tail)
        {
            block.push_tail(tail);
        }
    }

    #[inline]
    fn end_record(&mut self, record: &[u8]) {
        self.rows += 1;
        self.bytes += record.len();
        if self.block.as_ref().is_some_and(RecordBlock::is_full) {
            self.convert();
        }
    }

    /// Converts the records that have not been converted yet.
    pub(crate) fn convert(&mut self) {
        let Some(block) = &mut self.block else {
            return;
        };
        if block.rows() == 0 {
            return;
        }
        // The rows and columns of irregular values. A tail comes after the columns of its row.
        let mut irregular: Vec<(usize, usize)> = Vec::new();
        for (index, field) in self.fields.iter_mut().enumerate() {
            field.convert(block, |row| irregular.push((row, index)));
        }
        if let Some(column) = &mut self.irregular {
            push_irregular(column, block, &self.fields, irregular);
        }
        for mask in block.masks() {
            self.protected.push(mask.is_protected);
        }
        self.line.push_values(block.lines());
        block.clear();
    }

    /// Appends a person who has left the scope.
    pub(crate) fn push_leaver(&mut self, leaver: &LeaverRow) {
        self.number.push(&leaver.digits);
        self.label.push(leaver.reason.as_bytes());
        self.day.push(leaver.day);
        self.rows += 1;
    }

    /// Appends a line unchanged, with its unknown type or the reason for its rejection.
    pub(crate) fn push_raw(&mut self, label: &[u8], record: &[u8], line: u64) {
        self.label.push(label);
        self.raw.push(record);
        self.line.push(Some(line as i64));
        self.rows += 1;
        self.bytes += record.len();
    }

    /// Returns the rows since the last batch as a batch.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.convert();
        let schema = match &self.schema {
            Some(schema) => schema.clone(),
            None => {
                let schema = Arc::new(self.id.schema(&self.columns));
                self.schema.insert(schema).clone()
            }
        };
        let mut line = Builder::Counts(std::mem::take(&mut self.line));
        let mut label = Builder::Text(std::mem::take(&mut self.label));
        let mut raw = Builder::Text(std::mem::take(&mut self.raw));
        let mut protected = Builder::Flags(std::mem::take(&mut self.protected));
        let mut number = Builder::Text(std::mem::take(&mut self.number));
        let mut day = Builder::Dates(std::mem::take(&mut self.day));
        let irregular = self.irregular.as_mut().map(std::mem::take);
        let mut irregular = Builder::Irregular(irregular.unwrap_or_default());
        // Fields that were read only for `irregular` must be emptied too.
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            fields.push((field.column.name, field.values.take()?));
        }
        let origins = self.origins.take();
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| match column {
                ColumnId::Field(column) => fields
                    .iter()
                    .find(|(name, _)| *name == column.name)
                    .map(|(_, array)| array.clone())
                    .ok_or_else(|| ArrowError::SchemaError("a column was not read".to_owned())),
                ColumnId::Protected => protected.take(),
                ColumnId::Irregular => irregular.take(),
                ColumnId::Line => line.take(),
                ColumnId::RecordType | ColumnId::Reason => label.take(),
                ColumnId::Raw => raw.take(),
                ColumnId::Number => number.take(),
                ColumnId::Day => day.take(),
                ColumnId::AsOf => Ok(origins.dates(self.rows)),
                ColumnId::Agreement => Ok(origins.agreements(self.rows)),
            })
            .collect::<Result<_, _>>()?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(schema, arrays, &options)
    }
}

/// Builds the fields of a table, and the block for its records.
#[cold]
fn build<'a>(
    table: &'static Table,
    block: &'a mut Option<RecordBlock>,
    fields: &mut Vec<FieldBuilder>,
    read: &[ReadColumn],
) -> &'a mut RecordBlock {
    let read_as = |field: &Column| {
        let mut read = read.iter();
        read.find(|read| matches!(read.id, ColumnId::Field(c) if c.position == field.position))
    };
    let columns = table.columns.iter();
    *fields = columns
        .filter_map(|column| Some(FieldBuilder::new(table, column, read_as(column)?)))
        .collect();
    block.insert(RecordBlock::new(table))
}

/// Appends the raw texts of irregular values and the tails of a block, row by row.
fn push_irregular(
    column: &mut Irregular,
    block: &RecordBlock,
    fields: &[FieldBuilder],
    mut irregular: Vec<(usize, usize)>,
) {
    irregular.retain(|(_, field)| {
        fields
            .get(*field)
            .is_some_and(FieldBuilder::shows_irregular)
    });
    let tails = block.tails().iter().enumerate();
    irregular.extend(tails.map(|(tail, (row, _))| (*row, fields.len() + tail)));
    irregular.sort_unstable();
    let mut done = 0;
    for of_row in irregular.chunk_by(|(row, _), (next, _)| row == next) {
        let Some((row, _)) = of_row.first() else {
            continue;
        };
        column.push_nulls(row - done);
        for (row, index) in of_row {
            match fields.get(*index) {
                Some(field) => {
                    let raw = block.field(*row, field.column);
                    match field.redacts().then(|| redacted(raw)).flatten() {
                        Some(redacted) => column.add(field.column.name, &redacted),
                        None => column.add(field.column.name, raw),
                    }
                }
                None => {
                    let tail = block.tails().get(index - fields.len());
                    column.add(
                        TAIL,
                        tail.map(|(_, tail)| tail.as_slice()).unwrap_or_default(),
                    );
                }
            }
        }
        column.end_row();
        done = row + 1;
    }
    column.push_nulls(block.rows() - done);
}
