//! Options that several subcommands share.

mod source;
mod unrestricted;

use clap::{Args, ValueEnum};
use cprflow_connector::writer::OutputShape;
use cprflow_delivery::config::Configuration;
use cprflow_delivery::{CheckDepth, Error};

pub(crate) use source::{SourceOptions, agreement_names};
pub(crate) use unrestricted::UnrestrictedOptions;

/// The format of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Returns how thoroughly published deliveries are compared with the disk.
pub(crate) fn check_depth(is_deep: bool) -> CheckDepth {
    match is_deep {
        true => CheckDepth::Digests,
        false => CheckDepth::Sizes,
    }
}

/// The format of a list of tables or columns.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum ListFormat {
    /// Columns for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

/// The physical shape of an extract that is written.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum RecordShape {
    /// One line per record, without trailing spaces
    #[default]
    Trimmed,
    /// One line per record, padded with spaces to its full length
    Full,
    /// Records padded to their full length, without line ends
    Packed,
}

impl From<RecordShape> for OutputShape {
    fn from(shape: RecordShape) -> Self {
        match shape {
            RecordShape::Trimmed => Self::Trimmed,
            RecordShape::Full => Self::Full,
            RecordShape::Packed => Self::Packed,
        }
    }
}

/// The configuration file of a subcommand that needs one.
#[derive(Debug, Args)]
pub(crate) struct ConfigurationOption {
    /// The configuration file; `cprflow init` writes one
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG")]
    config: std::path::PathBuf,
}

impl ConfigurationOption {
    /// Reads and checks the configuration.
    pub(crate) fn read(&self) -> Result<Configuration, Error> {
        Configuration::from_file(&self.config)
    }
}
