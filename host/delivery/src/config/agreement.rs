//! `[agreement.NAME]`: one service agreement, with its inbox and its file rules.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cprflow_redact::{holds_person_number, redact};
use serde::Deserialize;

use super::accepted::ACCEPTABLE;
use super::error::{ConfigurationError, KeyPath, KeyProblem};
use super::service::{ServiceTable, SubscriptionTable, secret_source, uuid};
use super::{check_legal_basis, check_purpose, inbox, is_remote, is_to_be_read};
use crate::agreement::{Agreement, DeliveryPattern};
use crate::names::{AgreementName, Environment};
use crate::routing::{Routing, authority};
use cprflow_transport::{Fingerprint, SftpSettings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgreementTable {
    controller: Option<String>,
    environment: Option<Environment>,
    inbox: String,
    identity: Option<PathBuf>,
    /// Not read by serde, whose errors repeat the value, which may be the secret itself.
    passphrase: Option<toml::Value>,
    known_hosts: Option<PathBuf>,
    #[serde(default)]
    host_keys: Vec<String>,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    files: FilesTable,
    #[serde(default)]
    routing: RoutingTable,
    record_types: Option<Vec<String>>,
    #[serde(default)]
    accept: Vec<String>,
    /// No key of an agreement any more: only to say where to write it.
    dataset: Option<toml::Value>,
    unrestricted: Option<String>,
    legal_basis: Option<String>,
    church: Option<ChurchTable>,
    service: Option<ServiceTable>,
    subscription: Option<SubscriptionTable>,
}

/// `church = { … }`: the purpose for which church membership is published with all other data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChurchTable {
    purpose: String,
    legal_basis: Option<String>,
}

/// `[agreement.NAME.files]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesTable {
    name: Option<String>,
    #[serde(default)]
    task_numbers: Vec<String>,
    sender: Option<String>,
    recipient: Option<String>,
}

/// `[agreement.NAME.routing]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutingTable {
    sender_it_system: Option<String>,
    sender_authority: Option<String>,
    recipient_authority: Option<String>,
}

/// The longest finding code that an error repeats, in characters.
const MAX_CODE_CHARS: usize = 100;

impl AgreementTable {
    /// Checks the table and returns the agreement. Relative paths start at `directory`.
    pub(super) fn read(
        self,
        name: &str,
        directory: &Path,
    ) -> Result<Agreement, ConfigurationError> {
        let table = format!("agreement.{name}");
        let at = |key: &str| KeyPath::new(&table, key);
        if holds_person_number(name) {
            return Err(KeyPath::table("agreement.NAME").error(KeyProblem::NameHoldsPersonNumber));
        }
        let name = AgreementName::new(name)
            .ok_or_else(|| KeyPath::table(&table).error(KeyProblem::Name))?;
        let inbox = inbox(&self.inbox, directory).map_err(|error| at("inbox").error(error))?;
        let sftp = SftpKeys {
            identity: self.identity,
            passphrase: self.passphrase,
            known_hosts: self.known_hosts,
            host_keys: self.host_keys,
            timeout_seconds: self.timeout_seconds,
        };
        let sftp = sftp.read(&table, is_remote(&inbox), directory)?;
        if self.dataset.is_some() {
            return Err(at("dataset").error(KeyProblem::OneDataset));
        }
        if let Some(purpose) = &self.unrestricted {
            check_purpose(purpose).map_err(|problem| at("unrestricted").error(problem))?;
        }
        let church = self.church.map(|church| church.read(&table)).transpose()?;
        let (church_purpose, church_legal_basis) = church.unwrap_or_default();
        if let Some(text) = &self.legal_basis {
            check_legal_basis(text).map_err(|problem| at("legal_basis").error(problem))?;
        }
        let service = self.service.map(|service| {
            let purpose = self.unrestricted.as_deref();
            let legal_basis = self.legal_basis.as_deref();
            service.read(&table, self.environment, purpose, legal_basis, directory)
        });
        let subscription = self
            .subscription
            .map(|subscription| subscription.read(&table, directory));
        Ok(Agreement {
            name,
            controller: self.controller,
            environment: self.environment,
            inbox,
            sftp,
            files: self.files.read(&table)?,
            routing: self.routing.read(&table)?,
            record_types: self
                .record_types
                .map(|types| record_types(types, at("record_types")))
                .transpose()?,
            accept: accepted_findings(self.accept, at("accept"))?,
            unrestricted: self.unrestricted,
            legal_basis: self.legal_basis,
            church_purpose,
            church_legal_basis,
            service: service.transpose()?,
            subscription: subscription.transpose()?,
        })
    }
}

impl ChurchTable {
    fn read(self, agreement: &str) -> Result<(Option<String>, Option<String>), ConfigurationError> {
        let at = |key: &str| KeyPath::new(&format!("{agreement}.church"), key);
        check_purpose(&self.purpose).map_err(|problem| at("purpose").error(problem))?;
        if let Some(text) = &self.legal_basis {
            check_legal_basis(text).map_err(|problem| at("legal_basis").error(problem))?;
        }
        Ok((Some(self.purpose), self.legal_basis))
    }
}

/// The keys of an agreement that are about the login to an SFTP inbox.
struct SftpKeys {
    identity: Option<PathBuf>,
    passphrase: Option<toml::Value>,
    known_hosts: Option<PathBuf>,
    host_keys: Vec<String>,
    timeout_seconds: Option<u64>,
}

impl SftpKeys {
    /// Checks the keys and reads the passphrase. A local inbox needs none of the keys.
    fn read(
        self,
        table: &str,
        is_remote: bool,
        directory: &Path,
    ) -> Result<SftpSettings, ConfigurationError> {
        let at = |key: &str| KeyPath::new(table, key);
        let missing = |key: &str, expected| at(key).error(KeyProblem::Missing { expected });
        let identity = self.identity.map(|path| directory.join(path));
        if is_remote && identity.is_none() {
            return Err(missing(
                "identity",
                "the file of the private key, because the inbox is on an SFTP server",
            ));
        }
        let mut sftp = SftpSettings::new(identity.unwrap_or_default());
        if let Some(reference) = self.passphrase {
            let source = secret_source(&reference, directory)
                .ok_or_else(|| at("passphrase").error(KeyProblem::SecretInConfiguration))?;
            let passphrase = source.read_secret();
            sftp.passphrase = Some(passphrase.map_err(|error| at("passphrase").error(error))?);
        }
        if let Some(seconds) = self.timeout_seconds {
            sftp.timeouts.stall = Duration::from_secs(seconds.max(1));
        }
        let host_keys: Result<Vec<Fingerprint>, _> =
            self.host_keys.iter().map(|text| text.parse()).collect();
        sftp.host_keys = host_keys.map_err(|error| at("host_keys").error(error))?;
        if is_remote && self.known_hosts.is_none() && sftp.host_keys.is_empty() {
            return Err(missing(
                "known_hosts",
                "an OpenSSH known_hosts file, or fingerprints in `host_keys`: cprflow never trusts a server at first \
                 sight",
            ));
        }
        let known_hosts = self.known_hosts.map(|path| directory.join(path));
        sftp.known_hosts = known_hosts.filter(|path| is_to_be_read(path, &sftp.host_keys));
        Ok(sftp)
    }
}

impl FilesTable {
    fn read(self, agreement: &str) -> Result<DeliveryPattern, ConfigurationError> {
        let at = |key: &str| KeyPath::new(&format!("{agreement}.files"), key);
        let is_task =
            |number: &String| number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit());
        if !self.task_numbers.iter().all(is_task) {
            return Err(at("task_numbers").error(KeyProblem::Invalid {
                expected: "a list of numbers of six digits in quotes".to_owned(),
            }));
        }
        let name = self
            .name
            .as_deref()
            .map(DeliveryPattern::pattern)
            .transpose();
        Ok(DeliveryPattern {
            name: name.map_err(|error| at("name").error(error))?,
            task_numbers: self.task_numbers,
            sender: self.sender,
            recipient: self.recipient,
        })
    }
}

impl RoutingTable {
    fn read(self, agreement: &str) -> Result<Routing, ConfigurationError> {
        let at = |key: &str| KeyPath::new(&format!("{agreement}.routing"), key);
        let authority = |number: Option<String>, key: &str| {
            let read = number.map(|number| {
                authority(&number).ok_or_else(|| {
                    at(key).error(KeyProblem::Invalid {
                        expected: "a company number (CVR) of eight digits in quotes".to_owned(),
                    })
                })
            });
            read.transpose()
        };
        let system = self
            .sender_it_system
            .map(|text| uuid(&text, at("sender_it_system")))
            .transpose()?;
        Ok(Routing {
            sender_it_system: system.map(|uuid| uuid.as_str().to_owned()),
            sender_authority: authority(self.sender_authority, "sender_authority")?,
            recipient_authority: authority(self.recipient_authority, "recipient_authority")?,
        })
    }
}

fn record_types(types: Vec<String>, at: KeyPath) -> Result<Vec<String>, ConfigurationError> {
    let is_type = |text: &String| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    match types.iter().all(is_type) {
        true => Ok(types),
        false => Err(at.error(KeyProblem::Invalid {
            expected: "a list of record types of three digits in quotes".to_owned(),
        })),
    }
}

fn accepted_findings(codes: Vec<String>, at: KeyPath) -> Result<Vec<String>, ConfigurationError> {
    let is_unknown = |code: &&String| !ACCEPTABLE.contains(&code.as_str());
    match codes.iter().find(is_unknown) {
        Some(code) => Err(at.error(KeyProblem::UnknownFinding {
            code: redact(code, MAX_CODE_CHARS),
        })),
        None => Ok(codes),
    }
}
