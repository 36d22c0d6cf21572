//! The command line: runs a stand-in platform, or sends a request to a running one.

mod control;
mod serve;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
    Seen {
        #[command(flatten)]
        target: Target,
    },
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
        Some(Command::Seen { target }) => request(&target, "seen"),
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
