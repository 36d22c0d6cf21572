//! What the configuration says about an agreement's service and subscription.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::filter::{Filter, Kind};
use super::{SubscriberError, Wanted, read_list};
use crate::agreement::Environment;
use crate::config::secret_file;
use crate::error::Error;
use crate::pnr::Pnr;
use crate::subscription::InvocationContext;
use crate::transport::Secret;

/// The UUID of the service "CPR Abonnement".
pub(crate) const SERVICE_UUID: &str = "9cdccc2f-3243-11e2-8fef-d4bed98c5934";

/// The address of the service in an environment.
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

/// The host of an address.
pub(crate) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or(rest);
    // A user and a password are nobody's business.
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// The environment that a host belongs to; none if it is neither's.
pub(crate) fn environment_of(host_and_port: &str) -> Option<Environment> {
    let name = host_and_port.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches('.');
    [Environment::Test, Environment::Production]
        .into_iter()
        .find(|environment| name.eq_ignore_ascii_case(host(endpoint(*environment))))
}

/// The service of an agreement: where it is, and who calls.
#[derive(Clone)]
pub struct Service {
    /// The address.
    pub endpoint: String,
    /// The service agreement.
    pub agreement: Uuid,
    /// The calling IT system.
    pub user_system: Uuid,
    /// The authority whom the agreement covers.
    pub user: Uuid,
    /// The service itself.
    pub service: Uuid,
    /// The municipality whom the agreement covers, four digits.
    pub municipality: Option<String>,
    /// What the data is for.
    pub purpose: Option<String>,
    /// The client certificate, and perhaps the one that is to follow it.
    pub credentials: Vec<Credentials>,
    /// Authorities to trust, PEM; the public ones if there is none.
    pub ca: Option<PathBuf>,
    /// A proxy. The environment is never asked for one.
    pub proxy: Option<String>,
    /// Seconds after which a call is given up.
    pub timeout_seconds: Option<u64>,
}

/// Masked: the address of a proxy can hold a password.
impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("host", &self.host())
            .field("agreement", &self.agreement)
            .field("user_system", &self.user_system)
            .field("user", &self.user)
            .field("municipality", &self.municipality)
            .field("purpose", &self.purpose)
            .field("credentials", &self.credentials)
            .field("ca", &self.ca)
            .field("has_proxy", &self.proxy.is_some())
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// The host that is called, with its port if the address names one.
    pub fn host(&self) -> &str {
        host(&self.endpoint)
    }

    /// Whether that is the host of the environment.
    pub fn is_usual(&self, environment: Environment) -> bool {
        self.endpoint == endpoint(environment)
    }

    /// Who makes a call.
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

/// A UUID in lower case. Printing it shows its end only.
#[derive(Clone, PartialEq, Eq)]
pub struct Uuid(String);

impl Uuid {
    /// A UUID in any case; none for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let uuid = uuid::Uuid::try_parse(text).ok()?.to_string();
        // Without hyphens, in braces: others take that, the platform does not, and it is more likely a slip.
        (text.len() == uuid.len()).then_some(Self(uuid))
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

/// A client certificate.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// The certificate with those that vouch for it, and the key, PEM.
    Pem {
        /// Certificates.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Both in one file.
    Pkcs12 {
        /// The file.
        file: PathBuf,
        /// Where its password is.
        password: SecretPlace,
    },
}

/// Where a secret is. It is read when it is needed, so that other commands can do without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a file of its own, which only its owner may read.
    File(PathBuf),
    /// In a variable of the environment.
    Environment(String),
}

impl SecretPlace {
    /// Reads it.
    pub fn read(&self) -> Result<Secret, Error> {
        match self {
            Self::File(path) => secret_file(path),
            Self::Environment(name) => match std::env::var(name) {
                Ok(secret) => Ok(Secret::new(secret)),
                Err(_) => Err(Error::Request(format!(
                    "the environment has no {name}, where the configuration says a password is"
                ))),
            },
        }
    }
}

/// What the subscription of an agreement should hold. What is not given is left as it is.
#[derive(Debug, Clone, Default)]
pub struct SubscriptionSettings {
    /// A list of person numbers.
    pub pnr_file: Option<PathBuf>,
    /// Municipalities.
    pub municipality_codes: Option<BTreeSet<Filter>>,
    /// Ages.
    pub age_ranges: Option<BTreeSet<Filter>>,
    /// Events.
    pub change_codes: Option<BTreeSet<Filter>>,
    /// Whether it should hold everybody.
    pub no_filter: Option<bool>,
    /// Whether filters may be added that can reach all of Denmark.
    pub allow_national: bool,
}

impl SubscriptionSettings {
    /// What is wanted; the list of person numbers is read now.
    pub fn wanted(&self) -> Result<Wanted, Error> {
        let mut wanted = Wanted::default();
        let given = [
            (Kind::Municipality, &self.municipality_codes),
            (Kind::AgeRange, &self.age_ranges),
            (Kind::ChangeCode, &self.change_codes),
        ];
        for (kind, filters) in given {
            if let Some(filters) = filters {
                wanted.0.insert(kind, filters.clone());
            }
        }
        if let Some(no_filter) = self.no_filter {
            let filters = no_filter.then_some(Filter::NoFilter).into_iter();
            wanted.0.insert(Kind::NoFilter, filters.collect());
        }
        if let Some(path) = &self.pnr_file {
            let numbers = list_file(path)?.into_iter().map(Filter::Pnr);
            wanted.0.insert(Kind::Pnr, numbers.collect());
        }
        Ok(wanted)
    }
}

/// Reads a list of person numbers from a file, or from standard input for `-`.
pub fn list_file(path: &Path) -> Result<BTreeSet<Pnr>, Error> {
    let list: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(path).map_err(Error::file(path))?),
    };
    let numbers = read_list(list).map_err(|error| SubscriberError::List {
        path: path.to_owned(),
        error,
    })?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_their_environments() {
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
