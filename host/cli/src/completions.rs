//! `cprflow completions`: prints a completion script.

use std::io::Write;

use clap::{Args, Command};

use crate::failure::{Failure, Outcome};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow completions bash > ~/.local/share/bash-completion/completions/cprflow")]
pub(crate) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Runs the subcommand for this command line.
    pub(crate) fn run(&self, mut command: Command) -> Result<Outcome, Failure> {
        // `generate` panics if it cannot write, so it writes to memory.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "cprflow", &mut script);
        crate::output::raw_stdout()?.write_all(&script)?;
        Ok(Outcome::Success)
    }
}
