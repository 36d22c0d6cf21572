//! Options and arguments of several subcommands.
//!
//! Values that can be a person number are checked here and not by clap, because clap's errors repeat the value.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use cprflow_delivery::subscription::{Filter, FilterKind, SubscriptionSettings, list_file};
use cprflow_redact::holds_person_number;

use super::target_agreement::TargetOptions;
use crate::failure::Failure;
use crate::usage::UsageError;

/// The options of every subcommand that changes filters.
#[derive(Debug, Args)]
pub(super) struct ChangeOptions {
    /// Do not ask for confirmation
    #[arg(long)]
    pub(super) yes: bool,

    /// Print the calls with masked UUIDs and person numbers, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Allow more than 100 calls at any hour. By default they are made only from 6 to 9 and from
    /// 16 to 22 o'clock, Danish time
    #[arg(long)]
    pub(super) any_hour: bool,

    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// Filters on the command line: a kind and its values.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// The kind of filter: pnr, municipality, age-range, change-code or no-filter
    #[arg(value_name = "KIND")]
    kind: String,

    /// The value, for example 0265, 0-17 or A01. For pnr: a file with one person number per line,
    /// or - for standard input. For no-filter: no value
    #[arg(value_name = "VALUE", num_args = 0..)]
    values: Vec<String>,
}

impl FilterArguments {
    /// Returns the filters. Reads the person numbers for the kind `pnr`.
    pub(super) fn filters(&self) -> Result<BTreeSet<Filter>, Failure> {
        let kind = filter_kind(&self.kind)?;
        match (kind, self.values.as_slice()) {
            (FilterKind::NoFilter, []) => Ok([Filter::NoFilter].into()),
            (FilterKind::NoFilter, _) => Err(UsageError::NoFilterTakesNoValue.into()),
            (_, []) => Err(UsageError::NoFilterValue { kind: kind.name() }.into()),
            (FilterKind::Pnr, [path]) if looks_like_a_number(path) => {
                Err(UsageError::FilterIsPersonNumber.into())
            }
            (FilterKind::Pnr, [path]) => {
                let numbers = list_file(check_file_name(Path::new(path))?)?;
                Ok(numbers.into_iter().map(Filter::Pnr).collect())
            }
            (FilterKind::Pnr, _) => Err(UsageError::SeveralPnrFiles.into()),
            (_, values) => values.iter().map(|value| filter(kind, value)).collect(),
        }
    }

    /// Returns whether the filters are read from standard input, which then cannot be used for a question.
    pub(super) fn uses_stdin(&self) -> bool {
        self.values.iter().any(|value| value == "-")
    }
}

fn filter(kind: FilterKind, value: &str) -> Result<Filter, Failure> {
    Filter::parse(kind, value).map_err(|error| {
        let reason = error.to_string();
        UsageError::FilterValue { reason }.into()
    })
}

/// A list of person numbers that replaces the configuration's.
#[derive(Debug, Args)]
pub(super) struct PnrFileOption {
    /// Use this file of person numbers, or - for standard input, instead of the configuration's
    /// `pnr_file`
    #[arg(long, value_name = "FILE")]
    pnr_file: Option<PathBuf>,
}

impl PnrFileOption {
    /// Returns the settings with this list, if it was given.
    pub(super) fn apply_to(
        &self,
        mut settings: SubscriptionSettings,
    ) -> Result<SubscriptionSettings, Failure> {
        if let Some(path) = &self.pnr_file {
            settings.pnr_file = Some(check_file_name(path)?.to_owned());
        }
        Ok(settings)
    }

    /// Returns whether the list is read from standard input, which then cannot be used for a question.
    pub(super) fn uses_stdin(&self) -> bool {
        self.pnr_file.as_deref() == Some(Path::new("-"))
    }
}

/// Returns the kind of that name. The error does not repeat the name.
pub(super) fn filter_kind(name: &str) -> Result<FilterKind, Failure> {
    FilterKind::named(name).ok_or_else(|| {
        let names: Vec<_> = FilterKind::ALL.iter().map(|kind| kind.name()).collect();
        let known = names.join(", ");
        UsageError::UnknownFilterKind { known }.into()
    })
}

/// Fails if the name of a file can be a person number, because every error about the file would repeat it.
pub(super) fn check_file_name(path: &Path) -> Result<&Path, Failure> {
    match holds_person_number(&path.to_string_lossy()) {
        true => Err(UsageError::PersonNumberInFileName.into()),
        false => Ok(path),
    }
}

/// As [`check_file_name`], but accepts a file that exists: then the value is the name of a file and no number.
pub(super) fn check_file_name_unless_exists(path: &Path) -> Result<(), Failure> {
    match path.is_file() {
        true => Ok(()),
        false => check_file_name(path).map(|_| ()),
    }
}

fn looks_like_a_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= 9
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"- .".contains(&b))
}
