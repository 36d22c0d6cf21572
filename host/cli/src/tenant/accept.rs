//! `cprflow tenant accept`: accepts what a run has stopped for.

use clap::Args;
use cprflow_delivery::{accept_tenant, calendar};

use crate::failure::{Failure, Outcome};
use crate::options::SourceOptions;
use crate::output::message;

/// Accept what `cprflow status` asks about a tenant
///
/// A change of the policy that hides more than half of a tenant's persons can be a mistake. `cprflow sync` then publishes
/// nothing to the tenant and withdraws its current tables, until this command is run or the policy is corrected.
///
/// The command also records that the programs of the tenant have compared all their persons, after the list of the persons
/// in scope was lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  accepted; also if there is nothing to accept
  2  failed

Example:
  cprflow tenant accept social --config cprflow.toml")]
pub(super) struct Accept {
    /// The tenant
    #[arg(value_name = "NAME")]
    tenant: String,

    #[command(flatten)]
    source: SourceOptions,
}

impl Accept {
    /// Runs the subcommand.
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let accepted = accept_tenant(&configuration, &self.tenant, calendar::now())?;
        let is_empty = accepted == cprflow_delivery::AcceptedForTenant::default();
        if let Some(change) = accepted.policy_change {
            message::done(&format!(
                "the changed policy is accepted. The next `cprflow sync` hides {} of {} persons",
                change.hidden, change.persons
            ));
        }
        if let Some(day) = accepted.compare_since {
            message::done(&format!(
                "it is accepted that persons who left before {day} are not in `out_of_scope`"
            ));
        }
        if is_empty {
            message::note("nothing of this tenant waits to be accepted");
        }
        Ok(Outcome::Success)
    }
}
