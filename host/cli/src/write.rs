//! `cprflow write`: writes an extract from its tables.

use std::path::PathBuf;

use clap::Args;
use cprflow::write_extract;
use indicatif::HumanCount;

use crate::failure::{Failure, Outcome};
use crate::options::RecordShape;
use crate::output::{Sink, message};

/// Write an extract from its tables (the inverse of `scan --all`)
///
/// The records are those that were scanned, in the same order and byte for byte, except for trailing spaces.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow write tables/ -o again.cpr")]
pub(crate) struct Write {
    /// The directory with the tables
    tables: PathBuf,

    /// Physical shape of the extract
    #[arg(long, value_enum, default_value_t)]
    shape: RecordShape,

    /// The file to write. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

impl Write {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let mut sink = Sink::open(self.output.as_deref(), self.force)?;
        let records = write_extract(&self.tables, self.shape.into(), &mut sink)?;
        let is_stdout = sink.is_stdout();
        sink.finish()?;
        if !is_stdout {
            message::done(&format!("wrote {} records", HumanCount(records)));
        }
        Ok(Outcome::Success)
    }
}
