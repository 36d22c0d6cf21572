//! `cprflow compile-component`: the process that compiles a foreign component, with limits on its time and memory.

use std::io;
use std::time::Duration;

use clap::Args;

use crate::failure::{Failure, Outcome};

/// Compile the component on standard input (cprflow runs this itself, for `--component`)
#[derive(Debug, Args)]
pub(crate) struct CompileComponent {
    /// Time limit in milliseconds
    time: u64,

    /// Memory limit in bytes
    memory: u64,
}

impl CompileComponent {
    /// Runs the subcommand.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let time = Duration::from_millis(self.time);
        cprflow::compile_component(time, self.memory, io::stdin(), crate::output::raw_stdout()?)?;
        Ok(Outcome::Success)
    }
}
