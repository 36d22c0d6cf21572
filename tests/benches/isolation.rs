//! Measures the cost of isolation and the precision of deadlines.
//!
//! - **start**: the time to create a tenant's store and instance and to open a scan, and to drop them again.
//! - **zeroing**: the time to drop an instance that has written 0 to 64 MiB of memory, which the pool sets to zero.
//! - **kill**: the run time of an endless loop with a deadline of 100 ms.
//!
//! The benchmark prints the median, the minimum, the 99th percentile and the maximum of each. Run it with
//! `cargo bench -p cprflow-tests --bench isolation`. `CPRFLOW_BENCH_RUNS` sets the number of kills (default 100).
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::io::Write;
use std::time::{Duration, Instant};

use cprflow::{ComponentError, Connector, Error, Limits, Scan};
use cprflow_tests::hostile_guest;
use cprflow_tests::rows;

fn main() {
    // `cargo test` also runs benchmarks, without `--bench`. Then nothing is measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    start("the component of cprflow", rows::connector());
    let hostile = Connector::from_bytes(&hostile_guest::component("")).unwrap();
    start("a component of 100 KB", &hostile);
    zeroing();
    kill(setting("CPRFLOW_BENCH_RUNS", 100));
}

/// Opens and drops a scan many times.
fn start(what: &str, connector: &Connector) {
    let times = (0..20_000)
        .map(|_| {
            let began = Instant::now();
            let opened = Scan::new(connector)
                .block_bytes(1)
                .read_all(&b""[..])
                .unwrap();
            let open = began.elapsed();
            drop(opened);
            (open, began.elapsed())
        })
        .skip(1_000);
    let (open, whole): (Vec<_>, Vec<_>) = times.unzip();
    say(&format!("start of {what}"), open);
    say(&format!("start and end of {what}"), whole);
}

/// Drops scans after their memory was written to.
fn zeroing() {
    let filler = Connector::from_bytes(&hostile_guest::component("")).unwrap();
    for mebibytes in [0, 1, 4, 16, 64] {
        let block = vec![b'x'; mebibytes << 20];
        let times = (0..50).map(|_| {
            let scan = Scan::new(&filler).block_bytes(block.len().max(1));
            let mut reader = scan.read_all(block.as_slice()).unwrap();
            assert!(reader.next().is_none());
            let began = Instant::now();
            drop(reader);
            began.elapsed()
        });
        say(
            &format!("end of an instance that received {mebibytes} MiB"),
            times.collect(),
        );
    }
}

/// Stops an endless loop with a deadline of 100 ms.
fn kill(runs: usize) {
    let spinning = Connector::from_bytes(&hostile_guest::component("spin-next")).unwrap();
    let limits = Limits::new().call(Duration::from_millis(100));
    let times = (0..runs).map(|_| {
        let mut reader = Scan::new(&spinning)
            .limits(limits)
            .read_all(&b"x"[..])
            .unwrap();
        let began = Instant::now();
        let ended = reader.next();
        let time = began.elapsed();
        assert!(matches!(
            ended,
            Some(Err(Error::Component(ComponentError::Deadline { .. })))
        ));
        time
    });
    say("an endless loop with a deadline of 100 ms", times.collect());
}

fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{what}: median {:.1?}, minimum {:.1?}, 99th percentile {:.1?}, maximum {:.1?} ({} runs)",
        at(0.5),
        at(0.0),
        at(0.99),
        at(1.0),
        times.len()
    )
    .unwrap();
}

fn setting(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.and_then(|value| value.parse().ok()).unwrap_or(default)
}
