//! `cprflow man`: writes the manual pages.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use cprflow::Error;

use crate::failure::{Failure, Outcome};

/// Write the manual pages into a directory
///
/// There is one page for cprflow and one for each subcommand.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The directory, which is created if it does not exist. Pages of the same name are replaced
    directory: PathBuf,
}

impl Man {
    /// Runs the subcommand.
    pub(crate) fn run(&self, command: Command) -> Result<Outcome, Failure> {
        fs::create_dir_all(&self.directory).map_err(Error::file(&self.directory))?;
        clap_mangen::generate_to(command, &self.directory).map_err(Error::file(&self.directory))?;
        Ok(Outcome::Success)
    }
}
