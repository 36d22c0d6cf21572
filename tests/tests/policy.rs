//! Scans that keep to a policy: the sandboxed and the native build give the same, and the host does its part.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use arrow::array::{Array, AsArray, RecordBatch};
use cprflow::policy::{CLASSES, Leavers, Numbers, Persons, Protection};
use cprflow::{Error, Policy, PseudonymKey, Scan, Selected};
use cprflow_connector::generate::Settings;
use cprflow_connector::policy as native;
use cprflow_connector::{AgeRange, PersonFilter, ScanOptions, Selection};
use cprflow_tests::extract;
use cprflow_tests::rows::connector;

/// What a policy scan gives.
#[derive(Debug, PartialEq)]
struct Outcome {
    batches: Vec<(String, RecordBatch)>,
    selected: Selected,
    roster: Vec<u8>,
}

#[test]
fn the_sandboxed_and_the_native_build_give_the_same() {
    let settings = Settings::new(400, 11);
    let nights = [extract::status(&settings), extract::changes(&settings)];
    let mut seen = BTreeSet::new();
    for (name, policy) in policies() {
        let mut roster = None;
        for (night, bytes) in nights.iter().enumerate() {
            let expected = natively(&policy, roster.as_deref(), bytes);
            let sandboxed = sandboxed(&policy, roster, bytes);
            assert_eq!(
                sandboxed.selected, expected.selected,
                "{name}, night {night}"
            );
            assert_eq!(sandboxed.batches, expected.batches, "{name}, night {night}");
            assert_eq!(sandboxed.roster, expected.roster, "{name}, night {night}");
            seen.extend(expected.batches.into_iter().map(|(table, _)| table));
            roster = Some(expected.roster);
        }
    }
    assert!(seen.contains("out_of_scope") && seen.len() > 35, "{seen:?}");
}

#[test]
fn pseudonyms_stand_in_every_column_of_numbers_and_still_join() {
    let bytes = extract::small(200, 5);
    let policy = Policy {
        persons: Persons {
            status_codes: Some(vec!["01".to_owned()]),
            ..Persons::default()
        },
        numbers: Numbers::Pseudonym,
        also: BTreeSet::from(["former_pnr".to_owned()]),
        classes: CLASSES.map(str::to_owned).into(),
        ..Policy::default()
    };
    let kept = Policy {
        numbers: Numbers::Keep,
        ..policy.clone()
    };
    let key = PseudonymKey::new([7; 32]).unwrap();
    let of = |policy: &Policy, key: PseudonymKey| {
        let scan = Scan::new(connector()).policy(policy).pseudonym_key(key);
        let mut reader = scan.read_selected(|| Ok(bytes.as_slice())).unwrap();
        let batches = reader.by_ref().map(Result::unwrap);
        numbers(batches.map(|rows| (rows.table, rows.batch)).collect())
    };
    let (real, hidden) = (of(&kept, key.clone()), of(&policy, key.clone()));
    assert_eq!(
        real.keys().collect::<Vec<_>>(),
        hidden.keys().collect::<Vec<_>>()
    );
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    for (place, numbers) in &real {
        let pseudonyms = &hidden[place];
        assert_eq!(numbers.len(), pseudonyms.len(), "{place:?}");
        for (number, pseudonym) in numbers.iter().zip(pseudonyms) {
            assert_eq!(number.is_some(), pseudonym.is_some(), "{place:?}");
            let (Some(number), Some(pseudonym)) = (number, pseudonym) else {
                continue;
            };
            assert_eq!(pseudonym.len(), 64);
            let known = pairs.entry(number.clone()).or_insert(pseudonym.clone());
            assert_eq!(known, pseudonym, "a number has two pseudonyms");
        }
    }
    let distinct: BTreeSet<_> = pairs.values().collect();
    assert_eq!(
        distinct.len(),
        pairs.len(),
        "two numbers have one pseudonym"
    );
    assert!(pairs.len() > 100);
    let another = of(&policy, PseudonymKey::new([8; 32]).unwrap());
    assert!(
        another
            .values()
            .flatten()
            .flatten()
            .all(|other| !distinct.contains(other))
    );
}

#[test]
fn the_view_of_a_policy() {
    let view = connector().view(&Policy::default()).unwrap();
    assert!(view.table("person").is_some() && view.table("church").is_none());
    assert_eq!(view.tables().last().unwrap().name, "out_of_scope");
    let everything = connector().view(&open()).unwrap();
    let catalog = connector().catalog().tables();
    assert_eq!(everything.tables().len(), catalog.len() - 2 + 1);
    let person = everything.table("person").unwrap();
    assert!(
        person
            .columns
            .iter()
            .any(|column| column.name == "protected")
    );
}

#[test]
fn what_does_not_fit_is_an_error_of_the_request() {
    let policy = Policy::default();
    let pseudonymous = Policy {
        numbers: Numbers::Pseudonym,
        ..Policy::default()
    };
    let message = |ended: Result<(), Error>| match ended {
        Err(Error::Request(message)) => message,
        other => panic!("{other:?}"),
    };
    let scan = || Scan::new(connector());
    let read = |scan: Scan| message(scan.read_selected(|| Ok(&b""[..])).map(drop));
    insta::assert_snapshot!(read(scan()), @"there is no policy to choose persons by: name one, or call read_all");
    insta::assert_snapshot!(message(scan().policy(&policy).read_all(&b""[..]).map(drop)), @"a policy takes two passes over the extract: call read_selected");
    insta::assert_snapshot!(read(scan().policy(&pseudonymous)), @"the policy replaces person numbers by pseudonyms: give it the tenant's key");
    insta::assert_snapshot!(read(scan().policy(&policy).roster(b"no roster".to_vec())), @"the roster of persons who were in scope cannot be read: it does not begin like one. Take it from a backup, or begin with none and deliver everybody anew: who left meanwhile is not told");
    let message_of = |policy: &Policy| message(connector().view(policy).map(drop));
    let misspelt = Policy {
        tables: Some(BTreeSet::from(["person".to_owned(), "church".to_owned()])),
        ..Policy::default()
    };
    insta::assert_snapshot!(message_of(&misspelt), @r#"the policy names the table "church", and hides its class "religion": allow the class or leave the table out"#);
    let table = scan()
        .policy(&policy)
        .table("church")
        .read_table_selected(|| Ok(&b""[..]));
    assert!(matches!(table.map(drop), Err(Error::Request(_))));
}

/// Persons are chosen and protected by what the first pass saw: a second one that sees something else is no result.
#[test]
fn an_input_that_changes_between_the_passes_is_refused() {
    let whole = extract::small(20, 3);
    let mut pass = 0;
    let reader = Scan::new(connector())
        .policy(&Policy::default())
        .read_selected(|| {
            pass += 1;
            Ok(match pass {
                1 => &whole[..whole.len() / 2],
                _ => &whole[..],
            })
        });
    let ended: Result<Vec<_>, _> = reader.unwrap().collect();
    assert!(matches!(ended.map(drop), Err(Error::Input(_))));
    let missing = Scan::new(connector())
        .policy(&Policy::default())
        .read_selected(|| Err::<&[u8], _>(io::ErrorKind::NotFound.into()));
    assert!(matches!(missing.map(drop), Err(Error::Input(_))));
}

#[test]
fn one_table_of_a_policy() {
    let bytes = extract::small(200, 5);
    let mut rows = Scan::new(connector())
        .policy(&Policy::default())
        .table("person")
        .columns(["status", "pnr"])
        .where_("status in ('01', '03')")
        .read_table_selected(|| Ok(bytes.as_slice()))
        .unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next_batch().unwrap() {
        assert_eq!(batch.num_columns(), 2);
        let statuses = batch.column(0).as_string::<i32>();
        assert!(
            statuses
                .iter()
                .flatten()
                .all(|status| status == "01" || status == "03")
        );
        count += batch.num_rows();
    }
    let selected = rows.selected().unwrap();
    assert!(count > 0 && (count as u64) < selected.persons);
    assert!(!rows.roster().unwrap().is_empty());
}

/// Policies that differ in everything that a policy can say.
fn policies() -> Vec<(&'static str, Policy)> {
    let municipalities = Persons {
        municipality_codes: Some(vec![
            "0101".to_owned(),
            "0851".to_owned(),
            "0751".to_owned(),
        ]),
        ..Persons::default()
    };
    vec![
        ("default", Policy::default()),
        ("open", open()),
        (
            "municipalities, drop, last",
            Policy {
                persons: municipalities.clone(),
                protection: Protection::Drop,
                leavers: Leavers::Last,
                ..open()
            },
        ),
        (
            "adults in some places, without numbers",
            Policy {
                persons: Persons {
                    ages: Some((18, 66)),
                    status_codes: Some(vec!["01".to_owned(), "03".to_owned()]),
                    ..municipalities
                },
                numbers: Numbers::Drop,
                ..Policy::default()
            },
        ),
        (
            "events, some tables, columns and rows",
            Policy {
                persons: Persons {
                    event_codes: Some(vec!["A01".to_owned(), "A05".to_owned()]),
                    ..Persons::default()
                },
                day: Some("2020-02-29".to_owned()),
                tables: Some(["person", "event", "address"].map(str::to_owned).into()),
                columns: BTreeMap::from([(
                    "person".to_owned(),
                    ["pnr", "birth_date", "irregular"].map(str::to_owned).into(),
                )]),
                rows: BTreeMap::from([(
                    "event".to_owned(),
                    "event_code between 'A' and 'B'".to_owned(),
                )]),
                ..Policy::default()
            },
        ),
    ]
}

fn open() -> Policy {
    Policy {
        classes: CLASSES.map(str::to_owned).into(),
        protection: Protection::Include,
        ..Policy::default()
    }
}

fn sandboxed(policy: &Policy, roster: Option<Vec<u8>>, bytes: &[u8]) -> Outcome {
    let mut scan = Scan::new(connector())
        .policy(policy)
        .block_bytes(4096)
        .batch_rows(50);
    if let Some(roster) = roster {
        scan = scan.roster(roster);
    }
    let mut reader = scan.read_selected(|| Ok(bytes)).unwrap();
    let batches = reader.by_ref().map(Result::unwrap);
    Outcome {
        batches: batches.map(|rows| (rows.table, rows.batch)).collect(),
        selected: reader.selected().unwrap(),
        roster: reader.roster().unwrap(),
    }
}

fn natively(policy: &Policy, roster: Option<&[u8]>, bytes: &[u8]) -> Outcome {
    let mut selection = Selection::open_policy(as_native(policy), roster).unwrap();
    selection.push(bytes.to_vec()).unwrap();
    let selected = selection.finish().unwrap();
    let options = ScanOptions {
        batch_rows: 50,
        ..ScanOptions::default()
    };
    let mut scan = cprflow_connector::Scan::open(&options, Some(&selection)).unwrap();
    scan.push(bytes.to_vec()).unwrap();
    scan.finish().unwrap();
    let mut batches = Vec::new();
    while let Some(rows) = scan.next().unwrap() {
        batches.push((rows.table.name().to_owned(), rows.batch));
    }
    Outcome {
        batches,
        selected: Selected {
            persons: selected.persons,
            entered: selected.entered,
            left: selected.left,
        },
        roster: selection.roster().unwrap(),
    }
}

fn as_native(policy: &Policy) -> native::Policy {
    let persons = &policy.persons;
    let numbers = persons.numbers.as_ref();
    let pair = |(table, rows): (&String, &String)| (table.clone(), rows.clone());
    native::Policy {
        persons: PersonFilter {
            municipality_codes: persons.municipality_codes.clone(),
            status_codes: persons.status_codes.clone(),
            ages: persons
                .ages
                .map(|(youngest, oldest)| AgeRange { youngest, oldest }),
            event_codes: persons.event_codes.clone(),
            numbers: numbers.map(|all| all.iter().map(|one| one.as_str().to_owned()).collect()),
        },
        day: policy.day.clone(),
        classes: policy.classes.iter().cloned().collect(),
        tables: policy
            .tables
            .as_ref()
            .map(|tables| tables.iter().cloned().collect()),
        columns: policy.columns.clone().into_iter().collect(),
        rows: policy.rows.iter().map(pair).collect(),
        protection: match policy.protection {
            Protection::Include => native::ProtectionRule::Include,
            Protection::Mask => native::ProtectionRule::Mask,
            Protection::Drop => native::ProtectionRule::Drop,
        },
        numbers: match policy.numbers {
            Numbers::Keep => native::NumberRule::Keep,
            Numbers::Pseudonym => native::NumberRule::Pseudonym,
            Numbers::Drop => native::NumberRule::Drop,
        },
        also: policy.also.iter().cloned().collect(),
        leavers: match policy.leavers {
            Leavers::Notice => native::LeaverRule::Notice,
            Leavers::Last => native::LeaverRule::Last,
        },
    }
}

/// The values of every column of person numbers, by table and column.
fn numbers(batches: Vec<(String, RecordBatch)>) -> BTreeMap<(String, String), Vec<Option<String>>> {
    let mut numbers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (table, batch) in batches {
        let schema = batch.schema();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            if field
                .metadata()
                .get("cpr.kind")
                .is_some_and(|kind| kind == "pnr")
            {
                let texts = column.as_string::<i32>();
                assert_eq!(texts.len(), batch.num_rows());
                let place = (table.clone(), field.name().clone());
                let of_column = numbers.entry(place).or_default();
                of_column.extend(texts.iter().map(|text| text.map(str::to_owned)));
            }
        }
    }
    numbers
}
