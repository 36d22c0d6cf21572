//! The way to the subscription service, against the stand-in platform and against servers that mean no good: every
//! failure is told by its kind, says what to do, and says whether the request may have been carried out.

use std::io::{Read, Write};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cprflow::transport::soap::{SoapClient, SoapError, SoapPhase, SoapSettings, SoapTimeouts};
use cprflow_platform::Fault;
use cprflow_tests::hostile::Hostile;
use cprflow_tests::service::{Place, pem};
use cprflow_tests::sshd::ClosedPort;
use jiff::Timestamp;

#[test]
fn what_is_no_service_is_told_by_what_it_is() {
    let place = Place::new();
    let settings = place.settings(pem(place.platform.client()));
    let call = |endpoint: String| {
        let settings = SoapSettings {
            endpoint,
            ..settings.clone()
        };
        SoapClient::new(&settings, Timestamp::now())?.call(b"<end></end>")
    };
    let closed = ClosedPort::new();
    let refused = call(format!("https://127.0.0.1:{}/", closed.number())).unwrap_err();
    assert!(matches!(refused, SoapError::Refused { .. }), "{refused}");
    assert!(refused.is_transient() && !refused.was_sent());

    let nowhere = call("https://service.invalid/".to_owned()).unwrap_err();
    assert!(
        matches!(&nowhere, SoapError::Dns { host, .. } if host == "service.invalid"),
        "{nowhere}"
    );

    let plain = Hostile::start(|mut connection| {
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let mut rest = [0; 4096];
        while matches!(connection.read(&mut rest), Ok(1..)) {}
    });
    let error = call(format!("https://127.0.0.1:{}/", plain.port())).unwrap_err();
    assert!(matches!(error, SoapError::NotTls { .. }), "{error}");
    assert!(error.to_string().contains("does not speak TLS") && !error.was_sent());

    for (endpoint, word) in [
        ("http://127.0.0.1/", "https://"),
        ("https://me:secret@127.0.0.1/", "user name"),
        ("prod.serviceplatformen.dk", "https://"),
        ("not an address", "no address"),
    ] {
        let error = call(endpoint.to_owned()).unwrap_err();
        assert!(matches!(error, SoapError::Endpoint { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn an_answer_that_came_whole_is_an_answer_whatever_it_says() {
    let place = Place::new();
    let page = Fault::Status {
        status: 503,
        has_page: true,
        is_applied: false,
    };
    place.platform.arm(&page, 1);
    let answer = place.call().unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with(b"<!DOCTYPE html>"));
    assert!(!format!("{answer:?}").contains("DOCTYPE"));
    place.platform.arm(&Fault::Rubbish, 1);
    let answer = place.call().unwrap();
    assert_eq!((answer.status, answer.body.first()), (200, Some(&0)));
    place.platform.arm(&Fault::PersonNumberInFault, 1);
    assert_eq!(place.call().unwrap().status, 500);
}

#[test]
fn a_redirection_is_not_followed() {
    let place = Place::new();
    place.platform.arm(&Fault::Redirect, 1);
    let error = place.call().unwrap_err();
    assert!(
        matches!(error, SoapError::Redirect { status: 307, .. }),
        "{error}"
    );
    assert!(!error.is_transient() && !error.may_have_been_applied());
    assert_eq!(place.platform.seen().len(), 1);
}

#[test]
fn a_connection_that_breaks_tells_whether_the_request_had_gone_out() {
    let place = Place::new();
    for (fault, phases, was_sent) in [
        // It depends on who is quicker.
        (
            Fault::HandshakeReset,
            &[SoapPhase::Connect, SoapPhase::Handshake][..],
            false,
        ),
        (Fault::ResetBeforeApplying, &[SoapPhase::Wait], true),
        (Fault::ResetAfterApplying, &[SoapPhase::Wait], true),
        (
            Fault::HalfResponse { is_announced: true },
            &[SoapPhase::Receive],
            true,
        ),
    ] {
        place.platform.arm(&fault, 1);
        let error = place.call().unwrap_err();
        let text = error.to_string();
        let SoapError::Closed { phase, .. } = error else {
            panic!("{fault:?}: {text}")
        };
        assert!(phases.contains(&phase), "{fault:?}: {text}");
        assert_eq!(error.was_sent(), was_sent, "{fault:?}: {text}");
        assert!(error.is_transient());
        let word = if was_sent {
            "may have been carried out"
        } else {
            "was not carried out"
        };
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn an_answer_whose_end_was_cut_off_is_not_taken_for_a_whole_one() {
    let place = Place::new();
    for (answer, kind) in [
        // Without a length, the end of the connection is the end of the body: only TLS tells a cut.
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<half",
            SoapPhase::Receive,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<half\r\n",
            SoapPhase::Receive,
        ),
        ("HTTP/1.1 200 OK\r\nConte", SoapPhase::Receive),
        ("", SoapPhase::Wait),
    ] {
        let (server, ca) = Hostile::cutting(place.directory.path(), answer.as_bytes().to_vec());
        let error = place.call_at(server.port(), &ca).unwrap_err();
        assert!(
            matches!(error, SoapError::Closed { phase, .. } if phase == kind),
            "{answer:?}: {error}"
        );
        assert!(error.may_have_been_applied());
    }
    let noise = b"0101010101 \x1b[31m is no HTTP\r\n\r\n".to_vec();
    let (server, ca) = Hostile::cutting(place.directory.path(), noise);
    let error = place.call_at(server.port(), &ca).unwrap_err();
    assert!(matches!(error, SoapError::Protocol { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("0101010101") && !text.contains('\x1b'),
        "{text}"
    );
}

#[test]
fn nothing_waits_longer_than_it_is_told_to() {
    let place = Place::new();
    let second = Duration::from_secs(1);
    // One of them is short at a time: whatever must go well takes its time on a busy machine.
    let long = SoapTimeouts {
        connect: second * 60,
        answer: second * 60,
        total: second * 60,
    };
    let connect = SoapTimeouts {
        connect: second,
        ..long
    };
    let answer = SoapTimeouts {
        answer: second * 2,
        ..long
    };
    let total = SoapTimeouts {
        total: second * 6,
        ..long
    };
    let slack = second * 15;
    let call = |endpoint: Option<u16>, timeouts: SoapTimeouts| {
        let mut settings = place.settings(pem(place.platform.client()));
        settings.timeouts = timeouts;
        if let Some(port) = endpoint {
            settings.endpoint = format!("https://127.0.0.1:{port}/");
        }
        let begun = Instant::now();
        let error = SoapClient::new(&settings, Timestamp::now())
            .unwrap()
            .call(&place.request())
            .unwrap_err();
        (error, begun.elapsed())
    };
    let check = |(error, took): (SoapError, Duration), wanted: SoapPhase, wait: Duration| {
        assert!(
            matches!(error, SoapError::Timeout { phase, limit } if phase == wanted && limit == wait),
            "{error:?}"
        );
        assert!(took >= wait.mul_f64(0.9) && took < wait + slack, "{took:?}");
        assert_eq!(error.was_sent(), wanted != SoapPhase::Handshake);
        assert!(error.is_transient());
    };
    place.platform.arm(&Fault::HandshakeStall, 1);
    check(call(None, connect), SoapPhase::Handshake, connect.connect);
    place.platform.arm(&Fault::Silence { is_applied: true }, 1);
    check(call(None, answer), SoapPhase::Wait, answer.answer);
    // Something moves every second, for as long as anybody listens.
    place.platform.arm(&Fault::Drip { pause: second }, 1);
    let (error, took) = call(None, total);
    assert!(
        matches!(error, SoapError::Timeout { .. }) && error.was_sent(),
        "{error}"
    );
    assert!(
        error.to_string().contains("may have been carried out"),
        "{error}"
    );
    assert!(took < total.total + slack, "{took:?}");
    let dripping = Hostile::start(|mut connection| {
        for byte in [0x16, 3, 3, 0, 80].into_iter().chain([2; 80]) {
            if connection.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(300));
        }
    });
    check(
        call(Some(dripping.port()), connect),
        SoapPhase::Handshake,
        connect.connect,
    );
}

#[test]
fn an_answer_without_end_is_not_taken_in() {
    let place = Place::new();
    let limit = 64 << 20;
    for fault in [Fault::HugeBody { bytes: 100 << 20 }, Fault::EndlessBody] {
        place.platform.arm(&fault, 1);
        let error = place.call().unwrap_err();
        assert!(
            matches!(error, SoapError::BodyTooLarge { limit: found } if found == limit),
            "{error}"
        );
        assert!(error.was_sent() && !error.is_transient());
    }
    // The limit is the largest that is taken.
    let client = place.client_with(pem(place.platform.client())).unwrap();
    let size = client.call(&place.request()).unwrap().body.len() as u64;
    assert!(client.call_limited(&place.request(), size).is_ok());
    let error = client.call_limited(&place.request(), size - 1).unwrap_err();
    assert!(matches!(error, SoapError::BodyTooLarge { .. }), "{error}");
}

#[test]
fn a_proxy_is_used_if_it_is_configured_and_never_by_the_environment() {
    let place = Place::new();
    let refusing = Hostile::refusing_proxy();
    let mut settings = place.settings(pem(place.platform.client()));
    settings.proxy = Some(format!("http://me:hunter2@127.0.0.1:{}", refusing.port()));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let error = client.call(&place.request()).unwrap_err();
    assert!(matches!(error, SoapError::Proxy { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2") && !error.was_sent());
    assert_eq!(refusing.connections(), 1);

    // TLS goes through a proxy that lets us: it sees where to, and not what.
    let passing = Hostile::proxy();
    settings.proxy = Some(format!("http://127.0.0.1:{}", passing.port()));
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    assert_eq!(client.call(&place.request()).unwrap().status, 200);
    assert_eq!(passing.connections(), 1);
    let closed = ClosedPort::new();
    settings.proxy = Some(format!("http://127.0.0.1:{}", closed.number()));
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let error = client.call(&place.request()).unwrap_err();
    assert!(matches!(error, SoapError::Refused { .. }), "{error}");

    settings.proxy = Some("https://127.0.0.1:1".to_owned());
    let error = SoapClient::new(&settings, Timestamp::now()).unwrap_err();
    assert!(matches!(error, SoapError::ProxyAddress), "{error}");

    // The environment of a process is set from the outside: this test calls the next one in another process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_call_of_another_process",
            "--ignored",
            "--nocapture",
        ])
        .envs(
            ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"]
                .map(|name| (name, format!("http://127.0.0.1:{}", refusing.port()))),
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    assert_eq!(refusing.connections(), 1);
}

#[test]
#[ignore = "another test runs it, in an environment of its own"]
fn a_call_of_another_process() {
    let place = Place::new();
    assert_eq!(place.call().unwrap().status, 200);
    assert_eq!(place.platform.seen().len(), 1);
}
