//! Options that several subcommands share.

mod source;
mod unrestricted;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use cprflow::{Finding, Level, Summary};
use cprflow_connector::writer::OutputShape;
use cprflow_delivery::CheckDepth;
use cprflow_delivery::config::Configuration;

use crate::failure::{Failure, Outcome};
use crate::usage::UsageError;

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

/// The lowest level of findings that needs attention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Errors only
    Error,
    /// Errors and warnings
    #[default]
    Warning,
}

impl FailOn {
    /// Returns how a scan with these findings ends.
    pub(crate) fn outcome(self, summary: &Summary) -> Outcome {
        let is_error = |finding: &Finding| finding.level == Level::Error;
        let needs_attention = match self {
            Self::Error => summary.findings.iter().any(is_error),
            Self::Warning => summary.needs_attention(),
        };
        match needs_attention {
            true => Outcome::NeedsAttention,
            false => Outcome::Success,
        }
    }
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
    /// The configuration file; `cprflow init` writes one. Default: ./cprflow.toml
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG")]
    config: Option<PathBuf>,
}

/// The configuration file in the current directory.
const CONFIGURATION_FILE: &str = "cprflow.toml";

/// Returns the configuration file that was named, or the one in the current directory, if there is one.
pub(crate) fn configuration_file(named: Option<&Path>) -> Option<&Path> {
    let default = Path::new(CONFIGURATION_FILE);
    named.or_else(|| default.is_file().then_some(default))
}

impl ConfigurationOption {
    /// Reads and checks the configuration.
    pub(crate) fn read(&self) -> Result<Configuration, Failure> {
        let path = configuration_file(self.config.as_deref());
        Ok(Configuration::from_file(
            path.ok_or(UsageError::NoConfiguration)?,
        )?)
    }
}
