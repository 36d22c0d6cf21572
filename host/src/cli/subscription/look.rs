//! `cprflow subscription list` and `plan`: asking, and changing nothing.

use std::io::Write;

use clap::Args;
use cprflow::Connector;
use cprflow::subscriber::{Permission, Plan as Difference, SubscriberError, Work};

use super::super::{Failure, Outcome, say};
use super::target::Target;
use super::words::Against;
use super::{NumberList, words};

/// Show what the subscription holds; person numbers are counted
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: Target,
}

/// Show what differs between the configuration and the subscription, and what it would cause
///
/// Exit code 1 says that there is a difference.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// Show what `apply --prune` would remove
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    list: NumberList,

    #[command(flatten)]
    target: Target,
}

impl List {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.target.choose()?;
        let holding = chosen.desk(connector)?.holding()?;
        let mut out = anstream::stdout().lock();
        writeln!(out, "{}", chosen.title())?;
        words::holding(&mut out, &holding)?;
        words::warn_of_unknown(&holding.filters);
        warn_of_unfinished(&chosen.directory())
    }
}

impl Plan {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.target.choose()?;
        let wanted = self.list.over(chosen.wanted()?)?.wanted()?;
        let holding = chosen.desk(connector)?.holding()?;
        let plan = Difference::new(&wanted, &holding)?;
        let mut out = anstream::stdout().lock();
        writeln!(out, "{}", chosen.title())?;
        let against = Against::Configuration { prunes: self.prune };
        words::plan(&mut out, &plan, against, chosen.agreement.environment)?;
        words::warn_of_unknown(&plan.add);
        let permission = Permission {
            allow_national: chosen.allows_national(),
            max_removals: None,
            may_remove_most: false,
        };
        if let Err(error) = plan.check(permission) {
            say::warning(&error.to_string());
        }
        let outcome = warn_of_unfinished(&chosen.directory())?;
        Ok(match plan.is_done() {
            true => outcome,
            false => Outcome::Findings,
        })
    }
}

fn warn_of_unfinished(directory: &std::path::Path) -> Result<Outcome, Failure> {
    Ok(match Work::unfinished(directory)? {
        None => Outcome::Clean,
        Some(_) => {
            say::warning(&SubscriberError::Unfinished.to_string());
            Outcome::Findings
        }
    })
}
