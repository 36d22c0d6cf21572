//! Tests of damaged protections.

use super::protection::{name, person};
use super::*;

/// Returns the names and the roster under a policy, and how many persons left, after an extract with this 004.
fn with_damage(
    protection: ProtectionRule,
    damaged: &str,
    roster: &[u8],
) -> (Vec<String>, Vec<u8>, u64) {
    let policy = Policy {
        protection,
        ..policy()
    };
    let extract = [
        "00000000000001109012026061520260614\n".to_owned(),
        person("0101010010", "01", ""),
        name("0101010010"),
        person("0101010029", "01", ""),
        name("0101010029"),
        format!("{damaged}\n"),
    ]
    .concat();
    let mut selection = Selection::open_policy(policy.clone(), Some(roster)).unwrap();
    selection.push(extract.as_bytes().to_vec()).unwrap();
    let selected = selection.finish().unwrap();
    let mut cells = cells(&policy, &extract);
    cells.retain(|cell| cell.contains("Anna"));
    (cells, selection.roster().unwrap(), selected.left)
}

/// Returns a roster with these persons.
fn roster_of(persons: &[&str]) -> Vec<u8> {
    let mut selection = Selection::open_policy(policy(), None).unwrap();
    let extract: String = persons.iter().map(|pnr| person(pnr, "01", "")).collect();
    selection.push(extract.into_bytes()).unwrap();
    selection.finish().unwrap();
    selection.roster().unwrap()
}

#[test]
fn a_damaged_protection_hides_its_person_and_makes_no_leaver() {
    let (none, one) = (roster_of(&[]), roster_of(&["0101010010"]));
    let (other, both) = (
        roster_of(&["0101010029"]),
        roster_of(&["0101010010", "0101010029"]),
    );
    for rule in [ProtectionRule::Mask, ProtectionRule::Drop] {
        // Persons with published rows are on the roster, so that a later delivery can report them as leavers.
        let is_published = rule == ProtectionRule::Mask;
        // The number can be read.
        for damaged in [
            "004010101 00100001",
            " 00401010100100001",
            "0O401010100100001",
        ] {
            let visible = vec!["name 5 given_name Anna".to_owned()];
            assert_eq!(
                with_damage(rule, damaged, &none),
                (
                    visible.clone(),
                    if is_published {
                        both.clone()
                    } else {
                        other.clone()
                    },
                    0
                )
            );
            assert_eq!(
                with_damage(rule, damaged, &both),
                (visible.clone(), both.clone(), 0)
            );
            assert_eq!(with_damage(rule, damaged, &one), (visible, both.clone(), 0));
        }
        // It may be the protection of any person.
        for damaged in [
            "004010101 0100001",
            "004",
            "00400000000000001",
            "004          0001",
            // Lines that are no whole record, or may be another record than they seem.
            "garbage",
            "034010101 00100001",
            "0080101X10010Anna",
            "053010101X010Anna",
            "9004010101001000012020-01-01",
            "9022010101002901010100101990-01-01 2020-01-01 more",
            "0040101010010-001",
            "02200000000000101010029",
        ] {
            for roster in [&none, &one, &both] {
                let after = if is_published { &both } else { roster };
                assert_eq!(
                    with_damage(rule, damaged, roster),
                    (vec![], after.clone(), 0)
                );
            }
        }
        // Only the type cannot be read: an ordinary protection.
        for unreadable in [
            "0040101010010",
            "00401010100101",
            "0040101010010 1",
            "0040101010010\t",
        ] {
            let visible = vec!["name 5 given_name Anna".to_owned()];
            let roster = if rule == ProtectionRule::Drop {
                &other
            } else {
                &both
            };
            let left = u64::from(rule == ProtectionRule::Drop);
            assert_eq!(
                with_damage(rule, unreadable, &both),
                (visible, roster.clone(), left)
            );
        }
    }
    // A tie that is cut off is about any person too.
    for cut in ["0", "00", "010101", " 0"] {
        let record = format!("0010101010037{cut}");
        for rule in [ProtectionRule::Mask, ProtectionRule::Drop] {
            assert!(with_damage(rule, &record, &none).0.is_empty(), "{cut:?}");
        }
    }
    // Other damage hides no person.
    for harmless in [
        "   ",
        "0530101010010SOME TEXT 2026-01-01 202611221011",
        "0340101010010 001",
        "00400000000000003",
        "0040101010010 ",
    ] {
        let (visible, ..) = with_damage(ProtectionRule::Mask, harmless, &none);
        assert_eq!(
            visible.len(),
            if harmless.starts_with("004010") { 1 } else { 2 }
        );
    }
}
