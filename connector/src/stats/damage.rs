//! Counts damaged protections (004), and damaged lines that may have been one.

use crate::damage::{DamagedProtection, damaged_protection, may_be_damaged};
use crate::error::Error;
use crate::finding::{Code, Finding, Level, Occurrences, place};
use crate::record::{PROTECTION, ProtectionType, RecordClass, protection_type};
use crate::wire::{Reader, Writer};

/// The damaged protections of an extract.
#[derive(Default)]
pub(crate) struct DamagedProtections {
    /// Protections whose person number cannot be read.
    unknown: Occurrences,
    /// Protections of which the person number can be read, but not the record or its type.
    of_person: Occurrences,
    /// Records of other types, and lines that begin with no 004, of which a person number cannot be read.
    elsewhere: Occurrences,
}

impl DamagedProtections {
    /// Counts a record if it is a damaged protection.
    #[inline]
    pub(crate) fn add_record(&mut self, class: RecordClass, record: &[u8], line: u64) {
        if may_be_damaged(class, record) {
            self.add_damaged(class, record, line);
        }
    }

    #[cold]
    fn add_damaged(&mut self, class: RecordClass, record: &[u8], line: u64) {
        let is_protection = class == RecordClass::Known(PROTECTION);
        match damaged_protection(class, record) {
            Some(DamagedProtection::Unknown) => match record.starts_with(b"004") {
                true => self.unknown.add(line),
                false => self.elsewhere.add(line),
            },
            Some(DamagedProtection::Of(_)) => self.of_person.add(line),
            None if is_protection && protection_type(record) == ProtectionType::Unreadable => {
                self.of_person.add(line);
            }
            None => {}
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        for seen in [self.unknown, self.of_person, self.elsewhere] {
            writer.seen(seen);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            unknown: reader.seen()?,
            of_person: reader.seen()?,
            elsewhere: reader.seen()?,
        })
    }

    /// Adds those of the next part, which begins after `lines` records.
    pub(crate) fn add_part(&mut self, part: &Self, lines: u64) {
        self.unknown.add_part(part.unknown, lines);
        self.of_person.add_part(part.of_person, lines);
        self.elsewhere.add_part(part.elsewhere, lines);
    }

    /// Returns the finding, if there is one.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let (level, message) = match (
            self.unknown.count + self.elsewhere.count,
            self.of_person.count,
        ) {
            (0, 0) => return None,
            (0, _) => (
                Level::Warning,
                "protections (004) are damaged, but their person numbers can be read: for tenants these persons are \
                 protected. Order the extract again",
            ),
            _ => (
                Level::Error,
                "protections (004, or of a relative in 031-033), ties of numbers (001, 022), or lines that may have been \
                 one of these are damaged, and their person numbers cannot be read: for tenants every person of this \
                 extract is protected. Order the extract again",
            ),
        };
        let seen = [
            (Some("004"), self.unknown),
            (Some("004"), self.of_person),
            (None, self.elsewhere),
        ];
        let seen = seen.into_iter().filter(|(_, seen)| seen.count > 0);
        Some(Finding {
            code: Code::ProtectionUnreadable,
            level,
            count: self.unknown.count + self.of_person.count + self.elsewhere.count,
            message: message.to_owned(),
            places: seen
                .map(|(record_type, seen)| place(record_type, None, seen))
                .collect(),
        })
    }
}
