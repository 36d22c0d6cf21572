//! Tests of classes that rows tell by their type: events, protections, and the status of a spouse.

use super::*;
use crate::layout::{EVENT_CLASSES, MARK_CLASSES};

const PERSON: &str = "0101010010";

fn event(code: &str, mark: &str) -> String {
    let fields = [
        ("pnr", PERSON),
        ("registered", "202606141234"),
        ("event_code", code),
        ("derived_mark", mark),
    ];
    record("event", &fields)
}

fn person() -> String {
    record("person", &[("pnr", PERSON), ("status", "01")])
}

fn with(classes: &[&str]) -> Policy {
    Policy {
        classes: names(classes),
        ..policy()
    }
}

/// Returns the cells of the rows of one table, without the number.
fn rows_of(policy: &Policy, table: &str, extract: &[String]) -> Vec<String> {
    let mut cells = cells(policy, &[&[person()], extract].concat().concat());
    cells.retain(|cell| cell.starts_with(&format!("{table} ")) && !cell.contains(" pnr "));
    cells
}

/// Every event code and derived mark is shown with its classes, and not without one of them.
#[test]
fn shows_an_event_only_with_all_its_classes() {
    let noon = 12 * 60 + 34;
    let mark = |event: &layout::EventClass| event.code.to_owned();
    let cases = EVENT_CLASSES
        .iter()
        .map(|event| (event.classes, mark(event), String::new()))
        .chain(
            MARK_CLASSES
                .iter()
                .map(|event| (event.classes, "A21".to_owned(), mark(event))),
        );
    for (classes, code, mark) in cases {
        let seen = |policy: &Policy| {
            let record = event(&code, "");
            // Records are ISO-8859-1, so a mark has one byte per letter.
            let latin1 = mark
                .chars()
                .map(|letter| u8::try_from(u32::from(letter)).unwrap());
            let bytes: Vec<u8> = record.trim_end().bytes().chain(latin1).collect();
            seen_bytes(policy, &bytes)
        };
        let shown = (
            Some(code.clone()),
            (!mark.is_empty()).then(|| mark.clone()),
            noon,
        );
        assert_eq!(seen(&with(classes)), shown, "{code} {mark}");
        assert_eq!(seen(&open()), shown);
        for hidden in classes {
            let mut others = open().classes;
            others.retain(|class| class != hidden);
            let policy = Policy {
                classes: others,
                ..open()
            };
            assert_eq!(
                seen(&policy),
                (None, None, 0),
                "{code} {mark} without {hidden}"
            );
        }
    }
}

/// Returns what a tenant sees of an event: its code, its mark, and the minutes after midnight of its time.
fn seen_bytes(policy: &Policy, event: &[u8]) -> (Option<String>, Option<String>, i64) {
    let extract = [person().as_bytes(), event, b"\n"].concat();
    let mut selection = Selection::open_policy(policy.clone(), None).unwrap();
    selection.push(extract.clone()).unwrap();
    selection.finish().unwrap();
    let options = ScanOptions {
        tables: Some(vec![TableRequest {
            name: "event".to_owned(),
            ..TableRequest::default()
        }]),
        ..ScanOptions::default()
    };
    let mut scan = Scan::open(&options, Some(&selection)).unwrap();
    scan.push(extract).unwrap();
    scan.finish().unwrap();
    let batch = scan.next().unwrap().unwrap().batch;
    assert_eq!(batch.num_rows(), 1);
    assert!(batch.column_by_name("irregular").unwrap().is_null(0));
    let text = |name| value(batch.column_by_name(name).unwrap(), 0);
    let times = batch.column_by_name("registered").unwrap();
    let time = times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    let minutes = time.value(0) / 60_000_000;
    assert_eq!(minutes.div_euclid(1440), 20_618);
    (
        text("event_code"),
        text("derived_mark"),
        minutes.rem_euclid(1440),
    )
}

#[test]
fn hides_events_of_unknown_meaning_unless_every_class_is_shown() {
    for code in ["P51", "P55", "A99", "X  "] {
        let event = event(code, "");
        let mut expected = (Some(code.trim_end().to_owned()), None, 754);
        assert_eq!(seen_bytes(&open(), event.trim_end().as_bytes()), expected);
        for hidden in open().classes {
            let mut classes = open().classes;
            classes.retain(|class| *class != hidden);
            let policy = Policy { classes, ..open() };
            expected = (None, None, 0);
            assert_eq!(seen_bytes(&policy, event.trim_end().as_bytes()), expected);
        }
    }
    // An event without a code can be of any class, so its time of day is hidden.
    let blank = event("", "");
    assert_eq!(
        seen_bytes(&with(&[]), blank.trim_end().as_bytes()),
        (None, None, 0)
    );
    assert_eq!(
        seen_bytes(&open(), blank.trim_end().as_bytes()),
        (None, None, 754)
    );
}

/// Neither the raw text of a time nor a condition shows the time of a hidden event.
#[test]
fn hidden_events_show_their_day_only() {
    let odd = |registered| {
        let fields = [
            ("pnr", PERSON),
            ("registered", registered),
            ("event_code", "A34"),
        ];
        record("event", &fields)
    };
    let shown = rows_of(
        &policy(),
        "event",
        &[odd("202606141299"), odd("202600001234")],
    );
    assert_eq!(
        shown,
        [
            "event 2 registered …",
            "event 3 irregular registered=202600000000"
        ]
    );
    let religious = with(&["religion"]);
    let shown = rows_of(&religious, "event", &[odd("202606141299")]);
    assert!(has(&shown, "event 2 irregular registered=202606141299"));
    let asked = |policy: &Policy, predicate: &str| {
        let options = ScanOptions {
            tables: Some(vec![TableRequest {
                name: "event".to_owned(),
                predicate: Some(predicate.to_owned()),
                ..TableRequest::default()
            }]),
            ..ScanOptions::default()
        };
        cells_of(policy, &[person(), event("A34", "")].concat(), &options).len()
    };
    for predicate in [
        "registered > '2026-06-14'",
        "event_code = 'A34'",
        "event_code <> 'A01'",
    ] {
        assert_eq!(asked(&policy(), predicate), 0, "{predicate}");
        assert_ne!(asked(&religious, predicate), 0, "{predicate}");
    }
    assert_ne!(asked(&policy(), "registered = '2026-06-14'"), 0);
    assert_ne!(asked(&policy(), "event_code is null"), 0);
}

/// A damaged time of day makes no difference to what is shown of a hidden event.
#[test]
fn a_hidden_event_shows_its_day_whatever_its_time_is() {
    let at = |registered: &str, code| {
        let fields = [
            ("pnr", PERSON),
            ("registered", registered),
            ("event_code", code),
        ];
        record("event", &fields)
    };
    for time in [
        "0000", "1234", "1099", "0788", "2534", "AB12", "12?4", "9999",
    ] {
        let hidden = at(&format!("20260614{time}"), "A34");
        assert_eq!(
            seen_bytes(&policy(), hidden.trim_end().as_bytes()),
            (None, None, 0),
            "{time}"
        );
    }
    // A damaged day, or a damaged time of an event that is shown, can be a value of another column.
    let registered = |event| rows_of(&policy(), "event", &[event]);
    for shifted in [at("202613141234", "A34"), at("202606140788", "A01")] {
        assert_eq!(registered(shifted), Vec::<String>::new());
    }
    assert!(has(
        &registered(at("202606140734", "A01")),
        "event 2 event_code A01"
    ));
}

/// Neighbours have the same event on the same day, so it shows where a protected person lives.
#[test]
fn hides_events_of_a_place_from_protected_persons() {
    let protection = record(
        "protection",
        &[("pnr", PERSON), ("protection_type", "0001")],
    );
    for (code, is_hidden) in [("P10", true), ("A42", true), ("A01", false), ("A13", false)] {
        let codes = |extract: &[String]| rows_of(&policy(), "event", extract);
        let cell = format!("event 2 event_code {code}");
        assert!(has(&codes(&[event(code, "")]), &cell));
        assert_eq!(
            has(&codes(&[event(code, ""), protection.clone()]), &cell),
            !is_hidden
        );
    }
}

#[test]
fn receipts_hide_event_codes_too() {
    let table = layout::by_name("subscription_receipt").unwrap();
    let rules = Rules::new(&policy()).unwrap();
    let bits = |code: &'static str| {
        rules.row_bits(table, false, false, |column| match column.name {
            "event_code" => code.as_bytes(),
            _ => b"",
        })
    };
    assert_eq!((bits("A34"), bits("A01")), (row_bits::EVENT, 0));
}

/// A credit warning among the protections is of the class economic.
#[test]
fn hides_credit_warnings_among_protections() {
    let kinds = ["0001", "0002", "0003", "0004", "0005", "", "5", "000"];
    let economic = with(&["protection", "economic"]);
    for table in ["protection", "protection_history"] {
        let of = |kind| {
            record(
                table,
                &[
                    ("pnr", PERSON),
                    ("protection_type", kind),
                    ("start_date", "2020-01-01"),
                ],
            )
        };
        let extract = kinds.map(of);
        let lines = |policy: &Policy| {
            let mut cells = rows_of(policy, table, &extract);
            cells.retain(|cell| cell.contains(" start_date "));
            cells.len()
        };
        assert_eq!(lines(&policy()), 4, "{table}");
        assert_eq!(lines(&economic), 8, "{table}");
    }
}

/// Only a married person and one in a registered partnership have a present spouse.
#[test]
fn hides_former_spouses_without_former_civil_statuses() {
    let status = |status: &str| {
        let fields = [
            ("pnr", PERSON),
            ("civil_status", status),
            ("spouse_pnr", PERSON),
            ("spouse_birth_date", "1990-01-01"),
            ("spouse_birth_date_uncertain", "*"),
            ("spouse_name", "Anna"),
            ("spouse_name_mark", "+"),
            ("civil_status_start", "202001011200"),
        ];
        [record("civil_status", &fields)]
    };
    let present = with(&["civil-status", "name", "family"]);
    let former = with(&["civil-status", "name", "family", "civil-status-history"]);
    let of_spouse = |policy: &Policy, code: &str| {
        let mut cells = rows_of(policy, "civil_status", &status(code));
        cells.retain(|cell| cell.contains(" spouse_"));
        cells.len()
    };
    for code in ["G", "P"] {
        assert_eq!(
            (of_spouse(&present, code), of_spouse(&former, code)),
            (5, 5),
            "{code}"
        );
    }
    for code in ["F", "E", "O", "L", "D", "U", "X", ""] {
        assert_eq!(
            (of_spouse(&present, code), of_spouse(&former, code)),
            (0, 5),
            "{code}"
        );
        let rest = rows_of(&present, "civil_status", &status(code));
        assert!(has(&rest, "civil_status 2 civil_status_start …"));
    }
    // A condition cannot find a former spouse either.
    let by_name = Policy {
        rows: vec![("civil_status".to_owned(), "spouse_name = 'Anna'".to_owned())],
        ..present
    };
    assert!(rows_of(&by_name, "civil_status", &status("F")).is_empty());
    assert!(!rows_of(&by_name, "civil_status", &status("G")).is_empty());
    // A damaged value that is hidden anyway hides nothing else.
    let damaged = |code| {
        let fields = [
            ("pnr", PERSON),
            ("civil_status", code),
            ("spouse_birth_date", "19X0-01-01"),
            ("civil_status_start", "202001011200"),
        ];
        rows_of(
            &policy(),
            "civil_status",
            &[record("civil_status", &fields)],
        )
    };
    let start = "civil_status 2 civil_status_start …";
    assert!(has(&damaged("E"), start) && has(&damaged("E"), "civil_status 2 civil_status E"));
    assert!(!has(&damaged("G"), start));
}

/// The classes `family` and `franchise` show these tables and the numbers of relatives.
#[test]
fn family_shows_relatives_and_their_numbers() {
    let family = Policy {
        classes: with_classes(&policy(), &["family"]),
        ..policy()
    };
    let more = |shown: &Policy| {
        let mut tables = tables_of(shown);
        tables.retain(|table| !tables_of(&policy()).contains(table));
        tables
    };
    let of_family = [
        "child",
        "parents",
        "custody",
        "mother_address",
        "father_address",
        "child_address",
        "shared_residence",
    ];
    assert_eq!(more(&family), of_family);
    for (table, number) in [
        ("child", "child_pnr"),
        ("parents", "mother_pnr"),
        ("parents", "father_pnr"),
        ("custody", "custodian_pnr"),
        ("civil_status", "spouse_pnr"),
        ("mother_address", "mother_pnr"),
    ] {
        assert!(columns_of(&family, table).contains(&number), "{table}");
    }
    assert!(!columns_of(&policy(), "civil_status").contains(&"spouse_pnr"));
    let franchise = Policy {
        classes: with_classes(&policy(), &["franchise"]),
        ..policy()
    };
    assert_eq!(more(&franchise), ["franchise"]);
}

/// Selecting by something hidden is refused, because being selected reveals it.
#[test]
fn refuses_to_select_by_what_is_hidden() {
    let by_event = |classes: &[&str], code: &str| Policy {
        persons: PersonFilter {
            event_codes: Some(names(&["A21", code])),
            ..PersonFilter::default()
        },
        ..with(classes)
    };
    let by_row = |classes: &[&str], table: &str, predicate: &str| Policy {
        rows: vec![(table.to_owned(), predicate.to_owned())],
        ..with(classes)
    };
    let in_0851 = |classes: &[&str]| Policy {
        persons: PersonFilter {
            municipality_codes: Some(names(&["0851"])),
            ..PersonFilter::default()
        },
        ..with(classes)
    };
    for (hidden, shown, why) in [
        (
            by_event(&[], "A34"),
            by_event(&["religion"], "A34"),
            "the event A34, which is of the classes religion",
        ),
        (
            by_event(&["protection"], "P11"),
            by_event(&["protection", "free-text", "address", "family"], "P11"),
            "P11, which is of the classes protection, free-text, address, family",
        ),
        (
            by_event(&["social"], "A99"),
            by_event(&["address"], "A01"),
            "A99, which is of unknown meaning",
        ),
        (
            in_0851(&["name"]),
            in_0851(&["address"]),
            "municipality_codes but hides the class \"address\"",
        ),
        (
            by_row(&[], "person", "status = '01' and not occupation is null"),
            by_row(&["free-text"], "person", "occupation = 'Smith'"),
            "by the column \"occupation\" but hides it: its class is \"free-text\"",
        ),
        (
            by_row(&[], "event", "event_code in ('A21', 'A73')"),
            by_row(&["social"], "event", "event_code = 'A73'"),
            "rows by the event A73",
        ),
        (
            Policy {
                numbers: NumberRule::Drop,
                ..by_row(&[], "person", "pnr = '0101010010'")
            },
            by_row(&[], "person", "pnr = '0101010010'"),
            "it holds person numbers, which the policy drops",
        ),
    ] {
        let message = refused(&hidden);
        assert!(
            message.contains(why) && message.contains("may_reveal"),
            "{message}"
        );
        let allowed = Policy {
            may_reveal: true,
            ..hidden
        };
        assert!(allowed.view().is_ok());
        assert!(shown.view().is_ok(), "{shown:?}");
    }
    // A list of numbers selects by the number.
    let listed = |numbers| Policy {
        persons: PersonFilter {
            numbers: Some(names(&[PERSON])),
            ..PersonFilter::default()
        },
        numbers,
        ..with(&[])
    };
    assert!(listed(NumberRule::Keep).view().is_ok());
    for numbers in [NumberRule::Pseudonym, NumberRule::Drop] {
        let hidden = listed(numbers);
        let message = refused(&hidden);
        assert!(
            message.contains("by a list of person numbers") && message.contains("may_reveal"),
            "{message}"
        );
        assert!(!message.contains(PERSON), "{message}");
        let allowed = Policy {
            may_reveal: true,
            ..hidden
        };
        assert!(allowed.view().is_ok());
    }
    // Status and birth date have no class, so no policy hides them.
    for persons in [
        PersonFilter {
            status_codes: Some(names(&["01", "70", "90"])),
            ..PersonFilter::default()
        },
        PersonFilter {
            ages: Some(AgeRange {
                youngest: 5,
                oldest: 16,
            }),
            ..PersonFilter::default()
        },
    ] {
        let nothing_shown = Policy {
            classes: Vec::new(),
            numbers: NumberRule::Drop,
            protection: ProtectionRule::Drop,
            persons,
            ..Policy::default()
        };
        assert!(nothing_shown.view().is_ok(), "{nothing_shown:?}");
    }
    // Pseudonyms can be tested for null only.
    let pseudonymous = |predicate| Policy {
        numbers: NumberRule::Pseudonym,
        ..by_row(&["family", "civil-status"], "civil_status", predicate)
    };
    assert!(refused(&pseudonymous("spouse_pnr = '0101010010'")).contains("shows pseudonyms"));
    assert!(pseudonymous("spouse_pnr is not null").view().is_ok());
    // With the permission the condition sees the hidden value, but not what a protection masks.
    let reveal = |policy: Policy| Policy {
        may_reveal: true,
        ..policy
    };
    let extract = [person(), event("A73", ""), event("A01", "")].concat();
    let by_event = reveal(by_row(&[], "event", "event_code = 'A73'"));
    assert_eq!(
        cells(&by_event, &extract)
            .iter()
            .filter(|c| c.starts_with("event") && c.contains(" pnr "))
            .count(),
        1
    );
    assert!(
        !cells(&by_event, &extract)
            .iter()
            .any(|cell| cell.contains("A73"))
    );
    let by_occupation = reveal(by_row(&[], "person", "occupation = 'Smith'"));
    let smiths = cells(&by_occupation, &family());
    assert!(speaks_of(&smiths, "person 2 ") && !speaks_of(&smiths, "person 5 "));
}

/// An event with a hidden mark does not select its person: the selection would show that the person has the event.
#[test]
fn an_event_with_a_hidden_mark_does_not_select() {
    let by_move = |classes: &[&str]| Policy {
        persons: PersonFilter {
            event_codes: Some(names(&["A01", "A05"])),
            ..PersonFilter::default()
        },
        ..with(classes)
    };
    let is_selected = |policy: &Policy, event: String| {
        let cells = cells(policy, &[person(), event].concat());
        speaks_of(&cells, "person 1 ")
    };
    for (mark, class) in [("MO", "family"), ("NP", "civil-status"), ("PN", "identity")] {
        let moved = || event("A01", mark);
        let hidden = by_move(&["address"]);
        assert!(!is_selected(&hidden, moved()), "{mark}");
        assert!(
            is_selected(&by_move(&["address", class]), moved()),
            "{mark}"
        );
        let revealing = Policy {
            may_reveal: true,
            ..hidden
        };
        assert!(is_selected(&revealing, moved()), "{mark}");
    }
    // A mark of unknown meaning can say anything. A blank one says nothing, also where the record ends before it.
    assert!(!is_selected(&by_move(&["address"]), event("A01", "XX")));
    assert!(is_selected(&by_move(&["address"]), event("A01", "")));
    let shortened = format!("{}\n", event("A01", "").trim_end());
    assert!(is_selected(&by_move(&["address"]), shortened));
    let half = format!("{}\n", event("A01", "M").trim_end());
    assert!(!is_selected(&by_move(&["address"]), half));
    // Another event of the same person still counts.
    let both = [event("A01", "MO"), event("A05", "")].concat();
    assert!(is_selected(&by_move(&["address"]), both));
}

/// An event that all persons of a place have shows where a protected person lives.
#[test]
fn an_event_of_a_place_selects_no_protected_person() {
    let by_place = |protection, may_reveal| Policy {
        persons: PersonFilter {
            event_codes: Some(names(&["A42", "P10"])),
            ..PersonFilter::default()
        },
        protection,
        may_reveal,
        ..with(&["address"])
    };
    let protected = record(
        "protection",
        &[("pnr", PERSON), ("protection_type", "0001")],
    );
    let is_selected = |policy: &Policy, extract: &[String]| {
        speaks_of(&cells(policy, &extract.concat()), "person 1 ")
    };
    for may_reveal in [false, true] {
        for code in ["A42", "P10"] {
            let plain = [person(), event(code, "")];
            let hidden = [person(), event(code, ""), protected.clone()];
            let masking = by_place(ProtectionRule::Mask, may_reveal);
            assert!(is_selected(&masking, &plain), "{code}");
            assert!(!is_selected(&masking, &hidden), "{code}");
            let including = by_place(ProtectionRule::Include, may_reveal);
            assert!(is_selected(&including, &hidden), "{code}");
        }
    }
    // Other events select protected persons.
    let by_move = Policy {
        persons: PersonFilter {
            event_codes: Some(names(&["A01"])),
            ..PersonFilter::default()
        },
        ..with(&["address"])
    };
    assert!(is_selected(
        &by_move,
        &[person(), event("A01", ""), protected]
    ));
}
