//! Halves of a delivery that do not fit together, and files that are nobody's.

use std::fs;
use std::process::Command;

use cprflow_connector::generate::Settings;
use cprflow_tests::extract;
use cprflow_tests::trial::{Trial, metadata, transfer};

use super::{NAME, published, two_nights, waits};

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
