//! The Arrow schema of every table.
//!
//! A table of a record type has a column per field, then `irregular` and `line`. Two tables hold lines without a
//! layout: `unknown_record` and `rejected_record`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use crate::layout::{self, Column, Kind, Table};

/// The name of the column with the raw text of values that a typed column could not hold.
pub const IRREGULAR: &str = "irregular";
/// The name of the column with the record's number in the delivery.
pub const LINE: &str = "line";
/// The name of the column that tells whether the person has protection of name and address.
pub const PROTECTED: &str = "protected";
/// The key in `irregular` for the bytes after the known layout.
pub const TAIL: &str = "+";
/// The name of the table of records whose type has no layout.
pub const UNKNOWN_RECORD: &str = "unknown_record";
/// The name of the table of lines that are not records.
pub const REJECTED_RECORD: &str = "rejected_record";
/// The name of the table of persons who have left the scope. Only scans under a policy have it.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

/// The name of the table of persons who have come into the scope. Only scans of a state under a policy have it.
pub const INTO_SCOPE: &str = "into_scope";
/// The name of the column with the production date of a row's extract. Only scans of a state have it.
pub const AS_OF: &str = "as_of";
/// The name of the column with the agreement of a row's extract. Only scans of a state have it.
pub const AGREEMENT: &str = "agreement";

/// The record type of receipts for deleted subscriptions. They end a person's state and are no part of it.
const RECEIPT: &str = "997";

/// A table that a scan can return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableId {
    /// The table of a record type.
    Layout(&'static Table),
    /// [`UNKNOWN_RECORD`].
    Unknown,
    /// [`REJECTED_RECORD`].
    Rejected,
    /// [`OUT_OF_SCOPE`].
    OutOfScope,
    /// [`INTO_SCOPE`].
    IntoScope,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnId {
    /// A column cut from a field of the record.
    Field(&'static Column),
    /// [`PROTECTED`].
    Protected,
    /// [`IRREGULAR`].
    Irregular,
    /// [`LINE`].
    Line,
    /// The three digits of a record type without layout.
    RecordType,
    /// Why a line was rejected, or why a person has left the scope.
    Reason,
    /// The whole line.
    Raw,
    /// The number of a person who has left the scope.
    Number,
    /// The extract's production date in `out_of_scope`, or the day of a state in it and in `into_scope`.
    Day,
    /// [`AS_OF`].
    AsOf,
    /// [`AGREEMENT`].
    Agreement,
}

/// Returns every table of the catalog, in the order of a scan.
pub fn all_tables() -> impl ExactSizeIterator<Item = TableId> {
    (0..table_count()).map(|index| match layout::tables().get(index) {
        Some(table) => TableId::Layout(table),
        None if index == layout::tables().len() => TableId::Unknown,
        None => TableId::Rejected,
    })
}

/// Returns the number of tables of the catalog.
pub const fn table_count() -> usize {
    layout::tables().len() + 2
}

impl TableId {
    /// Returns the table of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            UNKNOWN_RECORD => Some(Self::Unknown),
            REJECTED_RECORD => Some(Self::Rejected),
            OUT_OF_SCOPE => Some(Self::OutOfScope),
            INTO_SCOPE => Some(Self::IntoScope),
            _ => layout::by_name(name).map(Self::Layout),
        }
    }

    /// Returns the table's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Layout(table) => table.name,
            Self::Unknown => UNKNOWN_RECORD,
            Self::Rejected => REJECTED_RECORD,
            Self::OutOfScope => OUT_OF_SCOPE,
            Self::IntoScope => INTO_SCOPE,
        }
    }

    /// Returns the three digits of the record type, if the table belongs to one type.
    pub const fn record_type(&self) -> Option<&'static str> {
        match self {
            Self::Layout(table) => Some(table.record_type),
            Self::Unknown | Self::Rejected | Self::OutOfScope | Self::IntoScope => None,
        }
    }

    /// Returns CPR's title of the record type, in Danish; empty for tables that are cprflow's own.
    pub const fn cpr_title(&self) -> &'static str {
        match self {
            Self::Layout(table) => table.cpr_title,
            Self::Unknown | Self::Rejected | Self::OutOfScope | Self::IntoScope => "",
        }
    }

    /// Returns the meaning of a row.
    pub const fn description(&self) -> &'static str {
        match self {
            Self::Layout(table) => table.description,
            Self::Unknown => "A record whose type no layout describes, unchanged",
            Self::Rejected => {
                "A line without a 3-digit record type or without a complete key, unchanged"
            }
            Self::OutOfScope => {
                "A person who was in scope of the policy and no longer is, with the reason"
            }
            Self::IntoScope => "A person who is in scope of the policy and was not before",
        }
    }

    /// Returns the columns in order.
    pub fn columns(&self) -> Vec<ColumnId> {
        match self {
            Self::Layout(table) => table
                .columns
                .iter()
                .map(ColumnId::Field)
                .chain([ColumnId::Irregular, ColumnId::Line])
                .collect(),
            Self::Unknown => vec![ColumnId::Line, ColumnId::RecordType, ColumnId::Raw],
            Self::Rejected => vec![ColumnId::Line, ColumnId::Reason, ColumnId::Raw],
            Self::OutOfScope => vec![ColumnId::Number, ColumnId::Reason, ColumnId::Day],
            Self::IntoScope => vec![ColumnId::Number, ColumnId::Day],
        }
    }

    /// Returns whether a scan of a state has the table: it has records of persons that tell what is true of them.
    pub fn is_of_state(&self) -> bool {
        matches!(self, Self::Layout(table) if table.is_keyed() && table.record_type != RECEIPT)
    }

    /// Returns the schema of these columns of the table.
    pub fn schema(&self, columns: &[ColumnId]) -> Schema {
        let fields: Fields = columns.iter().map(ColumnId::arrow_field).collect();
        let mut metadata = HashMap::from([
            ("cpr.table".to_owned(), self.name().to_owned()),
            ("cpr.description".to_owned(), self.description().to_owned()),
        ]);
        if let Self::Layout(table) = self {
            metadata.insert("cpr.record_type".to_owned(), table.record_type.to_owned());
            metadata.insert("cpr.title".to_owned(), table.cpr_title.to_owned());
        }
        Schema::new_with_metadata(fields, metadata)
    }
}

impl ColumnId {
    /// Returns the column's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Field(column) => column.name,
            Self::Protected => PROTECTED,
            Self::Irregular => IRREGULAR,
            Self::Line => LINE,
            Self::RecordType => "record_type",
            Self::Reason => "reason",
            Self::Raw => "raw",
            Self::Number => "pnr",
            Self::Day => "date",
            Self::AsOf => AS_OF,
            Self::Agreement => AGREEMENT,
        }
    }

    /// Returns the column's Arrow type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Field(column) => match column.kind {
                Kind::Code | Kind::Mark | Kind::Text | Kind::Uuid | Kind::Pnr => DataType::Utf8,
                Kind::Date | Kind::Date8 => DataType::Date32,
                Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
                Kind::Flag => DataType::Boolean,
                Kind::Count => DataType::Int64,
            },
            Self::Irregular => DataType::Map(map_entries(), false),
            Self::Line => DataType::Int64,
            Self::Protected => DataType::Boolean,
            Self::Day | Self::AsOf => DataType::Date32,
            Self::Agreement => DataType::Utf8,
            Self::RecordType | Self::Reason | Self::Raw | Self::Number => DataType::Utf8,
        }
    }

    /// Returns whether the column can hold nulls.
    pub const fn is_nullable(&self) -> bool {
        matches!(self, Self::Field(_) | Self::Irregular | Self::Day)
    }

    fn arrow_field(&self) -> Field {
        let field = Field::new(self.name(), self.data_type(), self.is_nullable());
        match self {
            Self::Field(column) => {
                let mut metadata = HashMap::from([
                    ("cpr.name".to_owned(), column.cpr_name.to_owned()),
                    ("cpr.position".to_owned(), column.position.to_string()),
                    ("cpr.length".to_owned(), column.length.to_string()),
                    ("cpr.kind".to_owned(), column.kind.name().to_owned()),
                ]);
                if let Some(class) = column.sensitivity {
                    metadata.insert("cpr.sensitivity".to_owned(), class.name().to_owned());
                }
                field.with_metadata(metadata)
            }
            _ => field,
        }
    }
}

/// Returns the two fields of the map of irregular values, named as in Arrow's specification.
pub(crate) fn map_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ])
}

/// Returns the entries field of the map of irregular values.
pub(crate) fn map_entries() -> Arc<Field> {
    Arc::new(Field::new("entries", DataType::Struct(map_fields()), false))
}
