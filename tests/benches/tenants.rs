//! Measures the time of 1,000 tenants for one delivery, with and without ten hostile tenants.
//!
//! The input is a generated status file of 10,000 persons in memory. Every tenant has a different policy:
//! municipalities, ages, classes, protection and person numbers. Two threads take the tenants from one queue. Each runs
//! both passes in a new instance of the component, and decodes and checks every batch. The second measurement adds ten
//! hostile tenants, which use up as much time or memory as they can until their limits stop them. The time of a tenant
//! is measured from the start of its instance to its last batch and its roster. The benchmark prints a table with the
//! peak resident memory of the process.
//!
//! Run it with `cargo bench -p cprflow-tests --bench tenants`. `CPRFLOW_BENCH_TENANTS` sets the number of tenants
//! (default 1,000), `CPRFLOW_BENCH_PERSONS` the number of persons (default 10,000).
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cprflow::policy::{
    DATA_CLASSES, DEFAULT_CLASSES, LeaverRule, NumberRule, Policy, ProtectionRule,
};
use cprflow::{Connector, Error, Limits, PseudonymKey, Scan};
use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::hostile_guest;

fn main() {
    // `cargo test` also runs benchmarks, without `--bench`. Then nothing is measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let settings = Settings::busy(setting("CPRFLOW_BENCH_PERSONS", 10_000), 1);
    let tenants = setting("CPRFLOW_BENCH_TENANTS", 1_000) as usize;
    let extract = extract::status(&settings);
    let municipalities = municipalities(&settings);
    let connector = Connector::embedded().unwrap();
    let healthy = |place| Tenant {
        connector: connector.clone(),
        policy: policy(place, &municipalities),
        is_hostile: false,
    };
    let healthy: Vec<Tenant> = (0..tenants).map(healthy).collect();
    let mut mixed = healthy.clone();
    for (place, attack) in ATTACKS.into_iter().enumerate() {
        let hostile = Tenant {
            connector: hostile_guest::connector(attack),
            policy: Policy::default(),
            is_hostile: true,
        };
        mixed.insert(mixed.len() / ATTACKS.len() * place, hostile);
    }
    say(format_args!(
        "{} persons, {:.1} MB, {tenants} tenants, {THREADS} threads\n\n\
         | | total | median | slowest | slowest / median | rows | peak memory |\n|---|---|---|---|---|---|---|",
        settings.persons,
        extract.len() as f64 / 1e6
    ));
    // A warm-up run, so that one-time initialisation is not measured.
    run(&extract, &healthy[..THREADS]);
    for (name, tenants) in [
        ("without hostile tenants", &healthy),
        ("with ten hostile tenants", &mixed),
    ] {
        let begun = Instant::now();
        let mut times = run(&extract, tenants);
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
/// The attacks of the hostile tenants.
const ATTACKS: [&str; 10] = [
    "spin-view",
    "spin-selection",
    "spin-selection-push",
    "spin-selection-finish",
    "spin-open",
    "spin-push",
    "spin-next",
    "spin-roster",
    "memory-huge",
    "memory-many",
];

#[derive(Clone)]
struct Tenant {
    connector: Connector,
    policy: Policy,
    is_hostile: bool,
}

/// Runs all tenants. Returns the time and the number of rows of each healthy tenant.
fn run(extract: &[u8], tenants: &[Tenant]) -> Vec<(Duration, u64)> {
    let next = AtomicUsize::new(0);
    let times = Mutex::new(Vec::with_capacity(tenants.len()));
    let work = || {
        while let Some(tenant) = tenants.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let ended = scan(extract, tenant);
            let took = begun.elapsed();
            match (ended, tenant.is_hostile) {
                (Ok(rows), false) => times.lock().unwrap().push((took, rows)),
                (Err(Error::Component(_)), true) => {}
                (ended, is_hostile) => panic!("hostile: {is_hostile}, ended in {ended:?}"),
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

fn scan(extract: &[u8], tenant: &Tenant) -> Result<u64, Error> {
    let mut scan = Scan::new(&tenant.connector).policy(&tenant.policy);
    if tenant.policy.numbers == NumberRule::Pseudonym {
        scan = scan.pseudonym_key(PseudonymKey::new([7; 32])?);
    }
    if tenant.is_hostile {
        let limits = Limits::new()
            .memory(64 << 20)
            .call(Duration::from_millis(100));
        scan = scan.limits(limits);
    }
    let mut reader = scan.read_with_policy(|| Ok(Cursor::new(extract)))?;
    let mut rows = 0;
    for batch in reader.by_ref() {
        rows += batch?.batch.num_rows() as u64;
    }
    assert!(!reader.roster()?.is_empty());
    Ok(rows)
}

/// Returns a policy that differs from tenant to tenant.
fn policy(place: usize, municipalities: &[String]) -> Policy {
    let mut policy = Policy::default();
    let places = [place, place / 7, place / 3 + 1].map(|place| place % municipalities.len());
    let homes: BTreeSet<&String> = places.map(|place| &municipalities[place]).into();
    policy.persons.municipality_codes = Some(homes.into_iter().cloned().collect());
    if place.is_multiple_of(3) {
        let youngest = (place % 60) as u16;
        policy.persons.ages = Some((youngest, youngest + 30));
    }
    policy.protection = [
        ProtectionRule::Mask,
        ProtectionRule::Drop,
        ProtectionRule::Include,
    ][place % 3];
    policy.numbers = [NumberRule::Keep, NumberRule::Pseudonym][place % 2];
    let classes = DATA_CLASSES.iter().filter(|_| place.is_multiple_of(4));
    let classes = classes.chain(&DEFAULT_CLASSES);
    policy.classes = classes.map(|class| (*class).to_owned()).collect();
    if place.is_multiple_of(5) {
        policy.leavers = LeaverRule::Last;
        let rows = format!(
            "birth_date < '{}-01-01' or status = '01'",
            1950 + place % 60
        );
        policy.rows.insert("person".to_owned(), rows);
    }
    policy
}

fn municipalities(settings: &Settings) -> Vec<String> {
    let persons = generate::population(settings, 0).unwrap();
    let codes = persons.filter_map(|person| person.unwrap().municipality_code());
    let codes: BTreeSet<_> = codes.collect();
    codes.into_iter().map(str::to_owned).collect()
}

/// Returns the peak resident memory of the process in kB.
fn peak_memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = peak.unwrap().trim().trim_end_matches(" kB");
    digits.parse().unwrap()
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
