//! What a delivery without faults publishes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, transfer};
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::nights;

#[test]
fn publishes_the_rows_of_a_delivery_over_sftp() {
    let Some(test) = TestRun::sftp() else { return };
    let (status, changes) = nights(300);
    test.put("d260302.l431101", &status, &transfer(1));
    test.put("d260303.l431101", &changes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status, &changes]);
    assert!(test.remote().is_empty());
    let again = test.sync();
    assert_eq!((again.code, again.text()), (0, "nothing new\n"));

    let published = test.published();
    let name = published[0].0.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, "delivery=2026-03-02-000001-00000001");
    let manifest = &published[0].1;
    assert_eq!(
        (manifest.policy.as_str(), manifest.purpose.as_str()),
        ("unrestricted", "test")
    );
    assert_eq!(manifest.size, Some(status.len() as u64));
    assert_eq!(
        manifest.component.sha256,
        cprflow::Connector::embedded().unwrap().sha256()
    );
    for file in files(&published[0].0) {
        if file
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            is_compressed_and_described(&file);
        }
    }
    assert_eq!(manifest.rows["person"], 300);
    let digest = Command::new("sha256sum")
        .stdin(file_with(&test.path("copy"), &status))
        .output()
        .unwrap();
    assert!(digest.stdout.starts_with(manifest.sha256.as_bytes()));
    // Every directory and file is accessible to its owner only.
    for path in below(&test.dataset())
        .iter()
        .chain(&below(&test.path("state")))
    {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let is_private = match path.is_dir() {
            true => mode == 0o700,
            false => mode & 0o077 == 0,
        };
        assert!(is_private, "{mode:o} {}", path.display());
    }
}

#[test]
fn publishes_by_production_date_and_reports_gaps() {
    let test = TestRun::local();
    let settings = Settings::busy(60, 3);
    let night = |night: u32| {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        bytes
    };
    // The order does not depend on the file names.
    test.put("a", &night(3), &transfer(3));
    test.put("b", &night(1), &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.text());
    assert_eq!(test.published_files(), ["b", "a"]);
    assert!(
        ended.text().contains("sequence-gap (1)"),
        "a gap is reported: {}",
        ended.text()
    );
    // A late delivery is ordered by its production date, before deliveries that arrived earlier.
    test.put("c", &night(2), &transfer(2));
    let ended = test.sync();
    assert!(
        ended.text().contains("late: it was produced on"),
        "{}",
        ended.text()
    );
    assert_eq!(test.published_files(), ["b", "c", "a"]);
    test.assert_published(&[&night(1), &night(2), &night(3)]);
}

#[test]
fn unrestricted_publication_must_be_configured() {
    let test = TestRun::local();
    test.put("d", &extract::small(5, 1), &transfer(1));
    let ended = test.run("sync", &[]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("--unrestricted PURPOSE"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.run("sync", &["--unrestricted", " "]).code, 2);
    for number in ["0101010101", "case of 010101-0101"] {
        let ended = test.run("sync", &["--unrestricted", number]);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains("person number"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("0101"), "{}", ended.stderr);
    }
    assert_eq!(test.remote().len(), 2);
    assert!(test.published().is_empty());
}

/// Asserts that every column is compressed with zstd and has statistics with which readers can skip data.
fn is_compressed_and_described(table: &Path) {
    let reader = SerializedFileReader::new(fs::File::open(table).unwrap()).unwrap();
    for group in reader.metadata().row_groups() {
        assert!(group.num_rows() > 0);
        for column in group.columns() {
            let name = format!("{} {}", table.display(), column.column_path());
            assert!(
                matches!(column.compression(), Compression::ZSTD(_)),
                "{name}"
            );
            let statistics = column.statistics();
            assert!(
                statistics.is_some_and(|known| known.null_count_opt().is_some()),
                "{name}"
            );
        }
    }
}

fn file_with(path: &Path, bytes: &[u8]) -> fs::File {
    fs::write(path, bytes).unwrap();
    fs::File::open(path).unwrap()
}

/// Returns a directory and everything below it.
fn below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found
}
