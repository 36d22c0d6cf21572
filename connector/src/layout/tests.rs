//! Tests of the layouts.

use super::*;

#[test]
fn finds_known_record_types_only() {
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
fn relatives_are_number_columns_of_the_same_table() {
    let mut relatives = Vec::new();
    for table in tables() {
        for column in table.columns {
            let Some(relative) = column.relative else {
                continue;
            };
            let number = table.column(relative).unwrap();
            assert_eq!(number.kind, Kind::Pnr, "{}.{}", table.name, column.name);
            assert_ne!(number.name, table.columns[0].name);
            assert_eq!(number.relative, Some(relative));
            relatives.push((table.record_type, relative));
        }
    }
    relatives.sort_unstable();
    relatives.dedup();
    assert_eq!(
        relatives,
        [
            ("012", "spouse_pnr"),
            ("014", "child_pnr"),
            ("015", "father_pnr"),
            ("015", "mother_pnr"),
            ("016", "custodian_pnr"),
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
fn tables_have_these_subjects() {
    let of = |class: Sensitivity| -> Vec<&str> {
        let tables = tables().iter().filter(|t| t.subject() == Some(class));
        tables.map(|table| table.record_type).collect()
    };
    assert_eq!(of(Sensitivity::Religion), ["011", "028"]);
    assert_eq!(of(Sensitivity::CivilStatus), ["012", "013"]);
    assert_eq!(of(Sensitivity::CivilStatusHistory), ["029", "030"]);
    assert_eq!(of(Sensitivity::Protection), ["004", "034"]);
    assert_eq!(of(Sensitivity::Economic), ["035", "050"]);
    let social = ["007", "017", "018", "021", "025", "052"];
    assert_eq!(of(Sensitivity::Social), social);
    assert_eq!(of(Sensitivity::FreeText), ["019"]);
    let family = ["014", "015", "016", "031", "032", "033", "051"];
    assert_eq!(of(Sensitivity::Family), family);
    assert_eq!(of(Sensitivity::Franchise), ["020"]);
    assert!(of(Sensitivity::Address).is_empty());
    assert!(of(Sensitivity::Name).is_empty());
}
