//! `cprflow generate`: generates an extract of persons who do not exist.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cprflow::Error;
use cprflow_connector::generate::{self, LayoutAge, Order, Settings};
use indicatif::{HumanBytes, HumanCount};

use crate::failure::{Failure, Outcome};
use crate::options::RecordShape;
use crate::output::{Sink, message};

/// Generate an extract of persons who do not exist
///
/// The same seed generates the same persons. The extract has all record types and all irregularities of real extracts,
/// and the members of a family refer to each other. No number belongs to a person, because all numbers fail CPR's
/// modulus 11 check.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow generate --persons 1000 -o d261123.l000001
  cprflow generate --persons 1000 --changes --night 2 -o d261125.l000001
  cprflow generate --persons 100 --seed 7 --shape packed | cprflow verify -")]
pub(crate) struct Generate {
    /// Number of persons in the population, up to 5,000,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    persons: u64,

    /// Seed of the population; another seed generates other persons
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Physical shape of the extract
    #[arg(long, value_enum, default_value_t)]
    shape: RecordShape,

    /// Generate a change file: only the persons with changes, and their events
    #[arg(long)]
    changes: bool,

    /// With --changes, the night of the changes (default: 1). Without --changes, the number of
    /// nights of changes that the population has had (default: 0)
    #[arg(long, value_name = "N")]
    night: Option<u32>,

    /// Order of the records
    #[arg(long, value_enum, default_value_t)]
    order: RecordOrder,

    /// Use the older layout: 106 bytes for 001 and 306 bytes for 002, instead of 121 and 382
    #[arg(long)]
    original_layout: bool,

    /// The file to write. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum RecordOrder {
    /// All records of a person together
    ByPerson,
    /// All 003 records after the last person, as in CPR's public test extracts
    #[default]
    SecondPass,
}

impl Generate {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let mut settings = Settings::new(self.persons, self.seed);
        settings.shape = self.shape.into();
        settings.order = match self.order {
            RecordOrder::ByPerson => Order::ByPerson,
            RecordOrder::SecondPass => Order::SecondPass,
        };
        if self.original_layout {
            settings.layout = LayoutAge::Original;
        }
        let mut sink = Sink::open(self.output.as_deref(), self.force)?;
        let name = sink.name();
        let written = if self.changes {
            generate::changes(&settings, self.night.unwrap_or(1).max(1), &mut sink)
        } else {
            settings.night = self.night.unwrap_or(0);
            generate::status(&settings, &mut sink)
        };
        let written = written.map_err(Error::file(name))?;
        let is_stdout = sink.is_stdout();
        sink.finish()?;
        if !is_stdout {
            message::done(&format!(
                "wrote {} records of {} persons, {}",
                HumanCount(written.records),
                HumanCount(written.persons),
                HumanBytes(written.bytes)
            ));
        }
        Ok(Outcome::Success)
    }
}
