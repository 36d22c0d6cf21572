use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type};

use super::*;
use crate::policy::NumberRule;
use crate::schema::OUT_OF_SCOPE;
use crate::{Scan, ScanOptions, TableRequest};

const EXTRACT: &str = "00000000000001109012001111720011116\n\
    0010101965058          01000000000000 K1896-01-01\n\
    002010196505808510000\n\
    0010101965066          90000000000000 M1896-01-01\n\
    002010196506608510000\n\
    0010101965074          01000000000000 M1896-01-01\n\
    002010196507407060000\n\
    0030101965058Somebody\n\
    999999999999900000007\n";

fn select(filter: PersonFilter) -> Selection {
    finish(Selection::open(filter).unwrap(), EXTRACT).0
}

/// The selection after this extract, pushed in small blocks.
fn finish(mut selection: Selection, extract: &str) -> (Selection, Selected) {
    for piece in extract.as_bytes().chunks(10) {
        selection.push(piece.to_vec()).unwrap();
    }
    let selected = selection.finish().unwrap();
    (selection, selected)
}

fn choose(policy: &Policy, roster: Option<&[u8]>, extract: &str) -> (Selection, Selected) {
    let selection = Selection::open_policy(policy.clone(), roster).unwrap();
    finish(selection, extract)
}

fn codes(codes: &[&str]) -> Option<Vec<String>> {
    Some(codes.iter().map(|code| (*code).to_owned()).collect())
}

/// The batches that a scan for the selection yields.
fn scan(
    selection: &Selection,
    extract: &str,
    options: &ScanOptions,
) -> Vec<(&'static str, RecordBatch)> {
    let mut scan = Scan::open(options, Some(selection)).unwrap();
    scan.push(extract.as_bytes().to_vec()).unwrap();
    scan.finish().unwrap();
    let mut batches = Vec::new();
    while let Some(rows) = scan.next().unwrap() {
        batches.push((rows.table.name(), rows.batch));
    }
    batches
}

/// The lines that a scan of all tables yields for the selection.
fn lines_of(selection: &Selection, extract: &str) -> Vec<i64> {
    let mut lines = Vec::new();
    for (_, batch) in scan(selection, extract, &ScanOptions::default()) {
        if let Some(line) = batch.column_by_name("line") {
            lines.extend(line.as_primitive::<Int64Type>().values());
        }
    }
    lines.sort_unstable();
    lines
}

fn lines(selection: &Selection) -> Vec<i64> {
    lines_of(selection, EXTRACT)
}

/// Who has left, as `number reason`.
fn left(selection: &Selection, extract: &str) -> Vec<String> {
    let mut left = Vec::new();
    for (table, batch) in scan(selection, extract, &ScanOptions::default()) {
        if table == OUT_OF_SCOPE {
            let text = |name| {
                batch
                    .column_by_name(name)
                    .unwrap()
                    .as_string::<i32>()
                    .clone()
            };
            let (numbers, reasons) = (text("pnr"), text("reason"));
            let pairs = numbers.iter().zip(&reasons);
            left.extend(pairs.map(|(n, r)| format!("{} {}", n.unwrap(), r.unwrap())));
        }
    }
    left
}

#[test]
fn a_person_is_chosen_with_every_record_wherever_it_stands() {
    let living_in_0851 = select(PersonFilter {
        municipality_codes: codes(&["0851"]),
        status_codes: codes(&["01", "03"]),
        ..PersonFilter::default()
    });
    assert_eq!(lines(&living_in_0851), [2, 3, 8]);
    let by_number = select(PersonFilter {
        numbers: codes(&["0101965074", "0101965082"]),
        ..PersonFilter::default()
    });
    assert_eq!(lines(&by_number), [6, 7]);
    let everybody = select(PersonFilter::default());
    assert_eq!(lines(&everybody), [2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn ages_and_events() {
    let extract = "00000000000001109012026061520260614\n\
        0010101080018          01000000000000 K2008-01-01\n\
        0010101980019          01000000000000 K1998-01-01\n\
        0010101980027          01000000000000 K1998-00-00\n\
        0990101980019202606141200A01\n\
        0990101080018202606141200A02\n";
    let of = |filter: PersonFilter| {
        let policy = Policy {
            persons: filter,
            ..Policy::open()
        };
        lines_of(&choose(&policy, None, extract).0, extract)
    };
    let ages = |youngest, oldest| {
        of(PersonFilter {
            ages: Some(AgeRange { youngest, oldest }),
            ..PersonFilter::default()
        })
    };
    assert_eq!(ages(0, 18), [2, 6]);
    assert_eq!(ages(18, 28), [2, 3, 5, 6]);
    assert_eq!(ages(0, 999), [2, 3, 5, 6]);
    let events = |wanted: &[&str]| {
        of(PersonFilter {
            event_codes: codes(wanted),
            ..PersonFilter::default()
        })
    };
    assert_eq!(events(&["A01"]), [3, 5]);
    assert_eq!(events(&["A01", "A02"]), [2, 3, 5, 6]);
    assert!(events(&[]).is_empty());
}

#[test]
fn ages_without_a_day_are_an_error() {
    let policy = Policy {
        persons: PersonFilter {
            ages: Some(AgeRange {
                youngest: 0,
                oldest: 99,
            }),
            ..PersonFilter::default()
        },
        ..Policy::open()
    };
    let ended = |policy: &Policy| {
        let mut selection = Selection::open_policy(policy.clone(), None).unwrap();
        selection
            .push(b"0010101080018          01000000000000 K2008-01-01\n".to_vec())
            .unwrap();
        selection.finish()
    };
    assert!(
        matches!(ended(&policy), Err(Error::InvalidRequest(what)) if what.contains("no day to judge them on"))
    );
    let with_day = Policy {
        day: Some("2026-06-15".to_owned()),
        ..policy
    };
    assert_eq!(ended(&with_day).unwrap().persons, 1);
}

#[test]
fn selections_merge() {
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
    let by_policy = choose(&Policy::open(), None, EXTRACT).0;
    assert!(matches!(
        chosen.merge(&by_policy),
        Err(Error::InvalidRequest(_))
    ));
}

/// Everything that two selections say: whom they choose, who leaves and why, who is protected, and the roster.
fn told(selection: &Selection, extract: &str) -> (Vec<String>, Vec<String>, Vec<u8>) {
    let mut rows = Vec::new();
    for (table, batch) in scan(selection, extract, &ScanOptions::default()) {
        rows.push(format!("{table} {:?}", batch.columns()));
    }
    (rows, left(selection, extract), selection.roster().unwrap())
}

/// One extract in parts, each with its start record: a person's records may be in several of them.
#[test]
fn parts_of_an_extract_merge_to_the_whole_in_any_order() {
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
            let expected = told(&choose(&policy, Some(&roster), whole).0, whole);
            assert_eq!(
                expected.1.len(),
                if protection == ProtectionRule::Drop {
                    4
                } else {
                    3
                }
            );
            // The persons' 001 here, everything else there, and the same by threes.
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
                    assert!(told(&merged, whole) == expected, "{protection:?} {order:?}");
                }
            }
        }
    }
}

/// Protections are judged by each pass on the day of its extract, and one of another day would mix the two.
#[test]
fn extracts_of_two_days_do_not_merge() {
    let policy = in_0851(ProtectionRule::Mask);
    let mut one = choose(&policy, None, FIRST).0;
    let other = choose(&policy, None, SECOND).0;
    assert!(
        matches!(one.merge(&other), Err(Error::InvalidRequest(what)) if what.contains("same day"))
    );
    let unfinished = Selection::open_policy(policy, None).unwrap();
    assert!(matches!(one.merge(&unfinished), Err(Error::Misuse(_))));
}

/// A host that keeps rosters of several extracts joins them by selections that have seen nothing.
#[test]
fn rosters_merge() {
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
        of(&everybody.replace(" 90", " 01"))
    );
}

#[test]
fn misuse_and_misfits_are_typed() {
    let mut open = Selection::open(PersonFilter::default()).unwrap();
    assert!(matches!(
        Scan::open(&ScanOptions::default(), Some(&open)),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(open.roster(), Err(Error::Misuse(_))));
    open.finish().unwrap();
    assert!(matches!(open.push(Vec::new()), Err(Error::Misuse(_))));
    assert!(matches!(open.roster(), Err(Error::InvalidRequest(_))));
    let ages = AgeRange {
        youngest: 2,
        oldest: 1,
    };
    for filter in [
        PersonFilter {
            municipality_codes: codes(&["851"]),
            ..PersonFilter::default()
        },
        PersonFilter {
            numbers: codes(&["010196505"]),
            ..PersonFilter::default()
        },
        PersonFilter {
            event_codes: codes(&["A0"]),
            ..PersonFilter::default()
        },
        PersonFilter {
            ages: Some(ages),
            ..PersonFilter::default()
        },
    ] {
        let refused = Selection::open(filter);
        assert!(matches!(refused, Err(Error::InvalidRequest(_))));
    }
}

#[test]
fn nobody_is_named_by_debug() {
    let filter = PersonFilter {
        numbers: codes(&["0101965074"]),
        ..PersonFilter::default()
    };
    assert!(!format!("{filter:?}").contains("0101965074"));
    assert!(!format!("{:?}", select(filter.clone())).contains("0101965074"));
    let policy = Policy {
        persons: filter,
        rows: vec![("person".to_owned(), "pnr = '0101965074'".to_owned())],
        ..Policy::open()
    };
    assert!(!format!("{policy:?}").contains("0101965074"));
}

/// Ten zeros are nobody, and nobody is chosen.
#[test]
fn nobody_is_chosen_by_zeros() {
    let extract = "0010000000000          01000000000000 K1896-01-01\n";
    let (selection, selected) = choose(&Policy::open(), None, extract);
    assert_eq!(selected, Selected::default());
    assert!(lines_of(&selection, extract).is_empty());
}

const FIRST: &str = "00000000000001109012026061420260613\n\
    0010101010010          01000000000000 K1990-01-01\n\
    002010101001008510000\n\
    0010101010029          01000000000000 K1990-01-01\n\
    002010101002908510000\n\
    0010101010037          01000000000000 K1990-01-01\n\
    002010101003708510000\n\
    0010101010045          01000000000000 K1990-01-01\n\
    002010101004508510000\n\
    0010101010053          01000000000000 K1990-01-01\n\
    002010101005308510000\n";

const SECOND: &str = "00000000000001109012026061520260614\n\
    0010101010010          01000000000000 K1990-01-01\n\
    002010101001007060000\n\
    0010101010029          90000000000000 K1990-01-01\n\
    0010101010037          60000000000000 K1990-01-01\n\
    0010101010045          01000000000000 K1990-01-01\n\
    002010101004508510000\n\
    00401010100450001\n\
    00401010100530001\n\
    0010101010061          01000000000000 K1990-01-01\n\
    002010101006108510000\n";

fn in_0851(protection: ProtectionRule) -> Policy {
    Policy {
        persons: PersonFilter {
            municipality_codes: codes(&["0851"]),
            ..PersonFilter::default()
        },
        protection,
        ..Policy::open()
    }
}

#[test]
fn who_leaves_is_told_and_who_is_not_delivered_stays() {
    let policy = in_0851(ProtectionRule::Drop);
    let (first, selected) = choose(&policy, None, FIRST);
    assert_eq!(
        selected,
        Selected {
            persons: 5,
            entered: 5,
            left: 0
        }
    );
    assert!(left(&first, FIRST).is_empty());
    let roster = first.roster().unwrap();
    let (second, selected) = choose(&policy, Some(&roster), SECOND);
    assert_eq!(
        selected,
        Selected {
            persons: 1,
            entered: 1,
            left: 4
        }
    );
    assert_eq!(
        left(&second, SECOND),
        [
            "0101010010 moved",
            "0101010029 dead",
            "0101010037 number-changed",
            "0101010045 protected",
        ]
    );
    // Once more the same extract: nobody leaves twice, and the one who was seen without 001 is still in the roster.
    let roster = second.roster().unwrap();
    let (third, selected) = choose(&policy, Some(&roster), SECOND);
    assert_eq!(
        selected,
        Selected {
            persons: 1,
            entered: 0,
            left: 0
        }
    );
    assert_eq!(third.roster().unwrap(), roster);
    let back = "00000000000001109012026061620260615\n\
        0010101010053          80000000000000 K1990-01-01\n\
        0010101010061          01000000000000 K1990-01-01\n\
        002010101006108510000\n";
    let (fourth, _) = choose(&policy, Some(&roster), back);
    assert_eq!(left(&fourth, back), ["0101010053 emigrated"]);
    // Notices name the day on which that is so.
    let (_, batch) = scan(&fourth, back, &ScanOptions::default()).pop().unwrap();
    let date = batch
        .column_by_name("date")
        .unwrap()
        .as_primitive::<Date32Type>()
        .value(0);
    assert_eq!(Some(date), grammar::date(b"2026-06-16"));
}

/// Whoever is dead or gone may have an address that was the last, and lives nowhere.
#[test]
fn a_last_known_address_is_no_residence() {
    let policy = in_0851(ProtectionRule::Mask);
    let roster = choose(&policy, None, FIRST).0.roster().unwrap();
    let extract = "00000000000001109012026061520260614\n\
        0010101010010          90000000000000 K1990-01-01\n\
        002010101001008510000\n\
        002010101002908510000\n\
        0010101010029          80000000000000 K1990-01-01\n\
        0010101010037          20000000000000 K1990-01-01\n\
        002010101003708510000\n\
        0010101010045            000000000000 K1990-01-01\n\
        002010101004508510000\n\
        002010101005308510000\n";
    let (selection, selected) = choose(&policy, Some(&roster), extract);
    assert_eq!((selected.persons, selected.left), (1, 3));
    assert_eq!(
        left(&selection, extract),
        [
            "0101010010 dead",
            "0101010029 emigrated",
            "0101010045 moved"
        ]
    );
    // Whoever asks for the dead gets them where their last address was.
    let with_status = Policy {
        persons: PersonFilter {
            status_codes: codes(&["01", "90"]),
            ..policy.persons.clone()
        },
        ..policy
    };
    let (selection, _) = choose(&with_status, None, extract);
    assert_eq!(lines_of(&selection, extract), [2, 3]);
    // A filter alone keeps to the same.
    let by_filter = Selection::open(in_0851(ProtectionRule::Mask).persons).unwrap();
    let (selection, _) = finish(by_filter, extract);
    assert_eq!(lines_of(&selection, extract), [6, 7]);
}

/// An extract that comes late says how things were of persons of whom a later one has told.
#[test]
fn whom_a_later_extract_has_delivered_a_late_one_does_not_bring_back() {
    // The first comes after the second, which has no 001 of 0101010045 and 0101010053, and has 0101010061 besides.
    let second = &SECOND.replace("0010101010045 ", "0010101010088 ");
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let policy = in_0851(protection);
        let (newer, _) = choose(&policy, None, second);
        let (roster, delivered) = (newer.roster().unwrap(), newer.delivered().unwrap());
        let late = |extract: &str| {
            let mut late = Selection::open_policy(policy.clone(), Some(&roster)).unwrap();
            late.supersede(&delivered).unwrap();
            finish(late, extract)
        };
        let (selection, selected) = late(FIRST);
        assert_eq!(
            (selected.persons, selected.entered, selected.left),
            (2, 2, 0)
        );
        assert_eq!(lines_of(&selection, FIRST), [8, 9, 10, 11]);
        // What it delivers is all that it has.
        let (all, _) = choose(&Policy::open(), None, FIRST);
        assert!(selection.delivered().unwrap() == all.roster().unwrap());
        // Whoever is on the roster stays there, and is not told to have moved before having come.
        let away = FIRST.replace("8510000", "7060000");
        let roster = choose(&policy, None, FIRST).0.roster().unwrap();
        let mut late = Selection::open_policy(policy.clone(), Some(&roster)).unwrap();
        late.supersede(&delivered).unwrap();
        let (selection, _) = finish(late, &away);
        assert_eq!(
            left(&selection, &away),
            ["0101010045 moved", "0101010053 moved"]
        );
        let others = roster::read(&selection.roster().unwrap()).unwrap();
        assert!(others == [101_010_010, 101_010_029, 101_010_037].into());
    }
    // As a relative, such a person is masked.
    let with_spouse = format!(
        "{FIRST}0120101010045G0101010010           Bodil\n0120101010045G0101010053           Clara\n"
    );
    let mut policy = in_0851(ProtectionRule::Mask);
    policy.tables = Some(vec!["civil_status".to_owned()]);
    let newer = choose(&policy, None, second).0.delivered().unwrap();
    let mut late = Selection::open_policy(policy.clone(), None).unwrap();
    late.supersede(&newer).unwrap();
    let (late, _) = finish(late, &with_spouse);
    let in_order = choose(&policy, None, &with_spouse).0;
    let names = |selection: &Selection| {
        let batches = scan(selection, &with_spouse, &ScanOptions::default());
        let (_, batch) = batches.into_iter().next().unwrap();
        let names = batch.column_by_name("spouse_name").unwrap();
        let names = names.as_string::<i32>().iter();
        names
            .map(|name| name.map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(names(&in_order), [name("Bodil"), name("Clara")]);
    assert_eq!(names(&late), [None, name("Clara")]);
    let mut open = Selection::open(PersonFilter::default()).unwrap();
    assert!(matches!(
        open.supersede(&newer),
        Err(Error::InvalidRequest(_))
    ));
    open.finish().unwrap();
    assert!(matches!(open.delivered(), Err(Error::InvalidRequest(_))));
}

#[test]
fn the_first_reason_that_fits() {
    let roster = choose(&in_0851(ProtectionRule::Mask), None, FIRST)
        .0
        .roster()
        .unwrap();
    let policy = Policy {
        persons: PersonFilter {
            status_codes: codes(&["90", "01"]),
            ages: Some(AgeRange {
                youngest: 30,
                oldest: 40,
            }),
            numbers: codes(&["0101010010", "0101010029", "0101010037"]),
            ..PersonFilter::default()
        },
        ..in_0851(ProtectionRule::Mask)
    };
    let extract = "00000000000001109012026061520260614\n\
        0010101010010          01000000000000 K2010-01-01\n\
        002010101001008510000\n\
        0010101010029          90000000000000 K1990-01-01\n\
        002010101002908510000\n\
        0010101010037          03000000000000 K1990-01-01\n\
        002010101003708510000\n\
        0010101010045          01000000000000 K1990-01-01\n\
        002010101004508510000\n\
        00401010100450001\n\
        0010101010053          70000000000000 K1990-01-01\n\
        002010101005308510000\n";
    let (selection, selected) = choose(&policy, Some(&roster), extract);
    // The dead one is in scope by a filter that asks for the dead.
    assert_eq!(
        selected,
        Selected {
            persons: 1,
            entered: 0,
            left: 4
        }
    );
    assert_eq!(
        left(&selection, extract),
        [
            "0101010010 age",
            "0101010037 status",
            // Protection keeps nobody out under mask.
            "0101010045 not-listed",
            "0101010053 disappeared",
        ]
    );
}

#[test]
fn leavers_come_once_more_where_the_policy_says_so() {
    let roster = choose(&in_0851(ProtectionRule::Drop), None, FIRST)
        .0
        .roster()
        .unwrap();
    let policy = |leavers, protection| Policy {
        leavers,
        ..in_0851(protection)
    };
    let of = |leavers, protection| {
        let (selection, _) = choose(&policy(leavers, protection), Some(&roster), SECOND);
        lines_of(&selection, SECOND)
    };
    assert_eq!(of(LeaverRule::Notice, ProtectionRule::Drop), [10, 11]);
    // The newly protected one does not.
    assert_eq!(
        of(LeaverRule::Last, ProtectionRule::Drop),
        [2, 3, 4, 5, 10, 11]
    );
    assert_eq!(
        of(LeaverRule::Notice, ProtectionRule::Include),
        [6, 7, 8, 10, 11]
    );
    assert_eq!(
        of(LeaverRule::Last, ProtectionRule::Include),
        [2, 3, 4, 5, 6, 7, 8, 10, 11]
    );
}

#[test]
fn a_roster_of_nonsense_is_refused() {
    let opened = Selection::open_policy(Policy::open(), Some(b"nonsense"));
    assert!(matches!(opened, Err(Error::InvalidRequest(what)) if what.contains("roster")));
}

#[test]
fn out_of_scope_can_be_asked_for_alone() {
    let roster = choose(&in_0851(ProtectionRule::Drop), None, FIRST)
        .0
        .roster()
        .unwrap();
    let (selection, _) = choose(&in_0851(ProtectionRule::Drop), Some(&roster), SECOND);
    let options = ScanOptions {
        tables: Some(vec![TableRequest {
            name: OUT_OF_SCOPE.to_owned(),
            columns: codes(&["reason", "pnr"]),
            predicate: Some("reason in ('dead', 'moved')".to_owned()),
        }]),
        batch_rows: 1,
        ..ScanOptions::default()
    };
    let batches = scan(&selection, SECOND, &options);
    assert_eq!(batches.len(), 2);
    let first = |batch: &RecordBatch| {
        let texts = batch
            .columns()
            .iter()
            .map(|column| column.as_string::<i32>().value(0).to_owned());
        texts.collect::<Vec<_>>().join(" ")
    };
    let rows: Vec<String> = batches.iter().map(|(_, batch)| first(batch)).collect();
    assert_eq!(rows, ["moved 0101010010", "dead 0101010029"]);
    // Without a policy there is no such table.
    assert!(Scan::open(&options, None).is_err());
    let dropped = Policy {
        numbers: NumberRule::Drop,
        ..in_0851(ProtectionRule::Drop)
    };
    let view = dropped.view().unwrap();
    let names = view
        .table(OUT_OF_SCOPE)
        .unwrap()
        .columns
        .iter()
        .map(|column| column.name());
    assert_eq!(names.collect::<Vec<_>>(), ["reason", "date"]);
}
