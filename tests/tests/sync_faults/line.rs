//! The line to the server, and a server that goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cprflow_tests::command::command;
use cprflow_tests::extract;
use cprflow_tests::proxy::{Fault, Proxy, Treatment};
use cprflow_tests::trial::{Trial, transfer};

use super::{NAME, published};

#[test]
fn cut_in_mid_download() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let port = trial.sshd().port();
    // What was asked for ahead can be lost, 8 MiB at the most.
    let (cut, size) = (bytes.len() as u64 / 4 * 3, bytes.len() as u64);
    assert!(cut > 9 << 20);
    let proxy = Proxy::failing(port, cut, Fault::Cut);
    trial.through(proxy.port());
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(proxy.faults_fired(), 1);
    assert!(
        ended.stderr.contains("the download was cut off"),
        "{}",
        ended.stderr
    );
    let carried = proxy.bytes_down();
    assert!(
        carried < cut + size - (512 << 10),
        "it went on from there: {carried} of {}: {}",
        bytes.len(),
        ended.stderr
    );
    trial.assert_published(&[&bytes]);
    assert!(trial.remote().is_empty());
}

#[test]
fn cut_at_every_64_kib_of_a_small_file() {
    const STEP: u64 = 64 * 1024;
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let port = trial.sshd().port();
    let bytes = extract::small(400, 1);
    let mut fired = 0;
    let cuts = bytes.len() as u64 / STEP + 1;
    for cut in 0..=cuts {
        let extract = extract::small(400, 1 + cut);
        trial.put(NAME, &extract, &transfer(1 + cut as u32));
        let proxy = Proxy::failing(port, cut * STEP + 1, Fault::Cut);
        trial.through(proxy.port());
        // Cut while the connection is made or the inbox is read, a run ends; while it downloads, it goes on.
        let first = trial.sync();
        assert!([0, 2].contains(&first.code), "{}", first.stderr);
        fired += proxy.faults_fired();
        let second = trial.sync();
        assert_eq!(second.code, 0, "{}", second.stderr);
        assert!(trial.remote().is_empty(), "cut after {} KiB", cut * 64);
    }
    assert!(fired >= cuts, "{fired} of {cuts}");
    let expected: Vec<_> = (0..=cuts).map(|cut| extract::small(400, 1 + cut)).collect();
    let expected: Vec<&[u8]> = expected.iter().map(Vec::as_slice).collect();
    trial.assert_published(&expected);
}

/// What came stays when the process is killed, and the next one asks for the rest only.
#[test]
fn resumed_by_another_process() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    let size = bytes.len() as u64;
    trial.put(NAME, &bytes, &transfer(1));
    let port = trial.sshd().port();
    let stalling = Proxy::failing(port, size / 4 * 3, Fault::Stall);
    trial.through(stalling.port());
    let mut first = command()
        .arg("sync")
        .args(trial.source())
        .args(["--unrestricted", "test"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = trial.path(&format!("state/spool/default/{}.part", transfer(1)));
    let begun = Instant::now();
    let came = loop {
        let came = fs::metadata(&part).map_or(0, |metadata| metadata.len());
        if came >= size / 2 {
            break came;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(50),
            "{came} of {size}"
        );
        thread::sleep(Duration::from_millis(20));
    };
    let mode = fs::metadata(&part).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    first.kill().unwrap();
    first.wait().unwrap();
    let proxy = Proxy::start(port, Treatment::default());
    trial.through(proxy.port());
    published(&trial, &[&bytes]);
    let carried = proxy.bytes_down();
    assert!(
        carried < size - came + size / 8,
        "{carried} of {size} bytes, of which {came} were there"
    );
}

/// The same, and meanwhile another file of that name and size has come: nothing of the old one is in it.
#[test]
fn another_file_of_the_same_size_since() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(3_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    trial.stop_at("half-downloaded").kill();
    let part = trial.path(&format!("state/spool/default/{}.part", transfer(1)));
    let came = fs::metadata(&part).unwrap().len();
    assert!(came > 0 && came < bytes.len() as u64);
    // A name in the part that has come becomes another.
    let mut other = bytes.clone();
    let lines = extract::lines(&bytes);
    let line = lines
        .iter()
        .position(|line| line.starts_with(b"008"))
        .unwrap();
    let offset: usize = lines[..line].iter().map(|line| line.len() + 1).sum();
    let name = &mut other[offset + 40..offset + 44];
    name.iter_mut().for_each(|byte| *byte = b'x');
    assert!(other != bytes && (offset as u64) < came);
    trial.data(NAME, &other);
    let touched = Command::new("touch")
        .args(["-d", "2026-03-02 03:00"])
        .arg(trial.inbox().join(NAME))
        .status();
    assert!(touched.unwrap().success());
    published(&trial, &[&other]);
}

#[test]
fn server_restart() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("half-downloaded");
    assert!(trial.sshd().start_again());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the download was cut off"), "{said}");
    trial.assert_published(&[&bytes]);
    assert!(trial.remote().is_empty());
}

/// It is not there again when it is asked for the first time.
#[test]
fn server_away_for_seconds() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("half-downloaded");
    trial.sshd().stop();
    let (code, said) = thread::scope(|scope| {
        let run = scope.spawn(|| stopped.go_on());
        // It is asked after one second, after four more and after fifteen more.
        thread::sleep(Duration::from_secs(3));
        assert!(trial.sshd().start_again());
        run.join().unwrap()
    });
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the download was cut off"), "{said}");
    trial.assert_published(&[&bytes]);
    assert!(trial.remote().is_empty());
}

#[test]
fn server_gone_for_long() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let stopped = trial.stop_at("half-downloaded");
    trial.sshd().stop();
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("refuses the connection"), "{said}");
    assert!(trial.sshd().start_again());
    published(&trial, &[&bytes]);
}

#[test]
fn stalled_server() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let port = trial.sshd().port();
    let proxy = Proxy::failing(port, bytes.len() as u64 / 2, Fault::Stall);
    trial.through(proxy.port());
    let begun = std::time::Instant::now();
    let ended = trial.run("sync", &["--unrestricted", "test", "--timeout", "3"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(proxy.faults_fired(), 1);
    assert!(
        ended.stderr.contains("no progress for 3s"),
        "{}",
        ended.stderr
    );
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    trial.assert_published(&[&bytes]);
}

#[test]
fn slow_line() {
    let Some(mut trial) = Trial::sftp() else {
        return;
    };
    let bytes = extract::small(400, 1);
    trial.put(NAME, &bytes, &transfer(1));
    let treatment = Treatment {
        rate: Some(256 * 1024),
        ..Treatment::default()
    };
    let proxy = Proxy::start(trial.sshd().port(), treatment);
    trial.through(proxy.port());
    let begun = std::time::Instant::now();
    published(&trial, &[&bytes]);
    assert!(begun.elapsed().as_secs_f64() > bytes.len() as f64 / 262_144.0 * 0.9);
}
