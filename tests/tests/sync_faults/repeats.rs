//! What comes again, under the same name or as the same transfer, and what goes too soon.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cprflow_tests::extract;
use cprflow_tests::trial::{Trial, transfer};

use super::{NAME, published, two_nights};

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

/// The same, and it is the same delivery that was sent again: with its metadata it can be told, without it never.
#[test]
fn same_transfer_again_before_the_first_is_removed() {
    let trial = Trial::local();
    let (status, _) = two_nights();
    trial.put(NAME, &status, &transfer(1));
    trial.stop_at("published").kill();
    trial.put(NAME, &status, &transfer(1));
    let touched = std::process::Command::new("touch")
        .args(["-d", "2026-03-02 03:00"])
        .arg(trial.inbox().join(NAME))
        .status();
    assert!(touched.unwrap().success());
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another file has come"),
        "{}",
        ended.stderr
    );
    trial.assert_published(&[&status]);
    assert!(trial.remote().is_empty());
    // Other bytes are for a person, whole: both files are there.
    let other = extract::small(60, 9);
    trial.put(NAME, &status, &transfer(2));
    trial.stop_at("published").kill();
    trial.put(NAME, &other, &transfer(2));
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.text().contains("(transfer-reused)"),
        "{}",
        ended.text()
    );
    assert_eq!(trial.remote().len(), 2);
}

/// A person may take their time: the spool has it, for its owner only.
#[test]
fn set_aside_and_gone_from_the_server() {
    let trial = Trial::local();
    let mut lines = extract::lines(&extract::small(20, 1));
    lines.truncate(lines.len() - 4);
    let cut = extract::join(&lines, b"\n");
    trial.put(NAME, &cut, &transfer(1));
    assert_eq!(trial.sync().code, 1);
    let spooled = trial.path(&format!("state/spool/default/{}.extract", transfer(1)));
    let mode = fs::metadata(&spooled).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for name in trial.remote() {
        fs::remove_file(trial.inbox().join(name)).unwrap();
    }
    assert_eq!(trial.sync().code, 1, "it waits");
    let accept = [NAME, "--accept", "missing-end", "--unrestricted", "test"];
    let ended = trial.run("retry", &accept);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    trial.assert_published(&[&cut]);
    assert!(!spooled.exists());
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
    // A folder of its name, with which nothing can be done, is no sign of its going.
    fs::create_dir(trial.inbox().join(NAME)).unwrap();
    let ended = trial.sync();
    assert!(!ended.text().contains("gone-from"), "{}", ended.text());
    fs::remove_dir(trial.inbox().join(NAME)).unwrap();
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
