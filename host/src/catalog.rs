//! The component's tables, as the host knows them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Serialize;

use crate::error::{ComponentError, Error};
use crate::sandbox::LimitKind;
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
        check(&tables)?;
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

/// Tables at the most. There are fifty.
const MAX_TABLES: usize = 256;

/// Columns of a table at the most. The widest of cprflow's own has some fifty.
pub(crate) const MAX_COLUMNS: usize = 512;

/// Bytes of a name, and of a description.
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 4 * 1024;

/// Refuses tables that cannot be used as they are. Names become file names and columns of other engines: only a
/// component that keeps to plain ones is let in.
fn check(tables: &[Table]) -> Result<(), ComponentError> {
    limit(LimitKind::Tables, tables.len(), MAX_TABLES)?;
    for (place, table) in tables.iter().enumerate() {
        let misbehaved =
            |what: &str| ComponentError::Misbehaved(format!("table {place} of its catalog {what}"));
        let before = tables.iter().take(place);
        if !is_name(&table.name) || before.into_iter().any(|other| other.name == table.name) {
            return Err(misbehaved("has no fit name of its own"));
        }
        limit(LimitKind::Columns, table.columns.len(), MAX_COLUMNS)?;
        if table.columns.is_empty() {
            return Err(misbehaved("has no columns"));
        }
        let record_type = table.record_type.as_deref();
        if record_type
            .is_some_and(|digits| digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()))
            || !is_text(&table.cpr_title)
            || !is_text(&table.description)
        {
            return Err(misbehaved("is described by what is no text"));
        }
        let mut names = HashSet::new();
        for column in &table.columns {
            if !is_name(&column.name) || !names.insert(column.name.as_str()) {
                return Err(misbehaved("has a column without a fit name of its own"));
            }
            let texts = column.field.iter().flat_map(|field| {
                let sensitivity = field.sensitivity.as_deref();
                [
                    field.cpr_name.as_str(),
                    field.kind.as_str(),
                    sensitivity.unwrap_or_default(),
                ]
            });
            if texts
                .into_iter()
                .any(|text| text.len() > MAX_NAME || !is_text(text))
            {
                return Err(misbehaved(
                    "has a column that is described by what is no text",
                ));
            }
        }
    }
    Ok(())
}

fn limit(limit: LimitKind, count: usize, most: usize) -> Result<(), ComponentError> {
    let at_most = most as u64;
    if count > most {
        return Err(ComponentError::Limit { limit, at_most });
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    matches!(name.len(), 1..=MAX_NAME)
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !cprflow_connector::holds_number(name)
}

/// Whether it is short, on one line, and free of what can be a person number.
fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT
        && !text.contains(char::is_control)
        && !cprflow_connector::holds_number(text)
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
