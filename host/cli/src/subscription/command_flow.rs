//! The common steps of the subcommands that change filters: show the change, ask, make the calls, report.

use std::io::{self, BufRead, IsTerminal, Write};
use std::mem::{Discriminant, discriminant};

use cprflow::Connector;
use cprflow::soap_messages::Operation;
use cprflow_delivery::subscription::{
    CallCounts, Client, CurrentFilters, Executor, Pace, Plan, masked_request,
};
use cprflow_delivery::{Error, Stop};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::options::ChangeOptions;
use super::render::{self, CallProgress, ComparedWith};
use super::target_agreement::TargetAgreement;
use crate::failure::{Failure, Outcome};
use crate::output::message;
use crate::usage::UsageError;

/// One change of the subscription of an agreement.
pub(super) struct CommandFlow<'a> {
    target: &'a TargetAgreement,
    options: &'a ChangeOptions,
    client: Client<'a>,
}

impl<'a> CommandFlow<'a> {
    /// Creates the client. Does not connect yet.
    pub(super) fn new(
        connector: &'a Connector,
        target: &'a TargetAgreement,
        options: &'a ChangeOptions,
    ) -> Result<Self, Failure> {
        Ok(Self {
            target,
            options,
            client: target.client(connector)?,
        })
    }

    /// Reads the filters from the service.
    pub(super) fn current_filters(&mut self) -> Result<CurrentFilters, Failure> {
        Ok(self.client.current_filters()?)
    }

    /// Reads the filters from the service and prints them.
    pub(super) fn show_current_filters(&mut self) -> Result<CurrentFilters, Failure> {
        let current = self.current_filters()?;
        let mut out = crate::output::stdout()?;
        writeln!(out, "{}", self.target.title())?;
        writeln!(out, "current filters:")?;
        render::current_filters(&mut out, &current)?;
        Ok(current)
    }

    /// Asks whether to continue, unless `--yes` was given. Fails if it cannot ask.
    pub(super) fn confirm(&self, is_stdin_used: bool) -> Result<bool, Failure> {
        if self.options.yes {
            return Ok(true);
        }
        let mut input = io::stdin().lock();
        if is_stdin_used || !io::stdin().is_terminal() {
            return Err(UsageError::CannotAsk.into());
        }
        let mut err = anstream::stderr().lock();
        write!(err, "Continue? [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        input.read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Locks the directory of the subscription, makes the calls, and prints the result.
    pub(super) fn execute(
        self,
        calls: impl FnOnce(&mut Executor<'_, 'a>) -> Result<CallCounts, Error>,
    ) -> Result<Outcome, Failure> {
        // Until now, a signal ends the process at once, also during the question and the first call.
        stop_on_signals(self.client.stop())?;
        let directory = self.target.lock_directory()?;
        let mut client = self.client.with_audit(self.target.audit_log(&directory)?);
        let pace = Pace {
            any_hour: self.options.any_hour,
        };
        let progress = CallProgress::default();
        let agreement = &self.target.agreement.name;
        let mut executor = Executor::new(&mut client, &directory, agreement, pace, &progress);
        let counts = calls(&mut executor)?;
        Ok(render::result(&counts))
    }
}

/// Lets SIGINT and SIGTERM stop the command after the current call. The second signal exits at once.
fn stop_on_signals(stop: &Stop) -> Result<(), Failure> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.flag())?;
        signal_hook::flag::register(signal, stop.flag())?;
    }
    Ok(())
}

/// Prints the agreement and what the plan would change.
pub(super) fn show_plan(
    target: &TargetAgreement,
    plan: &Plan,
    compared_with: ComparedWith,
) -> Result<(), Failure> {
    let mut out = crate::output::stdout()?;
    writeln!(out, "{}", target.title())?;
    let environment = target.agreement.environment;
    Ok(render::plan(&mut out, plan, compared_with, environment)?)
}

/// Prints that nothing was changed.
pub(super) fn no_change() -> Result<Outcome, Failure> {
    message::done("nothing was changed");
    Ok(Outcome::Success)
}

/// Prints the calls that would be made: the first one of each operation, and the number of the others.
pub(super) fn print_dry_run(
    connector: &Connector,
    target: &TargetAgreement,
    operations: impl IntoIterator<Item = Operation>,
) -> Result<Outcome, Failure> {
    let mut out = crate::output::stdout()?;
    writeln!(out, "{}", target.title())?;
    let mut groups: Vec<(Discriminant<Operation>, Operation, usize)> = Vec::new();
    for operation in operations {
        let kind = discriminant(&operation);
        let known = groups.iter_mut().find(|(known, ..)| *known == kind);
        match known {
            // A call that removes all filters of a kind is always printed.
            Some((_, _, count)) if !matches!(operation, Operation::RemoveAll(_)) => *count += 1,
            _ => groups.push((kind, operation, 1)),
        }
    }
    for (_, operation, count) in groups {
        let request = masked_request(connector, &target.service, &operation)?;
        writeln!(out, "{request}")?;
        if count > 1 {
            writeln!(out, "and {} more calls like this", count - 1)?;
        }
    }
    message::done("dry run: nothing was sent");
    Ok(Outcome::Success)
}
