//! How long a thousand tenants take over one delivery, and what ten hostile ones do to them.
//!
//! A generated status file of 10,000 persons lies in memory. Every tenant has a policy of its own: another part of the
//! country, other ages, classes, protections and ways with person numbers. Two threads take the tenants from one queue;
//! each runs both passes in a fresh instance of the component and decodes and checks every batch. Then the same once
//! more with ten hostile tenants among them, one in a hundred: those ask for as much as they can, and are stopped by
//! their deadline or their memory. A tenant's time is that from the start of its instance to its last batch and its
//! roster. Printed are a table and the peak resident memory of the process.
//!
//! `cargo bench -p cprflow-tests --bench tenants`, with `CPRFLOW_BENCH_TENANTS` and `CPRFLOW_BENCH_PERSONS` for other
//! numbers than 1,000 and 10,000.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cprflow::policy::{CLASSES, DEFAULT_CLASSES, Leavers, Numbers, Policy, Protection};
use cprflow::{Connector, Error, Limits, PseudonymKey, Scan};
use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;

fn main() {
    // Cargo also runs benchmarks when it tests everything; that is not the time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let settings = Settings::new(setting("CPRFLOW_BENCH_PERSONS", 10_000), 1);
    let tenants = setting("CPRFLOW_BENCH_TENANTS", 1_000) as usize;
    let extract = extract::status(&settings);
    let municipalities = municipalities(&settings);
    let connector = Connector::embedded().unwrap();
    let healthy = |place| Tenant {
        policy: policy(place, &municipalities),
        harm: None,
    };
    let healthy: Vec<Tenant> = (0..tenants).map(healthy).collect();
    let mut mixed = healthy.clone();
    for place in 0..HOSTILE {
        let harm = if place % 2 == 0 {
            Harm::Time
        } else {
            Harm::Memory
        };
        let hostile = Tenant {
            policy: greedy(),
            harm: Some(harm),
        };
        mixed.insert(mixed.len() / HOSTILE * place, hostile);
    }
    say(format_args!(
        "{} persons, {:.1} MB, {tenants} tenants, {THREADS} threads\n\n\
         | | all | median | slowest | slowest / median | rows | peak memory |\n|---|---|---|---|---|---|---|",
        settings.persons,
        extract.len() as f64 / 1e6
    ));
    // What is only made once is not the first tenant's fault.
    run(&connector, &extract, &healthy[..THREADS]);
    for (name, tenants) in [("healthy alone", &healthy), ("beside ten hostile", &mixed)] {
        let begun = Instant::now();
        let mut times = run(&connector, &extract, tenants);
        let all = begun.elapsed();
        let rows: u64 = times.iter().map(|(_, rows)| rows).sum();
        times.sort_unstable();
        let (median, slowest) = (times[times.len() / 2].0, times[times.len() - 1].0);
        say(format_args!(
            "| {name} | {:.1} s | {:.1} ms | {:.1} ms | {:.2} | {rows} | {} MB |",
            all.as_secs_f64(),
            median.as_secs_f64() * 1e3,
            slowest.as_secs_f64() * 1e3,
            slowest.as_secs_f64() / median.as_secs_f64(),
            peak_memory_kb() / 1000
        ));
    }
}

const THREADS: usize = 2;
const HOSTILE: usize = 10;

#[derive(Clone)]
struct Tenant {
    policy: Policy,
    harm: Option<Harm>,
}

/// How a hostile tenant tries to get at the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// One call that takes as long as it may.
    Time,
    /// As much memory as there is.
    Memory,
}

/// Runs all tenants; gives time and rows of each that is healthy.
fn run(connector: &Connector, extract: &[u8], tenants: &[Tenant]) -> Vec<(Duration, u64)> {
    let next = AtomicUsize::new(0);
    let times = Mutex::new(Vec::with_capacity(tenants.len()));
    let work = || {
        while let Some(tenant) = tenants.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let ended = scan(connector, extract, tenant);
            let took = begun.elapsed();
            match (ended, tenant.harm) {
                (Ok(rows), None) => times.lock().unwrap().push((took, rows)),
                (Err(Error::Component(_)), Some(_)) => {}
                (ended, harm) => panic!("{harm:?} ended in {ended:?}"),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    times.into_inner().unwrap()
}

fn scan(connector: &Connector, extract: &[u8], tenant: &Tenant) -> Result<u64, Error> {
    let mut scan = Scan::new(connector).policy(&tenant.policy);
    if tenant.policy.numbers == Numbers::Pseudonym {
        scan = scan.pseudonym_key(PseudonymKey::new([7; 32])?);
    }
    if let Some(harm) = tenant.harm {
        let (memory, call) = match harm {
            Harm::Time => (256 << 20, Duration::from_millis(10)),
            Harm::Memory => (8 << 20, Duration::from_secs(10)),
        };
        let limits = Limits { memory, call };
        scan = scan
            .limits(limits)
            .block_bytes(extract.len())
            .batch_rows(1_000_000);
    }
    let mut reader = scan.read_selected(|| Ok(Cursor::new(extract)))?;
    let mut rows = 0;
    for batch in reader.by_ref() {
        rows += batch?.batch.num_rows() as u64;
    }
    assert!(!reader.roster()?.is_empty());
    Ok(rows)
}

/// A policy like no other's.
fn policy(place: usize, municipalities: &[String]) -> Policy {
    let mut policy = Policy::default();
    let places = [place, place / 7, place / 3 + 1].map(|place| place % municipalities.len());
    let homes: BTreeSet<&String> = places.map(|place| &municipalities[place]).into();
    policy.persons.municipality_codes = Some(homes.into_iter().cloned().collect());
    if place.is_multiple_of(3) {
        let youngest = (place % 60) as u16;
        policy.persons.ages = Some((youngest, youngest + 30));
    }
    policy.protection = [Protection::Mask, Protection::Drop, Protection::Include][place % 3];
    policy.numbers = [Numbers::Keep, Numbers::Pseudonym][place % 2];
    let classes = CLASSES.iter().filter(|_| place.is_multiple_of(4));
    let classes = classes.chain(&DEFAULT_CLASSES);
    policy.classes = classes.map(|class| (*class).to_owned()).collect();
    if place.is_multiple_of(5) {
        policy.leavers = Leavers::Last;
        let rows = format!(
            "birth_date < '{}-01-01' or status = '01'",
            1950 + place % 60
        );
        policy.rows.insert("person".to_owned(), rows);
    }
    policy
}

/// All that a policy can ask for, with conditions that take long.
fn greedy() -> Policy {
    let codes: Vec<_> = (0..400).map(|code| format!("'{code:04}'")).collect();
    let rows = format!("municipality_code not in ({})", codes.join(", "));
    let mut policy = Policy {
        classes: CLASSES.map(str::to_owned).into(),
        protection: Protection::Include,
        ..Policy::default()
    };
    for table in ["address", "plaintext_address", "address_history"] {
        policy.rows.insert(table.to_owned(), rows.clone());
    }
    policy
}

fn municipalities(settings: &Settings) -> Vec<String> {
    let persons = generate::population(settings, 0).unwrap();
    let codes = persons.filter_map(|person| person.unwrap().municipality_code());
    let codes: BTreeSet<_> = codes.collect();
    codes.into_iter().map(str::to_owned).collect()
}

/// The most memory that the process has had.
fn peak_memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = peak.unwrap().trim().trim_end_matches(" kB");
    digits.parse().unwrap()
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
