//! Tests of the rows and values that a scan under a policy returns.

use super::*;

#[test]
fn irregular_shows_nothing_hidden() {
    let odd = |tail: &str| {
        let fields = [
            ("pnr", "0101010010"),
            ("civil_status", "G"),
            ("spouse_pnr", "0000000000"),
            ("spouse_birth_date", "1961-00-00"),
            ("civil_status_start", "202000001200"),
        ];
        let line = record("civil_status", &fields);
        format!("{:95}{tail}\n", line.trim_end())
    };
    let extract = [
        record("person", &[("pnr", "0101010010"), ("status", "01")]),
        odd("TAIL"),
    ]
    .concat();
    let of = |policy: Policy| {
        let mut cells = cells(&policy, &extract);
        cells.retain(|cell| cell.starts_with("civil_status 2 irregular "));
        cells
            .pop()
            .map(|cell| cell["civil_status 2 irregular ".len()..].to_owned())
    };
    let all = "spouse_pnr=0000000000;spouse_birth_date=1961-00-00;civil_status_start=202000001200";
    assert_eq!(of(open()), Some(format!("{all};+=TAIL")));
    // A policy that masks shows no bytes after the known layout.
    assert_eq!(
        of(Policy {
            protection: ProtectionRule::Mask,
            ..open()
        })
        .unwrap(),
        all
    );
    let pseudonymous = Policy {
        numbers: NumberRule::Pseudonym,
        ..open()
    };
    // Twelve digits can hold a person number.
    let without_numbers = "spouse_birth_date=1961-00-00;civil_status_start=[number]";
    assert_eq!(of(pseudonymous).unwrap(), without_numbers);
    assert_eq!(
        of(Policy {
            numbers: NumberRule::Drop,
            ..open()
        })
        .unwrap(),
        without_numbers
    );
    let narrow = Policy {
        columns: vec![(
            "civil_status".to_owned(),
            names(&["pnr", "civil_status_start", "irregular"]),
        )],
        ..open()
    };
    assert_eq!(of(narrow).unwrap(), "civil_status_start=202000001200");
    let some_rows = Policy {
        rows: vec![("civil_status".to_owned(), "civil_status = 'G'".to_owned())],
        ..open()
    };
    assert_eq!(of(some_rows).unwrap(), all);
}

/// The content of a tail is unknown: a policy that hides anything shows none.
#[test]
fn shows_tails_only_if_nothing_is_hidden() {
    let extract = [
        record("person", &[("pnr", "0101010010"), ("status", "01")]),
        format!("{:26}TAIL\n", "0070101010010202601011200"),
    ]
    .concat();
    let shows_tail = |policy: Policy| {
        let cells = cells(&policy, &extract);
        assert!(speaks_of(&cells, "disappearance 2 pnr"));
        speaks_of(&cells, "disappearance 2 irregular")
    };
    assert!(shows_tail(open()));
    let of_some = PersonFilter {
        numbers: Some(names(&["0101010010"])),
        ..PersonFilter::default()
    };
    assert!(shows_tail(Policy {
        persons: of_some,
        ..open()
    }));
    for narrower in [
        Policy {
            classes: names(&["social"]),
            ..open()
        },
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
            tables: Some(names(&["person", "disappearance"])),
            ..open()
        },
        Policy {
            columns: vec![("person".to_owned(), names(&["pnr"]))],
            ..open()
        },
        Policy {
            rows: vec![("person".to_owned(), "status = '09'".to_owned())],
            ..open()
        },
    ] {
        assert!(!shows_tail(narrower.clone()), "{narrower:?}");
    }
}

#[test]
fn evaluates_rows_masked_and_requests_on_visible_columns() {
    let rows = Policy {
        rows: vec![
            (
                "name".to_owned(),
                "given_name in ('Anna', 'Bodil', 'Clara')".to_owned(),
            ),
            (
                "person".to_owned(),
                "occupation = 'Smith' and pnr > '0101010010'".to_owned(),
            ),
        ],
        persons: PersonFilter {
            numbers: Some(names(&["0101010010", "0101010029"])),
            ..PersonFilter::default()
        },
        classes: with_classes(&policy(), &["free-text"]),
        ..policy()
    };
    let shown = cells(&rows, &family());
    // The presence of the protected person's row would reveal the name or the occupation.
    assert!(has(&shown, "name 3 given_name Anna") && !speaks_of(&shown, "name 6"));
    assert!(!speaks_of(&shown, "person"));
    let including = Policy {
        protection: ProtectionRule::Include,
        ..rows.clone()
    };
    let shown = cells(&including, &family());
    assert!(has(&shown, "name 3 given_name Anna") && has(&shown, "name 6 given_name Bodil"));
    assert!(has(&shown, "person 5 status 01") && !speaks_of(&shown, "person 2"));
    // The row of a relative does not reveal the relative's name either, not even for a negated predicate.
    let of_spouses = |predicate: &str| {
        let policy = Policy {
            rows: vec![("civil_status".to_owned(), predicate.to_owned())],
            ..policy()
        };
        let mut cells = cells(&policy, &family());
        cells.retain(|cell| cell.starts_with("civil_status") && cell.contains(" pnr "));
        cells
    };
    let unmasked = ["civil_status 12 pnr 0101010010"];
    assert_eq!(
        of_spouses("spouse_name in ('Anna', 'Bodil', 'Clara', 'Dorte')"),
        unmasked
    );
    assert_eq!(of_spouses("spouse_name <> 'Bodil'"), unmasked);
    assert_eq!(of_spouses("not spouse_name = 'Bodil'"), unmasked);
    let asked = |predicate: &str| {
        let options = ScanOptions {
            tables: Some(vec![TableRequest {
                name: "name".to_owned(),
                predicate: Some(predicate.to_owned()),
                ..TableRequest::default()
            }]),
            ..ScanOptions::default()
        };
        let mut lines: Vec<_> = cells_of(&policy(), &family(), &options);
        lines.retain(|cell| cell.contains(" pnr "));
        lines
    };
    assert_eq!(asked("given_name = 'Anna'"), ["name 3 pnr 0101010010"]);
    assert!(asked("given_name = 'Bodil'").is_empty());
    assert_eq!(asked("given_name is null"), ["name 6 pnr 0101010029"]);
}

#[test]
fn refuses_requests_for_hidden_columns() {
    let request =
        |policy: &Policy, name: &str, columns: Option<Vec<String>>, predicate: Option<&str>| {
            let mut selection = Selection::open_policy(policy.clone(), None).unwrap();
            selection.finish().unwrap();
            let options = ScanOptions {
                tables: Some(vec![TableRequest {
                    name: name.to_owned(),
                    columns,
                    predicate: predicate.map(str::to_owned),
                }]),
                ..ScanOptions::default()
            };
            match Scan::open(&options, Some(&selection)) {
                Err(Error::InvalidRequest(message)) => message,
                other => panic!("{other:?}"),
            }
        };
    let message = request(&policy(), "church", None, None);
    assert!(
        message.contains("the policy hides the table \"church\""),
        "{message}"
    );
    let message = request(&policy(), "person", Some(names(&["occupation"])), None);
    assert!(
        message.contains("the policy hides the column \"occupation\""),
        "{message}"
    );
    let message = request(&policy(), "person", None, Some("occupation = 'Smith'"));
    assert!(
        message.contains("there is no column \"occupation\""),
        "{message}"
    );
    let pseudonymous = Policy {
        numbers: NumberRule::Pseudonym,
        ..policy()
    };
    let message = request(&pseudonymous, "person", None, Some("pnr = '0101010010'"));
    assert!(message.contains("shows pseudonyms"), "{message}");
}

#[test]
fn a_policy_scan_does_not_depend_on_block_sizes() {
    let batches = |block: usize| {
        let mut selection = Selection::open_policy(policy(), None).unwrap();
        for piece in family().as_bytes().chunks(block) {
            selection.push(piece.to_vec()).unwrap();
        }
        selection.finish().unwrap();
        let mut scan = Scan::open(&ScanOptions::default(), Some(&selection)).unwrap();
        let mut batches = Vec::new();
        for piece in family().as_bytes().chunks(block) {
            scan.push(piece.to_vec()).unwrap();
            while let Some(rows) = scan.next().unwrap() {
                batches.push((rows.table.name(), rows.batch));
            }
        }
        scan.finish().unwrap();
        while let Some(rows) = scan.next().unwrap() {
            batches.push((rows.table.name(), rows.batch));
        }
        (batches, selection.roster().unwrap())
    };
    let whole = batches(1 << 20);
    for block in [1, 7, 64] {
        assert_eq!(batches(block), whole);
    }
}

/// Where numbers are not kept, they are removed from raw texts, from texts, and for conditions.
#[test]
fn removes_numbers_from_texts_where_numbers_are_not_kept() {
    let extract = [
        record(
            "person",
            &[
                ("pnr", "0101010010"),
                ("status", "01"),
                ("key_constant", "010180-1234 x"),
                ("occupation", "Smith"),
            ],
        ),
        record(
            "custody",
            &[
                ("pnr", "0101010010"),
                ("start_date", "0101801234"),
                ("deletion_date", "2020-00-00"),
            ],
        ),
        record(
            "note",
            &[("pnr", "0101010010"), ("note_text", "child 0101801234")],
        ),
        record(
            "guardianship_typed",
            &[
                ("pnr", "0101010010"),
                ("guardianship_type", "0101801234"),
                ("guardian_name", "0101 80 1234 Eva"),
            ],
        ),
        record(
            "address_id",
            &[
                ("pnr", "0101010010"),
                ("address_uuid", "01018012-3400-0000-0000-000000000000"),
            ],
        ),
        record(
            "address_id",
            &[("pnr", "0101010010"), ("address_uuid", "x 0101801234")],
        ),
    ]
    .concat();
    for numbers in [NumberRule::Pseudonym, NumberRule::Drop] {
        let cells = cells(&Policy { numbers, ..open() }, &extract);
        for cell in [
            "person 1 key_constant [number] x",
            "person 1 occupation Smith",
            "note 3 note_text child [number]",
            "guardianship_typed 4 guardianship_type [number]",
            "guardianship_typed 4 guardian_name [number] Eva",
            "address_id 5 address_uuid 01018012-3400-0000-0000-000000000000",
        ] {
            assert!(has(&cells, cell), "{cell} {cells:?}");
        }
        // Values that their columns cannot have stand in the wrong place, so nothing else of the row is shown.
        for table in ["custody 2", "address_id 6"] {
            let mut row: Vec<&String> = cells.iter().filter(|c| c.starts_with(table)).collect();
            row.retain(|cell| {
                ![" pnr ", " protected "]
                    .iter()
                    .any(|name| cell.contains(name))
            });
            assert!(row.is_empty(), "{row:?}");
        }
    }
    let kept = cells(&open(), &extract);
    assert!(has(&kept, "person 1 key_constant 010180-1234 x"));
    assert!(has(&kept, "address_id 6 address_uuid x 0101801234"));
    assert!(has(
        &kept,
        "custody 2 irregular start_date=0101801234;deletion_date=2020-00-00"
    ));
    // A condition cannot find the number.
    let asked = |numbers, predicate: &str| {
        let options = ScanOptions {
            tables: Some(vec![TableRequest {
                name: "person".to_owned(),
                columns: Some(names(&["status"])),
                predicate: Some(predicate.to_owned()),
            }]),
            ..ScanOptions::default()
        };
        cells_of(&Policy { numbers, ..open() }, &extract, &options).len()
    };
    let predicate = "key_constant = '010180-1234 x'";
    assert_eq!(asked(NumberRule::Keep, predicate), 1);
    assert_eq!(asked(NumberRule::Pseudonym, predicate), 0);
    assert_eq!(asked(NumberRule::Drop, "key_constant > '0'"), 0);
    assert_eq!(asked(NumberRule::Drop, "occupation = 'Smith'"), 1);
}
