//! The oracle of tenants is right about the columns, and the seasoned nights bring what it is there to tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::panic;

use cprflow::policy::{CLASSES, Leavers, Numbers, Persons, Policy, Protection};
use cprflow_tests::cut::{self, Row, Value};
use cprflow_tests::oracle::choose::{Facts, is_irregular, key, text, value};
use cprflow_tests::oracle::columns::{CLASSED, RELATIVES, SUBJECTS, class, relative};
use cprflow_tests::oracle::predicate::Predicate;
use cprflow_tests::oracle::season::{Told, nights};
use cprflow_tests::oracle::{Answer, Extract, Share, Slip, Wanted, held};
use cprflow_tests::rows;

#[test]
fn the_classes_are_those_of_the_catalog() {
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
            assert!(told.is_none_or(|told| CLASSES.contains(&told)));
        }
    }
    let listed: usize = CLASSED.iter().map(|(_, _, columns)| columns.len()).sum();
    assert_eq!(listed, classed, "a column is listed that no table has");
}

#[test]
fn relatives_and_subjects_are_columns_and_tables() {
    let rules = cut::rules_of_product();
    let of = |table: &str| rules.values().find(|rule| rule.table == table).unwrap();
    for (table, number, groups) in RELATIVES {
        let field = |column: &str| of(table).fields.iter().find(|f| f.column == column);
        assert_eq!(field(number).unwrap().kind, "pnr");
        for column in groups.iter().copied().flatten() {
            assert!(field(column).is_some(), "{table}.{column}");
            assert!(matches!(class(table, column), Some("name" | "address")));
        }
    }
    // Whatever tells a name beside somebody else's number is that somebody's.
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
        assert!(of(table).fields.len() > 1 && CLASSES.contains(class));
    }
}

#[test]
fn the_nights_bring_every_case() {
    let rules = cut::rules_of_product();
    let nights = nights(&rules, 250, 1, 14);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut protected_before = BTreeSet::new();
    let mut homes: BTreeMap<String, String> = BTreeMap::new();
    for night in &nights {
        let extract = Extract::of_lines(&rules, &night.bytes);
        let facts = Facts::of(extract.rows(), None, None);
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
            ] {
                note(what, usize::from(status == code));
            }
            note(
                "no birth date",
                usize::from(*value(row, "birth_date") == Value::Null),
            );
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
        assert!(*count > 0, "nobody: {what} ({seen:?})");
    }
    assert!(seen.len() > 20);
}

#[test]
fn names_are_whose_they_seem() {
    let rules = cut::rules_of_product();
    let night = &nights(&rules, 120, 3, 1)[0];
    let extract = Extract::of_lines(&rules, &night.bytes);
    let mut of_others = 0;
    for (table, column) in [
        ("name", "surname"),
        ("plaintext_address", "standard_address"),
        ("address", "street_name"),
    ] {
        let told = match column {
            "surname" => Told::Name,
            _ => Told::Address,
        };
        for row in &extract.rows()[table] {
            let token = told.token(key(row).unwrap());
            assert!(text(row, column).is_none_or(|text| text == token));
        }
    }
    for row in &extract.rows()["mother_address"] {
        let mother = text(row, "mother_pnr").unwrap();
        let token = Told::Name.token(mother);
        of_others += usize::from(text(row, "addressing_name") == Some(&token));
    }
    assert!(of_others > 10);
}

/// A handful of lines whose answer anybody can work out.
#[test]
fn the_oracle_keeps_to_the_rules_on_a_few_lines() {
    let rules = cut::rules_of_product();
    let of = |lines: &[&str]| Extract::of_lines(&rules, (lines.join("\n") + "\n").as_bytes());
    let (a, b, c) = ("0101965058", "0101965066", "0101965074");
    let extract = of(&[
        "00000000000001109012026030220260301",
        &format!("001{a}          01000000000000 K1908-03-02"),
        &format!("002{a}0851"),
        &format!("008{a}Anna"),
        &format!("004{a}00012026-03-032027-01-01"),
        &format!("001{b}          90000000000000 M1908-03-03"),
        &format!("008{b}Bo"),
        &format!("004{b}00012001-01-012026-00-00"),
        &format!("012{b}G{a}           Anna"),
        &format!("008{c}Carl"),
        &format!("099{a}202603021200A34"),
        "999999999999900000010",
    ]);
    let roster: BTreeSet<String> = [b, c].map(str::to_owned).into();
    let answer = extract.ask(&Wanted::default(), &roster).unwrap();
    assert_eq!(answer.choice.chosen, [a, b].map(str::to_owned).into());
    assert_eq!(answer.facts.protected, [b.to_owned()].into());
    assert_eq!((answer.share.persons, answer.share.entered), (2, 1));
    assert_eq!(answer.roster, [a, b, c].map(str::to_owned).into());
    let names = &answer.share.tables["name"];
    assert_eq!(text(&names[0], "given_name"), Some("Anna"));
    assert_eq!((names.len(), text(&names[1], "given_name")), (2, None));
    assert!(
        !answer.share.tables.contains_key("event"),
        "A34 tells religion"
    );
    assert!(!answer.share.view.contains_key("church"));
    let spouse = &answer.share.tables["civil_status"][0];
    assert_eq!(text(spouse, "spouse_pnr"), Some(a));
    assert_eq!(
        text(spouse, "spouse_name"),
        None,
        "the row is a protected person's"
    );

    let policy = Policy {
        persons: Persons {
            ages: Some((118, 118)),
            ..Persons::default()
        },
        protection: Protection::Drop,
        leavers: Leavers::Last,
        ..Policy::default()
    };
    let answer = extract.ask(&Wanted::new(policy.clone()), &roster).unwrap();
    assert_eq!(answer.choice.chosen, [a.to_owned()].into());
    assert_eq!(answer.choice.left, [(b.to_owned(), "dead")].into());
    assert_eq!(answer.roster, [a, c].map(str::to_owned).into());
    assert_eq!(answer.share.tables["out_of_scope"].len(), 1);
    assert_eq!(
        answer.share.tables["person"].len(),
        1,
        "whoever is protected is dropped"
    );

    let without_day = of(&[&format!("001{a}          01000000000000 K1908-03-02")]);
    assert!(without_day.ask(&Wanted::new(policy), &roster).is_none());
}

/// A rule kept wrongly would be seen: under some policy, in some night, the tenant would get something else.
#[test]
fn every_rule_shows_in_the_nights() {
    let rules = cut::rules_of_product();
    let extracts: Vec<Extract> = nights(&rules, 220, 5, 14)
        .iter()
        .map(|night| Extract::of_lines(&rules, &night.bytes))
        .collect();
    let mut policies = Vec::new();
    for protection in [Protection::Mask, Protection::Drop] {
        for classes in [Policy::default().classes, CLASSES.map(str::to_owned).into()] {
            let policy = Policy {
                persons: Persons {
                    ages: Some((18, 66)),
                    ..Persons::default()
                },
                classes,
                protection,
                leavers: Leavers::Last,
                ..Policy::default()
            };
            let surname = Predicate::IsNull("surname".to_owned(), true);
            policies.push(Wanted::new(policy).rows("name", surname));
            policies.push(Wanted::new(Policy {
                persons: Persons {
                    municipality_codes: Some(vec!["0851".to_owned(), "0101".to_owned()]),
                    ..Persons::default()
                },
                ..policies[policies.len() - 1].policy.clone()
            }));
        }
    }
    // Half of the nights come after that day.
    policies.push(Wanted::new(Policy {
        day: Some("2026-03-06".to_owned()),
        ..policies[0].policy.clone()
    }));
    // Events choose also whoever is not delivered.
    policies.push(Wanted::new(Policy {
        persons: Persons {
            event_codes: Some(["A01", "A13", "A21", "A33"].map(str::to_owned).into()),
            ..Persons::default()
        },
        ..policies[0].policy.clone()
    }));
    let answers = |wanted: &Wanted| {
        let mut roster = BTreeSet::new();
        let answer = |extract: &Extract| {
            let answer = extract.ask(wanted, &roster).unwrap();
            roster = answer.roster.clone();
            answer.share
        };
        extracts.iter().map(answer).collect::<Vec<_>>()
    };
    let right: Vec<_> = policies.iter().map(answers).collect();
    for slip in Slip::ALL {
        let shows = policies.iter().zip(&right).any(|(wanted, right)| {
            let wanted = Wanted {
                slip: Some(slip),
                ..wanted.clone()
            };
            answers(&wanted) != *right
        });
        assert!(shows, "nobody would see {slip:?}");
    }
}

/// Whoever is told of where they must not be is found, wherever it is.
#[test]
fn the_search_finds_what_must_not_be_there() {
    let rules = cut::rules_of_product();
    let night = &nights(&rules, 220, 5, 3)[0];
    let extract = Extract::of_lines(&rules, &night.bytes);
    let mut policy = Policy {
        persons: Persons {
            municipality_codes: Some(vec!["0851".to_owned()]),
            ..Persons::default()
        },
        classes: CLASSES.map(str::to_owned).into(),
        ..Policy::default()
    };
    let ask = |policy: &Policy| {
        let wanted = Wanted::new(policy.clone());
        let answer = extract.ask(&wanted, &BTreeSet::new()).unwrap();
        (wanted, answer)
    };
    let finds = |(wanted, answer): &(Wanted, Answer), harm: &dyn Fn(&mut Share)| {
        let mut share = answer.share.clone();
        held::nobody_else(&share.tables, wanted, answer);
        harm(&mut share);
        assert!(share != answer.share, "nothing was done");
        let is_found =
            |check: &dyn Fn()| panic::catch_unwind(panic::AssertUnwindSafe(check)).is_err();
        assert!(is_found(&|| held::same(&share, &answer.share, "harmed")));
        assert!(is_found(&|| held::nobody_else(
            &share.tables,
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
    let set = |share: &mut Share, table: &str, column: &str, value: Value| {
        let row = &mut share.tables.get_mut(table).unwrap()[0];
        row.iter_mut().find(|(name, _)| name == column).unwrap().1 = value;
    };
    let text_of = |text: String| Value::Text(text);
    let map_of = |key: &str, text: String| Value::Map(vec![(key.to_owned(), text)]);
    let name = Told::Name.token(protected);
    let foreign = Told::Address.token(outside);
    finds(&asked, &|share| {
        let of_outside = |row: &&Row| key(row) == Some(outside);
        let row = extract.rows()["person"].iter().find(of_outside).unwrap();
        share.tables.get_mut("person").unwrap().push(row.clone());
    });
    for (table, column, value) in [
        ("person", "occupation", text_of(format!("ring {outside}."))),
        ("person", "status", text_of(outside.clone())),
        ("name", "surname", text_of(foreign.clone())),
        ("parents", "mother_name", text_of(name.clone())),
        (
            "parents",
            "mother_name",
            text_of(Told::Name.stranger(protected)),
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
        finds(&asked, &|share| set(share, table, column, value.clone()));
    }
    policy.numbers = Numbers::Pseudonym;
    let asked = ask(&policy);
    for (table, column) in [("person", "pnr"), ("child", "child_pnr")] {
        finds(&asked, &|share| {
            set(share, table, column, text_of(protected.clone()))
        });
    }
}
