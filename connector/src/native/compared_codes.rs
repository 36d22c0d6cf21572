//! The texts with which a condition compares columns, for warnings about conditions that no row can meet.

use crate::columns::schema::TableId;
use crate::layout::{Column, Kind};
use crate::predicate::{Comparable, Predicate};

/// The texts that a condition compares with one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedCodes {
    /// The column, which holds codes or marks.
    pub column: &'static Column,
    /// The texts.
    pub texts: Vec<String>,
}

/// Returns the texts that a condition on rows of a table compares with columns of codes and marks. A condition that
/// cannot be read has none; scanning with it fails with an error.
pub fn compared_codes(table: &str, condition: &str) -> Vec<ComparedCodes> {
    let Some(TableId::Layout(table)) = TableId::by_name(table) else {
        return Vec::new();
    };
    let columns = TableId::Layout(table).columns();
    let Ok(predicate) = Predicate::new(condition, &Comparable::all(&columns)) else {
        return Vec::new();
    };
    let codes = table
        .columns
        .iter()
        .filter(|column| matches!(column.kind, Kind::Code | Kind::Mark));
    let compared = codes.map(|column| ComparedCodes {
        column,
        texts: predicate
            .texts_of(column.name)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    });
    compared.filter(|one| !one.texts.is_empty()).collect()
}
