//! `cprflow compile-component`: the process in which components that are not ours are compiled.

use std::io;
use std::time::Duration;

use clap::Args;

use super::{Failure, Outcome};

/// Compile the component on standard input into the cache; run by cprflow itself, for components of others
#[derive(Debug, Args)]
pub(crate) struct CompileComponent {
    /// Milliseconds that it may take
    time: u64,

    /// Bytes of memory that it may take
    memory: u64,
}

impl CompileComponent {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let time = Duration::from_millis(self.time);
        cprflow::compile_component(time, self.memory, io::stdin(), io::stdout())?;
        Ok(Outcome::Clean)
    }
}
