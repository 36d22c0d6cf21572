//! The records of an extract can be written again from its tables, byte for byte except for trailing spaces.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::path::Path;

use cprflow::{Error, ParquetDirectory, Scan, write_extract};
use cprflow_connector::generate::{LayoutAge, Order, Settings};
use cprflow_connector::writer::OutputShape;
use cprflow_tests::extract::{self, Damage, Dice, EVERY_DAMAGE};
use cprflow_tests::layout_data;
use cprflow_tests::reference_reader;
use cprflow_tests::rows;
use proptest::prelude::*;

#[test]
fn public_extracts() {
    for extract in extract::public() {
        let records = reference_reader::records_of_lines(&extract.bytes);
        for shape in [OutputShape::Trimmed, OutputShape::Full] {
            let again = again(&extract.bytes, shape);
            assert_eq!(
                trimmed(reference_reader::records_of_lines(&again)),
                trimmed(records.clone()),
                "{}",
                extract.name
            );
        }
    }
}

#[test]
fn every_kind_of_generated_extract() {
    for extract in extract::every_kind(300, 11) {
        let shape = if extract.name.contains("Packed") {
            OutputShape::Packed
        } else {
            OutputShape::Trimmed
        };
        let original = extract.name.contains("Original");
        assert_same_records(&extract.bytes, shape, original, &extract.name);
    }
}

/// Full lines stay full, and an extract of the current layout is written again to the byte.
#[test]
fn the_same_shape_gives_the_same_bytes() {
    for shape in [OutputShape::Trimmed, OutputShape::Full, OutputShape::Packed] {
        let mut settings = Settings::busy(200, 5);
        settings.shape = shape;
        let extract = extract::status(&settings);
        assert!(again(&extract, shape) == extract, "{shape:?}");
    }
}

#[test]
fn writes_a_complete_extract_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path();
    let mut parquet = ParquetDirectory::create(tables, false).unwrap();
    for (table, batch) in rows::scan(&extract::small(10, 1)).batches {
        parquet.write(&table, &batch).unwrap();
    }
    // Until the extract is complete, no file has the name of a result.
    assert!(names(tables).iter().all(|name| name.ends_with(".part")));
    drop(parquet);
    assert_eq!(names(tables), Vec::<String>::new());
    let nothing = write_extract(tables, OutputShape::Trimmed, Vec::new());
    assert!(matches!(nothing, Err(Error::Tables { .. })), "{nothing:?}");
}

#[test]
fn tables_that_lack_a_column_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut parquet = ParquetDirectory::create(directory.path(), false).unwrap();
    let scan = Scan::new(rows::connector())
        .table("person")
        .columns(["pnr", "line"]);
    for (table, batch) in rows::scan_with(scan, &extract::small(10, 1)).batches {
        parquet.write(&table, &batch).unwrap();
    }
    parquet.finish().unwrap();
    let Err(Error::Tables { what, .. }) =
        write_extract(directory.path(), OutputShape::Trimmed, Vec::new())
    else {
        panic!("the extract was written");
    };
    assert!(what.contains("has no column current_pnr"), "{what}");
}

#[test]
fn refuses_rows_that_a_packed_extract_cannot_hold() {
    for line in ["777whatever", "?", "0070101010101000000000000  tail"] {
        let mut lines = extract::lines(&extract::small(3, 1));
        lines.insert(1, line.as_bytes().to_vec());
        let directory = tables(&extract::join(&lines, b"\n"));
        let written = write_extract(directory.path(), OutputShape::Packed, Vec::new());
        assert!(
            matches!(written, Err(Error::Tables { .. })),
            "{line}: {written:?}"
        );
    }
}

/// Only a packed extract can have a line end within a value. Written as lines, it would split the record.
#[test]
fn refuses_a_line_end_within_a_value() {
    let mut extract = extract::packed(3, 1);
    let place = find(&extract, b"008");
    extract[place + 40] = b'\n';
    let directory = tables(&extract);
    let mut packed = Vec::new();
    write_extract(directory.path(), OutputShape::Packed, &mut packed).unwrap();
    assert!(packed == extract);
    let lines = write_extract(directory.path(), OutputShape::Trimmed, Vec::new());
    assert!(matches!(lines, Err(Error::Tables { .. })), "{lines:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_population(
        persons in 1..300_u64,
        seed: u64,
        shape in prop_oneof![Just(OutputShape::Trimmed), Just(OutputShape::Full), Just(OutputShape::Packed)],
        by_person: bool,
        original: bool,
        is_change_file: bool,
    ) {
        let mut settings = Settings::busy(persons, seed);
        settings.shape = shape;
        settings.order = if by_person { Order::ByPerson } else { Order::SecondPass };
        settings.layout = if original { LayoutAge::Original } else { LayoutAge::Current };
        let extract = match is_change_file {
            true => extract::changes(&settings),
            false => extract::status(&settings),
        };
        assert_same_records(&extract, shape, original, "any population");
    }

    #[test]
    fn any_damage_that_keeps_lines(
        seed: u64,
        full: bool,
        crlf: bool,
        last_end: bool,
        times in 1..400_usize,
    ) {
        let mut settings = Settings::busy(40, seed);
        settings.shape = if full { OutputShape::Full } else { OutputShape::Trimmed };
        let mut lines = extract::lines(&extract::status(&settings));
        extract::damage(&mut lines, &mut Dice::new(seed), times, EVERY_DAMAGE);
        let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        let mut extract = extract::join(&lines, end);
        if !last_end {
            extract.truncate(extract.len() - end.len());
        }
        assert_same_records(&extract, settings.shape, false, "damaged");
    }

    #[test]
    fn any_damage_to_fields_without_line_ends(seed: u64, times in 1..400_usize) {
        let mut settings = Settings::busy(40, seed);
        settings.shape = OutputShape::Full;
        let mut lines = extract::lines(&extract::status(&settings));
        extract::damage(&mut lines, &mut Dice::new(seed), times, &[Damage::Overwrite]);
        let extract = extract::join(&lines, b"");
        prop_assert!(again(&extract, OutputShape::Packed) == extract);
    }
}

/// Writes an extract again in its own shape and compares the records.
fn assert_same_records(extract: &[u8], shape: OutputShape, original: bool, name: &str) {
    let written = again(extract, shape);
    if shape != OutputShape::Packed {
        let written = trimmed(reference_reader::records_of_lines(&written));
        assert_eq!(
            written,
            trimmed(reference_reader::records_of_lines(extract)),
            "{name}"
        );
        return;
    }
    let rules = layout_data::rules();
    let (person, address) = if original { (106, 306) } else { (121, 382) };
    let records = reference_reader::records_of_packed(&rules, extract, person, address);
    let written = reference_reader::records_of_packed(&rules, &written, 121, 382);
    assert_eq!(trimmed(written), trimmed(records), "{name}");
}

/// Returns the extract that is written from the extract's tables.
fn again(extract: &[u8], shape: OutputShape) -> Vec<u8> {
    let directory = tables(extract);
    let mut written = Vec::new();
    write_extract(directory.path(), shape, &mut written).unwrap();
    written
}

/// Writes the extract's tables as Parquet.
fn tables(extract: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut parquet = ParquetDirectory::create(directory.path(), false).unwrap();
    let scan = Scan::new(rows::connector()).batch_rows(500);
    for batch in scan.read_all(extract).unwrap() {
        let rows = batch.unwrap();
        parquet.write(&rows.table, &rows.batch).unwrap();
    }
    parquet.finish().unwrap();
    directory
}

/// Returns the records without trailing spaces, and without blank records.
fn trimmed(records: Vec<&[u8]>) -> Vec<String> {
    let texts = records.into_iter().map(|record| {
        reference_reader::latin1(record)
            .trim_end_matches(' ')
            .to_owned()
    });
    texts.filter(|text| !text.is_empty()).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn find(extract: &[u8], record_type: &[u8]) -> usize {
    let rules = layout_data::rules();
    let records = reference_reader::records_of_packed(&rules, extract, 121, 382);
    records
        .iter()
        .take_while(|record| !record.starts_with(record_type))
        .map(|record| record.len())
        .sum()
}
