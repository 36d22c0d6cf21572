//! Tests of rosters, leavers and extracts that are read late.

use super::*;

#[test]
fn reports_leavers_and_keeps_persons_not_delivered() {
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
            "0101010045 unsubscribed",
        ]
    );
    // The same extract again: no person leaves twice, and the person without a 001 is still on the roster.
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
    // Rows of `out_of_scope` have the production date.
    let (_, batch) = scan(&fourth, back, &ScanOptions::default()).pop().unwrap();
    let date = batch
        .column_by_name("date")
        .unwrap()
        .as_primitive::<Date32Type>()
        .value(0);
    assert_eq!(Some(date), grammar::date(b"2026-06-16"));
}

/// Persons who are dead or gone may have a last known address, but are not residents.
#[test]
fn a_last_known_address_is_not_a_residence() {
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
    assert_eq!((selected.persons, selected.left), (0, 3));
    assert_eq!(
        left(&selection, extract),
        [
            "0101010010 dead",
            "0101010029 emigrated",
            // Status 20 is not resident. A blank status says nothing.
            "0101010037 status",
        ]
    );
    // A filter with the status of dead persons finds them at their last address.
    let with_status = Policy {
        persons: PersonFilter {
            status_codes: codes(&["01", "90"]),
            ..policy.persons.clone()
        },
        ..policy
    };
    let (selection, _) = choose(&with_status, None, extract);
    assert_eq!(lines_of(&selection, extract), [2, 3]);
    // A filter without a policy does the same.
    let by_filter = Selection::open(in_0851(ProtectionRule::Mask).persons).unwrap();
    let (selection, _) = finish(by_filter, extract);
    assert!(lines_of(&selection, extract).is_empty());
    // Every status of a resident is in scope, and a person in another municipality has moved whatever the status was.
    let extract = "00000000000001109012026061520260614\n\
        0010101010010          01000000000000 K1990-01-01\n\
        002010101001008510000\n\
        0010101010029          03000000000000 K1990-01-01\n\
        002010101002908510000\n\
        0010101010037          05000000000000 K1990-01-01\n\
        002010101003708510000\n\
        0010101010045          07000000000000 K1990-01-01\n\
        002010101004508510000\n\
        0010101010053          03000000000000 K1990-01-01\n\
        002010101005307060000\n";
    let (selection, selected) = choose(&in_0851(ProtectionRule::Mask), Some(&roster), extract);
    assert_eq!((selected.persons, selected.left), (4, 1));
    assert_eq!(left(&selection, extract), ["0101010053 moved"]);
}

/// If an agreement no longer orders 002, the municipality is not known, and no person is reported as moved.
#[test]
fn a_missing_address_ends_no_residence() {
    let extract = "00000000000001109012026061520260614\n\
        0010101010010          01000000000000 K1990-01-01\n\
        0010101010029          01000000000000 K1990-01-01\n\
        002010101002900000000\n\
        0010101010037          01000000000000 K1990-01-01\n\
        0020101010037    0000\n\
        0010101010045          90000000000000 K1990-01-01\n\
        0010101010053          01000000000000 K1990-01-01\n\
        002010101005307060000\n\
        0010101010061          01000000000000 K1990-01-01\n\
        0010101010088          20000000000000 K1990-01-01\n\
        9970101010096202606141200A45\n";
    let before = [
        101_010_010,
        101_010_029,
        101_010_037,
        101_010_045,
        101_010_053,
        101_010_088,
        101_010_096,
    ];
    let roster = roster::write(&before.into()).unwrap();
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let policy = in_0851(protection);
        let (selection, selected) = choose(&policy, Some(&roster), extract);
        assert_eq!(
            (selected.persons, selected.entered, selected.left),
            (0, 0, 4)
        );
        // What the extract says still ends a person's time in scope.
        assert_eq!(
            left(&selection, extract),
            [
                "0101010045 dead",
                "0101010053 moved",
                "0101010088 status",
                "0101010096 unsubscribed",
            ]
        );
        // A person without an address does not enter, and no rows are returned.
        assert!(lines_of(&selection, extract).is_empty());
        let after = roster::read(&selection.roster().unwrap()).unwrap();
        assert!(after == [101_010_010, 101_010_029, 101_010_037].into());
        // The address decides when it comes again.
        let (next, _) = choose(&policy, Some(&selection.roster().unwrap()), SECOND);
        assert!(left(&next, SECOND).contains(&"0101010010 moved".to_owned()));
    }
    // Another condition that a person does not meet is a reason.
    let filter = PersonFilter {
        ages: Some(AgeRange {
            youngest: 0,
            oldest: 17,
        }),
        numbers: codes(&["0101010010"]),
        ..in_0851(ProtectionRule::Mask).persons
    };
    let policy = Policy {
        persons: filter,
        ..in_0851(ProtectionRule::Mask)
    };
    let (selection, _) = choose(&policy, Some(&roster), extract);
    assert_eq!(
        left(&selection, extract)[..2],
        ["0101010010 age", "0101010029 age"]
    );
    // A protection that drops the person is one too.
    let protected = format!("{extract}00401010100100001\n");
    let (selection, _) = choose(&in_0851(ProtectionRule::Drop), Some(&roster), &protected);
    assert!(left(&selection, &protected).contains(&"0101010010 unsubscribed".to_owned()));
}

/// Of a person with two 001 that differ, only a receipt (997) is certain.
#[test]
fn a_receipt_is_the_reason_if_two_001_differ() {
    let roster = choose(&in_0851(ProtectionRule::Mask), None, FIRST)
        .0
        .roster()
        .unwrap();
    let records = "00000000000001109012026061520260614\n\
        0010101010010          01000000000000 K1990-01-01\n\
        0010101010010          90000000000000 K1990-01-01\n\
        002010101001008510000\n\
        0010101010029          90000000000000 K1990-01-01\n\
        0010101010029          90000000000000 K1990-01-01\n\
        002010101002908510000\n\
        9970101010010202606141200A45\n\
        9970101010029202606141200A45\n";
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let policy = Policy {
            leavers: LeaverRule::Last,
            ..in_0851(protection)
        };
        let (selection, _) = choose(&policy, Some(&roster), records);
        assert_eq!(
            left(&selection, records),
            ["0101010010 unsubscribed", "0101010029 dead"]
        );
        // The rows of the person whose 001 are identical are published once more.
        assert_eq!(lines_of(&selection, records), [5, 6, 7, 9]);
    }
}

/// A late extract has outdated data about persons whom a later one has delivered.
/// A later extract says what holds for a person also by a receipt or a protection alone.
#[test]
fn a_late_extract_does_not_bring_back_who_ended_or_was_protected_later() {
    let start = "00000000000001109012026061520260614\n";
    let receipt = "9970101010010202606151200\n";
    for later in [receipt, "00401010100100001\n", "004010101 00100001\n"] {
        for protection in [
            ProtectionRule::Include,
            ProtectionRule::Mask,
            ProtectionRule::Drop,
        ] {
            let policy = in_0851(protection);
            let roster = choose(&policy, None, FIRST).0.roster().unwrap();
            let (newer, _) = choose(&policy, Some(&roster), &format!("{start}{later}"));
            let roster = newer.roster().unwrap();
            let mut late = Selection::open_policy(policy, Some(&roster)).unwrap();
            let delivered = newer.delivered_persons().unwrap();
            late.set_delivered_later(&delivered).unwrap();
            let (late, selected) = finish(late, FIRST);
            assert_eq!(selected.entered, 0, "{later}");
            assert!(late.roster().unwrap() == roster, "{later}");
            let of_person = lines_of(&late, FIRST);
            let lines: Vec<&str> = FIRST.lines().collect();
            let is_of = |line: &i64| lines[*line as usize - 1].get(3..13) == Some("0101010010");
            assert!(!of_person.iter().any(is_of), "{later} {of_person:?}");
        }
    }
}

#[test]
fn a_late_extract_does_not_change_persons_delivered_later() {
    // The first extract is read after the second, which says nothing of 0101010045 and 0101010053, and has 0101010061
    // in addition.
    let second = &SECOND
        .replace("0010101010045 ", "0010101010088 ")
        .replace("0040101010045", "0040101010088")
        .replace("0040101010053", "0040101010088");
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let policy = in_0851(protection);
        let (newer, _) = choose(&policy, None, second);
        let (roster, delivered) = (newer.roster().unwrap(), newer.delivered_persons().unwrap());
        let late = |extract: &str| {
            let mut late = Selection::open_policy(policy.clone(), Some(&roster)).unwrap();
            late.set_delivered_later(&delivered).unwrap();
            finish(late, extract)
        };
        let (selection, selected) = late(FIRST);
        assert_eq!(
            (selected.persons, selected.entered, selected.left),
            (2, 2, 0)
        );
        assert_eq!(lines_of(&selection, FIRST), [8, 9, 10, 11]);
        // The delivered persons of an open policy are all its persons.
        let (all, _) = choose(&Policy::open(), None, FIRST);
        assert!(selection.delivered_persons().unwrap() == all.roster().unwrap());
        // A person on the roster stays there and is not reported to have moved before having come.
        let away = FIRST.replace("8510000", "7060000");
        let roster = choose(&policy, None, FIRST).0.roster().unwrap();
        let mut late = Selection::open_policy(policy.clone(), Some(&roster)).unwrap();
        late.set_delivered_later(&delivered).unwrap();
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
    let newer = choose(&policy, None, second).0.delivered_persons().unwrap();
    let mut late = Selection::open_policy(policy.clone(), None).unwrap();
    late.set_delivered_later(&newer).unwrap();
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
        open.set_delivered_later(&newer),
        Err(Error::InvalidRequest(_))
    ));
    open.finish().unwrap();
    assert!(matches!(
        open.delivered_persons(),
        Err(Error::InvalidRequest(_))
    ));
}

#[test]
fn uses_the_first_reason_that_applies() {
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
    // The dead person is in scope because the filter includes that status.
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
            // Protection does not exclude a person under mask.
            "0101010045 not-listed",
            "0101010053 disappeared",
        ]
    );
}

#[test]
fn repeats_leavers_if_the_policy_says_so() {
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
    // The person who moved is not repeated, and the new address stays hidden. Neither are the newly protected person,
    // the number whose valid number is not known, and the dead person without an address in the municipality.
    assert_eq!(of(LeaverRule::Last, ProtectionRule::Drop), [10, 11]);
    assert_eq!(
        of(LeaverRule::Notice, ProtectionRule::Include),
        [6, 7, 8, 10, 11]
    );
    assert_eq!(
        of(LeaverRule::Last, ProtectionRule::Include),
        [6, 7, 8, 10, 11]
    );
}

/// The rows of a leaver are repeated only while they describe what was in scope.
#[test]
fn repeats_no_state_outside_the_scope() {
    let policy = Policy {
        leavers: LeaverRule::Last,
        ..in_0851(ProtectionRule::Mask)
    };
    let roster = choose(&policy, None, FIRST).0.roster().unwrap();
    let after = |status: &str, address: &str| {
        let extract = format!(
            "00000000000001109012026061520260614\n\
            0010101010010          {status}000000000000 K1990-01-01\n\
            {address}\
            0080101010010Anna\n"
        );
        lines_of(&choose(&policy, Some(&roster), &extract).0, &extract)
    };
    let (own, other) = ("002010101001008510000\n", "002010101001007060000\n");
    for status in ["90", "70", "60", "50", "30"] {
        assert_eq!(after(status, own), [2, 3, 4], "{status}");
        // It is not known where the person lived, or the person had moved before. 003 has an address too.
        let elsewhere = format!("{own}0030101010010{:194}0706\n", "");
        for unknown in ["", "002010101001000000000\n", other, &elsewhere] {
            assert!(after(status, unknown).is_empty(), "{status} {unknown}");
        }
    }
    for (status, address) in [
        ("01", other),
        ("80", own),
        ("80", ""),
        ("20", own),
        ("  ", own),
        ("01", ""),
    ] {
        assert!(after(status, address).is_empty(), "{status}");
    }
}

/// A receipt (997) ends a person, whether or not the extract has other records of that person.
#[test]
fn a_receipt_of_a_subscription_ends_a_person() {
    let roster = choose(&in_0851(ProtectionRule::Mask), None, FIRST)
        .0
        .roster()
        .unwrap();
    let extract = "00000000000001109012026061520260614\n\
        0010101010010          01000000000000 K1990-01-01\n\
        002010101001008510000\n\
        0010101010029          90000000000000 K1990-01-01\n\
        9970101010010202606141200A45\n\
        9970101010029202606141200A45\n\
        9970101010037202606141200A45\n\
        9970101010088202606141200A45\n";
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let (selection, selected) = choose(&in_0851(protection), Some(&roster), extract);
        assert_eq!(
            (selected.persons, selected.entered, selected.left),
            (0, 0, 3)
        );
        assert_eq!(
            left(&selection, extract),
            [
                "0101010010 unsubscribed",
                "0101010029 dead",
                "0101010037 unsubscribed"
            ]
        );
        assert!(lines_of(&selection, extract).is_empty());
        let rest = roster::read(&selection.roster().unwrap()).unwrap();
        assert!(rest == [101_010_045, 101_010_053].into());
    }
    // A later extract has delivered one of them again.
    let delivered = choose(&Policy::open(), None, &FIRST[..85])
        .0
        .delivered_persons()
        .unwrap();
    let mut late = Selection::open_policy(in_0851(ProtectionRule::Mask), Some(&roster)).unwrap();
    late.set_delivered_later(&delivered).unwrap();
    let (late, _) = finish(late, extract);
    assert_eq!(
        left(&late, extract),
        ["0101010029 dead", "0101010037 unsubscribed"]
    );
}

/// It is not certain what holds for a person with two different 001.
#[test]
fn a_person_with_two_different_001_is_masked_and_does_not_leave() {
    let extract = |second: &str| {
        format!(
            "00000000000001109012026061520260614\n\
            0010101010010          01000000000000 K1990-01-01\n\
            002010101001008510000\n\
            0080101010010Anna\n\
            0010101010029          01000000000000 K1990-01-01\n\
            002010101002908510000\n\
            0080101010029Bodil\n\
            {second}\n"
        )
    };
    let different = extract("0010101010010          90000000000000 K1990-01-01");
    let identical = extract("0010101010010          01000000000000 K1990-01-01   ");
    let (own, both) = (["0101010029"], ["0101010010", "0101010029"]);
    let roster_of = |persons: &[&str]| {
        let persons = persons.iter().map(|pnr| pnr.parse::<u64>().unwrap());
        roster::write(&persons.collect()).unwrap()
    };
    let names = |selection: &Selection, extract: &str| {
        let batches = scan(selection, extract, &ScanOptions::default());
        let of_names = batches.into_iter().filter(|(table, _)| *table == "name");
        let names = of_names.flat_map(|(_, batch)| {
            let names = batch.column_by_name("given_name").unwrap();
            names
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        names.collect::<Vec<_>>()
    };
    for rule in [ProtectionRule::Mask, ProtectionRule::Drop] {
        // Persons with published rows are on the roster, so that a later delivery can report them as leavers.
        let entered = if rule == ProtectionRule::Mask {
            &both[..]
        } else {
            &own
        };
        for (before, after) in [(&[][..], entered), (&own, entered), (&both, &both)] {
            let (selection, selected) =
                choose(&in_0851(rule), Some(&roster_of(before)), &different);
            assert_eq!(selected.left, 0);
            assert_eq!(selection.roster().unwrap(), roster_of(after));
            assert_eq!(names(&selection, &different), ["Bodil"]);
        }
        let (selection, _) = choose(&in_0851(rule), None, &identical);
        assert_eq!(selection.roster().unwrap(), roster_of(&both));
        assert_eq!(names(&selection, &identical), ["Anna", "Bodil"]);
    }
    // Two parts of one extract.
    let (one, other) = different.split_at(different.len() - 50);
    let start = &one[..36];
    let mut merged = choose(&in_0851(ProtectionRule::Drop), None, one).0;
    let other = choose(
        &in_0851(ProtectionRule::Drop),
        None,
        &format!("{start}{other}"),
    )
    .0;
    merged.merge(&other).unwrap();
    assert_eq!(names(&merged, &different), ["Bodil"]);
}

#[test]
fn refuses_an_invalid_roster() {
    let opened = Selection::open_policy(Policy::open(), Some(b"nonsense"));
    assert!(matches!(opened, Err(Error::InvalidRequest(what)) if what.contains("roster")));
}

#[test]
fn out_of_scope_can_be_requested_alone() {
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
    // Without a policy this table does not exist.
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

/// A record whose values stand in wrong columns neither brings a person into the scope nor makes a leaver.
#[test]
fn a_shifted_record_decides_nothing() {
    let start = "00000000000001109012026061520260614\n";
    let shifted = |record_type: &str, number: &str, values: &str, column: &str| {
        let table = layout::by_name(record_type).unwrap();
        let width = table.column(column).unwrap().start();
        let head = format!("{}{number}{values}", table.record_type);
        format!("{head:width$}SECRETTEXT\n")
    };
    for protection in [
        ProtectionRule::Include,
        ProtectionRule::Mask,
        ProtectionRule::Drop,
    ] {
        let policy = in_0851(protection);
        let roster = choose(&policy, None, FIRST).0.roster().unwrap();
        // A new person, whose municipality may be that of another column.
        let new = "0101010096";
        let entering = [
            start.to_owned(),
            person(new, "01"),
            shifted("address", new, "0851", "moved_in"),
        ];
        let (selection, selected) = choose(&policy, Some(&roster), &entering.concat());
        assert_eq!(selected.entered, 0, "{protection:?}");
        assert!(selection.roster().unwrap() == roster);
        // A person of the roster who seems to have moved, or to be dead.
        let known = "0101010010";
        for (own, address) in [
            (
                person(known, "01"),
                shifted("address", known, "0706", "moved_in"),
            ),
            (
                shifted("person", known, "          90", "birth_date"),
                String::new(),
            ),
        ] {
            let extract = format!("{start}{own}{address}");
            let (selection, selected) = choose(&policy, Some(&roster), &extract);
            assert_eq!(selected.left, 0, "{protection:?} {extract}");
            assert!(selection.roster().unwrap() == roster, "{protection:?}");
        }
    }
}

/// Returns a 001 of a person who was born in 1990.
fn person(number: &str, status: &str) -> String {
    format!("001{number}          {status}000000000000 K1990-01-01\n")
}

/// Padding after the end record is no damaged protection.
#[test]
fn padding_after_the_end_protects_no_person() {
    let policy = in_0851(ProtectionRule::Drop);
    let whole = format!("{FIRST}999999999999900000099\n");
    let expected = choose(&policy, None, &whole).1;
    assert!(expected.persons > 0);
    for padding in ["\u{1a}", "\u{1a}\n", "\0\0\0\0\0\0\0\0", "   \n\u{1a}"] {
        assert_eq!(
            choose(&policy, None, &format!("{whole}{padding}")).1,
            expected,
            "{padding:?}"
        );
    }
    // In the middle the same bytes can have been a protection.
    let damaged = FIRST.replacen('\n', "\n\u{1a}\n", 1);
    assert_eq!(choose(&policy, None, &damaged).1.persons, 0);
}
