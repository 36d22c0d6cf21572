//! Calls to the subscription service: SOAP messages over HTTPS with a client certificate.
//!
//! - [`SoapSettings`] holds the address of the service, the authorities to trust, and the [`ClientCertificate`]s.
//! - [`SoapClient::new`] checks the settings without a connection. [`SoapClient::warnings`] returns problems that will
//!   become errors later.
//! - [`SoapClient::call`] sends one request and returns the response, whatever its status. It does not interpret the
//!   body.
//! - [`SoapError`] says what went wrong, whether to try again, and whether the service may have carried out the request.
//!
//! ureq implements HTTP and rustls implements TLS. These modules add what they lack:
//!
//! | module | content |
//! |---|---|
//! | `settings`, `endpoint` | the settings; checks of the addresses in them |
//! | `certificate`, `certificate_selection` | reads certificates; selects the one to use |
//! | `body` | takes the document out of a body, and reads the character set of the header |
//! | `tls_transport` | connects rustls to ureq and records how far a failed call had come |
//! | `error_context` | converts errors of ureq and rustls to [`SoapError`] |

mod body;
mod certificate;
mod certificate_selection;
mod endpoint;
mod error;
mod error_context;
mod settings;
mod tls_transport;

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
pub use certificate_selection::CertificateWarning;
pub use endpoint::EndpointProblem;
pub use error::{Alert, ServerCertificateProblem, SoapError, SoapPhase};
pub use settings::{ClientCertificate, SoapSettings, SoapTimeouts};

use certificate_selection::CertificateSelection;
use error_context::ErrorContext;
use tls_transport::{PhaseConnector, PhaseResolver, TlsConnector};

/// A client of the subscription service.
///
/// It uses the certificate that [`new`](Self::new) selected until it is dropped. A program that runs for days should
/// make a new client each day, so that a newly valid certificate is used.
#[derive(Debug)]
pub struct SoapClient {
    agent: Agent,
    endpoint: Uri,
    error_context: ErrorContext,
    max_body: u64,
    certificates: CertificateSelection,
}

/// A response of the service, or of a gateway before it.
#[derive(Clone, PartialEq, Eq)]
pub struct SoapResponse {
    /// The HTTP status. A SOAP fault has status 500.
    pub status: u16,
    /// The body: XML, a gateway's HTML page, or anything else. It is as received, except that the document of a multipart
    /// body is taken out, and that a document whose character set stands only in the header is in UTF-8.
    pub body: Vec<u8>,
}

/// Prints only the size of the body, because the body holds person numbers.
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
    /// Checks the address, the certificates and the authorities, and selects the client certificate that is valid at
    /// `now`. It opens no connection.
    ///
    /// # Errors
    ///
    /// Fails if one of the settings cannot be used. Of two client certificates, one may be unusable: that is a
    /// [warning](Self::warnings).
    pub fn new(settings: &SoapSettings, now: Timestamp) -> Result<Self, SoapError> {
        let endpoint = endpoint::parse_endpoint(&settings.endpoint)
            .map_err(|problem| SoapError::Endpoint { problem })?;
        let proxy = match &settings.proxy {
            Some(proxy) => Some(endpoint::parse_proxy(proxy).ok_or(SoapError::ProxyAddress)?),
            None => None,
        };
        let certificates = CertificateSelection::load(&settings.certificates, now)?;
        let provider = Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SoapError::TlsSetup {
                reason: error.to_string(),
            })?
            .with_root_certificates(trusted_roots(settings)?);
        let mut tls = tls.with_client_cert_resolver(certificates.selected.resolver());
        // Both sides must prove their identity on every connection: a resumed session would skip that.
        tls.resumption = Resumption::disabled();
        let error_context = ErrorContext::new(&endpoint, proxy.as_ref(), settings.timeouts);
        Ok(Self {
            agent: agent(settings, proxy, tls),
            endpoint,
            error_context,
            max_body: settings.max_body,
            certificates,
        })
    }

    /// Returns the file of the client certificate that is used.
    pub fn certificate(&self) -> &Path {
        &self.certificates.selected.path
    }

    /// Returns the end of the validity of the client certificate that is used.
    pub fn certificate_ends(&self) -> Timestamp {
        self.certificates.selected.ends
    }

    /// Returns problems with the client certificates that do not prevent calls now, such as an expiry within 60 days.
    pub fn warnings(&self, now: Timestamp) -> Vec<CertificateWarning> {
        self.certificates.warnings(now)
    }

    /// Sends a request and returns the response, whatever its HTTP status.
    ///
    /// # Errors
    ///
    /// Fails if no complete response was received. [`SoapError::may_have_been_applied`] says whether the service may
    /// have carried out the request.
    pub fn call(&self, request: &[u8]) -> Result<SoapResponse, SoapError> {
        self.call_limited(request, self.max_body)
    }

    /// Sends a request like [`call`](Self::call), with another limit for the response body in bytes. Use it for a list
    /// of filters, which grows with the subscription.
    ///
    /// # Errors
    ///
    /// Fails like [`call`](Self::call).
    pub fn call_limited(&self, request: &[u8], max_body: u64) -> Result<SoapResponse, SoapError> {
        let response = self
            .agent
            .post(&self.endpoint)
            .header("Content-Type", "text/xml; charset=utf-8")
            // Some gateways treat header names as case-sensitive, so this one keeps its usual spelling.
            .header_raw("SOAPAction", b"\"\"")
            .send(request)
            .map_err(|error| self.error_context.call_error(error))?;
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Err(SoapError::Redirect {
                server: self.error_context.server().to_owned(),
                status,
            });
        }
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let body = self.read_body(response, max_body)?;
        Ok(SoapResponse {
            status,
            body: body::document(content_type.as_deref(), body),
        })
    }

    fn read_body(&self, mut response: Response<Body>, limit: u64) -> Result<Vec<u8>, SoapError> {
        // ureq rejects a body of exactly the limit, so it gets one byte more.
        let body = response
            .body_mut()
            .with_config()
            .limit(limit.saturating_add(1));
        match body.read_to_vec() {
            Ok(body) if body.len() as u64 <= limit => Ok(body),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(SoapError::BodyTooLarge {
                server: self.error_context.server().to_owned(),
                limit,
            }),
            Err(error) => Err(self.error_context.body_error(error)),
        }
    }
}

fn agent(settings: &SoapSettings, proxy: Option<ureq::Proxy>, tls: ClientConfig) -> Agent {
    let timeouts = settings.timeouts;
    let config = Agent::config_builder()
        .https_only(true)
        // A SOAP fault has status 500 and a body that the caller needs.
        .http_status_as_error(false)
        // A redirect is never followed: the request holds person numbers, which must not go to another server.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(concat!("cprflow/", env!("CARGO_PKG_VERSION")))
        .accept("text/xml")
        .accept_encoding("identity")
        // The server may close an idle connection at any time. If it does so during a call, it is unknown whether the
        // request was carried out. Therefore idle connections are dropped early.
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
    let connector = ().chain(PhaseConnector(ConnectProxyConnector::default()));
    let connector = connector.chain(PhaseConnector(TcpConnector::default()));
    let connector = connector.chain(TlsConnector::new(tls));
    let resolver = PhaseResolver::new(DefaultResolver::default());
    Agent::with_parts(config, connector, resolver)
}

/// Returns the authorities whose server certificates are trusted.
fn trusted_roots(settings: &SoapSettings) -> Result<RootCertStore, SoapError> {
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
