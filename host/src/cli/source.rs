//! Which inboxes and which dataset: from a configuration, or from the command line.

use std::path::PathBuf;

use clap::Args;
use cprflow::config::{self, Configuration, Quick};
use cprflow::transport::SftpSettings;

use super::Failure;

/// Where deliveries come from and where they go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where from, where to")]
pub(crate) struct Source {
    /// The configuration; `cprflow init` writes one
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG", conflicts_with_all = ["inbox", "dataset"])]
    config: Option<PathBuf>,

    /// Only this agreement of the configuration
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,

    /// The inbox, without a configuration: a directory, or sftp://user@host[:port]/path
    #[arg(long, value_name = "DIR|URL", requires = "dataset")]
    inbox: Option<String>,

    /// The dataset, without a configuration
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,

    /// The private key for the SFTP server
    #[arg(long, value_name = "FILE", requires = "inbox")]
    identity: Option<PathBuf>,

    /// A file with the private key's passphrase
    #[arg(long, value_name = "FILE", requires = "identity")]
    passphrase_file: Option<PathBuf>,

    /// An OpenSSH known_hosts file with the server's key
    ///
    /// Without it and without --host-key, what the server shows is told, to be compared, and nothing is sent to it.
    #[arg(long, value_name = "FILE", requires = "inbox")]
    known_hosts: Option<PathBuf>,

    /// The fingerprint of the server's key; may be given more than once
    #[arg(long, value_name = "SHA256:…", requires = "inbox")]
    host_key: Vec<String>,

    /// Seconds without any progress after which a connection is given up
    #[arg(long, value_name = "SECONDS", requires = "inbox", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,

    /// Where the ledger and the spool are
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Source {
    /// The configuration that this asks for.
    pub(crate) fn configuration(&self) -> Result<Configuration, Failure> {
        let mut configuration = match (&self.config, &self.inbox, &self.dataset) {
            (Some(path), _, _) => Configuration::from_file(path)?,
            (None, Some(inbox), Some(dataset)) => self.quick(inbox, dataset)?,
            _ => {
                return Err(Failure::Usage(
                    "which inbox, and which dataset? Give --inbox and --dataset, or --config (`cprflow init` \
                     writes one)"
                        .to_owned(),
                ));
            }
        };
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        if let Some(name) = &self.agreement
            && !configuration.only(name)
        {
            let names: Vec<_> = configuration
                .agreements()
                .map(|a| a.name.as_str())
                .collect();
            return Err(Failure::Usage(format!(
                "there is no agreement {name:?} in the configuration; there are: {}",
                names.join(", ")
            )));
        }
        Ok(configuration)
    }

    fn quick(&self, inbox: &str, dataset: &std::path::Path) -> Result<Configuration, Failure> {
        let here = std::env::current_dir()?;
        let inbox =
            config::inbox(inbox, &here).map_err(|error| Failure::Usage(error.to_string()))?;
        if config::is_remote(&inbox) && self.identity.is_none() {
            return Err(Failure::Usage(
                "an SFTP inbox needs --identity, the file of the private key".to_owned(),
            ));
        }
        let host_keys: Result<Vec<_>, _> = self.host_key.iter().map(|text| text.parse()).collect();
        // A directory needs none.
        let mut sftp = SftpSettings::new(self.identity.clone().unwrap_or_default());
        if let Some(path) = &self.passphrase_file {
            sftp.passphrase = Some(config::secret_file(path)?);
        }
        if let Some(seconds) = self.timeout {
            sftp.timeouts.stall = std::time::Duration::from_secs(seconds);
        }
        sftp.host_keys =
            host_keys.map_err(|error| Failure::Usage(format!("--host-key: {error}")))?;
        // With nothing known, no server is trusted, and what it shows is told.
        let known_hosts = self.known_hosts.clone();
        sftp.known_hosts = known_hosts.filter(|path| config::is_to_be_read(path, &sftp.host_keys));
        Ok(Configuration::quick(Quick {
            inbox,
            sftp,
            dataset: dataset.to_owned(),
        })?)
    }
}
