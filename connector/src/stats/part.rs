//! The statistics of a part of an extract, and how those of all parts are put together.

use std::collections::BTreeMap;

use super::control_characters::ControlCharacters;
use super::damage::DamagedProtections;
use super::persons::Persons;
use super::{Encoding, End, ScanStats, is_of_greenland};
use crate::error::Error;
use crate::finding::Occurrences;
use crate::record::RejectReason;
use crate::wire::{DAMAGED, Reader, Writer};

/// What the statistics of a part must know of the records before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatsStart {
    /// Whether a record before it proves that the file is ISO-8859-1.
    is_latin1: bool,
    has_long_person: bool,
    checks_persons: bool,
}

impl StatsStart {
    pub(crate) fn write(self, writer: &mut Writer) {
        writer.flag(self.is_latin1);
        writer.flag(self.has_long_person);
        writer.flag(self.checks_persons);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            is_latin1: reader.flag()?,
            has_long_person: reader.flag()?,
            checks_persons: reader.flag()?,
        })
    }
}

impl ScanStats {
    /// Creates the statistics of a part.
    pub(crate) fn of_part(start: StatsStart) -> Self {
        Self {
            is_part: true,
            encoding: Encoding {
                is_latin1: start.is_latin1,
                utf8_only: Occurrences::default(),
            },
            has_long_person: start.has_long_person,
            persons: start.checks_persons.then(Persons::of_part),
            ..Self::new(false, None)
        }
    }

    /// Returns what the statistics of a part that begins here must know, or `None` if no part can begin here: before the
    /// first record, and after the end record.
    pub(crate) fn start_of_part(&self) -> Option<StatsStart> {
        let is_inside = self.has_begun() && self.end.is_none() && self.look_alike.is_none();
        is_inside.then_some(StatsStart {
            is_latin1: self.encoding.is_latin1,
            has_long_person: self.has_long_person,
            checks_persons: self.persons.is_some(),
        })
    }

    /// Writes the statistics of a part, and begins those of the next part.
    pub(crate) fn take_part(
        &mut self,
        start: StatsStart,
        writer: &mut Writer,
    ) -> Result<(), Error> {
        let part = std::mem::replace(self, Self::of_part(start));
        part.write(writer)
    }

    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.number(self.records);
        for records in &self.by_table {
            writer.number(*records);
        }
        writer.flag(self.end.is_some());
        if let Some(end) = &self.end {
            writer.optional(end.declared);
            writer.number(end.inside);
            writer.number(end.line);
        }
        writer.flag(self.encoding.is_latin1);
        writer.seen(self.encoding.utf8_only);
        writer.seen(self.second_start);
        self.protections.write(writer);
        self.control_characters.write(writer);
        writer.seen(self.padding);
        writer.number(self.after_end.len() as u64);
        for (record_type, seen) in &self.after_end {
            writer.bytes(record_type.as_bytes());
            writer.seen(*seen);
        }
        writer.number(self.input_errors_after_end);
        writer.number(self.unknown.len() as u64);
        for (number, seen) in &self.unknown {
            writer.number((*number).into());
            writer.seen(*seen);
        }
        for reason in REASONS {
            writer.seen(self.rejected.get(&reason).copied().unwrap_or_default());
        }
        for seen in &self.longer {
            writer.seen(*seen);
        }
        writer.flag(self.has_long_person);
        writer.flag(self.persons.is_some());
        match &self.persons {
            Some(persons) => persons.write(writer),
            None => Ok(()),
        }
    }

    /// Reads the statistics of a part.
    pub(crate) fn read_part(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut part = Self::new(false, None);
        part.records = reader.number()?;
        for records in &mut part.by_table {
            *records = reader.number()?;
        }
        if reader.flag()? {
            part.end = Some(End {
                declared: reader.optional()?,
                inside: reader.number()?,
                line: reader.number()?,
            });
        }
        part.encoding = Encoding {
            is_latin1: reader.flag()?,
            utf8_only: reader.seen()?,
        };
        part.second_start = reader.seen()?;
        part.protections = DamagedProtections::read(reader)?;
        part.control_characters = ControlCharacters::read(reader)?;
        part.padding = reader.seen()?;
        for _ in 0..reader.number()? {
            let record_type = std::str::from_utf8(reader.bytes()?).map_err(|_| DAMAGED)?;
            let seen = reader.seen()?;
            part.after_end.insert(record_type.to_owned(), seen);
        }
        part.input_errors_after_end = reader.number()?;
        for _ in 0..reader.number()? {
            let number = u16::try_from(reader.number()?).map_err(|_| DAMAGED)?;
            part.unknown.insert(number, reader.seen()?);
        }
        for reason in REASONS {
            let seen = reader.seen()?;
            if seen.count > 0 {
                part.rejected.insert(reason, seen);
            }
        }
        for seen in &mut part.longer {
            *seen = reader.seen()?;
        }
        part.has_long_person = reader.flag()?;
        part.persons = match reader.flag()? {
            true => Some(Persons::read(reader)?),
            false => None,
        };
        Ok(part)
    }

    /// Returns whether the next part was read as these statistics would have read it. That is not so after the end record,
    /// and if the part has what only the records before it show to be another product.
    pub(crate) fn accepts(&self, part: &Self) -> bool {
        let is_perhaps_other =
            self.has_long_person && part.unknown.keys().any(|number| is_of_greenland(*number));
        self.has_begun()
            && self.end.is_none()
            && self.look_alike.is_none()
            && !is_perhaps_other
            && self.persons.is_some() == part.persons.is_some()
    }

    /// Adds the statistics of the next part, which begins after `lines` records.
    pub(crate) fn add_part(&mut self, part: Self, lines: u64) {
        if let Some(end) = part.end {
            let before = self.records - u64::from(self.start.is_some());
            self.end = Some(End {
                declared: end.declared,
                inside: before.saturating_add(end.inside),
                line: end.line.saturating_add(lines),
            });
        }
        self.records = self.records.saturating_add(part.records);
        for (own, records) in self.by_table.iter_mut().zip(part.by_table) {
            *own = own.saturating_add(records);
        }
        // Records after the first that proves ISO-8859-1 are not counted.
        if !self.encoding.is_latin1 {
            let utf8_only = part.encoding.utf8_only;
            self.encoding.utf8_only.add_part(utf8_only, lines);
            self.encoding.is_latin1 = part.encoding.is_latin1;
        }
        self.second_start.add_part(part.second_start, lines);
        self.protections.add_part(&part.protections, lines);
        self.control_characters
            .add_part(part.control_characters, lines);
        self.padding.add_part(part.padding, lines);
        add_all(&mut self.after_end, part.after_end, lines);
        self.input_errors_after_end = self
            .input_errors_after_end
            .saturating_add(part.input_errors_after_end);
        add_all(&mut self.unknown, part.unknown, lines);
        add_all(&mut self.rejected, part.rejected, lines);
        for (own, seen) in self.longer.iter_mut().zip(part.longer) {
            own.add_part(seen, lines);
        }
        self.has_long_person |= part.has_long_person;
        if let (Some(own), Some(persons)) = (&mut self.persons, part.persons) {
            own.add_part(persons, lines);
        }
    }
}

/// The reasons that `rejected` counts.
const REASONS: [RejectReason; 2] = [RejectReason::NoRecordType, RejectReason::IncompleteKey];

fn add_all<K: Ord>(own: &mut BTreeMap<K, Occurrences>, part: BTreeMap<K, Occurrences>, lines: u64) {
    for (key, seen) in part {
        own.entry(key).or_default().add_part(seen, lines);
    }
}
