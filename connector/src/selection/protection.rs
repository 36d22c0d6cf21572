//! Finds the persons with protection of name and address.

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::layout;
use crate::record::{
    ProtectionType, is_possible_field, marked_relatives, pnr_number, protection_type, table_index,
};
use crate::wire::{Reader, Writer};

/// The index of 004 in [`layout::tables`].
pub(super) const TABLE: usize = table_index("004");

/// The persons who have a protection of name and address.
///
/// Every protection in the extract counts, whatever its dates: CPR sends an event when it deletes one, and a planned
/// protection may begin before the next delivery.
#[derive(Clone, Default)]
pub(super) struct Protections {
    /// The persons with a 004.
    own: RoaringTreemap,
    /// The relatives whom a record of another person shows as protected: that person and the relative.
    relatives: Vec<(u64, u64)>,
}

impl Protections {
    /// Reads a record of a table that [`may_protect`](crate::record::may_protect) accepts. A type that is not four digits
    /// counts as a protection of name and address.
    pub(super) fn add_record(&mut self, index: usize, person: u64, record: &[u8]) {
        if index == TABLE {
            if protection_type(record) != ProtectionType::Other {
                self.own.insert(person);
            }
        } else if let Some(table) = layout::tables().get(index) {
            // The relatives whom a filled start date of a protection (031-033) is about.
            let relatives = marked_relatives(table, record);
            for number in relatives.filter(|number| is_possible_field(number)) {
                self.relatives.push((person, pnr_number(number)));
            }
        }
    }

    /// Returns the protected persons.
    pub(super) fn of_persons(&self) -> RoaringTreemap {
        let relatives = self.relatives.iter().map(|(_, relative)| *relative);
        let mut protected = self.own.clone();
        protected.extend(relatives);
        protected
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.persons(&self.own)?;
        writer.pairs(&self.relatives);
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            own: reader.persons()?,
            relatives: reader.pairs()?,
        })
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.own |= &other.own;
        self.relatives.extend_from_slice(&other.relatives);
    }

    /// Adds what the records of the persons in one extract of a state say, if they count.
    pub(super) fn absorb(&mut self, extract: Self, counts: impl Fn(u64) -> bool) {
        self.own
            .extend(extract.own.into_iter().filter(|person| counts(*person)));
        let relatives = extract.relatives.into_iter();
        self.relatives
            .extend(relatives.filter(|(person, _)| counts(*person)));
    }

    /// Returns the persons whose records protect a person.
    pub(super) fn sources(&self) -> RoaringTreemap {
        let mut sources = self.own.clone();
        sources.extend(self.relatives.iter().map(|(person, _)| *person));
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::may_protect;

    fn is_protected(fields: &str) -> bool {
        let mut protections = Protections::default();
        protections.add_record(TABLE, 1, format!("0040101010101{fields}").as_bytes());
        !protections.of_persons().is_empty()
    }

    #[test]
    fn protects_whatever_the_dates_are() {
        for dates in [
            "",
            "2026-06-15",
            "2999-01-01",
            "2999-01-012999-12-31",
            "2020-01-012021-01-01",
            "          2020-01-01",
            "2026-00-00",
            "garbage!!!",
        ] {
            assert!(is_protected(&format!("0001{dates}")), "{dates}");
        }
    }

    #[test]
    fn an_unreadable_type_protects() {
        for unreadable in [
            "",
            "    ",
            "1",
            " 1",
            "\t",
            "1   ",
            "000",
            "001 ",
            "0001\u{0}".get(1..).unwrap(),
            "00O1",
            "0000",
            "0010",
            "0101",
            "1000",
            "9999",
        ] {
            assert!(is_protected(unreadable), "{unreadable:?}");
            assert!(
                is_protected(&format!("{unreadable:4}2020-01-01")),
                "{unreadable:?}"
            );
        }
        for other in [
            "0002",
            "0003",
            "0004",
            "0005",
            "00022020-01-01",
            "00022020-00-00",
            "0002          2020-01-01",
            "00022020-01-012021-01-31",
        ] {
            assert!(!is_protected(other), "{other}");
        }
        // The damage can have changed the type, too.
        for damaged in [
            "00022x20-01-01",
            "00022020-99-99",
            "0002          2020-13-01",
            "00022020-01",
        ] {
            assert!(is_protected(damaged), "{damaged}");
        }
    }

    #[test]
    fn a_protection_start_date_of_a_relative_protects_the_relative() {
        for (record_type, name) in [
            ("031", "mother_pnr"),
            ("032", "father_pnr"),
            ("033", "child_pnr"),
        ] {
            let index = table_index(record_type);
            assert!(may_protect(index), "{name}");
            let protected = |relative: &str, mark: &str| {
                let mut protections = Protections::default();
                let record = format!("{record_type}0101010010{relative:10}{:236}{mark}", "");
                protections.add_record(index, 101_010_010, record.as_bytes());
                protections.of_persons().iter().collect::<Vec<_>>()
            };
            assert_eq!(protected("0101010029", "2020-01-01"), [101_010_029]);
            assert_eq!(protected("0101010029", "2999-00-00"), [101_010_029]);
            assert_eq!(protected("0101010029", "x"), [101_010_029]);
            for (relative, mark) in [
                ("0101010029", ""),
                ("0000000000", "2020-01-01"),
                ("", "2020-01-01"),
            ] {
                assert!(protected(relative, mark).is_empty(), "{name}");
            }
        }
        assert!(!may_protect(table_index("034")) && !may_protect(table_index("015")));
    }
}
