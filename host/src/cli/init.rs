//! `cprflow init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cprflow::{Environment, Error, config};

use super::{Failure, Outcome, say};

/// Write a configuration to begin with
///
/// It is commented, and names the SFTP server of the environment. What only you know is marked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow init cprflow.toml
  cprflow init --environment test cprflow-test.toml && cprflow doctor --config cprflow-test.toml")]
pub(crate) struct Init {
    /// The file; one that is there already is left alone
    #[arg(default_value = "cprflow.toml")]
    file: PathBuf,

    /// For which environment of Serviceplatformen
    #[arg(long, value_enum, default_value_t = Which::Production)]
    environment: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// exttest: test persons, and no initial loads
    Test,
    /// Real persons
    Production,
}

impl Init {
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let environment = match self.environment {
            Which::Test => Environment::Test,
            Which::Production => Environment::Production,
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file);
        let mut file = match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Failure::Usage(format!(
                    "{} is there already, and is left alone: name another file",
                    self.file.display()
                )));
            }
            file => file.map_err(Error::file(&self.file))?,
        };
        file.write_all(config::template(environment).as_bytes())
            .map_err(Error::file(&self.file))?;
        say::done(&format!(
            "{file} is written: fill in what only you know, then run `cprflow doctor --config {file}`",
            file = self.file.display()
        ));
        Ok(Outcome::Clean)
    }
}
