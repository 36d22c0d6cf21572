//! Output of rows to files, directories and pipes.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use arrow::ipc::reader::StreamReader;
use cprflow_tests::command::{TestDirectory, command, cprflow};
use cprflow_tests::extract;
use cprflow_tests::rows;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[test]
fn arrow_and_parquet() {
    let place = TestDirectory::new();
    let bytes = extract::small(300, 3);
    let extract = place.file("extract", &bytes);
    let expected = rows::scan(&bytes).tables();
    let stream = cprflow([
        "scan",
        &extract,
        "-t",
        "address",
        "-f",
        "arrow",
        "--batch-rows",
        "64",
    ]);
    let batches: Vec<_> = StreamReader::try_new(stream.stdout.as_slice(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.num_rows() <= 64));
    let read: Vec<_> = batches.iter().flat_map(rows::rows).collect();
    assert_eq!(read, expected["address"]);

    let file = place.path("address.parquet");
    let ended = cprflow([
        "scan", &extract, "-t", "address", "-f", "parquet", "-o", &file,
    ]);
    assert_eq!((ended.code, ended.stdout.len()), (0, 0));
    assert_eq!(parquet_rows(Path::new(&file)), expected["address"]);
    let piped = cprflow(["scan", &extract, "-t", "address", "-f", "parquet"]);
    assert!(piped.stdout == std::fs::read(&file).unwrap());

    let directory = place.path("tables");
    assert_eq!(
        cprflow(["scan", &extract, "--all", "-f", "parquet", "-o", &directory]).code,
        0
    );
    let files = std::fs::read_dir(&directory).unwrap().count();
    assert_eq!(files, expected.len());
    for (table, rows) in &expected {
        let path = Path::new(&directory).join(format!("{table}.parquet"));
        assert_eq!(parquet_rows(&path), *rows, "{table}");
        assert_eq!(mode(&path), 0o600);
    }
}

/// In `cprflow … | head -1` the reader closes the pipe early.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(15_000, 1));
    let tables = place.path("tables");
    let written = cprflow(["scan", &extract, "--all", "-f", "parquet", "-o", &tables]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    for arguments in [
        &["scan", &extract, "-t", "person", "-f", "csv"][..],
        &["scan", &extract, "-t", "person", "-f", "jsonl"],
        &["scan", &extract, "-t", "person", "-f", "table"],
        &["scan", &extract, "-t", "person", "-f", "arrow"],
        &["scan", &extract, "-t", "name", "-f", "parquet"],
        &["generate", "--persons", "20000"],
        &["write", &tables],
    ] {
        let mut child = command()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        let read = if arguments.contains(&"arrow") || arguments.contains(&"parquet") {
            stdout.read(&mut [0; 4]).unwrap()
        } else {
            stdout.read_line(&mut String::new()).unwrap()
        };
        assert!(read > 0);
        drop(stdout);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{arguments:?}");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_file_appears_when_complete_with_mode_0600() {
    let place = TestDirectory::new();
    let bytes = extract::small(100, 1);
    let extract = place.file("extract", &bytes);
    for arguments in [
        &["scan", &extract, "-t", "person", "-f", "csv", "-o"][..],
        &["scan", &extract, "-t", "person", "-f", "arrow", "-o"],
        &["generate", "--persons", "10", "-o"],
    ] {
        let file = place.path("out");
        let ended = cprflow(arguments.iter().copied().chain([file.as_str()]));
        assert_eq!((ended.code, ended.stdout.len()), (0, 0), "{}", ended.stderr);
        assert_eq!(mode(Path::new(&file)), 0o600);
        std::fs::remove_file(&file).unwrap();
    }
    // The file does not exist while the input is still being read.
    let file = place.path("slow");
    let mut child = command()
        .args(["scan", "-", "-t", "person", "-f", "csv", "-o", &file])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &bytes).unwrap();
    assert!(!Path::new(&file).exists());
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert!(Path::new(&file).exists());
}

#[test]
fn older_tables_are_not_mixed_with_new_ones() {
    let place = TestDirectory::new();
    let (first, second) = (
        extract::small(30, 1),
        b"00000000000004311012001111620011115\n999999999999900000000\n",
    );
    let (extract, small) = (place.file("first", &first), place.file("second", second));
    let tables = place.path("tables");
    let into = |extract: &str, more: &[&str]| {
        let arguments = ["scan", extract, "--all", "-f", "parquet", "-o", &tables];
        cprflow(arguments.iter().chain(more))
    };
    assert_eq!(into(&extract, &[]).code, 0);
    let before = place.names("tables");
    let refused = into(&small, &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(place.names("tables"), before);
    assert_eq!(into(&small, &["--force"]).code, 0);
    assert_eq!(
        place.names("tables"),
        ["delivery_end.parquet", "delivery_start.parquet"]
    );
}

fn parquet_rows(path: &Path) -> Vec<cprflow_tests::reference_reader::Row> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader
        .flat_map(|batch| rows::rows(&batch.unwrap()))
        .collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
