//! `cprflow subscription` as a process, with faults of the connection, the certificate, the response and the size.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use cprflow_platform::{
    Agreement, ClientKind, P12_PASSWORD, ServerCertificate, ServiceFault, TlsVersions,
};
use cprflow_tests::command::{command, cprflow};
use cprflow_tests::hostile_server::HostileServer;
use cprflow_tests::subscription_run::{SubscriptionRun, effects, numbers, pem};
use serde_json::json;

/// A call UUID of digits with only one letter, which must not be taken for a person number.
const CALL: &str = "12345678-1234-4567-8901-02345678a901";

const ADD: &[&str] = &["add", "municipality", "0265", "--yes"];

#[test]
fn each_failure_has_its_own_message() {
    let test = SubscriptionRun::new("");
    let status = |status| ServiceFault::Status {
        status,
        has_page: true,
        is_applied: false,
    };
    let named = |name: &str| ServiceFault::from_name(name).unwrap();
    // A transient failure is tried three times.
    for (fault, times, words) in [
        (
            ServiceFault::HandshakeReset,
            3,
            &["closed the connection", "was not carried out"][..],
        ),
        (
            ServiceFault::ResetAfterApplying,
            3,
            &["waiting for the answer", "may have been carried out"],
        ),
        (
            ServiceFault::HalfResponse { is_announced: true },
            3,
            &["receiving the answer", "may have been carried out"],
        ),
        (
            ServiceFault::HalfResponse {
                is_announced: false,
            },
            1,
            &["cannot be read"],
        ),
        (status(503), 3, &["HTTP 503", "perhaps a gateway answered"]),
        (
            status(403),
            1,
            &["HTTP 403", "registered with the IT system"],
        ),
        (status(404), 1, &["HTTP 404", "the address of the service"]),
        (status(405), 1, &["HTTP 405", "the address of the service"]),
        (
            named("client-fault"),
            1,
            &["Client: The request is not valid", "The request is wrong"],
        ),
        (
            named("security-model"),
            1,
            &["Security model", "Check the service agreement"],
        ),
        (
            named("detail-as-text"),
            3,
            &["Internal error; The service is being restarted"],
        ),
        (
            ServiceFault::SoapFault {
                code: "Server".to_owned(),
                text: format!("No.\n  CallUUID: {CALL}\n  Received: 2026-03-02T13:06:14.306Z"),
                detail: None,
            },
            3,
            &[CALL, "2026-03-02T13:06:14.306Z"],
        ),
        (
            ServiceFault::FaultWithStatus200,
            1,
            &["HTTP 200", "Check the service agreement"],
        ),
        (
            ServiceFault::Redirect,
            1,
            &["HTTP 307", "does not follow it"],
        ),
        (
            ServiceFault::Rubbish,
            1,
            &["cannot be read", "is not in UTF-8"],
        ),
        (ServiceFault::DoubleRoot, 1, &["cannot be read"]),
        (ServiceFault::EntityBomb, 1, &["cannot be read", "DOCTYPE"]),
        (
            ServiceFault::WrongOperation,
            1,
            &["belongs to another operation"],
        ),
        (
            ServiceFault::HugeBody { bytes: 100 << 20 },
            1,
            &["more than 67108864 bytes"],
        ),
    ] {
        if !test.filters().is_empty() {
            test.ok(&["clear", "municipality", "--yes"]);
        }
        test.platform.arm_for_changes(&fault, times);
        let said = test.refused(ADD);
        for words in words {
            assert!(said.contains(words), "{fault:?}: {said}");
        }
        assert_eq!(test.platform.disarm(), 0, "{fault:?}");
    }
    for (certificate, words) in [
        (
            ServerCertificate::UnknownAuthority,
            "authority that is not trusted",
        ),
        (ServerCertificate::WrongHost, "for another host"),
        (ServerCertificate::Expired, "its certificate has expired"),
    ] {
        test.platform
            .set_tls(certificate, TlsVersions::Both)
            .unwrap();
        let said = test.refused(ADD);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn times_out_on_a_response_that_arrives_slowly() {
    let test = SubscriptionRun::new("");
    test.configure_service(&(pem(test.platform.client()) + "timeout_seconds = 1"), "");
    let drip = ServiceFault::Drip {
        pause: Duration::from_millis(900),
    };
    test.platform.arm_for_changes(&drip, 3);
    let said = test.refused(ADD);
    assert!(said.contains("took longer than 1s"), "{said}");
    assert!(said.contains("may have been carried out"), "{said}");
    assert!(test.ok(ADD).contains("1 already present"));
}

#[test]
fn certificates_of_every_kind() {
    let test = SubscriptionRun::new("");
    let platform = &test.platform;
    let password = test.path("password");
    let archive = format!(
        "pkcs12 = {:?}\npassword = {{ file = {password:?} }}",
        platform.client().p12
    );
    let write = |text: &str| {
        fs::write(&password, text).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(&format!("{P12_PASSWORD}\n"));
    test.configure_service(&archive, "");
    test.ok(&["list"]);
    write("hunter2\n");
    let said = test.refused(&["list"]);
    assert!(said.contains("the password does not open it"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        test.refused(&["list"])
            .contains("other users can read this secret")
    );

    // systemd mounts the credentials of a service with other modes, in a directory that only the service can enter.
    write(P12_PASSWORD);
    fs::set_permissions(&password, fs::Permissions::from_mode(0o440)).unwrap();
    assert!(test.refused(&["list"]).contains("(mode 440)"));
    let output = command()
        .args(test.arguments(&["list"]))
        .env("CREDENTIALS_DIRECTORY", test.path(""))
        .output();
    let ended = test.ended(output.unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    // The password can also come from the environment.
    let archive = archive.replace(&format!("file = {password:?}"), "env = \"P12_PASSWORD\"");
    test.configure_service(&archive, "");
    let said = test.refused(&["list"]);
    assert!(
        said.contains("the environment variable P12_PASSWORD is not set"),
        "{said}"
    );
    let output = command()
        .args(test.arguments(&["list"]))
        .env("P12_PASSWORD", P12_PASSWORD)
        .output();
    assert_eq!(test.ended(output.unwrap()).code, 0);

    // The newer certificate is used, in any order of the configuration.
    let issue = |name: &str, kind| platform.issue(name, kind).unwrap();
    let (old, early) = (
        issue("old", ClientKind::EndsIn(5)),
        issue("early", ClientKind::NotYetValid),
    );
    let (expired, stranger) = (
        issue("expired", ClientKind::Expired),
        issue("stranger", ClientKind::WrongAuthority),
    );
    let followed_by = |first: &_, next: &_| {
        let next = pem(next).trim_end().replace('\n', ", ");
        format!("{}next = {{ {next} }}\n", pem(first))
    };
    test.configure_service(&pem(&old), "");
    assert!(test.ok(&["list"]).contains("expires in 4 days"));
    // The warning is printed by commands that only read, too.
    for command in ["doctor", "status"] {
        let config = test.path("cprflow.toml").display().to_string();
        let ended = cprflow([command, "--config", &config]);
        let text = ended.text();
        assert!(text.contains("expires in 4 days"), "{command}: {text}");
        assert!(text.contains("(4 days left)"), "{command}: {text}");
        assert_eq!(ended.code, 1, "{command}");
    }
    // The end of a certificate is told even if nothing is wrong with it.
    let later = issue("later", ClientKind::EndsIn(90));
    test.configure_service(&pem(&later), "");
    let config = test.path("cprflow.toml").display().to_string();
    for command in ["doctor", "status"] {
        let ended = cprflow([command, "--config", &config]);
        let text = ended.text();
        assert!(
            text.contains("(89 days left)") || text.contains("(90 days left)"),
            "{command}: {text}"
        );
    }
    let status = cprflow(["status", "--format", "json", "--config", &config]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let left = status[0]["client_certificate"]["days_left"].as_i64();
    assert!(matches!(left, Some(89 | 90)), "{left:?}");
    test.configure_service(&followed_by(&old, &early), "");
    assert!(!test.ok(&["list"]).contains("expires in"));
    test.configure_service(&followed_by(&expired, platform.next_client()), "");
    test.ok(&["list"]);

    let mixed = pem(&old).replace("old.key", "early.key");
    for (service, words) in [
        (pem(&expired), "the certificate expired at"),
        (pem(&early), "is not valid before"),
        (mixed, "does not fit the certificate"),
        (pem(&stranger), "does not accept the client certificate"),
    ] {
        test.configure_service(&service, "");
        let said = test.refused(ADD);
        assert!(said.contains(words), "{said}");
    }
    platform.set_registered(&old, false);
    test.configure_service(&pem(&old), "");
    let said = test.refused(ADD);
    assert!(said.contains("not registered with the IT system"), "{said}");
    assert!(said.contains("Check that the client certificate"), "{said}");
    assert!(test.filters().is_empty());
}

#[test]
fn uses_a_configured_proxy() {
    let test = SubscriptionRun::new("");
    let (passing, refusing) = (HostileServer::proxy(), HostileServer::refusing_proxy());
    let through = |proxy: &str| {
        let service = format!("{}proxy = {proxy:?}\n", pem(test.platform.client()));
        test.configure_service(&service, "");
    };
    through(&format!("http://127.0.0.1:{}", passing.port()));
    test.ok(&["list"]);
    assert_eq!(passing.connections(), 1);
    through(&format!("http://me:hunter2@127.0.0.1:{}", refusing.port()));
    let said = test.refused(&["list"]);
    assert!(said.contains("the proxy 127.0.0.1"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(refusing.connections(), 3);
    through("https://127.0.0.1:1");
    assert!(test.refused(&["list"]).contains("http://host:port"));
    // The environment variables are ignored.
    test.configure_service(&pem(test.platform.client()), "");
    let output = command()
        .args(test.arguments(&["list"]))
        .env(
            "HTTPS_PROXY",
            format!("http://127.0.0.1:{}", refusing.port()),
        )
        .env("ALL_PROXY", format!("http://127.0.0.1:{}", refusing.port()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(refusing.connections(), 3);
}

#[test]
fn shows_unreadable_filters_and_compares_nothing() {
    let test = SubscriptionRun::new("municipality_codes = [\"0101\"]");
    test.ok(ADD);
    test.ok(&["clear", "municipality", "--yes"]);
    test.ok(ADD);
    test.platform.take_events();
    let strange = ServiceFault::UnreadableFilters;
    test.platform.arm(&strange, 1);
    assert!(
        test.ok(&["list"])
            .contains("2 more filters, which cprflow cannot read")
    );
    for arguments in [
        &["plan"][..],
        &["apply", "--yes"],
        &["apply", "--prune", "--yes"],
        &["remove", "municipality", "0265", "--yes"],
        &["clear", "municipality", "--yes"],
        &["reorder", "--yes"],
        &["restore", "--yes"],
    ] {
        test.platform.arm(&strange, 1);
        let said = test.refused(arguments);
        assert!(
            said.contains("cprflow cannot read 2 filters of the subscription"),
            "{arguments:?}: {said}"
        );
        assert_eq!(test.platform.disarm(), 0, "{arguments:?}");
    }
    assert!(effects(&test.platform.take_events()).is_empty());
    assert!(!test.ok(&["list"]).contains("not finished"));
}

#[test]
fn many_numbers_continue_after_a_stop() {
    const COUNT: usize = 600;
    let test = SubscriptionRun::new("pnr_file = \"numbers.txt\"");
    test.list(&numbers(COUNT));
    let apply = &["apply", "--yes", "--any-hour"];
    for point in ["after-call-150", "before-call-150"] {
        assert!(test.kill_at(point, apply));
    }
    // Only the remaining numbers are sent, and none twice.
    let said = test.ok(&[apply, &["--log-level", "info"][..]].concat());
    let left = COUNT - 150 - 149;
    assert!(said.contains(&format!("{left} calls")), "{said}");
    assert!(said.contains(&format!("{left} added")), "{said}");
    // Without a terminal, the log reports the progress.
    assert!(said.contains("done=250 total=301"), "{said}");
    assert_eq!(test.subscribed_numbers(), numbers(COUNT));
    let effects = effects(&test.platform.take_events());
    assert_eq!(effects.len(), COUNT);
    assert!(effects.values().all(|times| *times == 1));
    // Each call is logged before it is made. Two calls have no second line, because the run was stopped.
    let audit = test.audit();
    let of = |word: &str| audit.iter().filter(|line| line["result"] == word).count();
    assert_eq!((of("sent"), of("added")), (COUNT + 1, COUNT - 1));
}

/// The command lists 500,000 numbers within 256 MiB of memory.
#[test]
fn half_a_million_numbers_are_listed() {
    const COUNT: usize = 500_000;
    const MOST_KILOBYTES: u64 = 256 << 10;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state.json");
    let filters: Vec<_> = numbers(COUNT)
        .into_iter()
        .map(|number| json!([{ "pnr": number }, true]))
        .collect();
    let memory = json!({
        "filters": filters, "covered": [], "backlog": [], "previous": null, "last_name": null,
    });
    let book = json!([0, [[Agreement::from_seed(1, 0).uuid, memory]]]);
    fs::write(&state, serde_json::to_vec(&book).unwrap()).unwrap();
    let test = SubscriptionRun::with("", |options| options.state_file = Some(state));
    test.configure_service(&(pem(test.platform.client()) + "timeout_seconds = 60"), "");
    let mut child = command()
        .args(test.arguments(&["list"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(resident(child.id()).unwrap_or_default());
        thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("person numbers (500,000)"), "{said}");
    test.search(&said);
    println!("{most} KB");
    assert!((1..MOST_KILOBYTES).contains(&most), "{most} KB");
}

/// Returns the peak memory of a process in kilobytes, or `None` if it has ended.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
