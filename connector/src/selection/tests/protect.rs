//! Tests of persons who are protected by something that the extract does not have, and of lists that change.

use super::*;

const A: &str = "0101965058";
const B: &str = "0101965066";
const C: &str = "0101965074";

/// A is an old number of B, and both have a name.
const CHAIN: &str = "00000000000001109012001111720011116\n\
    0010101965058010196506660000000000000 K1896-01-01\n\
    0010101965066          01000000000000 K1896-01-01\n\
    0010101965074          01000000000000 K1896-01-01\n\
    999999999999900000003\n";

fn numbers(numbers: &[&str]) -> Vec<String> {
    numbers.iter().map(|one| (*one).to_owned()).collect()
}

fn selected(protection: ProtectionRule, protected: &[&str]) -> (Selection, Selected) {
    let policy = Policy {
        protection,
        ..Policy::default()
    };
    let mut selection = Selection::open_policy(policy, None).unwrap();
    selection.protect(&numbers(protected)).unwrap();
    finish(selection, CHAIN)
}

#[test]
fn persons_who_are_named_count_as_protected_under_all_numbers() {
    for named in [A, B] {
        let (selection, counts) = selected(ProtectionRule::Drop, &[named]);
        assert_eq!(counts.persons, 1);
        assert_eq!(selection.protected_numbers().unwrap(), [A, B]);
        let (_, counts) = selected(ProtectionRule::Mask, &[named]);
        assert_eq!(counts.persons, 3);
    }
    let (selection, counts) = selected(ProtectionRule::Drop, &[]);
    assert_eq!(counts.persons, 3);
    assert!(selection.protected_numbers().unwrap().is_empty());
}

#[test]
fn refuses_what_is_no_number_and_a_pass_that_has_ended() {
    let mut selection = Selection::open_policy(Policy::default(), None).unwrap();
    assert!(selection.protect(&numbers(&["1"])).is_err());
    assert!(selection.protected_numbers().is_err());
    let (mut selection, _) = finish(selection, CHAIN);
    assert!(selection.protect(&numbers(&[A])).is_err());
    let mut state = Selection::open_state(None, None).unwrap();
    assert!(state.protect(&numbers(&[A])).is_err());
    let mut by_filter = Selection::open(PersonFilter::default()).unwrap();
    assert!(by_filter.protect(&numbers(&[A])).is_err());
}

#[test]
fn lists_lose_persons_and_have_persons_in_common() {
    let (selection, _) = selected(ProtectionRule::Mask, &[]);
    let roster = selection.roster().unwrap();
    let read = |bytes: &[u8]| {
        let persons = roster::read(bytes).unwrap();
        ten_digits(&persons)
    };
    assert_eq!(read(&roster), [A, B, C]);
    let rest = Selection::roster_without(&roster, &numbers(&[A, C])).unwrap();
    assert_eq!(read(&rest), [B]);
    assert_eq!(
        Selection::roster_without(&roster, &[]).unwrap(),
        roster,
        "the same persons always give the same bytes"
    );
    let common = Selection::common_roster(Some(&roster), &rest).unwrap();
    assert_eq!(read(&common), [B]);
    assert!(read(&Selection::common_roster(None, &rest).unwrap()).is_empty());
    assert!(Selection::roster_without(b"no roster", &[]).is_err());
    assert!(Selection::common_roster(Some(b"no roster"), &roster).is_err());
}
