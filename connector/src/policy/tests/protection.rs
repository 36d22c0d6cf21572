//! Tests of masking and dropping protected persons.

use super::*;

#[test]
fn masks_protected_persons_and_relatives() {
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

/// The register protects a person by the valid number; the records under a former number belong to the same person.
#[test]
fn protects_a_person_under_a_former_number() {
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
        // The valid number is not in the extract, so it may be protected.
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

/// A start date of a relative's protection in 031-033 masks the relative, whatever the date is.
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

/// Without a production date and without a day in the policy, every protection is in force.
#[test]
fn without_a_day_every_protection_is_in_force() {
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
    // The policy's own day applies to ages only.
    assert!(!is_shown(&policy(), ""));
}

/// A policy's day applies to ages and may be in the past; a protection that began later is still in force.
#[test]
fn a_protection_after_the_policys_day_is_in_force() {
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
