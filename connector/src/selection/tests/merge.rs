//! Tests of merged selections and rosters.

use super::*;

#[test]
fn merges_selections() {
    let mut chosen = select(PersonFilter {
        status_codes: codes(&["90"]),
        ..PersonFilter::default()
    });
    let other = select(PersonFilter {
        municipality_codes: codes(&["0706"]),
        ..PersonFilter::default()
    });
    chosen.merge(&other).unwrap();
    assert_eq!(lines(&chosen), [4, 5, 6, 7]);
    let policy_pass = choose(&Policy::open(), None, EXTRACT).0;
    assert!(matches!(
        chosen.merge(&policy_pass),
        Err(Error::InvalidRequest(_))
    ));
}

/// Returns everything that a selection tells: the selected persons, the leavers with their reasons, the protected
/// persons and the roster.
fn state_of(selection: &Selection, extract: &str) -> (Vec<String>, Vec<String>, Vec<u8>) {
    let mut rows = Vec::new();
    for (table, batch) in scan(selection, extract, &ScanOptions::default()) {
        rows.push(format!("{table} {:?}", batch.columns()));
    }
    (rows, left(selection, extract), selection.roster().unwrap())
}

/// One extract in parts, each with its start record; a person's records may be in several of them.
#[test]
fn parts_of_an_extract_merge_in_any_order() {
    let roster = choose(&in_0851(ProtectionRule::Mask), None, FIRST)
        .0
        .roster()
        .unwrap();
    let whole = "00000000000001109012026061520260614\n\
        0010101010010          01000000000000 K1990-01-01\n\
        0010101010029          90000000000000 K1990-01-01\n\
        0010101010037          01000000000000 K1950-01-01\n\
        0010101010045          01000000000000 K1990-01-01\n\
        0010101010061          01000000000000 K1990-01-01\n\
        0010101010088          01000000000000 K1990-01-01\n\
        002010101001007060000\n\
        002010101002908510000\n\
        002010101003708510000\n\
        002010101004508510000\n\
        002010101006108510000\n\
        002010101008808510000\n\
        00401010100450001\n\
        00401010100610001          2026-06-15\n\
        0080101010061Somebody\n\
        0080101010045Somebody\n\
        0990101010088202606141200A01\n";
    let start = &whole[..36];
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        for leavers in [LeaverRule::Notice, LeaverRule::Last] {
            let mut policy = in_0851(protection);
            policy.leavers = leavers;
            policy.persons.ages = Some(AgeRange {
                youngest: 18,
                oldest: 66,
            });
            let expected = state_of(&choose(&policy, Some(&roster), whole).0, whole);
            assert_eq!(
                expected.1.len(),
                if protection == ProtectionRule::Drop {
                    4
                } else {
                    3
                }
            );
            // The 001 records in one part and all others in the other; then every third line.
            let lines: Vec<&str> = whole.split_inclusive('\n').skip(1).collect();
            let of = |belongs: &dyn Fn(usize) -> bool| {
                let lines = lines.iter().enumerate();
                let own = lines.filter(|(place, _)| belongs(*place));
                let part = own.map(|(_, line)| *line).collect::<String>();
                choose(&policy, Some(&roster), &format!("{start}{part}")).0
            };
            for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
                for part_of in [
                    &(|place: usize| place / 6) as &dyn Fn(usize) -> usize,
                    &|place: usize| place % 3,
                ] {
                    let mut parts = order
                        .map(|part| of(&|place| part_of(place) == part))
                        .into_iter();
                    let mut merged = parts.next().unwrap();
                    for part in parts {
                        merged.merge(&part).unwrap();
                    }
                    assert!(
                        state_of(&merged, whole) == expected,
                        "{protection:?} {order:?}"
                    );
                }
            }
        }
    }
}

/// Each pass evaluates protections on the day of its extract; merging two days would mix them.
#[test]
fn refuses_to_merge_extracts_of_two_days() {
    let policy = in_0851(ProtectionRule::Mask);
    let mut one = choose(&policy, None, FIRST).0;
    let other = choose(&policy, None, SECOND).0;
    assert!(
        matches!(one.merge(&other), Err(Error::InvalidRequest(what)) if what.contains("same day"))
    );
    let unfinished = Selection::open_policy(policy, None).unwrap();
    assert!(matches!(one.merge(&unfinished), Err(Error::Misuse(_))));
}

/// A host that keeps rosters of several extracts merges them through selections that have read nothing.
#[test]
fn merges_rosters() {
    let policy = in_0851(ProtectionRule::Mask);
    let of = |extract: &str| choose(&policy, None, extract).0.roster().unwrap();
    let (first, second) = (of(FIRST), of(SECOND));
    let empty = |roster: &[u8]| choose(&policy, Some(roster), "").0;
    let mut joined = empty(&first);
    joined.merge(&empty(&second)).unwrap();
    let mut again = empty(&second);
    again.merge(&empty(&first)).unwrap();
    assert_eq!(joined.roster().unwrap(), again.roster().unwrap());
    let everybody = [FIRST, &SECOND[36..]].concat();
    assert_eq!(
        joined.roster().unwrap(),
        of(&everybody.replace(" 90", " 01").replace(" 60", " 01"))
    );
}
