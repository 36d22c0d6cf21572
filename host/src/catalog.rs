//! The component's tables, as the host knows them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Serialize;

use crate::error::{ComponentError, Error};
use crate::sandbox::bindings::exports::cprflow::connector::catalog as wit;

/// The tables of a component, in the order in which a scan knows them.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Catalog {
    tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// The three digits of the record type; none for `unknown_record` and `rejected_record`.
    pub record_type: Option<String>,
    /// CPR's title of the record type, in Danish.
    pub cpr_title: String,
    /// What a row says.
    pub description: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Its Arrow type.
    #[serde(serialize_with = "serialize_type", rename = "type")]
    pub data_type: DataType,
    /// Whether it can hold nulls.
    pub nullable: bool,
    /// The field behind it; none for cprflow's own columns.
    #[serde(flatten)]
    pub field: Option<CprField>,
}

/// The field of the record that a column is cut from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CprField {
    /// CPR's name of the field.
    pub cpr_name: String,
    /// Position of the first byte, 1-based.
    pub position: u32,
    /// Length in bytes.
    pub length: u32,
    /// How the bytes are read.
    pub kind: String,
    /// The class of personal data, if any.
    pub sensitivity: Option<String>,
}

impl Catalog {
    pub(crate) fn new(tables: Vec<wit::Table>) -> Result<Self, Error> {
        let tables: Vec<Table> = tables.into_iter().map(Table::from).collect();
        for (place, table) in tables.iter().enumerate() {
            let is_name = |name: &str| {
                !name.is_empty()
                    && name.len() <= 64
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            // Names become file names: only a component that keeps to plain ones is let in.
            if !is_name(&table.name) || tables.iter().take(place).any(|t| t.name == table.name) {
                let what = format!("table {place} of its catalog has no fit name of its own");
                return Err(ComponentError::Misbehaved(what).into());
            }
        }
        Ok(Self { tables })
    }

    /// All tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    /// The Arrow schema of the table, or of these columns of it; none if it lacks one of them.
    pub fn schema(&self, columns: Option<&[String]>) -> Option<SchemaRef> {
        let fields: Option<Vec<Field>> = match columns {
            None => Some(self.columns.iter().map(Column::arrow_field).collect()),
            Some(names) => names
                .iter()
                .map(|name| {
                    let column = self.columns.iter().find(|column| column.name == *name);
                    column.map(Column::arrow_field)
                })
                .collect(),
        };
        let mut metadata = HashMap::from([
            ("cpr.table".to_owned(), self.name.clone()),
            ("cpr.description".to_owned(), self.description.clone()),
        ]);
        if let Some(record_type) = &self.record_type {
            metadata.insert("cpr.record_type".to_owned(), record_type.clone());
            metadata.insert("cpr.title".to_owned(), self.cpr_title.clone());
        }
        Some(Arc::new(Schema::new_with_metadata(fields?, metadata)))
    }
}

impl Column {
    fn arrow_field(&self) -> Field {
        let field = Field::new(&self.name, self.data_type.clone(), self.nullable);
        let Some(cpr) = &self.field else {
            return field;
        };
        let mut metadata = HashMap::from([
            ("cpr.name".to_owned(), cpr.cpr_name.clone()),
            ("cpr.position".to_owned(), cpr.position.to_string()),
            ("cpr.length".to_owned(), cpr.length.to_string()),
            ("cpr.kind".to_owned(), cpr.kind.clone()),
        ]);
        if let Some(class) = &cpr.sensitivity {
            metadata.insert("cpr.sensitivity".to_owned(), class.clone());
        }
        field.with_metadata(metadata)
    }
}

impl From<wit::Table> for Table {
    fn from(table: wit::Table) -> Self {
        Self {
            name: table.name,
            record_type: table.record_type,
            cpr_title: table.cpr_title,
            description: table.description,
            columns: table.columns.into_iter().map(Column::from).collect(),
        }
    }
}

impl From<wit::Column> for Column {
    fn from(column: wit::Column) -> Self {
        Self {
            name: column.name,
            data_type: match column.data_type {
                wit::DataType::Utf8 => DataType::Utf8,
                wit::DataType::Date => DataType::Date32,
                wit::DataType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
                wit::DataType::Boolean => DataType::Boolean,
                wit::DataType::Int64 => DataType::Int64,
                wit::DataType::TextMap => DataType::Map(
                    Arc::new(Field::new_struct(
                        "entries",
                        vec![
                            Field::new("key", DataType::Utf8, false),
                            Field::new("value", DataType::Utf8, true),
                        ],
                        false,
                    )),
                    false,
                ),
            },
            nullable: column.nullable,
            field: column.field.map(|field| CprField {
                cpr_name: field.cpr_name,
                position: field.position,
                length: field.length,
                kind: field.kind,
                sensitivity: field.sensitivity,
            }),
        }
    }
}

/// The short name of a column's type, for people.
pub fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 => "utf8",
        DataType::Date32 => "date32",
        DataType::Timestamp(..) => "timestamp[us]",
        DataType::Boolean => "boolean",
        DataType::Int64 => "int64",
        _ => "map<utf8, utf8>",
    }
}

fn serialize_type<S: serde::Serializer>(
    data_type: &DataType,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(type_name(data_type))
}
