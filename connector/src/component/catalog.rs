//! Implements the interface `catalog`.

use super::Component;
use super::bindings::exports::cprflow::connector::catalog;
use crate::columns::schema::{ColumnId, TableId, all_tables};
use crate::layout::{EVENT_CLASSES, EventClass, MARK_CLASSES};

impl catalog::Guest for Component {
    fn tables() -> Vec<catalog::Table> {
        all_tables()
            .map(|table| catalog_table(&table, &table.columns()))
            .collect()
    }

    fn event_classes() -> Vec<catalog::EventClass> {
        let events = EVENT_CLASSES.iter().chain(MARK_CLASSES);
        let class = |event: &EventClass| catalog::EventClass {
            code: event.code.to_owned(),
            classes: event
                .classes
                .iter()
                .map(|&class| class.to_owned())
                .collect(),
        };
        events.map(class).collect()
    }
}

/// Returns a table with these columns.
pub(super) fn catalog_table(table: &TableId, columns: &[ColumnId]) -> catalog::Table {
    catalog::Table {
        name: table.name().to_owned(),
        record_type: table.record_type().map(str::to_owned),
        cpr_title: table.cpr_title().to_owned(),
        description: table.description().to_owned(),
        columns: columns.iter().map(catalog_column).collect(),
    }
}

fn catalog_column(column: &ColumnId) -> catalog::Column {
    use arrow::datatypes::DataType;
    catalog::Column {
        name: column.name().to_owned(),
        data_type: match column.data_type() {
            DataType::Date32 => catalog::DataType::Date,
            DataType::Timestamp(..) => catalog::DataType::Timestamp,
            DataType::Boolean => catalog::DataType::Boolean,
            DataType::Int64 => catalog::DataType::Int64,
            DataType::Map(..) => catalog::DataType::TextMap,
            _ => catalog::DataType::Utf8,
        },
        nullable: column.is_nullable(),
        field: match column {
            ColumnId::Field(field) => Some(catalog::Field {
                cpr_name: field.cpr_name.to_owned(),
                position: field.position as u32,
                length: field.length as u32,
                kind: field.kind.name().to_owned(),
                sensitivity: field.sensitivity.map(|class| class.name().to_owned()),
            }),
            _ => None,
        },
    }
}
