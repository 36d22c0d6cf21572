//! Every field of every table is what an independent cut of the raw bytes says.

use std::path::PathBuf;

use cprflow_connector::layout::{self, Blank};
use cprflow_tests::cut::{self, Rules, Tables};
use cprflow_tests::extract::{self, Dice, EVERY_DAMAGE, Extract};
use cprflow_tests::rows;

#[test]
fn public_extracts() {
    let extracts = extract::public();
    for extract in &extracts {
        let rules = cut::rules_of_csv(&facts("layouts.csv").unwrap());
        let expected = cut::expected(&rules, cut::records_of_lines(&extract.bytes));
        assert_eq!(compared(extract, &expected), count(&expected));
    }
}

#[test]
fn generated_extracts() {
    let rules = cut::rules_of_product();
    let mut tables_seen = std::collections::BTreeSet::new();
    for extract in extract::every_kind(400, 3) {
        let expected = expected_of(&rules, &extract);
        compared(&extract, &expected);
        tables_seen.extend(expected.into_keys());
    }
    // Every record type occurs somewhere, so every field was compared.
    for table in layout::tables() {
        assert!(
            tables_seen.contains(table.name),
            "{} never occurs",
            table.name
        );
    }
}

#[test]
fn damaged_extracts() {
    let rules = cut::rules_of_product();
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut lines = extract::lines(&extract::small(30, seed));
        extract::damage(&mut lines, &mut dice, 300, EVERY_DAMAGE);
        let end: &[u8] = if seed % 2 == 0 { b"\n" } else { b"\r\n" };
        let extract = Extract {
            name: format!("damaged, seed {seed}"),
            bytes: extract::join(&lines, end),
        };
        let expected = cut::expected(&rules, cut::records_of_lines(&extract.bytes));
        compared(&extract, &expected);
        assert!(
            expected.contains_key("unknown_record") && expected.contains_key("rejected_record")
        );
    }
}

/// One line per kind and oddity, so that none depends on what a generator happens to make.
#[test]
fn every_value_rule() {
    let dates = [
        "2001-11-16",
        "1961-00-00",
        "2001-02-29",
        "2000-02-29",
        "0000-00-00",
        "0000000000",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        " 001-11-16",
        "2001-11-1 ",
        "2001-11-1:",
        "2001/11/16",
        "          ",
        "1900-02-29",
        "2001-13-01",
        "2001-04-31",
    ];
    let times = [
        "200111161230",
        "200111161299",
        "200111162400",
        "200111160000",
        "200100001230",
        "000000000000",
        "            ",
        "20011116    ",
        "2001111612 0",
        "200111162359",
        "0000000000 0",
        "20011116123\0",
        "193112312359",
        "00000000    ",
    ];
    let numbers = [
        "0101010101",
        "0000000000",
        "          ",
        "00000     ",
        "abc       ",
        " 101010101",
    ];
    let flags = ["*", " ", "0", "\0", "\u{e6}"];
    let counts = [
        "00000000", "00000017", "        ", "      17", "99999999", "-0000001", "1       ",
    ];
    let mut records: Vec<Vec<u8>> = vec![b"000000000000043110120011116".to_vec()];
    for table in layout::tables()
        .iter()
        .filter(|table| table.record_type != "000")
    {
        let blank = format!("{}0101010101", table.record_type);
        records.push(blank.clone().into_bytes());
        for column in table.columns.iter().skip(1) {
            let values: &[&str] = match column.kind.name() {
                "date" => &dates,
                "timestamp" => &times,
                "pnr" => &numbers,
                "flag" => &flags,
                "count" => &counts,
                _ => &["\u{c6}\u{d8}\u{e5}", " a", "0000", "*", "=", "\0"],
            };
            for value in values {
                let mut record = blank.clone().into_bytes();
                record.resize(column.start(), b' ');
                let value = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
                record.extend(value.take(column.length));
                records.push(record);
            }
        }
        // A tail, and spaces that are none.
        let full = table.record_length();
        records.push(format!("{blank:full$}+ \u{7f} +").into_bytes());
        records.push(format!("{blank:full$}     ").into_bytes());
    }
    let extract = Extract {
        name: "one line a rule".to_owned(),
        bytes: extract::join(&records, b"\n"),
    };
    let expected = cut::expected(&cut::rules_of_product(), records.iter().map(Vec::as_slice));
    compared(&extract, &expected);
}

#[test]
fn the_catalog_is_the_csv() {
    let (Some(layouts), Some(tables)) = (facts("layouts.csv"), facts("tables.csv")) else {
        return cprflow_tests::skipped(
            "layouts.csv and tables.csv are not here (looked in ../shared/cpr)",
        );
    };
    let catalog = rows::connector().catalog();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in csv::Reader::from_path(tables).unwrap().records() {
        rows.push(row.unwrap().iter().map(str::to_owned).collect());
    }
    assert_eq!(catalog.tables().len(), rows.len() + 2);
    for (table, row) in catalog.tables().iter().zip(&rows) {
        let known = layout::by_name(&table.name).unwrap();
        let lengths: Vec<_> = known.lengths.iter().map(usize::to_string).collect();
        let columns = table
            .columns
            .iter()
            .filter_map(|column| column.field.as_ref());
        let length = columns
            .map(|field| field.position + field.length - 1)
            .max()
            .unwrap();
        let own = [
            table.record_type.clone().unwrap(),
            table.name.clone(),
            length.to_string(),
            lengths.join(";"),
            table.cpr_title.clone(),
            table.description.clone(),
        ];
        assert_eq!(own.as_slice(), row.as_slice());
    }
    let mut own = csv::Writer::from_writer(Vec::new());
    own.write_record([
        "record_type",
        "table",
        "cpr_name",
        "column",
        "position",
        "length",
        "kind",
        "blank",
        "sensitivity",
    ])
    .unwrap();
    for table in catalog.tables() {
        let Some(record_type) = table.record_type.as_deref() else {
            continue;
        };
        let name = table.name.as_str();
        // The record type is no column of ours.
        own.write_record([
            record_type,
            name,
            "RECORDTYPE",
            "record_type",
            "1",
            "3",
            "code",
            "spaces",
            "",
        ])
        .unwrap();
        for column in &table.columns {
            let Some(field) = &column.field else { continue };
            let blank = layout::by_name(name)
                .unwrap()
                .column(&column.name)
                .unwrap()
                .blank;
            own.write_record([
                record_type,
                name,
                &field.cpr_name,
                &column.name,
                &field.position.to_string(),
                &field.length.to_string(),
                &field.kind,
                if blank == Blank::Zeros {
                    "zeros"
                } else {
                    "spaces"
                },
                field.sensitivity.as_deref().unwrap_or_default(),
            ])
            .unwrap();
        }
    }
    let own = String::from_utf8(own.into_inner().unwrap()).unwrap();
    let facts = std::fs::read_to_string(layouts).unwrap();
    for (ours, theirs) in own.lines().zip(facts.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(own.lines().count(), facts.lines().count());
}

/// Compares every value of a sandboxed scan; returns how many rows there were.
fn compared(extract: &Extract, expected: &Tables) -> usize {
    let scanned = rows::scan(&extract.bytes);
    assert!(
        scanned.error.is_none(),
        "{}: {:?}",
        extract.name,
        scanned.error
    );
    let tables = scanned.tables();
    let names = |tables: &Tables| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&tables), names(expected), "{}", extract.name);
    for (table, rows) in expected {
        assert_eq!(tables[table].len(), rows.len(), "{}: {table}", extract.name);
        for (place, (ours, theirs)) in tables[table].iter().zip(rows).enumerate() {
            assert_eq!(ours, theirs, "{}: {table}, row {place}", extract.name);
        }
    }
    scanned.count_all()
}

fn count(tables: &Tables) -> usize {
    tables.values().map(Vec::len).sum()
}

fn expected_of(rules: &Rules, extract: &Extract) -> Tables {
    if !extract.name.contains("Packed") {
        return cut::expected(rules, cut::records_of_lines(&extract.bytes));
    }
    let (person, address) = match extract.name.contains("Original") {
        true => (106, 306),
        false => (121, 382),
    };
    cut::expected(
        rules,
        cut::records_of_packed(rules, &extract.bytes, person, address),
    )
}

fn facts(name: &str) -> Option<PathBuf> {
    cprflow_tests::shared().map(|shared| shared.join("cpr").join(name))
}
