//! `cprflow init`: writes a configuration file to start with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cprflow::Error;
use cprflow_delivery::Environment;
use cprflow_delivery::config;

use crate::failure::{Failure, Outcome};
use crate::output::message;
use crate::usage::UsageError;

/// Write a configuration file to start with
///
/// The file explains every key and has the address of the environment's SFTP server. Fill in what depends on your
/// agreement, then check the file with `cprflow doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow init cprflow.toml
  cprflow init --environment test cprflow-test.toml
  cprflow doctor --config cprflow-test.toml")]
pub(crate) struct Init {
    /// The file to write; an existing file is not changed
    #[arg(default_value = "cprflow.toml")]
    file: PathBuf,

    /// The environment of Serviceplatformen
    #[arg(long, value_enum, default_value_t = EnvironmentName::Production)]
    environment: EnvironmentName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EnvironmentName {
    /// exttest: test persons, and no initial loads
    Test,
    /// Real persons
    Production,
}

impl Init {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let environment = match self.environment {
            EnvironmentName::Test => Environment::Test,
            EnvironmentName::Production => Environment::Production,
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file);
        let mut file = match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let path = self.file.clone();
                return Err(UsageError::FileExists { path }.into());
            }
            file => file.map_err(Error::file(&self.file))?,
        };
        file.write_all(config::template(environment).as_bytes())
            .map_err(Error::file(&self.file))?;
        message::done(&format!(
            "wrote {file}. Fill in the missing values, then run `cprflow doctor --config {file}`",
            file = self.file.display()
        ));
        Ok(Outcome::Success)
    }
}
