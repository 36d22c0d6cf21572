//! Hostile file names and identifiers, and very many files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use cprflow_platform::{Options, Platform, SftpBackend};
use cprflow_tests::command::cprflow;
use cprflow_tests::extract;
use cprflow_tests::sshd::Sshd;
use cprflow_tests::test_run::{TestRun, metadata, transfer};

use super::{NAME, assert_waiting};

#[test]
fn hostile_names() {
    let Some(test) = TestRun::sftp() else { return };
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    for name in [
        &b"two\nlines"[..],
        b"\x1b[2Jclear",
        b"not \xff utf-8",
        "\u{202e}turned".as_bytes(),
    ] {
        fs::write(test.inbox().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", test.inbox().join("link.metadata")).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(
        ended.text().matches("(unusable-name)").count(),
        5,
        "{}",
        ended.text()
    );
    assert!(!ended.text().contains('\x1b') && !ended.text().contains('\u{202e}'));
    test.assert_published(&[&bytes]);
    assert_eq!(test.remote().len(), 5, "the files stay on the server");
}

/// Foreign files can be named after persons. The test searches all output and records for the numbers.
#[test]
fn names_with_person_numbers() {
    let Some(sshd) = Sshd::start_as_nobody() else {
        return;
    };
    let test = TestRun::at(sshd);
    let (bytes, other) = (extract::small(20, 1), extract::small(20, 2));
    for number in [
        "0101010101",
        "0202020202",
        "0303030303",
        "0404040404",
        "0505050505",
        "0606060606",
    ] {
        test.forbid_number(number);
    }
    test.file("0101010101.pdf", b"x");
    test.file("0202020202.pdf", b"x");
    test.file("0303030303.sftpreceipt", b"x");
    test.file("0404040404\n.pdf", b"x");
    fs::create_dir(test.inbox().join("0505050505")).unwrap();
    // One delivery is published, one cannot be read, and one arrives again with other bytes.
    test.put("0606060606.l431101", &bytes, &transfer(1));
    test.put("0303030303.l431101", &bytes, &transfer(2));
    let closed = test.inbox().join("0303030303.l431101");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for told in [
        "published  [number].l431101 as",
        "waiting    [number].pdf (no-metadata)",
        "skipped    [number].sftpreceipt (foreign)",
        "skipped    [number].l431101 (unreadable)",
        "skipped    [number] (foreign): it is a directory",
    ] {
        assert!(ended.text().contains(told), "{told}: {}", ended.text());
    }
    test.assert_published(&[&bytes]);
    // Two names with the same placeholder are still two files.
    let status = test.run("status", &["--format", "json"]);
    for name in ["\"[number].pdf\"", "\"[number].pdf (2)\""] {
        assert!(status.text().contains(name), "{}", status.text());
    }
    test.put("0606060606.l431101", &other, &transfer(1));
    for format in ["text", "json"] {
        let more = [
            "--unrestricted",
            "test",
            "--log-format",
            format,
            "--log-level",
            "trace",
        ];
        let ended = test.run("sync", &more);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.text().contains("(transfer-reused)"),
            "{}",
            ended.text()
        );
    }
    assert_eq!(test.run("inbox", &[]).code, 0);
    test.run("status", &[]);
    for named in ["0606060606.l431101", "[number] l431101"] {
        let ended = test.run("set-aside", &[named, "--reason", "x"]);
        assert_eq!(ended.code, 2, "{}", ended.text());
    }
    // A file that appears again keeps the time at which it was first seen.
    let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
    let age =
        "UPDATE unclaimed_file SET first_seen = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')";
    assert!(ledger.execute(age, []).unwrap() > 5);
    drop(ledger);
    test.sync();
    let status = test.run("status", &[]);
    let reused = "ask the helpdesk (helpdesk@serviceplatformen.dk) which of them is right (transfer-reused; in the inbox for 2 days";
    assert!(status.text().contains(reused), "{}", status.text());
}

#[test]
fn hostile_uuids() {
    for uuid in [
        "../../../../tmp/x",
        "47570fc2",
        "47570fc2-be65-4ab1-8da7-3bcc086bfefg",
        "0101010101",
    ] {
        let test = TestRun::local();
        test.forbid_number("0101010101");
        let bytes = extract::small(20, 1);
        test.put(NAME, &bytes, uuid);
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("FileTransferUUID is not a UUID"),
            "{}",
            ended.stderr
        );
        test.assert_published(&[&bytes]);
        assert!(test.remote().is_empty());
        let (_, manifest) = test.published().remove(0);
        assert_eq!(manifest.transfer_uuid.len(), 36);
        // The same transfer once more is recognised by its computed key.
        test.put(NAME, &bytes, uuid);
        assert_eq!(test.sync().code, 0);
        test.assert_published(&[&bytes]);
        assert!(test.remote().is_empty());
    }
    let test = TestRun::local();
    test.put(NAME, &extract::small(20, 1), "");
    assert_waiting(&test, NAME, "metadata-unreadable");
    assert_eq!(test.remote().len(), 2);
}

#[test]
fn routing_that_does_not_follow_the_contract() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.data(NAME, &bytes);
    let routing = "<FileContentDescriptor><SFTPDynamicRoutingInfo><SenderIt-system>CPR</SenderIt-system>\
                   <SenderAuthority>12345678</SenderAuthority><TransactionId>17</TransactionId>\
                   <SenderTimestamp>2026-03-02T05:00:00Z</SenderTimestamp>\
                   <RecipientAuthority>87654321</RecipientAuthority></SFTPDynamicRoutingInfo></FileContentDescriptor>";
    let metadata = metadata(NAME, bytes.len() as u64, &transfer(1));
    let metadata = metadata.replace("<FileContentDescriptor/>", routing);
    test.file(&format!("{NAME}.metadata"), metadata.as_bytes());
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    for note in [
        "InfRef is missing",
        "SenderIt-system is not a UUID",
        "TransactionId is not a UUID",
    ] {
        assert!(ended.stderr.contains(note), "{}", ended.stderr);
    }
    assert!(
        !ended.stderr.contains("SenderAuthority"),
        "{}",
        ended.stderr
    );
    test.assert_published(&[&bytes]);
    assert!(test.remote().is_empty());
}

/// No file system has such names, but a server can list them.
#[test]
fn names_that_a_server_must_not_list() {
    let place = tempfile::tempdir().unwrap();
    let mut options = Options::new(place.path(), 10, 1);
    options.sftp = SftpBackend::InProcess;
    let platform = Platform::start(options).unwrap();
    let bytes = extract::small(20, 1);
    let outside = "../d260303.l431101.metadata";
    fs::write(platform.inbox().join(NAME), &bytes).unwrap();
    let metadata = metadata(NAME, bytes.len() as u64, &transfer(1));
    fs::write(platform.inbox().join(format!("{NAME}.metadata")), metadata).unwrap();
    // The file to which the name leads exists and is not touched.
    let target = platform.inbox().join(outside);
    fs::write(&target, "x").unwrap();
    let sftp = platform.sftp();
    let inbox = format!("sftp://{}@127.0.0.1:{}/IN", sftp.user(), sftp.port());
    let path = |name: &str| place.path().join(name).display().to_string();
    let sync = || {
        cprflow([
            "sync",
            "--inbox",
            &inbox,
            "--identity",
            &sftp.identity().display().to_string(),
            "--known-hosts",
            &sftp.known_hosts().display().to_string(),
            "--dataset",
            &path("dataset"),
            "--state",
            &path("state"),
            "--unrestricted",
            "test",
            "--church-purpose",
            "test",
        ])
    };
    // A name that is too long for the SFTP library ends the run.
    let long = |length: usize| "x".repeat(length);
    sftp.list_also(&[&long(4096)]);
    let ended = sync();
    assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
    let why = "broke the SSH or SFTP protocol while listing";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(fs::read_dir(platform.inbox()).unwrap().count(), 2);
    sftp.list_also(&[
        outside,
        "../../etc/passwd",
        "a/b",
        &long(4000),
        "two\nlines",
        ".",
    ]);
    let ended = sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    let told = ended.text().matches("(unusable-name)").count();
    assert_eq!(told, 5, "{}", ended.text());
    assert!(!ended.text().contains(&long(100)), "the name is shortened");
    assert_eq!(ended.text().matches("published  ").count(), 1);
    assert!(target.is_file());
    let left = fs::read_dir(platform.inbox()).unwrap().count();
    assert_eq!(left, 0, "the published delivery");
}

/// All foreign deliveries have metadata. Their metadata is read, and only the own delivery is taken.
#[test]
fn thousands_of_pairs_in_the_inbox() {
    let Some(test) = TestRun::sftp() else { return };
    let (bytes, theirs) = (extract::small(20, 1), extract::small(1, 2));
    let task = String::from_utf8_lossy(&theirs).replace("431101", "222222");
    const PAIRS: u32 = 2_000;
    for number in 0..PAIRS {
        test.put(
            &format!("theirs-{number}"),
            task.as_bytes(),
            &transfer(10 + number),
        );
    }
    test.put(NAME, &bytes, &transfer(1));
    let source = test.source();
    let value = |option: &str| {
        let at = source.iter().position(|argument| argument == option);
        source[at.unwrap() + 1].clone()
    };
    test.configure(&format!(
        "[agreement.one]\ninbox = \"{}\"\nidentity = \"{}\"\nhost_keys = [\"{}\"]\nunrestricted = \"test\"\n\
         files.task_numbers = [\"431101\"]\n",
        value("--inbox"),
        value("--identity"),
        value("--host-key"),
    ));
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let told = ended.text().matches("(nobodys)").count();
        assert_eq!(told, PAIRS as usize);
        test.assert_published(&[&bytes]);
        assert_eq!(test.remote().len(), 2 * PAIRS as usize);
    }
}

#[test]
fn ten_thousand_files_in_the_inbox() {
    let Some(test) = TestRun::sftp() else { return };
    let bytes = extract::small(20, 1);
    for number in 0..9_998 {
        test.file(&format!("sent-{number}.sftpreceipt"), b"x");
    }
    test.put(NAME, &bytes, &transfer(1));
    assert_eq!(test.remote().len(), 10_000);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&bytes]);
    assert_eq!(test.remote().len(), 9_998);
}
