//! One table of a scan: records in, batches out.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::builder::{Builder, Flags, Irregular, Numbers, Text};
use crate::gate::{Leaver, Mask, Masking};
use crate::layout::{Blank, Column, Kind, Table};
use crate::policy::{Rules, ViewTable};
use crate::schema::{ColumnId, TAIL, TableId};
use crate::scratch::Scratch;
use crate::value::{self, Cell};

/// How often something was seen, and where first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sightings {
    pub(crate) count: u64,
    pub(crate) first_line: u64,
}

impl Sightings {
    pub(crate) fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.first_line = line;
        }
        self.count += 1;
    }
}

/// The rows of one table since its last batch.
pub(crate) struct TableBuilder {
    id: TableId,
    columns: Vec<ColumnId>,
    /// Built when the table's first batch is due: most tables of most scans never need one.
    schema: Option<SchemaRef>,
    /// Built when the table's first record comes, for the same reason.
    fields: Vec<FieldBuilder>,
    /// What they are built from; none once they are.
    unbuilt: Option<Unbuilt>,
    scratch: Scratch,
    irregular: Option<Irregular>,
    /// Whether what stands beyond the known layout may be shown.
    shows_tail: bool,
    protected: Flags,
    line: Numbers<i64>,
    /// `record_type` or `reason`.
    label: Text,
    raw: Text,
    /// Of `out_of_scope`.
    number: Text,
    day: Numbers<i32>,
    rows: usize,
    bytes: usize,
}

/// The fields of a table of which no record has come yet.
struct Unbuilt {
    /// The columns that are read.
    read: Vec<ColumnId>,
    /// By which rules, if by any.
    rules: Option<Arc<Rules>>,
}

/// A field that is read, and what has been read of it.
struct FieldBuilder {
    column: &'static Column,
    from: usize,
    to: usize,
    is_pnr: bool,
    /// By what it is masked.
    masking: Masking,
    /// Whether `irregular` may show its raw text.
    is_told: bool,
    values: Builder,
    irregular: Sightings,
}

impl TableBuilder {
    /// A builder of these columns of a table.
    pub(crate) fn new(id: TableId, columns: Vec<ColumnId>) -> Self {
        Self::of(id, columns, id.columns(), None)
    }

    /// A builder of these columns of a table as a policy lets it through.
    pub(crate) fn ruled(table: &ViewTable, columns: Vec<ColumnId>, rules: &Arc<Rules>) -> Self {
        let shown = table.columns.clone();
        let mut builder = Self::of(table.id, columns, shown, Some(Arc::clone(rules)));
        builder.shows_tail = table.has_tails;
        builder
    }

    /// A builder of these columns, of those that are shown.
    fn of(
        id: TableId,
        columns: Vec<ColumnId>,
        shown: Vec<ColumnId>,
        rules: Option<Arc<Rules>>,
    ) -> Self {
        let has_irregular = columns.contains(&ColumnId::Irregular);
        // `irregular` speaks of all columns, so that choosing it alone finds every oddity.
        let read = if has_irregular {
            shown
        } else {
            columns.clone()
        };
        Self {
            id,
            columns,
            schema: None,
            fields: Vec::new(),
            unbuilt: Some(Unbuilt { read, rules }),
            scratch: Scratch::default(),
            irregular: has_irregular.then(Irregular::default),
            shows_tail: true,
            protected: Flags::default(),
            line: Numbers::default(),
            label: Text::default(),
            raw: Text::default(),
            number: Text::default(),
            day: Numbers::default(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Builds the fields.
    #[cold]
    fn build(&mut self, table: &'static Table) {
        let Some(Unbuilt { read, rules }) = self.unbuilt.take() else {
            return;
        };
        let is_read = |field: &&'static Column| {
            let mut read = read.iter();
            read.any(|column| matches!(column, ColumnId::Field(c) if c.position == field.position))
        };
        let fields = table.columns.iter().filter(is_read);
        self.fields = fields
            .map(|column| {
                let mut field = FieldBuilder::new(column);
                if let Some(rules) = &rules {
                    field.masking = Masking::of(table, column, rules);
                    field.is_told = rules.tells_irregular(column);
                }
                field
            })
            .collect();
    }

    pub(crate) fn id(&self) -> TableId {
        self.id
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the records that the rows came from: a measure of the memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Irregular values seen so far, by column.
    pub(crate) fn irregular_values(&self) -> impl Iterator<Item = (&'static str, Sightings)> + '_ {
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
        let ascii = self.scratch.load(record);
        for field in &mut self.fields {
            if field.push(&self.scratch, record.len(), ascii) {
                field.irregular.add(line);
                if let Some(irregular) = &mut self.irregular {
                    let column = field.column;
                    let raw = self.scratch.field(column.start(), column.end());
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

    /// Appends a record of the table's own type through a mask.
    pub(crate) fn push_masked(
        &mut self,
        table: &'static Table,
        record: &[u8],
        line: u64,
        mask: Mask,
    ) {
        if self.unbuilt.is_some() {
            self.build(table);
        }
        let ascii = self.scratch.load(record);
        for field in &mut self.fields {
            if mask.hides(field.masking) {
                field.push_null();
            } else if field.push(&self.scratch, record.len(), ascii) {
                field.irregular.add(line);
                if let Some(irregular) = self.irregular.as_mut().filter(|_| field.is_told) {
                    let column = field.column;
                    let raw = self.scratch.field(column.start(), column.end());
                    irregular.add(column.name, raw);
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

    /// Appends a person who has left.
    pub(crate) fn push_leaver(&mut self, leaver: &Leaver) {
        self.number.push(&leaver.digits, true);
        self.label.push(leaver.reason.as_bytes(), true);
        self.day.push(leaver.day.map_or(Cell::Null, Cell::Value));
        self.rows += 1;
    }

    /// Appends a line as it stands, with its unknown type or the reason for its rejection.
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

    /// The rows since the last batch as a batch.
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
        // Fields that were read only for `irregular` are emptied too.
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            fields.push((field.column.name, field.values.take()?));
        }
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
            })
            .collect::<Result<_, _>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(schema, arrays, &options)
    }
}

impl FieldBuilder {
    fn new(column: &'static Column) -> Self {
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
            masking: Masking::default(),
            is_told: true,
            values,
            irregular: Sightings::default(),
        }
    }

    /// Appends a field of a record of that length; true if its raw text must be kept beside the value.
    #[inline]
    fn push(&mut self, record: &Scratch, len: usize, ascii: bool) -> bool {
        if self.from >= len {
            return self.push_absent();
        }
        let blank = self.column.blank;
        let raw = record.field(self.from, self.to);
        match &mut self.values {
            Builder::Text(text) if !self.is_pnr || !value::is_nobody(raw) => {
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

    /// Appends nothing, whatever the record says.
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

    /// Appends a field that was cut off with the trailing spaces of its record: it is blank.
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

/// A value that is not there.
fn absent<T>(is_unusual: bool) -> Cell<T> {
    match is_unusual {
        true => Cell::Irregular(None),
        false => Cell::Null,
    }
}

/// Whether a field of a person number is empty in the way that is not usual for it.
fn blank_differs(raw: &[u8], blank: Blank) -> bool {
    value::is_spaces(raw) != (blank == Blank::Spaces)
}
