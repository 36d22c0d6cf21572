//! The layouts of the extract: the record types and the positions of their fields.
//!
//! The parser, the schemas, the documentation, the writer and the generator all use [`tables()`].

mod events;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use events::class_of;
pub use events::{EVENT_CLASSES, EventClass, MARK_CLASSES};

/// The kind of a field: how its bytes are read, and which Arrow type its column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A code of CPR; leading zeros are significant. `Utf8`.
    Code,
    /// A mark of one character that qualifies another field. `Utf8`.
    Mark,
    /// Free or structured text. `Utf8`.
    Text,
    /// A UUID in its usual text form. `Utf8`.
    Uuid,
    /// A person number (PNR) of ten digits; blank or ten zeros mean no person. `Utf8`.
    Pnr,
    /// `YYYY-MM-DD`. `Date32`.
    Date,
    /// `YYYYMMDD`, in the start record only. `Date32`.
    Date8,
    /// `YYYYMMDDHHMM` in Danish local time. `Timestamp(Microsecond)` without a zone.
    Timestamp,
    /// `*` for true, blank for false. `Boolean`.
    Flag,
    /// Digits with leading zeros. `Int64`.
    Count,
}

impl Kind {
    /// Returns the name of the kind in the contract and the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Mark => "mark",
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Pnr => "pnr",
            Self::Date => "date",
            Self::Date8 => "date8",
            Self::Timestamp => "timestamp",
            Self::Flag => "flag",
            Self::Count => "count",
        }
    }

    /// Returns whether the column is `Utf8`, which holds any content exactly.
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Self::Code | Self::Mark | Self::Text | Self::Uuid | Self::Pnr
        )
    }
}

/// The filling of a field without a value. The other filling is read as null too and is recorded as irregular.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blank {
    /// Spaces.
    Spaces,
    /// Zeros.
    Zeros,
}

/// A class of personal data, for policies and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sensitivity {
    /// Addresses, street and municipality codes, address UUIDs, dates of moving, countries moved to and from.
    Address,
    /// Civil status and its dates.
    CivilStatus,
    /// Former civil statuses and separations.
    CivilStatusHistory,
    /// Credit warnings.
    Economic,
    /// Children, parents, custody, shared residence, and the numbers of relatives.
    Family,
    /// The right to vote and choices about it.
    Franchise,
    /// Text written by an official.
    FreeText,
    /// Identifiers that connect the numbers of one person.
    Identity,
    /// Names of the person or of relatives.
    Name,
    /// Protections of name, address and use.
    Protection,
    /// Membership of the Church of Denmark: religious belief, GDPR article 9.
    Religion,
    /// Social circumstances: guardianship, disappearance, municipal conditions, orders to move.
    Social,
}

impl Sensitivity {
    /// All classes.
    pub const ALL: [Self; 12] = [
        Self::Address,
        Self::CivilStatus,
        Self::CivilStatusHistory,
        Self::Economic,
        Self::Family,
        Self::Franchise,
        Self::FreeText,
        Self::Identity,
        Self::Name,
        Self::Protection,
        Self::Religion,
        Self::Social,
    ];

    /// Returns the name of the class in the contract and the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::CivilStatus => "civil-status",
            Self::CivilStatusHistory => "civil-status-history",
            Self::Economic => "economic",
            Self::Family => "family",
            Self::Franchise => "franchise",
            Self::FreeText => "free-text",
            Self::Identity => "identity",
            Self::Name => "name",
            Self::Protection => "protection",
            Self::Religion => "religion",
            Self::Social => "social",
        }
    }
}

/// A field of a record type, and the column for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// CPR's name of the field, from the product description.
    pub cpr_name: &'static str,
    /// The column's name.
    pub name: &'static str,
    /// The position of the first byte, 1-based, as in the product description.
    pub position: usize,
    /// The length in bytes.
    pub length: usize,
    /// How the bytes are read.
    pub kind: Kind,
    /// The filling of the field without a value.
    pub blank: Blank,
    /// The class of personal data, if the column belongs to one.
    pub sensitivity: Option<Sensitivity>,
    /// The column of the same table with the number of the relative whom this column is about: this column itself if
    /// it holds that number; `None` if the column is about the record's own person.
    pub relative: Option<&'static str>,
    /// Whether the column shows where the record's own person is or was, apart from its class.
    pub places: Places,
}

/// Whether a column shows where a person is or was. Such a column is masked for protected persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// It shows nothing of the kind.
    No,
    /// It does.
    Yes,
    /// It does unless another column of the table has one of these codes.
    Unless(&'static str, &'static [&'static str]),
}

impl Column {
    /// Returns the offset of the field's first byte in the record, 0-based.
    pub const fn start(&self) -> usize {
        self.position - 1
    }

    /// Returns the offset after the field's last byte in the record, 0-based.
    pub const fn end(&self) -> usize {
        self.position - 1 + self.length
    }

    const fn zeros(mut self) -> Self {
        self.blank = Blank::Zeros;
        self
    }

    const fn of(mut self, relative: &'static str) -> Self {
        self.relative = Some(relative);
        self
    }

    /// Marks the number of a relative.
    const fn of_itself(self) -> Self {
        let name = self.name;
        self.of(name)
    }

    const fn places(mut self) -> Self {
        self.places = Places::Yes;
        self
    }

    const fn places_unless(mut self, column: &'static str, codes: &'static [&'static str]) -> Self {
        self.places = Places::Unless(column, codes);
        self
    }

    const fn class(mut self, sensitivity: Sensitivity) -> Self {
        self.sensitivity = Some(sensitivity);
        self
    }
}

/// A record type, and the table for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The three digits at the start of the record.
    pub record_type: &'static str,
    /// The table's name.
    pub name: &'static str,
    /// The lengths in bytes that the record has had, shortest first; the last is the current one.
    pub lengths: &'static [usize],
    /// CPR's title of the record type, in Danish.
    pub cpr_title: &'static str,
    /// The meaning of a row, in English.
    pub description: &'static str,
    /// The fields after the record type, in order.
    pub columns: &'static [Column],
    /// Whether the table ties person numbers to each other or to other identifiers, apart from the key.
    pub ties_numbers: bool,
}

impl Table {
    /// Returns the current length of the record in bytes.
    pub const fn record_length(&self) -> usize {
        self.lengths[self.lengths.len() - 1]
    }

    /// Returns whether the record belongs to a person, with a PNR as its key at positions 4-13.
    pub const fn is_keyed(&self) -> bool {
        matches!(self.columns[0].kind, Kind::Pnr)
    }

    /// Returns the class of personal data that the mere existence of a row reveals.
    ///
    /// It is the class of the table's first column with a class. Free text counts only for notes, whose other columns
    /// only number and date them.
    pub fn subject(&self) -> Option<Sensitivity> {
        let first = self.columns.iter().find_map(|column| column.sensitivity)?;
        match first {
            Sensitivity::CivilStatus
            | Sensitivity::CivilStatusHistory
            | Sensitivity::Economic
            | Sensitivity::Family
            | Sensitivity::Franchise
            | Sensitivity::Protection
            | Sensitivity::Religion
            | Sensitivity::Social => Some(first),
            Sensitivity::FreeText => (self.record_type == NOTE).then_some(first),
            Sensitivity::Address | Sensitivity::Identity | Sensitivity::Name => None,
        }
    }

    /// Returns the offsets of the timestamps in the record, 0-based.
    pub(crate) fn timestamps(&self) -> impl Iterator<Item = usize> {
        let times = self
            .columns
            .iter()
            .filter(|column| column.kind == Kind::Timestamp);
        times.map(Column::start)
    }

    const fn ties_numbers(mut self) -> Self {
        self.ties_numbers = true;
        self
    }

    /// Returns the column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The record type of notes: a text with its number and dates.
const NOTE: &str = "019";

/// The columns of events (099), and of the receipt for an ended subscription (997), that tell what happened.
pub const EVENT_CODE: &str = "event_code";
pub(crate) const DERIVED_MARK: &str = "derived_mark";

/// The length of the longest record of any layout, in bytes.
pub const LONGEST_RECORD: usize = longest(tables::TABLES);

/// The length of the longest field of any layout, in bytes.
pub const LONGEST_FIELD: usize = longest_field(tables::TABLES);

/// Returns all record types, ordered by number.
pub const fn tables() -> &'static [Table] {
    tables::TABLES
}

/// Returns the table of that name.
pub fn by_name(name: &str) -> Option<&'static Table> {
    tables::TABLES.iter().find(|table| table.name == name)
}

/// Returns the index in [`tables()`] of a record type given as three ASCII digits.
#[inline]
pub fn index_of([a, b, c]: [u8; 3]) -> Option<usize> {
    // All three bytes are tested at once: the high halves here, and the low halves by the table.
    let digits = u32::from_le_bytes([a, b, c, b'0']) ^ u32::from_le_bytes([b'0'; 4]);
    if digits & 0xf0f0_f0f0 != 0 {
        return None;
    }
    match INDEX.get(place([a, b, c])) {
        Some(&index) if index != NO_TABLE => Some(usize::from(index)),
        _ => None,
    }
}

/// Returns the record type as a number, if it is three ASCII digits.
#[inline]
pub fn type_number(record_type: [u8; 3]) -> Option<u16> {
    let [a, b, c] = record_type.map(|byte| u16::from(byte.wrapping_sub(b'0')));
    (a <= 9 && b <= 9 && c <= 9).then_some(a * 100 + b * 10 + c)
}

const NO_TABLE: u8 = u8::MAX;

/// The index in [`tables()`] by the low halves of a record type's digits.
static INDEX: [u8; 0x1000] = index(tables::TABLES);

const fn index(tables: &[Table]) -> [u8; 0x1000] {
    let mut index = [NO_TABLE; 0x1000];
    let mut i = 0;
    while i < tables.len() {
        let digits = tables[i].record_type.as_bytes();
        assert!(digits.len() == 3);
        let place = place([digits[0], digits[1], digits[2]]);
        assert!(index[place] == NO_TABLE, "a record type occurs twice");
        index[place] = i as u8;
        i += 1;
    }
    index
}

/// Returns the place of three digits in [`INDEX`].
const fn place([a, b, c]: [u8; 3]) -> usize {
    (a as usize & 15) << 8 | (b as usize & 15) << 4 | (c as usize & 15)
}

const fn longest(tables: &[Table]) -> usize {
    let mut longest = 0;
    let mut i = 0;
    while i < tables.len() {
        if tables[i].record_length() > longest {
            longest = tables[i].record_length();
        }
        i += 1;
    }
    longest
}

const fn longest_field(tables: &[Table]) -> usize {
    let mut longest = 0;
    let mut i = 0;
    while i < tables.len() {
        let mut k = 0;
        while k < tables[i].columns.len() {
            if tables[i].columns[k].length > longest {
                longest = tables[i].columns[k].length;
            }
            k += 1;
        }
        i += 1;
    }
    longest
}

/// Creates a table. Checks at compile time that the fields follow each other without gaps from position 4 to the
/// record's end.
const fn table(
    record_type: &'static str,
    name: &'static str,
    lengths: &'static [usize],
    cpr_title: &'static str,
    description: &'static str,
    columns: &'static [Column],
) -> Table {
    let mut end = 3;
    let mut i = 0;
    while i < columns.len() {
        assert!(
            columns[i].start() == end,
            "a field overlaps or leaves a gap"
        );
        end = columns[i].end();
        i += 1;
    }
    let table = Table {
        record_type,
        name,
        lengths,
        cpr_title,
        description,
        columns,
        ties_numbers: false,
    };
    assert!(
        end == table.record_length(),
        "the fields do not fill the record"
    );
    table
}

const fn column(
    cpr_name: &'static str,
    name: &'static str,
    position: usize,
    length: usize,
    kind: Kind,
) -> Column {
    Column {
        cpr_name,
        name,
        position,
        length,
        kind,
        blank: Blank::Spaces,
        sensitivity: None,
        relative: None,
        places: Places::No,
    }
}

/// Defines one short constructor per kind, so that a field fits on one line of the table.
macro_rules! kinds {
    ($($function:ident => $kind:ident),* $(,)?) => {$(
        const fn $function(
            cpr_name: &'static str,
            name: &'static str,
            position: usize,
            length: usize,
        ) -> Column {
            column(cpr_name, name, position, length, Kind::$kind)
        }
    )*};
}

kinds! {
    code => Code, mark => Mark, text => Text, uuid => Uuid, pnr => Pnr, date => Date,
    date8 => Date8, timestamp => Timestamp, flag => Flag, count => Count,
}
