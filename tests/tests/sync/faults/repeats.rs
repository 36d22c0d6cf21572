//! Repeated names and transfers, and files that disappear too early.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};

use super::{NAME, published, two_nights};

#[test]
fn same_transfer_twice() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    // The transfer arrives under two names at once, and again a day later.
    test.put(NAME, &bytes, &transfer(1));
    test.put("d260302-copy.l431101", &bytes, &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("published already"),
        "{}",
        ended.stderr
    );
    test.put(NAME, &bytes, &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("published already"),
        "{}",
        ended.stderr
    );
    test.assert_published(&[&bytes]);
    assert!(test.remote().is_empty());
}

#[test]
fn another_file_under_a_transfer_that_is_known() {
    let test = TestRun::local();
    let (bytes, other) = (extract::small(20, 1), extract::small(20, 2));
    test.put(NAME, &bytes, &transfer(1));
    published(&test, &[&bytes]);
    test.put(NAME, &other, &transfer(1));
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.text().contains("(transfer-reused)"),
            "{}",
            ended.text()
        );
    }
    test.assert_published(&[&bytes]);
    assert_eq!(
        test.remote().len(),
        2,
        "it is unknown which file is right, so both stay"
    );
}

/// `cprflow inbox` does not say "done" of a file that is not the published one.
#[test]
fn the_list_of_the_inbox_tells_another_file_of_a_known_transfer() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    published(&test, &[&bytes]);
    let assert_listed = || {
        let ended = test.run("inbox", &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let reused = format!("{NAME} (transfer-reused): its transfer UUID belongs to another file");
        assert!(
            ended.text().contains(&reused) && !ended.text().contains("done "),
            "{}",
            ended.text()
        );
    };
    // Another size tells before a run has read the file.
    test.put(NAME, &extract::small(60, 9), &transfer(1));
    assert_listed();
    assert_eq!(test.sync().code, 1);
    assert_listed();
    // With the same size, the run tells.
    let mut other = bytes.clone();
    let at = other.iter().rposition(|byte| byte.is_ascii_alphabetic());
    let changed = &mut other[at.unwrap()];
    *changed = if *changed == b'x' { b'y' } else { b'x' };
    test.put(NAME, &other, &transfer(1));
    assert_eq!(test.sync().code, 1);
    assert_listed();
    test.put(NAME, &bytes, &transfer(1));
    assert_eq!(test.sync().code, 0);
    assert_eq!(test.run("inbox", &[]).text(), "the inbox is empty\n");
    test.assert_published(&[&bytes]);
}

#[test]
fn same_name_again_with_new_content() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    published(&test, &[&status]);
    test.put(NAME, &changes, &transfer(2));
    published(&test, &[&status, &changes]);
}

/// A newer delivery arrives under the name of a delivery that is published and not yet removed. It must not be removed.
#[test]
fn same_name_again_before_the_first_is_removed() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    test.stop_at("published").kill();
    test.put(NAME, &changes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another file has come"),
        "{}",
        ended.stderr
    );
    test.assert_published(&[&status, &changes]);
    assert!(test.remote().is_empty());
}

/// The same delivery arrives again before the first is removed. Only with its metadata file can it be recognised.
#[test]
fn same_transfer_again_before_the_first_is_removed() {
    let test = TestRun::local();
    let (status, changes) = two_nights();
    test.put(NAME, &status, &transfer(1));
    test.stop_at("published").kill();
    test.put(NAME, &status, &transfer(1));
    let touched = std::process::Command::new("touch")
        .args(["-d", "2026-03-02 03:00"])
        .arg(test.inbox().join(NAME))
        .status();
    assert!(touched.unwrap().success());
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another file has come"),
        "{}",
        ended.stderr
    );
    test.assert_published(&[&status]);
    assert!(test.remote().is_empty());
    // If the bytes differ, both files stay for an operator.
    let other = extract::small(60, 9);
    test.put(NAME, &changes, &transfer(2));
    test.stop_at("published").kill();
    test.put(NAME, &other, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.text().contains("(transfer-reused)"),
        "{}",
        ended.text()
    );
    assert_eq!(test.remote().len(), 2);
}

/// The spool keeps the extract for the decision of an operator, accessible to its owner only.
#[test]
fn set_aside_and_gone_from_the_server() {
    let test = TestRun::local();
    let mut lines = extract::lines(&extract::small(20, 1));
    lines.truncate(lines.len() - 4);
    let cut = extract::join(&lines, b"\n");
    test.put(NAME, &cut, &transfer(1));
    assert_eq!(test.sync().code, 1);
    let spooled = test.path(&format!("state/spool/default/{}.extract", transfer(1)));
    let mode = fs::metadata(&spooled).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for name in test.remote() {
        fs::remove_file(test.inbox().join(name)).unwrap();
    }
    assert_eq!(test.sync().code, 1, "it waits");
    let accept = [NAME, "--accept", "missing-end", "--unrestricted", "test"];
    let ended = test.run("retry", &accept);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    test.assert_published(&[&cut]);
    assert!(!spooled.exists());
}

#[test]
fn file_gone_between_list_and_open() {
    let Some(test) = TestRun::sftp() else { return };
    let bytes = extract::small(20, 1);
    test.put(NAME, &bytes, &transfer(1));
    let stopped = test.stop_at("fetching");
    fs::remove_file(test.inbox().join(NAME)).unwrap();
    let (code, said) = stopped.go_on();
    // It was opened before, to recognise it. An operator must ask for it.
    assert_eq!(code, 1, "{said}");
    assert!(test.published().is_empty());
    // A folder with the name of the file is not the file.
    fs::create_dir(test.inbox().join(NAME)).unwrap();
    assert_eq!(test.sync().code, 1);
    fs::remove_dir(test.inbox().join(NAME)).unwrap();
    fs::remove_file(test.inbox().join(format!("{NAME}.metadata"))).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.text());
    assert!(
        ended.text().contains("(gone-from-server)"),
        "{}",
        ended.text()
    );
    // If the file comes back, it is taken.
    test.put(NAME, &bytes, &transfer(1));
    published(&test, &[&bytes]);
}
