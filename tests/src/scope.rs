//! Computes the persons in a tenant's scope from the lines of extracts.

use std::collections::{BTreeMap, BTreeSet};

use crate::extract;
use crate::reference_reader::{Row, Tables, Value};

/// The scope of a tenant with the residents of one municipality.
#[derive(Debug, Clone)]
pub struct Scope {
    municipality: String,
    /// The persons in scope.
    pub persons: BTreeSet<String>,
}

/// The change of a scope by one extract.
#[derive(Debug, Default)]
pub struct ScopeChange {
    /// The persons of the extract who are in scope.
    pub chosen: BTreeSet<String>,
    /// The persons of the extract who are newly in scope.
    pub entered: BTreeSet<String>,
    /// The persons of the extract who were in scope before and are not any more.
    pub left: BTreeSet<String>,
}

impl Scope {
    /// Creates an empty scope.
    pub fn new(municipality: &str) -> Self {
        Self {
            municipality: municipality.to_owned(),
            persons: BTreeSet::new(),
        }
    }

    /// Applies an extract.
    pub fn apply(&mut self, extract: &[u8]) -> ScopeChange {
        let (mut delivered, mut residents) = (BTreeSet::new(), BTreeSet::new());
        let mut chosen = BTreeSet::new();
        for line in extract::lines(extract) {
            let Some(number) = line.get(3..13) else {
                continue;
            };
            let number = String::from_utf8(number.to_vec()).unwrap();
            match &line[..3] {
                b"001" => {
                    // Persons who are dead or have left are residents of no municipality, whatever their last address.
                    if line
                        .get(23..25)
                        .is_some_and(|status| status < b"30".as_slice())
                    {
                        residents.insert(number.clone());
                    }
                    delivered.insert(number);
                }
                b"002" if line.get(13..17) == Some(self.municipality.as_bytes()) => {
                    chosen.insert(number);
                }
                _ => {}
            }
        }
        chosen.retain(|number| residents.contains(number));
        let left: BTreeSet<_> = self
            .persons
            .iter()
            .filter(|number| delivered.contains(*number) && !chosen.contains(*number))
            .cloned()
            .collect();
        let entered = chosen.difference(&self.persons).cloned().collect();
        self.persons = self.persons.difference(&left).cloned().collect();
        self.persons.extend(chosen.iter().cloned());
        ScopeChange {
            chosen,
            entered,
            left,
        }
    }
}

/// Returns the municipalities of an extract, sorted by descending number of persons.
pub fn municipalities(extract: &[u8]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in extract::lines(extract) {
        if line.starts_with(b"002") && line.len() >= 17 {
            let code = String::from_utf8(line[13..17].to_vec()).unwrap();
            *counts.entry(code).or_default() += 1;
        }
    }
    let mut codes: Vec<_> = counts.into_iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    codes.into_iter().map(|(code, _)| code).collect()
}

/// Returns the texts of a column.
pub fn texts(rows: &[Row], column: &str) -> BTreeSet<String> {
    let text = |row: &Row| {
        let value = row.iter().find(|(name, _)| name == column);
        match &value.unwrap_or_else(|| panic!("no column {column}")).1 {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    };
    rows.iter().filter_map(text).collect()
}

/// Returns every text of every table, including map values.
pub fn every_text(tables: &Tables) -> BTreeSet<String> {
    let values = tables.values().flatten().flatten();
    let texts = values.flat_map(|(_, value)| match value {
        Value::Text(text) => vec![text.clone()],
        Value::Map(entries) => entries.iter().map(|(_, text)| text.clone()).collect(),
        _ => Vec::new(),
    });
    texts.collect()
}
