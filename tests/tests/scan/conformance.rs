//! Compares every field of every table with an independent reading of the raw bytes.

use cprflow_connector::layout::{self, Blank};
use cprflow_tests::extract::{self, Dice, EVERY_DAMAGE, Extract};
use cprflow_tests::layout_data::{self, FieldData, RecordTypeData};
use cprflow_tests::reference_reader::{self, Rules, Tables};
use cprflow_tests::rows;

#[test]
fn public_extracts() {
    let extracts = extract::public();
    for extract in &extracts {
        let rules = layout_data::rules();
        let expected =
            reference_reader::expected(&rules, reference_reader::records_of_lines(&extract.bytes));
        assert_eq!(compared(extract, &expected), count(&expected));
    }
}

#[test]
fn generated_extracts() {
    let rules = layout_data::rules();
    let mut tables_seen = std::collections::BTreeSet::new();
    for extract in extract::every_kind(400, 3) {
        let expected = expected_of(&rules, &extract);
        compared(&extract, &expected);
        tables_seen.extend(expected.into_keys());
    }
    // Every record type occurs, so every field was compared.
    for rule in rules.values() {
        let table = &rule.table;
        assert!(tables_seen.contains(table), "{table} never occurs");
    }
}

#[test]
fn damaged_extracts() {
    let rules = layout_data::rules();
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut lines = extract::lines(&extract::small(30, seed));
        extract::damage(&mut lines, &mut dice, 300, EVERY_DAMAGE);
        let end: &[u8] = if seed % 2 == 0 { b"\n" } else { b"\r\n" };
        let extract = Extract {
            name: format!("damaged, seed {seed}"),
            bytes: extract::join(&lines, end),
        };
        let expected =
            reference_reader::expected(&rules, reference_reader::records_of_lines(&extract.bytes));
        compared(&extract, &expected);
        assert!(
            expected.contains_key("unknown_record") && expected.contains_key("rejected_record")
        );
    }
}

/// Uses one line for each kind of field and each irregular value, independently of the generator.
#[test]
fn every_kind_of_value() {
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
    let rules = layout_data::rules();
    for (record_type, rule) in rules.iter().filter(|(of, _)| *of != "000") {
        let blank = format!("{record_type}0101010101");
        records.push(blank.clone().into_bytes());
        for field in rule.fields.iter().skip(1) {
            let values: &[&str] = match field.kind.as_str() {
                "date" => &dates,
                "timestamp" => &times,
                "pnr" => &numbers,
                "flag" => &flags,
                "count" => &counts,
                _ => &["\u{c6}\u{d8}\u{e5}", " a", "0000", "*", "=", "\0"],
            };
            for value in values {
                let mut record = blank.clone().into_bytes();
                record.resize(field.position - 1, b' ');
                let value = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
                record.extend(value.take(field.length));
                records.push(record);
            }
        }
        // A tail beyond the layout, and trailing spaces that are not a tail.
        let ends = rule.fields.iter().map(|f| f.position + f.length - 1);
        let full = ends.max().unwrap();
        records.push(format!("{blank:full$}+ \u{7f} +").into_bytes());
        records.push(format!("{blank:full$}     ").into_bytes());
    }
    let extract = Extract {
        name: "one line per rule".to_owned(),
        bytes: extract::join(&records, b"\n"),
    };
    let expected = reference_reader::expected(&rules, records.iter().map(Vec::as_slice));
    compared(&extract, &expected);
}

#[test]
fn the_catalog_matches_the_layout_data() {
    let catalog = rows::connector().catalog();
    let record_types = layout_data::record_types();
    let fields = layout_data::fields();
    // The tables unknown_record and rejected_record have no record type.
    assert_eq!(catalog.tables().len(), record_types.len() + 2);
    for (table, expected) in catalog.tables().iter().zip(&record_types) {
        let known = layout::by_name(&table.name).unwrap();
        let found = RecordTypeData {
            record_type: table.record_type.clone().unwrap(),
            table: table.name.clone(),
            lengths: known.lengths.to_vec(),
            description: table.description.clone(),
            cpr_title: table.cpr_title.clone(),
        };
        assert_eq!(found, *expected);
        let columns = table.columns.iter().filter_map(|column| {
            let field = column.field.as_ref()?;
            Some(FieldData {
                record_type: found.record_type.clone(),
                first: field.position as usize,
                last: (field.position + field.length - 1) as usize,
                column: column.name.clone(),
                cpr_name: field.cpr_name.clone(),
                kind: field.kind.clone(),
                is_zero_filled: known.column(&column.name).unwrap().blank == Blank::Zeros,
                sensitivity: field.sensitivity.clone(),
            })
        });
        let expected: Vec<_> = fields
            .iter()
            .filter(|field| field.record_type == found.record_type)
            .cloned()
            .collect();
        assert_eq!(columns.collect::<Vec<_>>(), expected);
    }
    assert!(
        catalog.tables()[record_types.len()..]
            .iter()
            .all(|table| table.record_type.is_none())
    );
}

#[test]
fn the_layout_data_matches_the_public_facts() {
    let (Some(layouts), Some(tables)) = (
        cprflow_tests::shared("cpr/layouts.csv"),
        cprflow_tests::shared("cpr/tables.csv"),
    ) else {
        return;
    };
    let public = |path| {
        let mut reader = csv::Reader::from_path(path).unwrap();
        let header = reader.headers().unwrap().clone();
        let rows = reader.records().map(Result::unwrap);
        let rows: Vec<Vec<String>> = rows
            .map(|row| row.iter().map(str::to_owned).collect())
            .collect();
        (header.iter().collect::<Vec<_>>().join(","), rows)
    };
    let (header, rows) = public(tables);
    assert_eq!(
        header,
        "record_type,table,record_length,accepted_lengths,cpr_title,description"
    );
    let fields = layout_data::fields();
    let own = layout_data::record_types().into_iter().map(|own| {
        let of_type = |field: &&FieldData| field.record_type == own.record_type;
        let length = fields.iter().filter(of_type).map(|field| field.last).max();
        let lengths: Vec<_> = own.lengths.iter().map(usize::to_string).collect();
        vec![
            own.record_type.clone(),
            own.table,
            length.unwrap().to_string(),
            lengths.join(";"),
            own.cpr_title,
        ]
    });
    // Descriptions are the project's own words.
    let public_types = rows.iter().map(|row| row[..5].to_vec());
    assert_eq!(own.collect::<Vec<_>>(), public_types.collect::<Vec<_>>());

    let (header, rows) = public(layouts);
    assert_eq!(
        header,
        "record_type,table,cpr_name,column,position,length,kind,blank,sensitivity"
    );
    let mut own = Vec::new();
    for record_type in layout_data::record_types() {
        let line = |column: [&str; 4], first: usize, length: usize, sensitivity: &str| {
            let [cpr_name, name, kind, blank] = column;
            [
                &record_type.record_type,
                &record_type.table,
                cpr_name,
                name,
                &first.to_string(),
                &length.to_string(),
                kind,
                blank,
                sensitivity,
            ]
            .map(str::to_owned)
            .to_vec()
        };
        own.push(line(
            ["RECORDTYPE", "record_type", "code", "spaces"],
            1,
            3,
            "",
        ));
        for field in &fields {
            if field.record_type == record_type.record_type {
                let blank = if field.is_zero_filled {
                    "zeros"
                } else {
                    "spaces"
                };
                let length = field.last - field.first + 1;
                let sensitivity = field.sensitivity.as_deref().unwrap_or_default();
                own.push(line(
                    [&field.cpr_name, &field.column, &field.kind, blank],
                    field.first,
                    length,
                    sensitivity,
                ));
            }
        }
    }
    assert_eq!(own.len(), rows.len());
    for (own, public) in own.iter().zip(&rows) {
        assert_eq!(own[..8], public[..8]);
        // The project gives a class to some fields that have none in the public facts, and changes no other.
        let (own_class, public_class) = (own[8].as_str(), public[8].as_str());
        let is_added = public_class.is_empty() && PROJECT_CLASSES.contains(&own_class);
        // It divides the civil status into the present and the former ones.
        let is_former = matches!(own[0].as_str(), "029" | "030")
            && (own_class, public_class) == ("civil-status-history", "civil-status");
        assert!(
            own_class == public_class || is_added || is_former,
            "{own:?}: {public_class}"
        );
    }
}

/// The classes that the project gives to fields without a class in the public facts.
const PROJECT_CLASSES: [&str; 3] = ["family", "franchise", "address"];

/// Compares every value of a sandboxed scan. Returns the number of rows.
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
        return reference_reader::expected(
            rules,
            reference_reader::records_of_lines(&extract.bytes),
        );
    }
    let (person, address) = match extract.name.contains("Original") {
        true => (106, 306),
        false => (121, 382),
    };
    reference_reader::expected(
        rules,
        reference_reader::records_of_packed(rules, &extract.bytes, person, address),
    )
}
