//! The keys of a table of the configuration, read one by one: an error names the key, and never repeats the value.

use std::path::PathBuf;

use toml::{Table, Value};

use super::check_purpose;

/// A table whose keys are taken out of it; what is left over in the end nobody knows.
pub(super) struct Keys {
    /// Where it stands, for errors: empty, or the path with a dot behind it.
    at: String,
    table: Table,
    /// What was asked for.
    known: Vec<&'static str>,
}

impl Keys {
    pub(super) fn new(at: &str, value: Value) -> Result<Self, String> {
        let Value::Table(table) = value else {
            return Err(format!(
                "{at}: this is a table, `[…{at}]` with keys of its own"
            ));
        };
        Ok(Self {
            at: match at {
                "" => String::new(),
                at => format!("{at}."),
            },
            table,
            known: Vec::new(),
        })
    }

    /// Where a key stands, for errors.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{}{key}", self.at)
    }

    /// The value of a key as it is.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a text in quotes")),
        }
    }

    /// A text that says what something is for. It is kept in manifests.
    pub(super) fn purpose(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.text(key)? {
            Some(text) if text.trim().is_empty() => Err(self.wrong(key, "a purpose, in words")),
            Some(text) => match check_purpose(&text) {
                Ok(()) => Ok(Some(text)),
                Err(what) => Err(format!("{}: {what}", self.place(key))),
            },
            None => Ok(None),
        }
    }

    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, String> {
        match self.text(key)? {
            Some(text) if text.is_empty() => {
                Err(self.wrong(key, "the path of a file or directory"))
            }
            text => Ok(text.map(PathBuf::from)),
        }
    }

    /// A list of texts that is not empty.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, String> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        texts(value).map(Some).ok_or_else(|| self.wrong(key, LIST))
    }

    /// A number of at least 1.
    pub(super) fn count(&mut self, key: &'static str) -> Result<Option<u64>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Integer(number)) if number >= 1 => Ok(Some(number as u64)),
            Some(_) => Err(self.wrong(key, "a whole number of at least 1")),
        }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, String> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let found = choices.iter().find(|(name, _)| *name == text);
        match found {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let names: Vec<_> = choices
                    .iter()
                    .map(|(name, _)| format!("{name:?}"))
                    .collect();
                Err(self.wrong(key, &format!("one of {}", names.join(", "))))
            }
        }
    }

    /// A table below this one.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Option<Self>, String> {
        let at = self.place(key);
        self.value(key)
            .map(|value| Self::new(&at, value))
            .transpose()
    }

    /// What is left, for tables whose keys are names.
    pub(super) fn rest(self) -> impl Iterator<Item = (String, String, Value)> {
        let at = self.at;
        let place = move |key: &str| format!("{at}{key}");
        self.table
            .into_iter()
            .map(move |(key, value)| (place(&key), key, value))
    }

    /// An error if there is a key that nobody asked for.
    pub(super) fn done(mut self) -> Result<(), String> {
        let Some(key) = self.table.keys().next().cloned() else {
            return Ok(());
        };
        self.known.sort_unstable();
        Err(format!(
            "{}: there is no such key; there are {}",
            self.place(&key),
            self.known.join(", ")
        ))
    }

    pub(super) fn wrong(&self, key: &str, wanted: &str) -> String {
        format!("{}: this is {wanted}", self.place(key))
    }
}

/// What a list is called in errors.
pub(super) const LIST: &str = "a list of texts in quotes, with at least one in it";

/// The texts of a list that is not empty.
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
