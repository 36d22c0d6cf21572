//! The disks and the ledger of this side.

use std::fs;
use std::process::Command;

use cprflow_tests::extract;
use cprflow_tests::trial::{Trial, transfer};

use super::{NAME, published, two_nights};

#[test]
fn disk_full_in_spool() {
    let trial = Trial::local();
    let bytes = extract::small(2_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let Some(disk) = SmallDisk::mount(&trial, "state") else {
        return;
    };
    // Room for the ledger, not for the extract.
    disk.fill_up_to(700 * 1024);
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    assert!(trial.published().is_empty());
    assert_eq!(trial.remote().len(), 2);
    disk.empty();
    published(&trial, &[&bytes]);
}

#[test]
fn disk_full_in_dataset() {
    let trial = Trial::local();
    let bytes = extract::small(2_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let Some(disk) = SmallDisk::mount(&trial, "disk") else {
        return;
    };
    disk.fill_up_to(200 * 1024);
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    assert!(trial.published().is_empty());
    assert_eq!(trial.remote().len(), 2);
    disk.empty();
    published(&trial, &[&bytes]);
}

#[test]
fn dataset_read_only() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let Some(disk) = SmallDisk::mount(&trial, "disk") else {
        return;
    };
    disk.remount("ro");
    let doctor = trial.run("doctor", &[]);
    assert_eq!(doctor.code, 1, "{}", doctor.text());
    let told = "ill   dataset: ";
    assert!(doctor.text().contains(told), "{}", doctor.text());
    assert!(
        doctor.text().contains("Read-only file system"),
        "{}",
        doctor.text()
    );
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("Read-only file system"),
        "{}",
        ended.stderr
    );
    assert_eq!(trial.remote().len(), 2);
    disk.remount("rw");
    // Only that it is so small is wrong with it.
    let doctor = trial.run("doctor", &[]);
    let told = "well  dataset: ";
    assert!(doctor.text().contains(told), "{}", doctor.text());
    published(&trial, &[&bytes]);
    // The state, and a dataset that is a disk of its own.
    for (name, told) in [
        ("state", "ill   state: "),
        ("disk/dataset", "is a file system of its own"),
    ] {
        let Some(other) = SmallDisk::mount(&trial, name) else {
            return;
        };
        if name == "state" {
            other.remount("ro");
        }
        let doctor = trial.run("doctor", &[]);
        assert_eq!(doctor.code, 1, "{}", doctor.text());
        assert!(doctor.text().contains(told), "{}", doctor.text());
    }
}

#[test]
fn a_second_process() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let first = trial.stop_at("fetched");
    let second = trial.sync();
    assert_eq!(second.code, 2);
    let holder = format!(
        "another cprflow works on this dataset (process {})",
        first.id()
    );
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    let (code, said) = first.go_on();
    assert_eq!(code, 0, "{said}");
    trial.assert_published(&[&bytes]);
}

/// The service and a person, each with a state directory of their own, on one dataset.
#[test]
fn a_second_state_directory() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    let other = |subcommand: &str| {
        let mut arguments = vec![subcommand.to_owned()];
        arguments.extend(trial.source());
        let state = arguments.iter().position(|argument| argument == "--state");
        arguments[state.unwrap() + 1] = trial.path("other-state").display().to_string();
        arguments.extend(["--unrestricted".to_owned(), "test".to_owned()]);
        trial.cprflow(&arguments)
    };
    let first = trial.stop_at("publishing");
    let second = other("sync");
    assert_eq!(second.code, 2, "{}", second.text());
    let holder = format!(
        "another cprflow works on this dataset (process {})",
        first.id()
    );
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    let (code, said) = first.go_on();
    assert_eq!(code, 0, "{said}");
    // One after the other: what one has published comes again, and the other knows it.
    trial.put(NAME, &status, &transfer(1));
    trial.put("d260303.l431101", &changes, &transfer(2));
    let ended = other("sync");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&status, &changes]);
    trial.put("d260303.l431101", &changes, &transfer(2));
    published(&trial, &[&status, &changes]);
    let numbers: Vec<_> = trial.published().iter().map(|(_, m)| m.sequence).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn ledger_gone_and_a_description_unreadable() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    let put = || {
        trial.put(NAME, &status, &transfer(1));
        trial.put("d260303.l431101", &changes, &transfer(2));
    };
    put();
    published(&trial, &[&status, &changes]);
    trial.lose_ledger();
    put();
    let manifest = trial.published()[1].0.join("_delivery.json");
    let sound = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{").unwrap();
    for _ in 0..2 {
        let ended = trial.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains("no description of a delivery"),
            "{}",
            ended.stderr
        );
        assert_eq!(trial.remote().len(), 4);
    }
    fs::write(&manifest, sound).unwrap();
    published(&trial, &[&status, &changes]);
}

#[test]
fn ledger_gone_and_begun_by_setting_aside() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    published(&trial, &[&status]);
    trial.lose_ledger();
    trial.put(NAME, &status, &transfer(1));
    trial.put("d260303.l431101", &changes, &transfer(2));
    let ended = trial.run("set-aside", &["d260303.l431101", "--reason", "wait"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    trial.assert_published(&[&status]);
    assert_eq!(trial.remote().len(), 2);
    let retry = ["d260303.l431101", "--unrestricted", "test"];
    assert_eq!(trial.run("retry", &retry).code, 0);
    trial.assert_published(&[&status, &changes]);
}

#[test]
fn ledger_locked() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.sync();
    trial.put(NAME, &bytes, &transfer(1));
    let other = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("works on this dataset"),
        "{}",
        ended.stderr
    );
    assert_eq!(trial.remote().len(), 2);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    published(&trial, &[&bytes]);
}

#[test]
fn ledger_file_corrupt() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    published(&trial, &[&status]);
    let ledger = trial.path("state/ledger.sqlite");
    let sound = fs::read(&ledger).unwrap();
    trial.put("d260303.l431101", &changes, &transfer(2));
    let mut damaged = sound.clone();
    let half = damaged.len() / 2;
    damaged[half..].fill(0xa5);
    for damage in [b"this is no database at all, is it?".repeat(100), damaged] {
        fs::write(&ledger, &damage).unwrap();
        let ended = trial.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains("the ledger is damaged"),
            "{}",
            ended.stderr
        );
        assert_eq!(fs::read(&ledger).unwrap(), damage, "nothing was changed");
        trial.assert_published(&[&status]);
        assert_eq!(trial.remote().len(), 2);
    }
    // What the message says to do: and nothing is published twice, even if the server still has it.
    fs::remove_file(&ledger).unwrap();
    trial.put(NAME, &status, &transfer(1));
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&status, &changes]);
    assert!(trial.remote().is_empty());
}

/// A disk of four megabytes.
struct SmallDisk {
    path: std::path::PathBuf,
}

impl SmallDisk {
    /// Mounts it in place of a directory of the trial; says so, and gives none, where that is not allowed.
    fn mount(trial: &Trial, name: &str) -> Option<Self> {
        let path = trial.path(name);
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(&path)
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            cprflow_tests::skipped(
                "no disk can be mounted here: full and read-only disks are not tested",
            );
            return None;
        }
        Some(Self { path })
    }

    /// Fills it until only so much is free.
    fn fill_up_to(&self, free: usize) {
        let size = 4 * 1024 * 1024 - free;
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
        // Busy or not: it goes with the last who looks at it.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
