//! Finds the persons with protection of name and address.

use roaring::RoaringTreemap;

use crate::layout::{self, Blank, Column};
use crate::record::table_index;
use crate::value::{self, Cell};

/// The index of 004 in [`layout::tables`].
pub(super) const TABLE: usize = table_index("004");

/// The type of a protection of name and address.
const NAME_AND_ADDRESS: &[u8] = b"0001";

const TYPE: &Column = column(TABLE, "protection_type");
const START: &Column = column(TABLE, "start_date");
const DELETION: &Column = column(TABLE, "deletion_date");

/// The persons whose protection of name and address is in force.
#[derive(Clone, Default)]
pub(super) struct Protections {
    protected: RoaringTreemap,
}

impl Protections {
    /// Reads a 004. Without a day the protection is in force whatever its dates.
    pub(super) fn add_record(&mut self, person: u64, record: &[u8], day: Option<i32>) {
        if field(record, TYPE) == NAME_AND_ADDRESS && is_in_force(record, day) {
            self.protected.insert(person);
        }
    }

    /// Returns the protected persons.
    pub(super) fn of_persons(&self) -> &RoaringTreemap {
        &self.protected
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.protected |= &other.protected;
    }
}

/// Returns whether the protection is in force. Only a valid start date after the day, or a valid end date on or before
/// it, lifts a protection.
fn is_in_force(record: &[u8], day: Option<i32>) -> bool {
    let Some(day) = day else {
        return true;
    };
    let is_to_come = date(record, START).is_some_and(|start| start > day);
    let is_over = date(record, DELETION).is_some_and(|end| end <= day);
    !is_to_come && !is_over
}

/// Returns the date in a field, if it is one.
fn date(record: &[u8], column: &Column) -> Option<i32> {
    match value::date(field(record, column), Blank::Spaces) {
        Cell::Value(days) => Some(days),
        Cell::Null | Cell::Irregular(_) => None,
    }
}

fn field<'a>(record: &'a [u8], column: &Column) -> &'a [u8] {
    record.get(column.start()..column.end()).unwrap_or_default()
}

/// Returns a column of the table at that index. Evaluated at compile time, so the column must exist.
pub(super) const fn column(table: usize, name: &str) -> &'static Column {
    let columns = layout::tables()[table].columns;
    let mut i = 0;
    while !same(columns[i].name, name) {
        i += 1;
    }
    &columns[i]
}

/// Compares two texts at compile time, where `==` is not available.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar;

    fn is_protected(fields: &str, day: Option<&str>) -> bool {
        let day = day.map(|day| grammar::date(day.as_bytes()).unwrap());
        let mut protections = Protections::default();
        protections.add_record(1, format!("0040101010101{fields}").as_bytes(), day);
        !protections.of_persons().is_empty()
    }

    #[test]
    fn an_invalid_date_never_lifts_a_protection() {
        let on = |fields: &str| is_protected(fields, Some("2026-06-15"));
        for in_force in [
            "0001",
            "00012026-06-15",
            "00012026-06-152026-06-16",
            "0001          2026-06-16",
            "00012026-00-00",
            "00012027-00-002026-00-00",
            "00012999-13-01",
            "0001 2026-07-01",
            "00012026-01-010000000000",
            "00012026-01-012026-06-1",
            "00012026-01-01garbage!!!",
        ] {
            assert!(on(in_force), "{in_force}");
        }
        for lifted in [
            "00012026-06-16",
            "00012026-01-012026-06-15",
            "0001          2026-06-15",
            "00012026-00-002020-01-01",
            "0002",
            "00032026-01-01",
            "    ",
            "",
        ] {
            assert!(!on(lifted), "{lifted}");
        }
    }

    #[test]
    fn without_a_day_every_protection_is_in_force() {
        for fields in ["00012999-01-01", "00012000-01-012001-01-01"] {
            assert!(is_protected(fields, None), "{fields}");
        }
        assert!(!is_protected("00022999-01-01", None));
    }
}
