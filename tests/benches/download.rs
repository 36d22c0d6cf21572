//! Measures the download speed of a delivery, compared with OpenSSH's `sftp`.
//!
//! One OpenSSH server on loopback serves one file. Both clients log in, fetch it into a file in the same directory, and
//! log out. They alternate run by run, so that changes in the speed of the machine affect both. The server accepts only
//! one cipher, so both use the same. `far` adds a proxy that makes every round trip 20 ms longer. The benchmark prints
//! the medians and their ratio; above 1, cprflow is faster.
//!
//! Run it with `cargo bench -p cprflow-tests --bench download`. `CPRFLOW_BENCH_MB` sets the file size (default
//! 1000 MB), `CPRFLOW_BENCH_RUNS` the number of runs (default 5).
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cprflow_tests::proxy::Proxy;
use cprflow_tests::sshd::{Setup, Sshd};
use cprflow_transport::{RemoteName, SftpInbox, Transport, TransportError, pipelined_copy};

fn main() {
    // `cargo test` also runs benchmarks, without `--bench`. Then nothing is measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let megabytes = setting("CPRFLOW_BENCH_MB", 1000);
    let runs = setting("CPRFLOW_BENCH_RUNS", 5);
    say(format_args!(
        "{megabytes} MB, medians of {runs} alternating runs\n\n\
         | cipher | network | OpenSSH sftp MB/s | cprflow MB/s | ratio |\n|---|---|---|---|---|"
    ));
    for cipher in [
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
    ] {
        let setup = Setup {
            configuration: vec![format!("Ciphers {cipher}")],
            ..Setup::default()
        };
        let Some(sshd) = Sshd::start(setup) else {
            return;
        };
        write_file(&sshd.path("delivery"), megabytes);
        let proxy = Proxy::delaying(sshd.port(), Duration::from_millis(20));
        for (network, port) in [("near", sshd.port()), ("far", proxy.port())] {
            let bytes = megabytes * 1_000_000;
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            // The first run of each is a warm-up.
            for _ in 0..=runs {
                theirs.push(timed(&sshd, bytes, || openssh(&sshd, port)));
                ours.push(timed(&sshd, bytes, || cprflow(&sshd, port)));
            }
            let (theirs, ours) = (median(&mut theirs[1..]), median(&mut ours[1..]));
            say(format_args!(
                "| {cipher} | {network} | {theirs:.0} | {ours:.0} | {:.2} |",
                ours / theirs
            ));
        }
    }
}

fn openssh(sshd: &Sshd, port: u16) {
    let mut child = Command::new("sftp")
        .args(["-q", "-b", "-", "-P", &port.to_string()])
        .args(["-F", "none", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
        .arg("-i")
        .arg(sshd.settings().identity)
        .arg(format!("{}@127.0.0.1", sshd.server().user))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let commands = format!(
        "get {} {}\n",
        sshd.path("delivery").display(),
        sshd.path("copy").display()
    );
    child
        .stdin
        .take()
        .unwrap()
        .write_all(commands.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

fn cprflow(sshd: &Sshd, port: u16) {
    let mut inbox = SftpInbox::connect(&sshd.server_at(port), &sshd.settings()).unwrap();
    let name = RemoteName::try_from("delivery").unwrap();
    let mut reader = inbox.open(&name, 0).unwrap();
    let mut file = File::create(sshd.path("copy")).unwrap();
    let copied: Result<(), TransportError> = pipelined_copy(&mut *reader, |block| {
        file.write_all(block).unwrap();
        Ok(ControlFlow::Continue(()))
    });
    copied.unwrap();
}

/// Returns the speed of a download in MB/s, after a check that the file is complete.
fn timed(sshd: &Sshd, bytes: u64, download: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    download();
    let took = begun.elapsed();
    let copy = sshd.path("copy");
    assert_eq!(fs::metadata(&copy).unwrap().len(), bytes);
    fs::remove_file(copy).unwrap();
    bytes as f64 / 1e6 / took.as_secs_f64()
}

fn median(speeds: &mut [f64]) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}

fn write_file(path: &Path, megabytes: u64) {
    let block: Vec<u8> = (0..1_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    let mut file = File::create(path).unwrap();
    for _ in 0..megabytes {
        file.write_all(&block).unwrap();
    }
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
