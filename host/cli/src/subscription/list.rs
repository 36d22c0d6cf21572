//! `cprflow subscription list`: shows the filters.

use std::io::Write;

use clap::Args;
use cprflow::Connector;

use super::render;
use super::target_agreement::TargetOptions;
use crate::failure::{Failure, Outcome};

/// Show the filters of the subscription; person numbers are only counted
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow subscription list --config cprflow.toml")]
pub(super) struct List {
    #[command(flatten)]
    target: TargetOptions,
}

impl List {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.target.choose()?;
        let current = target.client(connector)?.current_filters()?;
        let mut out = crate::output::stdout()?;
        writeln!(out, "{}", target.title())?;
        render::current_filters(&mut out, &current)?;
        render::warn_of_unknown_municipalities(&current.filters);
        target.warn_of_unfinished_reorder()
    }
}
