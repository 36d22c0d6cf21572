//! Tests of masking and dropping protected persons.

use super::*;

#[test]
fn masks_protected_persons_and_relatives() {
    let shown = Policy {
        classes: with_classes(&policy(), &["free-text", "family"]),
        persons: PersonFilter {
            numbers: Some(names(&["0101010010", "0101010029", "0101010037"])),
            ..PersonFilter::default()
        },
        ..policy()
    };
    let cells = cells(&shown, &family());
    assert!(has(&cells, "person 2 occupation Smith") && has(&cells, "name 3 given_name Anna"));
    assert!(has(&cells, "name 3 irregular name_start=202000001200"));
    // The records of the protected person, and of the person without a 001.
    for masked in [
        "person 5 occupation",
        "name 6 given_name",
        "name 6 irregular",
        "name 9 given_name",
    ] {
        assert!(!speaks_of(&cells, masked), "{masked}");
    }
    assert!(has(&cells, "name 6 pnr 0101010029") && has(&cells, "person 5 status 01"));
    // As a spouse: protected, without a 001, without a number; and one who is neither.
    for line in [4, 10, 11] {
        assert!(
            !speaks_of(&cells, &format!("civil_status {line} spouse_name")),
            "{line}"
        );
        assert!(has(&cells, &format!("civil_status {line} civil_status G")));
    }
    assert!(has(&cells, "civil_status 4 spouse_pnr 0101010029"));
    assert!(has(&cells, "civil_status 12 spouse_name Anna"));
    // In the record of a protected person all names are masked.
    assert!(!speaks_of(&cells, "civil_status 7 spouse_name"));
}

#[test]
fn drops_protected_persons_and_masks_them_as_relatives() {
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
fn marks_protected_persons_if_they_are_included() {
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

pub(super) fn person(pnr: &str, status: &str, valid: &str) -> String {
    let fields = [("pnr", pnr), ("status", status), ("current_pnr", valid)];
    record("person", &fields)
}

pub(super) fn name(pnr: &str) -> String {
    record("name", &[("pnr", pnr), ("given_name", "Anna")])
}

pub(super) fn protection(pnr: &str) -> String {
    record("protection", &[("pnr", pnr), ("protection_type", "0001")])
}

/// The register protects a person under one number; the records under the other numbers belong to the same person.
#[test]
fn protects_a_person_under_every_number() {
    let extract = [
        "00000000000001109012026061520260614\n".to_owned(),
        person("0101010010", "60", "0101010029"),
        person("0101010029", "01", ""),
        protection("0101010029"),
        person("0101010037", "50", "0101010045"),
        person("0101010045", "01", ""),
        // The valid number is not in the extract, so it may be protected.
        person("0101010053", "60", "0101010061"),
        // The valid number is not known at all.
        person("0101010088", "60", ""),
        name("0101010010"),
        name("0101010037"),
        name("0101010053"),
        name("0101010088"),
        name("0101010045"),
    ]
    .concat();
    let shown = |protection| {
        let policy = Policy {
            protection,
            ..policy()
        };
        let mut cells = cells(&policy, &extract);
        cells.retain(|cell| cell.starts_with("name"));
        cells
    };
    let masked = shown(ProtectionRule::Mask);
    for line in [9, 11, 12] {
        assert!(speaks_of(&masked, &format!("name {line} pnr")));
        assert!(!speaks_of(&masked, &format!("name {line} given_name")));
    }
    for line in [10, 13] {
        assert!(has(&masked, &format!("name {line} given_name Anna")));
    }
    let left = shown(ProtectionRule::Drop);
    for line in [9, 11, 12] {
        assert!(!speaks_of(&left, &format!("name {line} ")), "{line}");
    }
    assert!(speaks_of(&left, "name 10") && speaks_of(&left, "name 13"));
    let marked = shown(ProtectionRule::Include);
    for (line, is_protected) in [(9, true), (10, false), (11, true), (12, true), (13, false)] {
        assert!(has(
            &marked,
            &format!("name {line} protected {is_protected}")
        ));
    }
}

/// A person with two changes of number, whose child names the first number.
#[test]
fn protects_a_parent_over_a_chain_of_numbers() {
    let extract = |ties: &str, protected: &str| {
        let parents = [
            ("pnr", "0101010088"),
            ("mother_pnr", "0101010010"),
            ("mother_name", "Eva"),
        ];
        [
            person("0101010088", "01", ""),
            record("parents", &parents),
            person("0101010010", "60", "0101010029"),
            person("0101010029", "60", "0101010037"),
            person("0101010037", "01", ""),
            name("0101010010"),
            name("0101010029"),
            name("0101010037"),
            name("0101010088"),
            ties.to_owned(),
            protected.to_owned(),
        ]
        .concat()
    };
    let former = |valid, former| record("former_pnr", &[("pnr", valid), ("former_pnr", former)]);
    let family = Policy {
        classes: with_classes(&policy(), &["family"]),
        ..policy()
    };
    for pnr in ["0101010010", "0101010029", "0101010037"] {
        let masked = cells(&family, &extract("", &protection(pnr)));
        assert!(has(&masked, "parents 2 mother_pnr 0101010010"));
        assert!(!speaks_of(&masked, "parents 2 mother_name"), "{pnr}");
        for line in 6..=8 {
            assert!(
                !speaks_of(&masked, &format!("name {line} given_name")),
                "{pnr}"
            );
        }
        assert!(has(&masked, "name 9 given_name Anna"));
        let dropping = Policy {
            protection: ProtectionRule::Drop,
            ..family.clone()
        };
        let left = cells(&dropping, &extract("", &protection(pnr)));
        assert!(!left.iter().any(|cell| cell.contains("Eva")));
        for line in 6..=8 {
            assert!(!speaks_of(&left, &format!("name {line} ")), "{pnr}");
        }
        assert!(speaks_of(&left, "name 9 "));
    }
    // A 022 alone masks nothing, even if the former number is not in the extract.
    let ties = former("0101010037", "0101010045");
    for ordinary in ["", ties.as_str()] {
        let shown = cells(&family, &extract(ordinary, ""));
        assert!(has(&shown, "parents 2 mother_name Eva"));
        for line in 6..=9 {
            assert!(has(&shown, &format!("name {line} given_name Anna")));
        }
    }
    // The protection stands under a former number that only 022 names.
    let masked = cells(&family, &extract(&ties, &protection("0101010045")));
    assert!(!speaks_of(&masked, "name 8 given_name") && speaks_of(&masked, "name 9 given_name"));
}

/// A start date of a relative's protection in 031-033 masks the relative in every table, whatever the date is.
#[test]
fn masks_a_relative_with_a_protection_start_date() {
    let address = |mother: &str, mark: &str| {
        let fields = [
            ("pnr", "0101010010"),
            ("mother_pnr", mother),
            ("addressing_name", "Eva"),
            ("protection_start_date", mark),
        ];
        record("mother_address", &fields)
    };
    let extract = [
        person("0101010010", "01", ""),
        person("0101010029", "01", ""),
        person("0101010045", "01", ""),
        person("0101010053", "01", ""),
        address("0101010029", ""),
        address("0101010045", "2999-01-01"),
        address("0101010053", "0000-00-00"),
        address("0101010037", ""),
        address("0000000000", ""),
        address("01010100", ""),
        name("0101010029"),
        name("0101010045"),
        name("0101010053"),
    ]
    .concat();
    let family = Policy {
        classes: with_classes(&policy(), &["family"]),
        ..policy()
    };
    let cells = cells(&family, &extract);
    assert!(has(&cells, "mother_address 5 addressing_name Eva"));
    for line in 6..=10 {
        assert!(
            !speaks_of(&cells, &format!("mother_address {line} addressing_name")),
            "{line}"
        );
        assert!(has(
            &cells,
            &format!("mother_address {line} pnr 0101010010")
        ));
    }
    assert!(has(&cells, "name 11 given_name Anna"));
    assert!(!speaks_of(&cells, "name 12 given_name") && !speaks_of(&cells, "name 13 given_name"));
}

/// The dates of a protection never lift it: CPR still delivers it, and it may begin before the next delivery.
#[test]
fn protects_whatever_the_dates_and_the_day_are() {
    let extract = |start: &str, fields: &[(&str, &str)]| {
        let dates = [
            &[("pnr", "0101010010"), ("protection_type", "0001")],
            fields,
        ]
        .concat();
        [
            start.to_owned(),
            person("0101010010", "01", ""),
            name("0101010010"),
            record("protection", &dates),
        ]
        .concat()
    };
    let dates: [&[(&str, &str)]; 6] = [
        &[],
        &[("start_date", "2026-06-16")],
        &[("start_date", "2999-01-01")],
        &[("deletion_date", "2020-01-01")],
        &[
            ("start_date", "2019-01-01"),
            ("deletion_date", "2020-01-01"),
        ],
        &[("start_date", "garbage")],
    ];
    let starts = [
        "00000000000001109012026061520260614\n",
        "0000000000000110901\n",
        "",
    ];
    for day in [None, Some("2020-01-01"), Some("2030-01-01")] {
        let policy = Policy {
            day: day.map(str::to_owned),
            ..policy()
        };
        for (start, fields) in starts.iter().flat_map(|s| dates.map(|fields| (*s, fields))) {
            let cells = cells(&policy, &extract(start, fields));
            assert!(
                cells
                    .iter()
                    .any(|cell| cell.starts_with("name") && cell.contains(" pnr "))
            );
            assert!(
                !cells.iter().any(|cell| cell.contains("Anna")),
                "{start}{fields:?}"
            );
        }
    }
    // Other protections, former ones and those of other persons mask no person.
    for other in [
        record(
            "protection",
            &[("pnr", "0101010010"), ("protection_type", "0003")],
        ),
        record(
            "protection_history",
            &[("pnr", "0101010010"), ("protection_type", "0001")],
        ),
        protection("0101010029"),
    ] {
        let extract = [person("0101010010", "01", ""), name("0101010010"), other].concat();
        assert!(has(&cells(&policy(), &extract), "name 2 given_name Anna"));
    }
}

/// Columns that show where a person is are masked for protected persons, whatever their class is.
#[test]
fn masks_columns_that_place_a_protected_person() {
    let of = |table: &str, column: &str, more: &[(&str, &str)]| {
        let value = match column {
            "address_uuid" => "00000851-0000-0000-0000-000000000000",
            _ => "0851",
        };
        let fields = [&[("pnr", "0101010010"), (column, value)], more].concat();
        (
            record(table, &fields),
            format!("{table} 2 {column} {value}"),
        )
    };
    let hidden = [
        of("birth_registration", "birth_authority_code", &[]),
        of("emigration", "emigration_country_code", &[]),
        of("emigration_history", "emigration_country_code", &[]),
        of("emigration_history", "immigration_country_code", &[]),
        of("franchise", "election_code", &[]),
        of("address", "municipality_code", &[]),
        of("address", "previous_municipality_code", &[]),
        of("plaintext_address", "postal_code", &[]),
        of("address_history", "municipality_code", &[]),
        of("contact_address", "contact_address_1", &[]),
        of("address_id", "address_uuid", &[]),
        of(
            "municipal_condition",
            "condition_code",
            &[("condition_type", "4")],
        ),
        of(
            "municipal_condition",
            "condition_code",
            &[("condition_type", "5")],
        ),
        of(
            "municipal_condition",
            "condition_code",
            &[("condition_type", "6")],
        ),
        of("municipal_condition", "condition_code", &[]),
    ];
    let shown = [
        of(
            "municipal_condition",
            "condition_code",
            &[("condition_type", "1")],
        ),
        of(
            "municipal_condition",
            "condition_code",
            &[("condition_type", "2")],
        ),
        of(
            "municipal_condition",
            "condition_code",
            &[("condition_type", "3")],
        ),
        of("citizenship", "country_code", &[]),
    ];
    let all = Policy {
        protection: ProtectionRule::Mask,
        ..open()
    };
    let cells_with = |policy: &Policy, row: &str, protected: &str| {
        let extract = [&person("0101010010", "01", ""), row, &protection(protected)].concat();
        cells(policy, &extract)
    };
    for (is_hidden, rows) in [(true, &hidden[..]), (false, &shown)] {
        for (row, cell) in rows {
            assert!(has(&cells_with(&all, row, "0101010029"), cell), "{cell}");
            assert!(has(&cells_with(&open(), row, "0101010010"), cell), "{cell}");
            let masked = cells_with(&all, row, "0101010010");
            assert_eq!(has(&masked, cell), !is_hidden, "{cell}");
            let table = cell.split(' ').next().unwrap();
            assert!(has(&masked, &format!("{table} 2 pnr 0101010010")));
        }
    }
}

/// A policy that drops protected persons shows nothing of them in the rows of their relatives.
#[test]
fn dropped_persons_leave_no_trace_as_relatives() {
    let relatives = |relative: &str| {
        let of = |table: &str, number: &str, more: &[(&str, &str)]| {
            record(
                table,
                &[&[("pnr", "0101010010"), (number, relative)], more].concat(),
            )
        };
        [
            of(
                "civil_status",
                "spouse_pnr",
                &[
                    ("civil_status", "G"),
                    ("spouse_birth_date", "1961-01-01"),
                    ("spouse_name", "Eva"),
                ],
            ),
            of(
                "civil_status_history",
                "spouse_pnr",
                &[("civil_status", "G"), ("spouse_birth_date", "1961-01-01")],
            ),
            of("child", "child_pnr", &[]),
            of(
                "parents",
                "mother_pnr",
                &[
                    ("mother_since", "1990-01-01"),
                    ("mother_birth_date", "1961-01-01"),
                    ("mother_birth_date_uncertain", "*"),
                ],
            ),
            of(
                "parents",
                "father_pnr",
                &[
                    ("father_since", "1990-01-01"),
                    ("father_birth_date", "1961-01-01"),
                ],
            ),
            of(
                "custody",
                "custodian_pnr",
                &[
                    ("custody_type", "0005"),
                    ("custodian_pnr_start_date", "2020-01-01"),
                    ("start_date", "2020-01-01"),
                ],
            ),
            of(
                "guardianship",
                "guardian_pnr",
                &[
                    ("guardian_pnr_start_date", "2020-01-01"),
                    ("start_date", "2020-01-01"),
                ],
            ),
            of(
                "guardianship_typed",
                "guardian_pnr",
                &[
                    ("guardian_pnr_start_date", "2020-01-01"),
                    ("guardianship_type", "FULD"),
                ],
            ),
            of(
                "mother_address",
                "mother_pnr",
                &[("protection_start_date", "2020-01-01")],
            ),
            of(
                "father_address",
                "father_pnr",
                &[("municipality_code", "0851")],
            ),
            of(
                "child_address",
                "child_pnr",
                &[("municipality_code", "0851")],
            ),
        ]
    };
    let of_relative = [
        "spouse_",
        "child_pnr",
        "mother_",
        "father_",
        "custodian_",
        "guardian_pnr",
        "municipality_code",
        "protection_start",
    ];
    let seen = |rule, relative: &str, protected: &str| {
        let extract = [
            vec![
                person("0101010010", "01", ""),
                person("0101010029", "01", ""),
                person("0101010037", "01", ""),
                protection(protected),
            ],
            relatives(relative).into(),
        ];
        let policy = Policy {
            protection: rule,
            ..open()
        };
        let mut cells = cells(&policy, &extract.concat().concat());
        cells.retain(|cell| {
            of_relative
                .iter()
                .any(|name| cell.split(' ').nth(2).unwrap().starts_with(name))
        });
        cells
    };
    // The mark in 031 protects that relative too, so it is left out where the relative is not protected.
    assert_eq!(
        seen(ProtectionRule::Drop, "0101010029", "0101010029"),
        Vec::<String>::new()
    );
    assert_eq!(
        seen(ProtectionRule::Drop, "0101010045", "0101010029"),
        Vec::<String>::new()
    );
    let masked = seen(ProtectionRule::Mask, "0101010029", "0101010029");
    for shown in [
        "child 7 child_pnr 0101010029",
        "parents 8 mother_pnr 0101010029",
        "parents 8 mother_birth_date …",
        "custody 10 custodian_pnr 0101010029",
    ] {
        assert!(has(&masked, shown), "{shown} {masked:?}");
    }
    assert!(
        !masked
            .iter()
            .any(|cell| cell.contains("Eva") || cell.contains("0851"))
    );
    // An ordinary relative is shown.
    let ordinary = [
        person("0101010010", "01", ""),
        person("0101010029", "01", ""),
        person("0101010037", "01", ""),
        protection("0101010037"),
        relatives("0101010029")[..8].concat(),
    ]
    .concat();
    let dropping = Policy {
        protection: ProtectionRule::Drop,
        ..open()
    };
    let shown = cells(&dropping, &ordinary);
    for cell in [
        "civil_status 5 spouse_name Eva",
        "child 7 child_pnr 0101010029",
        "parents 8 mother_birth_date …",
        "parents 9 father_pnr 0101010029",
        "custody 10 custodian_pnr_start_date …",
        "guardianship_typed 12 guardian_pnr 0101010029",
    ] {
        assert!(has(&shown, cell), "{cell}");
    }
}
