//! SOAP calls to the stand-in platform and to hostile servers. Each kind of failure has its own error, which says what
//! to do and whether the request may have been carried out.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cprflow_platform::ServiceFault;
use cprflow_tests::hostile_server::HostileServer;
use cprflow_tests::service::{ServiceSetup, pem};
use cprflow_tests::sshd::ClosedPort;
use cprflow_transport::soap::{SoapClient, SoapError, SoapPhase, SoapSettings, SoapTimeouts};
use jiff::Timestamp;

#[test]
fn reports_what_a_wrong_server_is() {
    let setup = ServiceSetup::new();
    let settings = setup.settings(pem(setup.platform.client()));
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

    let plain = HostileServer::start(|mut connection| {
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
fn returns_every_complete_response() {
    let setup = ServiceSetup::new();
    let page = ServiceFault::Status {
        status: 503,
        has_page: true,
        is_applied: false,
    };
    setup.platform.arm(&page, 1);
    let answer = setup.call().unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with(b"<!DOCTYPE html>"));
    assert!(!format!("{answer:?}").contains("DOCTYPE"));
    setup.platform.arm(&ServiceFault::Rubbish, 1);
    let answer = setup.call().unwrap();
    assert_eq!((answer.status, answer.body.first()), (200, Some(&0)));
    setup.platform.arm(&ServiceFault::PersonNumberInFault, 1);
    assert_eq!(setup.call().unwrap().status, 500);
}

#[test]
fn reads_documents_in_other_character_sets_and_in_multipart_bodies() {
    let setup = ServiceSetup::new();
    let fault = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'/>\u{e6}";
    let latin: Vec<u8> = fault.chars().map(|c| c as u8).collect();
    let multipart = [
        b"--b\r\nContent-Type: application/xop+xml; charset=iso-8859-1\r\n\r\n".as_slice(),
        &latin,
        b"\r\n--b--\r\n",
    ]
    .concat();
    for (content_type, body) in [
        ("text/xml; charset=ISO-8859-1", latin),
        (
            "multipart/related; type=\"application/xop+xml\"; boundary=b",
            multipart,
        ),
    ] {
        let mut answer = format!(
            "HTTP/1.1 500 Fault\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend(body);
        let (server, ca) = HostileServer::truncating(setup.directory.path(), answer);
        let answer = setup.call_at(server.port(), &ca).unwrap();
        assert_eq!(answer.status, 500);
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            fault,
            "{content_type}"
        );
    }
}

#[test]
fn a_redirection_is_not_followed() {
    let setup = ServiceSetup::new();
    setup.platform.arm(&ServiceFault::Redirect, 1);
    let error = setup.call().unwrap_err();
    assert!(
        matches!(error, SoapError::Redirect { status: 307, .. }),
        "{error}"
    );
    assert!(!error.is_transient() && !error.may_have_been_applied());
    assert_eq!(setup.platform.take_events().len(), 1);
}

#[test]
fn reports_whether_the_request_was_sent_before_a_disconnect() {
    let setup = ServiceSetup::new();
    for (fault, phases, was_sent) in [
        // Both outcomes are possible, depending on timing.
        (
            ServiceFault::HandshakeReset,
            &[SoapPhase::Connect, SoapPhase::Handshake][..],
            false,
        ),
        (ServiceFault::ResetBeforeApplying, &[SoapPhase::Wait], true),
        (ServiceFault::ResetAfterApplying, &[SoapPhase::Wait], true),
        (
            ServiceFault::HalfResponse { is_announced: true },
            &[SoapPhase::Receive],
            true,
        ),
    ] {
        setup.platform.arm(&fault, 1);
        let error = setup.call().unwrap_err();
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
fn rejects_a_truncated_response() {
    let setup = ServiceSetup::new();
    for (answer, kind) in [
        // Without a length, the end of the connection ends the body. Only TLS can show that data is missing.
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
        let (server, ca) =
            HostileServer::truncating(setup.directory.path(), answer.as_bytes().to_vec());
        let error = setup.call_at(server.port(), &ca).unwrap_err();
        assert!(
            matches!(error, SoapError::Closed { phase, .. } if phase == kind),
            "{answer:?}: {error}"
        );
        assert!(error.may_have_been_applied());
    }
    let noise = b"0101010101 \x1b[31m is no HTTP\r\n\r\n".to_vec();
    let (server, ca) = HostileServer::truncating(setup.directory.path(), noise);
    let error = setup.call_at(server.port(), &ca).unwrap_err();
    assert!(matches!(error, SoapError::Protocol { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("0101010101") && !text.contains('\x1b'),
        "{text}"
    );
}

#[test]
fn keeps_every_timeout() {
    let setup = ServiceSetup::new();
    let second = Duration::from_secs(1);
    // Only one timeout is short at a time, because steps that must succeed can be slow on a busy machine.
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
        let mut settings = setup.settings(pem(setup.platform.client()));
        settings.timeouts = timeouts;
        if let Some(port) = endpoint {
            settings.endpoint = format!("https://127.0.0.1:{port}/");
        }
        let begun = Instant::now();
        let error = SoapClient::new(&settings, Timestamp::now())
            .unwrap()
            .call(&setup.request())
            .unwrap_err();
        (error, begun.elapsed())
    };
    let check = |(error, took): (SoapError, Duration), wanted: SoapPhase, wait: Duration| {
        assert!(
            matches!(error, SoapError::Timeout { phase, limit, .. } if phase == wanted && limit == wait),
            "{error:?}"
        );
        assert!(took >= wait.mul_f64(0.9) && took < wait + slack, "{took:?}");
        assert_eq!(error.was_sent(), wanted != SoapPhase::Handshake);
        assert!(error.is_transient());
    };
    setup.platform.arm(&ServiceFault::HandshakeStall, 1);
    check(call(None, connect), SoapPhase::Handshake, connect.connect);
    setup
        .platform
        .arm(&ServiceFault::Silence { is_applied: true }, 1);
    check(call(None, answer), SoapPhase::Wait, answer.answer);
    // The server sends something every second, without end.
    setup.platform.arm(&ServiceFault::Drip { pause: second }, 1);
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
    let dripping = HostileServer::start(|mut connection| {
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
fn rejects_an_endless_response() {
    let setup = ServiceSetup::new();
    let limit = 64 << 20;
    for fault in [
        ServiceFault::HugeBody { bytes: 100 << 20 },
        ServiceFault::EndlessBody,
    ] {
        setup.platform.arm(&fault, 1);
        let error = setup.call().unwrap_err();
        assert!(
            matches!(error, SoapError::BodyTooLarge { limit: found, .. } if found == limit),
            "{error}"
        );
        assert!(error.was_sent() && !error.is_transient());
    }
    // A response of exactly the maximum size is accepted.
    let client = setup.client_with(pem(setup.platform.client())).unwrap();
    let size = client.call(&setup.request()).unwrap().body.len() as u64;
    assert!(client.call_limited(&setup.request(), size).is_ok());
    let error = client.call_limited(&setup.request(), size - 1).unwrap_err();
    assert!(matches!(error, SoapError::BodyTooLarge { .. }), "{error}");
}

#[test]
fn uses_a_configured_proxy_and_ignores_the_environment() {
    let setup = ServiceSetup::new();
    let refusing = HostileServer::refusing_proxy();
    let mut settings = setup.settings(pem(setup.platform.client()));
    settings.proxy = Some(format!("http://me:hunter2@127.0.0.1:{}", refusing.port()));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let error = client.call(&setup.request()).unwrap_err();
    assert!(matches!(error, SoapError::Proxy { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2") && !error.was_sent());
    assert_eq!(refusing.connections(), 1);

    // TLS goes through the proxy, which sees the address and not the contents.
    let passing = HostileServer::proxy();
    settings.proxy = Some(format!("http://127.0.0.1:{}", passing.port()));
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    assert_eq!(client.call(&setup.request()).unwrap().status, 200);
    assert_eq!(passing.connections(), 1);
    // A proxy that accepts connections and never answers is named.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().port();
    let mut impatient = settings.clone();
    impatient.proxy = Some(format!("http://127.0.0.1:{silent}"));
    impatient.timeouts.connect = Duration::from_secs(1);
    let client = SoapClient::new(&impatient, Timestamp::now()).unwrap();
    let error = client.call(&setup.request()).unwrap_err();
    let told = format!("the proxy 127.0.0.1:{silent}: connecting took longer");
    assert!(error.to_string().contains(&told), "{error}");
    let closed = ClosedPort::new();
    settings.proxy = Some(format!("http://127.0.0.1:{}", closed.number()));
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let error = client.call(&setup.request()).unwrap_err();
    assert!(matches!(error, SoapError::Refused { .. }), "{error}");

    settings.proxy = Some("https://127.0.0.1:1".to_owned());
    let error = SoapClient::new(&settings, Timestamp::now()).unwrap_err();
    assert!(matches!(error, SoapError::ProxyAddress), "{error}");

    // The environment must be set before a process starts, so this test runs the next one in another process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "soap::a_call_of_another_process",
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
    let setup = ServiceSetup::new();
    assert_eq!(setup.call().unwrap().status, 200);
    assert_eq!(setup.platform.take_events().len(), 1);
}
