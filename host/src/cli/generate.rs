//! `cprflow generate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cprflow::Error;
use cprflow_connector::emit::Shape;
use cprflow_connector::generate::{self, LayoutAge, Order, Settings};
use indicatif::{HumanBytes, HumanCount};

use super::output::Sink;
use super::{Failure, Outcome, say};

/// Make an extract of persons who do not exist
///
/// The same seed makes the same persons. Every record type and all oddities of real extracts occur, families
/// refer to each other, and no number is anybody's: all fail CPR's modulus 11.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow generate --persons 1000 --seed 1 -o d261123.l000001
  cprflow generate --persons 1000 --seed 1 --changes --night 2 -o d261125.l000001
  cprflow generate --persons 100 --seed 7 --shape packed | cprflow verify -")]
pub(crate) struct Generate {
    /// Persons in the population
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    persons: u64,

    /// What makes this population another than the next
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// How records follow each other
    #[arg(long, value_enum, default_value_t)]
    shape: ShapeArg,

    /// A change file: the persons whom something happened to, with events
    #[arg(long)]
    changes: bool,

    /// Which night's changes; without --changes, the population as it is after so many nights
    #[arg(long, value_name = "N")]
    night: Option<u32>,

    /// Order of the records
    #[arg(long, value_enum, default_value_t)]
    order: OrderArg,

    /// The older layout: 001 of 106 bytes and 002 of 306
    #[arg(long)]
    original_layout: bool,

    /// The file; standard output without it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The shapes of an extract.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum ShapeArg {
    /// Lines without trailing spaces
    #[default]
    Trimmed,
    /// Lines of full record length
    Full,
    /// Records of full length, no line ends
    Packed,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum OrderArg {
    /// A person's records together
    ByPerson,
    /// All 003 records in a second pass after the last person, as in the public test extracts
    #[default]
    SecondPass,
}

impl From<ShapeArg> for Shape {
    fn from(shape: ShapeArg) -> Self {
        match shape {
            ShapeArg::Trimmed => Self::Trimmed,
            ShapeArg::Full => Self::Full,
            ShapeArg::Packed => Self::Packed,
        }
    }
}

impl Generate {
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let mut settings = Settings::new(self.persons, self.seed);
        settings.shape = self.shape.into();
        settings.order = match self.order {
            OrderArg::ByPerson => Order::ByPerson,
            OrderArg::SecondPass => Order::SecondPass,
        };
        if self.original_layout {
            settings.layout = LayoutAge::Original;
        }
        let mut sink = Sink::open(self.output.as_deref())?;
        let name = sink.name();
        let written = if self.changes {
            generate::changes(&settings, self.night.unwrap_or(1).max(1), &mut sink)
        } else {
            settings.night = self.night.unwrap_or(0);
            generate::status(&settings, &mut sink)
        };
        let written = written.map_err(Error::file(name))?;
        let is_file = matches!(sink, Sink::File(..));
        sink.finish()?;
        if is_file {
            say::done(&format!(
                "{} records of {} persons, {}",
                HumanCount(written.records),
                HumanCount(written.persons),
                HumanBytes(written.bytes)
            ));
        }
        Ok(Outcome::Clean)
    }
}
