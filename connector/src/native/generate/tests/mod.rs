//! Tests of a status file, with helpers to inspect extracts.

mod families;
mod figures;
mod never;
mod nights;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::*;
use crate::layout::{self, Table};

type Records = BTreeMap<String, Vec<Vec<u8>>>;

fn settings(persons: u64) -> Settings {
    Settings {
        shape: OutputShape::Full,
        ..Settings::busy(persons, 42)
    }
}

fn status_of(settings: &Settings) -> Vec<u8> {
    let mut out = Vec::new();
    let written = status(settings, &mut out).unwrap();
    assert_eq!(written.bytes, out.len() as u64);
    out
}

fn changes_of(settings: &Settings, night: u32) -> Vec<u8> {
    let mut out = Vec::new();
    changes(settings, night, &mut out).unwrap();
    out
}

fn lines(extract: &[u8]) -> impl Iterator<Item = &[u8]> {
    extract
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
}

fn kind(line: &[u8]) -> &str {
    str::from_utf8(&line[..3]).unwrap()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn table(line: &[u8]) -> &'static Table {
    &layout::tables()[layout::index_of([line[0], line[1], line[2]]).unwrap()]
}

fn field(line: &[u8], column: &str) -> String {
    let column = table(line).column(column).unwrap();
    text(&line[column.start()..column.end()])
        .trim_end()
        .to_owned()
}

/// Returns the records of each number, without the events and receipts.
fn by_number(extract: &[u8]) -> Records {
    let mut records = Records::new();
    for line in lines(extract) {
        if !matches!(kind(line), "000" | "099" | "910" | "997" | "999") {
            records
                .entry(text(&line[3..13]))
                .or_default()
                .push(line.to_vec());
        }
    }
    records
}

fn types(extract: &[u8]) -> BTreeSet<String> {
    lines(extract).map(|line| kind(line).to_owned()).collect()
}

#[test]
fn only_the_same_settings_give_the_same_bytes() {
    let one = settings(300);
    assert_eq!(status_of(&one), status_of(&one));
    assert_eq!(changes_of(&one, 2), changes_of(&one, 2));
    assert_ne!(
        status_of(&one),
        status_of(&Settings {
            seed: 43,
            ..one.clone()
        })
    );
    assert_ne!(changes_of(&one, 1), changes_of(&one, 2));
}

#[test]
fn every_record_type_and_status_occurs_among_500_persons() {
    for seed in 0..20 {
        let settings = Settings {
            seed,
            ..settings(500)
        };
        let extract = status_of(&settings);
        let all: BTreeSet<_> = layout::tables()
            .iter()
            .map(|table| table.record_type.to_owned())
            .collect();
        let of_changes = BTreeSet::from(["099".to_owned(), "997".to_owned()]);
        assert_eq!(types(&extract), &all - &of_changes, "seed {seed}");
        assert!(
            types(&changes_of(&settings, 1)).is_superset(&of_changes),
            "seed {seed}"
        );
        let statuses: BTreeSet<_> = lines(&extract)
            .filter(|line| kind(line) == "001")
            .map(|line| field(line, "status"))
            .collect();
        let known = [
            "01", "03", "05", "07", "20", "30", "50", "60", "70", "80", "90",
        ];
        assert_eq!(statuses, known.map(str::to_owned).into(), "seed {seed}");
    }
}

#[test]
fn records_follow_their_layout() {
    for age in [LayoutAge::Current, LayoutAge::Original] {
        let settings = Settings {
            layout: age,
            ..settings(2000)
        };
        for line in lines(&status_of(&settings)).chain(lines(&changes_of(&settings, 1))) {
            let table = table(line);
            let length = match age {
                LayoutAge::Current => table.record_length(),
                LayoutAge::Original => table.lengths[0],
            };
            assert_eq!(line.len(), length, "{}", table.name);
            for column in table.columns {
                use layout::Kind::{Count, Date8, Flag, Pnr};
                let Some(bytes) = line.get(column.start()..column.end()) else {
                    continue;
                };
                let digits = bytes.iter().all(u8::is_ascii_digit);
                let blank = bytes.iter().all(|&byte| byte == b' ');
                let fits = match column.kind {
                    Pnr | Date8 => digits || blank,
                    Count => digits,
                    layout::Kind::Timestamp => digits || blank,
                    layout::Kind::Date => blank || (bytes[4] == b'-' && bytes[7] == b'-'),
                    Flag => matches!(bytes, b" " | b"*"),
                    _ => bytes.iter().all(|&byte| byte >= b' '),
                };
                assert!(fits, "{}.{}", table.name, column.name);
            }
        }
    }
}

#[test]
fn shapes_hold_the_same_records() {
    let full = settings(300);
    let lines_of = status_of(&full);
    let packed = status_of(&Settings {
        shape: OutputShape::Packed,
        ..full.clone()
    });
    assert_eq!(
        packed,
        lines(&lines_of).flatten().copied().collect::<Vec<_>>()
    );
    let trimmed = status_of(&Settings {
        shape: OutputShape::Trimmed,
        ..full.clone()
    });
    for (short, long) in lines(&trimmed).zip(lines(&lines_of)) {
        assert!(long.starts_with(short));
        assert!(!short.ends_with(b" ") && long[short.len()..].iter().all(|&byte| byte == b' '));
    }
}

#[test]
fn the_end_record_counts_the_records_before_it() {
    let settings = settings(777);
    for extract in [status_of(&settings), changes_of(&settings, 1)] {
        let lines: Vec<_> = lines(&extract).collect();
        assert_eq!(kind(lines[0]), "000");
        let end = lines.iter().position(|line| kind(line) == "999").unwrap();
        assert_eq!(field(lines[end], "record_count"), format!("{:08}", end - 1));
        assert!(lines[end + 1..].iter().all(|line| kind(line) == "910"));
        assert_eq!(lines.len(), end + 4);
    }
}

#[test]
fn the_second_pass_writes_the_plaintext_addresses() {
    let two_passes = settings(400);
    let extract = status_of(&two_passes);
    let kinds: Vec<_> = lines(&extract).map(kind).collect();
    let first = kinds.iter().position(|kind| *kind == "003").unwrap();
    let last = kinds.iter().rposition(|kind| *kind == "003").unwrap();
    assert_eq!(last + 1 - first, 400);
    assert!(kinds[first..=last].iter().all(|kind| *kind == "003"));
    let together = status_of(&Settings {
        order: Order::ByPerson,
        ..two_passes
    });
    let keys = lines(&together)
        .map(|line| &line[3..13])
        .collect::<Vec<_>>();
    let runs = keys.chunk_by(|a, b| a == b).count();
    assert_eq!(runs, 400 + 1 + 1 + 3);
}

#[test]
fn single_records_occur_once_per_person() {
    for (number, records) in by_number(&status_of(&settings(3000))) {
        let count = |kind_of: &str| records.iter().filter(|line| kind(line) == kind_of).count();
        for once in ["001", "003", "008", "009", "010", "011", "012", "015"] {
            assert_eq!(count(once), 1, "{once}");
        }
        for at_most_once in ["002", "005", "006", "007", "013", "017", "021"] {
            assert!(count(at_most_once) <= 1, "{at_most_once}");
        }
        let status = records
            .iter()
            .find(|line| kind(line) == "001")
            .map(|line| field(line, "status"))
            .unwrap();
        match status.as_str() {
            "01" | "03" | "05" | "07" => assert_eq!(count("002"), 1),
            "70" | "80" | "90" => {}
            _ => assert_eq!(count("002"), 0),
        }
        assert_eq!(number.len(), 10);
    }
}

#[test]
fn a_changed_number_points_to_the_valid_one() {
    let extract = status_of(&settings(2000));
    let former: BTreeSet<_> = lines(&extract)
        .filter(|line| kind(line) == "001" && matches!(field(line, "status").as_str(), "50" | "60"))
        .map(|line| (field(line, "current_pnr"), field(line, "pnr")))
        .collect();
    let former_numbers: BTreeSet<_> = lines(&extract)
        .filter(|line| kind(line) == "022")
        .map(|line| (field(line, "pnr"), field(line, "former_pnr")))
        .collect();
    assert!(former.len() > 10);
    // The last family may have been cut between the two numbers.
    assert!(former.is_subset(&former_numbers) && former_numbers.len() - former.len() <= 1);
}

#[test]
fn a_million_numbers_are_unique_and_fail_modulus_11() {
    let mut seen = HashSet::new();
    for person in population(&Settings::busy(1_000_000, 3), 0).unwrap() {
        let number = person.unwrap().number().parse::<u64>().unwrap();
        let weights = [1, 2, 3, 4, 5, 6, 7, 2, 3, 4];
        let digits = weights.into_iter().scan(number, |rest, weight| {
            let digit = *rest % 10;
            *rest /= 10;
            Some(digit * weight)
        });
        assert_ne!(digits.sum::<u64>() % 11, 0);
        assert!(seen.insert(number));
    }
    assert_eq!(seen.len(), 1_000_000);
}

#[test]
fn irregular_values_and_letters_are_as_frequent_as_in_real_data() {
    let extract = status_of(&settings(4000));
    let (mut filled, mut unknown_hour, mut unknown_day) = (0, 0, 0);
    let (mut records, mut with_letters) = (0, 0);
    for line in lines(&extract) {
        records += 1;
        with_letters += u32::from(!line.is_ascii());
        for column in table(line)
            .columns
            .iter()
            .filter(|column| column.kind == layout::Kind::Timestamp)
        {
            let value = field(line, column.name);
            if !value.is_empty() && value != "000000000000" {
                filled += 1;
                unknown_hour += u32::from(value.ends_with("1299"));
                unknown_day += u32::from(&value[4..6] == "00" || &value[6..8] == "00");
            }
        }
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    assert!((0.04..0.10).contains(&share(unknown_hour, filled)));
    assert!((0.01..0.04).contains(&share(unknown_day, filled)));
    assert!((0.10..0.30).contains(&share(with_letters, records)));
}

#[test]
fn refuses_invalid_settings() {
    let refused = |settings: Settings| status(&settings, &mut Vec::new()).is_err();
    assert!(refused(Settings::busy(5_000_001, 1)));
    assert!(refused(Settings {
        task_number: "12".to_owned(),
        ..settings(1)
    }));
    assert!(refused(Settings {
        first_day: Day::new(1999, 1, 1).unwrap(),
        ..settings(1)
    }));
    assert!(changes(&settings(10), 0, &mut Vec::new()).is_err());
    for persons in 0..8 {
        assert_eq!(
            by_number(&status_of(&settings(persons))).len() as u64,
            persons
        );
    }
}

#[test]
fn only_protections_and_planned_deletions_are_in_the_future_and_periods_end_after_their_start() {
    let extract = status_of(&settings(5000));
    let (today, stamp) = ("2026-03-02", "202603020000");
    for line in lines(&extract).filter(|line| kind(line) != "004") {
        for column in table(line).columns {
            let value = field(line, column.name);
            match column.kind {
                layout::Kind::Date if column.name.ends_with("deletion_date") => {}
                layout::Kind::Date if column.name != "protection_start_date" => {
                    assert!(value.as_str() <= today, "{}", column.name);
                }
                layout::Kind::Timestamp => assert!(value.as_str() <= stamp, "{}", column.name),
                _ => {}
            }
        }
        let (start, end) = match kind(line) {
            "023" => ("moved_in", "moved_out"),
            "025" => ("disappeared", "found"),
            "026" => ("name_start", "name_end"),
            "029" => ("civil_status_start", "civil_status_end"),
            "030" | "028" => ("start_date", "end_date"),
            _ => continue,
        };
        // Compares the years, which are always known.
        let (start, end) = (field(line, start), field(line, end));
        let known = !start.starts_with("0000") && !end.starts_with("0000") && !end.is_empty();
        assert!(
            !known || start[..start.len().min(4)] <= end[..4],
            "{}",
            table(line).name
        );
    }
}
