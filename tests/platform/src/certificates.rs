//! Keys and certificates of the server and the clients.
//!
//! Client certificates have the structure of OCES: a root, an issuing authority and a leaf.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use crate::agreement::derived_uuid;
use crate::foreign_client::{AcceptForeign, ForeignClient};
use crate::{Error, lock};

/// The password of every PKCS#12 file that the stand-in writes.
pub const P12_PASSWORD: &str = "cprflow";

/// The CVR number in the client certificates that the stand-in issues. No company has it.
const STAND_IN_CVR: &str = "00000000";

/// The certificate that the service presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerCertificate {
    /// A valid certificate.
    #[default]
    Valid,
    /// A certificate for another host.
    WrongHost,
    /// A certificate of an authority that clients do not trust.
    UnknownAuthority,
    /// A certificate that has expired.
    Expired,
    /// A certificate that is not yet valid.
    NotYetValid,
}

/// The TLS versions that the service offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 only, as announced for the real service.
    Only12,
    /// TLS 1.3 only.
    Only13,
}

/// The types of client key that the service accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientKeys {
    /// All types that the service can verify.
    #[default]
    All,
    /// RSA only. A client with another key has no acceptable certificate and sends none.
    OnlyRsa,
}

/// The kind of a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// Valid for three years, like OCES certificates.
    Valid,
    /// Valid for three years, with an RSA key. Requires `ssh-keygen`.
    Rsa,
    /// Expires in this number of days.
    EndsIn(u16),
    /// Has expired.
    Expired,
    /// Is not yet valid.
    NotYetValid,
    /// Issued by an authority that the service does not know.
    WrongAuthority,
}

/// The files of a client certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and the certificate of the issuing authority, PEM.
    pub chain: PathBuf,
    /// The private key, PKCS#8 in PEM, with mode 0600.
    pub key: PathBuf,
    /// Key and chain as PKCS#12, with mode 0600 and the password [`P12_PASSWORD`].
    pub p12: PathBuf,
    fingerprint: [u8; 32],
}

/// The authorities, and the client certificates that are registered with the IT system.
#[derive(Debug)]
pub(crate) struct Certificates {
    directory: PathBuf,
    seed: u64,
    /// The names and addresses of the service for its certificate.
    hosts: Vec<String>,
    server: Authority,
    client_root: CertificateDer<'static>,
    client: Authority,
    unknown: Authority,
    /// The fingerprints of the certificates that are registered with the IT system, with their CVR numbers.
    registered: Mutex<BTreeMap<[u8; 32], String>>,
    /// The fingerprints of the certificates of other authorities that are accepted.
    foreign: BTreeSet<[u8; 32]>,
}

impl Certificates {
    /// Creates new authorities, and writes the server's authority to `ca.pem` in the directory.
    ///
    /// `host` is the name or address of the service. Its certificate is also valid for this machine's loopback names.
    pub(crate) fn new(directory: &Path, seed: u64, host: &str) -> Result<Self, Error> {
        let hosts = ["localhost", "127.0.0.1", "::1", host].map(str::to_owned);
        let server = Authority::root("Stand-in server CA")?;
        let client_root = Authority::root("Stand-in OCES root CA")?;
        let client = client_root.subordinate("Stand-in OCES issuing CA 1")?;
        write(&directory.join("ca.pem"), &server.pem, 0o644)?;
        Ok(Self {
            directory: directory.to_owned(),
            seed,
            hosts: hosts.to_vec(),
            server,
            client_root: client_root.der,
            client,
            unknown: Authority::root("Stand-in unknown CA")?,
            registered: Mutex::default(),
            foreign: BTreeSet::new(),
        })
    }

    /// Accepts and registers a client certificate of another authority. Returns its CVR number.
    pub(crate) fn accept_foreign(&mut self, client: &ForeignClient) -> Result<String, Error> {
        let certificate = client.read()?;
        self.foreign.insert(certificate.fingerprint);
        lock(&self.registered).insert(certificate.fingerprint, certificate.cvr.clone());
        Ok(certificate.cvr)
    }

    /// Returns the file with the authority that clients must trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Issues a client certificate and registers it. `name` is the name of its files.
    pub(crate) fn client(&self, name: &str, kind: ClientKind) -> Result<ClientCertificate, Error> {
        let key = match kind {
            ClientKind::Rsa => self.rsa_key(name)?,
            _ => KeyPair::generate()?,
        };
        let mut params = CertificateParams::new(Vec::new())?;
        let uuid = derived_uuid(&["client", name], &[self.seed]);
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CountryName, "DK");
        subject.push(DnType::OrganizationName, "Stand-in municipality");
        // serialNumber and organizationIdentifier, as in OCES certificates.
        let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
        subject.push(serial, format!("UI:DK-O:G:{uuid}"));
        let organisation = DnType::CustomDnType(vec![2, 5, 4, 97]);
        subject.push(organisation, format!("NTRDK-{STAND_IN_CVR}"));
        subject.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let span = match kind {
            ClientKind::Valid | ClientKind::Rsa | ClientKind::WrongAuthority => (-1, 3 * 365),
            ClientKind::EndsIn(days) => (-365, i64::from(days)),
            ClientKind::Expired => (-3 * 365, -1),
            ClientKind::NotYetValid => (1, 365),
        };
        (params.not_before, params.not_after) = validity_period(span);
        let issuer = match kind {
            ClientKind::WrongAuthority => &self.unknown,
            _ => &self.client,
        };
        let leaf = params.signed_by(&key, &issuer.issuer)?;
        let file = |ending: &str| self.directory.join(format!("{name}.{ending}"));
        let certificate = ClientCertificate {
            chain: file("pem"),
            key: file("key"),
            p12: file("p12"),
            fingerprint: fingerprint(leaf.der()),
        };
        write(&certificate.chain, &(leaf.pem() + &issuer.pem), 0o644)?;
        write(&certificate.key, &key.serialize_pem(), 0o600)?;
        let archive = p12(name, &key.serialize_der(), &[leaf.der(), &issuer.der])?;
        write_bytes(&certificate.p12, &archive, 0o600)?;
        self.set_registered(&certificate, true);
        Ok(certificate)
    }

    /// Returns the CVR number of a client certificate; `None` if it is not registered with the IT system.
    pub(crate) fn registered_cvr(&self, certificate: &CertificateDer<'_>) -> Option<String> {
        lock(&self.registered)
            .get(&fingerprint(certificate))
            .cloned()
    }

    pub(crate) fn set_registered(&self, certificate: &ClientCertificate, is_registered: bool) {
        let mut registered = lock(&self.registered);
        match is_registered {
            true => registered.insert(certificate.fingerprint, STAND_IN_CVR.to_owned()),
            false => registered.remove(&certificate.fingerprint),
        };
    }

    /// Returns the TLS configuration of the service.
    pub(crate) fn server_config(
        &self,
        kind: ServerCertificate,
        versions: TlsVersions,
        keys: ClientKeys,
    ) -> Result<Arc<ServerConfig>, Error> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.client_root.clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verifier: Arc<dyn ClientCertVerifier> = match keys {
            ClientKeys::All => verifier,
            ClientKeys::OnlyRsa => Arc::new(OnlyRsa(verifier)),
        };
        let verifier = match self.foreign.is_empty() {
            true => verifier,
            false => Arc::new(AcceptForeign {
                verifier,
                accepted: self.foreign.clone(),
            }),
        };
        let versions: &[&SupportedProtocolVersion] = match versions {
            TlsVersions::Both => &[&rustls::version::TLS12, &rustls::version::TLS13],
            TlsVersions::Only12 => &[&rustls::version::TLS12],
            TlsVersions::Only13 => &[&rustls::version::TLS13],
        };
        let (chain, key) = self.server_certificate(kind)?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }

    fn server_certificate(
        &self,
        kind: ServerCertificate,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let names = match kind {
            ServerCertificate::WrongHost => vec!["prod.serviceplatformen.invalid".to_owned()],
            _ => self.hosts.clone(),
        };
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Stand-in Serviceplatformen");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = validity_period(match kind {
            ServerCertificate::Expired => (-365, -1),
            ServerCertificate::NotYetValid => (1, 365),
            _ => (-1, 365),
        });
        let issuer = match kind {
            ServerCertificate::UnknownAuthority => &self.unknown,
            _ => &self.server,
        };
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &issuer.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![leaf.der().clone()], key))
    }

    /// Generates an RSA key with `ssh-keygen`, because ring can use RSA keys but cannot generate them.
    fn rsa_key(&self, name: &str) -> Result<KeyPair, Error> {
        let path = self.directory.join(format!("{name}.rsa"));
        let made = Command::new("ssh-keygen")
            .args([
                "-q", "-t", "rsa", "-b", "3072", "-m", "PKCS8", "-N", "", "-f",
            ])
            .arg(&path)
            .stdin(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            let reason = "cannot generate an RSA key: ssh-keygen is missing or failed; \
                          install openssh-client";
            return Err(Error::Ssh(reason.to_owned()));
        }
        let pem = fs::read_to_string(&path).map_err(Error::file(&path))?;
        let public = path.with_extension("rsa.pub");
        for file in [path, public] {
            fs::remove_file(&file).map_err(Error::file(file))?;
        }
        Ok(KeyPair::from_pem(&pem)?)
    }
}

/// A client verifier that offers only RSA signature schemes.
#[derive(Debug)]
struct OnlyRsa(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for OnlyRsa {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.verify_client_cert(leaf, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.0.supported_verify_schemes();
        schemes.retain(|scheme| scheme.as_str().is_some_and(|name| name.starts_with("RSA")));
        schemes
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    fn root(name: &str) -> Result<Self, Error> {
        let (params, key) = Self::params(name)?;
        let certificate = params.self_signed(&key)?;
        Ok(Self::new(params, key, &certificate))
    }

    fn subordinate(&self, name: &str) -> Result<Self, Error> {
        let (params, key) = Self::params(name)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Self::new(params, key, &certificate))
    }

    fn new(params: CertificateParams, key: KeyPair, certificate: &rcgen::Certificate) -> Self {
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn params(name: &str) -> Result<(CertificateParams, KeyPair), Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = validity_period((-4 * 365, 10 * 365));
        Ok((params, KeyPair::generate()?))
    }
}

/// Returns a validity period, given in days from now.
fn validity_period((first, last): (i64, i64)) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now + Duration::days(first), now + Duration::days(last))
}

pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn p12(name: &str, key: &[u8], chain: &[&CertificateDer<'_>]) -> Result<Vec<u8>, Error> {
    let certificates = chain
        .iter()
        .map(|der| p12_keystore::Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()?;
    let chain = PrivateKeyChain::new(name.as_bytes(), PrivateKey::from_der(key)?, certificates);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    Ok(store.writer(P12_PASSWORD).write()?)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    write_bytes(path, text.as_bytes(), mode)
}

/// Replaces a file. The new file has its mode from the start, so that a key is never readable by others.
fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let _was_there = fs::remove_file(path);
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(Error::file(path))
}
