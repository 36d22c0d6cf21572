//! Counts control characters in the values of an extract.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::finding::{Code, Finding, Level, Occurrences, Place, place};
use crate::layout::{self, Table};
use crate::record::{END, RecordClass, is_padding};
use crate::schema::TAIL;
use crate::value::is_control;
use crate::wire::{DAMAGED, Reader, Writer};

/// The finding is an error if more than one in this many texts has control characters.
const SHARE: u64 = 1_000;

/// The values with control characters, by record type and column.
#[derive(Default)]
pub(crate) struct ControlCharacters {
    values: BTreeMap<(String, &'static str), Occurrences>,
    /// Whether there are others than 0x80-0x9F. These bytes also occur in UTF-8, which is a finding of its own.
    has_others: bool,
}

impl ControlCharacters {
    /// Counts the values of a record that has a control character.
    #[cold]
    pub(crate) fn add(&mut self, class: RecordClass, record: &[u8], line: u64) {
        match class {
            RecordClass::Known(index) => {
                if let Some(table) = layout::tables().get(index) {
                    self.add_fields(table, index == END, record, line);
                }
            }
            RecordClass::Unknown(number) => {
                self.add_value(format!("{number:03}"), "", record, line)
            }
            RecordClass::Rejected(_) => self.add_value(String::new(), "", record, line),
        }
    }

    fn add_fields(&mut self, table: &Table, is_end: bool, record: &[u8], line: u64) {
        let record_type = || table.record_type.to_owned();
        for column in table.columns {
            let field = record.get(column.start()..).unwrap_or_default();
            let field = field.get(..column.length).unwrap_or(field);
            self.add_value(record_type(), column.name, field, line);
        }
        let tail = record.get(table.record_length()..).unwrap_or_default();
        if !(is_end && is_padding(tail)) {
            self.add_value(record_type(), TAIL, tail, line);
        }
    }

    fn add_value(&mut self, record_type: String, column: &'static str, value: &[u8], line: u64) {
        let mut controls = value.iter().filter(|byte| is_control(**byte)).peekable();
        if controls.peek().is_some() {
            self.has_others |= controls.any(|byte| byte.is_ascii());
            self.values
                .entry((record_type, column))
                .or_default()
                .add(line);
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.flag(self.has_others);
        writer.number(self.values.len() as u64);
        for ((record_type, column), seen) in &self.values {
            writer.bytes(record_type.as_bytes());
            writer.bytes(column.as_bytes());
            writer.seen(*seen);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut read = Self {
            has_others: reader.flag()?,
            values: BTreeMap::new(),
        };
        for _ in 0..reader.number()? {
            let record_type = std::str::from_utf8(reader.bytes()?).map_err(|_| DAMAGED)?;
            let column = column_name(reader.bytes()?).ok_or(DAMAGED)?;
            let key = (record_type.to_owned(), column);
            read.values.insert(key, reader.seen()?);
        }
        Ok(read)
    }

    /// Adds those of the next part, which begins after `lines` records.
    pub(crate) fn add_part(&mut self, part: Self, lines: u64) {
        self.has_others |= part.has_others;
        for (key, seen) in part.values {
            self.values.entry(key).or_default().add_part(seen, lines);
        }
    }

    /// Returns the finding, if there is one. `texts` is the number of text fields read, and `repeated_returns` counts
    /// lines that end with several CR. `is_utf8` tells that the file is UTF-8, which has bytes of 0x80-0x9F.
    pub(crate) fn finding(
        &self,
        texts: u64,
        repeated_returns: Occurrences,
        is_utf8: bool,
    ) -> Option<Finding> {
        let count = self.values.values().map(|seen| seen.count).sum::<u64>();
        if count > 0 && (self.has_others || !is_utf8) {
            let is_error = count.saturating_mul(SHARE) > texts;
            let places = self.values.iter().map(|((record_type, column), seen)| {
                let known = |name: &str| (!name.is_empty()).then(|| name.to_owned());
                Place {
                    record_type: known(record_type),
                    column: known(column),
                    count: seen.count,
                    first_line: seen.first_line,
                }
            });
            return Some(Finding {
                code: Code::ControlCharacters,
                level: if is_error { Level::Error } else { Level::Warning },
                count,
                message: "values have control characters or characters of another code page than ISO-8859-1; they \
                          are kept unchanged. If there are many, the file was converted wrongly: fetch it again as \
                          CPR made it"
                    .to_owned(),
                places: places.collect(),
            });
        }
        (repeated_returns.count > 0).then(|| Finding {
            code: Code::ControlCharacters,
            level: Level::Note,
            count: repeated_returns.count,
            message: "lines end with more than one CR; all of them are removed".to_owned(),
            places: vec![place(None, None, repeated_returns)],
        })
    }
}

/// Returns the name of a column that is counted: a column of a layout, the bytes after it, or a whole line.
fn column_name(name: &[u8]) -> Option<&'static str> {
    let columns = layout::tables().iter().flat_map(|table| table.columns);
    let mut names = columns.map(|column| column.name).chain([TAIL, ""]);
    names.find(|known| known.as_bytes() == name)
}
