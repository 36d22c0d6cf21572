//! The top of the TOML file. Errors never repeat a value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cprflow_redact::redact;
use serde::Deserialize;

use super::agreement::AgreementTable;
use super::error::{ConfigurationError, KeyPath, KeyProblem};
use super::{
    Configuration, DEFAULT_INTERVAL, DEFAULT_MAX_AGE_DAYS, DEFAULT_RETENTION_DAYS,
    DEFAULT_SILENT_WORKING_DAYS, publish, store, tenant,
};
use crate::agreement::Agreement;
use crate::error::Error;
use crate::names::AgreementName;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigurationFile {
    dataset: Option<PathBuf>,
    state: Option<PathBuf>,
    interval_minutes: Option<u32>,
    max_age_days: Option<u32>,
    retention_days: Option<u32>,
    silent_working_days: Option<u32>,
    publish: Option<Vec<String>>,
    keep_deliveries: Option<String>,
    threads: Option<u16>,
    #[serde(default)]
    ended_agreements: Vec<String>,
    #[serde(default)]
    agreement: BTreeMap<String, AgreementTable>,
    /// Not read by serde, whose errors repeat the value and do not name the tenant.
    #[serde(default)]
    tenant: BTreeMap<String, toml::Value>,
}

/// Returns the text of a file, without the byte order mark that some editors write.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ConfigurationError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(ConfigurationError::Encoding {
            line: None,
            found: "UTF-16",
        });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigurationError::Encoding {
            line: Some(line),
            found: "another encoding, for example ISO-8859-1",
        }
    })
}

/// Reads a configuration. Relative paths in it start at `directory`.
pub(super) fn read(text: &str, directory: &Path) -> Result<Configuration, Error> {
    let file: ConfigurationFile = toml::from_str(text).map_err(|error| toml_error(text, &error))?;
    if file.agreement.is_empty() {
        return Err(ConfigurationError::NoAgreement.into());
    }
    let mut agreements = Vec::new();
    for (name, table) in file.agreement {
        agreements.push(table.read(&name, directory)?);
    }
    let dataset = file.dataset.ok_or_else(|| {
        KeyPath::new("", "dataset").error(KeyProblem::Missing {
            expected: "the directory in which deliveries are published",
        })
    })?;
    let tenants = tenant::read(file.tenant, &agreements, directory)?;
    let ended = ended_agreements(&file.ended_agreements, &agreements)?;
    let state = file.state.map(|state| directory.join(state));
    let max_age_days = file.max_age_days.unwrap_or(DEFAULT_MAX_AGE_DAYS);
    let dataset = directory.join(dataset);
    let mut stores = store::group(
        &dataset,
        agreements,
        &tenants,
        state.as_deref(),
        max_age_days,
    )?;
    let publish = publish::publish(file.publish)?;
    let retention = publish::retention(file.keep_deliveries.as_deref())?;
    for store in &mut stores {
        store.ended.clone_from(&ended);
        store.publish = publish;
        store.retention = retention;
        store.threads = file.threads.unwrap_or_default().into();
    }
    Ok(Configuration {
        stores,
        interval: match file.interval_minutes {
            Some(0) => {
                let expected = "a whole number of at least 1".to_owned();
                let at = KeyPath::new("", "interval_minutes");
                return Err(at.error(KeyProblem::Invalid { expected }).into());
            }
            Some(minutes) => Duration::from_secs(u64::from(minutes) * 60),
            None => DEFAULT_INTERVAL,
        },
        retention_days: file.retention_days.unwrap_or(DEFAULT_RETENTION_DAYS),
        silent_working_days: file
            .silent_working_days
            .unwrap_or(DEFAULT_SILENT_WORKING_DAYS),
    })
}

/// Reads `ended_agreements`. An agreement that still has a table has not ended.
fn ended_agreements(
    names: &[String],
    agreements: &[Agreement],
) -> Result<Vec<AgreementName>, ConfigurationError> {
    let is_current = |name: &AgreementName| agreements.iter().any(|one| one.name == *name);
    let read = |text: &String| AgreementName::new(text).filter(|name| !is_current(name));
    let ended: Option<Vec<_>> = names.iter().map(read).collect();
    ended.ok_or_else(|| {
        KeyPath::new("", "ended_agreements").error(KeyProblem::Invalid {
            expected: "a list of names of agreements that have no table in this file any more"
                .to_owned(),
        })
    })
}

/// Returns the parser's error with its line, but without the text of the line, which may be a secret.
fn toml_error(text: &str, error: &toml::de::Error) -> ConfigurationError {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count() + 1);
    let message = without_value(error.message());
    let advice = match message.contains("escape") {
        true => {
            ". In double quotes a backslash begins an escape: write the value in single quotes, like 'C:\\inbox'"
        }
        false => "",
    };
    let key = line.and_then(|line| key_at(text, line));
    let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
    ConfigurationError::Toml {
        line,
        message: format!("{key}{message}{advice}"),
    }
}

/// Returns the key in a line of TOML, with its table, if the line has one: `[agreement.odense] inbox`.
fn key_at(text: &str, line: usize) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let (key, _) = text.lines().nth(line.checked_sub(1)?)?.split_once('=')?;
    let key = key.trim();
    let table = text
        .lines()
        .take(line)
        .filter(|line| line.trim_start().starts_with('['));
    let table = table.last().unwrap_or_default().trim();
    let full = format!("{table} {key}");
    let is_shown = !key.is_empty() && key.chars().all(is_name);
    // A table can be named by a person number.
    is_shown.then(|| redact(full.trim(), MAX_MESSAGE_CHARS))
}

/// The longest message of the parser that an error repeats, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// Removes the value that a message of serde quotes, and everything that can be a person number.
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
        None => redact(message, MAX_MESSAGE_CHARS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_here(text: &str) -> Result<Configuration, Error> {
        read(text, Path::new("/etc/cprflow"))
    }

    #[test]
    fn reads_agreements() {
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
            unrestricted = "test of everything"

            [agreement.lejre]
            inbox = "/srv/inbox"
            "#,
        )
        .unwrap();
        assert_eq!(configuration.interval, Duration::from_secs(30 * 60));
        let names: Vec<_> = configuration
            .agreements()
            .map(|a| a.name.as_str())
            .collect();
        assert_eq!(names, ["lejre", "roskilde"]);
        let [store] = configuration.stores.as_slice() else {
            panic!("one dataset");
        };
        assert_eq!(store.dataset, Path::new("/srv/cpr"));
        assert_eq!(store.state, Path::new("/etc/cprflow/state"));
        assert_eq!(store.others.len(), 0);
        let agreement = &store.agreements[1];
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
    fn reads_ended_agreements() {
        let read_ended = |ended: &str| {
            let text = format!(
                "dataset = \"/x\"\nended_agreements = {ended}\n[agreement.a]\ninbox = \"/in\"\n"
            );
            read_here(&text)
        };
        let configuration = read_ended("[\"b\", \"c\"]").unwrap();
        let ended: Vec<_> = configuration.stores[0].ended.iter().collect();
        assert_eq!(
            ended,
            [
                &AgreementName::new("b").unwrap(),
                &AgreementName::new("c").unwrap()
            ]
        );
        for wrong in ["[\"a\"]", "[\"B\"]", "[\"0101801234/\"]"] {
            let error = read_ended(wrong).unwrap_err().to_string();
            assert!(error.contains("ended_agreements: "), "{error}");
            assert!(!error.contains("0101"), "{error}");
        }
    }

    #[test]
    fn errors_name_the_key_and_never_repeat_a_value() {
        let local = "[agreement.a]\ninbox = \"/in\"\n";
        let cases = [
            ("", "no agreement"),
            ("datset = \"/x\"", "unknown field `datset`"),
            (local, "dataset: the key is missing"),
            (
                "dataset = \"/x\"\n[agreement.A]\ninbox = \"/in\"",
                "small letters",
            ),
            (
                "[agreement.a]\ninbox = \"sftp://u@h/IN\"",
                "[agreement.a] identity: the key is missing",
            ),
            (
                "[agreement.a]\ninbox = \"sftp://u@h/IN\"\nidentity = \"k\"",
                "never trusts a server at first sight",
            ),
            (
                "[agreement.a]\ninbox = \"sftp://u@h/IN\"\nidentity = \"k\"\nhost_keys = []\npassphrase = \"open\"",
                "[agreement.a] passphrase: the configuration must not contain the secret",
            ),
            (&format!("{local}accept = [\"lost-track\"]"), "lost-track"),
            (
                &format!("{local}files = {{ name = \"(\" }}"),
                "[agreement.a.files] name: the regular expression",
            ),
            (&format!("{local}record_types = [\"1\"]"), "three digits"),
            (
                &format!("{local}dataset = \"/x\""),
                "[agreement.a] dataset: all agreements of a configuration are published in one dataset",
            ),
        ];
        let hidden = [
            (
                "dataset = 3113000001",
                "line 1: dataset: invalid type, expected",
            ),
            (
                "dataset = [\"open, expected\"]",
                "line 1: dataset: invalid type",
            ),
            (
                "interval_minutes = \"open\"",
                "line 1: interval_minutes: invalid type, expected u32",
            ),
            (
                "[agreement.a]\ninbox = \"/in\"\nenvironment = \"open, expected\"",
                "line 3: [agreement.a] environment: unknown variant, expected `test` or `production`",
            ),
            ("3113000001 = 1", "unknown field `[number]`"),
            ("[agreement.3113000001]\ninbox = \"/in\"", "person number"),
        ];
        for (text, expected) in cases.into_iter().chain(hidden) {
            let error = read_here(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("3113"), "{error}");
            assert!(
                !error.contains("open"),
                "a secret is never repeated: {error}"
            );
        }
    }
}
