//! The TOML file: what may stand in it, and what is wrong when something else does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cprflow_connector::{holds_number, scrub};
use serde::Deserialize;

use super::service::{ServiceEntry, SubscriptionEntry};
use super::{
    Configuration, DEFAULT_INTERVAL, DEFAULT_MAX_AGE_DAYS, DEFAULT_RETENTION_DAYS,
    DEFAULT_SILENT_WORKING_DAYS, check_purpose, inbox, is_remote, is_to_be_read, secret_file,
    stores, tenant,
};
use crate::agreement::{Agreement, AgreementName, Environment, FileMarks};
use crate::transport::{Fingerprint, Secret, SftpSettings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    dataset: Option<PathBuf>,
    state: Option<PathBuf>,
    #[serde(default)]
    interval_minutes: Option<u32>,
    max_age_days: Option<u32>,
    retention_days: Option<u32>,
    silent_working_days: Option<u32>,
    #[serde(default)]
    agreement: BTreeMap<String, Entry>,
    /// Read by hand: serde's errors would repeat what stands there, and name no tenant.
    #[serde(default)]
    tenant: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    controller: Option<String>,
    environment: Option<Environment>,
    inbox: String,
    identity: Option<PathBuf>,
    /// Read by hand: serde's errors repeat the value, and somebody may have written the secret itself here.
    passphrase: Option<toml::Value>,
    known_hosts: Option<PathBuf>,
    #[serde(default)]
    host_keys: Vec<String>,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    files: Files,
    record_types: Option<Vec<String>>,
    #[serde(default)]
    accept: Vec<String>,
    dataset: Option<PathBuf>,
    unrestricted: Option<String>,
    service: Option<ServiceEntry>,
    subscription: Option<SubscriptionEntry>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    name: Option<String>,
    #[serde(default)]
    task_numbers: Vec<String>,
    sender: Option<String>,
    recipient: Option<String>,
}

/// Reads a configuration; relative paths in it start at `directory`. An error says what is wrong and where.
pub(super) fn read(text: &str, directory: &Path) -> Result<Configuration, String> {
    let top: Top = toml::from_str(text).map_err(|error| toml_error(text, &error))?;
    if top.agreement.is_empty() {
        return Err(
            "there is no agreement in it: add an [agreement.NAME] (see `cprflow init`)".to_owned(),
        );
    }
    let mut agreements = Vec::new();
    for (name, entry) in top.agreement {
        if holds_number(&name) {
            return Err(
                "the name of an agreement becomes a directory and stands in logs, and one of them can be a person \
                 number: name it otherwise"
                    .to_owned(),
            );
        }
        let agreement = agreement(&name, entry, top.dataset.as_deref(), directory);
        agreements.push(agreement.map_err(|what| format!("agreement {name}: {what}"))?);
    }
    let tenants = tenant::read(top.tenant, &agreements, directory)?;
    let state = top.state.map(|state| directory.join(state));
    let max_age_days = top.max_age_days.unwrap_or(DEFAULT_MAX_AGE_DAYS);
    let stores = stores(agreements, &tenants, state.as_deref(), max_age_days);
    Ok(Configuration {
        stores: stores.map_err(|error| error.to_string())?,
        interval: match top.interval_minutes {
            Some(0) => return Err("interval_minutes must be at least 1".to_owned()),
            Some(minutes) => Duration::from_secs(u64::from(minutes) * 60),
            None => DEFAULT_INTERVAL,
        },
        retention_days: top.retention_days.unwrap_or(DEFAULT_RETENTION_DAYS),
        silent_working_days: top
            .silent_working_days
            .unwrap_or(DEFAULT_SILENT_WORKING_DAYS),
    })
}

fn agreement(
    name: &str,
    entry: Entry,
    dataset: Option<&Path>,
    directory: &Path,
) -> Result<Agreement, String> {
    let name = AgreementName::new(name).ok_or(
        "a name has 1 to 64 small letters, digits, - and _: it becomes a directory of the dataset",
    )?;
    let inbox = inbox(&entry.inbox, directory).map_err(|error| error.to_string())?;
    let identity = entry.identity.map(|path| directory.join(path));
    if is_remote(&inbox) && identity.is_none() {
        return Err("an SFTP inbox needs `identity`, the file of the private key".to_owned());
    }
    let host_keys: Result<Vec<Fingerprint>, _> =
        entry.host_keys.iter().map(|text| text.parse()).collect();
    // A directory needs none.
    let mut sftp = SftpSettings::new(identity.unwrap_or_default());
    sftp.passphrase = entry
        .passphrase
        .map(|reference| secret(&reference, directory))
        .transpose()?;
    if let Some(seconds) = entry.timeout_seconds {
        sftp.timeouts.stall = Duration::from_secs(seconds.max(1));
    }
    sftp.known_hosts = entry.known_hosts.map(|path| directory.join(path));
    sftp.host_keys = host_keys.map_err(|error| format!("host_keys: {error}"))?;
    if is_remote(&inbox) && sftp.known_hosts.is_none() && sftp.host_keys.is_empty() {
        return Err(
            "an SFTP inbox needs `known_hosts` or `host_keys`: a server is never trusted at first sight"
                .to_owned(),
        );
    }
    let host_keys = &sftp.host_keys;
    sftp.known_hosts = sftp
        .known_hosts
        .take()
        .filter(|path| is_to_be_read(path, host_keys));
    let dataset = entry
        .dataset
        .as_deref()
        .or(dataset)
        .ok_or("name a `dataset`, here or for all agreements at the top of the file")?;
    if let Some(purpose) = &entry.unrestricted {
        check_purpose(purpose).map_err(|what| format!("unrestricted: {what}"))?;
    }
    let service = entry.service.map(|service| {
        let purpose = entry.unrestricted.as_deref();
        service.read(entry.environment, purpose, directory)
    });
    let subscription = entry
        .subscription
        .map(|subscription| subscription.read(directory));
    Ok(Agreement {
        name,
        controller: entry.controller,
        environment: entry.environment,
        inbox,
        sftp,
        files: marks(entry.files)?,
        record_types: entry.record_types.map(record_types).transpose()?,
        accept: accept(entry.accept)?,
        dataset: directory.join(dataset),
        unrestricted: entry.unrestricted,
        service: service.transpose()?,
        subscription: subscription.transpose()?,
    })
}

/// What is wrong and where; never the line itself or a value of it, for a secret may stand there.
fn toml_error(text: &str, error: &toml::de::Error) -> String {
    let message = without_value(error.message());
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}

/// What serde says, without the value that it quotes, and without anything that can be a person number.
fn without_value(message: &str) -> String {
    let quoting = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
    ];
    let kind = quoting.into_iter().find(|kind| message.starts_with(kind));
    let expected = message
        .rfind(", expected ")
        .and_then(|at| message.get(at..));
    match kind {
        Some(kind) => format!("{kind}{}", expected.unwrap_or_default()),
        None => scrub(message, 300),
    }
}

/// Where a secret is: `{ file = "…" }` or `{ env = "…" }`. It never stands in the configuration itself.
fn secret(reference: &toml::Value, directory: &Path) -> Result<Secret, String> {
    let text = |key: &str| reference.get(key).and_then(toml::Value::as_str);
    match (text("file"), text("env")) {
        (Some(path), None) => {
            secret_file(&directory.join(path)).map_err(|error| format!("passphrase: {error}"))
        }
        (None, Some(variable)) => match std::env::var(variable) {
            Ok(secret) => Ok(Secret::new(secret)),
            Err(_) => Err(format!("passphrase: the environment has no {variable}")),
        },
        _ => Err(
            "passphrase: say where it is, { file = \"…\" } or { env = \"…\" }; a secret does not stand in the \
             configuration"
                .to_owned(),
        ),
    }
}

fn marks(files: Files) -> Result<FileMarks, String> {
    let is_task = |number: &String| number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit());
    if !files.task_numbers.iter().all(is_task) {
        return Err("files.task_numbers: a task number has six digits, in quotes".to_owned());
    }
    let name = files.name.as_deref().map(FileMarks::pattern).transpose();
    Ok(FileMarks {
        name: name.map_err(|error| format!("files.name: {error}"))?,
        task_numbers: files.task_numbers,
        sender: files.sender,
        recipient: files.recipient,
    })
}

fn record_types(types: Vec<String>) -> Result<Vec<String>, String> {
    let is_type = |text: &&String| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    match types.iter().find(|text| !is_type(text)) {
        Some(_) => Err("record_types: a record type has three digits, in quotes".to_owned()),
        None => Ok(types),
    }
}

/// Findings that can be accepted: those that a whole extract can have.
pub const ACCEPTABLE: [&str; 5] = [
    "missing-start",
    "missing-end",
    "count-mismatch",
    "damaged-encoding",
    "records-after-end",
];

fn accept(codes: Vec<String>) -> Result<Vec<String>, String> {
    match codes
        .iter()
        .find(|code| !ACCEPTABLE.contains(&code.as_str()))
    {
        Some(code) => Err(format!(
            "accept: {code:?} is no finding that can be accepted; there are {}",
            ACCEPTABLE.join(", ")
        )),
        None => Ok(codes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_here(text: &str) -> Result<Configuration, String> {
        read(text, Path::new("/etc/cprflow"))
    }

    #[test]
    fn a_whole_configuration() {
        let configuration = read_here(
            r#"
            dataset = "/srv/cpr"
            state = "state"
            interval_minutes = 30

            [agreement.roskilde]
            controller = "Roskilde Kommune"
            environment = "test"
            inbox = "sftp://SYSTEM@sftp.example.org:2222/IN"
            identity = "roskilde_key"
            passphrase = { env = "PATH" }
            host_keys = ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
            files = { name = 'd\d{6}\.l431101', task_numbers = ["431101"] }
            record_types = ["001", "002"]
            accept = ["count-mismatch"]
            unrestricted = "test of the whole"

            [agreement.lejre]
            inbox = "/srv/inbox"
            dataset = "/srv/lejre"
            "#,
        )
        .unwrap();
        assert_eq!(configuration.interval, Duration::from_secs(30 * 60));
        let names: Vec<_> = configuration
            .agreements()
            .map(|a| a.name.as_str())
            .collect();
        assert_eq!(names, ["lejre", "roskilde"]);
        let [lejre, roskilde] = configuration.stores.as_slice() else {
            panic!("two datasets");
        };
        assert!(lejre.state.starts_with("/etc/cprflow/state"));
        assert_ne!(lejre.state, roskilde.state);
        assert_eq!(lejre.others.len(), 1);
        let agreement = &roskilde.agreements[0];
        assert_eq!(
            agreement.sftp.identity,
            Path::new("/etc/cprflow/roskilde_key")
        );
        assert!(
            agreement
                .files
                .name
                .as_ref()
                .unwrap()
                .is_match("d261123.l431101")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let local = "[agreement.a]\ninbox = \"/in\"\n";
        let cases = [
            ("", "no agreement"),
            ("datset = \"/x\"", "unknown field `datset`"),
            (local, "name a `dataset`"),
            (
                "[agreement.A]\ninbox = \"/in\"\ndataset = \"/x\"",
                "small letters",
            ),
            (
                "[agreement.a]\ninbox = \"sftp://u@h/IN\"\ndataset = \"/x\"",
                "needs `identity`",
            ),
            (
                "[agreement.a]\ninbox = \"sftp://u@h/IN\"\nidentity = \"k\"\ndataset = \"/x\"",
                "never trusted at first sight",
            ),
            (
                "[agreement.a]\ninbox = \"sftp://u@h/IN\"\nidentity = \"k\"\nhost_keys = []\npassphrase = \"open\"\n\
                 dataset = \"/x\"",
                "passphrase: say where it is",
            ),
            (
                &format!("{local}dataset = \"/x\"\naccept = [\"lost-track\"]"),
                "lost-track",
            ),
            (
                &format!("{local}dataset = \"/x\"\nfiles = {{ name = \"(\" }}"),
                "files.name",
            ),
            (
                &format!("{local}dataset = \"/x\"\nrecord_types = [\"1\"]"),
                "three digits",
            ),
            (
                &format!(
                    "{local}dataset = \"/x\"\n[agreement.b]\ninbox = \"/in\"\ndataset = \"/x/y\""
                ),
                "lies inside",
            ),
        ];
        let hidden = [
            ("dataset = 3113000001", "line 1: invalid type, expected"),
            ("dataset = [\"open, expected\"]", "line 1: invalid type"),
            (
                "interval_minutes = \"open\"",
                "line 1: invalid type, expected u32",
            ),
            (
                "[agreement.a]\ninbox = \"/in\"\nenvironment = \"open, expected\"",
                "line 3: unknown variant, expected `test` or `production`",
            ),
            ("3113000001 = 1", "unknown field `[number]`"),
            ("[agreement.3113000001]\ninbox = \"/in\"", "person number"),
        ];
        for (text, expected) in cases.into_iter().chain(hidden) {
            let error = read_here(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("3113"), "{error}");
            assert!(
                !error.contains("open"),
                "a secret is never repeated: {error}"
            );
        }
    }
}
