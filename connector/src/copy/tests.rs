use super::*;
use crate::{ExtractPlace, Selection};

const A: &str = "0101010010";
const B: &str = "0101010029";
const START: &str = "00000000000001109012001111720011116";

/// Copies an extract in blocks of that size.
fn copy_in(
    options: &CopyOptions,
    extract: &[u8],
    block: usize,
) -> Result<(Vec<u8>, CopyReport), Error> {
    let mut copy = ExtractCopy::open(options)?;
    let mut out = Vec::new();
    for piece in extract.chunks(block) {
        copy.push(piece.to_vec())?;
        while let Some(bytes) = copy.next() {
            out.extend(bytes);
        }
    }
    copy.finish()?;
    while let Some(bytes) = copy.next() {
        out.extend(bytes);
    }
    Ok((out, copy.report()))
}

/// Copies an extract; the copy does not depend on the sizes of the blocks.
fn copy(options: &CopyOptions, extract: &str) -> (String, CopyReport) {
    let (out, report) = copy_in(options, extract.as_bytes(), usize::MAX).unwrap();
    for block in [1, 7, 50] {
        let again = copy_in(options, extract.as_bytes(), block).unwrap();
        assert_eq!(again, (out.clone(), report.clone()), "{block}");
    }
    (String::from_utf8(out).unwrap(), report)
}

fn erasing(numbers: &[&str]) -> CopyOptions {
    CopyOptions {
        erased: numbers.iter().map(|&number| number.to_owned()).collect(),
        ..CopyOptions::default()
    }
}

fn blanking(numbers: &[&str]) -> CopyOptions {
    CopyOptions {
        blank_references: true,
        ..erasing(numbers)
    }
}

fn refused(options: &CopyOptions, extract: &str) -> String {
    let error = copy_in(options, extract.as_bytes(), 13).unwrap_err();
    assert!(matches!(error, Error::NotSeparable { .. }), "{error}");
    let message = error.to_string();
    assert!(!message.contains(A) && !message.contains(B));
    message
}

#[test]
fn a_copy_without_erasure_is_identical() {
    for extract in [
        format!("{START}\n001{A}\n\n002{A}0851  \r\n999999999999900000002\n"),
        format!(
            "\u{feff}{START}\n001{A}\nnonsense\n777{A}\n999999999999900000099\n910ERROR\n\u{1a}"
        ),
        format!("{START}\n001{A}\n999999999999900000001"),
        format!("{START}\r\r\n001{A}\r\r\n"),
        format!("{START}\n999999999999900000000\n{START}\n001{A}\n999999999999900000001\n"),
        "\n\n".to_owned(),
        String::new(),
        // Without line ends.
        format!(
            "{START}{:106}{:25}999999999999900000002",
            format!("001{A}"),
            format!("011{A}")
        ),
    ] {
        let (out, report) = copy(&CopyOptions::default(), &extract);
        assert_eq!(out, extract);
        assert!(report.left_out.is_empty() && report.blanked == 0);
        let (out, _) = copy(&blanking(&["0202020202"]), &extract);
        assert_eq!(out, extract);
    }
}

#[test]
fn all_records_of_erased_persons_go() {
    let extract = format!(
        "{START}\n001{A}\r\n001{B}\n\n002{A}0851\n099{A}202601010000A01\n997{A}202601010000A01\n\
         008{B}Somebody\n999999999999900000006\n"
    );
    let (out, report) = copy(&erasing(&[A]), &extract);
    assert_eq!(
        out,
        format!("{START}\n001{B}\n\n008{B}Somebody\n999999999999900000002\n")
    );
    assert_eq!(report.copied, 4);
    let left_out: Vec<_> = report
        .left_out
        .iter()
        .map(|(id, n)| (id.name(), *n))
        .collect();
    let expected = [
        ("person", 1),
        ("address", 1),
        ("event", 1),
        ("subscription_receipt", 1),
    ];
    assert_eq!(left_out, expected);
    // In a file without line ends.
    let packed = |records: &str, count: usize| format!("{START}{records}9999999999999{count:08}");
    let [of_a, of_b] = [A, B].map(|number| format!("{:25}", format!("011{number}")));
    let extract = packed(&format!("{of_a}{of_b}{of_a}"), 3);
    assert_eq!(copy(&erasing(&[A]), &extract).0, packed(&of_b, 1));
}

#[test]
fn lines_of_nobody_go_if_they_hold_the_number() {
    let lines = |held: &str| {
        format!(
            "{START}\n001{B}\n{held}777{B}0101 unknown\nnonsense\n9999999999999{:08}\n",
            4 + held.lines().count() - 1
        )
    };
    for held in [
        format!("777{A}\n"),
        format!("x{A}\n"),
        "004 01010100100001\n".to_owned(),
        "0?1010101-0010\n".to_owned(),
        "777 born 010101 0010\n".to_owned(),
    ] {
        let (out, report) = copy(&erasing(&[A]), &lines(&held));
        assert_eq!(out, lines(""), "{held}");
        assert_eq!(report.left_out.len(), 1);
        assert_eq!(report.left_out[0].1, 1);
    }
}

#[test]
fn error_records_after_the_end_are_counted_as_before() {
    let extract = |lines: &str, errors: &str, count: u32| {
        format!("{START}\n{lines}9999999999999{count:08}\n{errors}")
    };
    let own = format!("910{A}wrong\n");
    let other = format!("910{B}wrong\n");
    let lines = format!("001{A}\n001{B}\n");
    let rest = format!("001{B}\n");
    let both = format!("{own}{other}");
    let erased = |count| copy(&erasing(&[A]), &extract(&lines, &both, count)).0;
    // Not counted, counted, and a counter that was wrong before and stays as wrong.
    assert_eq!(erased(2), extract(&rest, &other, 1));
    assert_eq!(erased(4), extract(&rest, &other, 2));
    assert_eq!(erased(9), extract(&rest, &other, 8));
    assert_eq!(erased(99_999_999), extract(&rest, &other, 99_999_998));
    // More records than declared stay more.
    assert_eq!(erased(1), extract(&rest, &other, 1));
    let more = format!("{lines}002{B}0851\n003{A}\n");
    let more_rest = format!("{rest}002{B}0851\n");
    for (count, left) in [(1, 1), (2, 1), (3, 1), (4, 2)] {
        let (out, _) = copy(&erasing(&[A]), &extract(&more, "", count));
        assert_eq!(out, extract(&more_rest, "", left), "{count}");
    }
    // Only an error record goes.
    let (out, _) = copy(&erasing(&[A]), &extract(&rest, &both, 3));
    assert_eq!(out, extract(&rest, &other, 2));
    let (out, _) = copy(&erasing(&[A]), &extract(&rest, &both, 1));
    assert_eq!(out, extract(&rest, &other, 1));
}

#[test]
fn every_section_has_its_own_counter() {
    let section = |records: &[&str]| {
        let lines: String = records
            .iter()
            .map(|number| format!("001{number}\n"))
            .collect();
        format!("{START}\n{lines}9999999999999{:08}\n", records.len())
    };
    let (out, _) = copy(&erasing(&[A]), &(section(&[A, B]) + &section(&[A, A, B])));
    assert_eq!(out, section(&[B]) + &section(&[B]));
}

#[test]
fn references_stay_or_are_blanked() {
    let mother = |number: &str, name: &str, born: &str| {
        format!("015{B}{:11}{number}{born:10} {name:34}", "")
    };
    let hidden = format!("015{B}{:11}0000000000{:10} {:34}", "", "", "");
    let father = format!(" {:10} 0303030303", "2001-01-01");
    for (with, without) in [
        (
            format!("{}{father}\n", mother(A, "Anna", "1980-01-01")),
            format!("{hidden}{father}\n"),
        ),
        // The row tells nothing else.
        (format!("014{B}{A}\n"), String::new()),
        (format!("022{B}{A}2001-01-01\n"), String::new()),
        (
            format!("001{B}{A}60200101010000 K2001-01-01\n"),
            format!("001{B}{:10}60200101010000 K2001-01-01\n", ""),
        ),
        (
            format!("003{B}c/o 010101-0010 Anna\n"),
            format!("003{B}c/o {:11} Anna\n", ""),
        ),
    ] {
        let extract = |line: &str| {
            let count = line.lines().count();
            format!("{START}\n{line}9999999999999{count:08}\n")
        };
        let (out, report) = copy(&erasing(&[A]), &extract(&with));
        assert_eq!(out, extract(&with));
        assert_eq!((report.referring, report.blanked), (1, 0));
        let (out, report) = copy(&blanking(&[A]), &extract(&with));
        assert_eq!(out, extract(&without));
        assert_eq!(report.blanked + report.left_out.len() as u64, 1);
        assert!(!out.contains(A));
    }
    // Digits that make the number by chance.
    for chance in [
        format!("099{B}202601011234A01\n"),
        format!("002{B}010101001000\n"),
    ] {
        let extract = format!("{START}\n{chance}999999999999900000001\n");
        let number = ["2601011234", "0101010010"];
        let (out, report) = copy(&blanking(&number), &extract);
        assert_eq!((out, report.referring), (extract, 0));
    }
}

#[test]
fn refuses_what_cannot_be_told_apart() {
    let extract = |line: &str| format!("{START}\n{line}\n999999999999900000001\n");
    // Another person's record goes on with one of the erased person.
    let joined = extract(&format!("{:25}001{A}", format!("011{B}")));
    let message = refused(&erasing(&[A]), &joined);
    assert!(
        message.starts_with("record 2 ") && message.contains("line end"),
        "{message}"
    );
    // The other way round.
    let message = refused(&erasing(&[B]), &joined);
    assert!(message.contains("another person"), "{message}");
    // Both are erased.
    let (out, _) = copy(&erasing(&[A, B]), &joined);
    assert_eq!(out, format!("{START}\n999999999999900000000\n"));
    // Values in the wrong columns.
    let shifted = extract(&format!("001{B}          0{A}101010000 K2001-01-01"));
    let message = refused(&blanking(&[A]), &shifted);
    assert!(message.contains("wrong columns"), "{message}");
    assert_eq!(copy(&erasing(&[A]), &shifted).1.referring, 1);
    for wrong in ["", "1", "01010100100", "x101010010", "0000000000"] {
        let error = ExtractCopy::open(&erasing(&[wrong])).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{wrong}");
    }
}

#[test]
fn superseded_records_go_but_events_stay() {
    let place = |sequence| ExtractPlace {
        agreement: "m".to_owned(),
        production_date: "2026-03-01".to_owned(),
        sequence,
    };
    let newer = format!("{START}\n001{A}\n999999999999900000001\n");
    let older = format!(
        "{START}\n001{A}\n002{A}0851\n099{A}202601010000A01\n001{B}\n{:25}001{B}\n999999999999900000005\n",
        format!("011{A}")
    );
    let mut selection = Selection::open_state(None, None).unwrap();
    for (sequence, extract) in [(2, &newer), (1, &older)] {
        selection.begin_extract(&place(sequence)).unwrap();
        selection.push(extract.as_bytes().to_vec()).unwrap();
        selection.end_extract().unwrap();
    }
    selection.finish().unwrap();
    let options = CopyOptions {
        superseded: Some(selection.superseded_persons(1).unwrap()),
        ..CopyOptions::default()
    };
    let (out, report) = copy(&options, &older);
    // The joined record is kept, because another person's record may be in it.
    let joined = format!("{:25}001{B}", format!("011{A}"));
    assert_eq!(
        out,
        format!("{START}\n099{A}202601010000A01\n001{B}\n{joined}\n999999999999900000003\n")
    );
    assert_eq!(report.left_out.len(), 2);
    let damaged = CopyOptions {
        superseded: Some(b"CPRROSTR".to_vec()),
        ..CopyOptions::default()
    };
    assert!(ExtractCopy::open(&damaged).is_err());
}
