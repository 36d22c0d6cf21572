//! Backups of the state directory, and what a restored one shows.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::test_run::{TestRun, table, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn configure(test: &TestRun, publish: &str) {
    test.configure(&format!(
        "publish = [{publish}]\n[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n[tenant.schools]\n\
         agreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/schools\"\n"
    ));
}

fn put(test: &TestRun, number: u32, extract: Handmade) -> CommandOutput {
    test.set_time(&format!("2026-03-{:02}T08:00:00Z", number + 1));
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    test.sync()
}

/// Two nights: Alice, and then Berta.
fn two_nights(test: &TestRun) {
    let first = night("20260302").resident(ALICE, "0265", "Almindelig");
    assert_eq!(put(test, 1, first).code, 0);
    let second = night("20260303").resident(BERTA, "0101", "Birk");
    assert_eq!(put(test, 2, second).code, 0);
}

fn backup(test: &TestRun) -> PathBuf {
    let file = test.path("backup.tar");
    let ended = test.run_only("backup", &["--force", "-o", file.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    file
}

fn restore(test: &TestRun, file: &Path, more: &[&str]) -> CommandOutput {
    test.run_only("restore", &[&[file.to_str().unwrap()], more].concat())
}

/// The files below a directory with their content, without locks.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn kept_aside(test: &TestRun) -> Vec<PathBuf> {
    let entries = fs::read_dir(test.path("")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().contains(".before-restore-"));
    paths.sort();
    paths
}

/// The names in the tables as they are now.
fn names(dataset: &Path) -> String {
    let file = dataset.join("current/name.parquet");
    match file.exists() {
        true => format!("{:?}", table(&file)),
        false => "no table".to_owned(),
    }
}

#[test]
fn a_lost_state_directory_is_restored_as_it_was() {
    let test = TestRun::local();
    configure(&test, "\"current\", \"deliveries\"");
    two_nights(&test);
    let file = backup(&test);
    let state = test.path("state");
    let register = files(&state.join("register"));
    let generation = fs::read_link(test.dataset().join("current")).unwrap();
    fs::remove_dir_all(&state).unwrap();
    // Without --yes, nothing is changed.
    let checked = restore(&test, &file, &[]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(
        checked.stderr.contains("Nothing was changed"),
        "{}",
        checked.stderr
    );
    assert!(!state.exists());
    let restored = restore(&test, &file, &["--yes", "--format", "json"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert!(
        restored.stderr.contains("no list of erased persons"),
        "{}",
        restored.stderr
    );
    let report: serde_json::Value = serde_json::from_str(restored.text()).unwrap();
    assert_eq!(report["stores"][0]["extracts"], 2);
    assert_eq!(report["stores"][0]["newest"], "2026-03-03");
    assert_eq!(report["stores"][0]["lost"], serde_json::json!({}));
    assert_eq!(files(&state.join("register")), register);
    for file in files(&state).keys() {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{file:?}"
        );
    }
    assert_eq!(test.run_only("doctor", &["--deep"]).code, 0);
    assert_eq!(test.sync().code, 0);
    assert_eq!(
        fs::read_link(test.dataset().join("current")).unwrap(),
        generation
    );
    // The next night goes on.
    let third = night("20260304").resident(CARLA, "0265", "Ask");
    assert_eq!(put(&test, 3, third).code, 0);
    let names = names(&test.dataset());
    for name in ["Almindelig", "Birk", "Ask"] {
        assert!(names.contains(name), "{name}: {names}");
    }
    assert!(kept_aside(&test).is_empty());
}

/// What was erased after the backup is erased again, before anything is published.
#[test]
fn erased_persons_do_not_come_back() {
    for lost in [false, true] {
        let test = TestRun::local();
        configure(&test, "\"current\", \"deliveries\"");
        two_nights(&test);
        let receipt = night("20260304").record("997", &[("pnr", ALICE)]);
        assert_eq!(put(&test, 3, receipt).code, 0);
        let file = backup(&test);
        let list = test.path("erase.txt");
        fs::write(&list, ALICE).unwrap();
        fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
        let erased = test.run_only("erase", &["--numbers", list.to_str().unwrap(), "--yes"]);
        assert_eq!(erased.code, 0, "{}", erased.stderr);
        let proof = fs::read(test.path("state/erasures.jsonl")).unwrap();
        let newest = test.path("newest");
        fs::create_dir(&newest).unwrap();
        for name in ["erasures", "erasures.key"] {
            fs::copy(test.path("state").join(name), newest.join(name)).unwrap();
        }
        let mut more = vec!["--yes"];
        if lost {
            fs::remove_dir_all(test.path("state")).unwrap();
            more.extend(["--erasures", newest.to_str().unwrap()]);
        }
        let restored = restore(&test, &file, &more);
        assert_eq!(restored.code, 0, "{}", restored.stderr);
        assert!(!restored.stderr.contains("no list"), "{}", restored.stderr);
        assert_eq!(kept_aside(&test).len(), usize::from(!lost));
        if !lost {
            assert_eq!(fs::read(test.path("state/erasures.jsonl")).unwrap(), proof);
        }
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        for directory in [test.dataset(), test.path("tenants/schools")] {
            assert!(!names(&directory).contains("Almindelig"));
        }
        let show = test.path("show.json");
        let show = show.to_str().unwrap();
        let shown = test.run_only(
            "register show",
            &[
                "--numbers",
                list.to_str().unwrap(),
                "--format",
                "json",
                "-o",
                show,
            ],
        );
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(!fs::read_to_string(show).unwrap().contains("Almindelig"));
    }
}

/// The day of an erasure is at least the day of everything that was there: an extract can be dated tomorrow, and the clock can
/// be behind.
#[test]
fn extracts_that_are_dated_after_the_erasure_do_not_bring_erased_persons_back() {
    for clock in ["2026-03-02T09:00:00Z", "2026-02-20T09:00:00Z"] {
        let test = TestRun::local();
        configure(&test, "\"current\", \"deliveries\"");
        test.set_time("2026-03-02T08:00:00Z");
        let tomorrow = night("20260303")
            .resident(ALICE, "0265", "Almindelig")
            .resident(BERTA, "0101", "Birk");
        test.put("n1", &tomorrow.finish(), &transfer(1));
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
        let file = backup(&test);
        test.set_time(clock);
        let list = test.path("erase.txt");
        fs::write(&list, ALICE).unwrap();
        fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
        let erase = [
            "--numbers",
            list.to_str().unwrap(),
            "--yes",
            "--not-subscribed",
        ];
        let erased = test.run_only("erase", &erase);
        assert!(erased.code < 2, "{clock}: {}", erased.stderr);
        let erasures = fs::read_to_string(test.path("state/erasures")).unwrap();
        assert!(erasures.starts_with("2026-03-03 "), "{clock}");
        test.set_time("2026-03-04T08:00:00Z");
        let restored = restore(&test, &file, &["--yes"]);
        assert_eq!(restored.code, 0, "{clock}: {}", restored.stderr);
        let ended = test.sync();
        assert!(ended.code < 2, "{clock}: {}", ended.stderr);
        for directory in [test.dataset(), test.path("tenants/schools")] {
            let names = names(&directory);
            assert!(!names.contains("Almindelig"), "{clock}");
            assert!(names.contains("Birk"), "{clock}");
        }
        // A newer delivery is new data.
        test.set_time("2026-03-05T08:00:00Z");
        let newer = night("20260304").resident(ALICE, "0265", "Almindelig");
        test.put("n2", &newer.finish(), &transfer(2));
        assert!(test.sync().code < 2);
        assert!(names(&test.dataset()).contains("Almindelig"), "{clock}");
    }
}

/// Erases a person. No receipt has ended the subscription.
fn erase(test: &TestRun, number: &str) {
    let list = test.path("erase.txt");
    fs::write(&list, number).unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    let list = list.to_str().unwrap();
    let erased = test.run_only("erase", &["--numbers", list, "--yes", "--not-subscribed"]);
    assert!(erased.code < 2, "{}", erased.stderr);
}

/// Puts a list of erased persons into a directory, with its key: that of another installation, which has erased a person whom
/// no extract has. Each has a key of its own.
fn put_erasures(directory: &std::path::Path) {
    let other = TestRun::local();
    configure(&other, "\"current\"");
    two_nights(&other);
    erase(&other, "0101010099");
    for name in ["erasures", "erasures.key"] {
        fs::copy(other.path("state").join(name), directory.join(name)).unwrap();
    }
}

/// The list of erased persons of the directory that is replaced is lost. The backup may not bring anybody back.
#[test]
fn a_lost_list_of_erased_persons_is_restored_or_refused() {
    let test = TestRun::local();
    configure(&test, "\"current\", \"deliveries\"");
    two_nights(&test);
    let state = test.path("state");
    let before = backup(&test);
    let older = test.path("older.tar");
    fs::rename(&before, &older).unwrap();
    erase(&test, ALICE);
    let newer = backup(&test);
    let newest = test.path("newest");
    fs::create_dir(&newest).unwrap();
    for name in ["erasures", "erasures.key"] {
        fs::copy(state.join(name), newest.join(name)).unwrap();
    }
    let assert_erased = |case: &str| {
        let ended = test.sync();
        assert!(ended.code < 2, "{case}: {}", ended.stderr);
        for directory in [test.dataset(), test.path("tenants/schools")] {
            assert!(!names(&directory).contains("Almindelig"), "{case}");
            assert!(names(&directory).contains("Birk"), "{case}");
        }
    };
    // The backup names everybody.
    for name in ["erasures", "erasures.key"] {
        fs::remove_file(state.join(name)).unwrap();
        let restored = restore(&test, &newer, &["--yes"]);
        assert_eq!(restored.code, 0, "{name}: {}", restored.stderr);
        assert_erased(name);
    }
    // The backup does not name Alice.
    fs::write(state.join("erasures"), "cut").unwrap();
    let copy = files(&state);
    let refused = restore(&test, &older, &["--yes"]);
    assert_eq!(refused.code, 2, "{}", refused.text());
    for part in ["has lost its list", "--erasures", "Nothing was changed"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    assert_eq!(files(&state), copy);
    let given = ["--yes", "--erasures", newest.to_str().unwrap()];
    let restored = restore(&test, &older, &given);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert_erased("given");
    // Without any copy.
    fs::remove_file(state.join("erasures")).unwrap();
    assert_eq!(restore(&test, &older, &["--yes"]).code, 2);
    fs::rename(&state, test.path("moved")).unwrap();
    let restored = restore(&test, &older, &["--yes"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    erase(&test, ALICE);
    assert_erased("moved");
}

/// The state directory was lost, and a person was erased before the backup was restored: the keys are not the same.
#[test]
fn erased_before_a_lost_directory_was_restored() {
    let test = TestRun::local();
    configure(&test, "\"current\", \"deliveries\"");
    two_nights(&test);
    erase(&test, BERTA);
    let file = backup(&test);
    let state = test.path("state");
    fs::remove_dir_all(&state).unwrap();
    assert!(test.sync().code < 2);
    erase(&test, ALICE);
    let refused = restore(&test, &file, &["--yes"]);
    assert_eq!(refused.code, 2, "{}", refused.text());
    for part in ["by another key", "move the directory", "cprflow erase"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    // The command does what the message says.
    fs::rename(&state, test.path("moved")).unwrap();
    let restored = restore(&test, &file, &["--yes"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    // The second erasure has removed the deliveries, because their extracts were lost.
    let accepted = test.run_only("set-aside", &["--gone", "--reason", "erased"]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    erase(&test, ALICE);
    assert!(test.sync().code < 2);
    for directory in [test.dataset(), test.path("tenants/schools")] {
        let names = names(&directory);
        assert!(!names.contains("Almindelig") && !names.contains("Birk"));
    }
}

/// Berta is protected by a delivery that the backup does not have. Nothing may show her afterwards.
#[test]
fn protections_after_the_backup_are_not_lifted() {
    for publish in ["\"current\"", "\"current\", \"deliveries\""] {
        for by_hand in [false, true] {
            let test = TestRun::local();
            configure(&test, publish);
            two_nights(&test);
            let file = backup(&test);
            let old = test.path("old");
            copy(&test.path("state"), &old);
            let protected = night("20260304").resident(BERTA, "0101", "Birk").record(
                "004",
                &[
                    ("pnr", BERTA),
                    ("protection_type", "0001"),
                    ("start_date", "2026-03-04"),
                ],
            );
            assert_eq!(put(&test, 3, protected).code, 0);
            let schools = test.path("tenants/schools");
            assert!(!names(&schools).contains("Birk"));
            if by_hand {
                fs::remove_dir_all(test.path("state")).unwrap();
                fs::rename(&old, test.path("state")).unwrap();
            } else {
                let restored = restore(&test, &file, &["--yes"]);
                assert_eq!(restored.code, 1, "{}", restored.stderr);
                assert!(
                    restored.text().contains("1 deliveries of town"),
                    "{}",
                    restored.text()
                );
                assert!(
                    restored.stderr.contains("cprflow subscription reorder"),
                    "{}",
                    restored.stderr
                );
            }
            let ended = test.sync();
            assert_eq!(ended.code, 1, "{}", ended.stderr);
            assert!(
                ended.stderr.contains("register accept-missing"),
                "{}",
                ended.stderr
            );
            assert!(!names(&schools).contains("Birk"), "{publish} {by_hand}");
            // A full load has everybody again.
            let load = night("20260305")
                .resident(ALICE, "0265", "Almindelig")
                .resident(BERTA, "0101", "Birk")
                .record(
                    "004",
                    &[
                        ("pnr", BERTA),
                        ("protection_type", "0001"),
                        ("start_date", "2026-03-04"),
                    ],
                );
            put(&test, 4, load);
            let accepted = test.run_only("register accept-missing", &["town"]);
            assert_eq!(accepted.code, 0, "{}", accepted.stderr);
            let ended = test.sync();
            if by_hand && publish.contains("deliveries") {
                // Who left the tenant's scope since the backup cannot be known: only `restore` keeps the newer roster.
                assert!(ended.stderr.contains("roster"), "{}", ended.stderr);
                assert!(!names(&schools).contains("Birk"));
                continue;
            }
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            let names = names(&schools);
            assert!(
                names.contains("Almindelig") && !names.contains("Birk"),
                "{names}"
            );
        }
    }
}

/// While the register lacks extracts that the current tables were made from, the unrestricted ones stay as they are.
#[test]
fn current_tables_stay_until_lost_extracts_are_replaced() {
    for publish in ["\"current\"", "\"current\", \"deliveries\""] {
        for is_lost in [false, true] {
            // The first is also the date of an extract that the backup has.
            for date in ["20260303", "20260304"] {
                assert_current_stays(publish, is_lost, date);
            }
        }
    }
}

fn assert_current_stays(publish: &str, is_lost: bool, date: &str) {
    let what = format!("{publish}, lost: {is_lost}, {date}");
    let test = TestRun::local();
    test.configure(&format!(
        "publish = [{publish}]\n[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n"
    ));
    two_nights(&test);
    let file = backup(&test);
    let third = night(date).resident(CARLA, "0265", "Ceder");
    assert!(put(&test, 3, third).code < 2, "{what}");
    let dataset = test.dataset();
    let before = (
        fs::read_link(dataset.join("current")).unwrap(),
        names(&dataset),
    );
    assert!(before.1.contains("Ceder"), "{what}");
    match is_lost {
        true => fs::remove_dir_all(test.path("state")).unwrap(),
        false => assert!(restore(&test, &file, &["--yes"]).code < 2, "{what}"),
    }
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 1, "{what}: {}", ended.stderr);
        let after = (
            fs::read_link(dataset.join("current")).unwrap(),
            names(&dataset),
        );
        assert_eq!(after, before, "{what}");
    }
    for command in ["status", "doctor"] {
        let ended = test.run_only(command, &[]);
        assert_eq!(ended.code, 1, "{what}: {command}: {}", ended.text());
        assert!(
            ended.text().contains("register accept-missing town"),
            "{what}: {command}: {}",
            ended.text()
        );
    }
    let load = night("20260305")
        .resident(ALICE, "0265", "Almindelig")
        .resident(CARLA, "0265", "Ceder");
    put(&test, 4, load);
    assert_eq!(names(&dataset), before.1, "{what}");
    let accepted = test.run_only("register accept-missing", &["town"]);
    assert_eq!(accepted.code, 0, "{what}: {}", accepted.stderr);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{what}: {}", ended.stderr);
    assert_ne!(fs::read_link(dataset.join("current")).unwrap(), before.0);
    assert!(names(&dataset).contains("Ceder"), "{what}");
    assert_eq!(test.run_only("doctor", &[]).code, 0, "{what}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

#[test]
fn damaged_and_foreign_backups_are_refused() {
    let test = TestRun::local();
    configure(&test, "\"current\"");
    two_nights(&test);
    let file = backup(&test);
    let before = files(&test.path("state"));
    let whole = fs::read(&file).unwrap();
    let changed = test.path("changed.tar");
    let mut cases = vec![
        (Vec::new(), "this is no backup of cprflow"),
        (b"nothing".repeat(400), "this is no backup of cprflow"),
    ];
    for part in [600, whole.len() / 3, whole.len() / 2, whole.len() - 4096] {
        cases.push((whole[..part].to_vec(), "cut off"));
    }
    // A byte of the ledger.
    let ledger = whole
        .windows(15)
        .position(|bytes| bytes == b"SQLite format 3")
        .unwrap();
    let mut flipped = whole.clone();
    flipped[ledger + 200] ^= 1;
    cases.push((flipped, "1/ledger.sqlite is not as it was backed up"));
    let later = String::from_utf8_lossy(&whole[..2048]).replace("\"format\": 1", "\"format\": 9");
    let mut of_later = later.into_bytes();
    of_later.extend(&whole[2048..]);
    cases.push((of_later, "a later version wrote the backup"));
    for (bytes, said) in cases {
        fs::write(&changed, &bytes).unwrap();
        for more in [&[][..], &["--yes"][..]] {
            let refused = restore(&test, &changed, more);
            assert_eq!(refused.code, 2, "{said}: {}", refused.text());
            assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
            assert!(
                refused.stderr.contains("Nothing was changed"),
                "{}",
                refused.stderr
            );
            assert_eq!(files(&test.path("state")), before, "{said}");
            // Nothing of the persons is left of what was unpacked.
            assert!(!test.path("state.restoring").exists(), "{said}");
        }
    }
    // A configuration of another authority.
    let configuration = test.path("cprflow.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(
        &configuration,
        text.replace("agreement.town", "agreement.city")
            .replace("[\"town\"]", "[\"city\"]"),
    )
    .unwrap();
    let refused = restore(&test, &file, &["--yes"]);
    assert!(
        refused.stderr.contains("agreements town"),
        "{}",
        refused.stderr
    );
    assert_eq!(files(&test.path("state")), before);
    fs::write(&configuration, text).unwrap();
    // A list of erased persons with another key.
    let other = test.path("other");
    fs::create_dir(&other).unwrap();
    for directory in [&other, &test.path("state")] {
        put_erasures(directory);
    }
    let file = backup(&test);
    let refused = restore(
        &test,
        &file,
        &["--yes", "--erasures", other.to_str().unwrap()],
    );
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("by another key"),
        "{}",
        refused.stderr
    );
    assert!(kept_aside(&test).is_empty());
}

/// A restore that is killed at any step is completed by the next one, and what was erased stays known.
#[test]
fn a_restore_that_was_killed_is_run_again() {
    for (point, has_exchange) in [
        ("restore-unpacked", true),
        ("restore-complete", true),
        ("restore-exchanged", true),
        ("restore-moved", false),
    ] {
        let test = TestRun::local();
        configure(&test, "\"current\"");
        two_nights(&test);
        let file = backup(&test);
        let register = files(&test.path("state/register"));
        let state = test.path("state");
        put_erasures(&state);
        let erasures = fs::read(state.join("erasures")).unwrap();
        if !has_exchange {
            test.forbid_exchange();
        }
        let arguments = [file.to_str().unwrap(), "--yes"];
        test.stop_command_at("restore", &arguments, point).kill();
        let restored = restore(&test, &file, &["--yes"]);
        assert_eq!(restored.code, 0, "{point}: {}", restored.stderr);
        assert_eq!(files(&state.join("register")), register, "{point}");
        assert_eq!(
            fs::read(state.join("erasures")).unwrap(),
            erasures,
            "{point}"
        );
        assert!(!state.join(".unfinished").exists() && !test.path("state.restoring").exists());
        assert_eq!(test.sync().code, 0, "{point}");
    }
}

#[test]
fn nothing_to_back_up_and_directories_in_use() {
    let test = TestRun::local();
    configure(&test, "\"current\"");
    let out = test.path("backup.tar");
    let out = out.to_str().unwrap();
    let refused = test.run_only("backup", &["-o", out]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("there is nothing to back up"),
        "{}",
        refused.stderr
    );
    assert!(!Path::new(out).exists());
    two_nights(&test);
    let file = backup(&test);
    let lock = fs::File::open(test.path("state/lock")).unwrap();
    lock.lock().unwrap();
    for (command, arguments) in [
        ("backup", vec!["--force", "-o", out]),
        ("restore", vec![file.to_str().unwrap(), "--yes"]),
    ] {
        let refused = test.run_only(command, &arguments);
        assert_eq!(refused.code, 2, "{command}");
        assert!(
            refused.stderr.contains("another"),
            "{command}: {}",
            refused.stderr
        );
    }
}

/// With a configuration that names its directories without a path, as `cprflow init` writes it.
#[test]
fn restores_beside_a_configuration_in_the_working_directory() {
    let test = TestRun::local();
    configure(&test, "\"current\"");
    two_nights(&test);
    let file = backup(&test);
    let restored = cprflow_tests::command::command()
        .args(["restore", file.to_str().unwrap(), "--yes"])
        .current_dir(test.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert!(restored.status.success(), "{said}");
    assert_eq!(test.sync().code, 0);
}
