//! The command line: what can be asked, and what the exit code says.

mod catalog;
mod generate;
mod output;
mod progress;
mod say;
mod scan;
mod verify;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cprflow::{Connector, Error};

/// How a command ended, when it could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done; there may be notes.
    Clean,
    /// Done, and errors or warnings were found in the data.
    Findings,
}

/// Why a command could not run, or what in the data ended it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Cprflow(#[from] Error),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] io::Error),
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// Whether whoever reads our output has closed it: no error of ours.
    fn is_closed_pipe(&self) -> bool {
        use arrow::error::ArrowError;
        use parquet::errors::ParquetError;
        let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        match self {
            Self::Stdout(error) => is_closed(error),
            Self::Cprflow(Error::File { error, .. }) => is_closed(error),
            Self::Cprflow(Error::Output(ArrowError::IoError(_, error))) => is_closed(error),
            Self::Cprflow(Error::Parquet {
                error: ParquetError::External(error),
                ..
            }) => error.downcast_ref().is_some_and(is_closed),
            Self::Cprflow(Error::Output(ArrowError::CsvError(text))) => {
                text.contains("Broken pipe")
            }
            _ => false,
        }
    }
}

/// Reads CPR extracts (KOMBIT's SF6002, "CPR Abonnement") in a WebAssembly sandbox, and hands them on as
/// Apache Arrow.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, max_term_width = 100)]
#[command(after_help = "\
Exit codes:
  0  done; there may be notes
  1  errors or warnings were found in the data
  2  could not run

Examples:
  cprflow verify D100313.L431101
  cprflow scan D100313.L431101 --table person
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow generate --persons 1000 --seed 1 | cprflow verify -")]
struct Cli {
    /// Another component than the one that is built in, in WebAssembly's binary format
    #[arg(long, value_name = "FILE", global = true)]
    component: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tables(catalog::Tables),
    Schema(catalog::Schema),
    Scan(scan::Scan),
    Verify(verify::Verify),
    Generate(generate::Generate),
    Write(write::Write),
    /// Print the completion script of a shell
    #[command(
        after_help = "Example:\n  cprflow completions bash > ~/.local/share/bash-completion/completions/cprflow"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            say::error(&failure.to_string());
            match failure {
                Failure::Cprflow(Error::Data(_)) => ExitCode::from(1),
                _ => ExitCode::from(2),
            }
        }
    }
}

fn run(cli: Cli) -> Result<Outcome, Failure> {
    let connector = || connector(cli.component.as_deref());
    match cli.command {
        Command::Tables(tables) => tables.run(&connector()?),
        Command::Schema(schema) => schema.run(&connector()?),
        Command::Scan(scan) => scan.run(&connector()?),
        Command::Verify(verify) => verify.run(&connector()?),
        Command::Generate(generate) => generate.run(),
        Command::Write(write) => write.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cprflow", &mut script);
            io::Write::write_all(&mut io::stdout(), &script)?;
            Ok(Outcome::Clean)
        }
    }
}

fn connector(component: Option<&Path>) -> Result<Connector, Error> {
    match component {
        None => Connector::embedded(),
        Some(path) => Connector::from_file(path),
    }
}
