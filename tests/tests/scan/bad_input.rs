//! Damaged and wrong input: the findings and errors, and the rows before the damage.

use cprflow::{DataError, DataErrorKind, Error, Scan, Shape};
use cprflow_connector::layout;
use cprflow_tests::extract::{self, Dice};
use cprflow_tests::layout_data;
use cprflow_tests::reference_reader;
use cprflow_tests::rows::{self, Scanned, scan};

const START: &str = "00000000000004311012001111620011115";
const PERSON: &str = "0010101010101          01000000000000 K1896-01-01 1997-09-09";
const NAME: &str = "0080101010101Nilsson";

#[test]
fn reports_an_empty_file() {
    for bytes in [&b""[..], b"\n", b"\n\r\n   \n"] {
        let scanned = scan(bytes);
        assert_eq!(
            scanned.findings(),
            ["error missing-start 1", "error missing-end 1"]
        );
        assert_eq!((scanned.summary.records, scanned.count_all()), (0, 0));
        assert!(scanned.error.is_none());
    }
    assert!(scan(b"").summary.findings[0].message.contains("empty"));
}

#[test]
fn only_a_start_record() {
    for end in ["", "\n", "\r\n"] {
        let scanned = scan(format!("{START}{end}").as_bytes());
        assert_eq!(scanned.findings(), ["error missing-end 1"]);
        assert_eq!(scanned.count("delivery_start"), 1);
        let start = scanned.summary.start.unwrap();
        assert_eq!(start.task_number, "431101");
        assert_eq!(start.production_date.as_deref(), Some("2001-11-16"));
        assert_eq!(
            start.previous_production_date.as_deref(),
            Some("2001-11-15")
        );
    }
}

#[test]
fn reports_a_missing_start_or_end() {
    let lines = [START, PERSON, NAME, &end(2)];
    assert_eq!(findings(&lines), [""; 0]);
    assert_eq!(findings(&lines[1..]), ["error missing-start 1"]);
    assert_eq!(findings(&lines[..3]), ["error missing-end 1"]);
    assert_eq!(
        findings(&lines[1..3]),
        ["error missing-start 1", "error missing-end 1"]
    );
}

#[test]
fn reports_a_wrong_record_count() {
    for declared in [0, 1, 3, 99_999_999] {
        let scanned = scan_lines(&[START, PERSON, NAME, &end(declared)]);
        assert_eq!(scanned.complaints(), ["error count-mismatch 1"]);
        assert_eq!(scanned.summary.declared_records, Some(declared));
        assert_eq!(scanned.count_all(), 4);
    }
    assert_eq!(
        findings(&[START, PERSON, "9999999999999"]),
        ["error count-mismatch 1"]
    );
    let letters = [START, PERSON, "99999999999990000000A"];
    assert_eq!(findings(&letters), ["error count-mismatch 1"]);
    assert_eq!(scan_lines(&letters).tables()["delivery_end"].len(), 1);
}

#[test]
fn accepts_input_errors_after_the_end_counted_or_not() {
    let error = format!("910{:35}8452PERSONNUMMER", "");
    let lines = |declared| {
        [
            START.to_owned(),
            PERSON.to_owned(),
            NAME.to_owned(),
            end(declared),
            error.clone(),
            error.clone(),
        ]
    };
    let found = |declared| {
        let lines = lines(declared);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut findings = scan_lines(&lines).findings();
        findings.retain(|finding| finding.contains("count-mismatch"));
        findings
    };
    assert!(found(2).is_empty());
    // Either the errors are counted, or as many records are lost.
    assert_eq!(found(4), ["note count-mismatch 1"]);
    assert_eq!(found(3), ["error count-mismatch 1"]);
}

#[test]
fn reports_records_after_the_end() {
    let lines = [START, PERSON, NAME, &end(2), START, PERSON, &end(1)];
    assert_eq!(
        findings(&lines),
        ["error second-start 1", "error records-after-end 3"]
    );
    let scanned = scan_lines(&lines);
    let places = &scanned.summary.findings[1].places;
    let places: Vec<_> = places
        .iter()
        .map(|p| (p.record_type.as_deref().unwrap(), p.first_line))
        .collect();
    assert_eq!(places, [("000", 5), ("001", 6), ("999", 7)]);
    assert_eq!(scanned.count("person"), 2);
    // The record count is that of the first end record.
    assert_eq!(scanned.summary.declared_records, Some(2));
}

#[test]
fn accepts_a_second_start_record() {
    let scanned = scan_lines(&[START, START, PERSON, &end(2)]);
    assert_eq!(
        (scanned.count("delivery_start"), scanned.count("person")),
        (2, 1)
    );
    assert!(scanned.error.is_none());
}

#[test]
fn reports_irregular_values_as_notes_with_places() {
    let longer = format!("{PERSON:121}newer");
    let scanned = scan_lines(&[START, PERSON, NAME, &longer, &longer, &end(4)]);
    assert_eq!(
        scanned.findings(),
        [
            "warning person-twice 1",
            "note irregular-value 1",
            "note longer-record 2"
        ]
    );
    let places: Vec<_> = scanned
        .summary
        .findings
        .iter()
        .skip(1)
        .map(|finding| &finding.places[0])
        .collect();
    assert_eq!(places[0].column.as_deref(), Some("name_start"));
    assert_eq!(
        (places[0].record_type.as_deref(), places[0].first_line),
        (Some("008"), 3)
    );
    assert_eq!(
        (places[1].record_type.as_deref(), places[1].first_line),
        (Some("001"), 4)
    );
}

#[test]
fn persons_without_001() {
    let other = NAME.replace("0101010101", "0202020202");
    assert_eq!(
        findings(&[START, PERSON, NAME, &other, &end(3)]),
        ["warning person-without-001 1"]
    );
}

#[test]
fn binary_junk_with_line_ends() {
    let mut dice = Dice::new(1);
    let junk: Vec<u8> = (0..20_000).map(|_| dice.below(256) as u8).collect();
    let scanned = scan(&junk);
    assert!(scanned.error.is_none());
    assert_eq!(scanned.summary.shape, Shape::Lines);
    let expected = reference_reader::expected(
        &layout_data::rules(),
        reference_reader::records_of_lines(&junk),
    );
    assert_eq!(scanned.tables(), expected);
    let found = scanned.complaints();
    assert_eq!(found[..2], ["error missing-start 1", "error missing-end 1"]);
    let rest = [
        "error nothing-known ",
        // Any line without a record type can have been a protection.
        "error protection-unreadable ",
        "error control-characters ",
        "warning rejected-record ",
    ];
    for (found, expected) in found[2..].iter().zip(rest) {
        assert!(found.starts_with(expected), "{found}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn binary_junk_without_line_ends() {
    let mut dice = Dice::new(2);
    let junk: Vec<u8> = (0..200_000).map(|_| dice.byte()).collect();
    let short = scan(&junk[..60_000]);
    assert_eq!(
        short.complaints()[2..],
        [
            "error nothing-known 1",
            "error protection-unreadable 1",
            "error control-characters 1",
            "warning rejected-record 1"
        ]
    );
    let error = data_error(scan(&junk));
    assert_eq!(error.kind, DataErrorKind::RecordTooLong);
    assert_eq!((error.line, error.offset), (Some(1), Some(0)));
}

#[test]
fn utf8_instead_of_latin1() {
    let lines: Vec<String> = ["\u{c6}", "\u{d8}", "A"]
        .map(|letter| format!("0080101010101{letter}rsted"))
        .to_vec();
    let utf8 = [START, PERSON, &lines[0], &lines[1], &lines[2], &end(4)].join("\n");
    assert_eq!(
        scan(utf8.as_bytes()).complaints(),
        ["error damaged-encoding 2"]
    );
    let latin1: Vec<u8> = utf8
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    assert_eq!(scan(&latin1).complaints(), [""; 0]);
    // One record that is not UTF-8 shows that the other records are ISO-8859-1 too.
    let both = [latin1, utf8.into_bytes()].concat();
    assert!(
        !scan(&both)
            .complaints()
            .iter()
            .any(|finding| finding.contains("damaged"))
    );
}

#[test]
fn reports_byte_order_marks() {
    let text = [START, PERSON, &end(1), ""].join("\n");
    let marked = scan(&[b"\xef\xbb\xbf", text.as_bytes()].concat());
    // The byte order mark is reported and skipped. The rest is read normally.
    assert_eq!(marked.complaints(), ["error damaged-encoding 1"]);
    assert_eq!(
        (marked.count("rejected_record"), marked.count("person")),
        (0, 1)
    );
    for big_endian in [false, true] {
        let wide = text.encode_utf16().flat_map(|unit| {
            if big_endian {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        });
        let mark: &[u8] = if big_endian { b"\xfe\xff" } else { b"\xff\xfe" };
        let scanned = scan(&[mark, &wide.collect::<Vec<_>>()].concat());
        let Some(Error::Data(error)) = scanned.error else {
            panic!("{:?}", scanned.error);
        };
        assert_eq!(error.kind, DataErrorKind::OtherFormat);
        assert!(error.message.contains("UTF-16"), "{}", error.message);
    }
}

/// A first delivery has no date of the one before, so its start record can be shorter than its layout.
#[test]
fn names_the_line_ends_of_other_systems() {
    let lines = extract::lines(&extract::small(20, 1));
    for (line_end, name) in [(b"\r", "CR"), (b"\x85", "NEL")] {
        let error = data_error(scan(&extract::join(&lines, line_end)));
        assert_eq!(error.kind, DataErrorKind::OtherFormat);
        assert!(error.message.contains(name), "{}", error.message);
    }
}

#[test]
fn zero_bytes_in_fields_are_kept() {
    let name = "0080101010101A\0B\0";
    let scanned = scan_lines(&[START, PERSON, name, &end(2)]);
    assert_eq!(scanned.complaints(), ["error control-characters 1"]);
    let tables = scanned.tables();
    assert!(
        tables["name"][0]
            .iter()
            .any(|(_, value)| *value == reference_reader::Value::Text("A\0B\0".to_owned()))
    );
}

#[test]
fn rejects_registers_with_a_similar_start() {
    for first in [
        "0000101000119910923120",
        "00012345678901234567890",
        "000 other",
    ] {
        let error = data_error(scan_lines(&[first, PERSON]));
        assert_eq!(error.kind, DataErrorKind::LookAlike, "{first}");
        assert_eq!((error.line, error.offset), (Some(1), Some(0)));
        let found = scan_lines(&[first, PERSON]).complaints();
        assert_eq!(found, ["error look-alike 1"]);
    }
    // Any other first line counts as an extract whose start record is missing.
    assert!(scan_lines(&["H1 header", PERSON]).error.is_none());
}

#[test]
fn rejects_the_greenland_product_in_lines() {
    let full = format!("{PERSON:365}X");
    let code = "0400101010101";
    let error = data_error(scan_lines(&[START, NAME, &full, code]));
    assert_eq!(
        (error.kind, error.line),
        (DataErrorKind::LookAlike, Some(3))
    );
    assert_eq!(error.offset, Some((START.len() + NAME.len() + 2) as u64));

    let trimmed = format!("{PERSON:200}X");
    for record_type in ["040", "045", "900"] {
        let scanned = scan_lines(&[START, NAME, &trimmed, &code.replace("040", record_type)]);
        assert_eq!(
            (scanned.count("name"), scanned.count("person")),
            (1, 1),
            "the rows before the error are returned"
        );
        let error = data_error(scanned);
        assert_eq!(
            (error.kind, error.line),
            (DataErrorKind::LookAlike, Some(4))
        );
    }
    // A longer 001 alone is a newer layout. One of these record types alone is an unknown type.
    assert!(scan_lines(&[START, &trimmed, &end(1)]).error.is_none());
    assert!(scan_lines(&[START, PERSON, code, &end(2)]).error.is_none());
}

#[test]
fn rejects_the_greenland_product_without_line_ends() {
    let file = format!("{START}{NAME:193}{PERSON:366}{:40}", "0400101010101");
    for block in [1, 7, 100, 300, 1 << 20] {
        let scanned = rows::scan_with(
            Scan::new(rows::connector()).block_bytes(block),
            file.as_bytes(),
        );
        assert_eq!(scanned.count("name"), 1);
        assert_eq!(
            scanned.complaints(),
            ["error look-alike 1"],
            "blocks of {block}"
        );
        let error = data_error(scanned);
        assert_eq!(
            (error.kind, error.line),
            (DataErrorKind::LookAlike, Some(3)),
            "blocks of {block}"
        );
    }
}

#[test]
fn rejects_a_record_longer_than_64_kib() {
    let fits = NAME.to_owned() + &" ".repeat(65_536 - NAME.len());
    let scanned = scan_lines(&[START, PERSON, &fits, &end(2)]);
    assert_eq!((scanned.complaints(), scanned.count("name")), (vec![], 1));
    for long in ["7".repeat(65_537), "7".repeat(3_000_000)] {
        let scanned = scan_lines(&[START, PERSON, NAME, &long, NAME]);
        assert_eq!(
            (scanned.count("person"), scanned.count("name")),
            (1, 1),
            "the rows before the error are returned"
        );
        let error = data_error(scanned);
        assert_eq!(
            (error.kind, error.line),
            (DataErrorKind::RecordTooLong, Some(4))
        );
    }
}

/// All rows before the damage are returned, and the error names its place, for every block size.
#[test]
fn reports_where_a_packed_extract_cannot_be_read() {
    let extract = extract::packed(4, 1);
    let records = reference_reader::records_of_packed(&layout_data::rules(), &extract, 121, 382);
    let person = layout::by_name("person").unwrap().record_length();
    let first = format!("{START}{PERSON:person$}{NAME:193}").into_bytes();
    // The damage comes once right after the first person record, before its length is certain, and once much later.
    for (known, lines) in [(first, 3), (records.concat(), records.len())] {
        for after in ["7770101010101 something", "abc", "?", "   "] {
            let file = [&known, after.as_bytes(), format!("{NAME:193}").as_bytes()].concat();
            for block in [1, 2, 7, 100, 350, 351, known.len() + 1, 1 << 20] {
                let scanned =
                    rows::scan_with(Scan::new(rows::connector()).block_bytes(block), &file);
                let what = format!("{after:?} after {lines} records, blocks of {block}");
                assert_eq!(
                    scanned.count_all(),
                    lines,
                    "{what}: the rows before the error are returned"
                );
                let error = data_error(scanned);
                assert_eq!(error.kind, DataErrorKind::LostTrack, "{what}");
                let place = (Some(lines as u64 + 1), Some(known.len() as u64));
                assert_eq!((error.line, error.offset), place, "{what}");
            }
        }
    }
}

#[test]
fn reads_records_padded_to_one_length() {
    for length in [382, 400, 1000] {
        let records = extract::lines(&extract::small(20, 4));
        let padded = records
            .iter()
            .map(|record| format!("{:length$}", reference_reader::latin1(record)));
        let file: Vec<u8> = padded
            .flat_map(|text| text.chars().map(|c| c as u8).collect::<Vec<_>>())
            .collect();
        let scanned = scan(&file);
        assert_eq!(scanned.summary.shape, Shape::PackedUniform);
        assert_eq!(scanned.complaints(), [""; 0]);
        let expected =
            reference_reader::expected(&layout_data::rules(), records.iter().map(Vec::as_slice));
        assert_eq!(scanned.tables(), expected, "records of {length}");
    }
}

fn end(records: u64) -> String {
    format!("9999999999999{records:08}")
}

fn scan_lines(lines: &[&str]) -> Scanned {
    scan((lines.join("\n") + "\n").as_bytes())
}

fn findings(lines: &[&str]) -> Vec<String> {
    let scanned = scan_lines(lines);
    assert!(scanned.error.is_none(), "{:?}", scanned.error);
    scanned.complaints()
}

fn data_error(scanned: Scanned) -> DataError {
    match scanned.error {
        Some(Error::Data(error)) => error,
        other => panic!("expected an error in the data, got {other:?}"),
    }
}
