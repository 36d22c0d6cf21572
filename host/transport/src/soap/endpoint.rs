//! Checks the addresses of the subscription service and of a proxy.

use ureq::Proxy;
use ureq::http::Uri;

/// Why the address of the subscription service cannot be used. `Display` gives a clause about the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointProblem {
    /// The text is not a URI.
    #[error("it is no address at all")]
    NotAnAddress,
    /// The address has no host.
    #[error("it names no host")]
    NoHost,
    /// The address does not begin with `https://`.
    #[error("it does not begin with https://")]
    NotHttps,
    /// The address contains a user name.
    #[error("it contains a user name, which the service does not use")]
    UserName,
}

/// Parses the address of the service.
pub(super) fn parse_endpoint(endpoint: &str) -> Result<Uri, EndpointProblem> {
    let uri: Uri = endpoint
        .parse()
        .map_err(|_| EndpointProblem::NotAnAddress)?;
    let authority = uri.authority().ok_or(EndpointProblem::NoHost)?;
    if uri.scheme_str() != Some("https") {
        return Err(EndpointProblem::NotHttps);
    }
    if authority.as_str().contains('@') {
        return Err(EndpointProblem::UserName);
    }
    if authority.host().is_empty() {
        return Err(EndpointProblem::NoHost);
    }
    Ok(uri)
}

/// Parses the address of an HTTP proxy. Returns `None` if it is not valid.
pub(super) fn parse_proxy(proxy: &str) -> Option<Proxy> {
    // A proxy that itself uses TLS would be shown the client certificate.
    if !proxy.starts_with("http://") {
        return None;
    }
    Proxy::new(proxy).ok()
}
