//! Classifies a line of the extract: its record type, or why it is not a record.

use std::num::NonZeroU8;

use crate::layout;
use crate::value;

/// The class of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordClass {
    /// A record of the layout at this index of [`layout::tables`].
    Known(usize),
    /// A record of a type that has no layout; holds the type's number.
    Unknown(u16),
    /// Not a record.
    Rejected(RejectReason),
}

/// The reason why a line is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RejectReason {
    /// The line does not begin with three digits.
    NoRecordType,
    /// The record type has a PNR as its key, and positions 4-13 are not ten digits.
    IncompleteKey,
}

impl RejectReason {
    /// Returns the reason as the column `reason` of `rejected_record` holds it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoRecordType => "no-record-type",
            Self::IncompleteKey => "incomplete-key",
        }
    }
}

/// A set of record types that have a PNR as their key.
pub(crate) struct RecordTypes {
    /// The index in [`layout::tables`] by record type number; `None` for types outside the set.
    indexes: Vec<Option<NonZeroU8>>,
}

impl RecordTypes {
    /// Builds the set of those keyed types for whose index in [`layout::tables`] `chosen` returns true.
    pub(crate) fn keyed(chosen: impl Fn(usize) -> bool) -> Self {
        let index = |number| {
            // Index 0 is the start record, which has no key, so every index here is at least 1.
            let index = layout::index_of_number(number).filter(|index| is_keyed(*index))?;
            NonZeroU8::new(u8::try_from(index).ok().filter(|_| chosen(index))?)
        };
        Self {
            indexes: (0..1000).map(index).collect(),
        }
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.iter().all(Option::is_none)
    }

    /// Returns whether the line begins with the digits of one of the types and is no longer than any record.
    #[inline]
    pub(crate) fn has_type_of(&self, line: &[u8]) -> bool {
        let number = line
            .first_chunk()
            .and_then(|digits| layout::type_number(*digits));
        line.len() <= layout::LONGEST_RECORD && number.and_then(|n| self.get(n)).is_some()
    }

    #[inline]
    pub(crate) fn get(&self, number: u16) -> Option<usize> {
        let index = self.indexes.get(usize::from(number)).copied().flatten()?;
        Some(usize::from(index.get()))
    }
}

/// Classifies a line.
#[inline]
pub(crate) fn classify(record: &[u8]) -> RecordClass {
    let digits = record.first_chunk::<3>();
    let Some(number) = digits.and_then(|digits| layout::type_number(*digits)) else {
        return RecordClass::Rejected(RejectReason::NoRecordType);
    };
    match layout::index_of_number(number) {
        None => RecordClass::Unknown(number),
        Some(index) if is_keyed(index) && !record.get(3..13).is_some_and(value::is_pnr) => {
            RecordClass::Rejected(RejectReason::IncompleteKey)
        }
        Some(index) => RecordClass::Known(index),
    }
}

/// Returns the ten digits of a person number as an integer.
#[inline]
pub(crate) fn pnr_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| {
        number * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

fn is_keyed(index: usize) -> bool {
    static KEYED: [bool; layout::tables().len()] = {
        let mut keyed = [false; layout::tables().len()];
        let mut i = 0;
        while i < keyed.len() {
            keyed[i] = layout::tables()[i].is_keyed();
            i += 1;
        }
        keyed
    };
    KEYED.get(index).copied().unwrap_or_default()
}

/// Indexes in [`layout::tables`] of the record types that are treated separately.
pub(crate) const START: usize = table_index("000");
pub(crate) const PERSON: usize = table_index("001");
pub(crate) const INPUT_ERROR: usize = table_index("910");
pub(crate) const RECEIPT: usize = table_index("997");
pub(crate) const END: usize = table_index("999");

/// Returns the index in [`layout::tables`] of a record type. The type must exist: it is evaluated at compile time.
pub(crate) const fn table_index(record_type: &str) -> usize {
    let wanted = record_type.as_bytes();
    let mut i = 0;
    loop {
        let digits = layout::tables()[i].record_type.as_bytes();
        if digits[0] == wanted[0] && digits[1] == wanted[1] && digits[2] == wanted[2] {
            return i;
        }
        i += 1;
    }
}
