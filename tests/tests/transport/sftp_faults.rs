//! The SFTP inbox on a bad connection: losses are reported, every wait has a timeout, and downloads are resumed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use cprflow_tests::proxy::{Fault, Proxy, Treatment};
use cprflow_tests::sshd::{ClosedPort, Sshd};
use cprflow_transport::{
    Operation, RemoteName, Server, SftpInbox, SftpSettings, Timeouts, Transport, TransportError,
};

#[test]
fn reports_why_a_host_cannot_be_reached() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let closed = ClosedPort::new();
    let error = refusal(&sshd.server_at(closed.number()), &sshd.settings());
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    assert!(error.is_transient());
    let mut server = sshd.server();
    server.host = "sftp.invalid".to_owned();
    let error = refusal(&server, &sshd.settings());
    assert!(matches!(error, TransportError::Dns { .. }), "{error}");
    assert!(error.is_transient());
}

#[test]
fn times_out_on_silent_and_endless_servers() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let login = Duration::from_secs(2);
    let settings = SftpSettings {
        timeouts: Timeouts {
            login,
            ..Timeouts::default()
        },
        ..sshd.settings()
    };
    // The server is silent, sends endless lines before its banner (which libssh2 would read for ever), or an endless packet.
    for (opening, flood) in [
        (b"".as_slice(), b"".as_slice()),
        (b"", b"one more line of greeting\r\n"),
        (b"SSH-2.0-flood\r\n", b""),
        (
            b"SSH-2.0-flood\r\n",
            &[0, 0, 0, 12, 10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = sshd.server_at(listener.local_addr().unwrap().port());
        let talking = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(opening).unwrap();
            let mut sent = 0;
            if flood.is_empty() {
                // Waits until the client disconnects.
                while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
                return sent;
            }
            // A write to a client that is gone may never fail, so it has a timeout.
            stream
                .set_write_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            while stream.write_all(&flood.repeat(100)).is_ok() {
                sent += 100 * flood.len();
            }
            sent
        });
        let begun = Instant::now();
        let error = refusal(&server, &settings);
        let took = begun.elapsed();
        assert!(
            took < login + SLACK,
            "{took:?} for {opening:?} {flood:?}: {error}"
        );
        let gave_up = matches!(
            error,
            TransportError::Timeout {
                operation: Operation::Handshake,
                ..
            } | TransportError::Protocol { .. }
                | TransportError::Lost { .. }
        );
        assert!(gave_up && error.is_transient(), "{error}");
        if flood.is_empty() {
            assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
            assert!(has_waited(took, login), "{took:?}");
        }
        let sent = talking.join().unwrap();
        assert_eq!(sent > 0, !flood.is_empty());
    }
}

#[test]
fn connection_losses_before_the_folder_is_open_are_transient() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let whole = Proxy::start(sshd.port(), Treatment::default());
    SftpInbox::connect(&sshd.server_at(whole.port()), &sshd.settings()).unwrap();
    let needed = whole.bytes_down();
    assert!(needed > 2000, "{needed}");
    let settings = sshd.settings();
    let mut seen = Vec::new();
    for fault in [Fault::End, Fault::Reset] {
        // The last bytes end the session, so a fault there has no effect.
        for after in (0..needed - 400).step_by(97) {
            let proxy = Proxy::failing(sshd.port(), after, fault);
            let error = refusal(&sshd.server_at(proxy.port()), &settings);
            assert_eq!(proxy.faults_fired(), 1);
            assert!(error.is_transient(), "{fault:?} after {after}: {error}");
            assert!(error.ends_connection(), "{fault:?} after {after}: {error}");
            let lost = matches!(error, TransportError::Lost { .. });
            assert!(lost, "{fault:?} after {after}: {error}");
            if let TransportError::Lost { operation, .. } = error
                && !seen.contains(&operation)
            {
                seen.push(operation);
            }
            // After the fault, the connection works again.
            if after % 5 == 0 {
                SftpInbox::connect(&sshd.server_at(proxy.port()), &settings).unwrap();
            }
        }
    }
    for operation in [Operation::Handshake, Operation::Login, Operation::Start] {
        assert!(seen.contains(&operation), "{seen:?}");
    }
}

#[test]
fn times_out_on_stalls_before_the_folder_is_open() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let whole = Proxy::start(sshd.port(), Treatment::default());
    SftpInbox::connect(&sshd.server_at(whole.port()), &sshd.settings()).unwrap();
    // The last bytes end the session, so a fault there has no effect.
    let needed = whole.bytes_down() - 400;
    for after in (0..needed).step_by(307) {
        // On a very busy machine the timeout can come before the stall of the proxy. Then the attempt does not count.
        let tried = (0..5).find_map(|_| {
            let proxy = Proxy::failing(sshd.port(), after, Fault::Stall);
            let begun = Instant::now();
            let error = refusal(&sshd.server_at(proxy.port()), &short_timeout(&sshd));
            (proxy.faults_fired() == 1).then(|| (error, begun.elapsed()))
        });
        let (error, took) =
            tried.unwrap_or_else(|| panic!("the proxy never stalled after {after} bytes"));
        assert!(
            matches!(error, TransportError::Timeout { .. }),
            "{after}: {error}"
        );
        assert!(
            has_waited(took, TIMEOUT) && took < TIMEOUT + SLACK,
            "{after}: {took:?}"
        );
    }
}

#[test]
fn resumes_an_interrupted_download() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(12_000_000);
    fs::write(sshd.path("f"), &content).unwrap();
    for fault in [Fault::End, Fault::Reset] {
        for after in [5_000, 40_000, 1_000_000, 6_000_000, 12_000_000] {
            let proxy = Proxy::failing(sshd.port(), after, fault);
            let settings = sshd.settings();
            let server = sshd.server_at(proxy.port());
            let mut inbox = SftpInbox::connect(&server, &settings).unwrap();
            let (mut got, error) = fetch(&mut inbox, 0);
            let error = error.unwrap();
            assert!(
                matches!(
                    error,
                    TransportError::Lost {
                        operation: Operation::Read,
                        ..
                    }
                ),
                "{fault:?} after {after}: {error}"
            );
            assert!(got.len() < content.len());
            if fault == Fault::End {
                // Only the data that was requested ahead is lost, and the overhead of SSH.
                let least = (after - after / 50).saturating_sub(9 << 20);
                assert!(got.len() as u64 >= least, "{} of {after}", got.len());
            }
            // A failed connection reports its error at once, at every further request.
            let begun = Instant::now();
            assert!(inbox.list().unwrap_err().ends_connection());
            assert!(inbox.stat(&name()).unwrap_err().ends_connection());
            assert!(begun.elapsed() < AT_ONCE);
            let begun = Instant::now();
            drop(inbox);
            assert!(begun.elapsed() < AT_ONCE);

            let mut inbox = SftpInbox::connect(&server, &settings).unwrap();
            let (rest, error) = fetch(&mut inbox, got.len() as u64);
            assert!(error.is_none());
            got.extend(rest);
            assert!(got == content, "{fault:?} after {after}");
            assert_eq!(proxy.faults_fired(), 1);
        }
    }
}

#[test]
fn times_out_on_a_stalled_download_and_closes_the_connection() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    fs::write(sshd.path("f"), numbers(12_000_000)).unwrap();
    for after in [5_000, 3_000_000] {
        let proxy = Proxy::failing(sshd.port(), after, Fault::Stall);
        let server = sshd.server_at(proxy.port());
        let mut inbox = SftpInbox::connect(&server, &short_timeout_after_login(&sshd)).unwrap();
        let begun = Instant::now();
        let (_, error) = fetch(&mut inbox, 0);
        let error = error.unwrap();
        let took = begun.elapsed();
        assert!(
            matches!(
                error,
                TransportError::Timeout {
                    operation: Operation::Read,
                    limit: TIMEOUT,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            has_waited(took, TIMEOUT) && took < TIMEOUT + SLACK,
            "{took:?}"
        );
        let begun = Instant::now();
        drop(inbox);
        assert!(begun.elapsed() < AT_ONCE);
        assert_eq!(proxy.faults_fired(), 1);
    }
}

#[test]
fn a_slow_connection_is_not_a_stall() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(1_700_000);
    fs::write(sshd.path("f"), &content).unwrap();
    let treatment = Treatment {
        rate: Some(200_000),
        ..Treatment::default()
    };
    let proxy = Proxy::start(sshd.port(), treatment);
    let server = sshd.server_at(proxy.port());
    let mut settings = short_timeout_after_login(&sshd);
    settings.timeouts.stall = TIMEOUT * 2;
    // The measured time starts here.
    let begun = Instant::now();
    let mut inbox = SftpInbox::connect(&server, &settings).unwrap();
    let (got, error) = fetch(&mut inbox, 0);
    assert!(error.is_none(), "{error:?}");
    assert!(got == content);
    assert!(begun.elapsed() > TIMEOUT * 4, "the connection was not slow");
}

#[test]
fn reconnects_after_a_server_restart() {
    let Some(mut sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(60_000_000);
    fs::write(sshd.path("f"), &content).unwrap();
    let (server, settings) = (sshd.server(), sshd.settings());
    let mut inbox = SftpInbox::connect(&server, &settings).unwrap();
    let mut got = vec![0; 1_000_000];
    let mut reader = inbox.open(&name(), 0).unwrap();
    reader.read_exact(&mut got).unwrap();
    sshd.stop();
    let error = TransportError::from(reader.read_to_end(&mut got).unwrap_err());
    assert!(matches!(error, TransportError::Lost { .. }), "{error}");
    drop(reader);
    let error = refusal(&server, &settings);
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    assert!(sshd.start_again());
    let mut inbox = SftpInbox::connect(&server, &settings).unwrap();
    let (rest, error) = fetch(&mut inbox, got.len() as u64);
    assert!(error.is_none());
    got.extend(rest);
    assert!(got == content);
}

#[test]
fn notices_a_lost_idle_connection_at_the_next_request() {
    let Some(mut sshd) = Sshd::start_default() else {
        return;
    };
    let mut inbox = SftpInbox::connect(&sshd.server(), &short_timeout_after_login(&sshd)).unwrap();
    // The connection's own timeout must not end an idle connection.
    thread::sleep(TIMEOUT * 3);
    assert!(inbox.list().unwrap().entries.is_empty());
    sshd.stop();
    let begun = Instant::now();
    let error = inbox.remove(&name()).unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error}");
    assert!(begun.elapsed() < AT_ONCE);
}

#[test]
fn sends_requests_ahead_on_connections_with_high_latency() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(8_000_000);
    fs::write(sshd.path("f"), &content).unwrap();
    let proxy = Proxy::delaying(sshd.port(), Duration::from_millis(100));
    let server = sshd.server_at(proxy.port());
    let mut inbox = SftpInbox::connect(&server, &sshd.settings()).unwrap();
    let begun = Instant::now();
    let (got, error) = fetch(&mut inbox, 0);
    let took = begun.elapsed();
    assert!(error.is_none());
    assert!(got == content);
    // With one request at a time, 267 round trips of 100 ms would be needed.
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_secs(13), "{took:?}");
}

/// Returns settings with the shortest timeout that libssh2 supports well.
fn short_timeout(sshd: &Sshd) -> SftpSettings {
    let mut settings = short_timeout_after_login(sshd);
    settings.timeouts.login = TIMEOUT;
    settings
}

/// Returns settings with a short timeout after login only, because a login can be slow on a busy machine.
fn short_timeout_after_login(sshd: &Sshd) -> SftpSettings {
    SftpSettings {
        timeouts: Timeouts {
            stall: TIMEOUT,
            ..Timeouts::default()
        },
        ..sshd.settings()
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);

/// Returns whether the wait lasted for the whole timeout. The tolerance of 10 ms is needed because the system counts
/// timeouts in whole milliseconds of another clock.
fn has_waited(took: Duration, limit: Duration) -> bool {
    took + Duration::from_millis(10) >= limit
}

/// How much later than its timeout a wait may end on a busy machine. The default timeouts are longer than both.
const SLACK: Duration = Duration::from_secs(15);

/// Less than the timeout for ending a session.
const AT_ONCE: Duration = Duration::from_millis(2500);

/// Reads until the end or an error, in small pieces.
fn fetch(inbox: &mut SftpInbox, offset: u64) -> (Vec<u8>, Option<TransportError>) {
    let mut reader = match inbox.open(&name(), offset) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let (mut all, mut buffer) = (Vec::new(), vec![0; 50_000]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (all, None),
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error) => return (all, Some(error.into())),
        }
    }
}

fn refusal(server: &Server, settings: &SftpSettings) -> TransportError {
    SftpInbox::connect(server, settings).err().unwrap()
}

fn name() -> RemoteName {
    RemoteName::try_from("f").unwrap()
}

/// Returns bytes that differ at every position.
fn numbers(length: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(length).collect()
}
