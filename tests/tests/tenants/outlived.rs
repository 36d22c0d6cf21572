//! Which older generations of a tenant's current tables stay: those that show nothing that the newest one hides.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::handmade::Handmade;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

use crate::hidden_later::erase;

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

/// The times of the first, second and third night.
const CLOCK: [&str; 3] = [
    "2026-03-02T08:00:00Z",
    "2026-03-03T08:00:00Z",
    "2026-03-04T08:00:00Z",
];

/// A scope by municipality. Berta lives elsewhere in these tests.
const SCOPE: &str =
    "classes = [\"default\", \"family\"]\npersons = { municipalities = [\"0265\"] }";

fn configure(test: &TestRun, policy: &str) {
    test.configure(&format!(
        "publish = [\"current\"]\n[agreement.town]\ninbox = \"inbox\"\n[tenant.schools]\nagreements = [\"town\"]\n\
         purpose = \"test\"\ndataset = \"tenants/schools\"\n{policy}\n"
    ));
}

#[track_caller]
fn sync(test: &TestRun) {
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
}

/// Runs the night of that number, from 1. Without an extract, only a new day has begun.
#[track_caller]
fn night(test: &TestRun, number: u32, extract: Option<Handmade>) {
    test.set_time(CLOCK[number as usize - 1]);
    if let Some(extract) = extract {
        test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    }
    sync(test);
}

fn extract(night: usize) -> Handmade {
    Handmade::new("431101", &CLOCK[night - 1][..10].replace('-', ""))
}

fn directory(test: &TestRun, number: u32) -> PathBuf {
    let generations = test.dataset_of("schools").join("generations");
    generations.join(format!("{number:06}"))
}

/// Returns the numbers of the generations on the disk, sorted.
fn generations(test: &TestRun) -> Vec<u32> {
    let entries = fs::read_dir(test.dataset_of("schools").join("generations")).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let number = |entry| name(entry).to_string_lossy().parse().unwrap();
    let mut numbers: Vec<u32> = entries.map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Alice is in scope. Berta is not, and is Alice's mother.
fn family(night: usize) -> Handmade {
    let mother = [
        ("pnr", ALICE),
        ("mother_pnr", BERTA),
        ("mother_name", "Birk,Ida"),
    ];
    extract(night)
        .resident(ALICE, "0265", "Almindelig")
        .record("015", &mother)
        .resident(BERTA, "0101", "Birk")
}

fn protected(extract: Handmade, number: &str) -> Handmade {
    extract.record("004", &[("pnr", number), ("protection_type", "0001")])
}

/// Returns a test after its first night, in which the family came.
fn first_night(policy: &str) -> TestRun {
    let test = TestRun::local();
    configure(&test, policy);
    night(&test, 1, Some(family(1)));
    assert_eq!(generations(&test), [1]);
    test
}

/// An address, a name and a new person, also a protected one, hide nothing that was shown.
#[test]
fn an_ordinary_night_keeps_the_older_generation_for_two_days() {
    for protection in ["mask", "drop", "include"] {
        let test = first_night(&format!("{SCOPE}\nprotection = \"{protection}\""));
        let older = fs::canonicalize(test.dataset_of("schools").join("current")).unwrap();
        let before = tables(&older);
        let changed = extract(2)
            .resident(ALICE, "0265", "Anders")
            .resident(CARLA, "0265", "Carlsen");
        let dora = "0101010045";
        night(
            &test,
            2,
            Some(protected(changed.resident(dora, "0265", "Dahl"), dora)),
        );
        assert_eq!(generations(&test), [1, 2], "{protection}");
        // A reader that resolved the link before goes on.
        assert!(tables(&older) == before);
        assert!(format!("{before:?}").contains("Almindelig"));
        night(&test, 3, None);
        assert_eq!(generations(&test), [1, 2, 3], "{protection}");
        // The first one was replaced on 3 March at 8 o'clock, and lives 48 hours.
        test.set_time("2026-03-05T08:00:01Z");
        sync(&test);
        assert_eq!(generations(&test), [2, 3, 4], "{protection}");
    }
}

/// Runs a second night. The older generation must be gone when it ends.
#[track_caller]
fn assert_gone_after(policy: &str, second: Handmade, what: &str) {
    let test = first_night(policy);
    night(&test, 2, Some(second));
    assert_eq!(generations(&test), [2], "{what}");
}

#[test]
fn a_person_who_becomes_hidden_removes_the_older_generation() {
    let again = || extract(2).resident(ALICE, "0265", "Almindelig");
    let berta = || extract(2).resident(BERTA, "0101", "Birk");
    let damaged = format!("004{ALICE}1");
    let second_001 = [
        ("pnr", ALICE),
        ("status", "01"),
        ("birth_date", "2001-01-01"),
    ];
    let planned = [
        ("pnr", ALICE),
        ("protection_type", "0001"),
        ("start_date", "2026-06-01"),
    ];
    let former = [("pnr", ALICE), ("former_pnr", CARLA)];
    let cases = [
        ("protected", protected(again(), ALICE)),
        ("protected later", again().record("004", &planned)),
        ("the mother is protected", protected(berta(), BERTA)),
        ("moved", extract(2).resident(ALICE, "0101", "Almindelig")),
        ("ended", extract(2).record("997", &[("pnr", ALICE)])),
        (
            "the mother ended",
            extract(2).record("997", &[("pnr", BERTA)]),
        ),
        ("a damaged protection", again().line(damaged.as_bytes())),
        ("two records 001", again().record("001", &second_001)),
        (
            "tied to a protected number",
            protected(
                again().record("022", &former).record(
                    "001",
                    &[("pnr", CARLA), ("status", "60"), ("current_pnr", ALICE)],
                ),
                CARLA,
            ),
        ),
        (
            "the number leads nowhere",
            extract(2).record(
                "001",
                &[("pnr", BERTA), ("status", "60"), ("current_pnr", CARLA)],
            ),
        ),
    ];
    for (what, second) in cases {
        for protection in ["mask", "drop"] {
            let policy = format!("{SCOPE}\nprotection = \"{protection}\"");
            assert_gone_after(&policy, second.clone(), &format!("{what}, {protection}"));
        }
    }
}

/// The record of a relative's protection is about the relative, in scope or not.
#[test]
fn a_mark_in_a_relatives_record_removes_the_older_generation() {
    let mark = [
        ("pnr", CARLA),
        ("mother_pnr", BERTA),
        ("protection_start_date", "2026-03-01"),
    ];
    let second = extract(2)
        .resident(CARLA, "0101", "Carlsen")
        .record("031", &mark);
    assert_gone_after(SCOPE, second, "a mark");
}

/// A child who becomes too old is not in the older generations of the same evening, although nothing was delivered.
#[test]
fn a_person_who_leaves_by_age_removes_the_older_generation() {
    let test = TestRun::local();
    configure(&test, "persons = { ages = [5, 16] }");
    let born = |extract: Handmade, pnr, birth_date| {
        let columns = [("pnr", pnr), ("status", "01"), ("birth_date", birth_date)];
        extract.record("001", &columns)
    };
    // Alice is 17 on the third night, and Berta 5 on the second.
    let first = born(extract(1), ALICE, "2009-03-04");
    night(&test, 1, Some(born(first, BERTA, "2021-03-03")));
    night(&test, 2, None);
    assert_eq!(generations(&test), [1, 2]);
    night(&test, 3, None);
    assert_eq!(generations(&test), [3]);
}

/// A protection hides from the day of its delivery. On the day of its start, there is nothing more to hide.
#[test]
fn a_planned_protection_hides_before_it_starts() {
    let test = TestRun::local();
    configure(&test, SCOPE);
    let planned = [
        ("pnr", ALICE),
        ("protection_type", "0001"),
        ("start_date", "2026-03-03"),
    ];
    night(&test, 1, Some(family(1).record("004", &planned)));
    night(&test, 2, None);
    assert_eq!(generations(&test), [1, 2]);
    for number in generations(&test) {
        let shown = format!("{:?}", tables(&directory(&test, number)));
        assert!(
            shown.contains(ALICE) && !shown.contains("Almindelig"),
            "{number}"
        );
    }
}

#[test]
fn a_changed_policy_removes_the_older_generation() {
    for changed in [
        "classes = [\"address\"]\npersons = { municipalities = [\"0265\"] }",
        "classes = [\"default\", \"family\"]\npersons = { municipalities = [\"0265\", \"0101\"] }",
    ] {
        let test = first_night(SCOPE);
        configure(&test, changed);
        sync(&test);
        assert_eq!(generations(&test), [2], "{changed}");
    }
}

/// With conditions on rows, a changed value can hide a row.
#[test]
fn conditions_on_rows_remove_the_older_generation_with_each_delivery() {
    let policy = format!("{SCOPE}\nrows = {{ address = \"street_code = '0042'\" }}");
    let test = first_night(&policy);
    night(&test, 2, None);
    assert_eq!(generations(&test), [1, 2]);
    let dead_end = extract(3)
        .record("001", &[("pnr", ALICE), ("status", "01")])
        .record(
            "002",
            &[
                ("pnr", ALICE),
                ("municipality_code", "0265"),
                ("street_code", "0043"),
            ],
        );
    night(&test, 3, Some(dead_end));
    assert_eq!(generations(&test), [3]);
}

/// The rows of persons who died are shown once more, and only once.
#[test]
fn repeated_rows_of_leavers_are_gone_with_the_next_generation() {
    let policy = format!("{SCOPE}\nleavers = \"last\"");
    let test = TestRun::local();
    configure(&test, &policy);
    night(&test, 1, Some(family(1).resident(CARLA, "0265", "Carlsen")));
    let died = extract(2)
        .record("001", &[("pnr", ALICE), ("status", "90")])
        .record("002", &[("pnr", ALICE), ("municipality_code", "0265")]);
    night(&test, 2, Some(died));
    assert_eq!(generations(&test), [2]);
    night(&test, 3, None);
    assert_eq!(generations(&test), [3]);
}

#[test]
fn an_erasure_removes_the_older_generations() {
    for (number, in_scope) in [(ALICE, true), (BERTA, false)] {
        let test = first_night(SCOPE);
        night(
            &test,
            2,
            Some(extract(2).resident(CARLA, "0265", "Carlsen")),
        );
        assert_eq!(generations(&test), [1, 2]);
        let ended = erase(&test, number);
        assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
        assert_eq!(generations(&test).len(), 1, "{in_scope}");
        // An erased person does not come back through what stays afterwards.
        night(&test, 3, None);
        for generation in generations(&test) {
            let shown = format!("{:?}", tables(&directory(&test, generation)));
            assert_eq!(shown.contains("Almindelig"), !in_scope, "{generation}");
        }
    }
}

/// Returns the file with what the newest generation shows.
fn shown_file(test: &TestRun) -> PathBuf {
    let lists = files(&test.path("state/generations/schools")).into_iter();
    let mut shown = lists.filter(|path| path.extension().is_some_and(|own| own == "shown"));
    let file = shown.next().unwrap();
    assert_eq!(shown.next(), None);
    file
}

/// If the lists of the older generation are lost or damaged, it goes.
#[test]
fn what_cannot_be_compared_is_removed() {
    for is_damaged in [false, true] {
        let test = first_night(SCOPE);
        let file = shown_file(&test);
        if is_damaged {
            let mut bytes = fs::read(&file).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&file, bytes).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
        night(
            &test,
            2,
            Some(extract(2).resident(CARLA, "0265", "Carlsen")),
        );
        assert_eq!(generations(&test), [2], "{is_damaged}");
        // From then on it can be compared again.
        night(&test, 3, None);
        assert_eq!(generations(&test), [2, 3], "{is_damaged}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// A generation that was removed and is put back from a copy is removed again, also if nothing new came.
#[test]
fn a_generation_that_is_put_back_is_removed_again() {
    let test = first_night(SCOPE);
    let (older, copied) = (directory(&test, 1), test.path("copied"));
    copy(&older, &copied);
    let hidden = protected(extract(2).resident(ALICE, "0265", "Almindelig"), ALICE);
    night(&test, 2, Some(hidden));
    assert_eq!(generations(&test), [2]);
    copy(&copied, &older);
    assert_eq!(generations(&test), [1, 2]);
    sync(&test);
    assert_eq!(generations(&test), [2]);
    copy(&copied, &older);
    night(&test, 3, None);
    assert_eq!(generations(&test), [2, 3]);
}

/// What one generation hides stays hidden, although the next one hides less than that one.
#[test]
fn all_older_generations_go_although_a_later_one_would_show_them() {
    let test = first_night(SCOPE);
    let resident = |night| extract(night).resident(ALICE, "0265", "Almindelig");
    night(&test, 2, Some(protected(resident(2), ALICE)));
    assert_eq!(generations(&test), [2]);
    night(&test, 3, Some(resident(3)));
    assert_eq!(generations(&test), [2, 3]);
}

/// A run that was killed after the switch removes the same generations when the next run completes it.
#[test]
fn a_killed_run_is_judged_like_others() {
    for point in [
        "generation-roster",
        "generation-staged",
        "generation-added",
        "current-linked",
        "current-switched",
        "generations-removed",
        "generation-recorded",
    ] {
        for is_hidden in [false, true] {
            let test = first_night(SCOPE);
            test.set_time(CLOCK[1]);
            let resident = extract(2).resident(ALICE, "0265", "Anders");
            let second = match is_hidden {
                true => protected(resident, ALICE),
                false => resident,
            };
            test.put("n2", &second.finish(), &transfer(2));
            test.stop_at(point).kill();
            sync(&test);
            let newest = generations(&test).pop().unwrap();
            let expected = match is_hidden {
                true => vec![newest],
                false => vec![1, newest],
            };
            assert_eq!(generations(&test), expected, "{point}, {is_hidden}");
        }
    }
}
