//! Late extracts that tie erased persons to other numbers, and extracts that are accepted after persons were erased. Every byte
//! of the tenants' directories is searched.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;

use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, transfer};

use crate::hidden_later::{
    ALICE, BERTA, CARLA, assert_hidden, assert_shown, erase, other, protection, put, start, town,
};

/// The ways in which a record ties Alice to Berta.
const TIES: [&str; 2] = ["022", "001"];

fn tied(extract: Handmade, tie: &str) -> Handmade {
    match tie {
        "022" => extract.record("022", &[("pnr", BERTA), ("former_pnr", ALICE)]),
        _ => extract.record(
            "001",
            &[("pnr", ALICE), ("status", "60"), ("current_pnr", BERTA)],
        ),
    }
}

/// Alice is erased. Before, an agreement delivered Berta, and no record tied the two.
fn after_erasure(is_other: bool) -> TestRun {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let first = town("20260301")
        .resident(ALICE, "0265", "Anders")
        .resident(CARLA, "0265", "Carlsen");
    put(&test, "town", 1, first);
    let (name, extract) = match is_other {
        true => ("other", other("20260302")),
        false => ("town", town("20260302")),
    };
    put(&test, name, 2, extract.resident(BERTA, "0265", "Birk"));
    assert_shown(&test, "Birk");
    let ended = erase(&test, ALICE);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test
}

#[track_caller]
fn assert_nowhere(test: &TestRun) {
    for text in [ALICE, BERTA, "Anders", "Birk", "Nyborg"] {
        for place in ["state", "tenants"] {
            let found = files_with(&test.path(place), text);
            assert!(found.is_empty(), "{text} is in {found:?}");
        }
    }
    assert_shown(test, "Carlsen");
    assert!(!test.path("state/erasing").exists());
}

/// The person is erased under the other number too, in all agreements, and stays erased for older data that comes later.
#[test]
fn a_late_tie_erases_the_other_number_too() {
    for tie in TIES {
        for is_other in [false, true] {
            for (day, is_protected) in [("20260304", true), ("20260305", true), ("20260305", false)]
            {
                let what = format!("{tie} {is_other} {day} {is_protected}");
                let test = after_erasure(is_other);
                let late = tied(town(day).resident(BERTA, "0265", "Nyborg"), tie);
                let late = match is_protected {
                    true => protection(late, BERTA),
                    false => late,
                };
                let ended = put(&test, "town", 3, late);
                assert!(ended.code < 2, "{what}: {}", ended.stderr);
                assert_nowhere(&test);
                let proofs = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
                assert_eq!(proofs.lines().count(), 2, "{what}: {proofs}");
                let ended = test.sync();
                assert_eq!(ended.text(), "nothing new\n", "{what}");
                // Older data of another agreement does not tie the numbers.
                let older = other("20260303").resident(BERTA, "0265", "Birk");
                put(&test, "other", 4, older);
                assert_nowhere(&test);
                // What CPR produces afterwards is new data.
                test.set_time("2026-03-06T08:00:00Z");
                let new = town("20260306").resident(BERTA, "0265", "Nyborg");
                put(&test, "town", 5, new);
                assert_shown(&test, "Nyborg");
                assert_hidden(&test, "Birk");
            }
        }
    }
}

/// An extract that has only the erased number names the other one.
#[test]
fn a_late_tie_counts_without_a_record_of_the_other_number() {
    let test = after_erasure(true);
    let late = tied(protection(town("20260304"), ALICE), "001");
    let ended = put(&test, "town", 3, late);
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_nowhere(&test);
}

/// The other number is tied to a third one by what is kept.
#[test]
fn a_late_tie_reaches_all_numbers_of_the_person() {
    const THIRD: &str = "0101010045";
    let test = after_erasure(false);
    let kept = other("20260303")
        .resident(THIRD, "0265", "Nyborg")
        .record("022", &[("pnr", THIRD), ("former_pnr", BERTA)]);
    put(&test, "other", 3, kept);
    assert_shown(&test, "Nyborg");
    let late = tied(town("20260304").resident(BERTA, "0265", "Birk"), "022");
    let ended = put(&test, "town", 4, late);
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_nowhere(&test);
    assert!(files_with(&test.path("state"), THIRD).is_empty());
}

/// The erasure waits for an extract that a restored register lacks. When it comes back, it tells another number.
#[test]
fn a_delivery_that_comes_back_completes_the_erasure() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let first = town("20260301").resident(ALICE, "0265", "Anders");
    put(&test, "town", 1, first);
    put(
        &test,
        "other",
        2,
        other("20260302").resident(BERTA, "0265", "Birk"),
    );
    let backup = test.path("backup.tar");
    let backup = backup.to_str().unwrap();
    assert_eq!(test.run_only("backup", &["-o", backup]).code, 0);
    test.set_time("2026-03-05T09:00:00Z");
    let late = tied(town("20260304").resident(CARLA, "0265", "Carlsen"), "001").finish();
    test.put("town3", &late, &transfer(3));
    assert_eq!(test.sync().code, 0);
    assert_eq!(test.run_only("restore", &[backup, "--yes"]).code, 1);
    test.sync();
    let ended = erase(&test, ALICE);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        test.path("state/erasing").exists(),
        "it waits for the extract"
    );
    test.put("town3", &late, &transfer(3));
    let ended = test.sync();
    assert!(ended.code < 2, "{}", ended.stderr);
    assert!(test.remote().is_empty(), "{}", ended.text());
    assert_nowhere(&test);
}

/// A run that is killed after it has found a tie is completed by the next one.
#[test]
fn a_late_tie_survives_a_killed_run() {
    for point in [
        "erase-tied",
        "erase-tied-remembered",
        "erase-noted",
        "erase-lists",
    ] {
        let test = after_erasure(true);
        let late = tied(town("20260304").resident(BERTA, "0265", "Nyborg"), "022");
        let late = protection(late, BERTA).finish();
        test.put("town3", &late, &transfer(3));
        test.stop_at(point).kill();
        let ended = test.sync();
        assert!(ended.code < 2, "{point}: {}", ended.stderr);
        assert_nowhere(&test);
        assert_eq!(test.sync().text(), "nothing new\n", "{point}");
    }
}

/// Data that was produced after the erasure stays. What the late extract protects is hidden in it, until the agreement delivers
/// the person again.
#[test]
fn new_data_of_a_tied_number_stays_and_is_protected() {
    for tie in TIES {
        let test = after_erasure(true);
        test.set_time("2026-03-07T08:00:00Z");
        let new = other("20260306").resident(BERTA, "0265", "Nyborg");
        put(&test, "other", 3, new);
        assert_shown(&test, "Nyborg");
        let late = tied(town("20260304").resident(BERTA, "0265", "Birk"), tie);
        let ended = put(&test, "town", 4, protection(late, BERTA));
        assert!(ended.code < 2, "{tie}: {}", ended.stderr);
        assert!(files_with(&test.path("state"), "Birk").is_empty(), "{tie}");
        assert!(
            !files_with(&test.path("state/register"), "Nyborg").is_empty(),
            "{tie}"
        );
        for text in ["Birk", "Nyborg"] {
            assert_hidden(&test, text);
        }
        let again = town("20260307").resident(BERTA, "0265", "Nyborg");
        put(&test, "town", 5, again);
        assert_shown(&test, "Nyborg");
    }
}

/// The newest records of an agreement decide about ties. A former number that they name no more ties nothing.
#[test]
fn a_tie_that_newer_records_do_not_have_erases_nothing() {
    let test = after_erasure(false);
    let late = tied(town("20260228").resident(BERTA, "0265", "Nyborg"), "022");
    let ended = put(&test, "town", 3, protection(late, BERTA));
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_shown(&test, "Birk");
    assert_hidden(&test, "Nyborg");
}

/// Returns an extract whose end record declares another number of records.
fn declaring(extract: Handmade, records: u32) -> Vec<u8> {
    let mut bytes = extract.finish();
    let end = b"9999999999999";
    let at = bytes.windows(end.len()).rposition(|part| part == end);
    let counter = at.unwrap() + end.len();
    bytes[counter..counter + 8].copy_from_slice(format!("{records:08}").as_bytes());
    bytes
}

/// A delivery with more records than it declares can be accepted, also after a person was erased. Deliveries and current tables
/// decide alike.
#[test]
fn more_records_than_declared_stay_more_after_an_erasure() {
    // There are six records.
    for (declared, is_shown) in [(2, true), (5, true), (30, false)] {
        for is_erased in [false, true] {
            let test = start(&["town"], "");
            test.set_time("2026-03-05T08:00:00Z");
            let both = |date: &str, surname: &str| {
                town(date)
                    .resident(ALICE, "0265", "Anders")
                    .resident(BERTA, "0265", surname)
            };
            put(&test, "town", 1, both("20260301", "Birk"));
            let second = declaring(both("20260302", "Nyborg"), declared);
            test.put("town2", &second, &transfer(2));
            assert_eq!(test.sync().code, 1);
            if is_erased {
                let ended = erase(&test, ALICE);
                assert!(ended.code < 2, "{}", ended.stderr);
            }
            test.run("retry", &["town2", "--accept", "count-mismatch"]);
            for tenant in ["mask", "drop"] {
                let found = files_with(&test.dataset_of(tenant), "Nyborg");
                let is_in = |part: &str| {
                    let mut files = found.iter();
                    files.any(|file| file.to_string_lossy().contains(part))
                };
                let what = format!("{tenant} {declared} {is_erased}: {found:?}");
                assert_eq!(is_in("agreement="), is_shown, "{what}");
                assert_eq!(is_in("generations"), is_shown, "{what}");
            }
        }
    }
}
