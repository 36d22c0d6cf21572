//! Writes records of the extract in the physical shapes that occur.
//!
//! [`RecordBuffer`] builds one record field by field, [`Emitter`] writes whole records in a [`Shape`].

use std::io::{self, Write};

use crate::layout::{Blank, Column, Kind, Table};

/// How records follow each other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Lines ended by LF, without trailing spaces.
    Trimmed,
    /// Lines ended by LF, of the full record length.
    Full,
    /// Records of the full record length one after the other, no line ends.
    Packed,
}

/// Writes whole records in one shape and counts them.
///
/// It makes one small write per record: give it something buffered.
#[derive(Debug)]
pub struct Emitter<W> {
    out: W,
    shape: Shape,
    records: u64,
    bytes: u64,
}

impl<W: Write> Emitter<W> {
    /// An emitter that has written nothing yet.
    pub const fn new(out: W, shape: Shape) -> Self {
        Self {
            out,
            shape,
            records: 0,
            bytes: 0,
        }
    }

    /// Writes a record: its bytes in ISO-8859-1 from the record type on, without a line end.
    ///
    /// Bytes beyond the length that the table knows are a newer layout's and are written as they are. A record
    /// that is shorter than any length of the table is filled with spaces in the shapes that need a full record.
    pub fn write(&mut self, table: &Table, record: &[u8]) -> io::Result<()> {
        let content = match self.shape {
            Shape::Trimmed => trimmed(record),
            Shape::Full | Shape::Packed => record,
        };
        self.put(content)?;
        if self.shape != Shape::Trimmed {
            let full = full_length(table, record.len());
            for _ in record.len()..full {
                self.put(b" ")?;
            }
        }
        if self.shape != Shape::Packed {
            self.put(b"\n")?;
        }
        self.records += 1;
        Ok(())
    }

    /// Writes a line of no known layout as it stands. It has no place in [`Shape::Packed`].
    pub fn write_raw(&mut self, line: &[u8]) -> io::Result<()> {
        self.put(line)?;
        self.put(b"\n")?;
        self.records += 1;
        Ok(())
    }

    /// Writes the record that stands in the buffer.
    pub fn write_buffer(&mut self, record: &RecordBuffer) -> io::Result<()> {
        self.write(record.table, &record.bytes)
    }

    /// How many records were written.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// How many bytes were written, line ends included.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back what the emitter wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// One record under construction: starts blank, is filled by column name.
#[derive(Debug, Clone)]
pub struct RecordBuffer {
    table: &'static Table,
    bytes: Vec<u8>,
    /// Where the next look-up starts: fields are mostly set in the layout's order.
    next: usize,
}

impl RecordBuffer {
    /// A blank record of today's length.
    pub fn new(table: &'static Table) -> Self {
        let mut record = Self {
            table,
            bytes: Vec::with_capacity(crate::layout::LONGEST_RECORD),
            next: 0,
        };
        record.restart(table, table.record_length());
        record
    }

    /// Makes it a blank record of that table and length, for use again. Fields beyond the length do not
    /// exist in that age of the layout, and setting them does nothing.
    pub fn restart(&mut self, table: &'static Table, length: usize) {
        self.table = table;
        self.next = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(table.record_type.as_bytes());
        self.bytes.resize(length, b' ');
        for column in table.columns {
            if column.blank == Blank::Zeros {
                self.fill(column, b'0');
            }
        }
    }

    /// Sets a field to a text, left-aligned. A text that is too long is cut and a character outside
    /// ISO-8859-1 becomes `?`; both are mistakes of the caller, caught in debug builds.
    pub fn set(&mut self, column: &str, text: &str) -> &mut Self {
        let Some(column) = self.find(column) else {
            debug_assert!(false, "{} has no column {column}", self.table.name);
            return self;
        };
        let Some(field) = self.bytes.get_mut(column.start()..column.end()) else {
            return self;
        };
        field.fill(b' ');
        if text.is_ascii() {
            debug_assert!(
                text.len() <= field.len(),
                "{} is too short for its text",
                column.name
            );
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
        } else {
            let mut places = field.iter_mut();
            for character in text.chars() {
                let byte = u8::try_from(u32::from(character));
                debug_assert!(byte.is_ok(), "{} is not ISO-8859-1", column.name);
                let place = places.next();
                debug_assert!(place.is_some(), "{} is too short for its text", column.name);
                if let Some(place) = place {
                    *place = byte.unwrap_or(b'?');
                }
            }
        }
        self
    }

    /// Fills the blank field of a number or a time with the filling that is not the usual one. Says
    /// whether there was one after the key.
    pub(crate) fn swap_a_blank(&mut self) -> bool {
        for column in self.table.columns.iter().skip(1) {
            let Some(field) = self.bytes.get(column.start()..column.end()) else {
                continue;
            };
            let swapped = match column.blank {
                Blank::Spaces if field.iter().all(|&byte| byte == b' ') => b'0',
                Blank::Zeros if field.iter().all(|&byte| byte == b'0') => b' ',
                Blank::Spaces | Blank::Zeros => continue,
            };
            if matches!(column.kind, Kind::Pnr | Kind::Timestamp) {
                self.fill(column, swapped);
                return true;
            }
        }
        false
    }

    /// The record as it stands.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn fill(&mut self, column: &Column, byte: u8) {
        if let Some(field) = self.bytes.get_mut(column.start()..column.end()) {
            field.fill(byte);
        }
    }

    fn find(&mut self, name: &str) -> Option<&'static Column> {
        let columns = self.table.columns;
        let place = (self.next..columns.len())
            .chain(0..self.next)
            .find(|&place| columns[place].name == name)?;
        self.next = place + 1;
        Some(&columns[place])
    }
}

/// The shortest length of the table that holds the record, or the record's own if it is longer than all.
fn full_length(table: &Table, length: usize) -> usize {
    let fitting = table.lengths.iter().copied().find(|&full| full >= length);
    fitting.unwrap_or(length)
}

fn trimmed(record: &[u8]) -> &[u8] {
    let end = record.iter().rposition(|&byte| byte != b' ');
    end.map_or(&[], |end| &record[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::by_name;

    fn written(shape: Shape, record: &RecordBuffer) -> Vec<u8> {
        let mut emitter = Emitter::new(Vec::new(), shape);
        emitter.write_buffer(record).unwrap();
        assert_eq!(emitter.records(), 1);
        let bytes = emitter.bytes();
        let out = emitter.into_inner();
        assert_eq!(out.len() as u64, bytes);
        out
    }

    #[test]
    fn a_record_is_blank_but_for_what_was_set() {
        let mut record = RecordBuffer::new(by_name("disappearance").unwrap());
        assert_eq!(record.as_bytes(), b"007          000000000000 ");
        record
            .set("pnr", "0101010101")
            .set("disappeared", "202601011200");
        assert_eq!(record.as_bytes(), b"0070101010101202601011200 ");
    }

    #[test]
    fn shapes_differ_in_trailing_spaces_and_line_ends() {
        let mut record = RecordBuffer::new(by_name("birth_registration").unwrap());
        record
            .set("pnr", "0101010101")
            .set("birth_authority_text", "Ål");
        let trimmed = b"0090101010101    \xC5l".to_vec();
        let full = [trimmed.clone(), vec![b' '; 37 - trimmed.len()]].concat();
        assert_eq!(
            written(Shape::Trimmed, &record),
            [trimmed.as_slice(), b"\n"].concat()
        );
        assert_eq!(
            written(Shape::Full, &record),
            [full.as_slice(), b"\n"].concat()
        );
        assert_eq!(written(Shape::Packed, &record), full);
    }

    #[test]
    fn an_older_layout_has_no_later_fields_and_a_newer_keeps_its_tail() {
        let person = by_name("person").unwrap();
        let mut record = RecordBuffer::new(person);
        record.restart(person, 106);
        record.set("key_constant", "ABC");
        assert_eq!(written(Shape::Packed, &record).len(), 106);

        let mut emitter = Emitter::new(Vec::new(), Shape::Packed);
        emitter.write(person, &[b'0'; 130]).unwrap();
        assert_eq!(emitter.bytes(), 130);
        let mut emitter = Emitter::new(Vec::new(), Shape::Packed);
        emitter.write(person, b"001").unwrap();
        assert_eq!(emitter.bytes(), 106);
    }

    #[test]
    fn a_blank_can_be_of_the_unusual_kind() {
        let mut record = RecordBuffer::new(by_name("disappearance").unwrap());
        record.set("pnr", "0101010101");
        assert!(record.swap_a_blank());
        assert_eq!(record.as_bytes(), b"0070101010101             ");
        record.set("disappeared", "202601011200");
        assert!(!record.swap_a_blank());
    }
}
