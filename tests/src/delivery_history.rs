//! Deliveries that test how deliveries apply one after the other: a population over many nights, and random changes of
//! person numbers.

use cprflow_connector::generate::{self, Order, Settings};
use cprflow_connector::layout;
use cprflow_connector::writer::{OutputShape, RecordBuilder, RecordWriter};

use crate::dataset::{Dataset, Delivery};
use crate::extract::{self, Dice, EVERY_DAMAGE};

/// Publishes deliveries of two agreements of one population over 27 nights. Returns a late delivery, which belongs in
/// the middle.
pub fn many_nights(dataset: &mut Dataset, seed: u64) -> Delivery {
    let settings = Settings::busy(250, seed);
    let status = |night| {
        let night = Settings {
            night,
            ..settings.clone()
        };
        extract::status(&night)
    };
    let changes = |settings: &Settings, night| {
        let mut bytes = Vec::new();
        generate::changes(settings, night, &mut bytes).unwrap();
        bytes
    };
    let date = |night| settings.production_date(night).to_string();
    // An agreement whose name looks like a number, from the first day on.
    let whole =
        |night, sequence, extract: &[u8]| Delivery::new("851", &date(night), sequence, extract);
    let mut late = None;
    dataset.publish(&whole(0, 1, &status(0)));
    for night in 1..=NIGHTS {
        let delivery = whole(night, 10 + night, &changes(&settings, night));
        match night {
            7 => late = Some(delivery),
            // The delivery of this night is missing.
            18 => {}
            _ => dataset.publish(&delivery),
        }
        if night == 13 {
            // The whole population is delivered again on the same day.
            dataset.publish(&whole(night, 90, &status(night)));
        }
    }
    dataset.stage(&whole(NIGHTS + 1, 99, &status(0)));
    // The other agreement has the same persons and the same names of deliveries. It starts later, lacks some nights, and
    // its policy changes.
    let settings = Settings {
        shape: OutputShape::Full,
        order: Order::ByPerson,
        ..settings.clone()
    };
    for night in 5..=22 {
        let extract = match night {
            5 => extract::status(&Settings {
                night,
                ..settings.clone()
            }),
            11 => continue,
            15 => damaged(&changes(&settings, night), seed),
            17 => contradicting(&changes(&settings, night), &status(16)),
            _ => changes(&settings, night),
        };
        let mut delivery = Delivery::new("odense", &date(night), 10 + night, &extract);
        if night < 9 {
            delivery = delivery.without_tables(&["church", "note"]);
        }
        if night > 9 {
            delivery = delivery
                .without_column("person", "occupation")
                .without_column("name", "irregular");
        }
        dataset.publish(&delivery);
    }
    late.unwrap()
}

const NIGHTS: u32 = 27;

fn damaged(extract: &[u8], seed: u64) -> Vec<u8> {
    let mut lines = extract::lines(extract);
    extract::damage(&mut lines, &mut Dice::new(seed), 60, EVERY_DAMAGE);
    extract::join(&lines, b"\n")
}

/// Adds a second 001 of a number with other contents, records of numbers without a 001, and a 001 of ten zeros.
fn contradicting(extract: &[u8], others: &[u8]) -> Vec<u8> {
    let mut lines = extract::lines(extract);
    let of_type = |lines: &[Vec<u8>], record_type: &[u8]| {
        let found = lines.iter().filter(|line| line.starts_with(record_type));
        found.cloned().collect::<Vec<_>>()
    };
    let persons = of_type(&lines, b"001");
    let mut again = persons[0].clone();
    again[23..25].copy_from_slice(b"70");
    let mut nobody = persons[1].clone();
    nobody[3..13].copy_from_slice(b"0000000000");
    let is_delivered = |line: &Vec<u8>| persons.iter().any(|person| person[3..13] == line[3..13]);
    let mut orphans = of_type(&extract::lines(others), b"008");
    orphans.retain(|line| !is_delivered(line));
    assert!(orphans.len() > 5);
    let place = lines
        .iter()
        .rposition(|line| line.starts_with(b"999"))
        .unwrap();
    let more = [again, nobody]
        .into_iter()
        .chain(orphans.into_iter().take(5));
    lines.splice(place..place, more);
    extract::join(&lines, b"\n")
}

/// Returns deliveries in which person numbers replace each other at random: in chains, in circles and with
/// contradictions.
pub fn random_number_changes(seed: u64) -> impl Iterator<Item = Delivery> {
    let settings = Settings::busy(60, 100 + seed);
    let persons = generate::population(&settings, 0).unwrap();
    let numbers: Vec<String> = persons
        .map(|person| person.unwrap().number().to_owned())
        .take(40)
        .collect();
    let mut dice = Dice::new(seed);
    let names = (1..=4).flat_map(|sequence| [("tangle-a", sequence), ("tangle-b", sequence)]);
    names.map(move |(agreement, sequence)| {
        let extract = random_changes_extract(&numbers, &mut dice);
        let delivery = Delivery::new(agreement, "2026-11-24", sequence, &extract);
        delivery.only_tables(&["person", "former_pnr", "event"])
    })
}

fn random_changes_extract(numbers: &[String], dice: &mut Dice) -> Vec<u8> {
    let mut emitter = RecordWriter::new(Vec::new(), OutputShape::Trimmed);
    let mut record = |record_type: &str, fields: &[(&str, &str)]| {
        let table = layout::tables()
            .iter()
            .find(|table| table.record_type == record_type);
        let mut record = RecordBuilder::new(table.unwrap());
        for (column, text) in fields {
            record.set(column, text);
        }
        emitter.write_built(&record).unwrap();
    };
    record(
        "000",
        &[
            ("sort_key", "0000000000"),
            ("task_number", "431101"),
            ("production_date", "20261124"),
        ],
    );
    for number in numbers {
        if dice.below(3) == 0 {
            continue;
        }
        let mut any = || numbers[dice.below(numbers.len())].as_str();
        let (current, former) = (any(), [any(), any()]);
        let status = ["01", "30", "50", "60", "60", "90"][dice.below(6)];
        // Some records state that the number was replaced, without the new number.
        let current = match dice.below(5) {
            0 => "",
            _ => current,
        };
        record(
            "001",
            &[
                ("pnr", number),
                ("current_pnr", current),
                ("status", status),
            ],
        );
        for former in &former[..dice.below(3)] {
            record("022", &[("pnr", number), ("former_pnr", former)]);
        }
    }
    record(
        "999",
        &[("sort_key", "9999999999"), ("record_count", "00000000")],
    );
    emitter.into_inner()
}
