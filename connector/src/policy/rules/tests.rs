use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;

use super::super::*;
use super::*;
use crate::schema::{ColumnId, IRREGULAR, LINE, OUT_OF_SCOPE, PROTECTED, all_tables};
use crate::{AgeRange, Scan, ScanOptions, Selection, TableRequest};

const DEFAULT_CLASSES: [&str; 4] = ["address", "civil-status", "name", "protection"];

fn policy() -> Policy {
    Policy {
        classes: DEFAULT_CLASSES.map(str::to_owned).into(),
        day: Some("2026-06-15".to_owned()),
        ..Policy::default()
    }
}

fn open() -> Policy {
    Policy {
        day: Some("2026-06-15".to_owned()),
        ..Policy::open()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn tables_of(policy: &Policy) -> Vec<&'static str> {
    let tables = policy.view().unwrap().tables;
    tables.iter().map(|table| table.id.name()).collect()
}

fn columns_of(policy: &Policy, table: &str) -> Vec<&'static str> {
    let view = policy.view().unwrap();
    let table = view.table(table).unwrap_or_else(|| panic!("no {table}"));
    table.columns.iter().map(|column| column.name()).collect()
}

fn refused(policy: &Policy) -> String {
    match policy.view() {
        Err(Error::InvalidRequest(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// A record of that table, trimmed, from some of its fields.
fn record(table: &str, fields: &[(&str, &str)]) -> String {
    let table = layout::by_name(table).unwrap();
    let mut record = vec![b' '; table.record_length()];
    record[..3].copy_from_slice(table.record_type.as_bytes());
    for (name, text) in fields {
        let column = table.column(name).unwrap();
        record[column.start()..][..text.len()].copy_from_slice(text.as_bytes());
    }
    let text = String::from_utf8(record).unwrap();
    format!("{}\n", text.trim_end())
}

/// All cells of a scan by that policy, as `table line column value`, nulls left out.
fn cells(policy: &Policy, extract: &str) -> Vec<String> {
    cells_of(policy, extract, &ScanOptions::default())
}

fn cells_of(policy: &Policy, extract: &str, options: &ScanOptions) -> Vec<String> {
    let mut selection = Selection::open_policy(policy.clone(), None).unwrap();
    selection.push(extract.as_bytes().to_vec()).unwrap();
    selection.finish().unwrap();
    let mut scan = Scan::open(options, Some(&selection)).unwrap();
    scan.push(extract.as_bytes().to_vec()).unwrap();
    scan.finish().unwrap();
    let mut cells = Vec::new();
    while let Some(rows) = scan.next().unwrap() {
        for (field, column) in rows
            .batch
            .schema()
            .fields()
            .iter()
            .zip(rows.batch.columns())
        {
            for row in 0..rows.batch.num_rows() {
                if let Some(value) = value(column, row) {
                    let line = line(&rows.batch, row);
                    cells.push(format!(
                        "{} {line} {} {value}",
                        rows.table.name(),
                        field.name()
                    ));
                }
            }
        }
    }
    cells
}

fn line(batch: &RecordBatch, row: usize) -> i64 {
    let line = batch.column_by_name(LINE);
    line.map_or(0, |line| {
        line.as_primitive::<arrow::datatypes::Int64Type>()
            .value(row)
    })
}

fn value(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let texts = |place: usize| entries.column(place).as_string::<i32>().clone();
            let (keys, values) = (texts(0), texts(1));
            let pairs = keys.iter().zip(&values);
            let pairs: Vec<_> = pairs
                .map(|(k, v)| format!("{}={}", k.unwrap(), v.unwrap()))
                .collect();
            pairs.join(";")
        }
        _ => "…".to_owned(),
    })
}

fn has(cells: &[String], cell: &str) -> bool {
    cells.iter().any(|one| one == cell)
}

fn speaks_of(cells: &[String], beginning: &str) -> bool {
    cells.iter().any(|one| one.starts_with(beginning))
}

#[test]
fn what_is_left_without_words_to_the_contrary() {
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
            "child",
            "parents",
            "custody",
            "franchise",
            "address_history",
            "emigration_history",
            "name_history",
            "citizenship_history",
            "mother_address",
            "father_address",
            "child_address",
            "protection_history",
            "shared_residence",
            "address_id",
            "event",
            "subscription_receipt",
            OUT_OF_SCOPE,
        ]
    );
    let person = columns_of(&policy(), "person");
    assert!(!person.contains(&"current_pnr") && !person.contains(&"occupation"));
    assert!(person.ends_with(&[IRREGULAR, LINE]));
    assert_eq!(
        columns_of(&policy(), OUT_OF_SCOPE),
        ["pnr", "reason", "date"]
    );
}

/// Each class alone, which leaves the tables of no class and those that need it.
#[test]
fn a_table_whose_subject_is_hidden_is_not_there() {
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
            "child",
            "parents",
            "custody",
            "franchise",
            "emigration_history",
            "citizenship_history",
            "shared_residence",
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
    assert_eq!(
        more("protection"),
        [
            "protection",
            "mother_address",
            "father_address",
            "child_address",
            "protection_history"
        ]
    );
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
    assert_eq!(
        more("name"),
        [
            "plaintext_address",
            "name",
            "name_history",
            "mother_address",
            "father_address",
            "child_address"
        ]
    );
    // Former statuses with their dates, and without the names that came with them.
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
fn everything_of_everybody_is_everything() {
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

/// Lines as they stand are there only where nothing is hidden.
#[test]
fn raw_lines_need_everything() {
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
            rows: vec![("person".to_owned(), "line > 0".to_owned())],
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
        assert!(refused(&named).contains("where a policy hides nothing"));
    }
}

#[test]
fn tables_that_tie_numbers() {
    let ties = |policy: &Policy| {
        let mut tables = tables_of(policy);
        tables.retain(|name| ["former_pnr", "person_id", "input_error"].contains(name));
        tables
    };
    let all = ["former_pnr", "person_id", "input_error"];
    assert_eq!(ties(&open()), all);
    assert!(ties(&policy()).is_empty());
    for numbers in [NumberRule::Pseudonym, NumberRule::Drop] {
        let policy = Policy { numbers, ..open() };
        assert!(ties(&policy).is_empty());
        let asked_for = Policy {
            also: names(&all),
            ..policy
        };
        match numbers {
            NumberRule::Drop => assert_eq!(ties(&asked_for), ["person_id", "input_error"]),
            _ => assert_eq!(ties(&asked_for), all),
        }
    }
    // Input errors are nobody's: not for who may see some persons only, unless asked for.
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
        also: names(&["input_error"]),
        ..of_some
    };
    assert_eq!(ties(&asked_for), all);
}

#[test]
fn without_numbers_no_column_holds_one() {
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
fn names_that_do_not_fit_are_errors() {
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
        (with_tables(&["delivery_end"]), "its record is nobody's"),
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
            with_columns("person", &[]),
            "no column of the table \"person\" is listed",
        ),
        (
            with_columns("church", &["pnr"]),
            "hides its class \"religion\"",
        ),
        (
            with_columns("out_of_scope", &["pnr"]),
            "there whole or not at all",
        ),
        (
            with_rows("person", "status == '01'"),
            "the rows of the table \"person\": at character 9",
        ),
        (
            with_rows("person", "name = 'x'"),
            "there is no column \"name\"",
        ),
        (
            with_rows("church", "line > 1"),
            "hides its class \"religion\"",
        ),
        (
            Policy {
                tables: Some(names(&["person"])),
                ..with_rows("address", "line > 1")
            },
            "which is not in its list of tables",
        ),
        (
            Policy {
                rows: vec![("person".to_owned(), "line > 1".to_owned()); 2],
                ..policy()
            },
            "says twice what it lets through of the table \"person\"",
        ),
        (
            Policy {
                numbers: NumberRule::Drop,
                ..with_columns("parents", &["mother_pnr"])
            },
            "it holds person numbers, and the policy drops them",
        ),
        (
            Policy {
                numbers: NumberRule::Drop,
                ..with_tables(&["child"])
            },
            "it has only person numbers, and the policy drops them",
        ),
        (
            Policy {
                classes: names(&["names"]),
                ..policy()
            },
            "there is no class \"names\"; the classes are address, civil-status, economic, free-text, identity, name, \
             protection, religion, social, civil-status-history",
        ),
        (
            Policy {
                also: names(&["person"]),
                ..policy()
            },
            "\"also\" can name former_pnr, person_id, input_error, not \"person\"",
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
            "the event A34, which tells of church membership",
        ),
    ] {
        let message = refused(&policy);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn listed_columns_and_no_others() {
    let policy = Policy {
        columns: vec![("person".to_owned(), names(&["birth_date", "pnr"]))],
        ..policy()
    };
    assert_eq!(columns_of(&policy, "person"), ["pnr", "birth_date"]);
    let including = Policy {
        protection: ProtectionRule::Include,
        columns: vec![("person".to_owned(), names(&["line", "pnr"]))],
        ..policy
    };
    assert_eq!(
        columns_of(&including, "person"),
        ["pnr", "protected", "line"]
    );
}

/// Two persons, the second protected, who are each other's spouses; the third has no 001.
fn family() -> String {
    let person = |pnr| {
        record(
            "person",
            &[("pnr", pnr), ("status", "01"), ("occupation", "Smith")],
        )
    };
    let name = |pnr, name| {
        record(
            "name",
            &[
                ("pnr", pnr),
                ("given_name", name),
                ("name_start", "202000001200"),
            ],
        )
    };
    let spouse = |pnr, spouse, name| {
        record(
            "civil_status",
            &[
                ("pnr", pnr),
                ("civil_status", "G"),
                ("spouse_pnr", spouse),
                ("spouse_name", name),
            ],
        )
    };
    [
        "00000000000001109012026061520260614\n".to_owned(),
        person("0101010010"),
        name("0101010010", "Anna"),
        spouse("0101010010", "0101010029", "Bodil"),
        person("0101010029"),
        name("0101010029", "Bodil"),
        spouse("0101010029", "0101010010", "Anna"),
        record(
            "protection",
            &[
                ("pnr", "0101010029"),
                ("protection_type", "0001"),
                ("start_date", "2020-00-00"),
            ],
        ),
        name("0101010037", "Clara"),
        spouse("0101010010", "0101010037", "Clara"),
        spouse("0101010010", "", "Dorte"),
        spouse("0101010010", "0101010010", "Anna"),
    ]
    .concat()
}

#[test]
fn protected_persons_are_masked_also_where_they_are_relatives() {
    let shown = Policy {
        classes: names(&["address", "civil-status", "name", "protection", "free-text"]),
        persons: PersonFilter {
            numbers: Some(names(&["0101010010", "0101010029", "0101010037"])),
            ..PersonFilter::default()
        },
        ..policy()
    };
    let cells = cells(&shown, &family());
    assert!(has(&cells, "person 2 occupation Smith") && has(&cells, "name 3 given_name Anna"));
    assert!(has(&cells, "name 3 irregular name_start=202000001200"));
    // The protected one's own records, and the record of who has no 001.
    for masked in [
        "person 5 occupation",
        "name 6 given_name",
        "name 6 irregular",
        "name 9 given_name",
    ] {
        assert!(!speaks_of(&cells, masked), "{masked}");
    }
    assert!(has(&cells, "name 6 pnr 0101010029") && has(&cells, "person 5 status 01"));
    // As a spouse: protected, without 001, without a number; and one who is neither.
    for line in [4, 10, 11] {
        assert!(
            !speaks_of(&cells, &format!("civil_status {line} spouse_name")),
            "{line}"
        );
        assert!(has(&cells, &format!("civil_status {line} civil_status G")));
    }
    assert!(has(&cells, "civil_status 4 spouse_pnr 0101010029"));
    assert!(has(&cells, "civil_status 12 spouse_name Anna"));
    // In a protected person's record every name is masked.
    assert!(!speaks_of(&cells, "civil_status 7 spouse_name"));
}

#[test]
fn protected_persons_are_dropped_and_masked_where_they_are_relatives() {
    let dropping = Policy {
        protection: ProtectionRule::Drop,
        ..policy()
    };
    let cells = cells(&dropping, &family());
    assert!(cells.iter().all(|cell| !cell.contains(" pnr 0101010029")));
    assert!(
        !cells
            .iter()
            .any(|cell| cell.contains("Bodil") || cell.contains("Clara"))
    );
    assert!(has(&cells, "civil_status 12 spouse_name Anna"));
    assert!(has(&cells, "name 3 given_name Anna"));
}

#[test]
fn who_is_protected_is_said_where_everybody_is_included() {
    let including = Policy {
        persons: PersonFilter {
            numbers: Some(names(&["0101010010", "0101010029", "0101010037"])),
            ..PersonFilter::default()
        },
        ..open()
    };
    let cells = cells(&including, &family());
    for (line, protected) in [(3, false), (6, true), (9, true)] {
        assert!(
            has(&cells, &format!("name {line} protected {protected}")),
            "{line}"
        );
    }
    assert!(has(&cells, "civil_status 4 spouse_name Bodil"));
}

/// The register protects a person by the number that is valid; what stands under a former one is the same person's.
#[test]
fn who_is_protected_is_so_under_a_former_number_too() {
    let person = |pnr, status, valid| {
        let fields = [("pnr", pnr), ("status", status), ("current_pnr", valid)];
        record("person", &fields)
    };
    let name = |pnr| record("name", &[("pnr", pnr), ("given_name", "Anna")]);
    let extract = [
        "00000000000001109012026061520260614\n".to_owned(),
        person("0101010010", "60", "0101010029"),
        person("0101010029", "01", ""),
        record(
            "protection",
            &[("pnr", "0101010029"), ("protection_type", "0001")],
        ),
        person("0101010037", "50", "0101010045"),
        person("0101010045", "01", ""),
        // Whose valid number is not here may be protected by it.
        person("0101010053", "60", "0101010061"),
        person("0101010088", "60", ""),
        name("0101010010"),
        name("0101010037"),
        name("0101010053"),
        name("0101010088"),
    ]
    .concat();
    let shown = |protection| {
        let policy = Policy {
            protection,
            ..policy()
        };
        let mut cells = cells(&policy, &extract);
        cells.retain(|cell| cell.starts_with("name") && !cell.contains(" line "));
        cells
    };
    let masked = shown(ProtectionRule::Mask);
    for line in [9, 11] {
        assert!(speaks_of(&masked, &format!("name {line} pnr")));
        assert!(!speaks_of(&masked, &format!("name {line} given_name")));
    }
    for line in [10, 12] {
        assert!(has(&masked, &format!("name {line} given_name Anna")));
    }
    let left = shown(ProtectionRule::Drop);
    assert!(!speaks_of(&left, "name 9") && !speaks_of(&left, "name 11"));
    assert!(speaks_of(&left, "name 10") && speaks_of(&left, "name 12"));
    let marked = shown(ProtectionRule::Include);
    for (line, is_protected) in [(9, true), (10, false), (11, true), (12, false)] {
        assert!(has(
            &marked,
            &format!("name {line} protected {is_protected}")
        ));
    }
}

/// The start of a parent's protection in 031-033 masks the parent, whatever it says.
#[test]
fn a_mark_of_protection_in_a_relatives_address_is_enough() {
    let address = |mother: &str, mark: &str| {
        let fields = [
            ("pnr", "0101010010"),
            ("mother_pnr", mother),
            ("addressing_name", "Eva"),
            ("protection_start_date", mark),
        ];
        record("mother_address", &fields)
    };
    let person = |pnr| record("person", &[("pnr", pnr), ("status", "01")]);
    let extract = [
        person("0101010010"),
        person("0101010029"),
        address("0101010029", ""),
        address("0101010029", "2999-01-01"),
        address("0101010029", "0000-00-00"),
        address("0101010037", ""),
        address("0000000000", ""),
        address("01010100", ""),
    ]
    .concat();
    let cells = cells(&policy(), &extract);
    assert!(has(&cells, "mother_address 3 addressing_name Eva"));
    for line in 4..=8 {
        assert!(
            !speaks_of(&cells, &format!("mother_address {line} addressing_name")),
            "{line}"
        );
        assert!(has(
            &cells,
            &format!("mother_address {line} pnr 0101010010")
        ));
    }
}

#[test]
fn events_of_the_church_are_hidden_with_religion() {
    let of = |table, code| record(table, &[("pnr", "0101010010"), ("event_code", code)]);
    let event = |code| of("event", code);
    let extract = [
        record("person", &[("pnr", "0101010010"), ("status", "01")]),
        event("A01"),
        event("A34"),
        event("P56"),
        event(""),
        of("subscription_receipt", "A34"),
        of("subscription_receipt", "P56"),
        of("subscription_receipt", "A01"),
    ]
    .concat();
    let lines = |policy: &Policy| {
        let mut cells = cells(policy, &extract);
        cells.retain(|cell| cell.contains(" pnr ") && !cell.starts_with("person"));
        cells.len()
    };
    assert_eq!(lines(&policy()), 3);
    let religious = Policy {
        classes: names(&["religion"]),
        ..policy()
    };
    assert_eq!(lines(&religious), 7);
}

#[test]
fn irregular_says_nothing_of_what_is_hidden() {
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
    // A policy that masks shows no tails.
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
    let without_numbers = "spouse_birth_date=1961-00-00;civil_status_start=202000001200";
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
            names(&["pnr", "civil_status_start", "irregular", "line"]),
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

/// Nobody knows what stands in a tail: a policy that hides anything anywhere shows none.
#[test]
fn tails_are_there_only_where_nothing_is_hidden() {
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
            rows: vec![("person".to_owned(), "line > 9".to_owned())],
            ..open()
        },
    ] {
        assert!(!shows_tail(narrower.clone()), "{narrower:?}");
    }
}

#[test]
fn rows_are_judged_through_the_mask_and_requests_on_what_is_shown() {
    let rows = Policy {
        rows: vec![
            (
                "name".to_owned(),
                "given_name in ('Anna', 'Bodil', 'Clara')".to_owned(),
            ),
            (
                "person".to_owned(),
                "occupation = 'Smith' and line > 2".to_owned(),
            ),
        ],
        persons: PersonFilter {
            numbers: Some(names(&["0101010010", "0101010029"])),
            ..PersonFilter::default()
        },
        ..policy()
    };
    let shown = cells(&rows, &family());
    // That a row of the protected one is there would tell the name, or the occupation, which the policy leaves out.
    assert!(has(&shown, "name 3 given_name Anna") && !speaks_of(&shown, "name 6"));
    assert!(!speaks_of(&shown, "person"));
    let including = Policy {
        protection: ProtectionRule::Include,
        ..rows.clone()
    };
    let shown = cells(&including, &family());
    assert!(has(&shown, "name 3 given_name Anna") && has(&shown, "name 6 given_name Bodil"));
    assert!(has(&shown, "person 5 status 01") && !speaks_of(&shown, "person 2"));
    // Neither does a relative's row tell the relative's name, nor one that asks for the contrary.
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
fn requests_for_what_is_hidden_are_refused() {
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
        message.contains("the policy does not let the table \"church\" through"),
        "{message}"
    );
    let message = request(&policy(), "person", Some(names(&["occupation"])), None);
    assert!(
        message.contains("the policy does not let the column \"occupation\""),
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

/// Without a production date and without a day in the policy, every protection is in force.
#[test]
fn without_a_day_protection_fails_closed() {
    let extract = |start: &str| {
        [
            start.to_owned(),
            record("person", &[("pnr", "0101010010"), ("status", "01")]),
            record("name", &[("pnr", "0101010010"), ("given_name", "Anna")]),
            record(
                "protection",
                &[
                    ("pnr", "0101010010"),
                    ("protection_type", "0001"),
                    ("deletion_date", "2020-01-01"),
                ],
            ),
        ]
        .concat()
    };
    let dayless = Policy {
        day: None,
        ..policy()
    };
    let is_shown = |policy: &Policy, start: &str| {
        cells(policy, &extract(start))
            .iter()
            .any(|cell| cell.contains("Anna"))
    };
    assert!(is_shown(&dayless, "00000000000001109012026061520260614\n"));
    assert!(!is_shown(&dayless, "00000000000001109012019010120181231\n"));
    assert!(!is_shown(&dayless, "0000000000000110901\n"));
    assert!(!is_shown(&dayless, ""));
    // The policy's own day is about ages.
    assert!(!is_shown(&policy(), ""));
}

/// A policy's day is about ages, and stays behind: what has come since must be in force all the same.
#[test]
fn a_protection_that_began_after_the_policys_day_is_in_force() {
    let extract = [
        "00000000000001109012026061520260614\n".to_owned(),
        record("person", &[("pnr", "0101010010"), ("status", "01")]),
        record("name", &[("pnr", "0101010010"), ("given_name", "Anna")]),
        record(
            "protection",
            &[
                ("pnr", "0101010010"),
                ("protection_type", "0001"),
                ("start_date", "2026-06-01"),
            ],
        ),
    ]
    .concat();
    for day in [None, Some("2020-01-01"), Some("2030-01-01")] {
        let policy = Policy {
            day: day.map(str::to_owned),
            ..policy()
        };
        let cells = cells(&policy, &extract);
        assert!(has(&cells, "name 3 pnr 0101010010"));
        assert!(!speaks_of(&cells, "name 3 given_name"), "{day:?}");
    }
}

#[test]
fn a_policy_scan_is_the_same_every_time_and_in_any_blocks() {
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
