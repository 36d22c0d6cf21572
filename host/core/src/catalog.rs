//! The tables of a component, checked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::Serialize;

use crate::error::{ComponentError, Error, LimitKind};
use crate::policy::DATA_CLASSES;
use crate::sandbox::MAX_COLUMNS;
use crate::wit::catalog as wit;

/// The tables of a component, in the order of a scan.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Catalog {
    tables: Vec<Table>,
    #[serde(skip)]
    event_classes: Vec<EventClass>,
}

/// The classes of personal data that an event code or a derived mark of the table `event` (099) reveals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventClass {
    /// The event code, for example `A34`, or the derived mark, for example `MO`.
    pub code: String,
    /// The classes; empty if the code reveals nothing that has a class.
    pub classes: Vec<String>,
}

/// A table: one for each record type, and `unknown_record` and `rejected_record`.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// The three digits of the record type; none for the two tables with lines of any type.
    pub record_type: Option<String>,
    /// CPR's title of the record type, in Danish; empty for cprflow's own tables.
    pub cpr_title: String,
    /// The meaning of a row.
    pub description: String,
    /// The columns, in the order of the batches.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The column's Arrow type.
    #[serde(serialize_with = "serialize_type", rename = "type")]
    pub data_type: DataType,
    /// Whether the column can hold nulls.
    pub nullable: bool,
    /// The field of the column; none for cprflow's own columns (`irregular`, `line`, …).
    #[serde(flatten)]
    pub field: Option<CprField>,
}

/// The field of a record from which a column is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CprField {
    /// CPR's name of the field, for example `STATUSHAENSTART`.
    pub cpr_name: String,
    /// The position of the first byte in the record, 1-based.
    pub position: u32,
    /// The length in bytes.
    pub length: u32,
    /// How the bytes are read: `code`, `mark`, `text`, `uuid`, `pnr`, `date`, `date8`, `timestamp`, `flag` or `count`.
    pub kind: String,
    /// The class of personal data, for example `address` or `religion`; none if the column has no class.
    pub sensitivity: Option<String>,
}

impl Catalog {
    /// Checks a component's tables and the classes of its event codes.
    pub(crate) fn new(
        tables: Vec<wit::Table>,
        event_classes: Vec<wit::EventClass>,
    ) -> Result<Self, Error> {
        let tables: Vec<Table> = tables.into_iter().map(Table::from).collect();
        check(&tables)?;
        let event_classes: Vec<_> = event_classes.into_iter().map(EventClass::from).collect();
        check_event_classes(&event_classes)?;
        Ok(Self {
            tables,
            event_classes,
        })
    }

    /// Returns the classes of every event code and derived mark whose meaning is known.
    ///
    /// A code that is not listed reveals every class.
    pub fn event_classes(&self) -> &[EventClass] {
        &self.event_classes
    }

    /// Returns all tables, in the order of a scan.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Returns the table with this name, if there is one.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    /// Returns the Arrow schema of these columns, or of all; `None` if the table lacks one of them.
    ///
    /// The metadata of the schema and its fields has the keys `cpr.table`, `cpr.description`, `cpr.record_type`,
    /// `cpr.title`, `cpr.name`, `cpr.position`, `cpr.length`, `cpr.kind` and `cpr.sensitivity`.
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

/// The largest number of tables. cprflow's own component has about fifty.
const MAX_TABLES: usize = 256;

/// The largest length of a name, in bytes.
const MAX_NAME: usize = 64;

/// The largest length of a title or a description, in bytes.
const MAX_TEXT: usize = 4 * 1024;

/// The largest number of event codes and derived marks. CPR has about 150.
const MAX_EVENT_CLASSES: usize = 1_000;

/// Checks event codes, derived marks and their classes. They are shown to people, so a code must look like one and a
/// class must be one that the host knows. A code with two entries would have two meanings.
fn check_event_classes(event_classes: &[EventClass]) -> Result<(), ComponentError> {
    let misbehaved = |what: &str| {
        Err(ComponentError::misbehaved(&format!(
            "its catalog has {what}"
        )))
    };
    if event_classes.len() > MAX_EVENT_CLASSES {
        return misbehaved("too many event codes");
    }
    let mut codes = HashSet::new();
    for event in event_classes {
        let length = event.code.chars().count();
        if !(2..=3).contains(&length) || !event.code.chars().all(char::is_alphanumeric) {
            return misbehaved("an invalid event code");
        }
        if !codes.insert(event.code.as_str()) {
            return misbehaved("an event code twice");
        }
        let mut classes = HashSet::new();
        let is_known = |class: &String| DATA_CLASSES.contains(&class.as_str());
        if event.classes.len() > DATA_CLASSES.len()
            || !event
                .classes
                .iter()
                .all(|class| is_known(class) && classes.insert(class))
        {
            return misbehaved("an event code with an unknown class, or with a class twice");
        }
    }
    Ok(())
}

/// Checks names, texts and limits.
///
/// Names become file names and columns of other engines, so only plain names are accepted.
fn check(tables: &[Table]) -> Result<(), ComponentError> {
    check_limit(LimitKind::Tables, tables.len(), MAX_TABLES)?;
    for (index, table) in tables.iter().enumerate() {
        let misbehaved = |what: &str| {
            ComponentError::Misbehaved(format!("table {} of its catalog {what}", index + 1))
        };
        let mut before = tables.iter().take(index);
        if !is_name(&table.name) || before.any(|other| other.name == table.name) {
            return Err(misbehaved(
                "has an invalid name, or the name of another table",
            ));
        }
        check_limit(LimitKind::Columns, table.columns.len(), MAX_COLUMNS)?;
        if table.columns.is_empty() {
            return Err(misbehaved("has no columns"));
        }
        let record_type = table.record_type.as_deref();
        if record_type
            .is_some_and(|digits| digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()))
            || !is_text(&table.cpr_title)
            || !is_text(&table.description)
        {
            return Err(misbehaved(
                "has an invalid record type, title or description",
            ));
        }
        let mut names = HashSet::new();
        for column in &table.columns {
            if !is_name(&column.name) || !names.insert(column.name.as_str()) {
                return Err(misbehaved(
                    "has a column with an invalid name, or with the name of another column",
                ));
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
                    "has a column with an invalid field name, kind or class",
                ));
            }
        }
    }
    Ok(())
}

fn check_limit(limit: LimitKind, count: usize, at_most: usize) -> Result<(), ComponentError> {
    if count <= at_most {
        return Ok(());
    }
    Err(ComponentError::Limit {
        limit,
        at_most: at_most as u64,
    })
}

/// Returns whether the text is a plain name: lower-case letters, digits and underscores.
pub(crate) fn is_name(name: &str) -> bool {
    matches!(name.len(), 1..=MAX_NAME)
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !cprflow_redact::holds_person_number(name)
}

/// Returns whether the text is short, on one line, and free of anything that can be a person number.
pub(crate) fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT
        && !text.contains(char::is_control)
        && !cprflow_redact::holds_person_number(text)
}

/// Returns the short name of a column's Arrow type for people, for example `date32`.
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
