//! The daily job killed with SIGKILL at every step: the next run ends with each delivery published exactly once, and
//! until then the server has lost nothing that is not published.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use cprflow_tests::extract;
use cprflow_tests::trial::{Trial, files, transfer};

/// Every point at which a run can be stopped, in the order in which a delivery passes them.
const POINTS: &[&str] = &[
    "ready",
    "fetching",
    "half-downloaded",
    "downloaded",
    "fetched",
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

/// From here on the server's copy may go.
const PUBLISHED: &str = "published";

#[test]
fn killed_at_every_step_over_sftp() {
    for point in POINTS {
        let (status, changes) = two_nights(point);
        let Some(trial) = Trial::sftp() else { return };
        trial.put("d260302.l431101", &status, &transfer(1));
        trial.put("d260303.l431101", &changes, &transfer(2));
        trial.stop_at(point).kill();
        if place(point) <= place(PUBLISHED) {
            assert_eq!(trial.remote().len(), 4, "{point}: the server has all of it");
        }
        nothing_is_lost(&trial, point);
        // Killed there a second time, where it comes by again: going on must not depend on being done only once.
        if !["half-downloaded", "done", "spool-removed"].contains(point) {
            trial.stop_at(point).kill();
            nothing_is_lost(&trial, point);
        }
        let ended = trial.sync();
        assert_eq!(ended.code, 0, "{point}: {}", ended.stderr);
        trial.assert_published(&[&status, &changes]);
        assert!(trial.remote().is_empty(), "{point}");
        assert!(is_empty(&trial.path("state/spool/default")), "{point}");
        let quiet = trial.sync();
        assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    }
}

#[test]
fn killed_while_it_is_set_aside() {
    let trial = Trial::local();
    let mut lines = extract::lines(&extract::small(20, 1));
    lines.truncate(lines.len() - 4);
    let cut = extract::join(&lines, b"\n");
    trial.put("cut", &cut, &transfer(1));
    trial.stop_at("set-aside").kill();
    assert_eq!(trial.remote(), ["cut", "cut.metadata"]);
    for _ in 0..2 {
        let ended = trial.sync();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.text().contains("set aside  cut (missing-end)"),
            "{}",
            ended.text()
        );
        assert!(trial.published().is_empty());
        assert_eq!(trial.remote(), ["cut", "cut.metadata"]);
    }
}

/// What came again is removed, data first; killed in between, the metadata is not left for ever.
#[test]
fn killed_while_a_copy_is_removed() {
    let Some(trial) = Trial::sftp() else { return };
    let (status, _) = two_nights("copy-removed");
    trial.put("d260302.l431101", &status, &transfer(1));
    assert_eq!(trial.sync().code, 0);
    trial.put("d260302.l431101", &status, &transfer(1));
    trial.stop_at("copy-removed").kill();
    assert_eq!(trial.remote(), ["d260302.l431101.metadata"]);
    let inbox = trial.run("inbox", &[]);
    assert!(inbox.text().contains("(published)"), "{}", inbox.text());
    let ended = trial.sync();
    assert_eq!((ended.code, ended.text()), (0, "nothing new\n"));
    assert!(trial.remote().is_empty());
    trial.assert_published(&[&status]);
}

/// A new ledger takes up what is published, all of it or nothing: killed in between, the next run begins anew.
#[test]
fn killed_while_a_new_ledger_takes_up_what_is_published() {
    let (status, changes) = two_nights("adopting");
    let trial = Trial::local();
    let put = || {
        trial.put("d260302.l431101", &status, &transfer(1));
        trial.put("d260303.l431101", &changes, &transfer(2));
    };
    put();
    assert_eq!(trial.sync().code, 0);
    trial.lose_ledger();
    put();
    for _ in 0..2 {
        trial.stop_at("adopting").kill();
    }
    let ledger = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
    let count = "SELECT (SELECT count(*) FROM delivery) + (SELECT count(*) FROM adopted)";
    let rows: i64 = ledger.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "a part of it is on the disk");
    drop(ledger);
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&status, &changes]);
    assert!(trial.remote().is_empty());
    let third = extract::small(20, 3);
    trial.put("d260304.l431101", &third, &transfer(3));
    assert_eq!(trial.sync().code, 0);
    let mut numbers: Vec<_> = trial.published().iter().map(|(_, m)| m.sequence).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3], "the numbers go on");
}

/// Whoever globs the dataset at any moment sees whole deliveries only.
#[test]
fn half_a_delivery_is_never_seen() {
    for point in POINTS {
        let (status, _) = two_nights(point);
        let trial = Trial::local();
        trial.put("d260302.l431101", &status, &transfer(1));
        let stopped = trial.stop_at(point);
        // As a glob of `**/*.parquet` would, hidden directories included.
        let seen = files(&trial.dataset()).into_iter().filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "parquet")
        });
        match seen.count() {
            0 => assert!(trial.published().is_empty(), "{point}"),
            count => {
                assert_eq!(count, 47, "{point}");
                trial.assert_published(&[&status]);
            }
        }
        stopped.kill();
    }
}

fn two_nights(point: &str) -> (Vec<u8>, Vec<u8>) {
    // Half a download is only seen of a file that is larger than one read.
    let persons = match point {
        "half-downloaded" => 3_000,
        _ => 60,
    };
    let settings = cprflow_connector::generate::Settings::new(persons, 3);
    (extract::status(&settings), extract::changes(&settings))
}

fn place(point: &str) -> usize {
    POINTS.iter().position(|known| *known == point).unwrap()
}

/// What is not published is on the server.
fn nothing_is_lost(trial: &Trial, point: &str) {
    let remote = trial.remote();
    let published = trial.published_files();
    for file in ["d260302.l431101", "d260303.l431101"] {
        let is_published = published.iter().any(|name| name == file);
        let is_remote = remote.iter().any(|name| name == file);
        assert!(is_published || is_remote, "{point}: {file} is nowhere");
    }
}

fn is_empty(directory: &std::path::Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
