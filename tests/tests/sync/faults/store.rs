//! Faults of the local disks and of the ledger.

use std::fs;
use std::process::Command;

use cprflow_tests::Requirement;
use cprflow_tests::extract;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, transfer};

use super::{NAME, published, two_nights};

#[test]
fn disk_full_in_spool() {
    let test = TestRun::local();
    let bytes = extract::small(2_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let Some(disk) = SmallDisk::mount(&test, "state") else {
        return;
    };
    // There is room for the ledger and not for the extract.
    disk.fill_up_to(700 * 1024);
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    assert!(test.published().is_empty());
    assert_eq!(test.remote().len(), 2);
    disk.empty();
    published(&test, &[&bytes]);
}

#[test]
fn disk_full_in_dataset() {
    let test = TestRun::local();
    let bytes = extract::small(2_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let Some(disk) = SmallDisk::mount(&test, "disk") else {
        return;
    };
    disk.fill_up_to(200 * 1024);
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    assert!(test.published().is_empty());
    assert_eq!(test.remote().len(), 2);
    disk.empty();
    published(&test, &[&bytes]);
}

#[test]
fn dataset_read_only() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    let Some(disk) = SmallDisk::mount(&test, "disk") else {
        return;
    };
    disk.remount("ro");
    let doctor = test.run("doctor", &[]);
    assert_eq!(doctor.code, 1, "{}", doctor.text());
    let told = "FAIL  dataset: ";
    assert!(doctor.text().contains(told), "{}", doctor.text());
    assert!(
        doctor.text().contains("Read-only file system"),
        "{}",
        doctor.text()
    );
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("Read-only file system"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.remote().len(), 2);
    disk.remount("rw");
    // The check must report only that the disk is small.
    let doctor = test.run("doctor", &[]);
    let told = "ok    dataset: ";
    assert!(doctor.text().contains(told), "{}", doctor.text());
    published(&test, &[&bytes]);
    // The state directory is on one disk, and the dataset on another.
    for (name, told) in [
        ("state", "FAIL  state: "),
        ("disk/dataset", "is a file system of its own"),
    ] {
        let Some(other) = SmallDisk::mount(&test, name) else {
            return;
        };
        if name == "state" {
            other.remount("ro");
        }
        let doctor = test.run("doctor", &[]);
        assert_eq!(doctor.code, 1, "{}", doctor.text());
        assert!(doctor.text().contains(told), "{}", doctor.text());
    }
}

#[test]
fn second_process() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    let first = test.stop_at("fetched");
    let second = test.sync();
    assert_eq!(second.code, 2);
    let holder = format!(
        "another cprflow (process {}) is using {},",
        first.id(),
        test.path("state").display()
    );
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    let (code, said) = first.go_on();
    assert_eq!(code, 0, "{said}");
    test.assert_published(&[&bytes]);
}

/// A service and an operator use one dataset with two state directories.
#[test]
fn second_state_directory() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    let other = |subcommand: &str| {
        let mut arguments = vec![subcommand.to_owned()];
        arguments.extend(test.source());
        let state = arguments.iter().position(|argument| argument == "--state");
        arguments[state.unwrap() + 1] = test.path("other-state").display().to_string();
        arguments.extend(["--unrestricted".to_owned(), "test".to_owned()]);
        test.cprflow(&arguments)
    };
    let first = test.stop_at("publishing");
    let second = other("sync");
    assert_eq!(second.code, 2, "{}", second.text());
    let holder = format!(
        "another cprflow (process {}) is using {},",
        first.id(),
        test.dataset().display()
    );
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    let (code, said) = first.go_on();
    assert_eq!(code, 0, "{said}");
    // They run one after the other. A delivery that one has published arrives again, and the other recognises it.
    test.put(NAME, &status, &transfer(1));
    test.put("d260303.l431101", &changes, &transfer(2));
    // Each takes the extract that the other has published from the server, so both registers are complete.
    let ended = other("sync");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status, &changes]);
    test.put("d260303.l431101", &changes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status, &changes]);
    assert!(test.remote().is_empty());
    let numbers: Vec<_> = test.published().iter().map(|(_, m)| m.sequence).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn ledger_gone_and_delivery_json_unreadable() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    let put = || {
        test.put(NAME, &status, &transfer(1));
        test.put("d260303.l431101", &changes, &transfer(2));
    };
    put();
    published(&test, &[&status, &changes]);
    test.remove_ledger();
    put();
    let manifest = test.published()[1].0.join("_delivery.json");
    let sound = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{").unwrap();
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains("no description of a delivery"),
            "{}",
            ended.stderr
        );
        assert_eq!(test.remote().len(), 4);
    }
    fs::write(&manifest, sound).unwrap();
    published(&test, &[&status, &changes]);
}

#[test]
fn ledger_gone_and_recreated_by_set_aside() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    published(&test, &[&status]);
    test.remove_ledger();
    test.put(NAME, &status, &transfer(1));
    test.put("d260303.l431101", &changes, &transfer(2));
    let ended = test.run("set-aside", &["d260303.l431101", "--reason", "wait"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status]);
    assert_eq!(test.remote().len(), 2);
    let retry = ["d260303.l431101", "--unrestricted", "test"];
    assert_eq!(test.run("retry", &retry).code, 0);
    test.assert_published(&[&status, &changes]);
}

/// The damaged extract stays and is named. The other agreement goes on, and a tenant of both shows nothing, because a protection
/// can be in the damaged one.
#[test]
fn ledger_gone_and_kept_extract_damaged() {
    let deliveries = "publish = [\"deliveries\"]\n";
    for (publish, is_restored) in [("", true), ("", false), (deliveries, true)] {
        let has_current = publish.is_empty();
        let test = TestRun::local();
        let mut text = publish.to_owned();
        for agreement in ["town", "other"] {
            text.push_str(&format!(
                "[agreement.{agreement}]\ninbox = \"inbox\"\nfiles.name = \"{agreement}.*\"\nunrestricted = \"test\"\n"
            ));
        }
        for (tenant, agreements) in [("both", "\"town\", \"other\""), ("third", "\"other\"")] {
            text.push_str(&format!(
                "[tenant.{tenant}]\nagreements = [{agreements}]\npurpose = \"test\"\ndataset = \"tenants/{tenant}\"\n"
            ));
        }
        test.configure(&text);
        test.set_time("2026-03-05T08:00:00Z");
        let alice = Handmade::new("431101", "20260302").resident("0101010010", "0265", "Anders");
        test.put("town1", &alice.finish(), &transfer(1));
        let berta = Handmade::new("431102", "20260303").resident("0101010029", "0265", "Birk");
        test.put("other2", &berta.finish(), &transfer(2));
        let ended = test.sync();
        assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
        let kept = test.path(&format!("state/register/town/{}.cpr.zst", transfer(1)));
        let whole = fs::read(&kept).unwrap();
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&kept, &damaged).unwrap();
        test.remove_ledger();
        let carla = Handmade::new("431102", "20260304").resident("0101010037", "0265", "Carlsen");
        test.put("other3", &carla.finish(), &transfer(3));
        let told = format!(
            "the register's extract {}.cpr.zst of agreement town is gone or was changed",
            transfer(1)
        );
        let current = |tenant: &str| test.dataset_of(tenant).join("current");
        for _ in 0..2 {
            let ended = test.sync();
            assert_eq!(ended.code, 2, "{}", ended.text());
            for part in [told.as_str(), "register accept-missing town"] {
                assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
            }
            assert_eq!(fs::read(&kept).unwrap(), damaged);
            assert!(!files_with(&test.dataset(), "Carlsen").is_empty());
            assert!(!files_with(&test.dataset_of("third"), "Carlsen").is_empty());
            assert!(!current("both").exists());
            assert_eq!(current("third").exists(), has_current);
            let status = test.run("status", &[]);
            assert_eq!(status.code, 1, "{}", status.text());
        }
        match is_restored {
            true => fs::write(&kept, &whole).unwrap(),
            false => {
                let arguments = ["town", "--without-full-load"];
                let ended = test.run("register accept-missing", &arguments);
                assert_eq!(ended.code, 0, "{}", ended.stderr);
                assert!(!kept.exists());
            }
        }
        let ended = test.sync();
        assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
        assert!(!files_with(&test.dataset_of("both"), "Carlsen").is_empty());
        assert_eq!(kept.exists(), is_restored);
        if has_current {
            let newest = fs::canonicalize(current("both")).unwrap();
            assert_eq!(!files_with(&newest, "Anders").is_empty(), is_restored);
        }
    }
}

#[test]
fn ledger_locked() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.sync();
    test.put(NAME, &bytes, &transfer(1));
    let other = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    let holder = format!(
        "another cprflow is using {},",
        test.path("state/ledger.sqlite").display()
    );
    assert!(ended.stderr.contains(&holder), "{}", ended.stderr);
    assert_eq!(test.remote().len(), 2);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    published(&test, &[&bytes]);
}

#[test]
fn ledger_file_corrupt() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    published(&test, &[&status]);
    let ledger = test.path("state/ledger.sqlite");
    let sound = fs::read(&ledger).unwrap();
    test.put("d260303.l431101", &changes, &transfer(2));
    let mut damaged = sound.clone();
    let half = damaged.len() / 2;
    damaged[half..].fill(0xa5);
    for damage in [b"this is no database at all, is it?".repeat(100), damaged] {
        fs::write(&ledger, &damage).unwrap();
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains("the ledger is damaged"),
            "{}",
            ended.stderr
        );
        assert_eq!(
            fs::read(&ledger).unwrap(),
            damage,
            "the ledger file was not changed"
        );
        test.assert_published(&[&status]);
        assert_eq!(test.remote().len(), 2);
    }
    // After the recommended action, nothing is published twice, even if the server still has it.
    fs::remove_file(&ledger).unwrap();
    test.put(NAME, &status, &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status, &changes]);
    assert!(test.remote().is_empty());
}

/// A file system of 8 MiB.
struct SmallDisk {
    path: std::path::PathBuf,
}

impl SmallDisk {
    /// Mounts it over a directory of the test. Returns `None` if mounting is not permitted.
    fn mount(test: &TestRun, name: &str) -> Option<Self> {
        let path = test.path(name);
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&path)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        cprflow_tests::require(
            Requirement::Mounts,
            is_mounted.then(|| Self { path }),
            "no tmpfs can be mounted, so full and read-only disks are not tested",
        )
    }

    /// Fills it until only `free` bytes are left.
    fn fill_up_to(&self, free: usize) {
        let size = 8 * 1024 * 1024 - free;
        fs::write(self.path.join("filling"), vec![0; size]).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.path.join("filling")).unwrap();
    }

    fn remount(&self, how: &str) {
        let remounted = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(&self.path)
            .status();
        assert!(remounted.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A lazy unmount also works while a file is still open somewhere.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
