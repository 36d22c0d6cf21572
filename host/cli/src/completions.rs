//! `cprflow completions`: prints a completion script.

use std::io::Write;

use clap::{Args, Command};

use crate::failure::{Failure, Outcome};

/// Print a completion script for a shell
///
/// zsh looks only into the directories of `fpath`: add `fpath+=~/.zfunc` to ~/.zshrc, before `compinit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions ~/.config/fish/completions ~/.zfunc
  cprflow completions bash > ~/.local/share/bash-completion/completions/cprflow
  cprflow completions fish > ~/.config/fish/completions/cprflow.fish
  cprflow completions zsh > ~/.zfunc/_cprflow")]
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
