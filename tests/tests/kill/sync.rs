//! Kills the daily job with SIGKILL at every step. After the next run each delivery is published exactly once. Until it
//! is published, the server still has it.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, transfer};

/// Every point at which a run can be stopped, in the order in which a delivery passes them.
const POINTS: &[&str] = &[
    "ready",
    "fetching",
    "half-downloaded",
    "downloaded",
    "fetched",
    "kept",
    "committed",
    "publishing",
    "staged",
    "renamed",
    "published",
    "data-gone",
    "data-removed",
    "metadata-gone",
    "done",
    "spool-removed",
];

/// The step from which on the server's copy may be removed.
const PUBLISHED: &str = "published";

#[test]
fn killed_at_every_step_over_sftp() {
    for point in POINTS {
        let (status, changes) = two_nights(point);
        let Some(test) = TestRun::sftp() else { return };
        test.put("d260302.l431101", &status, &transfer(1));
        test.put("d260303.l431101", &changes, &transfer(2));
        test.stop_at(point).kill();
        if place(point) <= place(PUBLISHED) {
            assert_eq!(
                test.remote().len(),
                4,
                "{point}: the server still has the whole delivery"
            );
        }
        nothing_is_lost(&test, point);
        // If the next run passes this step again, it is killed there again: resuming must work repeatedly.
        if !["half-downloaded", "done", "spool-removed"].contains(point) {
            test.stop_at(point).kill();
            nothing_is_lost(&test, point);
        }
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{point}: {}", ended.stderr);
        test.assert_published(&[&status, &changes]);
        assert!(test.remote().is_empty(), "{point}");
        assert!(is_empty(&test.path("state/spool/default")), "{point}");
        let quiet = test.sync();
        assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    }
}

#[test]
fn killed_while_a_delivery_is_set_aside() {
    let test = TestRun::local();
    let mut lines = extract::lines(&extract::small(20, 1));
    lines.truncate(lines.len() - 4);
    let cut = extract::join(&lines, b"\n");
    test.put("cut", &cut, &transfer(1));
    test.stop_at("set-aside").kill();
    assert_eq!(test.remote(), ["cut", "cut.metadata"]);
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.text().contains("set aside  cut (missing-end)"),
            "{}",
            ended.text()
        );
        assert!(test.published().is_empty());
        assert_eq!(test.remote(), ["cut", "cut.metadata"]);
    }
}

/// A repeated delivery is removed from the server, data file first. A kill in between must not leave the metadata file.
#[test]
fn killed_while_a_copy_is_removed() {
    let Some(test) = TestRun::sftp() else { return };
    let (status, _) = two_nights("copy-removed");
    test.put("d260302.l431101", &status, &transfer(1));
    assert_eq!(test.sync().code, 0);
    test.put("d260302.l431101", &status, &transfer(1));
    test.stop_at("copy-removed").kill();
    assert_eq!(test.remote(), ["d260302.l431101.metadata"]);
    let inbox = test.run("inbox", &[]);
    assert!(inbox.text().contains("(published)"), "{}", inbox.text());
    let ended = test.sync();
    assert_eq!((ended.code, ended.text()), (0, "nothing new\n"));
    assert!(test.remote().is_empty());
    test.assert_published(&[&status]);
}

/// A new ledger records all published deliveries or none. After a kill in between, the next run starts again.
#[test]
fn killed_while_a_new_ledger_records_published_deliveries() {
    let (status, changes) = two_nights("adopting");
    let test = TestRun::local();
    let put = || {
        test.put("d260302.l431101", &status, &transfer(1));
        test.put("d260303.l431101", &changes, &transfer(2));
    };
    put();
    assert_eq!(test.sync().code, 0);
    test.remove_ledger();
    put();
    for _ in 0..2 {
        test.stop_at("adopting").kill();
    }
    let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
    let count = "SELECT (SELECT count(*) FROM delivery) + (SELECT count(*) FROM adopted)";
    let rows: i64 = ledger.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "a part of the download is on the disk");
    drop(ledger);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status, &changes]);
    assert!(test.remote().is_empty());
    let third = extract::small(20, 3);
    test.put("d260304.l431101", &third, &transfer(3));
    assert_eq!(test.sync().code, 0);
    let mut numbers: Vec<_> = test.published().iter().map(|(_, m)| m.sequence).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3], "the sequence numbers continue");
}

/// A glob over the dataset returns only complete deliveries, at every step.
#[test]
fn incomplete_deliveries_are_never_visible() {
    for point in POINTS {
        let (status, _) = two_nights(point);
        let test = TestRun::local();
        test.put("d260302.l431101", &status, &transfer(1));
        let stopped = test.stop_at(point);
        // This is what a glob of `agreement=*/**/*.parquet` returns that includes hidden directories.
        let seen = files(&test.dataset()).into_iter().filter(|path| {
            let is_delivered = path.to_string_lossy().contains("/agreement=");
            let extension = path.extension();
            is_delivered && extension.is_some_and(|extension| extension == "parquet")
        });
        match seen.count() {
            0 => assert!(test.published().is_empty(), "{point}"),
            count => {
                assert_eq!(count, 47, "{point}");
                test.assert_published(&[&status]);
            }
        }
        stopped.kill();
    }
}

fn two_nights(point: &str) -> (Vec<u8>, Vec<u8>) {
    // Only a file that is larger than one read can be incomplete.
    let persons = match point {
        "half-downloaded" => 3_000,
        _ => 60,
    };
    let settings = cprflow_connector::generate::Settings::busy(persons, 3);
    (extract::status(&settings), extract::changes(&settings))
}

fn place(point: &str) -> usize {
    POINTS.iter().position(|known| *known == point).unwrap()
}

/// Asserts that each delivery is on the server or published.
fn nothing_is_lost(test: &TestRun, point: &str) {
    let remote = test.remote();
    let published = test.published_files();
    for file in ["d260302.l431101", "d260303.l431101"] {
        let is_published = published.iter().any(|name| name == file);
        let is_remote = remote.iter().any(|name| name == file);
        assert!(is_published || is_remote, "{point}: {file} is lost");
    }
}

fn is_empty(directory: &std::path::Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
