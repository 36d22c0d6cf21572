//! Tests that ages, rates and shares are near Denmark's figures, unless the settings ask for a busy population.

use std::collections::BTreeSet;

use super::super::*;
use super::{by_number, field, kind, status_of};
use crate::value::days_from_civil;

const PERSONS: u64 = 16_000;

fn denmark() -> Settings {
    Settings {
        shape: OutputShape::Full,
        ..Settings::new(PERSONS, 7)
    }
}

fn persons(settings: &Settings, night: u32) -> Vec<Person> {
    let all = population(settings, night).unwrap();
    all.map(Result::unwrap).collect()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn is_resident(person: &&Person) -> bool {
    matches!(person.status(), "01" | "03" | "05" | "07")
}

#[track_caller]
fn assert_between(value: f64, least: f64, most: f64) {
    assert!(
        (least..=most).contains(&value),
        "{value} is not in {least} to {most}"
    );
}

#[test]
fn residents_are_as_old_and_as_often_protected_as_in_denmark() {
    let settings = denmark();
    for seed in [1, 2, 7] {
        let settings = Settings {
            seed,
            ..settings.clone()
        };
        let all = persons(&settings, 0);
        let residents: Vec<_> = all.iter().filter(is_resident).collect();
        let aged = |ages: std::ops::Range<i32>| {
            let day = settings.first_day;
            let of_age = residents
                .iter()
                .filter(|person| ages.contains(&person.birth_date().years_until(day)));
            share(of_age.count(), residents.len())
        };
        assert_between(aged(0..18), 0.155, 0.215);
        assert_between(aged(65..130), 0.175, 0.225);
        assert_between(aged(80..130), 0.02, 0.06);
        let protected = residents.iter().filter(|person| person.is_protected());
        assert_between(share(protected.count(), residents.len()), 0.01, 0.02);
        let municipalities: BTreeSet<_> = residents
            .iter()
            .filter_map(|person| person.municipality_code())
            .filter(|code| *code < "0900")
            .collect();
        // The smallest two have 2,000 and 3,000 inhabitants of six million.
        assert_between(municipalities.len() as f64, 95.0, 98.0);
    }
}

#[test]
fn nights_deliver_as_many_persons_as_in_denmark() {
    let settings = denmark();
    let delivered = (1..=8).map(|night| {
        let all = persons(&settings, night);
        share(
            all.iter().filter(|person| person.is_touched()).count(),
            all.len(),
        )
    });
    assert_between(delivered.sum::<f64>() / 8.0, 0.0005, 0.002);
    let busy = Settings::busy(3000, 7);
    let all = persons(&busy, 3);
    let delivered = all.iter().filter(|person| person.is_touched()).count();
    assert_between(share(delivered, all.len()), 0.01, 0.03);
}

#[test]
fn a_year_has_as_many_deaths_births_and_moves_as_in_denmark() {
    const YEAR: u32 = 250;
    let settings = denmark();
    let before = by_number(&status_of(&settings));
    let after = by_number(&status_of(&Settings {
        night: YEAR,
        ..settings.clone()
    }));
    let first = |records: &[Vec<u8>], column: &str| {
        let line = records.iter().find(|line| kind(line) == "001").unwrap();
        field(line, column)
    };
    let day = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let number = |range: std::ops::Range<usize>| digits[range].parse().unwrap();
        days_from_civil(number(0..4), number(4..6), number(6..8)).unwrap()
    };
    let residents = before
        .values()
        .filter(|records| first(records, "status").as_str() < "20")
        .count();
    let first_day = settings.first_day.compact();
    let (mut ages, mut births, mut moves) = (Vec::new(), 0, 0);
    for (number, records) in &after {
        let was_alive = before
            .get(number)
            .is_some_and(|records| first(records, "status") != "90");
        if was_alive && first(records, "status") == "90" {
            let (born, died) = (first(records, "birth_date"), first(records, "status_start"));
            ages.push(f64::from(day(&died) - day(&born)) / 365.25);
        }
        let born = first(records, "birth_date").replace('-', "");
        births += usize::from(born > first_day);
        let moved_out = records.iter().filter(|line| kind(line) == "023");
        moves += moved_out
            .filter(|line| field(line, "moved_out")[..8] > *first_day)
            .count();
    }
    ages.sort_by(f64::total_cmp);
    assert_between(share(ages.len(), residents), 0.0065, 0.0135);
    assert_between(ages[ages.len() / 2], 75.0, 86.0);
    assert_between(share(births, residents), 0.006, 0.014);
    // Deaths and emigrations end an address too.
    assert_between(share(moves, residents), 0.12, 0.20);
}

#[test]
fn the_old_are_rarely_unmarried() {
    let records = by_number(&status_of(&denmark()));
    let (mut old, mut unmarried) = (0, 0);
    for records in records.values() {
        let of = |wanted: &str, column: &str| {
            let line = records.iter().find(|line| kind(line) == wanted).unwrap();
            field(line, column)
        };
        if of("001", "birth_date").as_str() < "1946" && of("001", "status").as_str() < "20" {
            old += 1;
            unmarried += usize::from(of("012", "civil_status") == "U");
        }
    }
    assert!(old > 200);
    assert_between(share(unmarried, old), 0.02, 0.25);
}
