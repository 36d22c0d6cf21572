//! Tests of the scenarios: the records must show the outcome that the text promises.

use std::collections::BTreeSet;

use super::super::*;
use super::{Records, by_number, field, kind, lines};

fn generated(scenario: Scenario, seed: u64) -> (Vec<Records>, ScenarioOutput) {
    let settings = Settings {
        shape: OutputShape::Full,
        ..Settings::new(0, seed)
    };
    let output = scenario.generate(&settings).unwrap();
    let records = output.extracts.iter().map(|file| by_number(&file.content));
    (records.collect(), output)
}

/// Returns the values of a column in the records of that type of a person.
fn values(records: &Records, number: &str, record_type: &str, column: &str) -> Vec<String> {
    let own = records.get(number).into_iter().flatten();
    own.filter(|line| kind(line) == record_type)
        .map(|line| field(line, column))
        .collect()
}

fn value(records: &Records, number: &str, record_type: &str, column: &str) -> String {
    let values = values(records, number, record_type, column);
    assert_eq!(values.len(), 1, "one {record_type} of a person");
    values[0].clone()
}

/// Returns the numbers, event codes and marks of the events of an extract.
fn events(output: &ScenarioOutput, place: usize) -> BTreeSet<(String, String, String)> {
    let events = lines(&output.extracts[place].content).filter(|line| kind(line) == "099");
    events
        .map(|line| {
            let of = |column| field(line, column);
            (of("pnr"), of("event_code"), of("derived_mark"))
        })
        .collect()
}

fn number_of(output: &ScenarioOutput, place: usize, code: &str, mark: &str) -> String {
    let events = events(output, place);
    let mut found = events
        .iter()
        .filter(|(_, its, of)| its == code && of == mark);
    let (number, ..) = found.next().unwrap();
    number.clone()
}

fn event(number: &str, code: &str, mark: &str) -> (String, String, String) {
    (number.to_owned(), code.to_owned(), mark.to_owned())
}

#[test]
fn scenarios_are_small_complete_and_follow_from_the_seed() {
    for scenario in Scenario::ALL {
        let (records, output) = generated(scenario, 1);
        let (_, again) = generated(scenario, 1);
        let (_, other) = generated(scenario, 2);
        assert_eq!(output.expected, again.expected);
        assert_ne!(output.expected, other.expected);
        let mut previous = String::new();
        for (file, repeated) in output.extracts.iter().zip(&again.extracts) {
            assert_eq!(file.content, repeated.content);
            let lines: Vec<_> = lines(&file.content).collect();
            assert_eq!(field(lines[0], "previous_production_date"), previous);
            previous = field(lines[0], "production_date");
            assert_eq!(file.name, format!("d{}.l431101", &previous[2..]));
            assert_eq!(kind(lines[lines.len() - 1]), "999");
            assert!(output.expected.contains(&file.name));
            assert!(file.written.persons <= 30);
        }
        assert!(output.expected.contains(scenario.name()));
        assert!(records[0].len() > 4);
    }
}

#[test]
fn move_in_brings_a_family_from_another_municipality() {
    for seed in 1..6 {
        let (records, output) = generated(Scenario::MoveIn, seed);
        let [before, after] = records.as_slice() else {
            panic!("two extracts");
        };
        for number in before.keys() {
            assert_eq!(value(before, number, "002", "municipality_code"), "0851");
        }
        assert!(after.len() >= 3);
        for number in after.keys() {
            assert!(!before.contains_key(number));
            assert!(output.expected.contains(number));
            assert_eq!(value(after, number, "002", "municipality_code"), "0851");
            let previous = value(after, number, "002", "previous_municipality_code");
            assert_ne!(previous, "0851");
            let history = values(after, number, "023", "municipality_code");
            assert!(history.contains(&previous));
            assert!(events(&output, 1).contains(&event(number, "A01", "")));
        }
    }
}

#[test]
fn protected_child_is_protected_from_the_first_night_on() {
    for seed in 1..6 {
        let (records, output) = generated(Scenario::ProtectedChild, seed);
        let child = number_of(&output, 1, "A33", "");
        let night = Settings::new(0, seed).production_date(1).to_string();
        assert!(values(&records[0], &child, "004", "protection_type").is_empty());
        for after in &records[1..] {
            assert_eq!(value(after, &child, "004", "protection_type"), "0001");
            assert_eq!(value(after, &child, "004", "start_date"), night);
            assert_eq!(value(after, &child, "004", "deletion_date"), "");
            let parents = ["mother_pnr", "father_pnr"];
            for parent in parents.map(|column| value(after, &child, "015", column)) {
                let row = after[&parent]
                    .iter()
                    .find(|line| kind(line) == "033" && field(line, "child_pnr") == child)
                    .unwrap();
                assert_eq!(field(row, "protection_start_date"), night);
                assert!(values(after, &parent, "004", "protection_type").is_empty());
            }
        }
        let home = |records: &Records| value(records, &child, "002", "address_uuid");
        assert_eq!(home(&records[0]), home(&records[1]));
        assert_ne!(home(&records[1]), home(&records[2]));
        assert!(events(&output, 2).contains(&event(&child, "A01", "")));
    }
}

#[test]
fn number_chain_ends_in_one_valid_number() {
    for seed in 1..6 {
        let (records, output) = generated(Scenario::NumberChain, seed);
        let second = number_of(&output, 1, "P03", "PN");
        let first = number_of(&output, 1, "P03", "PT");
        let third = number_of(&output, 2, "P03", "PN");
        assert_eq!(number_of(&output, 2, "P03", "PT"), second);
        let numbers = BTreeSet::from([&first, &second, &third]);
        assert_eq!(numbers.len(), 3);
        assert!(
            numbers
                .iter()
                .all(|number| output.expected.contains(number.as_str()))
        );
        let after = &records[2];
        assert_eq!(value(after, &third, "001", "status"), "01");
        for former in [&first, &second] {
            assert_eq!(value(after, former, "001", "status"), "60");
            assert_eq!(value(after, former, "001", "current_pnr"), third);
            assert!(values(after, former, "002", "pnr").is_empty());
        }
        let former = values(after, &third, "022", "former_pnr");
        assert_eq!(former, [first.clone(), second]);
        assert_eq!(
            value(after, &third, "037", "person_id"),
            value(&records[0], &first, "037", "person_id")
        );
    }
}

#[test]
fn emigration_return_ends_the_residence_and_begins_another() {
    for seed in 1..6 {
        let (records, output) = generated(Scenario::EmigrationReturn, seed);
        let person = number_of(&output, 1, "A06", "");
        assert_eq!(number_of(&output, 2, "A04", ""), person);
        let status = |place: usize| value(&records[place], &person, "001", "status");
        assert_eq!([0, 1, 2].map(status), ["01", "80", "01"]);
        let abroad = |place: usize| values(&records[place], &person, "005", "emigrated").len();
        assert_eq!([0, 1, 2].map(abroad), [0, 1, 0]);
        let left = values(&records[2], &person, "024", "emigrated");
        let settings = Settings::new(0, seed);
        let night = |night| settings.production_date(night).compact();
        assert!(left.len() == 1 && left[0].starts_with(&night(1)));
        let back = value(&records[2], &person, "024", "immigrated");
        assert!(back.starts_with(&night(125)));
        assert_eq!(&value(&records[2], &person, "002", "moved_in"), &back);
        let old = value(&records[0], &person, "002", "moved_in");
        assert!(values(&records[2], &person, "023", "moved_in").contains(&old));
    }
}

#[test]
fn death_of_spouse_leaves_a_widowed_person() {
    for seed in 1..6 {
        let (records, output) = generated(Scenario::DeathOfSpouse, seed);
        let dead = number_of(&output, 1, "A21", "");
        let survivor = number_of(&output, 1, "A21", "ÆG");
        let night = Settings::new(0, seed).production_date(1).compact();
        for (number, status, civil) in [(&dead, "90", "D"), (&survivor, "01", "E")] {
            let spouse = [&dead, &survivor]
                .into_iter()
                .find(|other| *other != number);
            assert_eq!(
                &value(&records[0], number, "012", "spouse_pnr"),
                spouse.unwrap()
            );
            let after = &records[1];
            assert_eq!(value(after, number, "001", "status"), status);
            assert_eq!(value(after, number, "012", "civil_status"), civil);
            let since = value(after, number, "012", "civil_status_start");
            assert!(since.starts_with(&night));
            let ends: Vec<_> = values(after, number, "029", "civil_status_end");
            assert!(ends.contains(&since));
        }
    }
}
