//! The commented configuration that `cprflow init` writes.

use crate::names::Environment;

/// Returns a commented configuration for an environment of Serviceplatformen.
///
/// A comment starts with `# `. A key or table that is not in use starts with `#` alone.
pub fn template(environment: Environment) -> String {
    let host = match environment {
        Environment::Test => "sftpexttest.serviceplatformen.dk",
        Environment::Production => "sftp.serviceplatformen.dk",
    };
    TEMPLATE
        .replace("{environment}", environment.name())
        .replace("{host}", host)
}

const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::{Configuration, DEFAULT_MAX_AGE_DAYS, file::read};
    use crate::tenant::TenantLimits;

    const ENVIRONMENTS: [Environment; 2] = [Environment::Test, Environment::Production];

    /// Returns whether a line is a key or a table that is not in use.
    fn is_unused(line: &str) -> bool {
        line.starts_with('#') && line.len() > 1 && !line.starts_with("# ")
    }

    /// Uncomments all keys and tables, except lines that start with one of these texts. In their place, `#` is written.
    fn uncommented(environment: Environment, except: &[&str]) -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(text) if except.iter().any(|start| text.starts_with(start)) => "#".to_owned(),
            Some(text) if is_unused(line) => text.to_owned(),
            _ => line.to_owned(),
        };
        let text = template(environment);
        text.lines().map(|one| line(one) + "\n").collect()
    }

    /// Reads a configuration in a new directory that has the passphrase file, which is read with it.
    fn read_with_files(text: &str) -> Configuration {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let passphrase = directory.path().join("sftp_key.passphrase");
        std::fs::write(&passphrase, "secret").unwrap();
        std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
        // A state directory of this machine must have no influence on the test.
        let text = text.replace("/var/lib/cprflow", "state");
        read(&text, directory.path()).unwrap()
    }

    // Alternatives that exclude each other. Each test leaves out one of two.
    const PEM: [&str; 2] = ["certificate = ", "key = \"client"];
    const PKCS12: [&str; 2] = ["pkcs12 = ", "password = "];
    const KEEP_NUMBERS: [&str; 2] = ["numbers = \"pseudonym\"", "key = { file"];
    const PSEUDONYMS: [&str; 1] = ["numbers = \"keep\""];
    const SECRETS_IN_FILES: [&str; 2] = ["passphrase = { env", "password = { env"];

    #[test]
    fn the_template_is_valid_as_it_is() {
        for environment in ENVIRONMENTS {
            let text = template(environment);
            let configuration = read(&text, Path::new("/etc")).unwrap();
            let agreement = configuration.agreements().next().unwrap();
            assert_eq!(agreement.environment, Some(environment));
            assert!(configuration.tenants().is_empty());
        }
    }

    #[test]
    fn the_template_is_valid_with_every_key_in_use() {
        for environment in ENVIRONMENTS {
            let except = [&PKCS12[..], &PSEUDONYMS, &SECRETS_IN_FILES].concat();
            let configuration = read_with_files(&uncommented(environment, &except));
            let agreement = configuration.agreements().next().unwrap();
            assert_eq!(agreement.environment, Some(environment));
            assert_eq!(agreement.sftp.host_keys.len(), 1);
            assert!(agreement.sftp.passphrase.is_some());
            assert!(agreement.service.is_some() && agreement.subscription.is_some());
            let tenant = configuration.tenant("schools").unwrap();
            assert!(tenant.key.is_some() && tenant.church_purpose.is_some());
            assert!(tenant.numbers.is_some());
            assert_eq!(tenant.rules.columns.len(), 1);
            assert_eq!(tenant.rules.rows.len(), 1);
        }
    }

    #[test]
    fn the_template_is_valid_with_the_other_alternatives() {
        let except = [&PEM[..], &KEEP_NUMBERS, &SECRETS_IN_FILES].concat();
        let configuration = read_with_files(&uncommented(Environment::Test, &except));
        let tenant = configuration.tenant("schools").unwrap();
        assert!(tenant.key.is_none());
        // Secrets in the environment: PATH is always set.
        let except = [
            &PEM[..],
            &KEEP_NUMBERS,
            &["passphrase = { file", "password = { file"],
        ]
        .concat();
        let text = uncommented(Environment::Test, &except).replace("CPRFLOW_PASSPHRASE", "PATH");
        let configuration = read_with_files(&text);
        let agreement = configuration.agreements().next().unwrap();
        assert!(agreement.sftp.passphrase.is_some());
    }

    /// The errors for an unknown key list all keys that the code reads.
    #[test]
    fn the_template_has_every_key() {
        let text = uncommented(Environment::Test, &[]);
        let tables = text.lines().filter_map(|line| line.strip_prefix('['));
        let tables = tables.flat_map(|line| line.trim_end_matches(']').split('.'));
        let keys = text.lines().filter_map(|line| line.split_once(" = "));
        let keys: BTreeSet<_> = keys.map(|(key, _)| key).chain(tables).collect();
        let agreement = "dataset = \"d\"\n[agreement.a]\ninbox = \"in\"\n";
        let tenant = "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"t\"\n";
        for text in [
            "unknown = 1",
            "[agreement.a]\nunknown = 1",
            "[agreement.a.files]\nunknown = 1",
            "[agreement.a.routing]\nunknown = 1",
            "[agreement.a.service]\nunknown = 1",
            "[agreement.a.subscription]\nunknown = 1",
            &format!("{agreement}{tenant}unknown = 1"),
            &format!("{agreement}{tenant}persons = {{ unknown = 1 }}"),
            &format!("{agreement}{tenant}limits = {{ unknown = 1 }}"),
        ] {
            assert_known(text, &keys);
        }
    }

    /// Reads a text with an unknown key, and checks that the template has all keys that the error lists.
    fn assert_known(text: &str, keys: &BTreeSet<&str>) {
        let error = read(text, Path::new("/etc")).unwrap_err().to_string();
        let known = error
            .split("expected one of ")
            .nth(1)
            .or(error.split("there are ").nth(1));
        let known = known.unwrap_or_else(|| panic!("{text}: {error}"));
        for key in known.split(", ").map(|key| key.trim_matches('`')) {
            assert!(keys.contains(key), "{key} is not in the template: {error}");
        }
    }

    #[test]
    fn the_template_shows_the_defaults() {
        let except = [&PKCS12[..], &PSEUDONYMS, &SECRETS_IN_FILES].concat();
        let all = read_with_files(&uncommented(Environment::Test, &except));
        let defaults = read(&template(Environment::Test), Path::new("/etc")).unwrap();
        assert_eq!(all.interval, defaults.interval);
        assert_eq!(all.retention_days, defaults.retention_days);
        assert_eq!(all.silent_working_days, defaults.silent_working_days);
        assert_eq!(all.stores[0].max_age_days, DEFAULT_MAX_AGE_DAYS);
        assert_eq!(all.stores[0].threads, defaults.stores[0].threads);
        let timeouts = |configuration: &Configuration| {
            let agreement = configuration.agreements().next().unwrap();
            agreement.sftp.timeouts.stall
        };
        assert_eq!(timeouts(&all), timeouts(&defaults));
        let tenant = all.tenant("schools").unwrap();
        assert_eq!(tenant.limits, TenantLimits::default());
    }
}
