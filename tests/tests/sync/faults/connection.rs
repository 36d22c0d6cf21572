//! Faults of the connection, and servers that stop.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cprflow_tests::command::command;
use cprflow_tests::extract;
use cprflow_tests::proxy::{Fault, Proxy, Treatment};
use cprflow_tests::test_run::{TestRun, transfer};

use super::{NAME, published};

#[test]
fn connection_lost_during_download() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let port = test.sshd().port();
    // Only data that was requested ahead can be lost, at most 8 MiB.
    let (cut, size) = (bytes.len() as u64 / 4 * 3, bytes.len() as u64);
    assert!(cut > 9 << 20);
    let proxy = Proxy::failing(port, cut, Fault::End);
    test.connect_through(proxy.port());
    let ended = test.sync();
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
        "the download continued there: {carried} of {}: {}",
        bytes.len(),
        ended.stderr
    );
    test.assert_published(&[&bytes]);
    assert!(test.remote().is_empty());
}

#[test]
fn connection_lost_at_every_64_kib() {
    const STEP: u64 = 64 * 1024;
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let port = test.sshd().port();
    let bytes = extract::small(400, 1);
    let mut fired = 0;
    let cuts = bytes.len() as u64 / STEP + 1;
    for cut in 0..=cuts {
        let extract = extract::small(400, 1 + cut);
        test.put(NAME, &extract, &transfer(1 + cut as u32));
        let proxy = Proxy::failing(port, cut * STEP + 1, Fault::End);
        test.connect_through(proxy.port());
        // A loss during the connection or the listing ends the run. A loss during a download is resumed in the same run.
        let first = test.sync();
        assert!([0, 2].contains(&first.code), "{}", first.stderr);
        fired += proxy.faults_fired();
        let second = test.sync();
        assert_eq!(second.code, 0, "{}", second.stderr);
        assert!(test.remote().is_empty(), "lost after {} KiB", cut * 64);
    }
    assert!(fired >= cuts, "{fired} of {cuts}");
    let expected: Vec<_> = (0..=cuts).map(|cut| extract::small(400, 1 + cut)).collect();
    let expected: Vec<&[u8]> = expected.iter().map(Vec::as_slice).collect();
    test.assert_published(&expected);
}

/// The downloaded part survives a kill, and the next process requests only the rest.
#[test]
fn resumed_by_another_process() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    let size = bytes.len() as u64;
    test.put(NAME, &bytes, &transfer(1));
    let port = test.sshd().port();
    let stalling = Proxy::failing(port, size / 4 * 3, Fault::Stall);
    test.connect_through(stalling.port());
    let mut first = command()
        .arg("sync")
        .args(test.source())
        .args(["--unrestricted", "test", "--church-purpose", "test"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = test.path(&format!("state/spool/default/{}.part", transfer(1)));
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
    test.connect_through(proxy.port());
    published(&test, &[&bytes]);
    let carried = proxy.bytes_down();
    assert!(
        carried < size - came + size / 8,
        "{carried} of {size} bytes, of which {came} were downloaded before"
    );
}

/// After the kill, another file with the same name and size replaces the first. No byte of the first may be used.
#[test]
fn another_file_of_the_same_size_after_a_kill() {
    let Some(test) = TestRun::sftp() else { return };
    let bytes = extract::small(3_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    test.stop_at("half-downloaded").kill();
    let part = test.path(&format!("state/spool/default/{}.part", transfer(1)));
    let came = fs::metadata(&part).unwrap().len();
    assert!(came > 0 && came < bytes.len() as u64);
    // A name in the downloaded part is changed.
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
    test.data(NAME, &other);
    let touched = Command::new("touch")
        .args(["-d", "2026-03-02 03:00"])
        .arg(test.inbox().join(NAME))
        .status();
    assert!(touched.unwrap().success());
    published(&test, &[&other]);
}

#[test]
fn server_restart() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let stopped = test.stop_at("half-downloaded");
    assert!(test.sshd().start_again());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the download was cut off"), "{said}");
    test.assert_published(&[&bytes]);
    assert!(test.remote().is_empty());
}

/// The server is still away at the first retry.
#[test]
fn server_away_for_seconds() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let stopped = test.stop_at("half-downloaded");
    test.sshd().stop();
    let (code, said) = thread::scope(|scope| {
        let run = scope.spawn(|| stopped.go_on());
        // Retries come after one second, after four more and after fifteen more.
        thread::sleep(Duration::from_secs(3));
        assert!(test.sshd().start_again());
        run.join().unwrap()
    });
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the download was cut off"), "{said}");
    test.assert_published(&[&bytes]);
    assert!(test.remote().is_empty());
}

#[test]
fn server_gone_for_long() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(3_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let stopped = test.stop_at("half-downloaded");
    test.sshd().stop();
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("refuses the connection"), "{said}");
    assert!(test.sshd().start_again());
    published(&test, &[&bytes]);
}

#[test]
fn stalled_server() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(8_000, 1);
    test.put(NAME, &bytes, &transfer(1));
    let port = test.sshd().port();
    let proxy = Proxy::failing(port, bytes.len() as u64 / 2, Fault::Stall);
    test.connect_through(proxy.port());
    let begun = std::time::Instant::now();
    let ended = test.run("sync", &["--unrestricted", "test", "--timeout", "3"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(proxy.faults_fired(), 1);
    assert!(
        ended.stderr.contains("no progress for 3s"),
        "{}",
        ended.stderr
    );
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    test.assert_published(&[&bytes]);
}

#[test]
fn slow_line() {
    let Some(mut test) = TestRun::sftp() else {
        return;
    };
    let bytes = extract::small(400, 1);
    test.put(NAME, &bytes, &transfer(1));
    let treatment = Treatment {
        rate: Some(256 * 1024),
        ..Treatment::default()
    };
    let proxy = Proxy::start(test.sshd().port(), treatment);
    test.connect_through(proxy.port());
    let begun = std::time::Instant::now();
    published(&test, &[&bytes]);
    assert!(begun.elapsed().as_secs_f64() > bytes.len() as f64 / 262_144.0 * 0.9);
}
