//! Builds the batches of one table from records.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::builder::{Builder, Flags, Irregular, Numbers, Text};
use super::mask::{ColumnMask, RowMask};
use super::origin::{Origin, Origins};
use super::record_buffer::RecordBuffer;
use super::redacted::{can_hold_number, redacted, redacted_text};
use super::schema::{ColumnId, TAIL, TableId};
use crate::finding::Occurrences;
use crate::layout::{Blank, Column, Kind, Table};
use crate::value::{self, Cell};

/// The rows of one table since its last batch.
pub(crate) struct TableBuilder {
    id: TableId,
    columns: Vec<ColumnId>,
    /// Built with the table's first batch, because most tables of most scans have no rows.
    schema: Option<SchemaRef>,
    /// Built with the table's first record, for the same reason.
    fields: Vec<FieldBuilder>,
    /// The input for `fields`; `None` once they are built.
    unbuilt: Option<Unbuilt>,
    buffer: RecordBuffer,
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

/// The columns of a table that has had no record yet.
struct Unbuilt {
    read: Vec<ReadColumn>,
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

/// A field that is read, with its values.
struct FieldBuilder {
    column: &'static Column,
    from: usize,
    to: usize,
    is_pnr: bool,
    /// The conditions under which the field is masked.
    mask: ColumnMask,
    /// Whether `irregular` may show the field's raw text.
    shows_irregular: bool,
    /// Whether person numbers are removed from the raw text in `irregular`.
    redacts: bool,
    /// Whether person numbers are removed from the text.
    redacts_text: bool,
    values: Builder,
    irregular: Occurrences,
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
            fields: Vec::new(),
            unbuilt: Some(Unbuilt { read }),
            buffer: RecordBuffer::default(),
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

    /// Builds the fields.
    #[cold]
    fn build(&mut self, table: &'static Table) {
        let Some(Unbuilt { read }) = self.unbuilt.take() else {
            return;
        };
        let read_as = |field: &Column| {
            let mut read = read.iter();
            read.find(|read| matches!(read.id, ColumnId::Field(c) if c.position == field.position))
        };
        let fields = table.columns.iter();
        self.fields = fields
            .filter_map(|column| Some(FieldBuilder::new(table, column, read_as(column)?)))
            .collect();
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
    pub(crate) fn lines(&self) -> Vec<i64> {
        self.line.values().to_vec()
    }

    /// Returns the size of the records behind the rows, in bytes: a measure of the memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of irregular values so far, by column.
    pub(crate) fn irregular_values(
        &self,
    ) -> impl Iterator<Item = (&'static str, Occurrences)> + '_ {
        self.fields
            .iter()
            .filter(|field| field.irregular.count > 0)
            .map(|field| (field.column.name, field.irregular))
    }

    /// Appends a record of the table's own type.
    #[inline]
    pub(crate) fn push_record(&mut self, table: &'static Table, record: &[u8], line: u64) {
        if self.unbuilt.is_some() {
            self.build(table);
        }
        let ascii = self.buffer.load(record);
        for field in &mut self.fields {
            if field.push(&self.buffer, record.len(), ascii) {
                field.irregular.add(line);
                if let Some(irregular) = &mut self.irregular {
                    let column = field.column;
                    let raw = self.buffer.field(column.start(), column.end());
                    irregular.add(column.name, raw);
                }
            }
        }
        if let Some(irregular) = &mut self.irregular {
            if let Some(tail) = record.get(table.record_length()..)
                && !value::is_spaces(tail)
            {
                irregular.add(TAIL, tail);
            }
            irregular.end_row();
        }
        self.end_row(record, line);
    }

    /// Appends a record of the table's own type, with the masked columns as null.
    pub(crate) fn push_masked(
        &mut self,
        table: &'static Table,
        record: &[u8],
        line: u64,
        mask: RowMask,
    ) {
        if self.unbuilt.is_some() {
            self.build(table);
        }
        let ascii = self.buffer.load(record);
        if mask.is_coarse {
            self.buffer.remove_times(table.timestamps());
        }
        for field in &mut self.fields {
            if mask.hides(field.mask) {
                field.push_null();
            } else if field.redacts_text && field.push_redacted(&self.buffer) {
                // A text is never irregular.
            } else if field.push(&self.buffer, record.len(), ascii) {
                field.irregular.add(line);
                if let Some(irregular) = self.irregular.as_mut().filter(|_| field.shows_irregular) {
                    let column = field.column;
                    let raw = self.buffer.field(column.start(), column.end());
                    match field.redacts.then(|| redacted(raw)).flatten() {
                        Some(redacted) => irregular.add(column.name, &redacted),
                        None => irregular.add(column.name, raw),
                    }
                }
            }
        }
        if let Some(irregular) = &mut self.irregular {
            if self.shows_tail
                && mask.is_empty()
                && let Some(tail) = record.get(table.record_length()..)
                && !value::is_spaces(tail)
            {
                irregular.add(TAIL, tail);
            }
            irregular.end_row();
        }
        self.protected.push(Cell::Value(mask.is_protected));
        self.end_row(record, line);
    }

    /// Appends a person who has left the scope.
    pub(crate) fn push_leaver(&mut self, leaver: &LeaverRow) {
        self.number.push(&leaver.digits, true);
        self.label.push(leaver.reason.as_bytes(), true);
        self.day.push(leaver.day.map_or(Cell::Null, Cell::Value));
        self.rows += 1;
    }

    /// Appends a line unchanged, with its unknown type or the reason for its rejection.
    pub(crate) fn push_raw(&mut self, label: &[u8], record: &[u8], line: u64) {
        self.label.push(label, true);
        self.raw.push(record, record.is_ascii());
        self.end_row(record, line);
    }

    fn end_row(&mut self, record: &[u8], line: u64) {
        self.line.push(Cell::Value(line as i64));
        self.rows += 1;
        self.bytes += record.len();
    }

    /// Returns the rows since the last batch as a batch.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
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
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(schema, arrays, &options)
    }
}

impl FieldBuilder {
    fn new(table: &Table, column: &'static Column, read: &ReadColumn) -> Self {
        let values = match column.kind {
            Kind::Code | Kind::Mark | Kind::Text | Kind::Uuid | Kind::Pnr => {
                Builder::Text(Text::default())
            }
            Kind::Date | Kind::Date8 => Builder::Dates(Numbers::default()),
            Kind::Timestamp => Builder::Timestamps(Numbers::default()),
            Kind::Count => Builder::Counts(Numbers::default()),
            Kind::Flag => Builder::Flags(Flags::default()),
        };
        Self {
            column,
            from: column.start(),
            to: column.end(),
            is_pnr: column.kind == Kind::Pnr,
            mask: read.mask,
            shows_irregular: read.shows_irregular,
            redacts: read.redacts,
            redacts_text: read.redacts && can_hold_number(table, column),
            values,
            irregular: Occurrences::default(),
        }
    }

    /// Appends a field of a record of `len` bytes. Returns true if its raw text must be kept too.
    #[inline]
    fn push(&mut self, record: &RecordBuffer, len: usize, ascii: bool) -> bool {
        if self.from >= len {
            return self.push_absent();
        }
        let blank = self.column.blank;
        let raw = record.field(self.from, self.to);
        match &mut self.values {
            Builder::Text(text) if !self.is_pnr || !value::is_blank_pnr(raw) => {
                let len = value::trimmed_len(raw);
                let ascii = ascii || raw.get(..len).is_none_or(<[u8]>::is_ascii);
                text.push_field(record.onward(self.from), len, ascii);
                false
            }
            Builder::Text(text) => {
                text.push_null();
                blank_differs(raw, blank)
            }
            Builder::Dates(dates) if self.column.kind == Kind::Date8 => {
                dates.push(value::date8(raw, blank))
            }
            Builder::Dates(dates) => dates.push(value::date(raw, blank)),
            Builder::Timestamps(timestamps) => timestamps.push(value::timestamp(raw, blank)),
            Builder::Counts(counts) => counts.push(value::count(raw, blank)),
            Builder::Flags(flags) => flags.push(value::flag(raw)),
            Builder::Irregular(_) => false,
        }
    }

    /// Appends the text without its person numbers. Returns false and appends nothing if it has none.
    fn push_redacted(&mut self, record: &RecordBuffer) -> bool {
        let redacted = redacted_text(self.column, record.field(self.from, self.to));
        match (&mut self.values, redacted) {
            (Builder::Text(text), Some(redacted)) => {
                text.push(&redacted, redacted.is_ascii());
                true
            }
            _ => false,
        }
    }

    /// Appends a null whatever the record holds.
    fn push_null(&mut self) {
        match &mut self.values {
            Builder::Text(text) => text.push_null(),
            Builder::Dates(dates) => drop(dates.push(Cell::Null)),
            Builder::Timestamps(timestamps) => drop(timestamps.push(Cell::Null)),
            Builder::Counts(counts) => drop(counts.push(Cell::Null)),
            Builder::Flags(flags) => drop(flags.push(Cell::Null)),
            Builder::Irregular(_) => {}
        }
    }

    /// Appends a field that was cut off with the record's trailing spaces, so it is blank.
    #[inline]
    fn push_absent(&mut self) -> bool {
        let is_unusual = self.column.blank != Blank::Spaces;
        match &mut self.values {
            Builder::Text(text) => {
                text.push_null();
                is_unusual
            }
            Builder::Flags(flags) => flags.push(Cell::Value(false)),
            Builder::Dates(dates) => dates.push(absent(is_unusual)),
            Builder::Timestamps(timestamps) => timestamps.push(absent(is_unusual)),
            Builder::Counts(counts) => counts.push(absent(is_unusual)),
            Builder::Irregular(_) => false,
        }
    }
}

/// Returns the cell of a field that is not in the record.
fn absent<T>(is_unusual: bool) -> Cell<T> {
    match is_unusual {
        true => Cell::Irregular(None),
        false => Cell::Null,
    }
}

/// Returns whether a blank field for a person number has the filling that is not usual for it.
fn blank_differs(raw: &[u8], blank: Blank) -> bool {
    value::is_spaces(raw) != (blank == Blank::Spaces)
}
