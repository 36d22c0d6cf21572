//! Finds tables and columns by what a person writes, and suggests a name for one that does not exist.

use cprflow::{Catalog, Table};

use crate::usage::UsageError;

/// Names that are less alike than this are not suggested. Jaro-Winkler similarity, 0 to 1.
const MIN_SIMILARITY: f64 = 0.8;

/// Returns the table with this name, record type (`001`) or Danish title. Capitals make no difference.
pub(crate) fn find<'c>(catalog: &'c Catalog, text: &str) -> Result<&'c Table, UsageError> {
    let wanted = normal(text);
    let named = |table: &&Table| {
        normal(&table.name) == wanted
            || table.record_type.as_deref() == Some(text.trim())
            || normal(&table.cpr_title) == wanted
    };
    catalog.tables().iter().find(named).ok_or_else(|| {
        let names = catalog.tables().iter().flat_map(|table| {
            [
                (table.name.as_str(), table.name.as_str()),
                (table.cpr_title.as_str(), table.name.as_str()),
            ]
        });
        UsageError::UnknownTable {
            table: shown(text),
            suggestion: suggestion(text, names),
        }
    })
}

/// Returns the names of the columns that were asked for, by their names or CPR's names of the fields. `more` are columns that
/// the rows have beside those of the catalog.
pub(crate) fn columns(
    table: &Table,
    wanted: &[String],
    more: &[&str],
) -> Result<Vec<String>, UsageError> {
    let column = |text: &String| {
        let wanted = normal(text);
        if let Some(name) = more.iter().find(|name| normal(name) == wanted) {
            return Ok((*name).to_owned());
        }
        let named = table.columns.iter().find(|column| {
            let field = column.field.as_ref();
            normal(&column.name) == wanted
                || field.is_some_and(|field| normal(&field.cpr_name) == wanted)
        });
        let names = table.columns.iter();
        let names = names.map(|column| (column.name.as_str(), column.name.as_str()));
        match named {
            Some(column) => Ok(column.name.clone()),
            None => Err(UsageError::UnknownColumn {
                column: shown(text),
                table: table.name.clone(),
                suggestion: suggestion(text, names),
            }),
        }
    };
    wanted.iter().map(column).collect()
}

/// Returns `. Did you mean …?` for the name that is most like the text, or `.` if none is. Each name comes with what is
/// suggested for it.
pub(crate) fn suggestion<'a>(
    text: &str,
    names: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let text = normal(text);
    let similarity = |name: &str| strsim::jaro_winkler(&text, &normal(name));
    let names = names
        .into_iter()
        .map(|(name, suggested)| (similarity(name), suggested));
    let best = names.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match best {
        Some((similarity, name)) if similarity >= MIN_SIMILARITY => {
            format!(". Did you mean {name:?}?")
        }
        _ => ".".to_owned(),
    }
}

fn normal(text: &str) -> String {
    text.trim().to_lowercase().replace(['-', ' '], "_")
}

/// Returns the text for an error message, without what can be a person number.
fn shown(text: &str) -> String {
    cprflow_redact::redact(text, 60)
}
