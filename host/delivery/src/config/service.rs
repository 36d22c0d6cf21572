//! `[agreement.NAME.service]` and `[agreement.NAME.subscription]`. Errors say how a value is written, and never repeat it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{ConfigurationError, KeyPath, KeyProblem};
use super::{check_legal_basis, check_purpose};
use crate::fs::SecretSource;
use crate::names::Environment;
use crate::subscription::settings::{SERVICE_UUID, endpoint, environment_of, host};
use crate::subscription::{Credentials, Filter, FilterKind, Service, SubscriptionSettings, Uuid};

/// The longest time that a call may take, in seconds.
const MAX_TIMEOUT_SECONDS: u64 = 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceTable {
    endpoint: Option<String>,
    service_agreement_uuid: String,
    user_system_uuid: String,
    user_uuid: String,
    service_uuid: Option<String>,
    municipality: Option<String>,
    purpose: Option<String>,
    legal_basis: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pkcs12: Option<PathBuf>,
    /// Not read by serde, whose errors repeat the value, which may be the secret itself.
    password: Option<toml::Value>,
    next: Option<CredentialsTable>,
    ca: Option<PathBuf>,
    proxy: Option<String>,
    timeout_seconds: Option<u64>,
}

/// `next` in `[agreement.NAME.service]`: the certificate that will replace the current one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsTable {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pkcs12: Option<PathBuf>,
    password: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionTable {
    pnr_file: Option<PathBuf>,
    municipality_codes: Option<Vec<String>>,
    age_ranges: Option<Vec<String>>,
    change_codes: Option<Vec<String>>,
    no_filter: Option<bool>,
    #[serde(default)]
    allow_national: bool,
}

impl ServiceTable {
    /// Checks the table and returns the service. Relative paths start at `directory`.
    ///
    /// `agreement` is the path of the agreement's table; `purpose` and `legal_basis` are used if the service has no purpose
    /// of its own.
    pub(super) fn read(
        self,
        agreement: &str,
        environment: Option<Environment>,
        purpose: Option<&str>,
        legal_basis: Option<&str>,
        directory: &Path,
    ) -> Result<Service, ConfigurationError> {
        let table = format!("{agreement}.service");
        let at = |key: &str| KeyPath::new(&table, key);
        let address = self
            .endpoint
            .or_else(|| environment.map(endpoint).map(str::to_owned));
        let address = address.ok_or_else(|| {
            KeyPath::new(agreement, "environment").error(KeyProblem::Missing {
                expected: "\"test\" or \"production\", or the address of the service in `service.endpoint`",
            })
        })?;
        if !address.starts_with("https://") {
            return Err(at("endpoint").error(KeyProblem::Invalid {
                expected: "an address that begins with https://".to_owned(),
            }));
        }
        if let (Some(declared), Some(actual)) = (environment, environment_of(host(&address)))
            && declared != actual
        {
            return Err(at("endpoint").error(KeyProblem::OtherEnvironment {
                actual: actual.name(),
                declared: declared.name(),
            }));
        }
        if self
            .timeout_seconds
            .is_some_and(|seconds| !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds))
        {
            return Err(at("timeout_seconds").error(KeyProblem::Invalid {
                expected: format!("a whole number from 1 to {MAX_TIMEOUT_SECONDS}"),
            }));
        }
        if let Some(purpose) = &self.purpose {
            check_purpose(purpose).map_err(|problem| at("purpose").error(problem))?;
        }
        if let Some(text) = &self.legal_basis {
            check_legal_basis(text).map_err(|problem| at("legal_basis").error(problem))?;
        }
        // The legal basis belongs to its purpose.
        let legal_basis = legal_basis.filter(|_| self.purpose.is_none());
        let municipality = self
            .municipality
            .map(|code| filter(FilterKind::Municipality, &code, at("municipality")))
            .transpose()?
            .map(|filter| filter.to_string());
        let own = CredentialsTable {
            certificate: self.certificate,
            key: self.key,
            pkcs12: self.pkcs12,
            password: self.password,
        };
        let mut credentials = vec![own.read(&table, directory)?];
        if let Some(next) = self.next {
            credentials.push(next.read(&format!("{table}.next"), directory)?);
        }
        let service_uuid = self.service_uuid.as_deref().unwrap_or(SERVICE_UUID);
        Ok(Service {
            endpoint: address,
            agreement: uuid(&self.service_agreement_uuid, at("service_agreement_uuid"))?,
            user_system: uuid(&self.user_system_uuid, at("user_system_uuid"))?,
            user: uuid(&self.user_uuid, at("user_uuid"))?,
            service: uuid(service_uuid, at("service_uuid"))?,
            municipality,
            purpose: self.purpose.or_else(|| purpose.map(str::to_owned)),
            legal_basis: self.legal_basis.or_else(|| legal_basis.map(str::to_owned)),
            credentials,
            ca: self.ca.map(|path| directory.join(path)),
            proxy: self.proxy,
            timeout_seconds: self.timeout_seconds,
        })
    }
}

impl CredentialsTable {
    fn read(self, table: &str, directory: &Path) -> Result<Credentials, ConfigurationError> {
        match (self.certificate, self.key, self.pkcs12, self.password) {
            (Some(certificate), Some(key), None, None) => Ok(Credentials::Pem {
                certificate: directory.join(certificate),
                key: directory.join(key),
            }),
            (None, None, Some(file), password) => {
                let at = KeyPath::new(table, "password");
                let problem = match password {
                    None => KeyProblem::Missing {
                        expected: "{ file = \"…\" } or { env = \"…\" }, because a PKCS#12 file has a password",
                    },
                    Some(reference) => match secret_source(&reference, directory) {
                        Some(password) => {
                            let file = directory.join(file);
                            return Ok(Credentials::Pkcs12 { file, password });
                        }
                        None => KeyProblem::SecretInConfiguration,
                    },
                };
                Err(at.error(problem))
            }
            _ => Err(KeyPath::table(table).error(KeyProblem::NoCertificate)),
        }
    }
}

/// Reads the place of a secret, `{ file = "…" }` or `{ env = "…" }`; `None` for any other value.
pub(super) fn secret_source(reference: &toml::Value, directory: &Path) -> Option<SecretSource> {
    let text = |key: &str| reference.get(key).and_then(toml::Value::as_str);
    match (text("file"), text("env")) {
        (Some(path), None) => Some(SecretSource::File(directory.join(path))),
        (None, Some(variable)) => Some(SecretSource::Environment(variable.to_owned())),
        _ => None,
    }
}

/// Parses a UUID.
pub(super) fn uuid(text: &str, at: KeyPath) -> Result<Uuid, ConfigurationError> {
    Uuid::new(text).ok_or_else(|| {
        at.error(KeyProblem::Invalid {
            expected: "a UUID: 32 hexadecimal digits in five groups, 8-4-4-4-12".to_owned(),
        })
    })
}

impl SubscriptionTable {
    /// Checks the table and returns the settings. Relative paths start at `directory`.
    ///
    /// `agreement` is the path of the agreement's table.
    pub(super) fn read(
        self,
        agreement: &str,
        directory: &Path,
    ) -> Result<SubscriptionSettings, ConfigurationError> {
        let table = format!("{agreement}.subscription");
        let at = |key: &str| KeyPath::new(&table, key);
        let holds_number =
            |path: &PathBuf| cprflow_redact::holds_person_number(&path.to_string_lossy());
        if self.pnr_file.as_ref().is_some_and(holds_number) {
            return Err(at("pnr_file").error(KeyProblem::PathHoldsPersonNumber));
        }
        Ok(SubscriptionSettings {
            pnr_file: self.pnr_file.map(|path| directory.join(path)),
            municipality_codes: filters(
                FilterKind::Municipality,
                self.municipality_codes,
                &at("municipality_codes"),
            )?,
            age_ranges: filters(FilterKind::AgeRange, self.age_ranges, &at("age_ranges"))?,
            change_codes: filters(
                FilterKind::ChangeCode,
                self.change_codes,
                &at("change_codes"),
            )?,
            no_filter: self.no_filter,
            allow_national: self.allow_national,
        })
    }
}

fn filters(
    kind: FilterKind,
    texts: Option<Vec<String>>,
    at: &KeyPath,
) -> Result<Option<BTreeSet<Filter>>, ConfigurationError> {
    let parse = |text: &String| filter(kind, text, at.clone());
    texts
        .map(|texts| texts.iter().map(parse).collect())
        .transpose()
}

/// Parses one filter of the subscription.
pub(super) fn filter(
    kind: FilterKind,
    text: &str,
    at: KeyPath,
) -> Result<Filter, ConfigurationError> {
    Filter::parse(kind, text).map_err(|error| {
        at.error(KeyProblem::InvalidFilter {
            rule: error.to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUIDS: &str = "service_agreement_uuid = \"9CDCCC2F-3243-11E2-8FEF-D4BED98C5934\"\n\
                         user_system_uuid = \"9cdccc2f-3243-11e2-8fef-d4bed98c5934\"\n\
                         user_uuid = \"9cdccc2f-3243-11e2-8fef-d4bed98c5934\"\n";

    fn read(text: &str) -> Result<Service, ConfigurationError> {
        let table: ServiceTable = toml::from_str(&format!("{UUIDS}{text}")).unwrap();
        table.read(
            "agreement.a",
            Some(Environment::Test),
            Some("everything"),
            Some("the Act"),
            Path::new("/etc"),
        )
    }

    #[test]
    fn reads_a_service_with_a_current_and_a_next_certificate() {
        let service = read(
            "certificate = \"c.pem\"\nkey = \"c.key\"\nmunicipality = \"265\"\n\
             next = { pkcs12 = \"n.p12\", password = { env = \"P\" } }",
        )
        .unwrap();
        assert!(
            service
                .endpoint
                .starts_with("https://exttest.serviceplatformen.dk/")
        );
        assert_eq!(service.municipality.as_deref(), Some("0265"));
        assert_eq!(service.purpose.as_deref(), Some("everything"));
        assert_eq!(service.legal_basis.as_deref(), Some("the Act"));
        assert_eq!(service.credentials.len(), 2);
        assert!(!format!("{service:?}").contains("9cdccc2f"));
        // The legal basis of the agreement belongs to the purpose of the agreement.
        let own = |more: &str| {
            let text = "certificate = \"c\"\nkey = \"k\"\npurpose = \"own\"\n";
            read(&format!("{text}{more}")).unwrap().legal_basis
        };
        assert_eq!(own(""), None);
        assert_eq!(
            own("legal_basis = \"section 1\"").as_deref(),
            Some("section 1")
        );
        let other = "certificate = \"c\"\nkey = \"k\"\nendpoint = \"https://exttest.serviceplatformen.dk/other\"\n\
                     proxy = \"http://me:hunter2@proxy:3128\"";
        let service = read(other).unwrap();
        assert!(!format!("{service:?}").contains("hunter2"));
    }

    #[test]
    fn errors_of_a_service_name_the_key_and_never_repeat_a_value() {
        for (text, expected) in [
            (
                "",
                "[agreement.a.service]: the client certificate is missing",
            ),
            (
                "certificate = \"hunter2\"",
                "the client certificate is missing or incomplete",
            ),
            ("pkcs12 = \"a\"", "password: the key is missing"),
            (
                "pkcs12 = \"a\"\npassword = \"hunter2\"",
                "must not contain the secret",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nendpoint = \"http://hunter2\"",
                "https",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nendpoint = \"https://PROD.serviceplatformen.dk/hunter2\"",
                "the address belongs to the production environment",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\ntimeout_seconds = 0",
                "from 1 to 3600",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\ntimeout_seconds = 3601",
                "from 1 to 3600",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nmunicipality = \"hunter2\"",
                "four digits",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\npurpose = \"hunter2 for 010101-0101\"",
                "person number",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nlegal_basis = \"hunter2, case 010101-0101\"",
                "legal_basis: the legal basis contains something that can be a person number",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nlegal_basis = \" \"",
                "legal_basis: the legal basis is empty",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nservice_uuid = \"hunter2\"",
                "8-4-4-4-12",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn reads_the_wanted_subscription() {
        let read = |text: &str| {
            let table: SubscriptionTable = toml::from_str(text).unwrap();
            table.read("agreement.a", Path::new("/etc"))
        };
        let settings = read("municipality_codes = [\"265\", \"0265\"]\nno_filter = false").unwrap();
        assert!(!settings.allow_national);
        let wanted = settings.wanted().unwrap();
        assert_eq!(wanted.0[&FilterKind::Municipality].len(), 1);
        assert!(wanted.0[&FilterKind::NoFilter].is_empty());
        assert!(
            !wanted.0.contains_key(&FilterKind::Pnr),
            "the table does not mention person numbers"
        );
        let error = read("pnr_file = \"lists/311300-0001\"")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[agreement.a.subscription] pnr_file: "),
            "{error}"
        );
        assert!(!error.contains("3113"), "{error}");
        let error = read("change_codes = [\"a1\"]").unwrap_err().to_string();
        assert!(
            error.contains("[agreement.a.subscription] change_codes: "),
            "{error}"
        );
    }
}
