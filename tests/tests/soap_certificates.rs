//! Who is at the ends of the way to the subscription service: client certificates that are fit to be shown, and servers
//! that are not the right one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cprflow::transport::Secret;
use cprflow::transport::soap::{
    CertificateWarning, ClientCertificate, ServerCertificateProblem, SoapClient, SoapError,
};
use cprflow_platform::{
    ClientKeys, ClientKind, P12_PASSWORD, Seen, ServerCertificate, TlsVersions,
};
use cprflow_tests::service::{Place, p12, pem};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

#[test]
fn both_versions_of_tls_and_all_kinds_of_certificates_work() {
    let place = Place::new();
    let platform = &place.platform;
    let rsa = platform.issue("rsa", ClientKind::Rsa).unwrap();
    for versions in [TlsVersions::Only12, TlsVersions::Only13, TlsVersions::Both] {
        platform
            .set_tls(ServerCertificate::Valid, versions)
            .unwrap();
        for certificate in [platform.client(), &rsa] {
            for certificate in [pem(certificate), p12(certificate, P12_PASSWORD)] {
                let client = place.client_with(certificate).unwrap();
                // The second call uses the connection of the first.
                for _ in 0..2 {
                    let answer = client.call(&place.request()).unwrap();
                    assert_eq!(answer.status, 200);
                    let text = String::from_utf8(answer.body).unwrap();
                    assert!(text.contains("GetAllFiltersResponse"));
                }
            }
        }
    }
    let seen = platform.seen();
    assert_eq!(seen.len(), 24);
    assert!(
        seen.iter().all(|seen| matches!(seen, Seen::Call { .. })),
        "{seen:?}"
    );
}

#[test]
fn a_certificate_that_the_server_does_not_take_is_told_as_such() {
    let place = Place::new();
    let platform = &place.platform;
    let stranger = platform
        .issue("stranger", ClientKind::WrongAuthority)
        .unwrap();
    let expired = platform.issue("expired", ClientKind::Expired).unwrap();
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        platform
            .set_tls(ServerCertificate::Valid, versions)
            .unwrap();
        let back_then = Timestamp::now() - SignedDuration::from_hours(24 * 300);
        for (certificate, now, word) in [
            (&stranger, Timestamp::now(), "unknown_ca"),
            // Of two clocks, ours is wrong.
            (&expired, back_then, "certificate_expired"),
        ] {
            let client = SoapClient::new(&place.settings(pem(certificate)), now).unwrap();
            let error = client.call(&place.request()).unwrap_err();
            assert!(
                matches!(error, SoapError::ClientCertificateRefused { .. }),
                "{error}"
            );
            let text = error.to_string();
            assert!(text.contains(word), "{text}");
            assert!(text.contains("registered with the IT system"), "{text}");
            assert!(!error.is_transient() && !error.may_have_been_applied());
        }
    }
    let seen = platform.seen();
    assert!(
        seen.iter().all(|seen| matches!(seen, Seen::Handshake(_))),
        "{seen:?}"
    );
}

#[test]
fn a_server_that_gets_no_certificate_is_told_as_such() {
    let place = Place::new();
    let platform = &place.platform;
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        platform
            .set_client_keys(ClientKeys::OnlyRsa, versions)
            .unwrap();
        // Its key is of a kind that the server does not take, so there is none to show.
        let error = place.call().unwrap_err();
        assert!(
            matches!(error, SoapError::ClientCertificateRefused { .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains("it got none"), "{text}");
        assert!(!error.is_transient() && !error.may_have_been_applied());
        let rsa = platform.issue("rsa", ClientKind::Rsa).unwrap();
        let client = place.client_with(pem(&rsa)).unwrap();
        assert_eq!(client.call(&place.request()).unwrap().status, 200);
    }
    // With TLS 1.3 a client can know that it is refused before the server has written it down.
    let mut refused = 0;
    let begun = Instant::now();
    while refused < 2 && begun.elapsed() < Duration::from_secs(20) {
        let seen = platform.seen();
        let is_refusal = |seen: &&Seen| matches!(seen, Seen::Handshake(_));
        refused += seen.iter().filter(is_refusal).count();
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(refused, 2);
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_before_any_connection() {
    let place = Place::new();
    let platform = &place.platform;
    let good = platform.client();
    let other = platform.next_client();
    let expired = platform.issue("expired", ClientKind::Expired).unwrap();
    let early = platform.issue("early", ClientKind::NotYetValid).unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = place.directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let pair = |certificate: &Path, key: &Path| ClientCertificate::Pem {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let exposed = file("exposed.key", &fs::read(&good.key).unwrap());
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o640)).unwrap();
    let empty = file("empty.pem", b"");
    let encrypted = file(
        "encrypted.key",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n",
    );
    let broken = file(
        "broken.pem",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    );
    let no_archive = file("no.p12", b"<html>");
    let archive = |path: &Path| ClientCertificate::Pkcs12 {
        file: path.to_owned(),
        password: Secret::new(P12_PASSWORD),
    };
    let cases = [
        (pair(Path::new("/nonexistent"), &good.key), "No such file"),
        (pair(&good.chain, &exposed), "chmod 600"),
        (pair(&empty, &good.key), "no certificate in it"),
        (pair(&good.chain, &empty), "no private key in it"),
        (pair(&good.chain, &encrypted), "is encrypted"),
        (pair(&broken, &good.key), "is broken"),
        (pair(&good.chain, &other.key), "does not fit"),
        (pem(&expired), "expired at"),
        (pem(&early), "is not valid before"),
        (p12(good, "wrong-password"), "password does not open"),
        (archive(&no_archive), "no PKCS#12 archive"),
    ];
    for (certificate, word) in cases {
        let error = place.client_with(certificate).unwrap_err();
        assert!(matches!(error, SoapError::Certificate(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(word), "{word}: {text}");
        assert!(
            !text.contains("wrong-password") && !text.contains(P12_PASSWORD),
            "{text}"
        );
        assert!(!error.is_transient() && !error.was_sent());
    }
    let mut none = place.settings(pem(good));
    none.certificates.clear();
    let error = SoapClient::new(&none, Timestamp::now()).unwrap_err();
    assert!(matches!(error, SoapError::CertificateCount { found: 0 }));
    assert_eq!(platform.seen(), []);
}

#[test]
fn of_two_certificates_the_one_that_began_last_is_shown_once_it_is_valid() {
    let place = Place::new();
    let platform = &place.platform;
    let old = platform.issue("old", ClientKind::EndsIn(5)).unwrap();
    let early = platform.issue("early", ClientKind::NotYetValid).unwrap();
    let mut settings = place.settings(pem(&old));

    let alone = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let warnings = alone.warnings(Timestamp::now());
    assert!(
        matches!(&warnings[..], [CertificateWarning::Expires { mark: 7, days: 4, path, .. }] if *path == old.chain),
        "{warnings:?}"
    );
    for (days, mark) in [(20, Some(30)), (50, Some(60)), (90, None)] {
        let before = Timestamp::now() - SignedDuration::from_hours(24 * (days - 5));
        let found = alone.warnings(before);
        let found = found.iter().find_map(|warning| match warning {
            CertificateWarning::Expires { mark, .. } => Some(*mark),
            _ => None,
        });
        assert_eq!(found, mark, "{days}");
    }

    // The order in which they stand does not matter.
    for first in [&old, &early] {
        let second = if first.chain == old.chain {
            &early
        } else {
            &old
        };
        settings.certificates = vec![pem(first), pem(second)];
        let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
        assert_eq!(client.certificate(), old.chain);
        assert_eq!(client.warnings(Timestamp::now()), []);
        assert_eq!(client.call(&place.request()).unwrap().status, 200);
        let later = Timestamp::now() + SignedDuration::from_hours(48);
        let client = SoapClient::new(&settings, later).unwrap();
        assert_eq!(client.certificate(), early.chain);
    }

    // One that cannot be used is no reason to stop; that it cannot is told.
    let wrong = ClientCertificate::Pem {
        certificate: platform.client().chain.clone(),
        key: old.key.clone(),
    };
    settings.certificates = vec![wrong, pem(platform.next_client())];
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    assert_eq!(client.call(&place.request()).unwrap().status, 200);
    let warnings = client.warnings(Timestamp::now());
    assert!(
        matches!(&warnings[..], [CertificateWarning::NotUsed(why)] if why.contains("does not fit"))
    );
}

/// An authority's name alone makes nobody the issuer.
#[test]
fn the_issuer_is_whoever_has_signed() {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params, KeyPair::generate().unwrap())
    };
    let (root, root_key) = authority("root");
    let root = Issuer::new(root, root_key);
    let issuing = |(params, key): (CertificateParams, KeyPair)| {
        let certificate = params.signed_by(&key, &root).unwrap();
        (certificate.pem(), Issuer::new(params, key))
    };
    let (right, issuer) = issuing(authority("issuing"));
    let (namesake, _) = issuing(authority("issuing"));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap().pem();
    let place = Place::new();
    let directory = place.directory.path();
    let key_path = directory.join("leaf.key");
    fs::write(&key_path, key.serialize_pem()).unwrap();
    fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)).unwrap();
    for (name, chain, is_missing) in [
        ("alone", vec![&leaf], true),
        ("namesake", vec![&leaf, &namesake], true),
        ("right", vec![&leaf, &right], false),
        ("both", vec![&namesake, &leaf, &right], false),
    ] {
        let path = directory.join(format!("{name}.pem"));
        fs::write(&path, chain.into_iter().cloned().collect::<String>()).unwrap();
        let certificate = ClientCertificate::Pem {
            certificate: path,
            key: key_path.clone(),
        };
        let client = place.client_with(certificate).unwrap();
        let warnings = client.warnings(Timestamp::now());
        let missing = |warning: &CertificateWarning| {
            matches!(warning, CertificateWarning::IssuerMissing { .. })
        };
        assert_eq!(
            warnings.iter().any(missing),
            is_missing,
            "{name}: {warnings:?}"
        );
    }
}

#[test]
fn a_server_that_is_not_the_right_one_is_sent_nothing() {
    let place = Place::new();
    for (kind, problem) in [
        (
            ServerCertificate::UnknownAuthority,
            ServerCertificateProblem::UnknownAuthority,
        ),
        (
            ServerCertificate::WrongHost,
            ServerCertificateProblem::WrongHost,
        ),
        (
            ServerCertificate::Expired,
            ServerCertificateProblem::Expired,
        ),
        (
            ServerCertificate::NotYetValid,
            ServerCertificateProblem::NotYetValid,
        ),
    ] {
        place.platform.set_tls(kind, TlsVersions::Both).unwrap();
        let error = place.call().unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(&error, SoapError::ServerCertificate { problem: found, .. } if *found == problem),
            "{text}"
        );
        assert!(text.contains("nothing was sent"), "{text}");
        assert!(!error.is_transient() && !error.was_sent());
    }
    // The public authorities do not vouch for the stand-in, and only do if they are asked.
    place
        .platform
        .set_tls(ServerCertificate::Valid, TlsVersions::Both)
        .unwrap();
    let mut settings = place.settings(pem(place.platform.client()));
    settings.trust_public = true;
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    assert_eq!(client.call(&place.request()).unwrap().status, 200);
    settings.ca = None;
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let error = client.call(&place.request()).unwrap_err();
    assert!(
        error.to_string().contains("authority that is not trusted"),
        "{error}"
    );
}
