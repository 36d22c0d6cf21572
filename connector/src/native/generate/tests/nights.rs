//! Tests of change files and of the population from night to night.

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
fn a_night_delivers_each_changed_number_once_with_its_events() {
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
fn status_file_equals_previous_one_plus_changes() {
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

/// Persons who die or leave may keep the last known address, which is no longer a residence.
#[test]
fn some_persons_keep_the_last_known_address() {
    let settings = settings(3000);
    let (mut kept, mut left) = (0, 0);
    for night in 1..=8 {
        for records in by_number(&changes_of(&settings, night)).values() {
            let first = records.iter().find(|line| kind(line) == "001").unwrap();
            if matches!(field(first, "status").as_str(), "70" | "80" | "90") {
                match records.iter().any(|line| kind(line) == "002") {
                    true => kept += 1,
                    false => left += 1,
                }
            }
        }
    }
    assert!(kept > 5 && left > kept, "{kept} of {}", kept + left);
}

#[test]
fn population_agrees_with_the_status_file() {
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

#[test]
fn a_subscriber_gets_the_requested_share_of_each_number() {
    for order in [Order::ByPerson, Order::SecondPass] {
        let settings = Settings {
            order,
            ..settings(1000)
        };
        let night = 2;
        let of_truth: Vec<_> = population(&settings, night)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let share = |number: &str| match number.as_bytes()[9] % 3 {
            0 => None,
            1 => Some(Share::Everything),
            _ => Some(Share::Changes),
        };
        let previous = Some(settings.production_date(1));
        let mut extract = Vec::new();
        let written = subscribed(&settings, night, previous, share, &mut extract).unwrap();

        let all = by_number(&status_of(&Settings {
            night,
            ..settings.clone()
        }));
        let got = by_number(&extract);
        assert_eq!(written.persons, got.len() as u64);
        for person in &of_truth {
            let is_delivered = match share(person.number()) {
                None => false,
                Some(Share::Everything) => true,
                Some(Share::Changes) => person.is_touched(),
            };
            let expected = is_delivered.then(|| &all[person.number()]);
            assert_eq!(got.get(person.number()), expected);
            let mut codes: Vec<_> = lines(&extract)
                .filter(|line| kind(line) == "099" && field(line, "pnr") == person.number())
                .map(|line| field(line, "event_code"))
                .collect();
            codes.sort_unstable();
            let mut expected = person.event_codes().to_vec();
            expected.sort_unstable();
            if share(person.number()) != Some(Share::Changes) {
                expected.clear();
            }
            assert_eq!(codes, expected);
        }
        let last = lines(&extract).last().unwrap();
        assert_eq!(kind(last), "999");
        assert_eq!(
            field(last, "record_count"),
            format!("{:08}", written.records - 2)
        );
        let empty = subscribed(&settings, night, None, |_| None, &mut Vec::new()).unwrap();
        assert_eq!((empty.persons, empty.records), (0, 2));
    }
}
