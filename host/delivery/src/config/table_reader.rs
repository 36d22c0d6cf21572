//! Reads a table of the configuration key by key, so that an error can name the key without the value.

use std::path::PathBuf;

use toml::{Table, Value};

use super::error::{ConfigurationError, KeyPath, KeyProblem};
use super::{check_legal_basis, check_purpose};

/// A table of the configuration. Each read removes the key; [`finish`](Self::finish) refuses the keys that are left.
pub(super) struct TableReader {
    /// The path of the table, for example `tenant.schools.persons`.
    path: String,
    table: Table,
    /// The keys that were read, which are all that exist.
    known: Vec<&'static str>,
}

impl TableReader {
    /// Starts to read the table at `path`. Fails if the value is not a table.
    pub(super) fn new(path: String, value: Value) -> Result<Self, ConfigurationError> {
        match value {
            Value::Table(table) => Ok(Self {
                path,
                table,
                known: Vec::new(),
            }),
            _ => Err(KeyPath::table(&path).error(KeyProblem::Invalid {
                expected: "a table with keys of its own".to_owned(),
            })),
        }
    }

    /// Returns the path of a key, for errors.
    pub(super) fn at(&self, key: &str) -> KeyPath {
        KeyPath::new(&self.path, key)
    }

    /// Returns the path of a key in a table below this one, for errors.
    pub(super) fn below(&self, table: &str, key: &str) -> KeyPath {
        KeyPath::new(&format!("{}.{table}", self.path), key)
    }

    /// Removes a key and returns its value of any type.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Returns whether the table has a key that no longer exists.
    pub(super) fn has_removed(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Removes a key and returns its text.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, ConfigurationError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(key, "a text in quotes")),
        }
    }

    /// Removes a key and returns whether it is true.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, ConfigurationError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.invalid(key, "true or false, without quotes")),
        }
    }

    /// Removes a key and returns its purpose.
    pub(super) fn purpose(
        &mut self,
        key: &'static str,
    ) -> Result<Option<String>, ConfigurationError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        check_purpose(&text).map_err(|problem| self.at(key).error(problem))?;
        Ok(Some(text))
    }

    /// Removes `legal_basis` and returns its text.
    pub(super) fn legal_basis(&mut self) -> Result<Option<String>, ConfigurationError> {
        let Some(text) = self.text("legal_basis")? else {
            return Ok(None);
        };
        check_legal_basis(&text).map_err(|problem| self.at("legal_basis").error(problem))?;
        Ok(Some(text))
    }

    /// Removes a key and returns its path.
    pub(super) fn path(
        &mut self,
        key: &'static str,
    ) -> Result<Option<PathBuf>, ConfigurationError> {
        match self.text(key)? {
            Some(text) if text.is_empty() => {
                Err(self.invalid(key, "the path of a file or directory"))
            }
            text => Ok(text.map(PathBuf::from)),
        }
    }

    /// Removes a key and returns its list of texts. An empty list is an error.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Vec<String>>, ConfigurationError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let texts = texts(value).ok_or_else(|| self.invalid(key, LIST))?;
        Ok(Some(texts))
    }

    /// Removes a key and returns its whole number, which is at least 1.
    pub(super) fn count(&mut self, key: &'static str) -> Result<Option<u64>, ConfigurationError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Integer(number)) if number >= 1 => Ok(Some(number.unsigned_abs())),
            Some(_) => Err(self.invalid(key, "a whole number of at least 1")),
        }
    }

    /// Removes a key and returns what its text stands for; other texts than these are an error.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigurationError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let found = choices.iter().find(|(name, _)| *name == text);
        let choice = found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names = choices.iter().map(|(name, _)| format!("{name:?}"));
            let names: Vec<_> = names.collect();
            self.invalid(key, &format!("one of {}", names.join(", ")))
        })?;
        Ok(Some(choice))
    }

    /// Removes a key and returns the table below it.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Option<Self>, ConfigurationError> {
        let path = format!("{}.{key}", self.path);
        self.value(key)
            .map(|value| Self::new(path, value))
            .transpose()
    }

    /// Returns all keys that are left with their values, for tables whose keys are names.
    pub(super) fn entries(self) -> impl Iterator<Item = (KeyPath, String, Value)> {
        let path = self.path;
        self.table
            .into_iter()
            .map(move |(key, value)| (KeyPath::new(&path, &key), key, value))
    }

    /// Fails if the table has a key that was not read.
    pub(super) fn finish(&self) -> Result<(), ConfigurationError> {
        let Some(key) = self.table.keys().next() else {
            return Ok(());
        };
        let mut known = self.known.clone();
        known.sort_unstable();
        Err(self.at(key).error(KeyProblem::UnknownKey { known }))
    }

    /// Returns the error that the value of a key is not what is `expected`.
    pub(super) fn invalid(&self, key: &str, expected: &str) -> ConfigurationError {
        self.at(key).error(KeyProblem::Invalid {
            expected: expected.to_owned(),
        })
    }

    /// Returns the error that a key is missing.
    pub(super) fn missing(&self, key: &str, expected: &'static str) -> ConfigurationError {
        self.at(key).error(KeyProblem::Missing { expected })
    }
}

/// How errors describe a list.
pub(super) const LIST: &str = "a list of one or more texts in quotes";

/// Returns the texts of a list that is not empty, or `None` for any other value.
pub(super) fn texts(value: Value) -> Option<Vec<String>> {
    let Value::Array(values) = value else {
        return None;
    };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    let texts: Option<Vec<_>> = values.into_iter().map(text).collect();
    texts.filter(|texts| !texts.is_empty())
}
