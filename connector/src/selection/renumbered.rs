//! Person numbers that were replaced by others.

use roaring::RoaringTreemap;

use super::protection::column;
use crate::layout::Column;
use crate::record::{PERSON, pnr_number};
use crate::value;

/// The statuses of numbers that were deleted or changed.
const STATUSES: [&[u8]; 2] = [b"50", b"60"];

const STATUS: &Column = column(PERSON, "status");
const VALID: &Column = column(PERSON, "current_pnr");

/// The numbers that were deleted or changed, each with the number that is valid now.
#[derive(Clone, Default)]
pub(super) struct Renumbered(Vec<(u64, u64)>);

impl Renumbered {
    /// Reads a 001.
    pub(super) fn add_record(&mut self, person: u64, record: &[u8]) {
        let field = |column: &Column| record.get(column.start()..column.end()).unwrap_or_default();
        let valid = field(VALID);
        if STATUSES.contains(&field(STATUS)) && value::is_pnr(valid) && !value::is_blank_pnr(valid)
        {
            self.0.push((person, pnr_number(valid)));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Returns the replaced numbers for whose valid number `is_so` returns true.
    pub(super) fn where_current(&self, is_so: impl Fn(u64) -> bool) -> RoaringTreemap {
        let numbers = self.0.iter();
        let numbers = numbers.filter(|(_, valid)| is_so(*valid));
        numbers.map(|(person, _)| *person).collect()
    }
}
