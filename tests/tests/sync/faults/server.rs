//! Servers with a wrong host key, without permission to log in, to read or to delete.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cprflow_tests::Requirement;
use cprflow_tests::command::CommandOutput;
use cprflow_tests::extract;
use cprflow_tests::sshd::{Setup, Sshd};
use cprflow_tests::test_run::{TestRun, transfer};

use super::{NAME, published, two_nights};

#[test]
fn wrong_host_key() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    test.put(NAME, &extract::small(20, 1), &transfer(1));
    let arguments = test.source();
    test.sshd().make_host_key("ed25519");
    assert!(test.sshd().start_again());
    let mut sync = vec![
        "sync".to_owned(),
        "--unrestricted".to_owned(),
        "test".to_owned(),
    ];
    sync.extend(arguments.clone());
    let why = "is not the one that is known";
    refused(&test, &test.cprflow(&sync), why);
    let mut doctor = vec!["doctor".to_owned()];
    doctor.extend(arguments);
    found_by_doctor(&test.cprflow(&doctor), why);
    let well = test.run("doctor", &[]);
    assert_eq!(well.code, 0, "{}", well.text());
    assert!(well.text().contains("connected to"), "{}", well.text());
}

#[test]
fn unknown_host_key() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    test.put(NAME, &extract::small(20, 1), &transfer(1));
    let empty = test.sshd().known_hosts("nobody", "").display().to_string();
    let fingerprint = test.sshd().fingerprint("ed25519");
    let mut sync = vec![
        "sync".to_owned(),
        "--unrestricted".to_owned(),
        "test".to_owned(),
    ];
    let source = test.source();
    let is_key = |at: usize| source[at].starts_with("SHA256:") || source[at] == "--host-key";
    sync.extend(
        (0..source.len())
            .filter(|at| !is_key(*at))
            .map(|at| source[at].clone()),
    );
    // There is no known_hosts option, a missing file, and an empty file.
    for known_hosts in [
        vec![],
        vec![test.path("none").display().to_string()],
        vec![empty],
    ] {
        let option = known_hosts.iter().map(|_| "--known-hosts".to_owned());
        let sync: Vec<_> = sync
            .iter()
            .cloned()
            .chain(option)
            .chain(known_hosts.clone())
            .collect();
        let ended = test.cprflow(&sync);
        refused(&test, &ended, "is not known, so nothing was sent");
        assert!(ended.stderr.contains(&fingerprint), "{}", ended.stderr);
    }
    assert!(
        !test.sshd().log().contains("publickey"),
        "{}",
        test.sshd().log()
    );
}

#[test]
fn key_refused() {
    let setup = Setup {
        authorized: false,
        ..Setup::default()
    };
    let Some(test) = TestRun::sftp_with(setup) else {
        return;
    };
    test.put(NAME, &extract::small(20, 1), &transfer(1));
    refused(&test, &test.sync(), "does not let");
    found_by_doctor(&test.run("doctor", &[]), "does not let");
    // `status` reports the failure later.
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.text());
    let told = "the last visit to the inbox failed: ";
    assert!(status.text().contains(told), "{}", status.text());
}

#[test]
fn permission_denied_on_reading() {
    let Some(sshd) = Sshd::start_as_nobody() else {
        return;
    };
    let test = TestRun::at(sshd);
    let (status, changes) = two_nights();
    // One delivery has unreadable metadata, one has unreadable data, and one is correct.
    for (number, name, closed) in [
        (1, "a", Some("a.metadata")),
        (2, "b", Some("b")),
        (3, NAME, None),
    ] {
        test.put(name, &status, &transfer(number));
        if let Some(closed) = closed {
            close(&test, closed, 0o000);
        }
    }
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
        for name in ["a", "b"] {
            let line = format!("skipped    {name} (unreadable): permission denied while opening");
            assert!(ended.text().contains(&line), "{}", ended.text());
        }
        test.assert_published(&[&status]);
        assert_eq!(test.remote(), ["a", "a.metadata", "b", "b.metadata"]);
    }
    assert_eq!(test.run("status", &[]).code, 1);
    test.put("a", &changes, &transfer(1));
    test.put("b", &extract::small(60, 9), &transfer(2));
    for closed in ["a.metadata", "b"] {
        close(&test, closed, 0o644);
    }
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_eq!(test.published().len(), 3);
    assert!(test.remote().is_empty());
}

/// Each read of the file fails with an I/O error on the server, although the permissions are right.
#[test]
fn server_failure_on_reading() {
    let Some(test) = TestRun::sftp() else { return };
    let bytes = extract::small(20, 1);
    test.put("a", &bytes, &transfer(1));
    test.put(NAME, &bytes, &transfer(2));
    let Some(_unreadable) = UnreadableFile::mount(&test, "a.metadata") else {
        return;
    };
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    let mut lines = ended.text().lines();
    let line = lines.find(|line| line.starts_with("skipped    a (unreadable): "));
    assert!(
        line.is_some_and(|line| line.contains("reported a failure while reading a.metadata")),
        "{}",
        ended.text()
    );
    test.assert_published(&[&bytes]);
    assert_eq!(test.remote(), ["a", "a.metadata"]);
}

#[test]
fn permission_denied_on_delete() {
    let Some(mut test) = TestRun::sftp_with(without_removing()) else {
        return;
    };
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains("permission denied while removing"),
            "{}",
            ended.stderr
        );
        test.assert_published(&[&bytes]);
        assert_eq!(test.remote().len(), 2);
    }
    test.sshd().set_sftp("");
    assert!(test.sshd().start_again());
    published(&test, &[&bytes]);
}

#[test]
fn delete_of_data_succeeds_and_of_metadata_fails() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    test.stop_at("data-removed").kill();
    assert_eq!(test.remote(), [format!("{NAME}.metadata")]);
    test.sshd().set_sftp("-P remove");
    assert!(test.sshd().start_again());
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("permission denied while removing"),
        "{}",
        ended.stderr
    );
    test.assert_published(&[&bytes]);
    test.sshd().set_sftp("");
    assert!(test.sshd().start_again());
    published(&test, &[&bytes]);
}

fn close(test: &TestRun, name: &str, mode: u32) {
    let path = test.inbox().join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn found_by_doctor(ended: &CommandOutput, why: &str) {
    assert_eq!(ended.code, 1, "{}", ended.text());
    let line = ended.text().lines().find(|line| line.contains(why));
    assert!(
        line.is_some_and(|line| line.contains("FAIL  connection: ")),
        "{}",
        ended.text()
    );
}

/// Asserts that the run did nothing, for this reason.
fn refused(test: &TestRun, ended: &CommandOutput, why: &str) {
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert!(test.published().is_empty());
    assert_eq!(test.remote().len(), 2);
}

fn without_removing() -> Setup {
    Setup {
        sftp: Some("-P remove"),
        ..Setup::default()
    }
}

/// A file of which every read fails: the memory of this process, which has nothing mapped at offset 0.
struct UnreadableFile(std::path::PathBuf);

impl UnreadableFile {
    /// Mounts it over a file of the inbox. Returns `None` if mounting is not permitted.
    fn mount(test: &TestRun, name: &str) -> Option<Self> {
        let path = test.inbox().join(name);
        let mounted = Command::new("mount")
            .arg("--bind")
            .arg(format!("/proc/{}/mem", std::process::id()))
            .arg(&path)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        cprflow_tests::require(
            Requirement::Mounts,
            is_mounted.then(|| Self(path)),
            "no file can be bind-mounted, so a file that cannot be read is not tested",
        )
    }
}

impl Drop for UnreadableFile {
    fn drop(&mut self) {
        // A lazy unmount also works while the file is still open somewhere.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
