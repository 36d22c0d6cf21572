//! The command line: a stand-in to play with, and orders to a running one.

mod control;
mod serve;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cprflow_platform::{ASSUMPTIONS, Error, Fault, Hazard};

/// Why the command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Platform(#[from] Error),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] io::Error),
    #[error("{0}")]
    Usage(String),
}

/// A stand-in for KOMBIT's Serviceplatformen: SF6002's subscription service, its nightly run and its inbox, on this
/// machine alone and with persons who do not exist.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, max_term_width = 100)]
#[command(after_help = "\
Examples:
  cprflow-platform serve --directory platform/ --persons 1000 --seed 1
  cprflow-platform night --directory platform/
  cprflow-platform arm database-error-typed --times 2 --directory platform/
  cprflow-platform hazard growing --directory platform/
  cprflow-platform complete --directory platform/
  cprflow-platform --assumptions")]
struct Cli {
    /// Print what it does where documents are silent
    #[arg(long)]
    assumptions: bool,

    /// Print the names of the faults and hazards that can be armed
    #[arg(long)]
    faults: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    /// Make nightly runs, and say what they delivered
    #[command(after_help = "Example:\n  cprflow-platform night --count 5 --directory platform/")]
    Night {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1)]
        count: u32,
        #[command(flatten)]
        running: Running,
    },
    /// Let the next requests meet a fault (see --faults)
    #[command(
        after_help = "Example:\n  cprflow-platform arm status-503-page --directory platform/"
    )]
    Arm {
        /// Its name
        fault: String,
        /// How many requests
        #[arg(long, value_name = "N", default_value_t = 1)]
        times: u32,
        #[command(flatten)]
        running: Running,
    },
    /// Let the next deliveries meet a hazard (see --faults)
    #[command(
        after_help = "Example:\n  cprflow-platform hazard size-mismatch --directory platform/"
    )]
    Hazard {
        /// Its name
        hazard: String,
        /// How many deliveries
        #[arg(long, value_name = "N", default_value_t = 1)]
        times: u32,
        #[command(flatten)]
        running: Running,
    },
    /// Complete the uploads that hazards have held back
    Complete {
        #[command(flatten)]
        running: Running,
    },
    /// Print what the service has seen since it was last asked; numbers are masked
    Seen {
        #[command(flatten)]
        running: Running,
    },
}

/// Which running stand-in is meant.
#[derive(Debug, clap::Args)]
struct Running {
    /// The directory that it was started with
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // There is nobody else to tell where this fails.
            let _told = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    if cli.assumptions {
        print_assumptions()?;
    }
    if cli.faults {
        print_faults()?;
    }
    match cli.command {
        None if cli.assumptions || cli.faults => Ok(()),
        None => {
            let why = "nothing to do: see cprflow-platform --help";
            Err(Failure::Usage(why.to_owned()))
        }
        Some(Command::Serve(serve)) => serve.run(),
        Some(Command::Night { count, running }) => order(&running, &format!("night {count}")),
        Some(Command::Arm {
            fault,
            times,
            running,
        }) => order(&running, &format!("arm {fault} {times}")),
        Some(Command::Hazard {
            hazard,
            times,
            running,
        }) => order(&running, &format!("hazard {hazard} {times}")),
        Some(Command::Complete { running }) => order(&running, "complete"),
        Some(Command::Seen { running }) => order(&running, "seen"),
    }
}

/// Sends an order to a running stand-in and prints what it says.
fn order(running: &Running, order: &str) -> Result<(), Failure> {
    let said = control::send(&running.directory, order)?;
    io::stdout().write_all(said.as_bytes())?;
    Ok(())
}

fn print_assumptions() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for assumption in ASSUMPTIONS {
        writeln!(out, "{}\n    {}", assumption.name, assumption.what)?;
        if let Some(option) = assumption.option {
            writeln!(out, "    otherwise with: {option}")?;
        }
    }
    Ok(())
}

fn print_faults() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, _) in Fault::all() {
        writeln!(out, "fault  {name}")?;
    }
    for (name, _) in Hazard::ALL {
        writeln!(out, "hazard {name}")?;
    }
    Ok(())
}
