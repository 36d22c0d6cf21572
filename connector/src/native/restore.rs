//! Restores records from the rows of their tables: the inverse of a scan.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, BooleanArray, Date32Array, Int64Array, MapArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};

use crate::columns::schema::{IRREGULAR, LINE, TAIL, TableId};
use crate::layout::{Blank, Column, Kind, Table};
use crate::value::{DAY_MICROS, civil};

/// The reason why rows cannot be restored. It never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A column is missing or has another type.
    #[error(
        "the table {table} has no column {column} of the type that a scan gives it: write needs all columns, \
         as `cprflow scan --all` writes them"
    )]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A value does not fit its field.
    #[error(
        "the table {table}, record {line}: the value of {column} does not fit its field of {length} bytes in \
         ISO-8859-1. Shorten it, or replace characters that ISO-8859-1 lacks"
    )]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's record number.
        line: i64,
        /// The field's length in bytes.
        length: usize,
    },
}

/// Restores the records of one batch.
pub struct Restorer<'a> {
    line: &'a Int64Array,
    content: Content<'a>,
}

enum Content<'a> {
    Fields {
        table: &'static Table,
        columns: Vec<(&'static Column, Values<'a>)>,
        irregular: &'a MapArray,
    },
    Raw {
        table: &'static str,
        raw: &'a StringArray,
    },
}

enum Values<'a> {
    Text(&'a StringArray),
    Dates(&'a Date32Array),
    Timestamps(&'a TimestampMicrosecondArray),
    Flags(&'a BooleanArray),
    Counts(&'a Int64Array),
}

impl<'a> Restorer<'a> {
    /// Creates a restorer for a batch with all columns of its table. Fails if a column is missing or has the wrong
    /// type.
    pub fn new(table: TableId, batch: &'a RecordBatch) -> Result<Self, RestoreError> {
        let name = table.name();
        let find = |column: &'static str| {
            let missing = RestoreError::Column {
                table: name,
                column,
            };
            batch.column_by_name(column).ok_or(missing)
        };
        let missing = |column: &'static str| RestoreError::Column {
            table: name,
            column,
        };
        let line = find(LINE)?.as_primitive_opt::<Int64Type>();
        let content = match table {
            TableId::Layout(layout) => {
                let mut columns = Vec::with_capacity(layout.columns.len());
                for column in layout.columns {
                    let values = Values::of(column, find(column.name)?);
                    columns.push((column, values.ok_or_else(|| missing(column.name))?));
                }
                let irregular = find(IRREGULAR)?.as_map_opt().filter(|map| {
                    map.keys().data_type() == &DataType::Utf8
                        && map.values().data_type() == &DataType::Utf8
                });
                Content::Fields {
                    table: layout,
                    columns,
                    irregular: irregular.ok_or_else(|| missing(IRREGULAR))?,
                }
            }
            // `out_of_scope` and `into_scope` have no records and no column `raw`, so they are refused here.
            TableId::Unknown | TableId::Rejected | TableId::OutOfScope | TableId::IntoScope => {
                Content::Raw {
                    table: name,
                    raw: find("raw")?.as_string_opt().ok_or_else(|| missing("raw"))?,
                }
            }
        };
        Ok(Self {
            line: line.ok_or_else(|| missing(LINE))?,
            content,
        })
    }

    /// Returns the record number of a row.
    pub fn line(&self, row: usize) -> i64 {
        self.line.value(row)
    }

    /// Writes a row's record in ISO-8859-1 at its full length into an empty buffer.
    pub fn record(&self, row: usize, record: &mut Vec<u8>) -> Result<(), RestoreError> {
        let line = self.line(row);
        match &self.content {
            Content::Raw { table, raw } => {
                let text = raw.value(row);
                let length = text.chars().count();
                record.resize(length, b' ');
                let column = "raw";
                place(record, text).ok_or(RestoreError::Value {
                    table,
                    column,
                    line,
                    length,
                })
            }
            Content::Fields {
                table,
                columns,
                irregular,
            } => {
                record.extend_from_slice(table.record_type.as_bytes());
                record.resize(table.record_length(), b' ');
                for (column, values) in columns {
                    let field = record.get_mut(column.start()..column.end());
                    let placed = field.and_then(|field| values.place(row, column, field));
                    placed.ok_or(RestoreError::Value {
                        table: table.name,
                        column: column.name,
                        line,
                        length: column.length,
                    })?;
                }
                if irregular.is_valid(row) {
                    restore_irregular(table, irregular, row, record, line)?;
                }
                Ok(())
            }
        }
    }
}

/// Puts the raw texts of a row back into their fields.
fn restore_irregular(
    table: &'static Table,
    irregular: &MapArray,
    row: usize,
    record: &mut Vec<u8>,
    line: i64,
) -> Result<(), RestoreError> {
    let entries = irregular.value(row);
    let keys = entries.column(0).as_string::<i32>();
    let texts = entries.column(1).as_string::<i32>();
    for (key, text) in keys.iter().zip(texts) {
        let (key, text) = (key.unwrap_or_default(), text.unwrap_or_default());
        let (column, from, length) = match table.column(key) {
            Some(column) => (column.name, column.start(), column.length),
            None if key == TAIL => (TAIL, table.record_length(), text.chars().count()),
            None => {
                let table = table.name;
                return Err(RestoreError::Column {
                    table,
                    column: IRREGULAR,
                });
            }
        };
        if record.len() < from + length {
            record.resize(from + length, b' ');
        }
        let field = record.get_mut(from..from + length);
        let placed = field.and_then(|field| {
            field.fill(b' ');
            place(field, text)
        });
        let table = table.name;
        placed.ok_or(RestoreError::Value {
            table,
            column,
            line,
            length,
        })?;
    }
    Ok(())
}

impl<'a> Values<'a> {
    fn of(column: &Column, array: &'a dyn Array) -> Option<Self> {
        Some(match column.kind {
            kind if kind.is_text() => Self::Text(array.as_string_opt()?),
            Kind::Date | Kind::Date8 => Self::Dates(array.as_primitive_opt::<Date32Type>()?),
            Kind::Timestamp => {
                let expected = DataType::Timestamp(TimeUnit::Microsecond, None);
                let times = array.as_primitive_opt::<TimestampMicrosecondType>()?;
                Self::Timestamps(Some(times).filter(|_| *array.data_type() == expected)?)
            }
            Kind::Flag => Self::Flags(array.as_boolean_opt()?),
            _ => Self::Counts(array.as_primitive_opt::<Int64Type>()?),
        })
    }

    /// Writes a value into its field. Returns `None` if it does not fit.
    fn place(&self, row: usize, column: &Column, field: &mut [u8]) -> Option<()> {
        let is_null = match self {
            Self::Text(array) => array.is_null(row),
            Self::Dates(array) => array.is_null(row),
            Self::Timestamps(array) => array.is_null(row),
            Self::Flags(array) => array.is_null(row),
            Self::Counts(array) => array.is_null(row),
        };
        if is_null {
            field.fill(match column.blank {
                Blank::Spaces => b' ',
                Blank::Zeros => b'0',
            });
            return Some(());
        }
        match self {
            Self::Text(texts) => place(field, texts.value(row)),
            Self::Dates(dates) => {
                let (year, month, day) = civil(dates.value(row));
                let text = match column.kind {
                    Kind::Date8 => format!("{year:04}{month:02}{day:02}"),
                    _ => format!("{year:04}-{month:02}-{day:02}"),
                };
                place(field, &text)
            }
            Self::Timestamps(times) => {
                let micros = times.value(row);
                let days = i32::try_from(micros.div_euclid(DAY_MICROS)).ok()?;
                let (year, month, day) = civil(days);
                let minutes = micros.rem_euclid(DAY_MICROS) / 60_000_000;
                let (hour, minute) = (minutes / 60, minutes % 60);
                place(
                    field,
                    &format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}"),
                )
            }
            Self::Flags(flags) => place(field, if flags.value(row) { "*" } else { "" }),
            Self::Counts(counts) => {
                let width = column.length;
                place(field, &format!("{:0width$}", counts.value(row)))
            }
        }
    }
}

/// Writes a text in ISO-8859-1 at the start of a blank field. Returns `None` if it does not fit.
fn place(field: &mut [u8], text: &str) -> Option<()> {
    let mut places = field.iter_mut();
    for character in text.chars() {
        *places.next()? = u8::try_from(u32::from(character)).ok()?;
    }
    Some(())
}
