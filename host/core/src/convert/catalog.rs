//! Conversions of the interface `catalog`. [`Catalog`](crate::Catalog) and [`PolicyView`](crate::PolicyView) check the
//! tables.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::catalog::{Column, CprField, EventClass, Table};
use crate::wit::catalog as wit;

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

impl From<wit::EventClass> for EventClass {
    fn from(event: wit::EventClass) -> Self {
        Self {
            code: event.code,
            classes: event.classes,
        }
    }
}

impl From<wit::Column> for Column {
    fn from(column: wit::Column) -> Self {
        Self {
            name: column.name,
            data_type: data_type(column.data_type),
            nullable: column.nullable,
            field: column.field.map(CprField::from),
        }
    }
}

impl From<wit::Field> for CprField {
    fn from(field: wit::Field) -> Self {
        Self {
            cpr_name: field.cpr_name,
            position: field.position,
            length: field.length,
            kind: field.kind,
            sensitivity: field.sensitivity,
        }
    }
}

fn data_type(data_type: wit::DataType) -> DataType {
    match data_type {
        wit::DataType::Utf8 => DataType::Utf8,
        wit::DataType::Date => DataType::Date32,
        wit::DataType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        wit::DataType::Boolean => DataType::Boolean,
        wit::DataType::Int64 => DataType::Int64,
        wit::DataType::TextMap => {
            let entries = vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Utf8, true),
            ];
            let entries = Field::new_struct("entries", entries, false);
            DataType::Map(Arc::new(entries), false)
        }
    }
}
