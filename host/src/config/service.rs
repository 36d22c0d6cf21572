//! `[agreement.NAME.service]` and `[agreement.NAME.subscription]`. Errors name the key and say how its value is written;
//! none repeats what stands there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::check_purpose;
use crate::agreement::Environment;
use crate::subscriber::settings::{SERVICE_UUID, endpoint, environment_of, host};
use crate::subscriber::{
    Credentials, Filter, Kind, SecretPlace, Service, SubscriptionSettings, Uuid,
};

/// Seconds that a call may take at the most.
const MAX_TIMEOUT: u64 = 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceEntry {
    endpoint: Option<String>,
    service_agreement_uuid: String,
    user_system_uuid: String,
    user_uuid: String,
    service_uuid: Option<String>,
    municipality: Option<String>,
    purpose: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pkcs12: Option<PathBuf>,
    /// Read by hand, as every secret: serde's errors would repeat it.
    password: Option<toml::Value>,
    next: Option<CredentialsEntry>,
    ca: Option<PathBuf>,
    proxy: Option<String>,
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsEntry {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pkcs12: Option<PathBuf>,
    password: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionEntry {
    pnr_file: Option<PathBuf>,
    municipality_codes: Option<Vec<String>>,
    age_ranges: Option<Vec<String>>,
    change_codes: Option<Vec<String>>,
    no_filter: Option<bool>,
    #[serde(default)]
    allow_national: bool,
}

impl ServiceEntry {
    /// The service; relative paths start at `directory`.
    pub(super) fn read(
        self,
        environment: Option<Environment>,
        purpose: Option<&str>,
        directory: &Path,
    ) -> Result<Service, String> {
        let address = match (self.endpoint, environment) {
            (Some(given), _) => given,
            (None, Some(environment)) => endpoint(environment).to_owned(),
            (None, None) => {
                return Err(
                    "service: say `environment = \"test\"` or `\"production\"` for the agreement, or name an \
                     `endpoint`"
                        .to_owned(),
                );
            }
        };
        if !address.starts_with("https://") {
            return Err("service.endpoint: the address begins with https://".to_owned());
        }
        if let (Some(said), Some(real)) = (environment, environment_of(host(&address)))
            && said != real
        {
            return Err(format!(
                "service.endpoint: this is the address of the {} environment, and the agreement says `environment = \
                 {:?}`: leave the address out, or mend the environment",
                real.name(),
                said.name()
            ));
        }
        if self
            .timeout_seconds
            .is_some_and(|seconds| !(1..=MAX_TIMEOUT).contains(&seconds))
        {
            return Err(format!("service.timeout_seconds: from 1 to {MAX_TIMEOUT}"));
        }
        if let Some(purpose) = &self.purpose {
            check_purpose(purpose).map_err(|what| format!("service.purpose: {what}"))?;
        }
        let municipality = self.municipality.map(|code| {
            let filter = Filter::parse(Kind::Municipality, &code);
            filter.map(|filter| filter.to_string())
        });
        let own = CredentialsEntry {
            certificate: self.certificate,
            key: self.key,
            pkcs12: self.pkcs12,
            password: self.password,
        };
        let mut credentials = vec![own.read("service", directory)?];
        if let Some(next) = self.next {
            credentials.push(next.read("service.next", directory)?);
        }
        let service_uuid = self.service_uuid.as_deref().unwrap_or(SERVICE_UUID);
        Ok(Service {
            endpoint: address,
            agreement: uuid("service_agreement_uuid", &self.service_agreement_uuid)?,
            user_system: uuid("user_system_uuid", &self.user_system_uuid)?,
            user: uuid("user_uuid", &self.user_uuid)?,
            service: uuid("service_uuid", service_uuid)?,
            municipality: municipality
                .transpose()
                .map_err(|what| format!("service.municipality: {what}"))?,
            purpose: self.purpose.or_else(|| purpose.map(str::to_owned)),
            credentials,
            ca: self.ca.map(|path| directory.join(path)),
            proxy: self.proxy,
            timeout_seconds: self.timeout_seconds,
        })
    }
}

impl CredentialsEntry {
    fn read(self, at: &str, directory: &Path) -> Result<Credentials, String> {
        match (self.certificate, self.key, self.pkcs12, self.password) {
            (Some(certificate), Some(key), None, None) => Ok(Credentials::Pem {
                certificate: directory.join(certificate),
                key: directory.join(key),
            }),
            (None, None, Some(file), Some(password)) => Ok(Credentials::Pkcs12 {
                file: directory.join(file),
                password: secret_place(&password, directory)
                    .ok_or_else(|| format!("{at}.password: {SECRET}"))?,
            }),
            (None, None, Some(_), None) => {
                Err(format!("{at}.password: a PKCS#12 file has one; {SECRET}"))
            }
            _ => Err(format!(
                "{at}: name the client certificate, either `certificate` and `key` (PEM) or `pkcs12` and `password`"
            )),
        }
    }
}

pub(super) const SECRET: &str = "say where it is, { file = \"…\" } or { env = \"…\" }; a secret does not stand in the \
                      configuration";

/// Where a secret is: `{ file = "…" }` or `{ env = "…" }`; none for anything else.
pub(super) fn secret_place(reference: &toml::Value, directory: &Path) -> Option<SecretPlace> {
    let text = |key: &str| reference.get(key).and_then(toml::Value::as_str);
    match (text("file"), text("env")) {
        (Some(path), None) => Some(SecretPlace::File(directory.join(path))),
        (None, Some(variable)) => Some(SecretPlace::Environment(variable.to_owned())),
        _ => None,
    }
}

fn uuid(key: &str, text: &str) -> Result<Uuid, String> {
    Uuid::new(text).ok_or_else(|| {
        format!("service.{key}: a UUID is 32 hexadecimal digits in five groups, 8-4-4-4-12")
    })
}

impl SubscriptionEntry {
    /// What is wanted; relative paths start at `directory`.
    pub(super) fn read(self, directory: &Path) -> Result<SubscriptionSettings, String> {
        let names_number =
            |path: &PathBuf| cprflow_connector::holds_number(&path.to_string_lossy());
        if self.pnr_file.as_ref().is_some_and(names_number) {
            return Err(
                "subscription.pnr_file: there is something in the name of that file that can be a person number; \
                 person numbers stand in the file, one a line, and never in its name"
                    .to_owned(),
            );
        }
        Ok(SubscriptionSettings {
            pnr_file: self.pnr_file.map(|path| directory.join(path)),
            municipality_codes: filters(
                "municipality_codes",
                Kind::Municipality,
                self.municipality_codes,
            )?,
            age_ranges: filters("age_ranges", Kind::AgeRange, self.age_ranges)?,
            change_codes: filters("change_codes", Kind::ChangeCode, self.change_codes)?,
            no_filter: self.no_filter,
            allow_national: self.allow_national,
        })
    }
}

fn filters(
    key: &str,
    kind: Kind,
    texts: Option<Vec<String>>,
) -> Result<Option<BTreeSet<Filter>>, String> {
    let parse = |text: &String| Filter::parse(kind, text);
    let parsed = texts.map(|texts| texts.iter().map(parse).collect());
    let parsed: Result<Option<_>, String> = parsed.transpose();
    parsed.map_err(|what| format!("subscription.{key}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUIDS: &str = "service_agreement_uuid = \"9CDCCC2F-3243-11E2-8FEF-D4BED98C5934\"\n\
                         user_system_uuid = \"9cdccc2f-3243-11e2-8fef-d4bed98c5934\"\n\
                         user_uuid = \"9cdccc2f-3243-11e2-8fef-d4bed98c5934\"\n";

    fn read(text: &str) -> Result<Service, String> {
        let entry: ServiceEntry = toml::from_str(&format!("{UUIDS}{text}")).unwrap();
        entry.read(
            Some(Environment::Test),
            Some("everything"),
            Path::new("/etc"),
        )
    }

    #[test]
    fn a_service() {
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
        assert_eq!(service.credentials.len(), 2);
        assert!(!format!("{service:?}").contains("9cdccc2f"));
        let other = "certificate = \"c\"\nkey = \"k\"\nendpoint = \"https://exttest.serviceplatformen.dk/other\"\n\
                     proxy = \"http://me:hunter2@proxy:3128\"";
        let service = read(other).unwrap();
        assert!(!format!("{service:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_value_repeated() {
        for (text, expected) in [
            ("", "name the client certificate"),
            ("certificate = \"hunter2\"", "name the client certificate"),
            ("pkcs12 = \"a\"", "has one"),
            ("pkcs12 = \"a\"\npassword = \"hunter2\"", "does not stand"),
            (
                "certificate = \"c\"\nkey = \"k\"\nendpoint = \"http://hunter2\"",
                "https",
            ),
            (
                "certificate = \"c\"\nkey = \"k\"\nendpoint = \"https://PROD.serviceplatformen.dk/hunter2\"",
                "address of the production environment",
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
                "certificate = \"c\"\nkey = \"k\"\nservice_uuid = \"hunter2\"",
                "8-4-4-4-12",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_wanted() {
        let read = |text: &str| {
            let entry: SubscriptionEntry = toml::from_str(text).unwrap();
            entry.read(Path::new("/etc"))
        };
        let settings = read("municipality_codes = [\"265\", \"0265\"]\nno_filter = false").unwrap();
        assert!(!settings.allow_national);
        let wanted = settings.wanted().unwrap();
        assert_eq!(wanted.0[&Kind::Municipality].len(), 1);
        assert!(wanted.0[&Kind::NoFilter].is_empty());
        assert!(
            !wanted.0.contains_key(&Kind::Pnr),
            "nobody has spoken about it"
        );
        let error = read("pnr_file = \"lists/311300-0001\"").unwrap_err();
        assert!(error.contains("subscription.pnr_file"), "{error}");
        assert!(!error.contains("3113"), "{error}");
        let error = read("change_codes = [\"a1\"]").unwrap_err();
        assert!(error.contains("subscription.change_codes"), "{error}");
    }
}
