//! Data and metadata files that do not fit together, and files of no agreement.

use std::fs;
use std::process::Command;

use cprflow_connector::generate::Settings;
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, metadata, transfer};

use super::{NAME, assert_waiting, published, two_nights};

#[test]
fn data_without_metadata() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.data(NAME, &bytes);
    assert_waiting(&test, NAME, "no-metadata");
    test.put(NAME, &bytes, &transfer(1));
    published(&test, &[&bytes]);
}

#[test]
fn metadata_without_data() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    let metadata = metadata(NAME, bytes.len() as u64, &transfer(1));
    test.file(&format!("{NAME}.metadata"), metadata.as_bytes());
    assert_waiting(&test, &format!("{NAME}.metadata"), "no-data");
    test.data(NAME, &bytes);
    published(&test, &[&bytes]);
}

#[test]
fn data_still_growing() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    test.data(NAME, &bytes[..bytes.len() / 2]);
    assert_waiting(&test, NAME, "size-differs");
    test.data(NAME, &bytes);
    published(&test, &[&bytes]);
}

#[test]
fn data_that_changes_while_it_is_fetched() {
    let Some(test) = TestRun::sftp() else { return };
    let bytes = extract::small(600, 1);
    test.put(NAME, &bytes, &transfer(1));
    let stopped = test.stop_at("downloaded");
    drop(stopped);
    // The file gets another time and other bytes of the same size.
    let mut other = bytes.clone();
    let place = other.len() / 2;
    other[place..place + 40].fill(b' ');
    let stopped = test.stop_at("ready");
    test.data(NAME, &other);
    set_time(&test, NAME, "2026-03-02 03:00");
    let (code, said) = stopped.go_on();
    assert_eq!(code, 0, "{said}");
    assert!(
        test.published().is_empty(),
        "the file is not the one that was listed"
    );
    test.data(NAME, &bytes);
    published(&test, &[&bytes]);
}

#[test]
fn size_mismatch() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    let wrong = metadata(NAME, bytes.len() as u64 + 7, &transfer(1));
    test.file(&format!("{NAME}.metadata"), wrong.as_bytes());
    assert_waiting(&test, NAME, "size-differs");
    // A file may wait for an hour without action. After a day an operator must ask.
    let status = test.run("status", &[]);
    assert_eq!(status.code, 0, "{}", status.text());
    age_unclaimed_files(&test);
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.text());
    assert!(status.text().contains("ask the helpdesk"));
}

#[test]
fn metadata_that_names_another_file() {
    for (lie, code) in [
        ("other.l431101", "name-differs"),
        ("D260302.L431101", "name-differs"),
        ("../d260302.l431101", "metadata-unreadable"),
    ] {
        let test = TestRun::local();
        let bytes = extract::small(20, 1);
        test.put(NAME, &bytes, &transfer(1));
        let lie = metadata(lie, bytes.len() as u64, &transfer(1));
        test.file(&format!("{NAME}.metadata"), lie.as_bytes());
        assert_waiting(&test, NAME, code);
        assert_eq!(test.remote().len(), 2);
    }
}

#[test]
fn both_root_forms() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    test.data("d260303.l431101", &changes);
    let trigger = format!(
        "<ns2:Trigger xmlns:ns2=\"http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types\">\n<FileTransferUUID>\n{}\n\
         </FileTransferUUID><FileDescriptor><FileName>d260303.l431101</FileName><SizeInBytes>{}</SizeInBytes>\
         <Sender>somebody</Sender><Recipients>x</Recipients></FileDescriptor></ns2:Trigger>",
        transfer(2).to_uppercase(),
        changes.len()
    );
    test.file("d260303.l431101.METADATA", trigger.as_bytes());
    published(&test, &[&status, &changes]);
}

#[test]
fn receipts_and_foreign_files() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    let receipt = "<ns2:TechnicalReceipt xmlns:ns2=\"http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types\">\
         <FileTransferUUID>47570fc2-be65-4ab1-8da7-3bcc086bfef9</FileTransferUUID>\
         <Receipt><Message>SUCCESS</Message></Receipt></ns2:TechnicalReceipt>";
    test.file("sent.xml.sftpreceipt", receipt.as_bytes());
    test.file("sent.xml.trigger", b"<x/>");
    test.file("other.metadata", receipt.as_bytes());
    fs::create_dir(test.inbox().join("folder")).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&bytes]);
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
    assert_eq!(test.remote(), left);
    assert_eq!(test.run("status", &[]).code, 0);
}

#[test]
fn file_of_no_agreement_or_of_two() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    let mut settings = Settings::busy(30, 9);
    settings.task_number = "222222".to_owned();
    let second = extract::status(&settings);
    settings.task_number = "333333".to_owned();
    let third = extract::status(&settings);
    test.put(NAME, &status, &transfer(1));
    test.put("ours-too", &changes, &transfer(2));
    test.put("second", &second, &transfer(3));
    test.put("third", &third, &transfer(4));
    let agreement = |name: &str, task: &str| {
        format!(
            "[agreement.{name}]\ninbox = \"inbox\"\nunrestricted = \"test\"\nchurch.purpose = \"test\"\nfiles.task_numbers = [\"{task}\"]\n"
        )
    };
    let configure = |agreements: &[String]| {
        let text = format!(
            "dataset = \"disk/dataset\"\nstate = \"state\"\n{}",
            agreements.join("")
        );
        fs::write(test.path("cprflow.toml"), text).unwrap();
    };
    let run = |subcommand: &str| {
        let config = test.path("cprflow.toml").display().to_string();
        test.cprflow(&[subcommand.to_owned(), "--config".to_owned(), config])
    };
    // A file of two agreements and a file of none stay on the server.
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
    test.assert_published(&[&second]);
    assert_eq!(test.remote().len(), 6);
    assert_eq!(run("status").code, 1);
    // With a clear configuration, each delivery goes to its agreement.
    configure(&[
        agreement("one", "431101"),
        agreement("other", "222222"),
        agreement("rest", "333333"),
    ]);
    let ended = run("sync");
    assert_eq!(ended.code, 0, "{}", ended.text());
    assert!(test.remote().is_empty());
    assert_eq!(run("status").code, 0);
    test.assert_published(&[&status, &changes, &second, &third]);
}

fn set_time(test: &TestRun, name: &str, time: &str) {
    let touched = Command::new("touch")
        .args(["-d", time])
        .arg(test.inbox().join(name))
        .status();
    assert!(touched.unwrap().success());
}

/// Sets the time at which the ledger first saw unassigned files to two days ago.
fn age_unclaimed_files(test: &TestRun) {
    let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
    let changed = ledger.execute(
        "UPDATE unclaimed_file SET first_seen = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
}
