//! Tests of the tables and columns that a policy shows.

use super::*;

#[test]
fn default_classes_show_these_tables() {
    assert_eq!(
        tables_of(&policy()),
        [
            "person",
            "address",
            "plaintext_address",
            "protection",
            "emigration",
            "contact_address",
            "name",
            "birth_registration",
            "citizenship",
            "civil_status",
            "separation",
            "address_history",
            "emigration_history",
            "name_history",
            "citizenship_history",
            "protection_history",
            "address_id",
            "event",
            "subscription_receipt",
            OUT_OF_SCOPE,
        ]
    );
    let person = columns_of(&policy(), "person");
    assert!(!person.contains(&"current_pnr") && !person.contains(&"occupation"));
    assert!(person.ends_with(&[IRREGULAR]));
    assert_eq!(
        columns_of(&policy(), OUT_OF_SCOPE),
        ["pnr", "reason", "date"]
    );
}

/// Each class alone shows the tables without a class and those of that class.
#[test]
fn hides_tables_whose_subject_is_hidden() {
    let only = |classes: &[&str]| {
        let policy = Policy {
            classes: names(classes),
            ..policy()
        };
        tables_of(&policy)
    };
    let none = only(&[]);
    let more = |class: &str| {
        let mut tables = only(&[class]);
        tables.retain(|table| !none.contains(table));
        tables
    };
    assert_eq!(
        none,
        [
            "person",
            "emigration",
            "birth_registration",
            "citizenship",
            "emigration_history",
            "citizenship_history",
            "event",
            "subscription_receipt",
            OUT_OF_SCOPE,
        ]
    );
    assert_eq!(more("religion"), ["church", "church_history"]);
    assert_eq!(more("civil-status"), ["civil_status", "separation"]);
    let history = ["civil_status_history", "separation_history"];
    assert_eq!(more("civil-status-history"), history);
    assert_eq!(
        more("economic"),
        ["credit_warning_history", "credit_warning"]
    );
    assert_eq!(more("protection"), ["protection", "protection_history"]);
    let of_family = ["child", "parents", "custody", "shared_residence"];
    assert_eq!(more("family"), of_family);
    assert_eq!(more("franchise"), ["franchise"]);
    assert_eq!(more("identity"), ["former_pnr", "person_id"]);
    assert_eq!(
        more("social"),
        [
            "disappearance",
            "guardianship",
            "municipal_condition",
            "relocation_order",
            "disappearance_history",
            "guardianship_typed",
        ]
    );
    assert_eq!(more("free-text"), ["note"]);
    assert_eq!(more("name"), ["plaintext_address", "name", "name_history"]);
    // The dates of former statuses are shown without the names.
    let columns = columns_of(
        &Policy {
            classes: names(&["civil-status-history"]),
            ..policy()
        },
        "civil_status_history",
    );
    assert!(columns.contains(&"civil_status") && !columns.contains(&"spouse_name"));
}

#[test]
fn an_open_policy_shows_everything() {
    let mut expected: Vec<_> = all_tables().map(|table| table.name()).collect();
    expected.retain(|name| !["delivery_start", "delivery_end"].contains(name));
    expected.push(OUT_OF_SCOPE);
    assert_eq!(tables_of(&open()), expected);
    for table in all_tables() {
        let TableId::Layout(layout) = table else {
            continue;
        };
        if layout.is_keyed() {
            let mut columns: Vec<_> = table.columns().iter().map(|c| c.name()).collect();
            columns.insert(columns.len() - 2, PROTECTED);
            assert_eq!(columns_of(&open(), table.name()), columns);
        }
    }
}

/// Record numbers show how many rows are hidden, and join the tables of two policies.
#[test]
fn shows_record_numbers_only_if_nothing_is_hidden() {
    for table in open().view().unwrap().tables {
        assert_eq!(
            table.columns.contains(&ColumnId::Line),
            table.id != TableId::OutOfScope
        );
    }
    let by = |persons: PersonFilter| Policy { persons, ..open() };
    let without = |hidden: &str| Policy {
        classes: open().classes.into_iter().filter(|c| c != hidden).collect(),
        ..open()
    };
    let mut narrower: Vec<Policy> = class_names().map(without).collect();
    narrower.extend([
        policy(),
        Policy {
            protection: ProtectionRule::Mask,
            ..open()
        },
        Policy {
            protection: ProtectionRule::Drop,
            ..open()
        },
        Policy {
            numbers: NumberRule::Pseudonym,
            ..open()
        },
        Policy {
            numbers: NumberRule::Drop,
            ..open()
        },
        Policy {
            tables: Some(names(&["person", "name"])),
            ..open()
        },
        Policy {
            columns: vec![("person".to_owned(), names(&["pnr", "status"]))],
            ..open()
        },
        Policy {
            rows: vec![("person".to_owned(), "status = '01'".to_owned())],
            ..open()
        },
        by(PersonFilter {
            municipality_codes: Some(names(&["0851"])),
            ..PersonFilter::default()
        }),
        by(PersonFilter {
            status_codes: Some(names(&["01"])),
            ..PersonFilter::default()
        }),
        by(PersonFilter {
            event_codes: Some(names(&["A01"])),
            ..PersonFilter::default()
        }),
        by(PersonFilter {
            numbers: Some(names(&["0101010010"])),
            ..PersonFilter::default()
        }),
        by(PersonFilter {
            ages: Some(AgeRange {
                youngest: 0,
                oldest: 200,
            }),
            ..PersonFilter::default()
        }),
    ]);
    for policy in narrower {
        for table in policy.view().unwrap().tables {
            assert!(!table.columns.contains(&ColumnId::Line), "{policy:?}");
        }
    }
}

/// Unparsed lines are shown only if nothing is hidden.
#[test]
fn shows_unparsed_lines_only_under_an_open_policy() {
    let narrower = [
        Policy {
            classes: open().classes.into_iter().skip(1).collect(),
            ..open()
        },
        Policy {
            protection: ProtectionRule::Mask,
            ..open()
        },
        Policy {
            protection: ProtectionRule::Drop,
            ..open()
        },
        Policy {
            numbers: NumberRule::Pseudonym,
            ..open()
        },
        Policy {
            columns: vec![("person".to_owned(), names(&["pnr"]))],
            ..open()
        },
        Policy {
            rows: vec![("person".to_owned(), "status > '00'".to_owned())],
            ..open()
        },
        Policy {
            persons: PersonFilter {
                ages: Some(AgeRange {
                    youngest: 0,
                    oldest: 200,
                }),
                ..PersonFilter::default()
            },
            ..open()
        },
    ];
    for policy in narrower {
        let tables = tables_of(&policy);
        assert!(!tables.contains(&"unknown_record"), "{policy:?}");
        assert!(!tables.contains(&"rejected_record"), "{policy:?}");
        let named = Policy {
            tables: Some(names(&["unknown_record"])),
            ..policy
        };
        assert!(refused(&named).contains("only if a policy hides nothing"));
    }
}

#[test]
fn each_table_that_ties_numbers_has_a_class() {
    let tables = layout::tables().iter().filter(|table| table.ties_numbers);
    let tables: Vec<_> = tables.map(|table| table.name).collect();
    assert_eq!(NUMBER_TABLES.map(|(_, table)| table).as_slice(), tables);
    let all = names(&NUMBER_TABLES.map(|(class, _)| class));
    assert!(all.iter().all(|class| !open().classes.contains(class)));
}

#[test]
fn hides_tables_that_tie_numbers_unless_named() {
    let ties = |policy: &Policy| {
        let mut tables = tables_of(policy);
        tables.retain(|name| ["former_pnr", "person_id", "input_error"].contains(name));
        tables
    };
    let all = ["former_pnr", "person_id", "input_error"];
    let all_classes = ["former-pnr", "person-id", "input-error"];
    assert_eq!(ties(&open()), all);
    assert!(ties(&policy()).is_empty());
    for numbers in [NumberRule::Pseudonym, NumberRule::Drop] {
        let policy = Policy { numbers, ..open() };
        assert!(ties(&policy).is_empty());
        let asked_for = |classes: &[&str]| Policy {
            classes: with_classes(&policy, classes),
            ..policy.clone()
        };
        match numbers {
            NumberRule::Drop => {
                assert_eq!(ties(&asked_for(&all_classes[1..])), all[1..]);
                assert!(refused(&asked_for(&all_classes)).contains("Leave the class out"));
            }
            _ => assert_eq!(ties(&asked_for(&all_classes)), all),
        }
    }
    // Input errors do not belong to a person, so a policy for some persons hides them unless its classes name them.
    let of_some = Policy {
        persons: PersonFilter {
            status_codes: Some(names(&["01"])),
            ..PersonFilter::default()
        },
        ..open()
    };
    assert_eq!(ties(&of_some), ["former_pnr", "person_id"]);
    let dropping = Policy {
        protection: ProtectionRule::Drop,
        ..open()
    };
    assert_eq!(ties(&dropping), ["former_pnr", "person_id"]);
    let asked_for = Policy {
        classes: with_classes(&of_some, &["input-error"]),
        ..of_some
    };
    assert_eq!(ties(&asked_for), all);
}

#[test]
fn dropping_numbers_hides_every_number_column() {
    let view = Policy {
        numbers: NumberRule::Drop,
        ..open()
    }
    .view()
    .unwrap();
    assert!(view.table("child").is_none());
    for table in &view.tables {
        let is_number = |column: &&ColumnId| match column {
            ColumnId::Field(field) => field.kind == layout::Kind::Pnr,
            column => **column == ColumnId::Number,
        };
        assert_eq!(table.columns.iter().find(is_number), None);
    }
}

#[test]
fn refuses_unknown_and_hidden_names() {
    let with_tables = |tables: &[&str]| Policy {
        tables: Some(names(tables)),
        ..policy()
    };
    let with_columns = |table: &str, columns: &[&str]| Policy {
        columns: vec![(table.to_owned(), names(columns))],
        ..policy()
    };
    let with_rows = |table: &str, rows: &str| Policy {
        rows: vec![(table.to_owned(), rows.to_owned())],
        ..policy()
    };
    for (policy, expected) in [
        (
            with_tables(&["persons"]),
            "there is no table \"persons\"; `cprflow tables` lists them",
        ),
        (
            with_tables(&["church"]),
            "hides its class \"religion\": allow the class or leave the table out",
        ),
        (
            with_tables(&["civil_status_history"]),
            "hides its class \"civil-status-history\"",
        ),
        (with_tables(&["person_id"]), "hides its class \"identity\""),
        (
            with_tables(&["delivery_end"]),
            "its records do not belong to a person",
        ),
        (
            with_columns("person", &["age"]),
            "has no column \"age\"; `cprflow schema person` lists them",
        ),
        (
            with_columns("person", &["occupation"]),
            "hides its class \"free-text\": allow the class or leave the column",
        ),
        (
            with_columns("person", &["protected"]),
            "has no column \"protected\"",
        ),
        (
            with_columns("person", &["pnr", "line"]),
            "names the column \"line\" of the table \"person\" but hides it: gaps between record numbers",
        ),
        (
            with_rows("person", "status = '01' or not (line > 1)"),
            "rows of the table \"person\" names the column \"line\"",
        ),
        (
            with_columns("person", &[]),
            "lists no column of the table \"person\"",
        ),
        (
            with_columns("church", &["pnr"]),
            "hides its class \"religion\"",
        ),
        (
            with_columns("out_of_scope", &["pnr"]),
            "cannot have a list of columns",
        ),
        (
            with_rows("person", "status == '01'"),
            "rows of the table \"person\" cannot be read: at character 9",
        ),
        (
            with_rows("person", "name = 'x'"),
            "there is no column \"name\"",
        ),
        (
            with_rows("church", "church_relation = 'F'"),
            "hides its class \"religion\"",
        ),
        (
            Policy {
                tables: Some(names(&["person"])),
                ..with_rows("address", "floor = '01'")
            },
            "which is not in its list of tables",
        ),
        (
            Policy {
                rows: vec![("person".to_owned(), "status = '01'".to_owned()); 2],
                ..policy()
            },
            "two entries of columns or of rows for the table \"person\"",
        ),
        (
            Policy {
                numbers: NumberRule::Drop,
                classes: with_classes(&policy(), &["family"]),
                ..with_columns("parents", &["mother_pnr"])
            },
            "it holds person numbers, which the policy drops",
        ),
        (
            Policy {
                numbers: NumberRule::Drop,
                classes: with_classes(&policy(), &["family"]),
                ..with_tables(&["child"])
            },
            "it has only person numbers, which the policy drops",
        ),
        (
            Policy {
                classes: names(&["names"]),
                ..policy()
            },
            "there is no class \"names\"; the classes are address, civil-status, civil-status-history, economic, family, franchise, free-text, identity, name, \
             protection, religion, social, former-pnr, person-id, input-error",
        ),
        (
            Policy {
                classes: names(&["person"]),
                ..policy()
            },
            "there is no class \"person\"",
        ),
        (
            Policy {
                day: Some("15/6 2026".to_owned()),
                ..policy()
            },
            "is not a date of the form YYYY-MM-DD",
        ),
        (
            Policy {
                persons: PersonFilter {
                    event_codes: Some(names(&["A01", "A34"])),
                    ..PersonFilter::default()
                },
                ..policy()
            },
            "the event A34, which is of the classes religion",
        ),
    ] {
        let message = refused(&policy);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn shows_only_the_listed_columns() {
    let policy = Policy {
        columns: vec![("person".to_owned(), names(&["birth_date", "pnr"]))],
        ..policy()
    };
    assert_eq!(columns_of(&policy, "person"), ["pnr", "birth_date"]);
    let including = Policy {
        protection: ProtectionRule::Include,
        columns: vec![("person".to_owned(), names(&["irregular", "pnr"]))],
        ..policy
    };
    assert_eq!(
        columns_of(&including, "person"),
        ["pnr", "protected", "irregular"]
    );
}
