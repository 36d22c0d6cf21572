//! How long `cprflow sync` takes, beside the longest of its parts alone.
//!
//! One generated extract. Its parts, each alone in this process: downloading is what the inbox gives, digested and
//! written to a file on the disk; scanning is the sandbox with every table; writing is the same batches, in memory
//! beforehand, as Parquet on the disk. The whole is the command, a process of its own, from nothing to a delivery
//! that is published and an inbox that is empty. Parts and whole take turns, so that a machine that changes its pace
//! does it to all. Printed are the medians, and the whole as so many times the longest part.
//!
//! The inbox is a directory, OpenSSH's server on loopback (which works on the same cores), and the same server behind
//! a line of 40 MB/s.
//!
//! `cargo bench -p cprflow-tests --bench sync`, with `CPRFLOW_BENCH_MB` and `CPRFLOW_BENCH_RUNS` for other sizes than
//! 1000 MB and numbers of runs than 3.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use cprflow::transport::{LocalDirectory, RemoteName, SftpInbox, Transport};
use cprflow::{Connector, ParquetDirectory, Scan, TableBatch};
use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::{Place, command, cprflow};
use cprflow_tests::proxy::{Proxy, Treatment};
use cprflow_tests::sshd::Sshd;
use cprflow_tests::trial::{metadata, transfer};
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};

fn main() {
    // Cargo also runs benchmarks when it tests everything; that is not the time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let megabytes = setting("CPRFLOW_BENCH_MB", 1000);
    let runs = setting("CPRFLOW_BENCH_RUNS", 3);
    let Some(sshd) = Sshd::plain() else { return };
    let place = Place::new();
    let extract = place.path("extract");
    let persons = megabytes * 1_000_000 / BYTES_OF_A_PERSON;
    let mut file = BufWriter::new(File::create(&extract).unwrap());
    generate::status(&Settings::new(persons, 1), &mut file).unwrap();
    drop(file);
    let size = fs::metadata(&extract).unwrap().len();
    // Built beforehand, and so is what it keeps of the component from its first run on.
    cprflow(["tables"]);
    let connector = Connector::embedded().unwrap();
    let batches = batches(&connector, &extract);
    say(format_args!(
        "{} MB, medians of {runs} runs in turn, seconds\n\n\
         | inbox | downloading | scanning | writing | sync | sync / longest |\n|---|---|---|---|---|---|",
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

/// What a person of a generated population takes, roughly.
const BYTES_OF_A_PERSON: u64 = 1710;

/// The name of the delivery.
const NAME: &str = "d260302.l431101";

struct Bench<'a> {
    sshd: &'a Sshd,
    place: &'a Place,
    /// Where the server is; none for the directory itself.
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
        // A link: the file itself is not copied, and removing it is removing the link.
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

    /// The seconds of a run of the command, whose result stays until the next.
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
            .args(["sync", "--unrestricted", "benchmark", "--inbox", &inbox])
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

/// Bytes that open row groups may hold: what `sync` allows.
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

/// What the last delivery's files look like inside.
fn row_groups(place: &Place) {
    say(format_args!(
        "\n| table | rows | row groups | MB in a file | median rows of a group |\n|---|---|---|---|---|"
    ));
    let delivery = cprflow_tests::trial::files(Path::new(&place.path("dataset")));
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

fn setting(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap(),
        Err(_) => usual,
    }
}

fn say(what: std::fmt::Arguments<'_>) {
    let mut output = io::stdout().lock();
    writeln!(output, "{what}").unwrap();
}
