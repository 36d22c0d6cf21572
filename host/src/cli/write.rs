//! `cprflow write`.

use std::path::PathBuf;

use clap::Args;
use cprflow::write_extract;
use indicatif::HumanCount;

use super::generate::ShapeArg;
use super::output::Sink;
use super::{Failure, Outcome, say};

/// Make the extract again from its tables: the inverse of `scan --all`
///
/// The records are those that were scanned, byte for byte up to trailing spaces, in their order.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow write tables/ -o again.cpr")]
pub(crate) struct Write {
    /// The directory with the tables
    tables: PathBuf,

    /// How records follow each other
    #[arg(long, value_enum, default_value_t)]
    shape: ShapeArg,

    /// The file; standard output without it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Write {
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let mut sink = Sink::open(self.output.as_deref())?;
        let records = write_extract(&self.tables, self.shape.into(), &mut sink)?;
        let is_file = matches!(sink, Sink::File(..));
        sink.finish()?;
        if is_file {
            say::done(&format!("{} records", HumanCount(records)));
        }
        Ok(Outcome::Clean)
    }
}
