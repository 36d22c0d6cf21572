//! What a policy hides of single rows, because the row's type tells the class.

use super::shifted::is_shifted;
use super::{ProtectionRule, Rules};
use crate::layout::{
    Column, DERIVED_MARK, EVENT_CLASSES, EVENT_CODE, EventClass, Kind, MARK_CLASSES, Places,
    Sensitivity, Table, class_of,
};
use crate::record::has_readable_type;
use crate::value;

/// Bits of the columns that are null in some rows; see [`RowMask::rows`](crate::columns::RowMask).
pub(crate) mod row_bits {
    /// An event of a hidden class: its code, its derived mark and the time of day.
    pub(crate) const EVENT: u8 = 1;
    /// The columns about a spouse who is a former or dead one.
    pub(crate) const FORMER_SPOUSE: u8 = 2;
    /// A code that shows where a protected person is in some rows.
    pub(crate) const PLACE: u8 = 4;
    /// Everything but the person's own number, because values stand in the wrong columns.
    pub(crate) const SHIFTED: u8 = 8;
}

/// The record types of protections (004) and former ones (034), which also hold credit warnings.
const PROTECTIONS: [&str; 2] = ["004", "034"];

/// The type of a credit warning.
const CREDIT_WARNING: &[u8] = b"0005";

/// The position of the person number that is a record's key.
const KEY_POSITION: usize = 4;

/// The length of the date at the beginning of a time.
const DATE_LENGTH: usize = 8;

/// The record type of the current civil status.
const CIVIL_STATUS: &str = "012";

/// The civil statuses whose spouse is the present one: married, and in a registered partnership.
const WITH_SPOUSE: [&[u8]; 2] = [b"G", b"P"];

/// The classes that a policy shows, as far as single rows depend on them.
#[derive(Debug, Clone)]
pub(super) struct ShownClasses {
    economic: bool,
    former_spouse: bool,
    /// Whether every class is shown. Only then are events of unknown meaning.
    all: bool,
    events: Vec<&'static str>,
    marks: Vec<&'static str>,
}

impl ShownClasses {
    /// Finds what is shown if `allows` tells whether a class is.
    pub(super) fn new(allows: impl Fn(&str) -> bool) -> Self {
        let shown = |classes: &'static [EventClass]| {
            let shown = classes
                .iter()
                .filter(|event| event.classes.iter().all(|class| allows(class)));
            shown.map(|event| event.code).collect()
        };
        let mut every = Sensitivity::ALL.iter().map(|class| class.name());
        Self {
            economic: allows(Sensitivity::Economic.name()),
            former_spouse: allows(Sensitivity::CivilStatusHistory.name()),
            all: every.all(&allows),
            events: shown(EVENT_CLASSES),
            marks: shown(MARK_CLASSES),
        }
    }

    /// Returns whether an event with this code may be shown. An event without a code can be of any class.
    pub(super) fn shows_event(&self, code: &[u8]) -> bool {
        self.shows(EVENT_CLASSES, &self.events, code)
    }

    /// Returns whether a derived mark may be shown. Most events have none.
    fn shows_mark(&self, mark: &[u8]) -> bool {
        value::is_spaces(mark) || self.shows(MARK_CLASSES, &self.marks, mark)
    }

    /// Returns whether all classes of a code are shown. A code whose meaning is not known can be of any class.
    fn shows(&self, all: &'static [EventClass], shown: &[&str], code: &[u8]) -> bool {
        self.all || class_of(all, code).is_some_and(|event| shown.contains(&event.code))
    }
}

impl Rules {
    /// Returns whether the classes show an event with this code and derived mark.
    pub(super) fn shows_event(&self, code: &[u8], mark: &[u8]) -> bool {
        self.shown.shows_event(code) && self.shown.shows_mark(mark)
    }

    /// Returns whether the policy hides an event with this code from the rows of protected persons, because all persons
    /// of a place have it.
    pub(super) fn masks_event(&self, code: &[u8]) -> bool {
        self.protection == ProtectionRule::Mask && is_of_place(code)
    }

    /// Returns whether the row is left out because its type tells a hidden class: a credit warning among the
    /// protections. A type that cannot be read may be one.
    #[inline]
    pub(crate) fn hides_row(&self, table: &Table, record: &[u8]) -> bool {
        !self.shown.economic
            && PROTECTIONS.contains(&table.record_type)
            && (record.get(13..17) == Some(CREDIT_WARNING) || !has_readable_type(record))
    }

    /// Returns the bits of [`row_bits`] that apply to a record. `own` tells whether the policy masks its person,
    /// `reveals` leaves out what only hidden classes hide, and `field` returns the bytes of a column.
    pub(crate) fn row_bits<'a>(
        &self,
        table: &'static Table,
        own: bool,
        reveals: bool,
        field: impl Fn(&Column) -> &'a [u8],
    ) -> u8 {
        let mut bits = 0;
        if let Some(code) = table.column(EVENT_CODE) {
            let code = field(code);
            let mark = table.column(DERIVED_MARK).map_or(&b""[..], &field);
            if !reveals && !self.shows_event(code, mark) || own && is_of_place(code) {
                bits |= row_bits::EVENT;
            }
        } else if table.record_type == CIVIL_STATUS {
            let status = table.column("civil_status").map(&field);
            if !reveals
                && !self.shown.former_spouse
                && !status.is_some_and(|s| WITH_SPOUSE.contains(&s))
            {
                bits |= row_bits::FORMER_SPOUSE;
            }
        } else if own
            && let Some((column, codes)) = place_condition(table)
            && !codes.iter().any(|code| code.as_bytes() == field(column))
        {
            bits |= row_bits::PLACE;
        }
        // A value that is hidden anyway must make no difference to what is shown.
        let visible = |column: &Column| match column.kind {
            _ if bits & Self::bits_of_type(table, column) != 0 => &b""[..],
            Kind::Timestamp if bits & row_bits::EVENT != 0 => {
                let time = field(column);
                time.get(..DATE_LENGTH).unwrap_or(time)
            }
            _ => field(column),
        };
        if !self.hides_nothing && is_shifted(table, visible) {
            bits |= row_bits::SHIFTED;
        }
        bits
    }

    /// Returns the bits of [`row_bits`] under which a column is null.
    pub(super) fn column_bits(table: &Table, column: &Column) -> u8 {
        let is_key = table.is_keyed() && column.position == KEY_POSITION;
        let shifted = if is_key { 0 } else { row_bits::SHIFTED };
        shifted | Self::bits_of_type(table, column)
    }

    /// Returns the bits of [`row_bits`] under which the type of the row makes a column null.
    fn bits_of_type(table: &Table, column: &Column) -> u8 {
        if [EVENT_CODE, DERIVED_MARK].contains(&column.name) {
            row_bits::EVENT
        } else if table.record_type == CIVIL_STATUS && column.relative.is_some() {
            row_bits::FORMER_SPOUSE
        } else if matches!(column.places, Places::Unless(..)) {
            row_bits::PLACE
        } else {
            0
        }
    }
}

/// Returns whether all persons of a place have an event with this code on the same day.
fn is_of_place(code: &[u8]) -> bool {
    class_of(EVENT_CLASSES, code).is_some_and(|event| event.places)
}

/// Returns the column of a table that tells whether another one shows where a person is, with the codes for which it
/// does not.
fn place_condition(table: &'static Table) -> Option<(&'static Column, &'static [&'static str])> {
    let mut columns = table.columns.iter();
    columns.find_map(|column| match column.places {
        Places::Unless(name, codes) => Some((table.column(name)?, codes)),
        Places::No | Places::Yes => None,
    })
}
