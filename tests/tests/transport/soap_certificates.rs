//! Certificates in calls to the subscription service: client certificates of every kind, and servers that are not
//! trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cprflow_platform::{
    ClientKeys, ClientKind, P12_PASSWORD, ServerCertificate, ServiceEvent, TlsVersions,
};
use cprflow_tests::service::{ServiceSetup, p12, pem};
use cprflow_transport::Secret;
use cprflow_transport::soap::{
    CertificateWarning, ClientCertificate, ServerCertificateProblem, SoapClient, SoapError,
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

#[test]
fn connects_with_both_tls_versions_and_all_certificate_formats() {
    let setup = ServiceSetup::new();
    let platform = &setup.platform;
    let rsa = platform.issue("rsa", ClientKind::Rsa).unwrap();
    for versions in [TlsVersions::Only12, TlsVersions::Only13, TlsVersions::Both] {
        platform
            .set_tls(ServerCertificate::Valid, versions)
            .unwrap();
        for certificate in [platform.client(), &rsa] {
            for certificate in [pem(certificate), p12(certificate, P12_PASSWORD)] {
                let client = setup.client_with(certificate).unwrap();
                // The second call reuses the connection of the first.
                for _ in 0..2 {
                    let answer = client.call(&setup.request()).unwrap();
                    assert_eq!(answer.status, 200);
                    let text = String::from_utf8(answer.body).unwrap();
                    assert!(text.contains("GetAllFiltersResponse"));
                }
            }
        }
    }
    let seen = platform.take_events();
    assert_eq!(seen.len(), 24);
    assert!(
        seen.iter()
            .all(|seen| matches!(seen, ServiceEvent::Call { .. })),
        "{seen:?}"
    );
}

#[test]
fn reports_a_rejected_client_certificate() {
    let setup = ServiceSetup::new();
    let platform = &setup.platform;
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
            // This machine's clock is wrong.
            (&expired, back_then, "certificate_expired"),
        ] {
            let client = SoapClient::new(&setup.settings(pem(certificate)), now).unwrap();
            let error = client.call(&setup.request()).unwrap_err();
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
    let seen = platform.take_events();
    assert!(
        seen.iter()
            .all(|seen| matches!(seen, ServiceEvent::HandshakeFailed(_))),
        "{seen:?}"
    );
}

#[test]
fn reports_that_no_client_certificate_was_sent() {
    let setup = ServiceSetup::new();
    let platform = &setup.platform;
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        platform
            .set_client_keys(ClientKeys::OnlyRsa, versions)
            .unwrap();
        // The server does not accept this kind of key, so the client sends no certificate.
        let error = setup.call().unwrap_err();
        assert!(
            matches!(error, SoapError::ClientCertificateRefused { .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains("it got none"), "{text}");
        assert!(!error.is_transient() && !error.may_have_been_applied());
        let rsa = platform.issue("rsa", ClientKind::Rsa).unwrap();
        let client = setup.client_with(pem(&rsa)).unwrap();
        assert_eq!(client.call(&setup.request()).unwrap().status, 200);
    }
    // With TLS 1.3 a client can see the refusal before the server has logged it.
    let mut refused = 0;
    let begun = Instant::now();
    while refused < 2 && begun.elapsed() < Duration::from_secs(20) {
        let seen = platform.take_events();
        let is_refusal = |seen: &&ServiceEvent| matches!(seen, ServiceEvent::HandshakeFailed(_));
        refused += seen.iter().filter(is_refusal).count();
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(refused, 2);
}

#[test]
fn refuses_an_unusable_certificate_before_connecting() {
    let setup = ServiceSetup::new();
    let platform = &setup.platform;
    let good = platform.client();
    let other = platform.next_client();
    let expired = platform.issue("expired", ClientKind::Expired).unwrap();
    let early = platform.issue("early", ClientKind::NotYetValid).unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = setup.directory.path().join(name);
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
        let error = setup.client_with(certificate).unwrap_err();
        assert!(matches!(error, SoapError::Certificate(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(word), "{word}: {text}");
        assert!(
            !text.contains("wrong-password") && !text.contains(P12_PASSWORD),
            "{text}"
        );
        assert!(!error.is_transient() && !error.was_sent());
    }
    let mut none = setup.settings(pem(good));
    none.certificates.clear();
    let error = SoapClient::new(&none, Timestamp::now()).unwrap_err();
    assert!(matches!(error, SoapError::CertificateCount { found: 0 }));
    assert_eq!(platform.take_events(), []);
}

/// Some editors write a byte order mark, or UTF-16.
#[test]
fn reads_pem_files_of_editors() {
    let setup = ServiceSetup::new();
    let good = setup.platform.client();
    let file = |name: &str, bytes: &[u8]| {
        let path = setup.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let marked = |name: &str, of: &Path| {
        let text = fs::read_to_string(of).unwrap();
        file(name, format!("\u{feff}{text}").as_bytes())
    };
    let pair = |certificate: &Path, key: &Path| ClientCertificate::Pem {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let (chain, key) = (
        marked("marked.pem", &good.chain),
        marked("marked.key", &good.key),
    );
    let client = setup.client_with(pair(&chain, &key)).unwrap();
    assert_eq!(client.call(&setup.request()).unwrap().status, 200);
    let wide = file("wide.pem", b"\xff\xfe-\0-\0");
    for certificate in [pair(&wide, &good.key), pair(&good.chain, &wide)] {
        let error = setup.client_with(certificate).unwrap_err().to_string();
        assert!(
            error.contains("wide.pem") && error.contains("UTF-16"),
            "{error}"
        );
    }
}

/// BouncyCastle and NSS write archives in BER: lengths are not given in advance, and byte strings come in pieces.
#[test]
fn reads_archives_in_ber() {
    let setup = ServiceSetup::new();
    let good = setup.platform.client();
    let der = fs::read(&good.p12).unwrap();
    let path = setup.directory.path().join("ber.p12");
    fs::write(&path, ber(&der)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let with = |password: &str| ClientCertificate::Pkcs12 {
        file: path.clone(),
        password: Secret::new(password),
    };
    let client = setup.client_with(with(P12_PASSWORD)).unwrap();
    assert_eq!(client.call(&setup.request()).unwrap().status, 200);
    for wrong in ["wrong-password", "with\0nul"] {
        let error = setup.client_with(with(wrong)).unwrap_err().to_string();
        assert!(error.contains("password does not open"), "{error}");
    }
}

/// Old programs encrypt archives with RC2 or RC4. The error tells how to convert them.
///
/// The archives hold a certificate that nothing trusts. They were made with
/// `openssl pkcs12 -export -legacy -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-128 -macalg sha1`, and with RC4.
#[test]
fn archives_with_old_encryption_are_named() {
    let setup = ServiceSetup::new();
    for (name, der) in [
        (
            "RC2",
            &include_bytes!("../../data/certificates/rc2-128.p12")[..],
        ),
        ("RC4", include_bytes!("../../data/certificates/rc4-128.p12")),
    ] {
        for (form, bytes) in [("DER", der.to_vec()), ("BER", ber(der))] {
            let path = setup.directory.path().join("old.p12");
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let certificate = ClientCertificate::Pkcs12 {
                file: path,
                password: Secret::new("test"),
            };
            let error = setup.client_with(certificate).unwrap_err().to_string();
            assert!(
                error.contains("openssl pkcs12 -legacy"),
                "{name} {form}: {error}"
            );
        }
    }
}

/// Rewrites DER as BER.
fn ber(mut der: &[u8]) -> Vec<u8> {
    let mut ber = Vec::new();
    while let [tag, length, rest @ ..] = der {
        let count = match length {
            0x80.. => usize::from(length & 0x7f),
            _ => 0,
        };
        let length = match count {
            0 => usize::from(*length),
            _ => rest[..count]
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        let (content, after) = rest[count..].split_at(length);
        match tag {
            // An element with elements in it.
            tag if tag & 0x20 != 0 => {
                ber.extend([*tag, 0x80]);
                ber.extend(self::ber(content));
                ber.extend([0, 0]);
            }
            // A byte string, in pieces.
            4 => {
                ber.extend([0x24, 0x80]);
                for piece in content.chunks(100) {
                    ber.extend([4, piece.len() as u8]);
                    ber.extend(piece);
                }
                ber.extend([0, 0]);
            }
            _ => ber.extend(&der[..2 + count + length]),
        }
        der = after;
    }
    ber
}

#[test]
fn uses_the_newest_valid_certificate() {
    let setup = ServiceSetup::new();
    let platform = &setup.platform;
    let old = platform.issue("old", ClientKind::EndsIn(5)).unwrap();
    let early = platform.issue("early", ClientKind::NotYetValid).unwrap();
    let mut settings = setup.settings(pem(&old));

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

    // Their order in the configuration does not matter.
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
        assert_eq!(client.call(&setup.request()).unwrap().status, 200);
        let later = Timestamp::now() + SignedDuration::from_hours(48);
        let client = SoapClient::new(&settings, later).unwrap();
        assert_eq!(client.certificate(), early.chain);
    }

    // An unusable certificate is reported and does not stop the call.
    let wrong = ClientCertificate::Pem {
        certificate: platform.client().chain.clone(),
        key: old.key.clone(),
    };
    settings.certificates = vec![wrong, pem(platform.next_client())];
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    assert_eq!(client.call(&setup.request()).unwrap().status, 200);
    let warnings = client.warnings(Timestamp::now());
    assert!(
        matches!(&warnings[..], [CertificateWarning::NotUsed(why)] if why.contains("does not fit"))
    );
}

/// A certificate with the name of the authority is the issuer only if its key signed.
#[test]
fn the_issuer_is_the_signer() {
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
    let setup = ServiceSetup::new();
    let directory = setup.directory.path();
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
        let client = setup.client_with(certificate).unwrap();
        let warnings = client.warnings(Timestamp::now());
        let missing = |warning: &CertificateWarning| match warning {
            CertificateWarning::IssuerMissing { issuer, .. } => Some(issuer.clone()),
            _ => None,
        };
        let missing: Vec<_> = warnings.iter().filter_map(missing).collect();
        // The warning names the authority of this certificate.
        let expected: &[&str] = if is_missing { &["issuing"] } else { &[] };
        assert_eq!(missing, expected, "{name}: {warnings:?}");
    }
}

#[test]
fn sends_nothing_to_an_untrusted_server() {
    let setup = ServiceSetup::new();
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
        setup.platform.set_tls(kind, TlsVersions::Both).unwrap();
        let error = setup.call().unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(&error, SoapError::ServerCertificate { problem: found, .. } if *found == problem),
            "{text}"
        );
        assert!(text.contains("nothing was sent"), "{text}");
        assert!(!error.is_transient() && !error.was_sent());
    }
    // The public authorities do not trust the stand-in, and they are used only if configured.
    setup
        .platform
        .set_tls(ServerCertificate::Valid, TlsVersions::Both)
        .unwrap();
    let mut settings = setup.settings(pem(setup.platform.client()));
    settings.trust_public = true;
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    assert_eq!(client.call(&setup.request()).unwrap().status, 200);
    settings.ca = None;
    let client = SoapClient::new(&settings, Timestamp::now()).unwrap();
    let error = client.call(&setup.request()).unwrap_err();
    assert!(
        error.to_string().contains("authority that is not trusted"),
        "{error}"
    );
}
