//! The layouts of the extract: which record types exist and where each field stands.
//!
//! [`tables`] is the one table that parser, schemas, documentation, writer and generator share.

mod tables;

/// How a field's bytes are read, and so which Arrow type its column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A code of CPR's; leading zeros are part of it. `Utf8`.
    Code,
    /// A one-character mark beside another field. `Utf8`.
    Mark,
    /// Free or structured text. `Utf8`.
    Text,
    /// A UUID in its usual text form. `Utf8`.
    Uuid,
    /// A person number (PNR), ten digits; blank and ten zeros mean nobody. `Utf8`.
    Pnr,
    /// `YYYY-MM-DD`. `Date32`.
    Date,
    /// `YYYYMMDD`, in the start record only. `Date32`.
    Date8,
    /// `YYYYMMDDHHMM`, Danish local time. `Timestamp(Microsecond)` without a zone.
    Timestamp,
    /// `*` for true, blank for false. `Boolean`.
    Flag,
    /// Digits with leading zeros. `Int64`.
    Count,
}

impl Kind {
    /// The name of the kind in the contract and in documentation.
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

    /// Whether the column is `Utf8`, which holds any content exactly.
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Self::Code | Self::Mark | Self::Text | Self::Uuid | Self::Pnr
        )
    }
}

/// What CPR fills a field with when there is no value. The other filling is read as null too, and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blank {
    /// Spaces.
    Spaces,
    /// Zeros.
    Zeros,
}

/// The class of personal data that a column belongs to, for policies and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sensitivity {
    /// Addresses, street and municipality codes, address UUIDs, dates of moving.
    Address,
    /// Civil status and its dates.
    CivilStatus,
    /// Credit warnings.
    Economic,
    /// Text written by an official.
    FreeText,
    /// Identifiers that tie a person's numbers together.
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
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Address,
        Self::CivilStatus,
        Self::Economic,
        Self::FreeText,
        Self::Identity,
        Self::Name,
        Self::Protection,
        Self::Religion,
        Self::Social,
    ];

    /// The name of the class in the contract and in documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::CivilStatus => "civil-status",
            Self::Economic => "economic",
            Self::FreeText => "free-text",
            Self::Identity => "identity",
            Self::Name => "name",
            Self::Protection => "protection",
            Self::Religion => "religion",
            Self::Social => "social",
        }
    }
}

/// A field of a record type and the column it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// CPR's name of the field, as in the product description.
    pub cpr_name: &'static str,
    /// The column's name.
    pub name: &'static str,
    /// Position of the first byte, 1-based, as the product description counts.
    pub position: usize,
    /// Length in bytes.
    pub length: usize,
    /// How the bytes are read.
    pub kind: Kind,
    /// What CPR fills the field with when there is no value.
    pub blank: Blank,
    /// The class of personal data, if the column belongs to one.
    pub sensitivity: Option<Sensitivity>,
    /// The column of the same table with the number of the relative whom this one tells about; none where it tells
    /// about the record's own person.
    pub relative: Option<&'static str>,
}

impl Column {
    /// Where the field starts in the record, 0-based.
    pub const fn start(&self) -> usize {
        self.position - 1
    }

    /// Where the field ends in the record, 0-based, exclusive.
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

    const fn class(mut self, sensitivity: Sensitivity) -> Self {
        self.sensitivity = Some(sensitivity);
        self
    }
}

/// A record type and the table it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The three digits at the start of the record.
    pub record_type: &'static str,
    /// The table's name.
    pub name: &'static str,
    /// Every length that the record has had, shortest first; the last is today's.
    pub lengths: &'static [usize],
    /// CPR's title of the record type, in Danish.
    pub cpr_title: &'static str,
    /// What a row says, in English.
    pub description: &'static str,
    /// The fields after the record type, in order.
    pub columns: &'static [Column],
    /// Whether the table ties person numbers to each other or to other identifiers, beside their keys.
    pub ties_numbers: bool,
}

impl Table {
    /// Today's length of the record in bytes.
    pub const fn record_length(&self) -> usize {
        self.lengths[self.lengths.len() - 1]
    }

    /// Whether the record belongs to a person, with a PNR as its key at positions 4-13.
    pub const fn is_keyed(&self) -> bool {
        matches!(self.columns[0].kind, Kind::Pnr)
    }

    /// The class of circumstances that a row tells of by being there: that of the table's first column with a class,
    /// and free text where the rest only numbers and dates it.
    pub fn subject(&self) -> Option<Sensitivity> {
        let first = self.columns.iter().find_map(|column| column.sensitivity)?;
        match first {
            Sensitivity::CivilStatus
            | Sensitivity::Economic
            | Sensitivity::Protection
            | Sensitivity::Religion
            | Sensitivity::Social => Some(first),
            Sensitivity::FreeText => (self.record_type == NOTE).then_some(first),
            Sensitivity::Address | Sensitivity::Identity | Sensitivity::Name => None,
        }
    }

    /// Whether a row tells of a civil status that was.
    pub fn is_of_former_status(&self) -> bool {
        FORMER_STATUS.contains(&self.record_type)
    }

    /// The events of the table that tell of church membership.
    pub fn religious_events(&self) -> &'static [&'static str] {
        match self.record_type {
            EVENT | RECEIPT => RELIGIOUS_EVENTS,
            _ => &[],
        }
    }

    const fn ties_numbers(mut self) -> Self {
        self.ties_numbers = true;
        self
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The record type of notes: a text, its number and its dates.
const NOTE: &str = "019";

/// The record types of former civil statuses and separations.
const FORMER_STATUS: &[&str] = &["029", "030"];

/// The record type of events, and the column with their code.
const EVENT: &str = "099";
pub(crate) const EVENT_CODE: &str = "event_code";

/// The receipt for a person who is subscribed to no longer, which has an event's code too.
const RECEIPT: &str = "997";

/// Events by which a person's relation to the Church of Denmark changes.
const RELIGIOUS_EVENTS: &[&str] = &["A34", "P56"];

/// The longest record that any layout knows, in bytes.
pub const LONGEST_RECORD: usize = longest(tables::TABLES);

/// The longest field that any layout knows, in bytes.
pub const LONGEST_FIELD: usize = longest_field(tables::TABLES);

/// Every record type, ordered by number.
pub const fn tables() -> &'static [Table] {
    tables::TABLES
}

/// The table of that name.
pub fn by_name(name: &str) -> Option<&'static Table> {
    tables::TABLES.iter().find(|table| table.name == name)
}

/// The table's place in [`tables`] for a record type given as three ASCII digits.
pub fn index_of(record_type: [u8; 3]) -> Option<usize> {
    index_of_number(type_number(record_type)?)
}

/// The table's place in [`tables`] for a record type as a number below 1,000.
#[inline]
pub fn index_of_number(record_type: u16) -> Option<usize> {
    match INDEX.get(usize::from(record_type)) {
        Some(&index) if index != NO_TABLE => Some(usize::from(index)),
        _ => None,
    }
}

/// The record type as a number, if it is three ASCII digits.
#[inline]
pub fn type_number(record_type: [u8; 3]) -> Option<u16> {
    let [a, b, c] = record_type.map(|byte| u16::from(byte.wrapping_sub(b'0')));
    (a <= 9 && b <= 9 && c <= 9).then_some(a * 100 + b * 10 + c)
}

const NO_TABLE: u8 = u8::MAX;

/// Record type number to place in [`tables`].
static INDEX: [u8; 1000] = index(tables::TABLES);

const fn index(tables: &[Table]) -> [u8; 1000] {
    let mut index = [NO_TABLE; 1000];
    let mut i = 0;
    while i < tables.len() {
        let digits = tables[i].record_type.as_bytes();
        assert!(digits.len() == 3);
        let number = (digits[0] - b'0') as usize * 100
            + (digits[1] - b'0') as usize * 10
            + (digits[2] - b'0') as usize;
        assert!(index[number] == NO_TABLE, "a record type stands twice");
        index[number] = i as u8;
        i += 1;
    }
    index
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

/// A table whose fields follow each other without gap from position 4 to the record's end: checked when
/// the crate is compiled.
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
    }
}

/// One short constructor per kind, so that a field is one line of the table.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_types_are_found_and_others_are_not() {
        for (place, table) in tables().iter().enumerate() {
            let digits: [u8; 3] = table.record_type.as_bytes().try_into().unwrap();
            assert_eq!(index_of(digits), Some(place), "{}", table.name);
        }
        assert_eq!(index_of(*b"036"), None);
        assert_eq!(index_of(*b"00A"), None);
        assert_eq!(tables().len(), 45);
        assert_eq!(LONGEST_RECORD, 382);
    }

    #[test]
    fn names_are_unique() {
        for table in tables() {
            assert_eq!(
                tables().iter().filter(|t| t.name == table.name).count(),
                1,
                "{}",
                table.name
            );
            for column in table.columns {
                let same = table.columns.iter().filter(|c| c.name == column.name);
                assert_eq!(same.count(), 1, "{}.{}", table.name, column.name);
                assert!(!["line", "irregular", "protected"].contains(&column.name));
            }
        }
    }

    #[test]
    fn a_relative_is_named_by_a_number_of_the_same_table() {
        let mut relatives = Vec::new();
        for table in tables() {
            for column in table.columns {
                let Some(relative) = column.relative else {
                    continue;
                };
                let number = table.column(relative).unwrap();
                assert_eq!(number.kind, Kind::Pnr, "{}.{}", table.name, column.name);
                assert_ne!(number.name, table.columns[0].name);
                relatives.push((table.record_type, relative));
            }
        }
        relatives.dedup();
        assert_eq!(
            relatives,
            [
                ("012", "spouse_pnr"),
                ("015", "mother_pnr"),
                ("015", "father_pnr"),
                ("017", "guardian_pnr"),
                ("029", "spouse_pnr"),
                ("031", "mother_pnr"),
                ("032", "father_pnr"),
                ("033", "child_pnr"),
                ("052", "guardian_pnr"),
            ]
        );
    }

    #[test]
    fn tables_whose_rows_tell_by_being_there() {
        let of = |class: Sensitivity| -> Vec<&str> {
            let tables = tables().iter().filter(|t| t.subject() == Some(class));
            tables.map(|table| table.record_type).collect()
        };
        assert_eq!(of(Sensitivity::Religion), ["011", "028"]);
        assert_eq!(of(Sensitivity::CivilStatus), ["012", "013", "029", "030"]);
        assert_eq!(of(Sensitivity::Protection), ["004", "034"]);
        assert_eq!(of(Sensitivity::Economic), ["035", "050"]);
        let social = ["007", "017", "018", "021", "025", "052"];
        assert_eq!(of(Sensitivity::Social), social);
        assert_eq!(of(Sensitivity::FreeText), ["019"]);
        assert!(of(Sensitivity::Name).is_empty());
    }
}
