//! Whatever can be wrong with an inbox, and what comes of it. `docs/faults.md` has a line for each of these tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::Ended;
use cprflow_tests::extract;
use cprflow_tests::proxy::{Fault, Proxy, Treatment};
use cprflow_tests::sshd::Setup;
use cprflow_tests::trial::{Trial, metadata, transfer};

const NAME: &str = "d260302.l431101";

#[test]
fn data_without_metadata() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.data(NAME, &bytes);
    waits(&trial, NAME, "no-metadata");
    trial.put(NAME, &bytes, &transfer(1));
    published(&trial, &[&bytes]);
}

#[test]
fn metadata_without_data() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    let metadata = metadata(NAME, bytes.len() as u64, &transfer(1));
    trial.file(&format!("{NAME}.metadata"), metadata.as_bytes());
    waits(&trial, &format!("{NAME}.metadata"), "no-data");
    trial.data(NAME, &bytes);
    published(&trial, &[&bytes]);
}

#[test]
fn data_still_growing() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    trial.data(NAME, &bytes[..bytes.len() / 2]);
    waits(&trial, NAME, "size-differs");
    trial.data(NAME, &bytes);
    published(&trial, &[&bytes]);
}

#[test]
fn data_that_changes_while_it_is_fetched() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(600, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("downloaded");
    drop(stopped);
    // Another time, and other bytes of the same size.
    let mut other = bytes.clone();
    let place = other.len() / 2;
    other[place..place + 40].fill(b' ');
    let stopped = trial.stop_at("ready");
    trial.data(NAME, &other);
    set_time(&trial, NAME, "2026-03-02 03:00");
    let (code, said) = stopped.go_on();
    assert_eq!(code, 0, "{said}");
    assert!(trial.published().is_empty(), "it is not what was listed");
    trial.data(NAME, &bytes);
    published(&trial, &[&bytes]);
}

#[test]
fn size_mismatch() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let wrong = metadata(NAME, bytes.len() as u64 + 7, &transfer(1));
    trial.file(&format!("{NAME}.metadata"), wrong.as_bytes());
    waits(&trial, NAME, "size-differs");
    // For an hour that is nothing; after a day somebody has to ask.
    let status = trial.run("status", &[]);
    assert_eq!(status.code, 0, "{}", status.text());
    age_strays(&trial);
    let status = trial.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.text());
    assert!(status.text().contains("ask the helpdesk"));
}

#[test]
fn metadata_that_lies_about_the_name() {
    for (lie, code) in [
        ("other.l431101", "name-differs"),
        ("D260302.L431101", "name-differs"),
        ("../d260302.l431101", "metadata-unreadable"),
    ] {
        let trial = Trial::local();
        let bytes = extract::small(20, 1);
        trial.put(NAME, &bytes, &transfer(1));
        let lie = metadata(lie, bytes.len() as u64, &transfer(1));
        trial.file(&format!("{NAME}.metadata"), lie.as_bytes());
        waits(&trial, NAME, code);
        assert_eq!(trial.remote().len(), 2);
    }
}

#[test]
fn both_root_forms() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    trial.data("d260303.l431101", &changes);
    let trigger = format!(
        "<ns2:Trigger xmlns:ns2=\"http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types\">\n<FileTransferUUID>\n{}\n\
         </FileTransferUUID><FileDescriptor><FileName>d260303.l431101</FileName><SizeInBytes>{}</SizeInBytes>\
         <Sender>somebody</Sender><Recipients>x</Recipients></FileDescriptor></ns2:Trigger>",
        transfer(2).to_uppercase(),
        changes.len()
    );
    trial.file("d260303.l431101.METADATA", trigger.as_bytes());
    published(&trial, &[&status, &changes]);
}

#[test]
fn receipts_and_foreign_files() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let receipt = "<ns2:TechnicalReceipt xmlns:ns2=\"http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types\">\
         <FileTransferUUID>47570fc2-be65-4ab1-8da7-3bcc086bfef9</FileTransferUUID>\
         <Receipt><Message>SUCCESS</Message></Receipt></ns2:TechnicalReceipt>";
    trial.file("sent.xml.sftpreceipt", receipt.as_bytes());
    trial.file("sent.xml.trigger", b"<x/>");
    trial.file("other.metadata", receipt.as_bytes());
    fs::create_dir(trial.inbox().join("folder")).unwrap();
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&bytes]);
    assert_eq!(
        ended.text().matches("(foreign)").count(),
        4,
        "{}",
        ended.text()
    );
    let left = [
        "folder",
        "other.metadata",
        "sent.xml.sftpreceipt",
        "sent.xml.trigger",
    ];
    assert_eq!(trial.remote(), left);
    assert_eq!(trial.run("status", &[]).code, 0);
}

#[test]
fn a_file_that_fits_no_agreement_or_two() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    let mut settings = Settings::new(30, 9);
    settings.task_number = "222222".to_owned();
    let second = extract::status(&settings);
    settings.task_number = "333333".to_owned();
    let third = extract::status(&settings);
    trial.put(NAME, &status, &transfer(1));
    trial.put("ours-too", &changes, &transfer(2));
    trial.put("second", &second, &transfer(3));
    trial.put("third", &third, &transfer(4));
    let agreement = |name: &str, task: &str| {
        format!(
            "[agreement.{name}]\ninbox = \"inbox\"\nunrestricted = \"test\"\nfiles.task_numbers = [\"{task}\"]\n"
        )
    };
    let configure = |agreements: &[String]| {
        let text = format!(
            "dataset = \"disk/dataset\"\nstate = \"state\"\n{}",
            agreements.join("")
        );
        fs::write(trial.path("cprflow.toml"), text).unwrap();
    };
    let run = |subcommand: &str| {
        let config = trial.path("cprflow.toml").display().to_string();
        trial.cprflow(&[subcommand.to_owned(), "--config".to_owned(), config])
    };
    // Two that cannot be told apart, and one file that is nobody's: nothing is guessed.
    let ambiguous = [
        agreement("one", "431101"),
        agreement("two", "431101"),
        agreement("other", "222222"),
    ];
    configure(&ambiguous);
    let ended = run("sync");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(
        ended.text().matches("(ambiguous)").count(),
        2,
        "{}",
        ended.text()
    );
    assert_eq!(
        ended.text().matches("(nobodys)").count(),
        1,
        "{}",
        ended.text()
    );
    trial.assert_published(&[&second]);
    assert_eq!(trial.remote().len(), 6);
    assert_eq!(run("status").code, 1);
    // Told apart, each goes its way.
    configure(&[
        agreement("one", "431101"),
        agreement("other", "222222"),
        agreement("rest", "333333"),
    ]);
    let ended = run("sync");
    assert_eq!(ended.code, 0, "{}", ended.text());
    assert!(trial.remote().is_empty());
    assert_eq!(run("status").code, 0);
    trial.assert_published(&[&status, &changes, &second, &third]);
}

#[test]
fn same_transfer_twice() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    // At once, under two names, and again a day later.
    trial.put(NAME, &bytes, &transfer(1));
    trial.put("d260302-copy.l431101", &bytes, &transfer(1));
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("published already"),
        "{}",
        ended.stderr
    );
    trial.put(NAME, &bytes, &transfer(1));
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("published already"),
        "{}",
        ended.stderr
    );
    trial.assert_published(&[&bytes]);
    assert!(trial.remote().is_empty());
}

#[test]
fn another_file_under_a_transfer_that_is_known() {
    let trial = Trial::local();
    let (bytes, other) = (extract::small(20, 1), extract::small(20, 2));
    trial.put(NAME, &bytes, &transfer(1));
    published(&trial, &[&bytes]);
    trial.put(NAME, &other, &transfer(1));
    for _ in 0..2 {
        let ended = trial.sync();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.text().contains("(transfer-reused)"),
            "{}",
            ended.text()
        );
    }
    trial.assert_published(&[&bytes]);
    assert_eq!(
        trial.remote().len(),
        2,
        "nobody knows which is right: it stays"
    );
}

#[test]
fn same_name_again_with_new_content() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    published(&trial, &[&status]);
    trial.put(NAME, &changes, &transfer(2));
    published(&trial, &[&status, &changes]);
}

/// Published, not yet removed, and meanwhile a newer delivery came under the same name: it must not be removed.
#[test]
fn same_name_again_before_the_first_is_removed() {
    let trial = Trial::local();
    let (status, changes) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    trial.stop_at("published").kill();
    trial.put(NAME, &changes, &transfer(2));
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another file has come"),
        "{}",
        ended.stderr
    );
    trial.assert_published(&[&status, &changes]);
    assert!(trial.remote().is_empty());
}

#[test]
fn file_gone_between_list_and_open() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("fetching");
    fs::remove_file(trial.inbox().join(NAME)).unwrap();
    let (code, said) = stopped.go_on();
    assert_eq!(code, 0, "{said}");
    assert!(trial.published().is_empty());
    // Gone for good: somebody has to ask for it.
    fs::remove_file(trial.inbox().join(format!("{NAME}.metadata"))).unwrap();
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.text());
    assert!(
        ended.text().contains("(gone-from-server)"),
        "{}",
        ended.text()
    );
    // And if it comes back after all, it is taken.
    trial.put(NAME, &bytes, &transfer(1));
    published(&trial, &[&bytes]);
}

#[test]
fn cut_in_mid_download() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let port = trial.sshd().port();
    let proxy = Proxy::failing(port, bytes.len() as u64 / 2, Fault::Cut);
    trial.through(proxy.port());
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(proxy.faults_fired(), 1);
    assert!(
        ended.stderr.contains("the download was cut off"),
        "{}",
        ended.stderr
    );
    let carried = proxy.bytes_down();
    assert!(
        carried < bytes.len() as u64 * 3 / 2,
        "it went on from there: {carried} of {}: {}",
        bytes.len(),
        ended.stderr
    );
    trial.assert_published(&[&bytes]);
    assert!(trial.remote().is_empty());
}

#[test]
fn cut_at_every_64_kib_of_a_small_file() {
    const STEP: u64 = 64 * 1024;
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let port = trial.sshd().port();
    let bytes = extract::small(400, 1);
    let mut fired = 0;
    let cuts = bytes.len() as u64 / STEP + 1;
    for cut in 0..=cuts {
        let extract = extract::small(400, 1 + cut);
        trial.put(NAME, &extract, &transfer(1 + cut as u32));
        let proxy = Proxy::failing(port, cut * STEP + 1, Fault::Cut);
        trial.through(proxy.port());
        // Cut while the connection is made or the inbox is read, a run ends; while it downloads, it goes on.
        let first = trial.sync();
        assert!([0, 2].contains(&first.code), "{}", first.stderr);
        fired += proxy.faults_fired();
        let second = trial.sync();
        assert_eq!(second.code, 0, "{}", second.stderr);
        assert!(trial.remote().is_empty(), "cut after {} KiB", cut * 64);
    }
    assert!(fired >= cuts, "{fired} of {cuts}");
    let expected: Vec<_> = (0..=cuts).map(|cut| extract::small(400, 1 + cut)).collect();
    let expected: Vec<&[u8]> = expected.iter().map(Vec::as_slice).collect();
    trial.assert_published(&expected);
}

#[test]
fn server_restart() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("half-downloaded");
    assert!(trial.sshd().start_again());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 0, "{said}");
    trial.assert_published(&[&bytes]);
    assert!(trial.remote().is_empty());
}

#[test]
fn server_gone_for_long() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("half-downloaded");
    trial.sshd().stop();
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("refuses the connection"), "{said}");
    assert!(trial.sshd().start_again());
    published(&trial, &[&bytes]);
}

#[test]
fn stalled_server() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let port = trial.sshd().port();
    let proxy = Proxy::failing(port, bytes.len() as u64 / 2, Fault::Stall);
    trial.through(proxy.port());
    let begun = std::time::Instant::now();
    let ended = trial.run("sync", &["--unrestricted", "test", "--timeout", "3"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(proxy.faults_fired(), 1);
    assert!(
        ended.stderr.contains("no progress for 3s"),
        "{}",
        ended.stderr
    );
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    trial.assert_published(&[&bytes]);
}

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
    sync.extend(arguments);
    refused(
        &trial,
        &trial.cprflow(&sync),
        "is not the one that is known",
    );
}

#[test]
fn unknown_host_key() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    trial.put(NAME, &extract::small(20, 1), &transfer(1));
    let empty = trial.sshd().known_hosts("nobody", "").display().to_string();
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
    sync.extend(["--known-hosts".to_owned(), empty]);
    refused(&trial, &trial.cprflow(&sync), "nothing is known about");
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
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("Read-only file system"),
        "{}",
        ended.stderr
    );
    assert_eq!(trial.remote().len(), 2);
    disk.remount("rw");
    published(&trial, &[&bytes]);
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

#[test]
fn hostile_names() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    for name in [
        &b"two\nlines"[..],
        b"\x1b[2Jclear",
        b"not \xff utf-8",
        "\u{202e}turned".as_bytes(),
    ] {
        fs::write(trial.inbox().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", trial.inbox().join("link.metadata")).unwrap();
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(
        ended.text().matches("(unusable-name)").count(),
        5,
        "{}",
        ended.text()
    );
    assert!(!ended.text().contains('\x1b') && !ended.text().contains('\u{202e}'));
    trial.assert_published(&[&bytes]);
    assert_eq!(trial.remote().len(), 5, "they stay where they are");
}

#[test]
fn hostile_uuids() {
    for uuid in [
        "../../../../tmp/x",
        "",
        "47570fc2",
        "47570fc2-be65-4ab1-8da7-3bcc086bfefg",
        "0101010101",
    ] {
        let trial = Trial::local();
        let bytes = extract::small(20, 1);
        trial.put(NAME, &bytes, uuid);
        waits(&trial, NAME, "metadata-unreadable");
        assert_eq!(trial.remote().len(), 2);
    }
}

#[test]
fn ten_thousand_files_in_the_inbox() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(20, 1);
    for number in 0..9_998 {
        trial.file(&format!("sent-{number}.sftpreceipt"), b"x");
    }
    trial.put(NAME, &bytes, &transfer(1));
    assert_eq!(trial.remote().len(), 10_000);
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&bytes]);
    assert_eq!(trial.remote().len(), 9_998);
}

/// The table of the documentation names every test of this file, and no other.
#[test]
fn every_fault_is_documented() {
    let page = fs::read_to_string(cprflow_tests::root().join("docs/faults.md")).unwrap();
    let tests =
        fs::read_to_string(cprflow_tests::root().join("tests/tests/sync_faults.rs")).unwrap();
    let mut names: Vec<&str> = tests
        .split("#[test]\nfn ")
        .skip(1)
        .map(|rest| rest.split('(').next().unwrap())
        .filter(|name| *name != "every_fault_is_documented")
        .collect();
    names.sort_unstable();
    let mut documented: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.rsplit('`').nth(1))
        .collect();
    documented.sort_unstable();
    assert_eq!(documented, names);
}

fn two_nights() -> (Vec<u8>, Vec<u8>) {
    let settings = Settings::new(60, 3);
    (extract::status(&settings), night(&settings, 1))
}

fn night(settings: &Settings, night: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    generate::changes(settings, night, &mut bytes).unwrap();
    bytes
}

/// A run leaves it where it is, and says why; nobody has to do anything yet.
fn waits(trial: &Trial, name: &str, code: &str) {
    let before = trial.remote();
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line = format!("waiting    {name} ({code})");
    assert!(ended.text().contains(&line), "{}", ended.text());
    assert!(trial.published().is_empty());
    assert_eq!(trial.remote(), before);
}

/// A run publishes what is there, so that exactly these extracts are published, and the inbox is empty.
fn published(trial: &Trial, extracts: &[&[u8]]) {
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    trial.assert_published(extracts);
    assert!(trial.remote().is_empty());
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

fn set_time(trial: &Trial, name: &str, time: &str) {
    let touched = Command::new("touch")
        .args(["-d", time])
        .arg(trial.inbox().join(name))
        .status();
    assert!(touched.unwrap().success());
}

/// Makes the ledger believe that it saw its strays two days ago.
fn age_strays(trial: &Trial) {
    let ledger = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
    let changed = ledger.execute(
        "UPDATE stray SET first_seen = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
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

/// Proxies treat every connection alike unless told otherwise.
#[test]
fn slow_line() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(400, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let treatment = Treatment {
        rate: Some(256 * 1024),
        ..Treatment::default()
    };
    let proxy = Proxy::start(trial.sshd().port(), treatment);
    trial.through(proxy.port());
    let begun = std::time::Instant::now();
    published(&trial, &[&bytes]);
    assert!(begun.elapsed().as_secs_f64() > bytes.len() as f64 / 262_144.0 * 0.9);
}
