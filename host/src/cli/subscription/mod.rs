//! `cprflow subscription`: what the platform delivers, and changing it.

mod change;
mod errand;
mod look;
mod reorder;
mod target;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use cprflow::Connector;
use cprflow::subscriber::{Filter, Kind, SubscriberError, SubscriptionSettings, list_file};
use cprflow_connector::holds_number;

use super::{Failure, Outcome};

/// Look at a subscription and change it
///
/// Always for one agreement, which is named before anything is changed. The platform evaluates filters at night:
/// what is added today is delivered tomorrow at the earliest.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  done
  1  there is a difference, or something was not done that a person should look at
  2  could not run, or not all of it

Examples:
  cprflow subscription plan --config cprflow.toml
  cprflow subscription apply --config cprflow.toml --agreement roskilde
  cprflow subscription add municipality 0265 --config cprflow.toml
  cprflow subscription add pnr numbers.txt --config cprflow.toml
  cprflow subscription remove pnr - --yes --config cprflow.toml < numbers.txt")]
pub(crate) struct Subscription {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(look::List),
    Add(change::Add),
    Remove(change::Remove),
    Clear(change::Clear),
    Plan(look::Plan),
    Apply(change::Apply),
    Reorder(reorder::Reorder),
    Restore(reorder::Restore),
}

impl Subscription {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        match self.carry_out(connector) {
            // All of it is written before anything is changed.
            Err(Failure::Stdout(error)) if self.is_to_change() => Err(Failure::Unseen(error)),
            ended => ended,
        }
    }

    /// Whether something is to be changed, and not only shown.
    fn is_to_change(&self) -> bool {
        let manner = match &self.command {
            Command::List(_) | Command::Plan(_) => return false,
            Command::Add(add) => &add.manner,
            Command::Remove(remove) => &remove.manner,
            Command::Clear(clear) => &clear.manner,
            Command::Apply(apply) => &apply.manner,
            Command::Reorder(reorder) => &reorder.manner,
            Command::Restore(restore) => &restore.manner,
        };
        !manner.dry_run
    }

    fn carry_out(&self, connector: &Connector) -> Result<Outcome, Failure> {
        match &self.command {
            Command::List(list) => list.run(connector),
            Command::Add(add) => add.run(connector),
            Command::Remove(remove) => remove.run(connector),
            Command::Clear(clear) => clear.run(connector),
            Command::Plan(plan) => plan.run(connector),
            Command::Apply(apply) => apply.run(connector),
            Command::Reorder(reorder) => reorder.run(connector),
            Command::Restore(restore) => restore.run(connector),
        }
    }
}

impl From<SubscriberError> for Failure {
    fn from(error: SubscriberError) -> Self {
        Self::Cprflow(error.into())
    }
}

/// How a command that changes something goes about it, and for whom.
#[derive(Debug, Args)]
struct Manner {
    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print the calls, with UUIDs and person numbers masked, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Make more than a hundred calls at any hour: also from 22 to 6 o'clock, the platform's night, and from 9 to 16, its
    /// peak hours (Danish time)
    #[arg(long)]
    any_hour: bool,

    #[command(flatten)]
    target: target::Target,
}

/// A kind and values, checked here and not by the parser of the command line: that would repeat what it refuses, and
/// it might be a person number.
#[derive(Debug, Args)]
struct Values {
    /// The kind: pnr, municipality, age-range, change-code or no-filter
    #[arg(value_name = "KIND")]
    kind: String,

    /// The value: 0265, 0-17, A01; for pnr a file with a number a line, or - for standard input; for no-filter nothing
    #[arg(value_name = "VALUE", num_args = 0..)]
    values: Vec<String>,
}

impl Values {
    fn filters(&self) -> Result<BTreeSet<Filter>, Failure> {
        let usage = |what: &str| Failure::Usage(what.to_owned());
        match (kind(&self.kind)?, self.values.as_slice()) {
            (Kind::NoFilter, []) => Ok([Filter::NoFilter].into()),
            (Kind::NoFilter, _) => Err(usage("no-filter has no value")),
            (kind, []) => Err(Failure::Usage(format!(
                "{} needs a value: see `cprflow subscription --help`",
                kind.name()
            ))),
            (Kind::Pnr, [place]) if looks_like_a_number(place) => Err(usage(
                "a person number does not belong on the command line, where other users and the shell's history see \
                 it. Name a file with a number a line, or - for standard input",
            )),
            (Kind::Pnr, [place]) => {
                let numbers = list_file(named(Path::new(place))?)?;
                Ok(numbers.into_iter().map(Filter::Pnr).collect())
            }
            (Kind::Pnr, _) => Err(usage("name one file with a person number a line, or -")),
            (kind, values) => values
                .iter()
                .map(|value| Filter::parse(kind, value).map_err(Failure::Usage))
                .collect(),
        }
    }

    /// Whether standard input is taken, so that nobody can be asked there.
    fn takes_stdin(&self) -> bool {
        self.values.iter().any(|value| value == "-")
    }
}

fn kind(name: &str) -> Result<Kind, Failure> {
    Kind::named(name).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        Failure::Usage(format!(
            "that is no kind of filter: there are {}",
            names.join(", ")
        ))
    })
}

/// A file's name from the command line, if it has nothing in it that can be a person number: every error would repeat it.
fn named(path: &Path) -> Result<&Path, Failure> {
    match holds_number(&path.to_string_lossy()) {
        true => Err(Failure::Usage(
            "there is something in the name of that file that can be a person number, which belongs neither on the \
             command line nor into the name of a file. Person numbers stand in a file, one a line, or come by standard \
             input"
                .to_owned(),
        )),
        false => Ok(path),
    }
}

/// The same of any other file, unless it is there: then it is a name.
fn not_a_number(path: &Path) -> Result<(), Failure> {
    match path.is_file() {
        true => Ok(()),
        false => named(path).map(|_| ()),
    }
}

fn looks_like_a_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= 9
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"- .".contains(&b))
}

/// A list of person numbers in place of the configuration's.
#[derive(Debug, Args)]
struct NumberList {
    /// A list of person numbers in place of the configuration's `pnr_file`; - for standard input
    #[arg(long, value_name = "FILE")]
    pnr_file: Option<PathBuf>,
}

impl NumberList {
    /// The settings, with this list in the place of theirs.
    fn over(&self, mut settings: SubscriptionSettings) -> Result<SubscriptionSettings, Failure> {
        if let Some(path) = &self.pnr_file {
            settings.pnr_file = Some(named(path)?.to_owned());
        }
        Ok(settings)
    }

    /// Whether standard input is taken, so that nobody can be asked there.
    fn takes_stdin(&self) -> bool {
        self.pnr_file.as_deref() == Some(Path::new("-"))
    }
}
