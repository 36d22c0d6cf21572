//! A server that is the wrong one, lets nobody in, or removes nothing.

use cprflow_tests::command::Ended;
use cprflow_tests::extract;
use cprflow_tests::sshd::Setup;
use cprflow_tests::trial::{Trial, transfer};

use super::{NAME, published};

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
    // And it is remembered, for whoever was not there.
    let status = trial.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.text());
    let told = "the last look into the inbox failed: ";
    assert!(status.text().contains(told), "{}", status.text());
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
