//! What holds for change files and for the population from night to night.

use std::collections::{BTreeSet, HashSet};

use super::super::*;
use super::{by_number, changes_of, field, kind, lines, settings, status_of};

#[test]
fn every_kind_of_change_occurs_each_night() {
    let settings = settings(200);
    for night in 1..=20 {
        let extract = changes_of(&settings, night);
        let codes: BTreeSet<_> = lines(&extract)
            .filter(|line| kind(line) == "099")
            .map(|line| field(line, "event_code"))
            .collect();
        for code in [
            "A01", "A02", "A03", "A04", "A06", "A13", "A19", "A20", "A21", "A33", "A34", "A51",
            "A74", "K74", "P03",
        ] {
            assert!(codes.contains(code), "{code} in night {night}");
        }
    }
}

#[test]
fn numbers_stay_unique_over_nights() {
    let settings = settings(100_000);
    let mut seen = HashSet::new();
    let mut count = 0;
    for person in population(&settings, 6).unwrap() {
        let person = person.unwrap();
        assert!(person.birth_date() <= settings.production_date(6));
        assert!(seen.insert(person.number().to_owned()));
        count += 1;
    }
    assert!(count > 100_000);
}

#[test]
fn a_night_delivers_each_touched_number_once_and_says_why() {
    let settings = settings(3000);
    for night in 1..=3 {
        let extract = changes_of(&settings, night);
        let touched: BTreeSet<_> = population(&settings, night)
            .unwrap()
            .map(Result::unwrap)
            .filter(Person::is_touched)
            .map(|person| person.number().to_owned())
            .collect();
        let of_kind = |wanted: &str| {
            let lines = lines(&extract).filter(|line| kind(line) == wanted);
            lines.map(|line| field(line, "pnr")).collect::<Vec<_>>()
        };
        let delivered = of_kind("001");
        assert_eq!(delivered.len(), touched.len());
        assert_eq!(delivered.into_iter().collect::<BTreeSet<_>>(), touched);
        assert_eq!(of_kind("099").into_iter().collect::<BTreeSet<_>>(), touched);
        assert!(by_number(&extract).keys().eq(touched.iter()));
    }
}

#[test]
fn the_status_file_after_a_night_is_the_one_before_with_the_changes_put_in() {
    let settings = settings(3000);
    let mut state = by_number(&status_of(&settings));
    for night in 1..=8 {
        let delivered = by_number(&changes_of(&settings, night));
        assert!(delivered.len() > 30);
        state.extend(delivered);
        let now = by_number(&status_of(&Settings {
            night,
            ..settings.clone()
        }));
        assert_eq!(state.len(), now.len(), "night {night}");
        for (number, records) in &now {
            assert!(
                state.get(number) == Some(records),
                "a person differs in night {night}"
            );
        }
    }
}

#[test]
fn the_truth_about_the_population_is_what_the_file_says() {
    let settings = Settings {
        night: 2,
        ..settings(1500)
    };
    let records = by_number(&status_of(&settings));
    let mut protected = 0;
    for person in population(&settings, 2).unwrap() {
        let person = person.unwrap();
        let own = &records[person.number()];
        let find = |wanted: &str| own.iter().find(|line| kind(line) == wanted);
        let first = find("001").unwrap();
        assert_eq!(field(first, "status"), person.status());
        assert_eq!(field(first, "birth_date"), person.birth_date().to_string());
        let home = find("002").map(|line| field(line, "municipality_code"));
        assert_eq!(home.as_deref(), person.municipality_code());
        protected += u32::from(person.is_protected());
        assert!(!format!("{person:?}").contains(person.number()));
    }
    assert!(protected > 50);
}
