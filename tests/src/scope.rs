//! Who is in a tenant's scope, worked out plainly from the lines of the extracts.

use std::collections::{BTreeMap, BTreeSet};

use crate::cut::{Row, Tables, Value};
use crate::extract;

/// A scope that is one municipality.
#[derive(Debug, Clone)]
pub struct Scope {
    municipality: String,
    /// Who is in it.
    pub persons: BTreeSet<String>,
}

/// What an extract did to a scope.
#[derive(Debug, Default)]
pub struct Night {
    /// Who is in scope in this extract.
    pub chosen: BTreeSet<String>,
    /// Those of them who were not before.
    pub entered: BTreeSet<String>,
    /// Who was in scope, is in the extract and is not in scope there.
    pub left: BTreeSet<String>,
}

impl Scope {
    /// Nobody yet.
    pub fn new(municipality: &str) -> Self {
        Self {
            municipality: municipality.to_owned(),
            persons: BTreeSet::new(),
        }
    }

    /// An extract is delivered.
    pub fn apply(&mut self, extract: &[u8]) -> Night {
        let (mut delivered, mut residents) = (BTreeSet::new(), BTreeSet::new());
        let mut chosen = BTreeSet::new();
        for line in extract::lines(extract) {
            let Some(number) = line.get(3..13) else {
                continue;
            };
            let number = String::from_utf8(number.to_vec()).unwrap();
            match &line[..3] {
                b"001" => {
                    // Whoever is dead or gone lives nowhere, whatever the last known address.
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
        Night {
            chosen,
            entered,
            left,
        }
    }
}

/// The municipalities of an extract, the one with the most persons first.
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

/// The texts of a column.
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

/// Every text of every table, map values included.
pub fn every_text(tables: &Tables) -> BTreeSet<String> {
    let values = tables.values().flatten().flatten();
    let texts = values.flat_map(|(_, value)| match value {
        Value::Text(text) => vec![text.clone()],
        Value::Map(entries) => entries.iter().map(|(_, text)| text.clone()).collect(),
        _ => Vec::new(),
    });
    texts.collect()
}
