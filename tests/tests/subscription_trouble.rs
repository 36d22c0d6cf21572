//! `cprflow subscription` as a process, when something is wrong with the way, the certificate, the answer or the size.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use cprflow_platform::{
    Agreement, ClientKind, Fault, P12_PASSWORD, ServerCertificate, TlsVersions,
};
use cprflow_tests::command::{command, cprflow};
use cprflow_tests::hostile::Hostile;
use cprflow_tests::steering::{Trial, effects, numbers, pem};
use serde_json::json;

/// As many digits as a UUID has room for, but for one letter.
const CALL: &str = "12345678-1234-4567-8901-02345678a901";

const ADD: &[&str] = &["add", "municipality", "0265", "--yes"];

#[test]
fn every_trouble_has_words_of_its_own() {
    let trial = Trial::new("");
    let status = |status| Fault::Status {
        status,
        has_page: true,
        is_applied: false,
    };
    let named = |name: &str| Fault::named(name).unwrap();
    // What may pass is tried three times.
    for (fault, times, words) in [
        (
            Fault::HandshakeReset,
            3,
            &["closed the connection", "was not carried out"][..],
        ),
        (
            Fault::ResetAfterApplying,
            3,
            &["waiting for the answer", "may have been carried out"],
        ),
        (
            Fault::HalfResponse { is_announced: true },
            3,
            &["receiving the answer", "may have been carried out"],
        ),
        (
            Fault::HalfResponse {
                is_announced: false,
            },
            1,
            &["cannot be read"],
        ),
        (status(503), 3, &["HTTP 503", "as if a gateway"]),
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
            Fault::Told {
                code: "Server".to_owned(),
                text: format!("No.\n  CallUUID: {CALL}\n  Received: 2026-03-02T13:06:14.306Z"),
                detail: None,
            },
            3,
            &[CALL, "2026-03-02T13:06:14.306Z"],
        ),
        (
            Fault::FaultWithStatus200,
            1,
            &["HTTP 200", "Check the service agreement"],
        ),
        (Fault::Redirect, 1, &["status 307", "not followed"]),
        (Fault::Rubbish, 1, &["cannot be read", "is not text"]),
        (Fault::DoubleRoot, 1, &["cannot be read"]),
        (Fault::EntityBomb, 1, &["cannot be read", "DOCTYPE"]),
        (Fault::WrongOperation, 1, &["none to this operation"]),
        (
            Fault::HugeBody { bytes: 100 << 20 },
            1,
            &["more than 67108864 bytes"],
        ),
    ] {
        if !trial.filters().is_empty() {
            trial.ok(&["clear", "municipality", "--yes"]);
        }
        trial.platform.arm_at_changes(&fault, times);
        let said = trial.refused(ADD);
        for words in words {
            assert!(said.contains(words), "{fault:?}: {said}");
        }
        assert_eq!(trial.platform.disarm(), 0, "{fault:?}");
    }
    for (certificate, words) in [
        (
            ServerCertificate::UnknownAuthority,
            "authority that is not trusted",
        ),
        (ServerCertificate::WrongHost, "for another host"),
        (ServerCertificate::Expired, "its certificate has expired"),
    ] {
        trial
            .platform
            .set_tls(certificate, TlsVersions::Both)
            .unwrap();
        let said = trial.refused(ADD);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn an_answer_that_drips_is_given_up() {
    let trial = Trial::new("");
    trial.configure_service(&(pem(trial.platform.client()) + "timeout_seconds = 1"), "");
    let drip = Fault::Drip {
        pause: Duration::from_millis(900),
    };
    trial.platform.arm_at_changes(&drip, 3);
    let said = trial.refused(ADD);
    assert!(said.contains("took longer than 1s"), "{said}");
    assert!(said.contains("may have been carried out"), "{said}");
    assert!(trial.ok(ADD).contains("1 there already"));
}

#[test]
fn certificates_of_every_kind() {
    let trial = Trial::new("");
    let platform = &trial.platform;
    let password = trial.path("password");
    let archive = format!(
        "pkcs12 = {:?}\npassword = {{ file = {password:?} }}",
        platform.client().p12
    );
    let write = |text: &str| {
        fs::write(&password, text).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(&format!("{P12_PASSWORD}\n"));
    trial.configure_service(&archive, "");
    trial.ok(&["list"]);
    write("hunter2\n");
    let said = trial.refused(&["list"]);
    assert!(said.contains("the password does not open it"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        trial
            .refused(&["list"])
            .contains("others can read this secret")
    );

    // A password may also come by the environment.
    let archive = archive.replace(&format!("file = {password:?}"), "env = \"P12_PASSWORD\"");
    trial.configure_service(&archive, "");
    let said = trial.refused(&["list"]);
    assert!(
        said.contains("the environment has no P12_PASSWORD"),
        "{said}"
    );
    let output = command()
        .args(trial.arguments(&["list"]))
        .env("P12_PASSWORD", P12_PASSWORD)
        .output();
    assert_eq!(trial.ended(output.unwrap()).code, 0);

    // The one that follows takes over, in whatever order they stand.
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
    trial.configure_service(&pem(&old), "");
    assert!(trial.ok(&["list"]).contains("expires in 4 days"));
    // Whoever never changes the subscription is told too.
    for command in ["doctor", "status"] {
        let config = trial.path("cprflow.toml").display().to_string();
        let ended = cprflow([command, "--config", &config]);
        assert!(
            ended.text().contains("expires in 4 days"),
            "{command}: {}",
            ended.text()
        );
        assert_eq!(ended.code, 1, "{command}");
    }
    trial.configure_service(&followed_by(&old, &early), "");
    assert!(!trial.ok(&["list"]).contains("expires in"));
    trial.configure_service(&followed_by(&expired, platform.next_client()), "");
    trial.ok(&["list"]);

    let mixed = pem(&old).replace("old.key", "early.key");
    for (service, words) in [
        (pem(&expired), "the certificate expired at"),
        (pem(&early), "is not valid before"),
        (mixed, "does not fit the certificate"),
        (pem(&stranger), "does not accept the client certificate"),
    ] {
        trial.configure_service(&service, "");
        let said = trial.refused(ADD);
        assert!(said.contains(words), "{said}");
    }
    platform.set_registered(&old, false);
    trial.configure_service(&pem(&old), "");
    let said = trial.refused(ADD);
    assert!(said.contains("not registered with the IT system"), "{said}");
    assert!(said.contains("Check that the client certificate"), "{said}");
    assert!(trial.filters().is_empty());
}

#[test]
fn a_proxy_is_gone_through_if_it_is_configured() {
    let trial = Trial::new("");
    let (passing, refusing) = (Hostile::proxy(), Hostile::refusing_proxy());
    let through = |proxy: &str| {
        let service = format!("{}proxy = {proxy:?}\n", pem(trial.platform.client()));
        trial.configure_service(&service, "");
    };
    through(&format!("http://127.0.0.1:{}", passing.port()));
    trial.ok(&["list"]);
    assert_eq!(passing.connections(), 1);
    through(&format!("http://me:hunter2@127.0.0.1:{}", refusing.port()));
    let said = trial.refused(&["list"]);
    assert!(said.contains("the proxy 127.0.0.1"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(refusing.connections(), 3);
    through("https://127.0.0.1:1");
    assert!(trial.refused(&["list"]).contains("http://host:port"));
    // The environment has no say.
    trial.configure_service(&pem(trial.platform.client()), "");
    let output = command()
        .args(trial.arguments(&["list"]))
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
fn filters_that_cannot_be_read_are_shown_and_nothing_is_compared_with_them() {
    let trial = Trial::new("municipality_codes = [\"0101\"]");
    trial.ok(ADD);
    trial.ok(&["clear", "municipality", "--yes"]);
    trial.ok(ADD);
    trial.platform.seen();
    let strange = Fault::UnreadableFilters;
    trial.platform.arm(&strange, 1);
    assert!(
        trial
            .ok(&["list"])
            .contains("2 filters more, which cprflow cannot read")
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
        trial.platform.arm(&strange, 1);
        let said = trial.refused(arguments);
        assert!(
            said.contains("2 filters that cprflow cannot read"),
            "{arguments:?}: {said}"
        );
        assert_eq!(trial.platform.disarm(), 0, "{arguments:?}");
    }
    assert!(effects(&trial.platform.seen()).is_empty());
    assert!(!trial.ok(&["list"]).contains("not finished"));
}

#[test]
fn many_numbers_go_on_where_they_were_stopped() {
    const COUNT: usize = 600;
    let trial = Trial::new("pnr_file = \"numbers.txt\"");
    trial.list(&numbers(COUNT));
    let apply = &["apply", "--yes", "--any-hour"];
    for point in ["after-call-150", "before-call-150"] {
        assert!(trial.kill_at(point, apply));
    }
    // Only what is left is asked for, and nothing twice.
    let said = trial.ok(&[apply, &["--log-level", "info"][..]].concat());
    let left = COUNT - 150 - 149;
    assert!(said.contains(&format!("{left} calls")), "{said}");
    assert!(said.contains(&format!("{left} added")), "{said}");
    // Where there is no terminal, the log says how far it is.
    assert!(said.contains("done=250 of=301"), "{said}");
    assert_eq!(trial.held(), numbers(COUNT));
    let effects = effects(&trial.platform.seen());
    assert_eq!(effects.len(), COUNT);
    assert!(effects.values().all(|times| *times == 1));
    // Each call was told before it was made; two of them were never told of after it.
    let audit = trial.audit();
    let of = |word: &str| audit.iter().filter(|line| line["result"] == word).count();
    assert_eq!((of("sent"), of("added")), (COUNT + 1, COUNT - 1));
}

/// 500,000 numbers are listed in memory that has a bound.
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
    let book = json!([0, [[Agreement::of_seed(1, 0).uuid, memory]]]);
    fs::write(&state, serde_json::to_vec(&book).unwrap()).unwrap();
    let trial = Trial::with("", |options| options.state = Some(state));
    trial.configure_service(&(pem(trial.platform.client()) + "timeout_seconds = 60"), "");
    let mut child = command()
        .args(trial.arguments(&["list"]))
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
    trial.search(&said);
    println!("{most} KB");
    assert!((1..MOST_KILOBYTES).contains(&most), "{most} KB");
}

/// The most memory that a process has had, in kilobytes; none if it is over.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
