//! Servers that leave things out, end connections early, or delete what was read.

use cprflow_tests::extract;
use cprflow_tests::sshd::Setup;
use cprflow_tests::test_run::{TestRun, transfer};

use super::{NAME, published};

/// Starts a run whose SFTP server behaves in an unusual way.
fn odd(arguments: &str) -> Option<TestRun> {
    TestRun::sftp_with(Setup {
        program: Some(env!("CARGO_BIN_EXE_odd-sftp")),
        sftp: Some(arguments.to_owned().leak()),
        ..Setup::default()
    })
}

#[test]
fn server_without_attributes() {
    for arguments in ["--listing tsm", "--listing tsm --stat tsm"] {
        let Some(test) = odd(arguments) else { return };
        let bytes = extract::small(20, 1);
        test.put(NAME, &bytes, &transfer(1));
        published(&test, &[&bytes]);
    }
}

#[test]
fn server_with_short_answers() {
    let Some(test) = odd("--most-read 4096") else {
        return;
    };
    let bytes = extract::small(200, 1);
    test.put(NAME, &bytes, &transfer(1));
    published(&test, &[&bytes]);
}

#[test]
fn connection_lost_after_every_few_files() {
    let Some(test) = odd("--opens 6") else { return };
    let extracts: Vec<_> = (1..=4).map(|seed| extract::small(20, seed)).collect();
    for (number, bytes) in (1..).zip(&extracts) {
        test.put(&format!("d26030{number}.l431101"), bytes, &transfer(number));
    }
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert!(
        ended.stderr.contains("the connection ended"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published().len(), 4);
    assert!(test.remote().is_empty());
}

#[test]
fn server_that_deletes_what_was_read() {
    // What is read to recognise an extract is all of a small one, and it is not read again.
    let small = extract::small(1, 1);
    assert!(small.len() <= 4096, "{}", small.len());
    let Some(test) = odd("--delete-read") else {
        return;
    };
    test.put(NAME, &small, &transfer(1));
    published(&test, &[&small]);

    // The rest of a larger one is lost. This needs a person.
    let Some(test) = odd("--delete-read") else {
        return;
    };
    test.put(NAME, &extract::small(200, 1), &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    assert!(
        ended.text().contains("gone-from-server"),
        "{}",
        ended.text()
    );
    assert!(test.published().is_empty());
    // It is taken if it comes back complete.
    assert_eq!(test.sync().code, 1);
}
