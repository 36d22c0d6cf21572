//! The command line: what can be asked, and what the exit code says.

mod aside;
mod catalog;
mod compile;
mod doctor;
mod generate;
mod inbox;
mod init;
mod log;
mod output;
mod progress;
mod say;
mod scan;
mod source;
mod status;
mod subscription;
mod sync;
mod tenant;
mod verify;
mod views;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cprflow::{Connector, Error, Loader};

/// How a command ended, when it could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done; there may be notes.
    Clean,
    /// Done, and something was found that a person should look at.
    Findings,
    /// Done in part: something failed, and was told.
    Failed,
}

/// Why a command could not run, or what in the data ended it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Cprflow(#[from] Error),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] io::Error),
    #[error(
        "cannot write to standard output, so that nobody sees what would be done: {0}. Nothing was changed"
    )]
    Unseen(#[source] io::Error),
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
  1  done, and something was found that a person should look at
  2  could not run, or not all of it

Examples:
  cprflow sync --inbox inbox/ --dataset dataset/ --unrestricted 'trying it out'
  cprflow verify D100313.L431101
  cprflow scan D100313.L431101 --table person
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow generate --persons 1000 --seed 1 | cprflow verify -")]
struct Cli {
    /// Another component than the one that is built in, in WebAssembly's binary format
    #[arg(long, value_name = "FILE", global = true)]
    component: Option<PathBuf>,

    #[command(flatten)]
    log: log::Log,

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
    Sync(Box<sync::Sync>),
    Inbox(inbox::Inbox),
    Status(status::Status),
    Retry(aside::Retry),
    SetAside(aside::SetAside),
    Init(init::Init),
    Doctor(doctor::Doctor),
    Views(views::Views),
    Subscription(Box<subscription::Subscription>),
    Tenant(tenant::Tenant),
    #[command(hide = true)]
    CompileComponent(compile::CompileComponent),
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
    // What a panic says may be what stands in somebody's record: where it was is enough to find the bug.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        tracing::error!(place, "a bug");
        say::error(&format!("there is a bug in cprflow, at {place}"));
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    match run(cli) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
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

/// What the command line is told that is not understood. It repeats what was given, unless that can be a person number.
fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && cprflow_connector::holds_number(&error.to_string()) {
        say::error(
            "there is something on the command line that is not understood and can be a person number, which does not \
             belong there: other users and the shell's history see it. See `cprflow --help`",
        );
        return ExitCode::from(2);
    }
    error.exit()
}

fn run(cli: Cli) -> Result<Outcome, Failure> {
    cli.log.begin();
    let connector = || connector(cli.component.as_deref());
    match cli.command {
        Command::Tables(tables) => tables.run(&connector()?),
        Command::Schema(schema) => schema.run(&connector()?),
        Command::Scan(scan) => scan.run(&connector()?),
        Command::Verify(verify) => verify.run(&connector()?),
        Command::Generate(generate) => generate.run(),
        Command::Write(write) => write.run(),
        Command::Sync(sync) => sync.run(&connector()?),
        Command::Inbox(inbox) => inbox.run(&connector()?),
        Command::Status(status) => status.run(),
        Command::Retry(retry) => retry.run(&connector()?),
        Command::SetAside(set_aside) => set_aside.run(&connector()?),
        Command::Init(init) => init.run(),
        Command::Doctor(doctor) => doctor.run(connector),
        Command::Views(views) => views.run(&connector()?),
        Command::Subscription(subscription) => subscription.run(&connector()?),
        Command::Tenant(tenant) => tenant.run(connector),
        Command::CompileComponent(compile) => compile.run(),
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
        // It is not ours, so that even compiling it is done elsewhere.
        Some(path) => {
            let compiler = std::env::current_exe().map_err(Error::file("cprflow"))?;
            Loader::new(compiler).file(path)
        }
    }
}
