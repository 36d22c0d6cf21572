//! Errors of the configuration: where the mistake is, what is wrong and what to write instead.
//!
//! An error names the file, the table and the key. It does not repeat the value, because it may be a secret or a person
//! number. The exceptions are a finding code, the pattern of a file name and a directory.

use std::path::PathBuf;

use cprflow_redact::redact;
use cprflow_transport::{FingerprintError, InboxError};

use super::accepted::ACCEPTABLE;
use super::tenant::RecordTypeUse;
use crate::fs::SecretError;
use crate::names::AgreementName;
use crate::pnr_list::ListError;
use crate::tenant::PseudonymKeyError;

/// An error of the configuration, or of a file that the configuration names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// A configuration file has an error.
    #[error("{path}: {error}", path = path.display())]
    InFile {
        /// The configuration file.
        path: PathBuf,
        /// The error.
        #[source]
        error: Box<Self>,
    },

    /// The file is not valid TOML, has an unknown key, or has a value of the wrong type.
    #[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Toml {
        /// The line, from 1, if it is known.
        line: Option<usize>,
        /// The parser's message without the value.
        message: String,
    },

    /// The file is not text in UTF-8.
    #[error(
        "{}the file is not UTF-8 but {found}. Save it as UTF-8",
        line.map(|line| format!("line {line}: ")).unwrap_or_default()
    )]
    Encoding {
        /// The line, from 1, if it is known.
        line: Option<usize>,
        /// The encoding of the file.
        found: &'static str,
    },

    /// A table or key has an error.
    #[error("{at}: {problem}")]
    At {
        /// The table and the key.
        at: KeyPath,
        /// What is wrong and what to write instead.
        #[source]
        problem: KeyProblem,
    },

    /// The file has no agreement.
    #[error(
        "the configuration has no agreement. Add a table [agreement.NAME]; `cprflow init` writes an example"
    )]
    NoAgreement,

    /// The file has no tenant.
    #[error(
        "the configuration has no tenant. Add a table [tenant.NAME]; `cprflow init` writes an example"
    )]
    NoTenant,

    /// No tenant has the name that was asked for.
    #[error("the configuration has no tenant {name:?}; there are: {}", known.join(", "))]
    UnknownTenant {
        /// The name that was asked for.
        name: String,
        /// The names of the tenants in the configuration.
        known: Vec<String>,
    },

    /// Neither a purpose nor a tenant permits publishing the data of an agreement.
    #[error(
        "agreement {agreement}: publishing all data of all persons needs a purpose. Add `--unrestricted PURPOSE`, or \
         `unrestricted = \"…\"` to the agreement. To publish less, give each tenant its share with [tenant.NAME]"
    )]
    NoPurpose {
        /// The agreement.
        agreement: AgreementName,
    },

    /// An agreement orders church membership, and all data of all persons is published without a purpose for it.
    #[error(
        "agreement {agreement}: record types 011 and 028 hold church membership, which reveals religious belief (GDPR \
         article 9). Publishing them to everyone who can read the dataset needs a purpose of its own. Add \
         `church = {{ purpose = \"…\" }}` to the agreement, or `--church-purpose PURPOSE`, or take the two record types \
         out of `record_types` if they are not ordered"
    )]
    NoChurchPurpose {
        /// The agreement.
        agreement: AgreementName,
    },

    /// The purpose on the command line is not usable.
    #[error("{option}: {error}")]
    UnrestrictedOption {
        /// The option and its placeholder.
        option: &'static str,
        /// What is wrong.
        #[source]
        error: PurposeError,
    },

    /// Two uses share one directory.
    #[error("{one} and {other} are one directory. Give each its own directory")]
    SameDirectory {
        /// The first use and its path.
        one: String,
        /// The second use and its path.
        other: String,
    },

    /// A directory is inside another one that is in use.
    #[error("{inner} is inside {outer}. Give each its own directory, outside the other")]
    NestedDirectories {
        /// The inner use and its path.
        inner: String,
        /// The outer use and its path.
        outer: String,
    },

    /// There is no default state directory.
    #[error(
        "there is no state directory, because neither XDG_STATE_HOME nor HOME is set to an absolute path. Name a state \
         directory with `--state DIR`"
    )]
    NoStateDirectory,

    /// A tenant's list of person numbers is empty.
    #[error(
        "{path}: the file has no person number, so the tenant would get no person. To give it all persons who meet the \
         other conditions, remove `persons.numbers`", path = path.display()
    )]
    EmptyPnrList {
        /// The list.
        path: PathBuf,
    },

    /// A list of person numbers is refused: that of a tenant, or that of a command.
    #[error("{path}: {error}", path = path.display())]
    PnrList {
        /// The list.
        path: PathBuf,
        /// The reason.
        #[source]
        error: ListError,
    },

    /// A tenant's key for pseudonyms is not usable.
    #[error(transparent)]
    PseudonymKey(PseudonymKeyError),
}

/// The place of a value in the configuration: a table and a key in it.
///
/// It displays as `[tenant.schools.persons] ages`. The table is left out for keys at the top of the file, the key where
/// the table as a whole is meant. A number that can be a person number displays as `[number]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPath {
    table: String,
    key: String,
}

/// The longest name of a table or key that an error repeats, in characters.
const MAX_NAME_CHARS: usize = 200;

impl KeyPath {
    pub(super) fn new(table: &str, key: &str) -> Self {
        Self {
            table: redact(table, MAX_NAME_CHARS),
            key: redact(key, MAX_NAME_CHARS),
        }
    }

    pub(super) fn table(table: &str) -> Self {
        Self::new(table, "")
    }

    /// Returns the error that this key or table has this problem.
    pub(super) fn error(self, problem: impl Into<KeyProblem>) -> ConfigurationError {
        ConfigurationError::At {
            at: self,
            problem: problem.into(),
        }
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.table.as_str(), self.key.as_str()) {
            ("", key) => f.write_str(key),
            (table, "") => write!(f, "[{table}]"),
            (table, key) => write!(f, "[{table}] {key}"),
        }
    }
}

/// What is wrong with a table or key of the configuration, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// A key is missing.
    #[error("the key is missing. Write {expected}")]
    Missing {
        /// The value to write.
        expected: &'static str,
    },

    /// A value has the wrong type or is not one of the permitted values.
    #[error("the value is not valid. Write {expected}")]
    Invalid {
        /// The value to write.
        expected: String,
    },

    /// A filter of the subscription or a condition on persons is not valid.
    #[error("the value is not valid: {rule}")]
    InvalidFilter {
        /// How such a filter is written.
        rule: String,
    },

    /// The table has no such key.
    #[error("there is no such key; there are {}", known.join(", "))]
    UnknownKey {
        /// The keys of the table.
        known: Vec<&'static str>,
    },

    /// The key was replaced by `classes`.
    #[error(
        "the key was replaced by `classes`. Write classes = [\"default\", …] with the classes to show in addition"
    )]
    ReplacedByClasses,

    /// An agreement names a dataset of its own.
    #[error(
        "all agreements of a configuration are published in one dataset, which the key `dataset` at the top of the file \
         names. Remove the key here. For another dataset, write another configuration with a state directory of its own"
    )]
    OneDataset,

    /// The limit was removed.
    #[error("the limit was removed, because cprflow sets it itself. Delete the key")]
    RemovedLimit,

    /// The name of an agreement or tenant is not valid.
    #[error(
        "the name is not valid. Use 1 to 64 small letters, digits, - and _, because the name becomes a directory"
    )]
    Name,

    /// The name of an agreement or tenant can be a person number.
    #[error(
        "the name can be a person number, but it becomes a directory and is written to logs. Choose another name"
    )]
    NameHoldsPersonNumber,

    /// The path of a file has something that can be a person number.
    #[error(
        "the path contains something that can be a person number. Write the person numbers into the file, one per \
         line, and give the file another name"
    )]
    PathHoldsPersonNumber,

    /// A purpose is not usable.
    #[error(transparent)]
    Purpose(#[from] PurposeError),

    /// A tenant names an agreement that does not exist.
    #[error("one of the names is not an agreement of the configuration; there are {}", known.join(", "))]
    UnknownAgreement {
        /// The names of all agreements.
        known: Vec<String>,
    },

    /// A class of personal data does not exist.
    #[error("one of the names is unknown; the known classes are {}", known.join(", "))]
    UnknownClass {
        /// The names that may be written.
        known: Vec<&'static str>,
    },

    /// `classes` names religion.
    #[error(
        "religion cannot be named here. Church membership reveals religious belief (GDPR article 9), so it needs its \
         own purpose: church = {{ purpose = \"…\" }}"
    )]
    ReligionInClasses,

    /// A secret is written in the configuration, or its place is not valid.
    #[error(
        "the configuration must not contain the secret itself. Write {{ file = \"…\" }} or {{ env = \"…\" }}"
    )]
    SecretInConfiguration,

    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),

    /// A tenant has pseudonyms and no key.
    #[error(
        "`numbers = \"pseudonym\"` needs a key. Make one with `openssl rand -hex 32 > FILE` and `chmod 600 FILE`, and \
         write {{ file = \"FILE\" }} or {{ env = \"…\" }}"
    )]
    PseudonymsWithoutKey,

    /// A tenant's key for pseudonyms is in an environment variable and is not usable.
    #[error(transparent)]
    PseudonymKey(PseudonymKeyError),

    /// A tenant has a key and no pseudonyms.
    #[error(
        "the key is used only for `numbers = \"pseudonym\"`, which is not set. Delete one or add the other"
    )]
    KeyWithoutPseudonyms,

    /// A tenant's policy reads a record type that an agreement does not order.
    #[error(
        "the policy {}, but agreement {agreement} does not order record type {}, which {}. Order it and add it to \
         `record_types` of the agreement, or {}", needed.usage, needed.record_type, needed.contents, needed.instead
    )]
    RecordTypeNotOrdered {
        /// What the policy reads from the record type.
        needed: &'static RecordTypeUse,
        /// The agreement.
        agreement: AgreementName,
    },

    /// The inbox is not a directory or an SFTP address.
    #[error(transparent)]
    Inbox(#[from] InboxError),

    /// A fingerprint of the server's key is not valid.
    #[error(transparent)]
    HostKey(#[from] FingerprintError),

    /// A pattern for file names is not a regular expression.
    #[error("the regular expression is not valid: {0}")]
    Pattern(#[from] regex::Error),

    /// A finding code does not exist, or its finding cannot be accepted.
    #[error("{code:?} is not a finding that can be accepted; expected one of {}", ACCEPTABLE.join(", "))]
    UnknownFinding {
        /// The code as written.
        code: String,
    },

    /// The address of the service belongs to another environment than the agreement.
    #[error(
        "the address belongs to the {actual} environment, but the agreement has environment = {declared:?}. Delete the \
         address or correct the environment"
    )]
    OtherEnvironment {
        /// The environment of the address.
        actual: &'static str,
        /// The environment of the agreement.
        declared: &'static str,
    },

    /// A client certificate is not named completely.
    #[error(
        "the client certificate is missing or incomplete. Write either `certificate` and `key` (PEM), or `pkcs12` and \
         `password`"
    )]
    NoCertificate,
}

/// A purpose or a legal basis that cannot be used. Both are kept in manifests and audit logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PurposeError {
    /// The purpose is empty.
    #[error("the purpose is empty. Write in words what the data is used for")]
    Empty,

    /// The purpose has something that can be a person number.
    #[error(
        "the purpose contains something that can be a person number, and it is kept in manifests and logs. Write it \
         without the number"
    )]
    HoldsPersonNumber,

    /// The legal basis is empty.
    #[error("the legal basis is empty. Name the act and the section, or delete the key")]
    EmptyLegalBasis,

    /// The legal basis has something that can be a person number.
    #[error(
        "the legal basis contains something that can be a person number, and it is kept in manifests and logs. Write \
         it without the number"
    )]
    LegalBasisHoldsPersonNumber,
}
