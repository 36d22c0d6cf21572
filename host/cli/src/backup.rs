//! `cprflow backup`: backs up the state directory.

use std::path::PathBuf;

use clap::Args;
use cprflow_delivery::calendar;
use indicatif::HumanCount;

use crate::failure::{Failure, Outcome};
use crate::options::ConfigurationOption;
use crate::output::{Sink, message};

/// Back up the state directory: the register, the ledger, lists and keys of hashes
///
/// The current tables and deliveries are made from it, so they are not in the backup; neither are the configuration, the keys
/// of tenants and other secrets. No run can start until the backup is written.
///
/// The backup has persons' records. Encrypt it if it leaves the machine, and keep it no longer than you need:
/// persons who are erased later are still in it.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  written
  2  failed

Examples:
  cprflow backup -o /backup/cprflow.tar --config cprflow.toml
  cprflow backup --config cprflow.toml | age -r KEY > cprflow.tar.age")]
pub(crate) struct Backup {
    /// The file to write. Only its owner can read it. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    configuration: ConfigurationOption,
}

impl Backup {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let mut sink = Sink::open(self.output.as_deref(), self.force)?;
        let summary =
            cprflow_delivery::backup::back_up(&configuration, &mut sink, calendar::now())?;
        sink.finish()?;
        for store in &summary.stores {
            message::done(&format!(
                "backed up {} extracts of {}; the newest is of {}",
                HumanCount(store.extracts),
                store.agreements.join(", "),
                store.newest.as_deref().unwrap_or("no day")
            ));
        }
        Ok(Outcome::Success)
    }
}
