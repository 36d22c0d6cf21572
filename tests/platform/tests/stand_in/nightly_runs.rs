//! The deliveries of nightly runs, compared with the generated population.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::client::{Client, TestPlatform, names, numbers, platform, platform_with, records};
use cprflow_connector::generate::{self, Day, Person, Settings};
use cprflow_platform::{
    Agreement, Delivery, FileNaming, FilterCombination, MetadataRoot, PreviousDate,
};

const AALBORG: &str = "0851";

/// Returns the whole population after a night, by number.
fn population_after(test: &TestPlatform, night: u32) -> BTreeMap<String, Person> {
    let persons = generate::population(test.platform.population(), night).unwrap();
    let named = |person: std::io::Result<Person>| {
        let person = person.unwrap();
        (person.number().to_owned(), person)
    };
    persons.map(named).collect()
}

/// Returns all records of the whole population after a night, by number.
fn all_records(test: &TestPlatform, night: u32) -> BTreeMap<String, Vec<Vec<u8>>> {
    let settings = Settings {
        night,
        ..test.platform.population().clone()
    };
    let mut bytes = Vec::new();
    generate::status(&settings, &mut bytes).unwrap();
    records(&bytes)
}

/// Returns the numbers of the persons who satisfy a condition.
fn numbers_where(
    population: &BTreeMap<String, Person>,
    holds: impl Fn(&Person) -> bool,
) -> BTreeSet<String> {
    let persons = population.iter().filter(|(_, person)| holds(person));
    persons.map(|(number, _)| number.clone()).collect()
}

fn lives_in(person: &Person, code: &str) -> bool {
    person.municipality_code() == Some(code)
}

/// Performs a nightly run, and checks and returns its only delivery.
fn run_and_check(test: &TestPlatform) -> Delivery {
    let night = test.platform.run_night().unwrap();
    let [delivered] = &night.deliveries[..] else {
        panic!("{} deliveries", night.deliveries.len());
    };
    check(test, night.number, delivered);
    delivered.clone()
}

/// Checks that every delivered person has all records, and that exactly the changed persons have events.
fn check(test: &TestPlatform, night: u32, delivered: &Delivery) {
    let all = all_records(test, night);
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
    let inbox = test.platform.inbox();
    assert_eq!(
        fs::read(inbox.join(&delivered.name)).unwrap(),
        delivered.bytes
    );
    let metadata = fs::read_to_string(inbox.join(format!("{}.metadata", delivered.name))).unwrap();
    let size = format!("<SizeInBytes>{}</SizeInBytes>", delivered.bytes.len());
    assert!(metadata.contains(&size) && metadata.contains(&delivered.transfer_uuid));
}

/// Returns the production date and the previous production date of record 000.
fn dates(extract: &[u8]) -> (String, String) {
    let line = extract.split(|byte| *byte == b'\n').next().unwrap();
    let text = String::from_utf8(line.to_vec()).unwrap();
    let field = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    (field(19..27), field(27..35))
}

#[test]
fn a_municipality_is_loaded_once_and_then_delivered_as_changes() {
    let test = platform(3000);
    let client = Client::new(&test.platform);
    assert!(test.platform.run_night().unwrap().deliveries.is_empty());

    client.add_municipality(AALBORG);
    let first = run_and_check(&test);
    let loaded = numbers_where(&population_after(&test, 2), |person| {
        lives_in(person, AALBORG)
    });
    assert!(!loaded.is_empty());
    assert_eq!(first.loaded, loaded);
    assert!(first.changed.is_empty());
    assert_eq!(dates(&first.bytes), ("20260304".to_owned(), String::new()));

    let mut before = population_after(&test, 2);
    let (mut came, mut left) = (0, 0);
    for night in 3..=6 {
        let now = population_after(&test, night);
        let next = run_and_check(&test);
        assert!(next.loaded.is_empty());
        let lived = |number: &str| {
            before
                .get(number)
                .is_some_and(|person| lives_in(person, AALBORG))
        };
        let expected = numbers_where(&now, |person| {
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
    // The generator moves at least one person in and one person out each night.
    assert!(came > 0 && left > 0);
}

#[test]
fn a_person_is_loaded_once_and_delivered_again_after_a_change() {
    let test = platform(1000);
    let client = Client::new(&test.platform);
    // A person who changes in the fifth night and in no earlier one.
    let touched = |night| numbers_where(&population_after(&test, night), Person::is_touched);
    let earlier: BTreeSet<_> = (2..=4).flat_map(touched).collect();
    let number = touched(5).difference(&earlier).next().unwrap().clone();

    client.add_pnr(&number);
    let first = run_and_check(&test);
    assert_eq!(first.loaded, BTreeSet::from([number.clone()]));
    for _quiet in 2..=4 {
        let before = names(&test.platform.inbox());
        assert!(test.platform.run_night().unwrap().deliveries.is_empty());
        assert_eq!(names(&test.platform.inbox()), before);
    }
    let fifth = run_and_check(&test);
    assert_eq!(fifth.changed, BTreeSet::from([number.clone()]));
    let day = |night| {
        let day = test
            .platform
            .population()
            .production_date(night)
            .to_string();
        day.replace('-', "")
    };
    assert_eq!(dates(&fifth.bytes), (day(5), day(1)));

    // Adding the filter again loads the person again; removing it delivers nothing.
    client.remove_pnr(&number);
    assert!(test.platform.run_night().unwrap().deliveries.is_empty());
    client.add_pnr(&number);
    assert_eq!(
        run_and_check(&test).loaded,
        BTreeSet::from([number.clone()])
    );
    client.remove_pnr(&number);
    client.add_pnr(&number);
    assert_eq!(run_and_check(&test).loaded, BTreeSet::from([number]));
}

#[test]
fn a_covered_person_is_not_loaded_again() {
    let test = platform(1000);
    let client = Client::new(&test.platform);
    client.add_municipality(AALBORG);
    let resident = run_and_check(&test).loaded.first().unwrap().clone();
    let elsewhere = numbers_where(&population_after(&test, 1), |person| {
        lives_in(person, "0101")
    });
    let elsewhere = elsewhere.first().unwrap().clone();
    client.add_pnr(&resident);
    client.add_pnr(&elsewhere);
    client.add_pnr("0101010101");
    let second = run_and_check(&test);
    assert_eq!(second.loaded, BTreeSet::from([elsewhere]));
}

#[test]
fn an_interrupted_load_continues_in_the_next_run() {
    let test = platform_with(3000, |options| options.cut_after = Some(40));
    let client = Client::new(&test.platform);
    client.add_municipality(AALBORG);
    let first = run_and_check(&test);
    assert!(first.has_backlog);
    assert_eq!(first.loaded.len(), 40);
    let mut loaded = first.loaded;
    loop {
        let next = run_and_check(&test);
        assert!(next.loaded.is_disjoint(&loaded) && next.changed.is_disjoint(&next.loaded));
        loaded.extend(next.loaded);
        if !next.has_backlog {
            break;
        }
    }
    let now = population_after(&test, test.platform.completed_nights());
    let residents = numbers_where(&now, |person| {
        lives_in(person, AALBORG) && !person.is_touched()
    });
    let missing: Vec<_> = residents.difference(&loaded).collect();
    // Persons who moved in meanwhile were delivered as changes.
    let came = (2..=test.platform.completed_nights())
        .flat_map(|night| numbers_where(&population_after(&test, night), Person::is_touched));
    let came: BTreeSet<_> = came.collect();
    assert!(missing.iter().all(|number| came.contains(*number)));
}

#[test]
fn filter_groups_combine_as_a_union_or_an_intersection() {
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
    for groups in [FilterCombination::Union, FilterCombination::Intersection] {
        let test = platform_with(3000, |options| options.filter_combination = groups);
        let client = Client::new(&test.platform);
        filters(&client);
        let first = run_and_check(&test);
        let now = population_after(&test, 1);
        let day = test.platform.population().production_date(1);
        let is_child = |person: &Person| {
            let ((year, month, of_month), birth) = (day.parts(), person.birth_date().parts());
            (birth.0 + 18, birth.1, birth.2) > (year, month, of_month)
        };
        let residents = numbers_where(&now, |person| lives_in(person, AALBORG));
        let children = numbers_where(&now, is_child);
        let with_code = numbers_where(&now, |person| person.event_codes().contains(&"A01"));
        let touched = numbers_where(&now, Person::is_touched);
        let (loaded, changed): (BTreeSet<_>, BTreeSet<_>) = match groups {
            FilterCombination::Union => {
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
            FilterCombination::Intersection => (
                residents.intersection(&children).cloned().collect(),
                BTreeSet::new(),
            ),
        };
        assert_eq!(first.loaded, loaded, "{groups:?}");
        assert_eq!(first.changed, changed, "{groups:?}");
        let second = test.platform.run_night().unwrap();
        for delivered in &second.deliveries {
            check(&test, 2, delivered);
            if groups == FilterCombination::Intersection {
                let now = population_after(&test, 2);
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

/// Returns the subject and the argument of calls that add and remove a filter.
fn ages(start: u32, end: u32) -> (&'static str, String) {
    let ages = format!("<s:StartAge>{start}</s:StartAge><s:EndAge>{end}</s:EndAge>");
    ("AgeRange", format!("<s:AgeRange>{ages}</s:AgeRange>"))
}

fn event(code: &str) -> (&'static str, String) {
    let argument = format!("<s:ChangeCode>{code}</s:ChangeCode>");
    ("ChangeCode", argument)
}

fn municipality(code: &str) -> (&'static str, String) {
    let argument = format!("<s:MunicipalityCode>{code}</s:MunicipalityCode>");
    ("MunicipalityCode", argument)
}

fn change_filters(client: &Client, verb: &str, filters: &[(&str, String)], result: &str) {
    for (subject, argument) in filters {
        let operation = format!("{verb}{subject}Subscription");
        assert_eq!(client.result(&operation, argument), result, "{operation}");
    }
}

/// Returns the persons of a municipality with an event in the night: those who live there, and those who moved away.
fn changed_in(test: &TestPlatform, night: u32, code: &str) -> BTreeSet<String> {
    let before = population_after(test, night - 1);
    let lived = |number: &str| {
        let person = before.get(number);
        person.is_some_and(|person| lives_in(person, code))
    };
    numbers_where(&population_after(test, night), |person| {
        person.is_touched() && (lives_in(person, code) || lived(person.number()))
    })
}

#[test]
fn persons_of_a_removed_filter_are_no_longer_delivered() {
    let test = platform(3000);
    let people = population_after(&test, 0);
    let elsewhere = numbers_where(&people, |person| !lives_in(person, AALBORG));
    let codes: BTreeSet<_> = people
        .values()
        .filter_map(Person::municipality_code)
        .collect();
    let others = codes.into_iter().filter(|code| *code != AALBORG);
    let pnr = |number: &String| ("PNR", crate::client::pnr(number));
    let groups = [
        vec![("NoFilter", String::new())],
        ["A01", "A19", "A20", "A33", "P03"].map(event).to_vec(),
        vec![ages(0, 120)],
        others.map(municipality).collect(),
        elsewhere.iter().take(400).map(pnr).collect(),
    ];
    let client = Client::new(&test.platform);
    client.add_municipality(AALBORG);
    test.platform.run_night().unwrap();
    let mut had_removed = 0;
    for filters in groups {
        change_filters(&client, "Add", &filters, "ADDED");
        test.platform.run_night().unwrap();
        let with_both = test.platform.run_night().unwrap();
        let expected = changed_in(&test, with_both.number, AALBORG);
        had_removed += usize::from(with_both.deliveries[0].changed.len() > expected.len());

        change_filters(&client, "Remove", &filters, "REMOVED");
        for _night in 0..2 {
            let next = run_and_check(&test);
            let night = test.platform.completed_nights();
            assert_eq!(
                next.changed,
                changed_in(&test, night, AALBORG),
                "{}",
                filters[0].0
            );
            assert!(next.loaded.is_empty());
        }
    }
    // Each group delivered persons of other municipalities before its filters were removed.
    assert_eq!(had_removed, 5);
}

#[test]
fn a_removed_filter_of_an_intersection_delivers_nothing() {
    let test = platform_with(3000, |options| {
        options.filter_combination = FilterCombination::Intersection;
    });
    let client = Client::new(&test.platform);
    // Without another group, a change code selects everybody with the event.
    change_filters(&client, "Add", &[event("A01")], "ADDED");
    test.platform.run_night().unwrap();
    change_filters(&client, "Remove", &[event("A01")], "REMOVED");
    client.add_municipality(AALBORG);
    let second = run_and_check(&test);
    let residents = numbers_where(&population_after(&test, 2), |person| {
        lives_in(person, AALBORG)
    });
    assert_eq!(second.loaded, residents);
    assert_eq!(second.changed, BTreeSet::new());
}

#[test]
fn the_full_load_of_a_removed_filter_is_not_continued() {
    let test = platform_with(3000, |options| options.cut_after = Some(5));
    let client = Client::new(&test.platform);
    client.add_municipality(AALBORG);
    change_filters(&client, "Add", &[ages(0, 120)], "ADDED");
    assert!(run_and_check(&test).has_backlog);
    change_filters(&client, "Remove", &[municipality(AALBORG)], "REMOVED");
    let second = run_and_check(&test);
    assert_eq!(second.loaded, BTreeSet::new());
    assert!(!second.has_backlog);
    let touched = numbers_where(&population_after(&test, 2), Person::is_touched);
    assert_eq!(second.changed, touched);
}

#[test]
fn no_filter_delivers_changes_only() {
    let test = platform(500);
    let client = Client::new(&test.platform);
    client.result("AddNoFilterSubscription", "");
    let first = run_and_check(&test);
    assert!(first.loaded.is_empty());
    assert_eq!(
        first.changed,
        numbers_where(&population_after(&test, 1), Person::is_touched)
    );
}

#[test]
fn without_initial_loads_only_changes_are_delivered() {
    let test = platform_with(3000, |options| {
        options.has_initial_load = false;
        options.previous_date = PreviousDate::LastRun;
    });
    let client = Client::new(&test.platform);
    test.platform.run_night().unwrap();
    client.add_municipality(AALBORG);
    let first = run_and_check(&test);
    assert!(first.loaded.is_empty() && !first.changed.is_empty());
    assert_eq!(
        dates(&first.bytes),
        ("20260304".to_owned(), "20260303".to_owned())
    );
}

#[test]
fn agreements_have_separate_files_and_previous_dates() {
    for naming in [FileNaming::Dated, FileNaming::WithAgreement] {
        let test = platform_with(1000, |options| {
            options.agreements.push(Agreement::from_seed(1, 1));
            options.naming = naming;
            options.metadata_root = MetadataRoot::Trigger;
            options.has_routing = true;
        });
        let mut client = Client::new(&test.platform);
        client.add_municipality(AALBORG);
        test.platform.run_night().unwrap();
        client.agreement = test.platform.agreements()[1].clone();
        client.add_municipality("0101");
        let night = test.platform.run_night().unwrap();
        let [first, second] = &night.deliveries[..] else {
            panic!("{} deliveries", night.deliveries.len());
        };
        check(&test, 2, first);
        check(&test, 2, second);
        assert!(first.loaded.is_empty() && !second.loaded.is_empty());
        assert_ne!(first.transfer_uuid, second.transfer_uuid);
        assert_ne!(first.name, second.name);
        assert_eq!(dates(&first.bytes).1, "20260303");
        assert_eq!(dates(&second.bytes).1, "");
        let text = fs::read_to_string(
            test.platform
                .inbox()
                .join(format!("{}.metadata", first.name)),
        )
        .unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.root_element().tag_name().name(), "Trigger");
        assert!(text.contains("<SFTPDynamicRoutingInfo>"));
        let recipient = format!("<Recipients>{}</Recipients>", test.platform.sftp().user());
        assert!(text.contains(&recipient));
        match naming {
            FileNaming::Dated => assert_eq!(
                (first.name.as_str(), second.name.as_str()),
                ("d260304.l431101", "d260304.l431102")
            ),
            FileNaming::WithAgreement => assert!(first.name.contains(&first.agreement.uuid)),
        }
    }
}

#[test]
fn no_run_is_on_a_public_holiday() {
    let test = platform_with(10, |options| {
        options.population.first_day = Day::new(2026, 3, 31).unwrap();
    });
    let client = Client::new(&test.platform);
    client.result("AddNoFilterSubscription", "");
    // Maundy Thursday is 2 April 2026 and Easter Monday 6 April.
    let days = ["2026-04-01", "2026-04-07", "2026-04-08"];
    for day in days {
        assert_eq!(test.platform.run_night().unwrap().day.to_string(), day);
    }
}

#[test]
fn times_in_metadata_and_faults_move_and_the_sending_system_stays() {
    let test = platform_with(3000, |options| options.has_routing = true);
    let mut client = Client::new(&test.platform);
    client.add_municipality(AALBORG);
    client
        .agreement
        .uuid
        .clone_from(&test.platform.agreements()[0].user);
    let received = || {
        let fault = client.call("GetAllFilters", "").unwrap();
        let text = fault.text("faultstring");
        let (_, received) = text.split_once("Received: ").unwrap();
        received.trim().to_owned()
    };
    let mut systems = BTreeSet::new();
    let mut sent = Vec::new();
    assert!(received().starts_with("2026-03-02T04:0"), "{}", received());
    for day in ["2026-03-03", "2026-03-04"] {
        let delivered = run_and_check(&test);
        let path = test.platform.inbox().join(delivered.name + ".metadata");
        let text = fs::read_to_string(path).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let value = |name: &str| {
            let mut nodes = document.descendants();
            let node = nodes.find(|node| node.has_tag_name(name)).unwrap();
            node.text().unwrap().to_owned()
        };
        systems.insert(value("SenderIt-system"));
        sent.push(value("SenderTimestamp"));
        let begin = format!("{day}T04:0");
        assert!(sent.iter().any(|time| time.starts_with(&begin)), "{sent:?}");
        assert!(received().starts_with(&begin), "{}", received());
    }
    assert_eq!(systems.len(), 1);
    let first = received();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(first < received());
}

#[test]
fn old_files_are_deleted_from_the_inbox() {
    for (delete_after, expected) in [(Some(4), 2), (None, 5)] {
        let test = platform_with(500, |options| options.delete_after = delete_after);
        Client::new(&test.platform).result("AddNoFilterSubscription", "");
        // Tuesday to Friday.
        let deliveries: Vec<_> = (0..4).map(|_| run_and_check(&test)).collect();
        assert_eq!(names(&test.platform.inbox()).len(), 8);
        // On Monday, the files of Tuesday to Friday are 6, 5, 4 and 3 days old.
        let monday = run_and_check(&test);
        let kept = names(&test.platform.inbox());
        assert_eq!(kept.len(), 2 * expected, "{kept:?}");
        assert!(kept.contains(&monday.name) && kept.contains(&deliveries[3].name));
    }
}
