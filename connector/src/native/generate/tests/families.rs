//! Tests that families are consistent: marriages follow the law, births follow nature, children live with parents.

use std::collections::BTreeMap;

use super::super::*;
use super::{Records, by_number, field, kind, settings, status_of};

fn line<'a>(records: &'a [Vec<u8>], record_type: &str) -> Option<&'a Vec<u8>> {
    records.iter().find(|line| kind(line) == record_type)
}

fn value(records: &[Vec<u8>], record_type: &str, column: &str) -> String {
    line(records, record_type).map_or_else(String::new, |line| field(line, column))
}

/// Returns the day as a number of days, with the first of the month or year for what is not known.
fn day(text: &str) -> i32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = |range: std::ops::Range<usize>| digits[range].parse::<u32>().unwrap();
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    crate::value::days_from_civil(year, month.max(1), day.max(1)).unwrap()
}

/// Returns populations on the first day and after some nights, of Denmark and busy ones.
fn populations() -> Vec<(Records, Settings)> {
    let busy = settings(4000);
    let denmark = Settings {
        busy: false,
        persons: 9000,
        ..busy.clone()
    };
    let all = [
        (busy.clone(), 0),
        (busy, 25),
        (denmark.clone(), 0),
        (denmark, 250),
    ];
    all.into_iter()
        .map(|(settings, night)| {
            let settings = Settings { night, ..settings };
            (by_number(&status_of(&settings)), settings)
        })
        .collect()
}

#[test]
fn marriages_follow_the_law() {
    let (mut partners, mut same_sex, mut former, mut with_former) = (0, 0, 0, 0);
    for (population, _) in populations() {
        for records in population.values() {
            if matches!(value(records, "001", "status").as_str(), "50" | "60") {
                continue;
            }
            let born = day(&value(records, "001", "birth_date"));
            for civil in records
                .iter()
                .filter(|line| matches!(kind(line), "012" | "029"))
            {
                let code = field(civil, "civil_status");
                let since = field(civil, "civil_status_start");
                if matches!(code.as_str(), "F" | "E" | "O" | "L" | "D") && kind(civil) == "012" {
                    former += 1;
                    let spouse = field(civil, "spouse_pnr");
                    with_former += u32::from(spouse.len() == 10 && spouse != "0000000000");
                }
                if !matches!(code.as_str(), "G" | "P") {
                    continue;
                }
                // A number that was changed may have another birth date.
                let has_former = line(records, "022").is_some();
                let years = (day(&since) - born) as f64 / 365.25;
                assert!(has_former || years > 17.0, "married at {years}");
                let spouse = population.get(&field(civil, "spouse_pnr"));
                let is_same = spouse.is_some_and(|spouse| {
                    value(spouse, "001", "sex") == value(records, "001", "sex")
                });
                let year = &since[..4];
                if code == "P" {
                    partners += 1;
                    assert!(("1989"..="2012").contains(&year), "partner since {since}");
                    assert!(day(&since) < 15_506, "partner since {since}");
                } else if is_same {
                    same_sex += 1;
                    assert!(year >= "2012", "married since {since}");
                }
            }
        }
    }
    assert!(partners > 20 && same_sex > 10, "{partners}, {same_sex}");
    assert!(with_former * 3 > former && with_former < former);
}

#[test]
fn births_follow_nature() {
    for (population, settings) in populations() {
        let mut births: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        let mut newborns = 0;
        for records in population.values() {
            // A number that was changed may have another birth date.
            if value(records, "001", "current_pnr").len() == 10 || line(records, "022").is_some() {
                continue;
            }
            let born = day(&value(records, "001", "birth_date"));
            newborns += u32::from(born > settings.first_day.days_since_1970());
            let number = value(records, "015", "mother_pnr");
            let Some(mother) = population.get(&number) else {
                continue;
            };
            assert_eq!(value(mother, "001", "sex"), "K");
            if value(mother, "001", "status") == "90" {
                // The day of some deaths is not known.
                assert!(day(&value(mother, "001", "status_start")) > born - 366);
            }
            if line(mother, "022").is_none() {
                let age = (born - day(&value(mother, "001", "birth_date"))) as f64 / 365.25;
                assert!((15.0..50.0).contains(&age), "a mother of {age} years");
            }
            births.entry(number).or_default().push(born);
        }
        assert!(settings.night == 0 || newborns > 10, "{newborns} newborns");
        for mut days in births.into_values() {
            days.sort_unstable();
            for pair in days.windows(2) {
                let apart = pair[1] - pair[0];
                assert!(apart == 0 || apart >= 270, "siblings {apart} days apart");
            }
        }
    }
}

#[test]
fn children_live_with_a_parent() {
    for (population, settings) in populations() {
        let mut children = 0;
        for records in population.values() {
            let born = value(records, "001", "birth_date");
            let age = settings.first_day.days_since_1970() - day(&born);
            let home = value(records, "002", "address_uuid");
            if age >= 17 * 365 || value(records, "001", "status").as_str() > "07" {
                continue;
            }
            let parents = ["mother_pnr", "father_pnr"].map(|column| value(records, "015", column));
            let mut known = parents
                .iter()
                .filter_map(|parent| population.get(parent))
                .peekable();
            if known.peek().is_none() {
                // Only the family at the end of the population is cut.
                continue;
            }
            children += 1;
            assert!(
                known.any(|parent| {
                    value(parent, "001", "status").as_str() < "20"
                        && value(parent, "002", "address_uuid") == home
                }),
                "a child of {} years lives alone",
                age / 365
            );
        }
        assert!(children > 300, "{children} children");
    }
}

#[test]
fn doors_are_right_aligned() {
    let (mut right, mut left) = (0, 0);
    for (population, _) in populations() {
        for home in population
            .values()
            .filter_map(|records| line(records, "002"))
        {
            let column = super::table(home).column("door").unwrap();
            match &home[column.start()..column.end()] {
                b"    " | b"0004" => {}
                [b' ', ..] => right += 1,
                _ => left += 1,
            }
        }
    }
    assert!(
        right > 1000 && left > 0 && left * 30 < right,
        "{right}, {left}"
    );
}
