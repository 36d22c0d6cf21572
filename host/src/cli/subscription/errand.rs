//! What all commands that change something have in common: look, show, ask, act, tell.

use std::io::Write;
use std::mem::{Discriminant, discriminant};

use cprflow::subscriber::{Desk, Holding, Pace, Plan, Tally, Work, masked_request};
use cprflow::subscription::Operation;
use cprflow::{Connector, Error};

use super::super::{Failure, Outcome, say};
use super::target::{Chosen, ask, stop_on_signals};
use super::words::Against;
use super::{Manner, words};

/// A change of the subscription of one agreement, from the first look to the last word.
pub(super) struct Errand<'a> {
    chosen: &'a Chosen,
    manner: &'a Manner,
    desk: Desk<'a>,
}

impl<'a> Errand<'a> {
    /// Begins one. Nothing is connected to yet.
    pub(super) fn new(
        connector: &'a Connector,
        chosen: &'a Chosen,
        manner: &'a Manner,
    ) -> Result<Self, Failure> {
        Ok(Self {
            chosen,
            manner,
            desk: chosen.desk(connector)?,
        })
    }

    /// What the subscription holds.
    pub(super) fn holding(&mut self) -> Result<Holding, Failure> {
        Ok(self.desk.holding()?)
    }

    /// The same, after saying whose subscription it is and what there is.
    pub(super) fn look(&mut self) -> Result<Holding, Failure> {
        let holding = self.holding()?;
        let mut out = anstream::stdout().lock();
        writeln!(out, "{}", self.chosen.title())?;
        writeln!(out, "there is now:")?;
        words::holding(&mut out, &holding)?;
        Ok(holding)
    }

    /// Asks whether to go on, unless that is said already.
    pub(super) fn ask(&self, takes_stdin: bool) -> Result<bool, Failure> {
        ask(self.manner.yes, takes_stdin)
    }

    /// Acts, and tells what came of it.
    pub(super) fn act(
        self,
        act: impl FnOnce(&mut Work<'_, 'a>) -> Result<Tally, Error>,
    ) -> Result<Outcome, Failure> {
        // Not before: whoever is asked, or waits for the first look, is to get away at once.
        stop_on_signals(self.desk.stop())?;
        let place = self.chosen.place()?;
        let mut desk = self.desk.with_audit(self.chosen.audit(&place)?);
        let pace = Pace {
            any_hour: self.manner.any_hour,
        };
        let calls = words::Calls::default();
        let agreement = &self.chosen.agreement.name;
        let mut work = Work::new(&mut desk, &place, agreement, pace, &calls);
        let tally = act(&mut work)?;
        Ok(words::tally(&tally))
    }
}

/// Says whose subscription it is and what a plan would do to it.
pub(super) fn show(chosen: &Chosen, plan: &Plan, against: Against) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", chosen.title())?;
    let environment = chosen.agreement.environment;
    Ok(words::plan(&mut out, plan, against, environment)?)
}

/// Says that nothing was done.
pub(super) fn nothing() -> Result<Outcome, Failure> {
    say::done("nothing was changed");
    Ok(Outcome::Clean)
}

/// Prints the calls as they would be made: one of each kind, and how many there are like it.
pub(super) fn dry_run(
    connector: &Connector,
    chosen: &Chosen,
    operations: impl IntoIterator<Item = Operation>,
) -> Result<Outcome, Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", chosen.title())?;
    let mut groups: Vec<(Discriminant<Operation>, Operation, usize)> = Vec::new();
    for operation in operations {
        let kind = discriminant(&operation);
        let known = groups.iter_mut().find(|(known, ..)| *known == kind);
        match known {
            // Each of those that remove a whole kind is worth a look.
            Some((_, _, count)) if !matches!(operation, Operation::RemoveAll(_)) => *count += 1,
            _ => groups.push((kind, operation, 1)),
        }
    }
    for (_, operation, count) in groups {
        let request = masked_request(connector, &chosen.service, &operation)?;
        writeln!(out, "{request}")?;
        if count > 1 {
            writeln!(out, "and {} more like this", count - 1)?;
        }
    }
    say::done("nothing was sent");
    Ok(Outcome::Clean)
}
