//! The command line: parses it, starts the log and runs the subcommand.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::{self, Failure, Outcome};
use crate::output::{message, raw_stdout};
use crate::usage::UsageError;
use crate::{
    agreement, backup, codes, compile_component, completions, ddl, deliveries, doctor, erase,
    expire, export, generate, inbox, init, log, man, reconcile, register, report, restore, retry,
    scan, schema, set_aside, status, subscription, sync, tables, tenant, verify, views, write,
};
use clap::{CommandFactory, Parser, Subcommand};
use cprflow::{Connector, Error, Loader};

/// Read extracts of Denmark's civil register (CPR) and publish them as typed tables
///
/// Extracts come from KOMBIT's integration SF6002 "CPR Abonnement". They are parsed in a WebAssembly sandbox and handed
/// on as Apache Arrow.
#[derive(Debug, Parser)]
#[command(name = "cprflow", version, max_term_width = 100)]
#[command(after_help = "\
Exit codes:
  0  success; there may be notes
  1  finished, but something needs attention: an error or warning in the data,
     a delivery that was set aside, a failed check
  2  failed, or did only part of the work

Examples:
  cprflow sync --inbox inbox/ --dataset dataset/ --unrestricted 'first test' \\
      --church-purpose 'first test'
  cprflow verify D100313.L431101
  cprflow scan D100313.L431101 --table person
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow generate --persons 1000 --seed 1 | cprflow verify -")]
struct CommandLine {
    /// Use this component (a WebAssembly binary) instead of the built-in one. Needs a cprflow that was
    /// built with the feature `compiler`
    #[arg(long, value_name = "FILE", global = true)]
    component: Option<PathBuf>,

    #[command(flatten)]
    log: log::LogOptions,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tables(tables::Tables),
    Schema(schema::Schema),
    Codes(codes::Codes),
    Scan(scan::Scan),
    Verify(verify::Verify),
    Generate(generate::Generate),
    Write(write::Write),
    Sync(Box<sync::Sync>),
    Inbox(inbox::Inbox),
    Status(status::Status),
    Report(Box<report::Report>),
    Retry(retry::Retry),
    SetAside(set_aside::SetAside),
    Deliveries(deliveries::Deliveries),
    Expire(expire::Expire),
    Erase(Box<erase::Erase>),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Init(init::Init),
    Doctor(doctor::Doctor),
    Views(views::Views),
    Ddl(ddl::Ddl),
    Export(export::Export),
    Subscription(Box<subscription::Subscription>),
    Tenant(tenant::Tenant),
    Agreement(agreement::Agreement),
    Register(register::Register),
    Reconcile(reconcile::Reconcile),
    #[command(hide = true)]
    CompileComponent(compile_component::CompileComponent),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Runs a command line and returns its exit code. The first argument is the name of the program.
///
/// `loader` returns the loader of components that are not trusted (`--component`). It compiles them by running this
/// command again in a process of its own, and only the caller knows how to run it.
///
/// Replaces the process's hook for panics, because the text of a panic can contain personal data.
pub fn main_with(
    arguments: impl IntoIterator<Item = OsString>,
    loader: impl FnOnce() -> Result<Loader, Error>,
) -> u8 {
    // The location of a panic is enough to find the bug.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown location".to_owned());
        tracing::error!(place, "internal error");
        message::error(&format!(
            "internal error at {place}. If a limit leaves this process little memory (`ulimit -v`, MemoryMax= of the \
             systemd unit), raise the limit. Otherwise this is a bug in cprflow: report it with this location and the output \
             of `cprflow --version`"
        ));
    }));
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match CommandLine::try_parse_from(&arguments) {
        Ok(command_line) => failure::end(run(command_line, loader)),
        Err(error) => reject(&error, &arguments),
    }
}

/// Prints why the command line was rejected, or the help that was asked for. Returns the exit code.
///
/// Clap's message repeats an argument, so it is replaced if one of them can contain a person number.
fn reject(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let holds_number =
        |argument: &OsString| cprflow_redact::holds_person_number(&argument.to_string_lossy());
    if error.use_stderr() && arguments.iter().skip(1).any(holds_number) {
        return failure::end(Err(UsageError::PersonNumberOnCommandLine.into()));
    }
    if error.use_stderr() {
        // If the output is closed, the message has no reader, and the exit code remains.
        let _ = error.print();
        return u8::try_from(error.exit_code()).unwrap_or(2);
    }
    // The help or the version was asked for, and must not be lost without a word.
    let printed = raw_stdout().and_then(|_| error.print());
    failure::end(match printed {
        Ok(()) => Ok(Outcome::Success),
        Err(error) => Err(Failure::Stdout(error)),
    })
}

fn run(
    command_line: CommandLine,
    loader: impl FnOnce() -> Result<Loader, Error>,
) -> Result<Outcome, Failure> {
    command_line.log.start();
    let connector = || connector(command_line.component.as_deref(), loader);
    match command_line.command {
        Command::Tables(tables) => tables.run(&connector()?),
        Command::Schema(schema) => schema.run(&connector()?),
        Command::Codes(codes) => codes.run(&connector()?),
        Command::Scan(scan) => scan.run(&connector()?),
        Command::Verify(verify) => verify.run(&connector()?),
        Command::Generate(generate) => generate.run(),
        Command::Write(write) => write.run(),
        Command::Sync(sync) => sync.run(&connector()?),
        Command::Inbox(inbox) => inbox.run(&connector()?),
        Command::Status(status) => status.run(),
        Command::Report(report) => report.run(&connector()?),
        Command::Retry(retry) => retry.run(&connector()?),
        Command::SetAside(set_aside) => set_aside.run(&connector()?),
        Command::Deliveries(deliveries) => deliveries.run(),
        Command::Expire(expire) => expire.run(connector),
        Command::Erase(erase) => erase.run(&connector()?),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Init(init) => init.run(),
        Command::Doctor(doctor) => doctor.run(connector),
        Command::Views(views) => views.run(&connector()?),
        Command::Ddl(ddl) => ddl.run(&connector()?),
        Command::Export(export) => export.run(),
        Command::Subscription(subscription) => subscription.run(&connector()?),
        Command::Tenant(tenant) => tenant.run(connector),
        Command::Agreement(agreement) => agreement.run(),
        Command::Register(register) => register.run(connector),
        Command::Reconcile(reconcile) => reconcile.run(&connector()?),
        Command::CompileComponent(compile) => compile.run(),
        Command::Completions(completions) => completions.run(CommandLine::command()),
        Command::Man(man) => man.run(CommandLine::command()),
    }
}

/// Loads the built-in component, or the one that `--component` names.
fn connector(
    component: Option<&Path>,
    loader: impl FnOnce() -> Result<Loader, Error>,
) -> Result<Connector, Error> {
    match component {
        None => Connector::embedded(),
        // A foreign component is not trusted, so it is compiled in a process of its own: `compile-component`.
        Some(path) => loader()?.file(path),
    }
}
