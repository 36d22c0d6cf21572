//! Implements the interface `catalog`.

use super::Component;
use super::bindings::exports::cprflow::connector::catalog;
use crate::codes::{Basis, Code, CodeTable, code_tables};
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

    fn code_tables() -> Vec<catalog::CodeTable> {
        code_tables().iter().map(code_table).collect()
    }
}

fn code_table(table: &CodeTable) -> catalog::CodeTable {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let used_in = table.used_in.iter();
    catalog::CodeTable {
        name: table.name.to_owned(),
        description: table.description.to_owned(),
        more_columns: texts(table.more_columns),
        used_in: used_in
            .map(|(table, column)| catalog::CodedColumn {
                table: (*table).to_owned(),
                column: (*column).to_owned(),
            })
            .collect(),
        codes: table.codes.iter().map(code).collect(),
    }
}

fn code(code: &Code) -> catalog::Code {
    let text = |text: Option<&str>| text.map(str::to_owned);
    catalog::Code {
        code: code.code.to_owned(),
        name_da: text(code.name_da),
        name_en: text(code.name_en),
        basis: match code.basis {
            Basis::Listed => catalog::CodeBasis::Listed,
            Basis::Inferred => catalog::CodeBasis::Inferred,
            Basis::Unknown => catalog::CodeBasis::Unknown,
        },
        more: code.more.iter().copied().map(text).collect(),
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
    use arrow_schema::DataType;
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
