//! The inboxes and datasets to work on: from a configuration file or from the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use cprflow_delivery::SecretSource;
use cprflow_delivery::config::{self, Configuration, QuickConfiguration};
use cprflow_transport::SftpSettings;

use super::configuration_file;
use crate::failure::Failure;
use crate::usage::UsageError;

/// The options that name inboxes and datasets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Inbox and dataset")]
pub(crate) struct SourceOptions {
    /// The configuration file; `cprflow init` writes one. Default: ./cprflow.toml, if it exists and no
    /// --inbox is given
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG", conflicts_with_all = ["inbox", "dataset"])]
    config: Option<PathBuf>,

    /// Use only this agreement of the configuration
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,

    /// The inbox, if there is no configuration: a directory, or sftp://user@host[:port]/path
    #[arg(long, value_name = "DIR|URL", requires = "dataset")]
    inbox: Option<String>,

    /// The dataset directory, if there is no configuration
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,

    /// The file with the private key for the SFTP server
    #[arg(long, value_name = "FILE", requires = "inbox")]
    identity: Option<PathBuf>,

    /// The file with the passphrase of the private key
    #[arg(long, value_name = "FILE", requires = "identity")]
    passphrase_file: Option<PathBuf>,

    /// The OpenSSH known_hosts file with the key of the SFTP server
    ///
    /// Without --known-hosts and --host-key, cprflow prints the fingerprint of the server's key, so that you can
    /// compare it, and does not log in.
    #[arg(long, value_name = "FILE", requires = "inbox")]
    known_hosts: Option<PathBuf>,

    /// The fingerprint of the SFTP server's key; can be repeated
    #[arg(long, value_name = "SHA256:…", requires = "inbox")]
    host_key: Vec<String>,

    /// Close a connection after this many seconds without progress. Default: 60
    #[arg(long, value_name = "SECONDS", requires = "inbox", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,

    /// The directory with the ledger and the spool
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl SourceOptions {
    /// Reads the configuration file, or makes a configuration from the other options.
    pub(crate) fn configuration(&self) -> Result<Configuration, Failure> {
        let mut configuration = match (&self.inbox, &self.dataset) {
            (Some(inbox), Some(dataset)) => self.without_file(inbox, dataset)?,
            (None, Some(_)) => return Err(UsageError::NoInbox.into()),
            _ => {
                let path = configuration_file(self.config.as_deref());
                Configuration::from_file(path.ok_or(UsageError::NoSource)?)?
            }
        };
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        if let Some(name) = &self.agreement {
            let known = agreement_names(&configuration);
            if !configuration.only(name) {
                return Err(UsageError::UnknownAgreement { known }.into());
            }
        }
        Ok(configuration)
    }

    /// Returns the name of the only agreement to use, if one was named.
    pub(crate) fn agreement(&self) -> Option<&str> {
        self.agreement.as_deref()
    }

    /// Returns whether the inbox is on the command line, so that there is no configuration.
    pub(crate) const fn has_no_file(&self) -> bool {
        self.inbox.is_some()
    }

    fn without_file(&self, inbox: &str, dataset: &Path) -> Result<Configuration, Failure> {
        let working_directory = std::env::current_dir()?;
        let inbox = config::inbox(inbox, &working_directory).map_err(UsageError::Inbox)?;
        if config::is_remote(&inbox) && self.identity.is_none() {
            return Err(UsageError::NoIdentity.into());
        }
        let host_keys: Result<Vec<_>, _> = self.host_key.iter().map(|text| text.parse()).collect();
        // The settings are not used for a directory, which has no key.
        let mut sftp = SftpSettings::new(self.identity.clone().unwrap_or_default());
        if let Some(path) = &self.passphrase_file {
            sftp.passphrase = Some(SecretSource::File(path.clone()).read()?);
        }
        if let Some(seconds) = self.timeout {
            sftp.timeouts.stall = Duration::from_secs(seconds);
        }
        sftp.host_keys = host_keys.map_err(UsageError::HostKey)?;
        // Without a known key no server is trusted, and the error shows the server's fingerprint.
        let known_hosts = self.known_hosts.clone();
        sftp.known_hosts = known_hosts.filter(|path| config::is_to_be_read(path, &sftp.host_keys));
        Ok(Configuration::quick(QuickConfiguration {
            inbox,
            sftp,
            dataset: dataset.to_owned(),
        })?)
    }
}

/// Returns the names of the configuration's agreements, separated by commas.
pub(crate) fn agreement_names(configuration: &Configuration) -> String {
    let names: Vec<_> = configuration
        .agreements()
        .map(|agreement| agreement.name.as_str())
        .collect();
    names.join(", ")
}
