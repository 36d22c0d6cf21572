//! A record whose fields can be changed, as a line of an extract.

use std::ops::Range;

use crate::reference_reader::{Rules, TableRule, latin1};

/// A record whose fields can be changed.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The layout.
    pub rule: &'a TableRule,
    /// What follows the known layout.
    pub tail: String,
    bytes: Vec<u8>,
}

impl<'a> Record<'a> {
    /// Reads the record of a line. Returns `None` if its key is not a person number.
    pub fn of(rules: &'a Rules, line: &[u8]) -> Option<Self> {
        let mut record = Self::blank(rules, &latin1(&line[..3]));
        if record.rule.fields[0].kind != "pnr" {
            return None;
        }
        record.bytes[..line.len()].copy_from_slice(line);
        Some(record)
    }

    /// Creates a record of this type in which every field is blank.
    pub fn blank(rules: &'a Rules, record_type: &str) -> Self {
        let rule = &rules[record_type];
        let ends = rule.fields.iter().map(|f| f.position + f.length - 1);
        let mut bytes = vec![b' '; ends.max().unwrap_or(3)];
        bytes[..3].copy_from_slice(record_type.as_bytes());
        Self {
            rule,
            bytes,
            tail: String::new(),
        }
    }

    /// Returns the three digits of the record type.
    pub fn record_type(&self) -> String {
        latin1(&self.bytes[..3])
    }

    fn range(&self, column: &str) -> Range<usize> {
        let found = self.rule.fields.iter().find(|f| f.column == column);
        let field = found.unwrap_or_else(|| panic!("no column {column}"));
        field.position - 1..field.position + field.length - 1
    }

    /// Returns the text of a field without trailing spaces.
    pub fn get(&self, column: &str) -> String {
        latin1(&self.bytes[self.range(column)])
            .trim_end()
            .to_owned()
    }

    /// Sets a field. What it has no room for is left out.
    pub fn set(&mut self, column: &str, text: &str) {
        let range = self.range(column);
        let field = &mut self.bytes[range];
        field.fill(b' ');
        for (byte, character) in field.iter_mut().zip(text.chars()) {
            *byte = u8::try_from(character).expect("a character of ISO-8859-1");
        }
    }

    /// Returns the line without trailing spaces.
    pub fn line(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(self.tail.as_bytes());
        // A record of 366 bytes marks another CPR product, which cprflow rejects.
        if self.bytes.len() == 366 && !self.tail.is_empty() {
            self.bytes.push(b'!');
        }
        let end = self.bytes.iter().rposition(|byte| *byte != b' ');
        self.bytes.truncate(end.map_or(0, |last| last + 1));
        self.bytes
    }
}
