//! What nights deliver, against the truth about the population.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::client::{Client, Place, names, numbers, platform, platform_with, records};
use cprflow_connector::generate::{self, Person, Settings};
use cprflow_platform::{Agreement, Delivered, Groups, MetadataRoot, Naming, Previous};

const AALBORG: &str = "0851";

/// Everyone after a night, by number.
fn truth(place: &Place, night: u32) -> BTreeMap<String, Person> {
    let persons = generate::population(place.platform.population(), night).unwrap();
    let named = |person: std::io::Result<Person>| {
        let person = person.unwrap();
        (person.number().to_owned(), person)
    };
    persons.map(named).collect()
}

/// All records of everyone after a night.
fn all_records(place: &Place, night: u32) -> BTreeMap<String, Vec<Vec<u8>>> {
    let settings = Settings {
        night,
        ..place.platform.population().clone()
    };
    let mut bytes = Vec::new();
    generate::status(&settings, &mut bytes).unwrap();
    records(&bytes)
}

/// The numbers of whom a condition holds.
fn who(truth: &BTreeMap<String, Person>, holds: impl Fn(&Person) -> bool) -> BTreeSet<String> {
    let persons = truth.iter().filter(|(_, person)| holds(person));
    persons.map(|(number, _)| number.clone()).collect()
}

fn lives_in(person: &Person, code: &str) -> bool {
    person.municipality_code() == Some(code)
}

/// The night's only delivery, checked against the truth.
fn delivery(place: &Place) -> Delivered {
    let night = place.platform.night().unwrap();
    let [delivered] = &night.deliveries[..] else {
        panic!("{} deliveries", night.deliveries.len());
    };
    check(place, night.number, delivered);
    delivered.clone()
}

/// Whoever is delivered is so with every record; events are those of whoever has changed, and of nobody else.
fn check(place: &Place, night: u32, delivered: &Delivered) {
    let all = all_records(place, night);
    let got = records(&delivered.bytes);
    let expected: BTreeSet<_> = delivered
        .loaded
        .union(&delivered.changed)
        .cloned()
        .collect();
    assert_eq!(got.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (number, records) in &got {
        assert_eq!(records, &all[number]);
    }
    assert_eq!(numbers(&delivered.bytes, "099"), delivered.changed);
    let inbox = place.platform.inbox();
    assert_eq!(
        fs::read(inbox.join(&delivered.name)).unwrap(),
        delivered.bytes
    );
    let metadata = fs::read_to_string(inbox.join(format!("{}.metadata", delivered.name))).unwrap();
    let size = format!("<SizeInBytes>{}</SizeInBytes>", delivered.bytes.len());
    assert!(metadata.contains(&size) && metadata.contains(&delivered.transfer));
}

/// The dates in the start record.
fn dates(extract: &[u8]) -> (String, String) {
    let line = extract.split(|byte| *byte == b'\n').next().unwrap();
    let text = String::from_utf8(line.to_vec()).unwrap();
    let field = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    (field(19..27), field(27..35))
}

#[test]
fn a_municipality_is_loaded_once_and_then_followed() {
    let place = platform(3000);
    let client = Client::new(&place.platform);
    assert!(place.platform.night().unwrap().deliveries.is_empty());

    client.add_municipality(AALBORG);
    let first = delivery(&place);
    let loaded = who(&truth(&place, 2), |person| lives_in(person, AALBORG));
    assert!(!loaded.is_empty());
    assert_eq!(first.loaded, loaded);
    assert!(first.changed.is_empty());
    assert_eq!(dates(&first.bytes), ("20260304".to_owned(), String::new()));

    let mut before = truth(&place, 2);
    let (mut came, mut left) = (0, 0);
    for night in 3..=6 {
        let now = truth(&place, night);
        let next = delivery(&place);
        assert!(next.loaded.is_empty());
        let lived = |number: &str| {
            before
                .get(number)
                .is_some_and(|person| lives_in(person, AALBORG))
        };
        let expected = who(&now, |person| {
            person.is_touched() && (lives_in(person, AALBORG) || lived(person.number()))
        });
        assert_eq!(next.changed, expected);
        came += expected.iter().filter(|number| !lived(number)).count();
        left += expected
            .iter()
            .filter(|number| !lives_in(&now[*number], AALBORG))
            .count();
        before = now;
    }
    // The generator has someone move in and someone move out each night.
    assert!(came > 0 && left > 0);
}

#[test]
fn a_person_is_loaded_then_quiet_then_changed() {
    let place = platform(1000);
    let client = Client::new(&place.platform);
    // Somebody to whom something happens in the fifth night and nothing before.
    let touched = |night| who(&truth(&place, night), Person::is_touched);
    let earlier: BTreeSet<_> = (2..=4).flat_map(touched).collect();
    let number = touched(5).difference(&earlier).next().unwrap().clone();

    client.add_pnr(&number);
    let first = delivery(&place);
    assert_eq!(first.loaded, BTreeSet::from([number.clone()]));
    for _quiet in 2..=4 {
        let before = names(&place.platform.inbox());
        assert!(place.platform.night().unwrap().deliveries.is_empty());
        assert_eq!(names(&place.platform.inbox()), before);
    }
    let fifth = delivery(&place);
    assert_eq!(fifth.changed, BTreeSet::from([number.clone()]));
    let day = |night| {
        let day = place
            .platform
            .population()
            .production_date(night)
            .to_string();
        day.replace('-', "")
    };
    assert_eq!(dates(&fifth.bytes), (day(5), day(1)));

    // Removed and added again, the person is loaded again; removed alone, not.
    client.remove_pnr(&number);
    assert!(place.platform.night().unwrap().deliveries.is_empty());
    client.add_pnr(&number);
    assert_eq!(delivery(&place).loaded, BTreeSet::from([number.clone()]));
    client.remove_pnr(&number);
    client.add_pnr(&number);
    assert_eq!(delivery(&place).loaded, BTreeSet::from([number]));
}

#[test]
fn whoever_is_covered_already_is_not_loaded_again() {
    let place = platform(1000);
    let client = Client::new(&place.platform);
    client.add_municipality(AALBORG);
    let resident = delivery(&place).loaded.first().unwrap().clone();
    let elsewhere = who(&truth(&place, 1), |person| lives_in(person, "0101"));
    let elsewhere = elsewhere.first().unwrap().clone();
    client.add_pnr(&resident);
    client.add_pnr(&elsewhere);
    client.add_pnr("0101010101");
    let second = delivery(&place);
    assert_eq!(second.loaded, BTreeSet::from([elsewhere]));
}

#[test]
fn a_long_load_is_cut_and_goes_on_the_next_night() {
    let place = platform_with(3000, |options| options.cut_after = Some(40));
    let client = Client::new(&place.platform);
    client.add_municipality(AALBORG);
    let first = delivery(&place);
    assert!(first.is_cut);
    assert_eq!(first.loaded.len(), 40);
    let mut loaded = first.loaded;
    loop {
        let next = delivery(&place);
        assert!(next.loaded.is_disjoint(&loaded) && next.changed.is_disjoint(&next.loaded));
        loaded.extend(next.loaded);
        if !next.is_cut {
            break;
        }
    }
    let now = truth(&place, place.platform.nights());
    let residents = who(&now, |person| {
        lives_in(person, AALBORG) && !person.is_touched()
    });
    let missing: Vec<_> = residents.difference(&loaded).collect();
    // Whoever moved in meanwhile was delivered as a change.
    let came = (2..=place.platform.nights())
        .flat_map(|night| who(&truth(&place, night), Person::is_touched));
    let came: BTreeSet<_> = came.collect();
    assert!(missing.iter().all(|number| came.contains(*number)));
}

#[test]
fn groups_add_up_or_narrow_each_other() {
    let filters = |client: &Client| {
        client.add_municipality(AALBORG);
        client.result(
            "AddAgeRangeSubscription",
            "<s:AgeRange><s:StartAge>0</s:StartAge><s:EndAge>17</s:EndAge></s:AgeRange>",
        );
        client.result(
            "AddChangeCodeSubscription",
            "<s:ChangeCode>A01</s:ChangeCode>",
        );
    };
    for groups in [Groups::AddUp, Groups::Narrow] {
        let place = platform_with(3000, |options| options.groups = groups);
        let client = Client::new(&place.platform);
        filters(&client);
        let first = delivery(&place);
        let now = truth(&place, 1);
        let day = place.platform.population().production_date(1);
        let is_child = |person: &Person| {
            let ((year, month, of_month), birth) = (day.parts(), person.birth_date().parts());
            (birth.0 + 18, birth.1, birth.2) > (year, month, of_month)
        };
        let residents = who(&now, |person| lives_in(person, AALBORG));
        let children = who(&now, is_child);
        let with_code = who(&now, |person| person.event_codes().contains(&"A01"));
        let touched = who(&now, Person::is_touched);
        let (loaded, changed): (BTreeSet<_>, BTreeSet<_>) = match groups {
            Groups::AddUp => {
                let wanted: BTreeSet<_> = children.union(&with_code).cloned().collect();
                let wanted = wanted
                    .intersection(&touched)
                    .cloned()
                    .collect::<BTreeSet<_>>();
                (
                    residents.clone(),
                    wanted.difference(&residents).cloned().collect(),
                )
            }
            Groups::Narrow => (
                residents.intersection(&children).cloned().collect(),
                BTreeSet::new(),
            ),
        };
        assert_eq!(first.loaded, loaded, "{groups:?}");
        assert_eq!(first.changed, changed, "{groups:?}");
        let second = place.platform.night().unwrap();
        for delivered in &second.deliveries {
            check(&place, 2, delivered);
            if groups == Groups::Narrow {
                let now = truth(&place, 2);
                assert!(
                    delivered
                        .changed
                        .iter()
                        .all(|number| now[number].event_codes().contains(&"A01"))
                );
            }
        }
    }
}

#[test]
fn all_of_denmark_comes_as_changes() {
    let place = platform(500);
    let client = Client::new(&place.platform);
    client.result("AddNoFilterSubscription", "");
    let first = delivery(&place);
    assert!(first.loaded.is_empty());
    assert_eq!(first.changed, who(&truth(&place, 1), Person::is_touched));
}

#[test]
fn without_initial_loads_only_changes_come() {
    let place = platform_with(3000, |options| {
        options.has_initial_load = false;
        options.previous = Previous::Run;
    });
    let client = Client::new(&place.platform);
    place.platform.night().unwrap();
    client.add_municipality(AALBORG);
    let first = delivery(&place);
    assert!(first.loaded.is_empty() && !first.changed.is_empty());
    assert_eq!(
        dates(&first.bytes),
        ("20260304".to_owned(), "20260303".to_owned())
    );
}

#[test]
fn agreements_have_files_and_chains_of_their_own() {
    for naming in [Naming::Dated, Naming::WithAgreement] {
        let place = platform_with(1000, |options| {
            options.agreements.push(Agreement::of_seed(1, 1));
            options.naming = naming;
            options.metadata_root = MetadataRoot::Trigger;
            options.has_routing = true;
        });
        let mut client = Client::new(&place.platform);
        client.add_municipality(AALBORG);
        place.platform.night().unwrap();
        client.agreement = place.platform.agreements()[1].clone();
        client.add_municipality("0101");
        let night = place.platform.night().unwrap();
        let [first, second] = &night.deliveries[..] else {
            panic!("{} deliveries", night.deliveries.len());
        };
        check(&place, 2, first);
        check(&place, 2, second);
        assert!(first.loaded.is_empty() && !second.loaded.is_empty());
        assert_ne!(first.transfer, second.transfer);
        assert_ne!(first.name, second.name);
        assert_eq!(dates(&first.bytes).1, "20260303");
        assert_eq!(dates(&second.bytes).1, "");
        let text = fs::read_to_string(
            place
                .platform
                .inbox()
                .join(format!("{}.metadata", first.name)),
        )
        .unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.root_element().tag_name().name(), "Trigger");
        assert!(text.contains("<SFTPDynamicRoutingInfo>"));
        let recipient = format!("<Recipients>{}</Recipients>", place.platform.sftp().user());
        assert!(text.contains(&recipient));
        match naming {
            Naming::Dated => assert_eq!(
                (first.name.as_str(), second.name.as_str()),
                ("d260304.l431101", "d260304.l431102")
            ),
            Naming::WithAgreement => assert!(first.name.contains(&first.agreement.uuid)),
        }
    }
}
