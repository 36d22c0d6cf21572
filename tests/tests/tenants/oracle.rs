//! Tests of the oracle itself: its lists of columns, its rules, and the cases in its extracts.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, panic};

use cprflow::policy::{DATA_CLASSES, LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow_connector::layout::{EVENT_CLASSES, MARK_CLASSES};
use cprflow_tests::layout_data;
use cprflow_tests::oracle::choose::{Facts, is_irregular, key, text, value};
use cprflow_tests::oracle::columns::{CLASSED, CLASSES, RELATIVES, SUBJECTS, class, relative};
use cprflow_tests::oracle::events::{EVENTS, MARKS};
use cprflow_tests::oracle::extract_cases::{TextKind, UNREADABLE_NIGHT, extracts};
use cprflow_tests::oracle::predicate::Predicate;
use cprflow_tests::oracle::protect::Elsewhere;
use cprflow_tests::oracle::{
    Expected, Extract, InjectedBug, TenantDelivery, TestPolicy, compare, refusal,
};
use cprflow_tests::reference_reader::{Row, Value};
use cprflow_tests::rows;

#[test]
fn the_oracle_has_the_classes_of_the_catalog() {
    let mut classed = 0;
    for table in rows::connector().catalog().tables() {
        for column in &table.columns {
            let field = column.field.as_ref();
            let told = field.and_then(|field| field.sensitivity.as_deref());
            assert_eq!(
                class(&table.name, &column.name),
                told,
                "{}.{}",
                table.name,
                column.name
            );
            classed += usize::from(told.is_some());
            assert!(told.is_none_or(|told| DATA_CLASSES.contains(&told)));
        }
    }
    let listed: usize = CLASSED.iter().map(|(_, _, columns)| columns.len()).sum();
    assert_eq!(
        listed, classed,
        "the oracle lists a column that no table has"
    );
}

/// The oracle shares only the types of a policy with the product. Two of its modules ask the product, and one generates
/// persons.
#[test]
fn the_oracle_shares_no_code_with_the_product() {
    let entries = fs::read_dir(cprflow_tests::root().join("tests/src/oracle")).unwrap();
    let mut checked = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["native.rs", "product.rs", "extract_cases.rs"].contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for crate_of_product in ["connector", "delivery", "redact", "transport", "cli"] {
            assert!(
                !text.contains(&format!("cprflow_{crate_of_product}")),
                "{name}"
            );
        }
        for used in text.split("cprflow::").skip(1) {
            assert!(
                used.starts_with("policy::") || used.starts_with("Pnr"),
                "{name}"
            );
        }
        // The lists of the product are constants, the types are not.
        let is_list = |word: &&str| word.contains("CLASSES") || word.contains("TABLES");
        for line in text.lines().filter(|line| line.contains("cprflow::")) {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert_eq!(words.filter(is_list).count(), 0, "{name}");
        }
        checked += 1;
    }
    assert!(checked > 10);
    assert_eq!(CLASSES, DATA_CLASSES);
    let default = ["address", "civil-status", "name", "protection"];
    assert_eq!(Policy::default().classes, default.map(str::to_owned).into());
}

#[test]
fn the_oracle_lists_existing_columns_and_tables() {
    let rules = layout_data::rules();
    let of = |table: &str| rules.values().find(|rule| rule.table == table).unwrap();
    for (table, number, groups) in RELATIVES {
        let field = |column: &str| of(table).fields.iter().find(|f| f.column == column);
        assert_eq!(field(number).unwrap().kind, "pnr");
        for column in groups.iter().copied().flatten() {
            assert!(field(column).is_some(), "{table}.{column}");
            assert!(class(table, column).is_some(), "{table}.{column}");
        }
    }
    // A name or address beside the number of a relative belongs to that relative.
    for rule in rules.values() {
        for field in &rule.fields {
            let of_another = ["spouse_name", "mother_name", "father_name", "guardian_"]
                .iter()
                .any(|start| field.column.starts_with(start));
            if of_another && matches!(class(&rule.table, &field.column), Some("name" | "address")) {
                assert!(relative(&rule.table, &field.column).is_some());
            }
        }
    }
    for (table, class) in SUBJECTS {
        assert!(of(table).fields.len() > 1 && DATA_CLASSES.contains(class));
    }
}

#[test]
fn the_oracle_has_the_event_classes_of_the_connector() {
    for (own, product) in [(&*EVENTS, EVENT_CLASSES), (&*MARKS, MARK_CLASSES)] {
        for (code, disclosed) in own {
            let told = product.iter().find(|event| event.code == code);
            let classes = told.map(|event| event.classes.iter().map(|c| (*c).to_owned()).collect());
            assert_eq!(classes, disclosed.classes, "{code}");
            assert_eq!(
                told.is_some_and(|event| event.places),
                disclosed.is_of_place,
                "{code}"
            );
        }
        let mut codes = product.iter().map(|event| event.code);
        assert!(codes.all(|code| own.contains_key(code)));
    }
    assert_eq!((EVENTS.len(), MARKS.len()), (56, 26));
}

#[test]
fn the_extracts_contain_every_case() {
    let rules = layout_data::rules();
    let nights = extracts(&rules, 250, 1, 14);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut protected_before = BTreeSet::new();
    let mut homes: BTreeMap<String, String> = BTreeMap::new();
    for night in &nights {
        let extract = Extract::of_lines(&rules, &night.bytes);
        let facts = Facts::of(extract.rows(), None, &Elsewhere::default(), None);
        let mut note = |what, times| *seen.entry(what).or_default() += times;
        for row in &extract.rows()["person"] {
            let status = text(row, "status").unwrap_or_default();
            for (code, what) in [
                ("90", "dead"),
                ("80", "emigrated"),
                ("70", "disappeared"),
                ("60", "number changed"),
                ("50", "number deleted"),
                ("30", "number annulled"),
                ("20", "no resident"),
                ("", "no status"),
            ] {
                note(what, usize::from(status == code));
            }
            note(
                "no birth date",
                usize::from(*value(row, "birth_date") == Value::Null),
            );
        }
        let addresses = &extract.rows()["address"];
        let at_home: BTreeSet<_> = addresses.iter().filter_map(key).collect();
        let is_resident = |row: &&Row| text(row, "status") == Some("01");
        let residents = extract.rows()["person"].iter().filter(is_resident);
        let homeless = residents.filter(|row| key(row).is_some_and(|key| !at_home.contains(key)));
        note("resident without an address", homeless.count());
        let unknown = |row: &&Row| text(row, "municipality_code").is_none_or(|code| code == "0000");
        note(
            "address without a municipality",
            addresses.iter().filter(unknown).count(),
        );
        note("two records 001", facts.doubled.len());
        note("unsubscribed", facts.unsubscribed.len());
        note("damaged protection", facts.damaged.len());
        let is_unreadable = facts.has_unknown_protection && night.night == UNREADABLE_NIGHT;
        note("protection without number", usize::from(is_unreadable));
        for row in extract.rows().get("civil_status").into_iter().flatten() {
            let status = text(row, "civil_status");
            let has_spouse = text(row, "spouse_pnr").is_some();
            note("spouse", usize::from(has_spouse && status == Some("G")));
            note(
                "former spouse",
                usize::from(has_spouse && status == Some("F")),
            );
        }
        for table in ["protection", "protection_history"] {
            for row in extract.rows().get(table).into_iter().flatten() {
                let code = text(row, "protection_type");
                note("credit warning", usize::from(code == Some("0005")));
                note(
                    "unreadable type",
                    usize::from(code.is_none_or(|c| c.len() < 4)),
                );
            }
        }
        for row in &extract.rows()["protection"] {
            for column in ["start_date", "deletion_date"] {
                note(
                    "irregular protection",
                    usize::from(is_irregular(row, column)),
                );
            }
        }
        for row in extract.rows().get("mother_address").into_iter().flatten() {
            let odd = is_irregular(row, "protection_start_date");
            note("irregular protection of a mother", usize::from(odd));
        }
        for row in extract.rows().get("event").into_iter().flatten() {
            let code = text(row, "event_code").unwrap_or_default();
            note("unknown event", usize::from(matches!(code, "A99" | "P55")));
            note(
                "event of a place",
                usize::from(matches!(code, "P10" | "A42")),
            );
            let mark = text(row, "derived_mark");
            note("derived mark", usize::from(mark.is_some_and(|m| m != "ZZ")));
            note("unknown mark", usize::from(mark == Some("ZZ")));
            note("A34", usize::from(code == "A34"));
            note("P56", usize::from(code == "P56"));
        }
        for row in &extract.rows()["address"] {
            let (Some(number), Some(code)) = (key(row), text(row, "municipality_code")) else {
                continue;
            };
            let before = homes.insert(number.to_owned(), code.to_owned());
            let moved = before.is_some_and(|before| before != code);
            note("moved", usize::from(moved));
        }
        let without = facts.seen.difference(&facts.delivered).count();
        note("without 001", without);
        let came = facts.protected.difference(&protected_before).count();
        let delivered = |number: &&String| facts.delivered.contains(*number);
        let went = protected_before
            .difference(&facts.protected)
            .filter(delivered);
        note("newly protected", if night.night > 0 { came } else { 0 });
        note("no longer protected", went.count());
        protected_before.extend(facts.protected.clone());
        protected_before
            .retain(|number| facts.protected.contains(number) || !facts.delivered.contains(number));
        for table in [
            "guardianship",
            "guardianship_typed",
            "custody",
            "church",
            "former_pnr",
        ] {
            let rows = extract.rows().get(table).map_or(0, Vec::len);
            note(table, rows);
        }
        for row in extract.rows().values().flatten() {
            if let Value::Map(entries) = value(row, "irregular") {
                note(
                    "tail",
                    usize::from(entries.iter().any(|(key, _)| key == "+")),
                );
            }
        }
        let raw = extract.rows().get("unknown_record").map_or(0, Vec::len);
        note("unknown type", raw);
    }
    for (what, count) in &seen {
        assert!(*count > 0, "no case: {what} ({seen:?})");
    }
    assert!(seen.len() > 35);
}

#[test]
fn tokens_identify_their_person() {
    let rules = layout_data::rules();
    let night = &extracts(&rules, 120, 3, 1)[0];
    let extract = Extract::of_lines(&rules, &night.bytes);
    let mut of_others = 0;
    for (table, column) in [
        ("name", "surname"),
        ("plaintext_address", "standard_address"),
        ("address", "street_name"),
    ] {
        let told = match column {
            "surname" => TextKind::Name,
            _ => TextKind::Address,
        };
        for row in &extract.rows()[table] {
            let token = told.token(key(row).unwrap());
            assert!(text(row, column).is_none_or(|text| text == token));
        }
    }
    for row in &extract.rows()["mother_address"] {
        let mother = text(row, "mother_pnr").unwrap();
        let token = TextKind::Name.token(mother);
        of_others += usize::from(text(row, "addressing_name") == Some(&token));
    }
    assert!(of_others > 10);
}

/// Uses a few lines whose result can be checked by hand.
#[test]
fn the_oracle_applies_the_rules_to_a_few_lines() {
    let rules = layout_data::rules();
    let of = |lines: &[&str]| Extract::of_lines(&rules, (lines.join("\n") + "\n").as_bytes());
    let (a, b, c) = ("0101965058", "0101965066", "0101965074");
    let extract = of(&[
        "00000000000001109012026030220260301",
        &format!("001{a}          01000000000000 K1908-03-02"),
        &format!("002{a}0851"),
        &format!("008{a}Anna"),
        &format!("004{a}00022026-03-032027-01-01"),
        &format!("001{b}          90000000000000 M1908-03-03"),
        &format!("008{b}Bo"),
        &format!("004{b}00012031-01-012026-01-01"),
        &format!("012{b}G{a}           Anna"),
        &format!("008{c}Carl"),
        &format!("099{a}202603021200A34"),
        "999999999999900000010",
    ]);
    let roster: BTreeSet<String> = [b, c].map(str::to_owned).into();
    let with_family = TestPolicy::new(Policy {
        classes: ["civil-status", "family", "name"].map(str::to_owned).into(),
        ..Policy::default()
    });
    let answer = extract.expected(&with_family, &roster).unwrap();
    assert_eq!(answer.choice.chosen, [a, b].map(str::to_owned).into());
    assert_eq!(answer.facts.protected, [b.to_owned()].into());
    assert_eq!((answer.delivery.persons, answer.delivery.entered), (2, 1));
    assert_eq!(answer.roster, [a, b, c].map(str::to_owned).into());
    let names = &answer.delivery.tables["name"];
    assert_eq!(text(&names[0], "given_name"), Some("Anna"));
    assert_eq!((names.len(), text(&names[1], "given_name")), (2, None));
    let event = &answer.delivery.tables["event"][0];
    assert_eq!(text(event, "event_code"), None, "A34 discloses religion");
    let midnight = Value::Micros(20_514 * 24 * 60 * 60 * 1_000_000);
    assert_eq!(*value(event, "registered"), midnight);
    assert!(!answer.delivery.view["event"].contains(&"line".to_owned()));
    assert!(!answer.delivery.view.contains_key("church"));
    let spouse = &answer.delivery.tables["civil_status"][0];
    assert_eq!(text(spouse, "spouse_pnr"), Some(a));
    assert_eq!(
        text(spouse, "spouse_name"),
        None,
        "the row belongs to a protected person"
    );

    let policy = Policy {
        persons: PersonFilter {
            ages: Some((118, 118)),
            ..PersonFilter::default()
        },
        protection: ProtectionRule::Drop,
        leavers: LeaverRule::Last,
        ..Policy::default()
    };
    let answer = extract
        .expected(&TestPolicy::new(policy.clone()), &roster)
        .unwrap();
    assert_eq!(answer.choice.chosen, [a.to_owned()].into());
    assert_eq!(answer.choice.left, [(b.to_owned(), "dead")].into());
    assert_eq!(answer.roster, [a, c].map(str::to_owned).into());
    assert_eq!(answer.delivery.tables["out_of_scope"].len(), 1);
    assert_eq!(
        answer.delivery.tables["person"].len(),
        1,
        "protected persons are dropped"
    );

    let without_day = of(&[&format!("001{a}          01000000000000 K1908-03-02")]);
    assert!(
        without_day
            .expected(&TestPolicy::new(policy), &roster)
            .is_none()
    );
}

/// Each injected bug changes the result of some policy in some night, so the tests can find such a bug.
#[test]
fn every_injected_bug_changes_a_result() {
    let rules = layout_data::rules();
    let extracts: Vec<Extract> = extracts(&rules, 220, 5, 14)
        .iter()
        .map(|night| Extract::of_lines(&rules, &night.bytes))
        .collect();
    let mut policies = Vec::new();
    for protection in [ProtectionRule::Mask, ProtectionRule::Drop] {
        for classes in [
            Policy::default().classes,
            DATA_CLASSES.map(str::to_owned).into(),
        ] {
            let policy = Policy {
                persons: PersonFilter {
                    ages: Some((18, 66)),
                    ..PersonFilter::default()
                },
                classes,
                protection,
                leavers: LeaverRule::Last,
                ..Policy::default()
            };
            let surname = Predicate::IsNull("surname".to_owned(), true);
            policies.push(TestPolicy::new(policy).rows("name", surname));
            policies.push(TestPolicy::new(Policy {
                persons: PersonFilter {
                    municipality_codes: Some(vec!["0851".to_owned(), "0101".to_owned()]),
                    ..PersonFilter::default()
                },
                ..policies[policies.len() - 1].policy.clone()
            }));
        }
    }
    // Half of the nights are after this day.
    policies.push(TestPolicy::new(Policy {
        day: Some("2026-03-06".to_owned()),
        ..policies[0].policy.clone()
    }));
    // Events also select persons without a record 001.
    policies.push(TestPolicy::new(Policy {
        persons: PersonFilter {
            event_codes: Some(["A01", "A13", "A21", "A33"].map(str::to_owned).into()),
            ..PersonFilter::default()
        },
        may_reveal: true,
        ..policies[0].policy.clone()
    }));
    // Events whose marks are hidden, and events that all persons of a place have.
    policies.push(TestPolicy::new(Policy {
        persons: PersonFilter {
            event_codes: Some(["A01", "A05", "A42", "P10"].map(str::to_owned).into()),
            ..PersonFilter::default()
        },
        ..Policy::default()
    }));
    policies.push(TestPolicy::new(Policy {
        classes: DATA_CLASSES.map(str::to_owned).into(),
        numbers: NumberRule::Pseudonym,
        ..Policy::default()
    }));
    let by_event = Predicate::Compare("event_code".to_owned(), "<", Value::Text("B".to_owned()));
    let revealing = Policy {
        may_reveal: true,
        ..Policy::default()
    };
    policies.push(TestPolicy::new(revealing).rows("event", by_event));
    let answers = |wanted: &TestPolicy| {
        let mut roster = BTreeSet::new();
        let answer = |extract: &Extract| {
            let answer = extract.expected(wanted, &roster).unwrap();
            roster = answer.roster.clone();
            answer.delivery
        };
        extracts.iter().map(answer).collect::<Vec<_>>()
    };
    let right: Vec<_> = policies.iter().map(answers).collect();
    for bug in InjectedBug::ALL {
        if bug == InjectedBug::HiddenSelects {
            continue;
        }
        let shows = policies.iter().zip(&right).any(|(wanted, right)| {
            let wanted = TestPolicy {
                bug: Some(bug),
                ..wanted.clone()
            };
            answers(&wanted) != *right
        });
        assert!(shows, "no test would notice {bug:?}");
    }
}

/// A policy is refused if it selects by something that it hides, unless it may reveal that.
#[test]
fn the_oracle_refuses_to_select_by_what_is_hidden() {
    let rules = layout_data::rules();
    let is_refused = |change: &dyn Fn(&mut Policy), rows: Option<(&str, Predicate)>| {
        let mut policy = Policy::default();
        change(&mut policy);
        let mut wanted = TestPolicy::new(policy);
        if let Some((table, predicate)) = rows {
            wanted = wanted.rows(table, predicate);
        }
        let refused = refusal::is_refused(&rules, &wanted);
        wanted.policy.may_reveal = true;
        assert!(!refusal::is_refused(&rules, &wanted));
        wanted.policy.may_reveal = false;
        wanted.bug = Some(InjectedBug::HiddenSelects);
        assert!(!refusal::is_refused(&rules, &wanted));
        refused
    };
    let events = |code: &'static str| {
        move |policy: &mut Policy| policy.persons.event_codes = Some(vec![code.to_owned()])
    };
    let home = |policy: &mut Policy| {
        policy.persons.municipality_codes = Some(vec!["0851".to_owned()]);
    };
    let homeless = |policy: &mut Policy| {
        home(policy);
        policy.classes.remove("address");
    };
    let pseudonym = |policy: &mut Policy| policy.numbers = NumberRule::Pseudonym;
    let nothing = |_: &mut Policy| {};
    let listed = |numbers: NumberRule| {
        move |policy: &mut Policy| {
            policy.persons.numbers = Some(vec!["0101010101".parse().unwrap()]);
            policy.numbers = numbers;
        }
    };
    let by_open_facts = |policy: &mut Policy| {
        policy.persons.status_codes = Some(vec!["70".to_owned()]);
        policy.persons.ages = Some((5, 16));
        policy.classes.clear();
        policy.numbers = NumberRule::Drop;
    };
    let is_null = |column: &str| Predicate::IsNull(column.to_owned(), false);
    let is = |column: &str, value: &str| {
        Predicate::Compare(column.to_owned(), "=", Value::Text(value.to_owned()))
    };
    for (refuses, change, rows) in [
        (false, &events("A01") as &dyn Fn(&mut Policy), None),
        (true, &events("A34"), None),
        (true, &events("P55"), None),
        (false, &home, None),
        (true, &homeless, None),
        (false, &listed(NumberRule::Keep), None),
        (true, &listed(NumberRule::Pseudonym), None),
        (true, &listed(NumberRule::Drop), None),
        (false, &by_open_facts, None),
        (false, &nothing, Some(("person", is_null("status")))),
        (true, &nothing, Some(("person", is_null("occupation")))),
        (false, &nothing, Some(("event", is("event_code", "A01")))),
        (true, &nothing, Some(("event", is("event_code", "P02")))),
        (false, &pseudonym, Some(("person", is_null("pnr")))),
        (true, &pseudonym, Some(("person", is("pnr", "2")))),
    ] {
        let asked = format!("{rows:?}");
        assert_eq!(is_refused(change, rows), refuses, "{asked}");
    }
}

/// The search finds a person who must not be mentioned, in every kind of column.
#[test]
fn the_search_finds_every_forbidden_mention() {
    let rules = layout_data::rules();
    let night = &extracts(&rules, 220, 5, 3)[0];
    let extract = Extract::of_lines(&rules, &night.bytes);
    let mut policy = Policy {
        persons: PersonFilter {
            municipality_codes: Some(vec!["0851".to_owned()]),
            ..PersonFilter::default()
        },
        classes: DATA_CLASSES.map(str::to_owned).into(),
        ..Policy::default()
    };
    let ask = |policy: &Policy| {
        let wanted = TestPolicy::new(policy.clone());
        let answer = extract.expected(&wanted, &BTreeSet::new()).unwrap();
        (wanted, answer)
    };
    let finds = |(wanted, answer): &(TestPolicy, Expected), harm: &dyn Fn(&mut TenantDelivery)| {
        let mut delivery = answer.delivery.clone();
        compare::assert_only_persons_in_scope(&delivery.tables, wanted, answer);
        harm(&mut delivery);
        assert!(delivery != answer.delivery, "the change has no effect");
        let is_found =
            |check: &dyn Fn()| panic::catch_unwind(panic::AssertUnwindSafe(check)).is_err();
        assert!(is_found(&|| compare::assert_same(
            &delivery,
            &answer.delivery,
            "changed"
        )));
        assert!(is_found(&|| compare::assert_only_persons_in_scope(
            &delivery.tables,
            wanted,
            answer
        )));
    };
    let asked = ask(&policy);
    let chosen = &asked.1.choice.chosen;
    let delivered = &asked.1.facts.delivered;
    let outside = delivered.difference(chosen).next().unwrap();
    let protected = chosen
        .intersection(&asked.1.facts.protected)
        .next()
        .unwrap();
    let set = |delivery: &mut TenantDelivery, table: &str, column: &str, value: Value| {
        let row = &mut delivery.tables.get_mut(table).unwrap()[0];
        row.iter_mut().find(|(name, _)| name == column).unwrap().1 = value;
    };
    let text_of = |text: String| Value::Text(text);
    let map_of = |key: &str, text: String| Value::Map(vec![(key.to_owned(), text)]);
    let name = TextKind::Name.token(protected);
    let foreign = TextKind::Address.token(outside);
    finds(&asked, &|delivery| {
        let of_outside = |row: &&Row| key(row) == Some(outside);
        let row = extract.rows()["person"].iter().find(of_outside).unwrap();
        delivery.tables.get_mut("person").unwrap().push(row.clone());
    });
    for (table, column, value) in [
        ("person", "occupation", text_of(format!("ring {outside}."))),
        ("person", "status", text_of(outside.clone())),
        ("name", "surname", text_of(foreign.clone())),
        ("parents", "mother_name", text_of(name.clone())),
        (
            "parents",
            "mother_name",
            text_of(TextKind::Name.unnumbered_relative(protected)),
        ),
        (
            "person",
            "irregular",
            map_of("birth_date", format!("x{outside}y")),
        ),
        ("person", "irregular", map_of("+", name.clone())),
        ("address", "irregular", map_of(&foreign, String::new())),
        (
            "plaintext_address",
            "addressing_name",
            text_of(name.clone()),
        ),
    ] {
        finds(&asked, &|delivery| {
            set(delivery, table, column, value.clone())
        });
    }
    policy.numbers = NumberRule::Pseudonym;
    let asked = ask(&policy);
    for (table, column) in [("person", "pnr"), ("child", "child_pnr")] {
        finds(&asked, &|delivery| {
            set(delivery, table, column, text_of(protected.clone()))
        });
    }
}
