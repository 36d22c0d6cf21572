//! Scans with several threads return what scans with one thread return.

use std::fs;
use std::io::Read;

use cprflow::Scan;
use cprflow_tests::extract::{self, Damage, Dice, EVERY_DAMAGE, Extract};
use cprflow_tests::rows::connector;
use cprflow_tests::threads::{Outcome, assert_same};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;

/// A scan of all tables with all findings.
fn scan() -> Scan {
    Scan::new(connector())
        .check_persons(true)
        .expected_previous("2001-01-01")
}

/// Compares all tables, and a few tables of which most records are only counted.
fn check(extract: &Extract, dice: &mut Dice) {
    let few = Scan::new(connector())
        .table("name")
        .table("event")
        .table("unknown_record");
    for (what, scan) in [("all tables", scan()), ("few tables", few)] {
        let parts = std::array::from_fn(|_| 300 + dice.below(30_000));
        let name = format!("{}, {what}", extract.name);
        assert_same(&name, &scan, &extract.bytes, false, parts);
    }
}

#[test]
fn extracts_of_every_kind() {
    let mut dice = Dice::new(1);
    let mut extracts = extract::every_kind(120, 3);
    extracts.extend(extract::public());
    for extract in extracts {
        check(&extract, &mut dice);
    }
}

/// With small extracts and parts, several threads do return rows of parts. Otherwise the other tests would compare
/// nothing.
#[test]
fn small_parts_are_read_as_parts() {
    for bytes in [extract::small(200, 5), extract::packed(200, 5)] {
        let batches = |scan: Scan| scan.read_all(bytes.as_slice()).unwrap().count();
        let whole = batches(scan().threads(1));
        assert!(batches(scan().threads(3).part_bytes(4_000)) > 2 * whole);
        assert_eq!(batches(scan().threads(1).part_bytes(4_000)), whole);
        // An extract that is smaller than a part, and a condition on the number of a record.
        assert_eq!(batches(scan().threads(3)), whole);
        let table = |scan: Scan| batches(scan.table("person").where_("line > 100"));
        assert_eq!(table(scan().threads(3).part_bytes(4_000)), 1);
    }
}

/// By default, the parts of one table are smaller than those of all: an extract of some megabytes is divided for one table
/// only. Parts are read into the memory of earlier ones, so there are more of them than can be in memory.
#[test]
fn one_table_has_smaller_parts() {
    let mut bytes = extract::small(200, 5);
    // Input errors (910) follow the end record.
    let end = bytes.windows(4).position(|window| window == b"\n999");
    let end = end.unwrap() + 1;
    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let records = bytes[start..end].to_vec();
    while bytes.len() < 14 << 20 {
        bytes.splice(start..start, records.iter().copied());
    }
    let rows = |threads: usize| {
        let batches = Scan::new(connector()).table("person").threads(threads);
        let batches = batches.read_all(bytes.as_slice()).unwrap();
        let rows = batches.map(|batch| batch.unwrap().batch.num_rows());
        rows.collect::<Vec<_>>()
    };
    let (alone, divided) = (rows(1), rows(2));
    assert_eq!(alone.iter().sum::<usize>(), divided.iter().sum::<usize>());
    // The last batch of each part is not full.
    let full = *alone.iter().max().unwrap();
    let parts = divided.iter().filter(|rows| **rows < full).count();
    assert!(parts > 5, "{parts} parts");
}

/// The number of bytes that were read never falls, and ends at the size of the extract.
#[test]
fn the_bytes_read_only_grow() {
    let bytes = extract::small(400, 5);
    for threads in [1, 3] {
        let scan = scan().threads(threads).part_bytes(4_000).block_bytes(1_000);
        let mut reader = scan.batch_rows(7).read_all(bytes.as_slice()).unwrap();
        let (mut before, mut steps) = (0, 0);
        while let Some(batch) = reader.next() {
            batch.unwrap();
            assert!(reader.bytes_read() >= before, "{threads}");
            steps += u32::from(reader.bytes_read() > before);
            before = reader.bytes_read();
        }
        assert!(steps > 10);
        assert_eq!(reader.bytes_read(), bytes.len() as u64, "{threads}");
    }
}

#[test]
fn handmade_extracts_and_attacks() {
    let data = cprflow_tests::root().join("tests/data");
    let mut folders = vec![data.join("extracts")];
    let attacks = fs::read_dir(data.join("attacks")).unwrap();
    folders.extend(attacks.map(|attack| attack.unwrap().path()));
    let mut dice = Dice::new(2);
    let mut checked = 0;
    for folder in folders {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.extension().is_some_and(|end| end == "cpr") {
                let parts = std::array::from_fn(|_| 60 + dice.below(600));
                let bytes = fs::read(&path).unwrap();
                assert_same(&path.display().to_string(), &scan(), &bytes, false, parts);
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "{checked}");
}

/// An end record, another extract and what only the records before a part show, at every place of an extract.
#[test]
fn what_depends_on_the_records_before_it() {
    let lines = extract::lines(&extract::small(40, 7));
    let person = lines.iter().find(|line| line.starts_with(b"001")).unwrap();
    let long_person = [
        &person[..],
        &[b' '; 300][person.len().min(299)..],
        b"longer",
    ]
    .concat();
    let inserted: [&[&[u8]]; 8] = [
        &[b"999999999999900000007"],
        &[b"00000000000001109012026061520260614"],
        &[&long_person, b"0400101010101"],
        &["0010101010101\u{e9}".as_bytes(), b"0080101010101\xe9"],
        &[b"0040101", b"9999999999999", b"\x1a\x1a\x1a"],
        &[person, person],
        &[b"", b"   ", b"0080101010101a\tb\x01"],
        &[b"36", &[b'x'; 70_000]],
    ];
    let mut dice = Dice::new(4);
    for (index, inserted) in inserted.into_iter().enumerate() {
        for place in (1..lines.len()).step_by(lines.len() / 5) {
            let mut lines = lines.clone();
            for line in inserted.iter().rev() {
                lines.insert(place, line.to_vec());
            }
            let name = format!("insertion {index} at {place}");
            let parts = std::array::from_fn(|_| 400 + dice.below(4_000));
            let bytes = extract::join(&lines, b"\n");
            assert_same(&name, &scan(), &bytes, false, parts);
        }
    }
}

#[test]
fn inputs_that_cannot_seek() {
    let bytes = extract::small(300, 9);
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &bytes).unwrap();
    let packed = packed.finish().unwrap();
    let count = |input: &mut dyn Read| {
        let batches = scan().threads(3).part_bytes(5_000).read_all(input).unwrap();
        let rows = batches.map(|batch| batch.unwrap().batch.num_rows());
        rows.sum::<usize>()
    };
    let expected = count(&mut bytes.as_slice());
    assert_eq!(count(&mut MultiGzDecoder::new(packed.as_slice())), expected);
    assert_eq!(count(&mut Drips(&bytes)), expected);
}

/// Returns a few bytes at a time.
struct Drips<'a>(&'a [u8]);

impl Read for Drips<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let limit = buffer.len().min(13);
        self.0.read(&mut buffer[..limit])
    }
}

/// A reader that is dropped, and an input that fails, end the threads.
#[test]
fn a_scan_can_end_early() {
    let bytes = extract::small(300, 11);
    let scan = || scan().threads(4).part_bytes(3_000);
    let mut dropped = scan().read_all(bytes.as_slice()).unwrap();
    dropped.next().unwrap().unwrap();
    drop(dropped);
    let whole = Outcome::of(scan(), &bytes, false);
    let fails = bytes[..bytes.len() / 2].chain(Failing);
    let results: Vec<_> = scan().read_all(fails).unwrap().collect();
    let (last, before) = results.split_last().unwrap();
    let error = last.as_ref().unwrap_err().to_string();
    assert!(error.contains("the cable is out"), "{error}");
    assert!(before.len() > 5 && before.iter().all(Result::is_ok));
    assert!(whole.tables.len() > 5);
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the cable is out"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_extracts(
        seed in any::<u64>(),
        times in 0..12_usize,
        end in prop::sample::select(vec!["\n", "\r\n", "\r\r\n"]),
        cut in prop::option::of(0.0..1.0_f64),
        parts in prop::array::uniform3(150..20_000_usize),
        block in 1_000..20_000_usize,
    ) {
        let mut dice = Dice::new(seed);
        let mut lines = extract::lines(&extract::small(30, seed % 100));
        let kinds = [EVERY_DAMAGE, &[Damage::NewType]].concat();
        extract::damage(&mut lines, &mut dice, times, &kinds);
        let mut bytes = extract::join(&lines, end.as_bytes());
        if let Some(cut) = cut {
            bytes.truncate((bytes.len() as f64 * cut) as usize);
        }
        let scan = scan().block_bytes(block);
        assert_same("a damaged extract", &scan, &bytes, false, parts);
    }

    #[test]
    fn damaged_extracts_without_line_ends(
        seed in any::<u64>(),
        times in 0..4_usize,
        cut in prop::option::of(0.0..1.0_f64),
        padding in 0..40_usize,
        parts in prop::array::uniform3(600..30_000_usize),
        block in 200..20_000_usize,
    ) {
        let mut dice = Dice::new(seed);
        let mut bytes = extract::packed(60, seed % 100);
        if let Some(cut) = cut {
            bytes.truncate((bytes.len() as f64 * cut) as usize);
        }
        for _ in 0..times {
            let place = 100 + dice.below(bytes.len().max(101));
            match dice.below(3) {
                0 => bytes.splice(place.min(bytes.len())..place.min(bytes.len()), *b"\r\n").for_each(drop),
                1 => drop((place < bytes.len()).then(|| bytes.remove(place))),
                _ => if let Some(byte) = bytes.get_mut(place) { *byte = dice.field_byte() },
            }
        }
        bytes.extend(std::iter::repeat_n(0x1a, padding));
        let scan = scan().block_bytes(block);
        assert_same("a packed extract", &scan, &bytes, false, parts);
    }
}
