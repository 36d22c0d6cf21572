//! The settings of an agreement's subscription service and subscription.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::SubscriptionError;
use super::filter::{Filter, FilterKind};
use super::plan::WantedFilters;
use crate::error::Error;
use crate::fs::SecretSource;
use crate::names::Environment;
use crate::pnr_list::{ListError, read_list};
use cprflow::Pnr;
use cprflow::soap_messages::InvocationContext;

/// The UUID of the service CPR Abonnement.
pub(crate) const SERVICE_UUID: &str = "9cdccc2f-3243-11e2-8fef-d4bed98c5934";

/// Returns the URL of the service in an environment.
pub(crate) const fn endpoint(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => {
            "https://exttest.serviceplatformen.dk/service/CPRSubscription/CPRSubscription/1/"
        }
        Environment::Production => {
            "https://prod.serviceplatformen.dk/service/CPRSubscription/CPRSubscription/1/"
        }
    }
}

/// Returns the host of a URL, with its port if the URL has one.
pub(crate) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or(rest);
    // A user name and a password must not appear in messages.
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// Returns the environment that a host belongs to; `None` if it belongs to neither.
pub(crate) fn environment_of(host_and_port: &str) -> Option<Environment> {
    let name = host_and_port.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches('.');
    [Environment::Test, Environment::Production]
        .into_iter()
        .find(|environment| name.eq_ignore_ascii_case(host(endpoint(*environment))))
}

/// The subscription service of an agreement: its URL, and the caller.
#[derive(Clone)]
pub struct Service {
    /// The URL.
    pub endpoint: String,
    /// The UUID of the service agreement (serviceaftale).
    pub agreement: Uuid,
    /// The UUID of the calling IT system.
    pub user_system: Uuid,
    /// The UUID of the authority that the agreement covers.
    pub user: Uuid,
    /// The UUID of the service.
    pub service: Uuid,
    /// The code of the municipality that the agreement covers, four digits.
    pub municipality: Option<String>,
    /// The purpose of the data, for the audit log.
    pub purpose: Option<String>,
    /// The legal basis (hjemmel) of that purpose, for the audit log.
    pub legal_basis: Option<String>,
    /// The client certificate, and optionally its successor.
    pub credentials: Vec<Credentials>,
    /// The PEM file with the certificate authorities to trust. Default: the public ones.
    pub ca: Option<PathBuf>,
    /// The URL of a proxy. Environment variables are ignored.
    pub proxy: Option<String>,
    /// The timeout of a call, in seconds.
    pub timeout_seconds: Option<u64>,
}

/// Masks the proxy, because its URL can contain a password.
impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("host", &self.host())
            .field("agreement", &self.agreement)
            .field("user_system", &self.user_system)
            .field("user", &self.user)
            .field("municipality", &self.municipality)
            .field("purpose", &self.purpose)
            .field("legal_basis", &self.legal_basis)
            .field("credentials", &self.credentials)
            .field("ca", &self.ca)
            .field("has_proxy", &self.proxy.is_some())
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Returns the host of the service, with its port if the URL has one.
    pub fn host(&self) -> &str {
        host(&self.endpoint)
    }

    /// Returns whether the service has the usual URL of an environment.
    pub fn is_usual(&self, environment: Environment) -> bool {
        self.endpoint == endpoint(environment)
    }

    /// Returns the invocation context of a call, which identifies the caller.
    pub(crate) fn context(&self, call_id: &str) -> InvocationContext {
        InvocationContext {
            service_agreement_uuid: self.agreement.0.clone(),
            user_system_uuid: self.user_system.0.clone(),
            user_uuid: self.user.0.clone(),
            service_uuid: self.service.0.clone(),
            callers_service_call_identifier: Some(call_id.to_owned()),
            ..InvocationContext::default()
        }
    }
}

/// A UUID in lower case. Printing it shows only the last four digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Uuid(String);

impl Uuid {
    /// Parses a UUID in lower or upper case; `None` for any other text.
    pub fn new(text: &str) -> Option<Self> {
        let uuid = uuid::Uuid::try_parse(text).ok()?.to_string();
        // The platform rejects other forms, such as one without hyphens or in braces. They are probably mistakes.
        (text.len() == uuid.len()).then_some(Self(uuid))
    }

    /// Returns the whole UUID, in lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.0.get(self.0.len().saturating_sub(4)..);
        write!(f, "…{}", end.unwrap_or_default())
    }
}

impl std::fmt::Debug for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uuid({self})")
    }
}

/// A client certificate with its key.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// PEM files.
    Pem {
        /// The certificate and its intermediate certificates.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A PKCS #12 file with certificate and key.
    Pkcs12 {
        /// The file.
        file: PathBuf,
        /// The source of the password.
        password: SecretSource,
    },
}

/// The filters that the subscription of an agreement should have. Kinds without a value are left unchanged.
#[derive(Debug, Clone, Default)]
pub struct SubscriptionSettings {
    /// The file with the list of person numbers.
    pub pnr_file: Option<PathBuf>,
    /// The municipalities.
    pub municipality_codes: Option<BTreeSet<Filter>>,
    /// The age ranges.
    pub age_ranges: Option<BTreeSet<Filter>>,
    /// The change codes.
    pub change_codes: Option<BTreeSet<Filter>>,
    /// Whether the subscription should cover all of Denmark.
    pub no_filter: Option<bool>,
    /// Whether filters are allowed that can match persons in all of Denmark.
    pub allow_national: bool,
}

impl SubscriptionSettings {
    /// Returns the wanted filters. This reads the list of person numbers.
    pub fn wanted(&self) -> Result<WantedFilters, Error> {
        let mut wanted = WantedFilters::default();
        let given = [
            (FilterKind::Municipality, &self.municipality_codes),
            (FilterKind::AgeRange, &self.age_ranges),
            (FilterKind::ChangeCode, &self.change_codes),
        ];
        for (kind, filters) in given {
            if let Some(filters) = filters {
                wanted.0.insert(kind, filters.clone());
            }
        }
        if let Some(no_filter) = self.no_filter {
            let filters = no_filter.then_some(Filter::NoFilter).into_iter();
            wanted.0.insert(FilterKind::NoFilter, filters.collect());
        }
        if let Some(path) = &self.pnr_file {
            let numbers = wanted_numbers(path)?.into_iter().map(Filter::Pnr);
            wanted.0.insert(FilterKind::Pnr, numbers.collect());
        }
        Ok(wanted)
    }
}

/// Reads the list of all person numbers of a subscription. An empty one is refused: it would empty the subscription.
fn wanted_numbers(path: &Path) -> Result<BTreeSet<Pnr>, Error> {
    list_file(path).map_err(|error| match error {
        Error::Subscription(SubscriptionError::List {
            path,
            error: ListError::Empty,
        }) => SubscriptionError::EmptyList { path }.into(),
        other => other,
    })
}

/// Reads a list of person numbers from a file, or from standard input for `-`.
pub fn list_file(path: &Path) -> Result<BTreeSet<Pnr>, Error> {
    let list: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(path).map_err(Error::file(path))?),
    };
    let numbers = read_list(list).map_err(|error| SubscriptionError::List {
        path: path.to_owned(),
        error,
    })?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_host_and_environment_of_a_url() {
        for (address, expected) in [
            ("https://h:8443/a@b", "h:8443"),
            ("https://me:hunter2@h/x", "h"),
            ("https://h?x", "h"),
            ("h", "h"),
        ] {
            assert_eq!(host(address), expected);
        }
        for (host, expected) in [
            ("EXTTEST.serviceplatformen.dk:443", Some(Environment::Test)),
            ("prod.serviceplatformen.dk.", Some(Environment::Production)),
            ("127.0.0.1", None),
        ] {
            assert_eq!(environment_of(host), expected);
        }
    }

    #[test]
    fn uuids_are_masked_and_in_lower_case() {
        let uuid = Uuid::new("9CDCCC2F-3243-11E2-8FEF-D4BED98C5934").unwrap();
        assert_eq!(uuid.0, SERVICE_UUID);
        assert_eq!(format!("{uuid} {uuid:?}"), "…5934 Uuid(…5934)");
        for wrong in [
            "",
            "9cdccc2f324311e28fefd4bed98c5934",
            "{9cdccc2f-3243-11e2-8fef-d4bed98c5934}",
            "x",
        ] {
            assert!(Uuid::new(wrong).is_none(), "{wrong}");
        }
    }
}
