//! Writes records of the extract in the physical shapes that occur.
//!
//! [`RecordBuilder`] builds one record field by field. [`RecordWriter`] writes whole records in an [`OutputShape`].

use std::io::{self, Write};

use crate::layout::{Blank, Column, Kind, Table};

/// The physical shape of a written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputShape {
    /// Lines that end with LF, without trailing spaces.
    Trimmed,
    /// Lines that end with LF, of the full record length.
    Full,
    /// Records of the full record length without line ends.
    Packed,
}

/// Writes whole records in one shape and counts them.
///
/// It makes one small write per record, so `out` should be buffered.
#[derive(Debug)]
pub struct RecordWriter<W> {
    out: W,
    shape: OutputShape,
    records: u64,
    bytes: u64,
}

impl<W: Write> RecordWriter<W> {
    /// Creates a writer.
    pub const fn new(out: W, shape: OutputShape) -> Self {
        Self {
            out,
            shape,
            records: 0,
            bytes: 0,
        }
    }

    /// Writes a record: its bytes in ISO-8859-1 from the record type on, without a line end.
    ///
    /// Bytes beyond the table's known length belong to a newer layout and are written unchanged. In the shapes with
    /// full records, a record that is too short is filled with spaces.
    pub fn write(&mut self, table: &Table, record: &[u8]) -> io::Result<()> {
        let content = match self.shape {
            OutputShape::Trimmed => trimmed(record),
            OutputShape::Full | OutputShape::Packed => record,
        };
        self.put(content)?;
        if self.shape != OutputShape::Trimmed {
            let full = full_length(table, record.len());
            for _ in record.len()..full {
                self.put(b" ")?;
            }
        }
        if self.shape != OutputShape::Packed {
            self.put(b"\n")?;
        }
        self.records += 1;
        Ok(())
    }

    /// Writes a line without a known layout, unchanged. [`OutputShape::Packed`] cannot represent it.
    pub fn write_raw(&mut self, line: &[u8]) -> io::Result<()> {
        self.put(line)?;
        self.put(b"\n")?;
        self.records += 1;
        Ok(())
    }

    /// Writes a record from its builder.
    pub fn write_built(&mut self, record: &RecordBuilder) -> io::Result<()> {
        self.write(record.table, &record.bytes)
    }

    /// Returns the number of records written.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Returns the number of bytes written, including line ends.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the underlying writer.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// A record under construction: it starts blank and is filled by column name.
#[derive(Debug, Clone)]
pub struct RecordBuilder {
    table: &'static Table,
    bytes: Vec<u8>,
    /// The index where the next look-up starts, because fields are mostly set in the layout's order.
    next: usize,
}

impl RecordBuilder {
    /// Creates a blank record of the current length.
    pub fn new(table: &'static Table) -> Self {
        let mut record = Self {
            table,
            bytes: Vec::with_capacity(crate::layout::LONGEST_RECORD),
            next: 0,
        };
        record.restart(table, table.record_length());
        record
    }

    /// Resets to a blank record of that table and length. Fields beyond the length do not exist in that edition of the
    /// layout, and setting them does nothing.
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

    /// Sets a field to a text, left-aligned. A text that is too long is cut, and a character outside ISO-8859-1 becomes
    /// `?`. Debug builds panic in both cases, which are mistakes of the caller.
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

    /// Gives the first blank field of a number or time the unusual filling. Returns whether there was such a field
    /// after the key.
    pub(crate) fn swap_blank_filling(&mut self) -> bool {
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

    /// Returns the bytes of the record.
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

/// Returns the table's shortest length that holds the record, or `length` if it is longer than all.
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

    fn written(shape: OutputShape, record: &RecordBuilder) -> Vec<u8> {
        let mut writer = RecordWriter::new(Vec::new(), shape);
        writer.write_built(record).unwrap();
        assert_eq!(writer.records(), 1);
        let bytes = writer.bytes();
        let out = writer.into_inner();
        assert_eq!(out.len() as u64, bytes);
        out
    }

    #[test]
    fn a_record_is_blank_except_for_set_fields() {
        let mut record = RecordBuilder::new(by_name("disappearance").unwrap());
        assert_eq!(record.as_bytes(), b"007          000000000000 ");
        record
            .set("pnr", "0101010101")
            .set("disappeared", "202601011200");
        assert_eq!(record.as_bytes(), b"0070101010101202601011200 ");
    }

    #[test]
    fn shapes_differ_in_trailing_spaces_and_line_ends() {
        let mut record = RecordBuilder::new(by_name("birth_registration").unwrap());
        record
            .set("pnr", "0101010101")
            .set("birth_authority_text", "Ål");
        let trimmed = b"0090101010101    \xC5l".to_vec();
        let full = [trimmed.clone(), vec![b' '; 37 - trimmed.len()]].concat();
        assert_eq!(
            written(OutputShape::Trimmed, &record),
            [trimmed.as_slice(), b"\n"].concat()
        );
        assert_eq!(
            written(OutputShape::Full, &record),
            [full.as_slice(), b"\n"].concat()
        );
        assert_eq!(written(OutputShape::Packed, &record), full);
    }

    #[test]
    fn older_layouts_lack_fields_and_newer_ones_keep_their_tail() {
        let person = by_name("person").unwrap();
        let mut record = RecordBuilder::new(person);
        record.restart(person, 106);
        record.set("key_constant", "ABC");
        assert_eq!(written(OutputShape::Packed, &record).len(), 106);

        let mut writer = RecordWriter::new(Vec::new(), OutputShape::Packed);
        writer.write(person, &[b'0'; 130]).unwrap();
        assert_eq!(writer.bytes(), 130);
        let mut writer = RecordWriter::new(Vec::new(), OutputShape::Packed);
        writer.write(person, b"001").unwrap();
        assert_eq!(writer.bytes(), 106);
    }

    #[test]
    fn swaps_the_filling_of_a_blank() {
        let mut record = RecordBuilder::new(by_name("disappearance").unwrap());
        record.set("pnr", "0101010101");
        assert!(record.swap_blank_filling());
        assert_eq!(record.as_bytes(), b"0070101010101             ");
        record.set("disappeared", "202601011200");
        assert!(!record.swap_blank_filling());
    }
}
