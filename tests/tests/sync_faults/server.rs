//! A server that is the wrong one, lets nobody in, or removes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cprflow_tests::command::Ended;
use cprflow_tests::extract;
use cprflow_tests::sshd::{Setup, Sshd};
use cprflow_tests::trial::{Trial, transfer};

use super::{NAME, published, two_nights};

#[test]
fn wrong_host_key() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    trial.put(NAME, &extract::small(20, 1), &transfer(1));
    let arguments = trial.source();
    trial.sshd().make_host_key("ed25519");
    assert!(trial.sshd().start_again());
    let mut sync = vec![
        "sync".to_owned(),
        "--unrestricted".to_owned(),
        "test".to_owned(),
    ];
    sync.extend(arguments.clone());
    let why = "is not the one that is known";
    refused(&trial, &trial.cprflow(&sync), why);
    let mut doctor = vec!["doctor".to_owned()];
    doctor.extend(arguments);
    found_by_doctor(&trial.cprflow(&doctor), why);
    let well = trial.run("doctor", &[]);
    assert_eq!(well.code, 0, "{}", well.text());
    assert!(well.text().contains("lets us in"), "{}", well.text());
}

#[test]
fn unknown_host_key() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    trial.put(NAME, &extract::small(20, 1), &transfer(1));
    let empty = trial.sshd().known_hosts("nobody", "").display().to_string();
    let fingerprint = trial.sshd().fingerprint("ed25519");
    let mut sync = vec![
        "sync".to_owned(),
        "--unrestricted".to_owned(),
        "test".to_owned(),
    ];
    let source = trial.source();
    let is_key = |at: usize| source[at].starts_with("SHA256:") || source[at] == "--host-key";
    sync.extend(
        (0..source.len())
            .filter(|at| !is_key(*at))
            .map(|at| source[at].clone()),
    );
    // Nothing is said of a file, one is named that is not there, and one that is empty.
    for known_hosts in [
        vec![],
        vec![trial.path("none").display().to_string()],
        vec![empty],
    ] {
        let option = known_hosts.iter().map(|_| "--known-hosts".to_owned());
        let sync: Vec<_> = sync
            .iter()
            .cloned()
            .chain(option)
            .chain(known_hosts.clone())
            .collect();
        let ended = trial.cprflow(&sync);
        refused(&trial, &ended, "nothing is known about");
        assert!(ended.stderr.contains(&fingerprint), "{}", ended.stderr);
    }
    assert!(
        !trial.sshd().log().contains("publickey"),
        "{}",
        trial.sshd().log()
    );
}

#[test]
fn key_refused() {
    let setup = Setup {
        authorized: false,
        ..Setup::default()
    };
    let Some(trial) = Trial::sftp_with(setup) else {
        return;
    };
    trial.put(NAME, &extract::small(20, 1), &transfer(1));
    refused(&trial, &trial.sync(), "does not let");
    found_by_doctor(&trial.run("doctor", &[]), "does not let");
    // And it is remembered, for whoever was not there.
    let status = trial.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.text());
    let told = "the last look into the inbox failed: ";
    assert!(status.text().contains(told), "{}", status.text());
}

#[test]
fn permission_denied_on_reading() {
    let Some(sshd) = Sshd::start_as_nobody() else {
        return;
    };
    let trial = Trial::at(sshd);
    let (status, changes) = two_nights();
    // One whose metadata cannot be read, one whose data cannot, and one that is as it should be.
    for (number, name, closed) in [
        (1, "a", Some("a.metadata")),
        (2, "b", Some("b")),
        (3, NAME, None),
    ] {
        trial.put(name, &status, &transfer(number));
        if let Some(closed) = closed {
            close(&trial, closed, 0o000);
        }
    }
    for _ in 0..2 {
        let ended = trial.sync();
        assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
        for name in ["a", "b"] {
            let line = format!("not taken  {name} (unreadable): permission denied while opening");
            assert!(ended.text().contains(&line), "{}", ended.text());
        }
        trial.assert_published(&[&status]);
        assert_eq!(trial.remote(), ["a", "a.metadata", "b", "b.metadata"]);
    }
    assert_eq!(trial.run("status", &[]).code, 1);
    for name in ["a", "b"] {
        trial.put(name, &changes, &transfer(if name == "a" { 1 } else { 2 }));
    }
    for closed in ["a.metadata", "b"] {
        close(&trial, closed, 0o644);
    }
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_eq!(trial.published().len(), 3);
    assert!(trial.remote().is_empty());
}

/// A file that the server fails at, not for want of a right: each read of it is an error of the disk.
#[test]
fn server_failure_on_reading() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(20, 1);
    trial.put("a", &bytes, &transfer(1));
    trial.put(NAME, &bytes, &transfer(2));
    let Some(_ill) = IllFile::mount(&trial, "a.metadata") else {
        return;
    };
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    let line = "not taken  a (unreadable): the server failed while";
    assert!(ended.text().contains(line), "{}", ended.text());
    trial.assert_published(&[&bytes]);
    assert_eq!(trial.remote(), ["a", "a.metadata"]);
}

#[test]
fn permission_denied_on_delete() {
    let Some(mut trial) = Trial::sftp_with(without_removing()) else {
        return;
    };
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    for _ in 0..2 {
        let ended = trial.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains("permission denied while removing"),
            "{}",
            ended.stderr
        );
        trial.assert_published(&[&bytes]);
        assert_eq!(trial.remote().len(), 2);
    }
    trial.sshd().set_sftp("");
    assert!(trial.sshd().start_again());
    published(&trial, &[&bytes]);
}

#[test]
fn delete_of_data_succeeds_and_of_metadata_fails() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    trial.stop_at("data-removed").kill();
    assert_eq!(trial.remote(), [format!("{NAME}.metadata")]);
    trial.sshd().set_sftp("-P remove");
    assert!(trial.sshd().start_again());
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("permission denied while removing"),
        "{}",
        ended.stderr
    );
    trial.assert_published(&[&bytes]);
    trial.sshd().set_sftp("");
    assert!(trial.sshd().start_again());
    published(&trial, &[&bytes]);
}

fn close(trial: &Trial, name: &str, mode: u32) {
    let path = trial.inbox().join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn found_by_doctor(ended: &Ended, why: &str) {
    assert_eq!(ended.code, 1, "{}", ended.text());
    let line = ended.text().lines().find(|line| line.contains(why));
    assert!(
        line.is_some_and(|line| line.contains("ill   connection: ")),
        "{}",
        ended.text()
    );
}

/// Nothing was done, for that reason.
fn refused(trial: &Trial, ended: &Ended, why: &str) {
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert!(trial.published().is_empty());
    assert_eq!(trial.remote().len(), 2);
}

fn without_removing() -> Setup {
    Setup {
        sftp: Some("-P remove"),
        ..Setup::default()
    }
}

/// A file whose every read fails: this process's memory, of which nothing is at the beginning.
struct IllFile(std::path::PathBuf);

impl IllFile {
    /// Puts it in place of a file of the inbox; says so, and gives none, where that is not allowed.
    fn mount(trial: &Trial, name: &str) -> Option<Self> {
        let path = trial.inbox().join(name);
        let mounted = Command::new("mount")
            .arg("--bind")
            .arg(format!("/proc/{}/mem", std::process::id()))
            .arg(&path)
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            cprflow_tests::skipped("nothing can be mounted here: a file that is ill is not tested");
            return None;
        }
        Some(Self(path))
    }
}

impl Drop for IllFile {
    fn drop(&mut self) {
        // Busy or not: it goes with the last who looks at it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
