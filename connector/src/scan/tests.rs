//! Tests of the findings of a scan.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;

use super::*;
use crate::finding::{Code, Finding, Level};

const START: &str = "00000000000001109012026061520260614";
const PERSON: &str = "0010101010010          01000000000000 K1990-01-01";

/// Returns an extract with these records and a correct end record.
fn extract(records: &[&str]) -> Vec<u8> {
    let mut lines = vec![START.to_owned()];
    lines.extend(records.iter().map(|&record| record.to_owned()));
    lines.push(format!("9999999999999{:08}", records.len()));
    // The records are ISO-8859-1.
    lines
        .join("\n")
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

fn line_of(record_type: &str, rest: &str) -> String {
    format!("{record_type}0101010010{rest}")
}

/// Returns the findings of a scan and its rows as `table reason-or-type`, which do not depend on the block size.
fn scan(bytes: &[u8], options: &ScanOptions) -> (Vec<Finding>, Vec<TableBatch>) {
    // The first block is collected to find out the shape of the file. Lines of later blocks are read where they are.
    let mut results = [bytes.len().max(1), 1, 7, 40_000].map(|block| {
        let mut scan = Scan::open(options, None).unwrap();
        let mut batches = Vec::new();
        for piece in bytes.chunks(block) {
            scan.push(piece.to_vec()).unwrap();
            while let Some(batch) = scan.next().unwrap() {
                batches.push(batch);
            }
        }
        scan.finish().unwrap();
        while let Some(batch) = scan.next().unwrap() {
            batches.push(batch);
        }
        (scan.summary().findings, batches)
    });
    for result in &results {
        assert_eq!(results[0].0, result.0);
        assert_eq!(rows(&results[0].1), rows(&result.1));
    }
    std::mem::take(&mut results[0])
}

/// Returns the rows of each table, however they are divided into batches.
fn rows(batches: &[TableBatch]) -> BTreeMap<&'static str, RecordBatch> {
    let mut tables: BTreeMap<&str, Vec<&RecordBatch>> = BTreeMap::new();
    for batch in batches {
        tables
            .entry(batch.table.name())
            .or_default()
            .push(&batch.batch);
    }
    let joined = |(table, batches): (_, Vec<&RecordBatch>)| {
        let schema = batches[0].schema();
        (table, concat_batches(&schema, batches).unwrap())
    };
    tables.into_iter().map(joined).collect()
}

fn checked() -> ScanOptions {
    ScanOptions {
        check_persons: true,
        ..ScanOptions::default()
    }
}

/// Returns the findings as `code level count`.
fn findings(bytes: &[u8]) -> Vec<String> {
    let of = |options: &ScanOptions| {
        let found = scan(bytes, options).0.into_iter();
        // The short records of these tests lack dates that are usually zeros.
        let found = found.filter(|finding| finding.code != Code::IrregularValue);
        let found = found.map(|f| format!("{} {:?} {}", f.code.name(), f.level, f.count));
        found.collect::<Vec<_>>()
    };
    let all = of(&checked());
    // Records that are only counted have the same findings, except for persons.
    let needs_more = |finding: &String| finding.starts_with("person");
    let without = |found: &[String]| -> Vec<String> {
        found.iter().filter(|f| !needs_more(f)).cloned().collect()
    };
    let counting = ScanOptions {
        tables: Some(Vec::new()),
        ..ScanOptions::default()
    };
    assert_eq!(without(&of(&counting)), without(&all));
    // So have records that do not meet a condition.
    for condition in ["pnr = '0101010029'", "birth_date > '2000-01-01'"] {
        assert_eq!(without(&of(&persons(condition))), without(&all));
    }
    all
}

/// Returns the options of a scan of the persons who meet a condition.
fn persons(condition: &str) -> ScanOptions {
    ScanOptions {
        tables: Some(vec![TableRequest {
            name: "person".to_owned(),
            columns: None,
            predicate: Some(condition.to_owned()),
        }]),
        ..ScanOptions::default()
    }
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_second_start_record_is_an_error() {
    assert_eq!(findings(&extract(&[PERSON])), none());
    assert_eq!(
        findings(&extract(&[PERSON, START, PERSON])),
        ["second-start Error 1", "person-twice Note 1"]
    );
    let after_end = [extract(&[PERSON]), extract(&[])].join(&b'\n');
    assert_eq!(
        findings(&after_end),
        ["second-start Error 1", "records-after-end Error 2"]
    );
    let (found, _) = scan(&extract(&[PERSON, START]), &checked());
    assert_eq!(found[0].places[0].first_line, 3);
    assert_eq!(found[0].places[0].record_type.as_deref(), Some("000"));
}

#[test]
fn tells_persons_with_several_001() {
    let dead = PERSON.replace(" 01", " 90");
    let spaced = format!("{PERSON}   ");
    let other = PERSON.replace("0101010010", "0101010029");
    assert_eq!(findings(&extract(&[PERSON, &other])), none());
    assert_eq!(
        findings(&extract(&[PERSON, &other, &spaced, PERSON])),
        ["person-twice Note 1"]
    );
    let different = extract(&[PERSON, PERSON, &other, &other, &dead]);
    assert_eq!(findings(&different), ["person-twice Warning 1"]);
    assert_eq!(scan(&different, &checked()).0[0].places[0].first_line, 6);
    // Without the check of persons there is no such finding.
    assert!(scan(&different, &ScanOptions::default()).0.is_empty());
}

#[test]
fn tells_damaged_protections() {
    let of = |records: &[&str]| findings(&extract(&[&[PERSON], records].concat()));
    for fine in ["0001", "0005", "00012026-01-01", "00022026-01-01"] {
        assert_eq!(of(&[&line_of("004", fine)]), none());
    }
    for unreadable in [
        "",
        "1",
        " 1",
        "\t1",
        "    2026-01-01",
        "9999",
        "00022x26-01-01",
    ] {
        let found = of(&[&line_of("004", unreadable)]);
        assert!(
            has(&found, "protection-unreadable Warning 1"),
            "{unreadable:?} {found:?}"
        );
        assert!(!found.iter().any(|finding| finding.starts_with("rejected")));
    }
    let readable = "004010101 00100001";
    assert_eq!(
        of(&[readable, readable]),
        [
            "rejected-record Warning 2",
            "protection-unreadable Warning 2"
        ]
    );
    for unknown in [
        "004010101 0100001",
        "004",
        "004          0001",
        "garbage",
        "034010101 00100001",
    ] {
        assert_eq!(
            of(&[unknown, readable]),
            ["protection-unreadable Error 2", "rejected-record Warning 2"]
        );
    }
    assert!(has(
        &of(&["00400000000000001"]),
        "protection-unreadable Error 1"
    ));
    let joined = format!("{:26}00401010100290001", line_of("007", ""));
    assert!(has(&of(&[&joined]), "protection-unreadable Warning 1"));
    for unknown in [
        &line_of("004", "O001"),
        &line_of("004", "1-01"),
        &line_of("001", "0"),
    ] {
        assert_eq!(of(&[unknown])[0], "protection-unreadable Error 1");
    }
    // Records of unknown types, of which one may be a 004.
    let new = line_of("053", "TEXT 2026-01-01 202611221011");
    assert_eq!(of(&[&new]), ["unknown-type Warning 1"]);
    assert_eq!(
        of(&[&new, "9004010101001000012026-01-01"]),
        ["protection-unreadable Error 1", "unknown-type Warning 2"]
    );
    let (found, _) = scan(&extract(&[PERSON, "garbage", "004"]), &checked());
    let places: Vec<_> = found[0].places.iter().collect();
    assert_eq!(places[0].record_type.as_deref(), Some("004"));
    assert_eq!((places[0].first_line, places[1].first_line), (4, 3));
    assert_eq!(places[1].record_type, None);
}

fn has(found: &[String], finding: &str) -> bool {
    found.iter().any(|one| one == finding)
}

/// Padding after the end record is no data, with and without line ends.
#[test]
fn padding_after_the_end_is_a_note() {
    for padding in [
        &b"\n\x1a"[..],
        b"\n\0\0\0",
        b"\r\n\xff\xff \xff",
        b"\n\x1a\r\n",
        b"\x1a",
        b"\0\0",
        b"   \x1a",
        b"\n\0\n\x1a",
    ] {
        let count = if padding == b"\n\0\n\x1a" { 2 } else { 1 };
        let expected = [format!("padding-after-end Note {count}")];
        assert_eq!(
            findings(&[&extract(&[PERSON])[..], padding].concat()),
            expected,
            "{padding:?}"
        );
    }
    for nothing in [&b"\n"[..], b"\n   ", b"    ", b"\r\n\r\n"] {
        assert_eq!(
            findings(&[&extract(&[PERSON])[..], nothing].concat()),
            none()
        );
    }
    // Without line ends.
    let packed = |records: &[&str]| {
        let mut text = START.to_owned();
        for record in records {
            text += &format!("{record:106}");
        }
        text += &format!("9999999999999{:08}", records.len());
        text.into_bytes()
    };
    assert_eq!(findings(&packed(&[PERSON])), none());
    for padding in [
        &b"\x1a"[..],
        b"\0\0",
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x1a\r\n",
        b"     \x1a",
    ] {
        let found = findings(&[&packed(&[PERSON])[..], padding].concat());
        assert_eq!(found, ["padding-after-end Note 1"], "{padding:?}");
    }
    // The padding is kept as it is.
    let (_, batches) = scan(&[&extract(&[PERSON])[..], b"\n\x1a"].concat(), &checked());
    let rejected = batches
        .iter()
        .find(|batch| batch.table == TableId::Rejected)
        .unwrap();
    assert_eq!(
        rejected
            .batch
            .column_by_name("reason")
            .unwrap()
            .as_string::<i32>()
            .value(0),
        "padding"
    );
    // Anything else after the end is an error, and so is padding before it.
    let more = [&extract(&[PERSON])[..], b"\n\x1aX"].concat();
    assert!(has(&findings(&more), "records-after-end Error 1"));
    assert!(has(
        &findings(&extract(&[PERSON, "\u{1a}"])),
        "rejected-record Warning 1"
    ));
    let mut middle = packed(&[PERSON]);
    middle.extend(b"\0\0\0\0");
    middle.extend(packed(&[PERSON]));
    let mut scan = Scan::open(&checked(), None).unwrap();
    scan.push(middle).unwrap();
    scan.finish().unwrap();
    let ended = std::iter::repeat_with(|| scan.next()).find(|next| !matches!(next, Ok(Some(_))));
    assert!(matches!(ended, Some(Err(Error::LostTrack(_)))));
}

#[test]
fn control_characters_are_counted_by_column() {
    let name = |given: &str| line_of("008", given);
    let plain = [name("Anna"), name("\u{c6}rø\u{a0}\u{ff}")];
    assert_eq!(findings(&extract(&[PERSON, &plain[0], &plain[1]])), none());
    for odd in [
        "An\0na",
        "An\rna",
        "An\tna",
        "An\u{1b}na",
        "An\u{7f}na",
        "M\u{9b}ller",
        "M\u{91}",
        "\u{86}\u{80}",
    ] {
        // One value among few is more than the share.
        let found = findings(&extract(&[PERSON, &name(odd)]));
        assert_eq!(found, ["control-characters Error 1"], "{odd:?}");
        let mut records = vec![PERSON.to_owned(), name(odd)];
        records.resize(400, name("Anna"));
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        assert_eq!(
            findings(&extract(&records)),
            ["control-characters Warning 1"],
            "{odd:?}"
        );
        let (found, _) = scan(&extract(&records), &checked());
        let place = &found[0].places[0];
        assert_eq!(place.record_type.as_deref(), Some("008"));
        assert_eq!(place.column.as_deref(), Some("given_name"));
        assert_eq!((place.count, place.first_line), (1, 3));
    }
    let two = format!("{:160}\u{1}", name("A\0"));
    let (found, _) = scan(&extract(&[PERSON, &two, "036\u{1}", "\u{1}"]), &checked());
    let controls = found
        .iter()
        .find(|f| f.code == Code::ControlCharacters)
        .unwrap();
    let places: Vec<_> = controls
        .places
        .iter()
        .map(|p| (p.record_type.as_deref(), p.column.as_deref()))
        .collect();
    assert_eq!(
        places,
        [
            (None, None),
            (Some("008"), Some("addressing_name")),
            (Some("008"), Some("given_name")),
            (Some("036"), None),
        ]
    );
    assert_eq!((controls.level, controls.count), (Level::Error, 4));
}

/// A file in UTF-8 has bytes of other code pages too, which are a finding of their own.
#[test]
fn utf_8_is_one_finding() {
    let utf8 = format!("{START}\n{PERSON}\n0080101010010Ærø\n999999999999900000002").into_bytes();
    assert_eq!(findings(&utf8), ["damaged-encoding Error 1"]);
    let with_nul =
        format!("{START}\n{PERSON}\n0080101010010Ær\0ø\n999999999999900000002").into_bytes();
    assert_eq!(
        findings(&with_nul),
        ["damaged-encoding Error 1", "control-characters Error 1"]
    );
}

/// Several CR before a LF are a line end.
#[test]
fn repeated_carriage_returns_do_not_get_into_values() {
    let text = String::from_utf8(extract(&[PERSON, "0080101010010Anna"])).unwrap();
    for ends in ["\r\r\n", "\r\r\r\n"] {
        let bytes = format!("{}{ends}", text.replace('\n', ends)).into_bytes();
        assert_eq!(findings(&bytes), ["control-characters Note 4"]);
        let (_, batches) = scan(&bytes, &checked());
        let name = batches
            .iter()
            .find(|batch| batch.table.name() == "name")
            .unwrap();
        let given = name.batch.column_by_name("given_name").unwrap();
        assert_eq!(given.as_string::<i32>().value(0), "Anna");
    }
    let crlf = format!("{}\r\n", text.replace('\n', "\r\n")).into_bytes();
    assert_eq!(findings(&crlf), none());
    // Enough lines for several blocks.
    let names = vec!["0080101010010Anna"; 4_000];
    let text = String::from_utf8(extract(&names)).unwrap();
    let bytes = text.replace('\n', "\r\r\n").into_bytes();
    let (found, batches) = scan(&bytes, &ScanOptions::default());
    let returns = found.iter().find(|f| f.code == Code::ControlCharacters);
    let count = returns.map(|finding| (finding.level, finding.count));
    assert_eq!(count, Some((Level::Note, names.len() as u64 + 1)));
    let names_of = batches.iter().filter(|b| b.table.name() == "name");
    let mut rows = 0;
    for batch in names_of {
        let given = batch.batch.column_by_name("given_name").unwrap();
        let mut texts = given.as_string::<i32>().iter();
        assert!(texts.all(|text| text == Some("Anna")));
        rows += given.len();
    }
    assert_eq!(rows, names.len());
}

#[test]
fn records_that_do_not_meet_a_condition_count_as_lines() {
    let person = |number: &str, birth: &str| {
        PERSON
            .replace("0101010010", number)
            .replace("1990-01-01", birth)
    };
    let of = |number: &str| person(number, "1990-01-01");
    let short = PERSON.get(..30).unwrap();
    let longer = format!("{:200}x", of("0101010045"));
    let records = [
        &of("0101010010"),
        &person("0101010029", "2010-01-01"),
        "0080101010029Anna",
        // A record that ends before the date, one with characters of ISO-8859-1, one that is too long, and a blank line.
        short,
        &format!("{}\u{e6}", of("0101010037")),
        &longer,
        "",
        "777",
        &person("0101010010", "2011-02-03"),
        &format!("{}\r", person("0101010010", "2012-03-04")),
        &of("0101010053"),
    ];
    let bytes = extract(&records);
    let lines = |condition: &str| {
        let (_, batches) = scan(&bytes, &persons(condition));
        let lines = rows(&batches).get("person").map(|rows| {
            let line = rows.column_by_name("line").unwrap();
            line.as_primitive::<Int64Type>().values().to_vec()
        });
        lines.unwrap_or_default()
    };
    // Blank lines are no records.
    assert_eq!(lines("birth_date > '2000-01-01'"), [3, 9, 10]);
    assert_eq!(lines("birth_date < '2000-01-01'"), [2, 6, 7, 11]);
    assert_eq!(lines("birth_date is null"), [5]);
    assert_eq!(
        lines("pnr = '0101010010' and birth_date > '2000-01-01'"),
        [9, 10]
    );
    assert_eq!(
        lines("pnr = '0101010053' or birth_date > '2011-12-31'"),
        [10, 11]
    );
    assert!(lines("birth_date > '2020-01-01'").is_empty());
    let counts = |options: &ScanOptions| {
        let mut scan = Scan::open(options, None).unwrap();
        scan.push(bytes.clone()).unwrap();
        scan.finish().unwrap();
        while scan.next().unwrap().is_some() {}
        let summary = scan.summary();
        (
            summary.records,
            summary.bytes,
            format!("{:?}", summary.tables),
        )
    };
    assert_eq!(
        counts(&persons("birth_date > '2020-01-01'")),
        counts(&ScanOptions::default())
    );
}
