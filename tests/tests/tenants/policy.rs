//! Scans with a policy: the sandboxed and the native build return the same, and the host makes the pseudonyms.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use arrow::array::{Array, AsArray, RecordBatch};
use cprflow::policy::{DATA_CLASSES, LeaverRule, NumberRule, PersonFilter, ProtectionRule};
use cprflow::{Error, Policy, PseudonymKey, Scan, SelectionCounts};
use cprflow_connector::generate::Settings;
use cprflow_connector::policy as native;
use cprflow_connector::{AgeRange, ScanOptions, Selection};
use cprflow_tests::extract;
use cprflow_tests::oracle::TestPolicy;
use cprflow_tests::oracle::show::number_of;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::rows::{self, connector};

/// The result of a scan with a policy.
#[derive(Debug, PartialEq)]
struct Outcome {
    batches: Vec<(String, RecordBatch)>,
    selected: SelectionCounts,
    roster: Vec<u8>,
}

#[test]
fn the_sandboxed_and_the_native_build_give_the_same() {
    let settings = Settings::busy(400, 11);
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
            // The host returns rows without numbers in another order.
            let is_reordered = policy.numbers != NumberRule::Keep || !policy.columns.is_empty();
            match is_reordered {
                true => assert!(
                    in_any_order(&sandboxed.batches) == in_any_order(&expected.batches),
                    "{name}, night {night}"
                ),
                false => assert_eq!(sandboxed.batches, expected.batches, "{name}, night {night}"),
            }
            assert_eq!(sandboxed.roster, expected.roster, "{name}, night {night}");
            seen.extend(expected.batches.into_iter().map(|(table, _)| table));
            roster = Some(expected.roster);
        }
    }
    assert!(seen.contains("out_of_scope") && seen.len() > 35, "{seen:?}");
}

#[test]
fn pseudonyms_replace_every_number_and_still_join() {
    let bytes = extract::small(200, 5);
    let policy = Policy {
        persons: PersonFilter {
            status_codes: Some(vec!["01".to_owned()]),
            ..PersonFilter::default()
        },
        numbers: NumberRule::Pseudonym,
        classes: DATA_CLASSES
            .iter()
            .chain(&["former-pnr", "person-id"])
            .map(|class| (*class).to_owned())
            .collect(),
        ..Policy::default()
    };
    let kept = Policy {
        numbers: NumberRule::Keep,
        ..policy.clone()
    };
    let key = PseudonymKey::new([7; 32]).unwrap();
    let of = |policy: &Policy, key: PseudonymKey| {
        let scan = Scan::new(connector()).policy(policy).pseudonym_key(key);
        let mut reader = scan.read_with_policy(|| Ok(bytes.as_slice())).unwrap();
        let batches = reader.by_ref().map(Result::unwrap);
        numbers(batches.map(|rows| (rows.table, rows.batch)).collect())
    };
    let (real, hidden) = (of(&kept, key.clone()), of(&policy, key.clone()));
    // The order of the pseudonyms has nothing to do with that of the numbers.
    let is_in_order = |place: &(String, String)| {
        let pseudonyms = &hidden[place];
        pseudonyms.is_sorted() && pseudonyms.len() == real[place].len()
    };
    assert!(
        real.keys()
            .filter(|place| place.1 == "pnr")
            .all(is_in_order)
    );
    assert_eq!(
        real.keys().collect::<Vec<_>>(),
        hidden.keys().collect::<Vec<_>>()
    );
    // A number has the same pseudonym in every table.
    let wanted = TestPolicy {
        key: vec![7; 32],
        ..TestPolicy::new(policy.clone())
    };
    let mut pairs = BTreeMap::new();
    for (place, numbers) in &real {
        let pseudonym = |number: &Option<String>| {
            let number = number.as_ref()?;
            let pseudonym = number_of(&wanted, number);
            pairs.insert(number.clone(), pseudonym.clone());
            Some(pseudonym)
        };
        let mut expected: Vec<_> = numbers.iter().map(pseudonym).collect();
        let mut seen = hidden[place].clone();
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected, "{place:?}");
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
fn reports_invalid_policy_requests() {
    let policy = Policy::default();
    let pseudonymous = Policy {
        numbers: NumberRule::Pseudonym,
        ..Policy::default()
    };
    let message = |ended: Result<(), Error>| match ended {
        Err(Error::Request(message)) => message,
        other => panic!("{other:?}"),
    };
    let scan = || Scan::new(connector());
    let read = |scan: Scan| message(scan.read_with_policy(|| Ok(&b""[..])).map(drop));
    insta::assert_snapshot!(read(scan()), @"the scan has no policy: set one with `policy`, or call `read_all`");
    insta::assert_snapshot!(message(scan().policy(&policy).read_all(&b""[..]).map(drop)), @"the scan has a policy, so it must read the extract twice: call `read_with_policy` or `read_table_with_policy`");
    insta::assert_snapshot!(read(scan().policy(&pseudonymous)), @"the policy replaces person numbers by pseudonyms, but the scan has no key: set the tenant's key with `pseudonym_key`");
    insta::assert_snapshot!(read(scan().policy(&policy).roster(b"no roster".to_vec())), @"the roster of persons who were in scope cannot be read: it does not begin with CPRROSTR. Restore it from a backup, or start without a roster and deliver all persons again; persons who left in between are then not reported");
    let message_of = |policy: &Policy| message(connector().view(policy).map(drop));
    let misspelt = Policy {
        tables: Some(BTreeSet::from(["person".to_owned(), "church".to_owned()])),
        ..Policy::default()
    };
    insta::assert_snapshot!(message_of(&misspelt), @r#"the policy names the table "church" but hides its class "religion": allow the class or leave the table out"#);
    let table = scan()
        .policy(&policy)
        .table("church")
        .read_table_with_policy(|| Ok(&b""[..]));
    assert!(matches!(table.map(drop), Err(Error::Request(_))));
}

/// Persons are selected and protected by the first pass, so a second pass over other bytes must fail.
#[test]
fn an_input_that_changes_between_the_passes_is_refused() {
    let whole = extract::small(20, 3);
    let mut pass = 0;
    let reader = Scan::new(connector())
        .policy(&Policy::default())
        .read_with_policy(|| {
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
        .read_with_policy(|| Err::<&[u8], _>(io::ErrorKind::NotFound.into()));
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
        .read_table_with_policy(|| Ok(bytes.as_slice()))
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

/// Returns policies that differ in every setting.
fn policies() -> Vec<(&'static str, Policy)> {
    let municipalities = PersonFilter {
        municipality_codes: Some(vec![
            "0101".to_owned(),
            "0851".to_owned(),
            "0751".to_owned(),
        ]),
        ..PersonFilter::default()
    };
    vec![
        ("default", Policy::default()),
        ("open", open()),
        (
            "municipalities, drop, last",
            Policy {
                persons: municipalities.clone(),
                protection: ProtectionRule::Drop,
                leavers: LeaverRule::Last,
                ..open()
            },
        ),
        (
            "adults in some places, without numbers",
            Policy {
                persons: PersonFilter {
                    ages: Some((18, 66)),
                    status_codes: Some(vec!["01".to_owned(), "03".to_owned()]),
                    ..municipalities
                },
                numbers: NumberRule::Drop,
                ..Policy::default()
            },
        ),
        (
            "events, some tables, columns and rows",
            Policy {
                persons: PersonFilter {
                    event_codes: Some(vec!["A01".to_owned(), "A05".to_owned()]),
                    ..PersonFilter::default()
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
                // The range has codes of classes that the policy hides.
                may_reveal: true,
                ..Policy::default()
            },
        ),
    ]
}

fn open() -> Policy {
    Policy {
        classes: DATA_CLASSES.map(str::to_owned).into(),
        protection: ProtectionRule::Include,
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
    let mut reader = scan.read_with_policy(|| Ok(bytes)).unwrap();
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
        selected: SelectionCounts {
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
        persons: cprflow_connector::PersonFilter {
            municipality_codes: persons.municipality_codes.clone(),
            status_codes: persons.status_codes.clone(),
            ages: persons
                .ages
                .map(|(youngest, oldest)| AgeRange { youngest, oldest }),
            event_codes: persons.event_codes.clone(),
            numbers: numbers.map(|all| all.iter().map(|one| one.as_str().to_owned()).collect()),
        },
        day: policy.day.clone(),
        as_of: None,
        classes: policy.classes.iter().cloned().collect(),
        tables: policy
            .tables
            .as_ref()
            .map(|tables| tables.iter().cloned().collect()),
        columns: policy.columns.clone().into_iter().collect(),
        rows: policy.rows.iter().map(pair).collect(),
        protection: match policy.protection {
            ProtectionRule::Include => native::ProtectionRule::Include,
            ProtectionRule::Mask => native::ProtectionRule::Mask,
            ProtectionRule::Drop => native::ProtectionRule::Drop,
        },
        numbers: match policy.numbers {
            NumberRule::Keep => native::NumberRule::Keep,
            NumberRule::Pseudonym => native::NumberRule::Pseudonym,
            NumberRule::Drop => native::NumberRule::Drop,
        },
        leavers: match policy.leavers {
            LeaverRule::Notice => native::LeaverRule::Notice,
            LeaverRule::Last => native::LeaverRule::Last,
        },
        may_reveal: policy.may_reveal,
    }
}

/// Returns the rows of each table, sorted.
fn in_any_order(batches: &[(String, RecordBatch)]) -> Tables {
    let mut tables = Tables::new();
    for (table, batch) in batches {
        let rows = tables.entry(table.clone()).or_default();
        rows.extend(rows::rows(batch));
    }
    tables.values_mut().for_each(|rows| rows.sort());
    tables
}

/// Returns the values of every column of person numbers, by table and column.
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
