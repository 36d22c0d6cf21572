//! The SFTP inbox on a bad line: what is lost is told, nothing waits for ever, and a download goes on where it ended.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use cprflow::transport::{
    Operation, RemoteName, Server, SftpInbox, SftpSettings, Timeouts, Transport, TransportError,
};
use cprflow_tests::proxy::{Fault, Proxy, Treatment};
use cprflow_tests::sshd::{ClosedPort, Sshd};

#[test]
fn a_host_that_is_not_there_is_told_by_what_is_missing() {
    let Some(sshd) = Sshd::plain() else { return };
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
fn a_server_that_says_nothing_or_never_stops_is_given_up_in_time() {
    let Some(sshd) = Sshd::plain() else { return };
    let login = Duration::from_secs(2);
    let settings = SftpSettings {
        timeouts: Timeouts {
            login,
            ..Timeouts::default()
        },
        ..sshd.settings()
    };
    // Silence; lines before the banner without end, which libssh2 would read for ever; a packet that never ends.
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
                // Waits until the client gives up.
                while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
                return sent;
            }
            // A client that has gone without reading leaves nothing behind that would end a write.
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
fn a_connection_that_ends_anywhere_before_the_folder_is_open_can_be_tried_again() {
    let Some(sshd) = Sshd::plain() else { return };
    let whole = Proxy::start(sshd.port(), Treatment::default());
    SftpInbox::connect(&sshd.server_at(whole.port()), &sshd.settings()).unwrap();
    let needed = whole.bytes_down();
    assert!(needed > 2000, "{needed}");
    let settings = sshd.settings();
    let mut seen = Vec::new();
    for fault in [Fault::Cut, Fault::Reset] {
        // The last bytes are the goodbye.
        for after in (0..needed - 400).step_by(97) {
            let proxy = Proxy::failing(sshd.port(), after, fault);
            let error = refusal(&sshd.server_at(proxy.port()), &settings);
            assert_eq!(proxy.faults_fired(), 1);
            assert!(error.is_transient(), "{fault:?} after {after}: {error}");
            assert!(error.ends_connection(), "{fault:?} after {after}: {error}");
            let lost = matches!(error, TransportError::Lost { .. });
            assert!(lost, "{fault:?} after {after}: {error}");
            if let TransportError::Lost { operation } = error
                && !seen.contains(&operation)
            {
                seen.push(operation);
            }
            // The fault is over, and so is the trouble.
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
fn a_stall_anywhere_before_the_folder_is_open_ends_in_time() {
    let Some(sshd) = Sshd::plain() else { return };
    let whole = Proxy::start(sshd.port(), Treatment::default());
    SftpInbox::connect(&sshd.server_at(whole.port()), &sshd.settings()).unwrap();
    // The last bytes are the goodbye.
    let needed = whole.bytes_down() - 400;
    for after in (0..needed).step_by(307) {
        // A machine that pauses for so long stalls before the proxy does: then nothing was tried.
        let tried = (0..5).find_map(|_| {
            let proxy = Proxy::failing(sshd.port(), after, Fault::Stall);
            let begun = Instant::now();
            let error = refusal(&sshd.server_at(proxy.port()), &impatient(&sshd));
            (proxy.faults_fired() == 1).then(|| (error, begun.elapsed()))
        });
        let (error, took) = tried.unwrap_or_else(|| panic!("it never stalled after {after}"));
        assert!(
            matches!(error, TransportError::Timeout { .. }),
            "{after}: {error}"
        );
        assert!(
            has_waited(took, PATIENCE) && took < PATIENCE + SLACK,
            "{after}: {took:?}"
        );
    }
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_ended() {
    let Some(sshd) = Sshd::plain() else { return };
    let content = numbers(12_000_000);
    fs::write(sshd.path("f"), &content).unwrap();
    for fault in [Fault::Cut, Fault::Reset] {
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
                        operation: Operation::Read
                    }
                ),
                "{fault:?} after {after}: {error}"
            );
            assert!(got.len() < content.len());
            if fault == Fault::Cut {
                // Nothing is lost but what was asked for ahead, and what SSH needs for itself.
                let least = (after - after / 50).saturating_sub(9 << 20);
                assert!(got.len() as u64 >= least, "{} of {after}", got.len());
            }
            // What is of no more use says so at once, every time.
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
fn a_download_that_stalls_ends_in_time_and_so_does_the_connection() {
    let Some(sshd) = Sshd::plain() else { return };
    fs::write(sshd.path("f"), numbers(12_000_000)).unwrap();
    for after in [5_000, 3_000_000] {
        let proxy = Proxy::failing(sshd.port(), after, Fault::Stall);
        let server = sshd.server_at(proxy.port());
        let mut inbox = SftpInbox::connect(&server, &impatient_once_in(&sshd)).unwrap();
        let begun = Instant::now();
        let (_, error) = fetch(&mut inbox, 0);
        let error = error.unwrap();
        let took = begun.elapsed();
        assert!(
            matches!(
                error,
                TransportError::Timeout {
                    operation: Operation::Read,
                    limit: PATIENCE
                }
            ),
            "{error}"
        );
        assert!(
            has_waited(took, PATIENCE) && took < PATIENCE + SLACK,
            "{took:?}"
        );
        let begun = Instant::now();
        drop(inbox);
        assert!(begun.elapsed() < AT_ONCE);
        assert_eq!(proxy.faults_fired(), 1);
    }
}

#[test]
fn a_slow_line_is_no_stall() {
    let Some(sshd) = Sshd::plain() else { return };
    let content = numbers(1_700_000);
    fs::write(sshd.path("f"), &content).unwrap();
    let treatment = Treatment {
        rate: Some(200_000),
        ..Treatment::default()
    };
    let proxy = Proxy::start(sshd.port(), treatment);
    let server = sshd.server_at(proxy.port());
    let mut settings = impatient_once_in(&sshd);
    settings.timeouts.stall = PATIENCE * 2;
    // The line counts from here.
    let begun = Instant::now();
    let mut inbox = SftpInbox::connect(&server, &settings).unwrap();
    let (got, error) = fetch(&mut inbox, 0);
    assert!(error.is_none(), "{error:?}");
    assert!(got == content);
    assert!(begun.elapsed() > PATIENCE * 4, "it was not slow");
}

#[test]
fn a_server_that_is_restarted_is_found_again() {
    let Some(mut sshd) = Sshd::plain() else {
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
fn a_server_that_goes_while_nothing_happens_is_noticed_at_the_next_word() {
    let Some(mut sshd) = Sshd::plain() else {
        return;
    };
    let mut inbox = SftpInbox::connect(&sshd.server(), &impatient_once_in(&sshd)).unwrap();
    // An idle connection is not cut off by its own watchdog.
    thread::sleep(PATIENCE * 3);
    assert!(inbox.list().unwrap().entries.is_empty());
    sshd.stop();
    let begun = Instant::now();
    let error = inbox.remove(&name()).unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error}");
    assert!(begun.elapsed() < AT_ONCE);
}

#[test]
fn a_long_way_makes_a_download_no_slower_than_it_must() {
    let Some(sshd) = Sshd::plain() else { return };
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
    // One request at a time would need 267 round trips of 100 ms.
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_secs(13), "{took:?}");
}

/// Waits so little that a test can wait for it, and no less than libssh2 can count.
fn impatient(sshd: &Sshd) -> SftpSettings {
    let mut settings = impatient_once_in(sshd);
    settings.timeouts.login = PATIENCE;
    settings
}

/// The same, once it is logged in: a login that must succeed takes its time on a busy machine.
fn impatient_once_in(sshd: &Sshd) -> SftpSettings {
    SftpSettings {
        timeouts: Timeouts {
            stall: PATIENCE,
            ..Timeouts::default()
        },
        ..sshd.settings()
    }
}

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether nobody gave up before it was time. Timeouts are given to the system in whole milliseconds, and by another
/// clock.
fn has_waited(took: Duration, limit: Duration) -> bool {
    took + Duration::from_millis(10) >= limit
}

/// How much later than it should something may end, on a busy machine; the usual limits are longer than both together.
const SLACK: Duration = Duration::from_secs(15);

/// Less than the limit of a goodbye.
const AT_ONCE: Duration = Duration::from_millis(2500);

/// Reads as much as comes, in small pieces.
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

/// Bytes in which every place looks different.
fn numbers(length: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(length).collect()
}
