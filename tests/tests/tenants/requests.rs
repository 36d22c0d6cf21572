//! Requests under a policy: what is allowed, what is refused, and that predicates reveal nothing hidden.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::LazyLock;

use cprflow::policy::{DATA_CLASSES, NumberRule, Policy, ProtectionRule};
use cprflow::{Error, PseudonymKey, Scan};
use cprflow_tests::extract::Dice;
use cprflow_tests::layout_data;
use cprflow_tests::oracle::choose::{key, text, value};
use cprflow_tests::oracle::extract_cases::{TextKind, extracts};
use cprflow_tests::oracle::product::{Tenant, in_roster, view};
use cprflow_tests::oracle::show::number_of;
use cprflow_tests::oracle::{Extract, TestPolicy, compare};
use cprflow_tests::reference_reader::{Row, Rules, Value};
use cprflow_tests::rows;

static RULES: LazyLock<Rules> = LazyLock::new(layout_data::rules);

static STATUS: LazyLock<(Vec<u8>, Extract)> = LazyLock::new(|| {
    let bytes = extracts(&RULES, 150, 9, 3).swap_remove(0).bytes;
    let extract = Extract::of_lines(&RULES, &bytes);
    (bytes, extract)
});

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Asserts that the product refuses a policy, and returns its message.
fn refused(change: impl FnOnce(&mut Policy)) -> String {
    let mut policy = Policy::default();
    change(&mut policy);
    let asked = view(rows::connector(), &policy);
    let Err(Error::Request(error)) = asked else {
        panic!("the view of {policy:?} is {asked:?}");
    };
    let message = error.to_string();
    let scanned = Tenant::new(TestPolicy::new(policy.clone())).deliver(&STATUS.0);
    assert!(
        matches!(scanned, Err(Error::Request(_))),
        "{policy:?} was scanned"
    );
    message
}

#[test]
fn refuses_unknown_and_hidden_names() {
    let says = |message: String, words: &[&str]| {
        for word in words {
            assert!(message.contains(word), "{message:?} does not say {word}");
        }
    };
    let tables = |name: &'static str| {
        refused(move |policy| policy.tables = Some(BTreeSet::from([name.to_owned()])))
    };
    says(tables("persons"), &["persons"]);
    says(tables("church"), &["church", "religion"]);
    says(tables("civil_status_history"), &["civil-status-history"]);
    says(tables("credit_warning"), &["economic"]);
    says(tables("delivery_start"), &["delivery_start"]);
    says(tables("person_id"), &["identity"]);
    says(tables("unknown_record"), &["unknown_record"]);
    let columns = |table: &'static str, column: &'static str| {
        refused(move |policy| {
            policy.columns = BTreeMap::from([(table.to_owned(), names(&[column]))]);
        })
    };
    says(columns("persons", "pnr"), &["persons"]);
    says(columns("person", "age"), &["age"]);
    says(
        columns("person", "occupation"),
        &["occupation", "free-text"],
    );
    says(columns("person", "current_pnr"), &["identity"]);
    let rows = |table: &'static str, predicate: &'static str| {
        refused(move |policy| {
            policy.rows = BTreeMap::from([(table.to_owned(), predicate.to_owned())]);
        })
    };
    says(rows("persons", "pnr is null"), &["persons"]);
    says(rows("person", "age > 3"), &["age"]);
    says(rows("person", "status = 1"), &["status"]);
    says(rows("person", "birth_date < '1990-02-30'"), &["birth_date"]);
    for broken in [
        "",
        "status",
        "status = ",
        "status = '01' and",
        "(status = '01'",
        "status = '01",
    ] {
        rows("person", broken);
    }
    refused(|policy| policy.classes.extend(["secrets".to_owned()]));
    refused(|policy| policy.day = Some("2026-02-30".to_owned()));
    refused(|policy| policy.persons.municipality_codes = Some(names(&["851"])));
    refused(|policy| policy.persons.status_codes = Some(names(&["1"])));
    refused(|policy| policy.persons.event_codes = Some(names(&["A3"])));
    refused(|policy| policy.persons.ages = Some((18, 17)));
    refused(|policy| policy.classes.extend(["person".to_owned()]));
}

/// A person who is selected by something hidden is known to have it.
#[test]
fn refuses_to_select_by_what_is_hidden() {
    let says = |message: String, word: &str| {
        assert!(message.contains(word), "{message}");
        assert!(message.contains("may_reveal"), "{message}");
    };
    for (code, word) in [
        ("A34", "religion"),
        ("P56", "religion"),
        ("A73", "social"),
        ("P02", "identity"),
        ("A33", "economic"),
        ("P55", "P55"),
        ("A99", "A99"),
    ] {
        let by_code = || Some(names(&["A01", code]));
        says(
            refused(|policy| policy.persons.event_codes = by_code()),
            word,
        );
        let rows = BTreeMap::from([("event".to_owned(), format!("event_code = '{code}'"))]);
        says(refused(|policy| policy.rows = rows.clone()), word);
        accepted(|policy| policy.persons.event_codes = by_code());
        accepted(|policy| policy.rows = rows);
    }
    let home = |policy: &mut Policy| {
        policy.classes.remove("address");
        policy.persons.municipality_codes = Some(names(&["0851"]));
    };
    says(refused(home), "address");
    accepted(home);
    for numbers in [NumberRule::Pseudonym, NumberRule::Drop] {
        let listed = |policy: &mut Policy| {
            policy.persons.numbers = Some(vec!["0101010101".parse().unwrap()]);
            policy.numbers = numbers;
        };
        says(refused(listed), "a list of person numbers");
        accepted(listed);
    }
    // Status and age are shown by every policy, so they may select.
    let by_open_facts = |policy: &mut Policy| {
        policy.persons.status_codes = Some(names(&["70"]));
        policy.persons.ages = Some((5, 16));
        policy.classes.clear();
        policy.numbers = NumberRule::Drop;
        policy.protection = ProtectionRule::Drop;
    };
    let mut policy = Policy::default();
    by_open_facts(&mut policy);
    assert!(view(rows::connector(), &policy).is_ok());
    let by = |table: &str, predicate: &str| {
        let rows = BTreeMap::from([(table.to_owned(), predicate.to_owned())]);
        move |policy: &mut Policy| policy.rows = rows
    };
    says(refused(by("person", "occupation is null")), "free-text");
    says(refused(by("civil_status", "spouse_pnr is null")), "family");
    accepted(by("person", "occupation is null"));
    let pseudonymous = |policy: &mut Policy| {
        policy.numbers = NumberRule::Pseudonym;
        by("person", "pnr > '2'")(policy);
    };
    refused(pseudonymous);
    accepted(pseudonymous);
}

/// Asserts that the product accepts a policy if it may reveal what it hides.
fn accepted(change: impl FnOnce(&mut Policy)) {
    let mut policy = Policy {
        may_reveal: true,
        ..Policy::default()
    };
    change(&mut policy);
    assert!(view(rows::connector(), &policy).is_ok(), "{policy:?}");
}

/// Gaps between record numbers show hidden rows, and equal numbers join the tables of two tenants.
#[test]
fn refuses_record_numbers_where_anything_is_hidden() {
    for (table, columns) in [("person", &["pnr", "line"][..]), ("address", &["line"])] {
        let message = refused(|policy| {
            policy.classes = DATA_CLASSES.map(str::to_owned).into();
            policy.protection = ProtectionRule::Include;
            policy.columns = BTreeMap::from([(table.to_owned(), names(columns))]);
        });
        assert!(message.contains("line"), "{message}");
    }
    for may_reveal in [false, true] {
        let message = refused(|policy| {
            policy.may_reveal = may_reveal;
            policy.rows = BTreeMap::from([("person".to_owned(), "line > 3".to_owned())]);
        });
        assert!(message.contains("line"), "{message}");
    }
    let asked = where_(&TestPolicy::default(), "person", "line > 3");
    assert!(matches!(asked, Err(Error::Request(_))));
}

/// A condition can contain person numbers, so the message must not repeat its values.
#[test]
fn a_refusal_repeats_no_value_of_a_condition() {
    let number = STATUS.1.persons().pop_first().unwrap();
    let predicate = format!("pnr = '{number}' and and");
    let message = refused(|policy| drop(policy.rows.insert("person".to_owned(), predicate)));
    assert!(!message.contains(&number), "{message}");
}

#[test]
fn refuses_deep_and_long_conditions() {
    let deep = format!(
        "{}status = '01'{}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    let not = format!("{}status = '01'", "not ".repeat(100_000));
    let long = vec!["status = '01'"; 200_000].join(" or ");
    for predicate in [deep, not, long] {
        refused(|policy| drop(policy.rows.insert("person".to_owned(), predicate)));
    }
}

#[test]
fn a_policy_needs_two_passes_over_the_same_bytes() {
    let policy = Policy::default();
    let scan = || Scan::new(rows::connector()).policy(&policy);
    let (bytes, _) = &*STATUS;
    assert!(matches!(
        scan().read_all(bytes.as_slice()),
        Err(Error::Request(_))
    ));
    assert!(matches!(
        scan().table("person").read(bytes.as_slice()),
        Err(Error::Request(_))
    ));
    let mut pass = 0;
    let changing = scan().read_with_policy(|| {
        pass += 1;
        let shorter = bytes.len() - if pass == 1 { 0 } else { 4000 };
        Ok(Cursor::new(bytes[..shorter].to_vec()))
    });
    let ended = changing.and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
    assert!(matches!(ended, Err(Error::Input(_))), "{ended:?}");
    let pseudonym = Policy {
        numbers: NumberRule::Pseudonym,
        ..Policy::default()
    };
    let without_key = Scan::new(rows::connector())
        .policy(&pseudonym)
        .read_with_policy(|| Ok(Cursor::new(bytes)));
    assert!(matches!(without_key, Err(Error::Request(_))));
    assert!(PseudonymKey::new([7; 31]).is_err());
}

#[test]
fn refuses_an_unreadable_roster() {
    let (bytes, extract) = &*STATUS;
    let mut tenant = Tenant::new(TestPolicy::default());
    tenant.deliver(bytes).unwrap();
    let roster = tenant.roster.clone().unwrap();
    let persons = extract.persons();
    assert_eq!(in_roster(&roster, &persons).len(), roster_of(extract));
    let mut dice = Dice::new(1);
    let mut refused = 0;
    let mut spoilt = vec![
        Vec::new(),
        b"junk".to_vec(),
        roster[1..].to_vec(),
        vec![0xff; 5000],
    ];
    for _ in 0..60 {
        let mut harmed = roster.clone();
        match dice.below(3) {
            0 => harmed.truncate(dice.below(roster.len())),
            1 => harmed.extend([0; 9]),
            _ => {
                let place = dice.below(roster.len().min(40));
                harmed[place] ^= 1 << dice.below(8);
            }
        }
        spoilt.push(harmed);
    }
    for harmed in spoilt {
        tenant.roster = Some(harmed);
        match tenant.deliver(bytes) {
            Err(Error::Request(error)) => {
                refused += 1;
                assert!(error.to_string().contains("roster"), "{error}");
            }
            // A changed bit in a bitmap gives another valid roster.
            Ok(got) => assert!(got.delivery.persons > 0),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 30, "{refused}");
}

fn roster_of(extract: &Extract) -> usize {
    let answer = extract
        .expected(&TestPolicy::default(), &BTreeSet::new())
        .unwrap();
    answer.roster.len()
}

/// Returns the rows of one table that a tenant gets with this predicate.
fn where_(wanted: &TestPolicy, table: &str, predicate: &str) -> Result<Vec<Row>, Error> {
    let tenant = Tenant::new(wanted.clone());
    let got = tenant.preview(&STATUS.0, |scan| scan.table(table).where_(predicate))?;
    assert!(got.delivery.tables.keys().all(|seen| seen == table));
    Ok(got.delivery.tables.get(table).cloned().unwrap_or_default())
}

#[test]
fn predicates_see_only_visible_values() {
    let mut wanted = TestPolicy::default();
    wanted.policy.classes.insert("family".to_owned());
    let answer = STATUS.1.expected(&wanted, &BTreeSet::new()).unwrap();
    let protected: Vec<_> = answer
        .choice
        .chosen
        .intersection(&answer.facts.protected)
        .collect();
    assert!(protected.len() > 3);
    // A masked value is null in predicates too.
    for number in &protected {
        let token = TextKind::Name.token(number);
        let found = where_(&wanted, "name", &format!("surname = '{token}'")).unwrap();
        assert_eq!(found.len(), 0);
        let found = where_(
            &wanted,
            "name",
            &format!("surname <> '{token}' and pnr = '{number}'"),
        );
        assert_eq!(found.unwrap().len(), 0);
    }
    let all = where_(&wanted, "name", "surname is null or surname is not null").unwrap();
    assert_eq!(all, answer.delivery.tables["name"]);
    let nulls = where_(&wanted, "name", "surname is null").unwrap();
    let expected = all
        .iter()
        .filter(|row| *value(row, "surname") == Value::Null);
    assert!(nulls.iter().eq(expected) && nulls.len() >= protected.len());
    // The same holds for the masked values of relatives.
    let spoken = where_(&wanted, "parents", "mother_name is not null").unwrap();
    for row in &spoken {
        let mother = text(row, "mother_pnr").unwrap();
        assert!(!answer.facts.is_protected(mother));
    }
    assert!(!spoken.is_empty());
    for (table, predicate) in [
        ("person", "occupation = 'Bager'"),
        ("person", "current_pnr is not null"),
        ("civil_status", "religion = 'F'"),
    ] {
        let asked = where_(&wanted, table, predicate);
        assert!(matches!(asked, Err(Error::Request(_))), "{predicate}");
    }
    for table in ["church", "delivery_start", "input_error"] {
        let asked = where_(&wanted, table, "sort_key is null");
        assert!(matches!(asked, Err(Error::Request(_))), "{table}");
    }
}

/// A tenant with pseudonyms cannot find out the number of a pseudonym.
#[test]
fn predicates_do_not_reveal_pseudonyms() {
    let wanted = TestPolicy::new(Policy {
        classes: DATA_CLASSES.map(str::to_owned).into(),
        numbers: NumberRule::Pseudonym,
        protection: ProtectionRule::Include,
        ..Policy::default()
    });
    let answer = STATUS.1.expected(&wanted, &BTreeSet::new()).unwrap();
    let number = answer.choice.chosen.first().unwrap();
    let pseudonym = number_of(&wanted, number);
    for predicate in [
        format!("pnr = '{number}'"),
        format!("pnr in ('{number}')"),
        format!("pnr between '{number}' and '{number}'"),
        format!("not (pnr < '{number}' or pnr > '{number}')"),
        "pnr < '2'".to_owned(),
    ] {
        match where_(&wanted, "person", &predicate) {
            Err(Error::Request(_)) => {}
            Err(other) => panic!("{other:?}"),
            Ok(found) => {
                let is_told = found.iter().any(|row| key(row) == Some(&pseudonym));
                assert!(
                    !is_told || predicate == "pnr < '2'",
                    "{predicate} is answered"
                );
                // A comparison with the pseudonym would use only visible values.
                let judged = |row: &&Row| key(row).is_some_and(|pnr| pnr < "2");
                let all = &answer.delivery.tables["person"];
                assert!(predicate != "pnr < '2'" || found.iter().eq(all.iter().filter(judged)));
            }
        }
    }
    let dropped = TestPolicy::new(Policy {
        numbers: NumberRule::Drop,
        ..Policy::default()
    });
    let asked = where_(&dropped, "person", &format!("pnr = '{number}'"));
    assert!(matches!(asked, Err(Error::Request(_))));
}

/// Ten zeros mean "no person": no policy selects them, and they are never a leaver.
#[test]
fn ten_zeros_are_not_a_person() {
    let person = "0101965058";
    let lines = [
        "00000000000001109012026030220260301".to_owned(),
        "0010000000000          01000000000000 K1908-03-02".to_owned(),
        "0080000000000Nobody".to_owned(),
        format!("001{person}          01000000000000 K1908-03-02"),
        format!("014{person}0000000000"),
        format!("012{person}G0000000000           Somebody"),
        "999999999999900000005".to_owned(),
    ];
    let bytes = (lines.join("\n") + "\n").into_bytes();
    let extract = Extract::of_lines(&RULES, &bytes);
    for numbers in [NumberRule::Keep, NumberRule::Pseudonym, NumberRule::Drop] {
        let wanted = TestPolicy::new(Policy {
            classes: DATA_CLASSES.map(str::to_owned).into(),
            numbers,
            ..Policy::default()
        });
        let answer = extract.expected(&wanted, &BTreeSet::new()).unwrap();
        assert_eq!(answer.delivery.persons, 1);
        let got = Tenant::new(wanted).deliver(&bytes).unwrap();
        compare::assert_same(&got.delivery, &answer.delivery, "ten zeros");
        let nobody = BTreeSet::from(["0000000000".to_owned()]);
        assert!(in_roster(&got.roster, &nobody).is_empty());
    }
}

/// Only columns that the policy shows can be requested.
#[test]
fn refuses_columns_outside_the_policy() {
    let tenant = Tenant::new(TestPolicy::default());
    let look = |column: &str| {
        tenant.preview(&STATUS.0, |scan| {
            scan.table("person").columns(["pnr", column])
        })
    };
    let got = look("birth_date").unwrap();
    let row = &got.delivery.tables["person"][0];
    let columns: Vec<_> = row.iter().map(|(column, _)| column.as_str()).collect();
    assert_eq!(columns, ["pnr", "birth_date"]);
    for hidden in ["occupation", "current_pnr", "protected", "nothing"] {
        assert!(matches!(look(hidden), Err(Error::Request(_))), "{hidden}");
    }
    let leavers = tenant
        .preview(&STATUS.0, |scan| scan.table("out_of_scope"))
        .unwrap();
    assert!(leavers.delivery.tables.is_empty());
}
