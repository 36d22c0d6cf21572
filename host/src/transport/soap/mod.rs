//! The way to the subscription service: SOAP bodies over HTTPS, with a client certificate.
//!
//! - [`SoapSettings`] says where the service is, how to know it, and which [`ClientCertificate`] to show.
//! - [`SoapClient::new`] checks all of that without a connection; [`SoapClient::warnings`] tells what will soon be
//!   wrong with it.
//! - [`SoapClient::call`] sends one request and gives the answer, whatever its status: what it says is for others to
//!   read.
//! - [`SoapError`] tells whose move it is, whether to try again, and whether the request may have been carried out.
//!
//! ureq speaks HTTP and rustls TLS. What is added here is judgement: which certificate is fit to be shown
//! (`certificate`, `identity`), how far a call came when its connection broke (`line`), and what an error means
//! (`place`).

mod certificate;
mod error;
mod identity;
mod line;
mod place;
mod settings;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Body};

pub use certificate::{CertificateError, CertificateProblem};
pub use error::{Alert, ServerCertificateProblem, SoapError, SoapPhase};
pub use identity::CertificateWarning;
pub use settings::{ClientCertificate, SoapSettings, SoapTimeouts};

use identity::Identities;
use line::{Dial, Lookup, TlsConnector};
use place::Place;

/// What calls the subscription service.
///
/// It keeps to the certificate that it chose when it was made. One that lives for days is to be made anew each day,
/// so that the certificate that follows gets its turn.
#[derive(Debug)]
pub struct SoapClient {
    agent: Agent,
    endpoint: Uri,
    place: Place,
    max_body: u64,
    identities: Identities,
}

/// An answer of the service, or of what stands before it.
#[derive(Clone, PartialEq, Eq)]
pub struct SoapResponse {
    /// The status of HTTP. A SOAP fault has 500.
    pub status: u16,
    /// The body, as it came: XML, a gateway's page, or anything else.
    pub body: Vec<u8>,
}

/// Masked: a body holds person numbers.
impl std::fmt::Debug for SoapResponse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SoapResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish()
    }
}

impl SoapClient {
    /// Checks address, certificates and authorities, and chooses the certificate to show. Nothing is connected to.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used. Of two certificates, one is enough: the other is a
    /// [warning](Self::warnings).
    pub fn new(settings: &SoapSettings, now: Timestamp) -> Result<Self, SoapError> {
        let endpoint = settings.uri()?;
        let proxy = settings.proxy()?;
        let identities = Identities::load(&settings.certificates, now)?;
        let provider = Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SoapError::Internal(error.to_string()))?
            .with_root_certificates(roots(settings)?);
        let mut tls = tls.with_client_cert_resolver(identities.shown.resolver());
        // Every connection proves anew who is at its ends: a session of yesterday's certificate is worth nothing.
        tls.resumption = Resumption::disabled();
        let place = Place::new(&endpoint, proxy.as_ref(), settings.timeouts);
        Ok(Self {
            agent: agent(settings, proxy, tls),
            endpoint,
            place,
            max_body: settings.max_body,
            identities,
        })
    }

    /// The file of the certificate that is shown.
    pub fn certificate(&self) -> &Path {
        &self.identities.shown.path
    }

    /// What will soon be wrong with the certificates, or is with the one that is not shown.
    pub fn warnings(&self, now: Timestamp) -> Vec<CertificateWarning> {
        self.identities.warnings(now)
    }

    /// Sends a request and gives the answer, of whatever status.
    ///
    /// # Errors
    ///
    /// When there is no whole answer. [`SoapError::may_have_been_applied`] says what that means for the request.
    pub fn call(&self, request: &[u8]) -> Result<SoapResponse, SoapError> {
        self.call_limited(request, self.max_body)
    }

    /// As [`call`](Self::call), for an answer that may have this many bytes: a list of filters grows with the
    /// subscription.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn call_limited(&self, request: &[u8], max_body: u64) -> Result<SoapResponse, SoapError> {
        let response = self
            .agent
            .post(&self.endpoint)
            .header("Content-Type", "text/xml; charset=utf-8")
            // Some gateways compare names of headers letter by letter.
            .header_raw("SOAPAction", b"\"\"")
            .send(request)
            .map_err(|error| self.place.failed(error))?;
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Err(SoapError::Redirect {
                server: self.place.server().to_owned(),
                status,
            });
        }
        let body = self.read(response, max_body)?;
        Ok(SoapResponse { status, body })
    }

    fn read(&self, mut response: Response<Body>, limit: u64) -> Result<Vec<u8>, SoapError> {
        // ureq counts a body of just the limit as too large.
        let body = response
            .body_mut()
            .with_config()
            .limit(limit.saturating_add(1));
        match body.read_to_vec() {
            Ok(body) if body.len() as u64 <= limit => Ok(body),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(SoapError::BodyTooLarge { limit }),
            Err(error) => Err(self.place.failed_in_body(error)),
        }
    }
}

fn agent(settings: &SoapSettings, proxy: Option<ureq::Proxy>, tls: ClientConfig) -> Agent {
    let timeouts = settings.timeouts;
    let config = Agent::config_builder()
        .https_only(true)
        // A fault has status 500, and its body is what matters.
        .http_status_as_error(false)
        // Following one would carry person numbers to wherever it leads.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(concat!("cprflow/", env!("CARGO_PKG_VERSION")))
        .accept("text/xml")
        .accept_encoding("identity")
        // An idle connection that the server is about to close would make the next failure an ambiguous one.
        .max_idle_age(std::time::Duration::from_secs(3))
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .timeout_send_request(Some(timeouts.answer))
        .timeout_send_body(Some(timeouts.answer))
        .timeout_recv_response(Some(timeouts.answer))
        .timeout_per_read(Some(timeouts.answer))
        .timeout_per_write(Some(timeouts.answer))
        .timeout_global(Some(timeouts.total))
        .build();
    let connector = ().chain(Dial(ConnectProxyConnector::default()));
    let connector = connector.chain(Dial(TcpConnector::default()));
    let connector = connector.chain(TlsConnector::new(tls));
    Agent::with_parts(config, connector, Lookup::new(DefaultResolver::default()))
}

/// The authorities whose servers are trusted.
fn roots(settings: &SoapSettings) -> Result<RootCertStore, SoapError> {
    let mut roots = RootCertStore::empty();
    if settings.ca.is_none() || settings.trust_public {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = &settings.ca {
        let problem = |problem| CertificateError::new(path, problem);
        for authority in certificate::read_authorities(path).map_err(problem)? {
            roots
                .add(authority)
                .map_err(|_| problem(CertificateProblem::Malformed))?;
        }
    }
    Ok(roots)
}
