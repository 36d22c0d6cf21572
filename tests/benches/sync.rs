//! Measures the run time of `cprflow sync`, compared with the slowest of its parts.
//!
//! The input is one generated extract. Three parts run separately in this process:
//!
//! - downloading: reads the file from the inbox, hashes it and writes it to disk;
//! - scanning: runs the sandbox over the extract, for every table;
//! - writing: writes the batches from memory to disk as Parquet.
//!
//! The whole is the command in its own process, from an empty state until the inbox is empty. It also keeps the extract
//! and makes the current tables, which no part does. Parts and whole alternate, so that changes in the speed of the
//! machine affect all of them. The benchmark prints the medians, and the whole divided by the slowest part.
//!
//! The inbox is a directory, an OpenSSH server on loopback (which uses the same cores), and the same server behind a
//! connection of 40 MB/s.
//!
//! Run it with `cargo bench -p cprflow-tests --bench sync`. `CPRFLOW_BENCH_MB` sets the size of the extract (default
//! 1000 MB), `CPRFLOW_BENCH_RUNS` the number of runs (default 3).
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use cprflow::{Connector, ParquetDirectory, Scan, TableBatch};
use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::{TestDirectory, command, cprflow};
use cprflow_tests::proxy::{Proxy, Treatment};
use cprflow_tests::sshd::Sshd;
use cprflow_tests::test_run::{metadata, transfer};
use cprflow_transport::{LocalDirectory, RemoteName, SftpInbox, Transport};
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};

fn main() {
    // `cargo test` also runs benchmarks, without `--bench`. Then nothing is measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let megabytes = setting("CPRFLOW_BENCH_MB", 1000);
    let runs = setting("CPRFLOW_BENCH_RUNS", 3);
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let place = TestDirectory::new();
    let extract = place.path("extract");
    let persons = megabytes * 1_000_000 / BYTES_OF_A_PERSON;
    let mut file = BufWriter::new(File::create(&extract).unwrap());
    generate::status(&Settings::busy(persons, 1), &mut file).unwrap();
    drop(file);
    let size = fs::metadata(&extract).unwrap().len();
    // Builds the command and fills its cache of the compiled component before the measurement.
    cprflow(["tables"]);
    let connector = Connector::embedded().unwrap();
    let batches = batches(&connector, &extract);
    say(format_args!(
        "{} MB, medians of {runs} alternating runs, in seconds\n\n\
         | inbox | downloading | scanning | writing | sync | sync / slowest part |\n|---|---|---|---|---|---|",
        size / 1_000_000
    ));
    let treatment = Treatment {
        rate: Some(40_000_000),
        ..Treatment::default()
    };
    let slow = Proxy::start(sshd.port(), treatment);
    for (name, port) in [
        ("a directory", None),
        ("SFTP, loopback", Some(sshd.port())),
        ("SFTP, 40 MB/s", Some(slow.port())),
    ] {
        let bench = Bench {
            sshd: &sshd,
            place: &place,
            port,
            extract: &extract,
        };
        let mut parts: [Vec<f64>; 4] = Default::default();
        for _ in 0..runs {
            parts[0].push(timed(|| bench.download()));
            parts[1].push(timed(|| scan(&connector, &extract)));
            parts[2].push(timed(|| bench.write(&connector, &batches)));
            parts[3].push(bench.sync());
        }
        let [download, scan, write, sync] = parts.map(median);
        say(format_args!(
            "| {name} | {download:.1} | {scan:.1} | {write:.1} | {sync:.1} | {:.2} |",
            sync / download.max(scan).max(write)
        ));
    }
    row_groups(&place);
}

/// The approximate size of a generated person in an extract, in bytes.
const BYTES_OF_A_PERSON: u64 = 1710;

/// The name of the delivery.
const NAME: &str = "d260302.l431101";

struct Bench<'a> {
    sshd: &'a Sshd,
    place: &'a TestDirectory,
    /// The port of the server; `None` to read the directory without a server.
    port: Option<u16>,
    extract: &'a str,
}

impl Bench<'_> {
    fn transport(&self) -> Box<dyn Transport> {
        match self.port {
            None => Box::new(LocalDirectory::open(&self.sshd.inbox()).unwrap()),
            Some(port) => {
                let server = self.sshd.server_at(port);
                Box::new(SftpInbox::connect(&server, &self.sshd.settings()).unwrap())
            }
        }
    }

    fn put(&self) {
        // A hard link: `sync` removes the link and not the extract.
        let _ = fs::remove_file(self.sshd.path(NAME));
        fs::hard_link(self.extract, self.sshd.path(NAME)).unwrap();
        let size = fs::metadata(self.extract).unwrap().len();
        let metadata = metadata(NAME, size, &transfer(1));
        fs::write(self.sshd.path(&format!("{NAME}.metadata")), metadata).unwrap();
    }

    fn download(&self) {
        self.put();
        let mut transport = self.transport();
        let name = RemoteName::try_from(NAME).unwrap();
        let mut reader = transport.open(&name, 0).unwrap();
        let path = self.place.path("download");
        let mut file = File::create(&path).unwrap();
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 4 << 20];
        loop {
            let read = reader.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).unwrap();
            hash.update(&buffer[..read]);
        }
        file.sync_all().unwrap();
        assert_eq!(hash.finalize().len(), 32);
        fs::remove_file(path).unwrap();
    }

    fn write(&self, connector: &Connector, batches: &[TableBatch]) {
        let directory = self.place.path("tables");
        let tables = ParquetDirectory::create(Path::new(&directory), false).unwrap();
        let mut tables = tables.with_budget(BUDGET);
        for batch in batches {
            tables.write(&batch.table, &batch.batch).unwrap();
        }
        for table in connector.catalog().tables() {
            let schema = table.schema(None).unwrap();
            tables.begin_table(&table.name, schema).unwrap();
        }
        tables.finish().unwrap();
        fs::remove_dir_all(directory).unwrap();
    }

    /// Runs the command and returns the seconds. Its dataset is kept until the next run.
    fn sync(&self) -> f64 {
        self.put();
        for directory in ["dataset", "state"] {
            let _ = fs::remove_dir_all(self.place.path(directory));
        }
        let inbox = match self.port {
            None => self.sshd.inbox().display().to_string(),
            Some(port) => self.sshd.server_at(port).to_string(),
        };
        let mut command = command();
        command
            .args([
                "sync",
                "--unrestricted",
                "benchmark",
                "--church-purpose",
                "benchmark",
                "--inbox",
                &inbox,
            ])
            .args(["--dataset", &self.place.path("dataset")])
            .args(["--state", &self.place.path("state")]);
        if self.port.is_some() {
            let settings = self.sshd.settings();
            command.arg("--identity").arg(&settings.identity);
            for key in &settings.host_keys {
                command.arg("--host-key").arg(key.to_string());
            }
        }
        let begun = Instant::now();
        let output = command.output().unwrap();
        let took = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!self.sshd.path(NAME).exists());
        took
    }
}

/// The memory limit for open row groups, in bytes; the same as in `cprflow sync`.
const BUDGET: usize = 192 * 1024 * 1024;

fn scan(connector: &Connector, extract: &str) {
    let file = File::open(extract).unwrap();
    let batches = Scan::new(connector).check_persons(true).read_all(file);
    for batch in batches.unwrap() {
        batch.unwrap();
    }
}

fn batches(connector: &Connector, extract: &str) -> Vec<TableBatch> {
    let file = File::open(extract).unwrap();
    let batches = Scan::new(connector).read_all(file).unwrap();
    batches.map(Result::unwrap).collect()
}

/// Prints the row groups in the files of the last delivery.
fn row_groups(place: &TestDirectory) {
    say(format_args!(
        "\n| table | rows | row groups | file size MB | median rows per group |\n|---|---|---|---|---|"
    ));
    let delivery = cprflow_tests::test_run::files(Path::new(&place.path("dataset")));
    let mut tables = Vec::new();
    for path in delivery {
        if path.extension().is_some_and(|kind| kind == "parquet") {
            let file = File::open(&path).unwrap();
            let size = file.metadata().unwrap().len();
            let reader = SerializedFileReader::new(file).unwrap();
            let groups = reader.metadata().row_groups().iter();
            let mut rows: Vec<i64> = groups.map(|group| group.num_rows()).collect();
            rows.sort_unstable();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            tables.push((size, name, rows));
        }
    }
    tables.sort_by(|one, other| other.cmp(one));
    for (size, name, rows) in tables.iter().take(6) {
        let median = rows.get(rows.len() / 2).copied().unwrap_or(0);
        say(format_args!(
            "| {name} | {} | {} | {:.1} | {median} |",
            rows.iter().sum::<i64>(),
            rows.len(),
            *size as f64 / 1e6
        ));
    }
}

fn timed(part: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    part();
    begun.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap(),
        Err(_) => default,
    }
}

fn say(what: std::fmt::Arguments<'_>) {
    let mut output = io::stdout().lock();
    writeln!(output, "{what}").unwrap();
}
