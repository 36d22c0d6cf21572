//! Reference tables: the meaning of codes, in Danish and English.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde::Serialize;

use crate::catalog::{is_name, is_text};
use crate::component::Connector;
use crate::error::{ComponentError, Error};
use crate::sandbox::Limits;
use crate::wit::catalog as wit;

/// A reference table: the codes that some columns can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeTable {
    /// The table's name, for example `status` or `municipality`.
    pub name: String,
    /// The content.
    pub description: String,
    /// The names of the columns beside `code`, `name_da`, `name_en` and `basis`.
    pub more_columns: Vec<String>,
    /// The columns that have these codes.
    pub used_in: Vec<CodedColumn>,
    /// The codes, sorted.
    pub codes: Vec<Code>,
}

/// A column of a table that has codes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct CodedColumn {
    /// The table's name.
    pub table: String,
    /// The column's name.
    pub column: String,
}

/// A code and its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The code as it is in the column, with leading zeros.
    pub code: String,
    /// The meaning in Danish; `None` if it is not known.
    pub name_da: Option<String>,
    /// The meaning in English; `None` if it is not known. Names of places and authorities are Danish.
    pub name_en: Option<String>,
    /// How the meaning is known.
    pub basis: CodeBasis,
    /// A value for each of the table's further columns.
    pub more: Vec<Option<String>>,
}

/// How the meaning of a code is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeBasis {
    /// CPR lists it.
    Listed,
    /// It was inferred from test extracts.
    Inferred,
    /// The code occurs, and its meaning is not known.
    Unknown,
}

impl CodeBasis {
    /// Returns the name in the column `basis`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Inferred => "inferred",
            Self::Unknown => "unknown",
        }
    }
}

/// The language of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Danish.
    Danish,
    /// English.
    English,
}

/// The columns of every reference table.
const COLUMNS: [&str; 4] = ["code", "name_da", "name_en", "basis"];

/// The largest number of reference tables.
const MAX_TABLES: usize = 64;

/// The largest number of codes in a table. CPR has about 3,400 authorities.
const MAX_CODES: usize = 20_000;

/// The largest number of further columns, and of columns that use a table.
const MAX_COLUMNS: usize = 256;

/// The largest length of a code, in bytes.
const MAX_CODE: usize = 16;

impl Connector {
    /// Returns the reference tables of the component.
    ///
    /// A column can hold a code that its reference table lacks, because CPR adds codes at short notice.
    pub fn code_tables(&self) -> Result<Vec<CodeTable>, Error> {
        self.code_tables_within(Limits::default())
    }

    /// Returns the reference tables of a component that is not trusted, within these limits.
    pub fn code_tables_within(&self, limits: Limits) -> Result<Vec<CodeTable>, Error> {
        let mut session = self.start(limits)?;
        let tables = session
            .call(|bindings, store| bindings.cprflow_connector_catalog().call_code_tables(store))?;
        let tables: Vec<_> = tables.into_iter().map(CodeTable::from).collect();
        check(&tables)?;
        Ok(tables)
    }
}

impl CodeTable {
    /// Returns the code of the table; `None` if the table does not have it.
    pub fn find(&self, code: &str) -> Option<&Code> {
        let place = self
            .codes
            .binary_search_by(|known| known.code.as_str().cmp(code));
        self.codes.get(place.ok()?)
    }

    /// Returns whether a column of a table has these codes.
    pub fn is_used_in(&self, table: &str, column: &str) -> bool {
        let mut used = self.used_in.iter();
        used.any(|used| used.table == table && used.column == column)
    }

    /// Returns the schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        let more = self.more_columns.iter().map(String::as_str);
        let field = |name: &str| {
            let is_nullable = name != "code" && name != "basis";
            Field::new(name, DataType::Utf8, is_nullable)
        };
        let fields: Vec<_> = COLUMNS.into_iter().chain(more).map(field).collect();
        Arc::new(Schema::new(fields))
    }

    /// Returns the codes as rows.
    pub fn rows(&self) -> Result<RecordBatch, Error> {
        let codes = || self.codes.iter();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                codes().map(|code| &code.code),
            )),
            Arc::new(StringArray::from_iter(
                codes().map(|code| code.name_da.as_ref()),
            )),
            Arc::new(StringArray::from_iter(
                codes().map(|code| code.name_en.as_ref()),
            )),
            Arc::new(StringArray::from_iter_values(
                codes().map(|code| code.basis.name()),
            )),
        ];
        for place in 0..self.more_columns.len() {
            let values = codes().map(|code| code.more.get(place).and_then(Option::as_ref));
            columns.push(Arc::new(StringArray::from_iter(values)));
        }
        RecordBatch::try_new(self.schema(), columns).map_err(Error::Output)
    }
}

impl Code {
    /// Returns the meaning in a language; `None` if it is not known.
    pub fn name(&self, language: Language) -> Option<&str> {
        match language {
            Language::Danish => self.name_da.as_deref(),
            Language::English => self.name_en.as_deref(),
        }
    }
}

/// Adds a column of names beside each column of codes in the rows of one table.
///
/// The column `status` gets `status_name`; of a name that ends with `_code`, the end is replaced: `municipality_code` gets
/// `municipality_name`. The name is null if the code is null or its meaning is not known.
pub struct CodeNames {
    schema: SchemaRef,
    /// For each column of the rows the index of its reference table, if it has one.
    coded: Vec<Option<usize>>,
    tables: Vec<CodeTable>,
    language: Language,
}

impl CodeNames {
    /// Prepares the columns for rows of a table with this schema.
    pub fn new(tables: Vec<CodeTable>, table: &str, schema: &Schema, language: Language) -> Self {
        let of_column = |field: &FieldRef| {
            let is_text = *field.data_type() == DataType::Utf8;
            let mut all = tables.iter();
            let found = all.position(|codes| codes.is_used_in(table, field.name()));
            found.filter(|_| is_text && schema.index_of(&name_column(field.name())).is_err())
        };
        let coded: Vec<_> = schema.fields().iter().map(of_column).collect();
        let mut fields = Vec::new();
        for (field, coded) in schema.fields().iter().zip(&coded) {
            fields.push(field.clone());
            if coded.is_some() {
                let name = name_column(field.name());
                fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
            }
        }
        Self {
            schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())),
            coded,
            tables,
            language,
        }
    }

    /// Returns the schema with the columns of names.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the rows with the columns of names.
    pub fn add_to(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (column, coded) in batch.columns().iter().zip(&self.coded) {
            columns.push(column.clone());
            let Some(table) = coded.and_then(|place| self.tables.get(place)) else {
                continue;
            };
            let codes = column.as_any().downcast_ref::<StringArray>();
            let names = codes.into_iter().flatten().map(|code| {
                // Codes shorter than their field have spaces beside them.
                table.find(code?.trim())?.name(self.language)
            });
            columns.push(Arc::new(names.collect::<StringArray>()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(Error::Output)
    }
}

/// Returns the name of the column of names beside a column of codes.
pub fn name_column(column: &str) -> String {
    format!("{}_name", column.strip_suffix("_code").unwrap_or(column))
}

impl From<wit::CodeTable> for CodeTable {
    fn from(table: wit::CodeTable) -> Self {
        let used_in = table.used_in.into_iter().map(|used| CodedColumn {
            table: used.table,
            column: used.column,
        });
        Self {
            name: table.name,
            description: table.description,
            more_columns: table.more_columns,
            used_in: used_in.collect(),
            codes: table.codes.into_iter().map(Code::from).collect(),
        }
    }
}

impl From<wit::Code> for Code {
    fn from(code: wit::Code) -> Self {
        Self {
            code: code.code,
            name_da: code.name_da,
            name_en: code.name_en,
            basis: match code.basis {
                wit::CodeBasis::Listed => CodeBasis::Listed,
                wit::CodeBasis::Inferred => CodeBasis::Inferred,
                wit::CodeBasis::Unknown => CodeBasis::Unknown,
            },
            more: code.more,
        }
    }
}

/// Checks names, texts and limits. Names become file names and columns, and texts are shown to people.
fn check(tables: &[CodeTable]) -> Result<(), ComponentError> {
    let misbehaved = |what: &str| {
        Err(ComponentError::misbehaved(&format!(
            "its reference tables have {what}"
        )))
    };
    if tables.len() > MAX_TABLES {
        return misbehaved("too many tables");
    }
    let mut names = HashSet::new();
    for table in tables {
        if !is_name(&table.name) || !names.insert(table.name.as_str()) {
            return misbehaved("an invalid name, or a name twice");
        }
        if table.more_columns.len() > MAX_COLUMNS || table.used_in.len() > MAX_COLUMNS {
            return misbehaved("too many columns");
        }
        let mut columns = HashSet::from(COLUMNS);
        let mut more = table.more_columns.iter();
        if !more.all(|column| is_name(column) && columns.insert(column)) {
            return misbehaved("a column with an invalid name, or with the name of another column");
        }
        let mut used = table.used_in.iter();
        if !is_text(&table.description)
            || !used.all(|one| is_name(&one.table) && is_name(&one.column))
        {
            return misbehaved("an invalid description, or the invalid name of a column");
        }
        if table.codes.len() > MAX_CODES {
            return misbehaved("too many codes");
        }
        let is_sorted = table.codes.is_sorted_by(|one, next| one.code < next.code);
        if !is_sorted || !table.codes.iter().all(|code| is_code(table, code)) {
            return misbehaved("an invalid code, or a code twice");
        }
    }
    Ok(())
}

fn is_code(table: &CodeTable, code: &Code) -> bool {
    let more = code.more.iter().flatten();
    let mut texts = [&code.name_da, &code.name_en]
        .into_iter()
        .flatten()
        .chain(more);
    matches!(code.code.len(), 1..=MAX_CODE)
        && is_text(&code.code)
        && code.more.len() == table.more_columns.len()
        && texts.all(|text| is_text(text))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn adds_a_name_beside_each_code() {
        let connector = Connector::embedded().unwrap();
        let tables = connector.code_tables().unwrap();
        let schema = connector
            .catalog()
            .table("event")
            .unwrap()
            .schema(None)
            .unwrap();
        let schema = schema.project(&[0, 2, 3]).unwrap();
        let names = CodeNames::new(tables, "event", &schema, Language::English);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(StringArray::from(vec!["a", "b", "c"])),
                Arc::new(StringArray::from(vec![Some("A01"), None, Some("P51")])),
                Arc::new(StringArray::from(vec![Some("ÆG"), None, Some("?")])),
            ],
        );
        let added = names.add_to(&batch.unwrap()).unwrap();
        let names: Vec<String> = added
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let expected = [
            ("pnr", [Some("a"), Some("b"), Some("c")]),
            ("event_code", [Some("A01"), None, Some("P51")]),
            ("event_name", [Some("Move"), None, None]),
            ("derived_mark", [Some("ÆG"), None, Some("?")]),
            ("derived_mark_name", [Some("Spouse"), None, None]),
        ];
        assert_eq!(names, expected.map(|(name, _)| name));
        for (index, (name, values)) in expected.into_iter().enumerate() {
            let column: Vec<_> = added.column(index).as_string::<i32>().iter().collect();
            assert_eq!(column, values, "{name}");
        }
    }

    #[test]
    fn every_coded_column_of_every_table_gets_a_name() {
        let connector = Connector::embedded().unwrap();
        let tables = connector.code_tables().unwrap();
        let coded: usize = tables.iter().map(|table| table.used_in.len()).sum();
        let mut added = 0;
        for table in connector.catalog().tables() {
            let schema = table.schema(None).unwrap();
            let names = CodeNames::new(tables.clone(), &table.name, &schema, Language::Danish);
            added += names.schema().fields().len() - schema.fields().len();
        }
        assert_eq!(added, coded);
        assert!(coded > 40);
        for table in &tables {
            assert_eq!(table.rows().unwrap().num_rows(), table.codes.len());
        }
    }
}
