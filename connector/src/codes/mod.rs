//! The meaning of codes: reference tables in Danish and English.
//!
//! Sources: CPR's lists of events, derived marks and authorities, and its guide for users of extracts. A meaning that CPR
//! does not name was inferred from test extracts, or is not known; [`Basis`] says which. Danish names of places and
//! authorities are used in both languages. Where CPR's own Danish wording of a small table is not known, the Danish name is
//! a translation.
//!
//! - `lists` has the small tables.
//! - `authorities` has municipalities, regions, countries and all authorities.

mod authorities;
mod lists;

use std::sync::LazyLock;

use crate::layout;

/// How the meaning of a code is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// CPR lists it.
    Listed,
    /// It was inferred from test extracts.
    Inferred,
    /// The code occurs, and its meaning is not known.
    Unknown,
}

impl Basis {
    /// Returns the name in the contract and the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Inferred => "inferred",
            Self::Unknown => "unknown",
        }
    }
}

/// A code and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The code as it is in the column, with leading zeros.
    pub code: &'static str,
    /// The meaning in Danish; `None` if it is not known.
    pub name_da: Option<&'static str>,
    /// The meaning in English; `None` if it is not known.
    pub name_en: Option<&'static str>,
    /// How the meaning is known.
    pub basis: Basis,
    /// A value for each of the table's further columns.
    pub more: Vec<Option<&'static str>>,
}

impl Code {
    const fn new(
        code: &'static str,
        name_da: Option<&'static str>,
        name_en: Option<&'static str>,
        basis: Basis,
    ) -> Self {
        Self {
            code,
            name_da,
            name_en,
            basis,
            more: Vec::new(),
        }
    }
}

/// A reference table: the codes that some columns can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTable {
    /// The table's name.
    pub name: &'static str,
    /// The content, in English.
    pub description: &'static str,
    /// The names of the columns beside code, names and basis.
    pub more_columns: &'static [&'static str],
    /// The table and column of each field that has these codes.
    pub used_in: Vec<(&'static str, &'static str)>,
    /// The codes, sorted.
    pub codes: Vec<Code>,
}

impl CodeTable {
    /// Returns a code of the table; `None` if the table does not have it.
    pub fn find(&self, code: &str) -> Option<&Code> {
        let place = self.codes.binary_search_by(|known| known.code.cmp(code));
        self.codes.get(place.ok()?)
    }
}

/// A reference table before its columns are found in the layouts.
struct Definition {
    name: &'static str,
    description: &'static str,
    /// The names of the columns with these codes, in any table of the layouts.
    columns: &'static [&'static str],
    more_columns: &'static [&'static str],
    codes: fn() -> Vec<Code>,
}

/// Returns all reference tables.
pub fn code_tables() -> &'static [CodeTable] {
    static TABLES: LazyLock<Vec<CodeTable>> = LazyLock::new(|| {
        let definitions = lists::DEFINITIONS.iter().chain(authorities::DEFINITIONS);
        definitions.map(code_table).collect()
    });
    &TABLES
}

/// Returns the reference table with this name, if there is one.
pub fn code_table_named(name: &str) -> Option<&'static CodeTable> {
    code_tables().iter().find(|table| table.name == name)
}

/// Returns the name of the municipality with this code of four digits; `None` if no such municipality exists today.
pub fn municipality_name(code: &str) -> Option<&'static str> {
    let found = code_table_named(authorities::MUNICIPALITY)?.find(code)?;
    let is_today = found.more.last().is_some_and(Option::is_none);
    found.name_da.filter(|_| is_today)
}

fn code_table(definition: &Definition) -> CodeTable {
    let mut codes = (definition.codes)();
    codes.sort_by_key(|code| code.code);
    let used_in = layout::tables().iter().flat_map(|table| {
        let columns = table.columns.iter().map(|column| column.name);
        let coded = columns.filter(|column| definition.columns.contains(column));
        coded.map(|column| (table.name, column))
    });
    CodeTable {
        name: definition.name,
        description: definition.description,
        more_columns: definition.more_columns,
        used_in: used_in.collect(),
        codes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{EVENT_CLASSES, Kind, MARK_CLASSES};

    fn names(table: &str, code: &str) -> (Option<&'static str>, Option<&'static str>) {
        let found = code_table_named(table).unwrap().find(code).unwrap();
        (found.name_da, found.name_en)
    }

    #[test]
    fn tables_are_sorted_complete_and_without_doubles() {
        for table in code_tables() {
            assert!(
                table.codes.is_sorted_by(|one, next| one.code < next.code),
                "{}",
                table.name
            );
            for code in &table.codes {
                assert_eq!(
                    code.more.len(),
                    table.more_columns.len(),
                    "{} {}",
                    table.name,
                    code.code
                );
                assert!(code.name_da != Some("") && code.name_en != Some(""));
                let is_known = code.name_da.is_some() && code.name_en.is_some();
                assert_eq!(
                    is_known,
                    code.basis != Basis::Unknown,
                    "{} {}",
                    table.name,
                    code.code
                );
            }
        }
    }

    #[test]
    fn finds_meanings() {
        assert_eq!(names("status", "90"), (Some("Død"), Some("Dead")));
        assert_eq!(names("event", "A01"), (Some("Flytning"), Some("Move")));
        assert_eq!(names("event", "P51"), (None, None));
        assert_eq!(
            names("derived_mark", "ÆG"),
            (Some("Ægtefælle"), Some("Spouse"))
        );
        assert_eq!(
            names("country", "5180"),
            (Some("Tyskland,Forb.Rep"), Some("Germany"))
        );
        assert_eq!(
            names("authority", "0851"),
            (Some("Aalborg"), Some("Aalborg"))
        );
        assert_eq!(names("authority", "5110"), (Some("Norge"), Some("Norway")));
        let aalborg = code_table_named("municipality")
            .unwrap()
            .find("0851")
            .unwrap();
        assert_eq!(
            aalborg.more,
            [
                Some("1081"),
                Some("Region Nordjylland"),
                Some("North Denmark Region"),
                None
            ]
        );
        let ended = code_table_named("municipality")
            .unwrap()
            .find("0171")
            .unwrap();
        assert_eq!(ended.more.last(), Some(&Some("2006-12-22")));
    }

    #[test]
    fn every_municipality_of_today_has_a_region_or_is_outside_the_regions() {
        let table = code_table_named("municipality").unwrap();
        let of_today = table
            .codes
            .iter()
            .filter(|code| code.more.last() == Some(&None));
        let (with, without): (Vec<_>, Vec<_>) = of_today.partition(|code| code.more[0].is_some());
        assert_eq!(with.len(), 98);
        let without: Vec<_> = without.iter().map(|code| code.code).collect();
        assert_eq!(
            without,
            ["0411", "0955", "0956", "0957", "0959", "0960", "0961"]
        );
        let in_region = |region| {
            with.iter()
                .filter(|code| code.more[0] == Some(region))
                .count()
        };
        assert_eq!(
            ["1081", "1082", "1083", "1084", "1085"].map(in_region),
            [11, 19, 22, 29, 17]
        );
    }

    #[test]
    fn finds_names_of_todays_municipalities_only() {
        assert_eq!(municipality_name("0101"), Some("København"));
        assert_eq!(municipality_name("0960"), Some("Avannaata"));
        for unknown in ["0000", "0851 ", "851", "9999", "", "0171", "0958"] {
            assert_eq!(municipality_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_line_of_the_authorities_is_read() {
        let count = |text: &str| {
            let is_code = |line: &&str| line.starts_with(|first: char| first.is_ascii_digit());
            text.lines().filter(is_code).count()
        };
        let authorities = code_table_named("authority").unwrap().codes.len();
        let countries = code_table_named("country").unwrap().codes.len();
        assert_eq!(countries, count(authorities::COUNTRIES));
        assert_eq!(authorities, count(authorities::AUTHORITIES) + countries);
        assert_eq!((authorities, countries), (3389, 213));
    }

    #[test]
    fn events_and_marks_agree_with_their_classes() {
        for (name, classes) in [("event", EVENT_CLASSES), ("derived_mark", MARK_CLASSES)] {
            let table = code_table_named(name).unwrap();
            for class in classes {
                let code = table.find(class.code).unwrap();
                assert_ne!(code.basis, Basis::Unknown, "{}", class.code);
            }
            let known = table
                .codes
                .iter()
                .filter(|code| code.basis != Basis::Unknown);
            assert_eq!(known.count(), classes.len(), "{name}");
        }
    }

    #[test]
    fn every_coded_column_has_a_table_or_is_known_to_have_none() {
        // Codes of streets, houses and post, whose registers are not part of CPR's extract, and numbers.
        let without = [
            "building_number",
            "condition_code",
            "door",
            "floor",
            "house_number",
            "note_number",
            "postal_code",
            "street_code",
            "task_number",
        ];
        let mut missing = Vec::new();
        for table in layout::tables() {
            for column in table.columns {
                let is_code = matches!(column.kind, Kind::Code | Kind::Mark);
                let has_table = code_tables()
                    .iter()
                    .any(|codes| codes.used_in.contains(&(table.name, column.name)));
                if is_code && has_table == without.contains(&column.name) {
                    missing.push((table.name, column.name));
                }
            }
        }
        assert_eq!(missing, []);
    }
}
