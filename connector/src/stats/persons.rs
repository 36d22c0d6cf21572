//! Finds persons without a 001, and persons with several.

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::finding::{Code, Finding, Level, Occurrences, place};
use crate::person_records::PersonRecords;
use crate::record::pnr_number;
use crate::wire::{Reader, Writer};

/// The person numbers read, to find those without a 001 record.
#[derive(Default)]
pub(super) struct Persons {
    records: PersonRecords,
    seen: RoaringTreemap,
    last: Option<u64>,
    /// The 001 of a part, each with its line, in place of `records`: whether a 001 is the person's first is known only
    /// when the parts are put together.
    log: Option<Vec<(u64, u64)>>,
}

impl Persons {
    /// Creates the persons of a part.
    pub(super) fn of_part() -> Self {
        Self {
            log: Some(Vec::new()),
            ..Self::default()
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        let log = self.log.as_deref().unwrap_or_default();
        writer.pairs(log);
        writer.persons(&self.seen)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            log: Some(reader.pairs()?),
            seen: reader.persons()?,
            ..Self::default()
        })
    }

    /// Adds the persons of the next part, which begins after `lines` records.
    pub(super) fn add_part(&mut self, part: Self, lines: u64) {
        for (digest, line) in part.log.unwrap_or_default() {
            self.records.add_digest(digest, line.saturating_add(lines));
        }
        self.seen |= part.seen;
    }

    /// Adds a record of a person.
    pub(super) fn add_record(&mut self, record: &[u8], is_person_record: bool, line: u64) {
        let number = pnr_number(record.get(3..13).unwrap_or_default());
        if self.last != Some(number) {
            self.seen.insert(number);
            self.last = Some(number);
        }
        if is_person_record {
            match &mut self.log {
                Some(log) => log.push((PersonRecords::digest(number, record), line)),
                None => self.records.add(number, record, line),
            }
        }
    }

    /// Returns the finding about persons without a 001, if there are any.
    pub(super) fn without_001(&self) -> Option<Finding> {
        let count = self.seen.difference_len(self.records.persons());
        (count > 0).then(|| Finding {
            code: Code::PersonWithout001,
            level: Level::Warning,
            count,
            message: "persons have records but no 001: applying this delivery cannot replace them"
                .to_owned(),
            places: Vec::new(),
        })
    }

    /// Returns the finding about persons with several 001, if there are any.
    pub(super) fn twice(&self) -> Option<Finding> {
        let several = self.records.several();
        let is_different = !several.different.is_empty();
        let persons = if is_different {
            several.different
        } else {
            several.identical
        };
        let seen = Occurrences {
            count: persons.len() as u64,
            first_line: persons.values().copied().min()?,
        };
        Some(Finding {
            code: Code::PersonTwice,
            level: if is_different {
                Level::Warning
            } else {
                Level::Note
            },
            count: seen.count,
            message: match is_different {
                true => {
                    "persons have several 001 that differ, so it is not certain what holds. Tenants get them as \
                     protected persons. Order the extract again"
                }
                false => "persons have several identical 001; nothing is lost",
            }
            .to_owned(),
            places: vec![place(Some("001"), None, seen)],
        })
    }
}
