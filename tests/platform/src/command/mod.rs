//! The command line: runs a stand-in platform, or sends a request to a running one.

mod control;
mod serve;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use cprflow_platform::{ASSUMPTIONS, DeliveryFault, Error, ServiceFault};

/// An error of the command.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Platform(#[from] Error),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] io::Error),
    #[error("{0}")]
    Usage(String),
}

/// A stand-in for KOMBIT's Serviceplatformen, for tests of SF6002 (CPR Abonnement): the subscription service, the
/// nightly run and the SFTP inbox. It delivers persons who do not exist. Other machines can reach it only with --listen.
#[derive(Debug, Parser)]
#[command(version, long_about = None, max_term_width = 100)]
#[command(after_help = "\
Examples:
  cprflow-platform serve --directory platform/ --persons 1000 --seed 1
  cprflow-platform night --directory platform/
  cprflow-platform arm database-error-typed --times 2 --directory platform/
  cprflow-platform hazard growing --directory platform/
  cprflow-platform complete --directory platform/
  cprflow-platform persons --municipality 0851 --directory platform/
  cprflow-platform seen --format json --directory platform/
  cprflow-platform --assumptions")]
struct Cli {
    /// Print the behaviour that is assumed where no document describes the real platform
    #[arg(long)]
    assumptions: bool,

    /// Print the faults that "arm" and "hazard" accept
    #[arg(long)]
    faults: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArguments),
    /// Perform nightly runs and print their deliveries
    #[command(after_help = "Example:\n  cprflow-platform night --count 5 --directory platform/")]
    Night {
        /// Number of nightly runs
        #[arg(long, value_name = "N", default_value_t = 1)]
        count: u32,
        #[command(flatten)]
        target: Target,
    },
    /// Arm a fault of the service for the next requests (names: see --faults)
    #[command(
        after_help = "Example:\n  cprflow-platform arm status-503-page --directory platform/"
    )]
    Arm {
        /// Name of the fault
        fault: String,
        /// Number of requests
        #[arg(long, value_name = "N", default_value_t = 1)]
        times: u32,
        #[command(flatten)]
        target: Target,
    },
    /// Arm a fault of the delivery for the next deliveries (names: see --faults)
    #[command(
        after_help = "Example:\n  cprflow-platform hazard size-mismatch --directory platform/"
    )]
    Hazard {
        /// Name of the fault
        fault: String,
        /// Number of deliveries
        #[arg(long, value_name = "N", default_value_t = 1)]
        times: u32,
        #[command(flatten)]
        target: Target,
    },
    /// Complete the uploads that a delivery fault has withheld
    Complete {
        #[command(flatten)]
        target: Target,
    },
    /// Print the events of the service since the last "seen"; person numbers are masked
    #[command(after_help = "\
Examples:
  cprflow-platform seen --directory platform/
  cprflow-platform seen --format json --directory platform/ | jq '.[] | select(.event == \"call\").operation'")]
    Seen {
        /// Output format: lines of text, or a JSON array with one object for each event
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        target: Target,
    },
    /// Print the person numbers of the population after the last nightly run, one in each line
    ///
    /// These persons do not exist. Their numbers fail modulus 11; use them in filters of this stand-in only.
    #[command(after_help = "\
Examples:
  cprflow-platform persons --directory platform/ > numbers.txt
  cprflow-platform persons --municipality 0851 --format json --directory platform/")]
    Persons {
        /// Only the persons with an address in this municipality
        #[arg(long, value_name = "CODE", value_parser = municipality_code)]
        municipality: Option<String>,
        /// Output format: person numbers, or a JSON array with number, status, birth date and municipality
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        target: Target,
    },
}

/// An output format.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// Lines of text
    #[default]
    Text,
    /// A JSON array
    Json,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Reads a municipality code of one to four digits, and adds leading zeros.
fn municipality_code(text: &str) -> Result<String, String> {
    let is_code = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match is_code {
        true => Ok(format!("{text:0>4}")),
        false => Err("a municipality code has four digits, such as 0851".to_owned()),
    }
}

/// The running stand-in that a request is sent to.
#[derive(Debug, clap::Args)]
struct Target {
    /// Directory with which the stand-in was started
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // If standard error is closed, only the exit code can report the failure.
            let _written = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<(), CommandError> {
    if cli.assumptions {
        print_assumptions()?;
    }
    if cli.faults {
        print_faults()?;
    }
    match cli.command {
        None if cli.assumptions || cli.faults => Ok(()),
        None => {
            let why = "no subcommand was given; see cprflow-platform --help";
            Err(CommandError::Usage(why.to_owned()))
        }
        Some(Command::Serve(serve)) => serve.run(),
        Some(Command::Night { count, target }) => request(&target, &format!("night {count}")),
        Some(Command::Arm {
            fault,
            times,
            target,
        }) => request(&target, &format!("arm {fault} {times}")),
        Some(Command::Hazard {
            fault,
            times,
            target,
        }) => request(&target, &format!("hazard {fault} {times}")),
        Some(Command::Complete { target }) => request(&target, "complete"),
        Some(Command::Seen { format, target }) => {
            request(&target, &format!("seen {}", format.name()))
        }
        Some(Command::Persons {
            municipality,
            format,
            target,
        }) => {
            let code = municipality.map_or_else(String::new, |code| format!(" {code}"));
            request(&target, &format!("persons {}{code}", format.name()))
        }
    }
}

/// Sends a request to a running stand-in and prints the answer.
fn request(target: &Target, request: &str) -> Result<(), CommandError> {
    let output = control::send(&target.directory, request)?;
    io::stdout().write_all(output.as_bytes())?;
    Ok(())
}

fn print_assumptions() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for assumption in ASSUMPTIONS {
        writeln!(out, "{}\n    {}", assumption.name, assumption.what)?;
        if let Some(option) = assumption.option {
            writeln!(out, "    can be changed with: {option}")?;
        }
    }
    Ok(())
}

fn print_faults() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, _) in ServiceFault::all() {
        writeln!(out, "arm    {name}")?;
    }
    for (name, _) in DeliveryFault::ALL {
        writeln!(out, "hazard {name}")?;
    }
    Ok(())
}
