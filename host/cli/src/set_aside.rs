//! `cprflow set-aside`: sets a delivery aside by hand.

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::DeliverySelector;
use cprflow_delivery::config::Configuration;
use cprflow_delivery::integrity::accept_gone;
use cprflow_redact::holds_person_number;
use jiff::Timestamp;

use crate::failure::{Failure, Outcome};
use crate::options::SourceOptions;
use crate::output::message;
use crate::usage::UsageError;

/// Set a delivery aside, so that it is not published
///
/// The delivery stays on the server, and in the spool if it is there. A published delivery cannot be set aside. A delivery
/// that `cprflow sync` has set aside no longer needs attention after this command: `cprflow status` shows it as a note.
///
/// With --tenant, the persons who left the tenant's scope are still published, in the table out_of_scope. No later
/// delivery reports them. The tenant's current tables are made from every extract, also from this one: without it, a
/// protection could be missing.
///
/// --gone accepts that published deliveries are gone from the disk or changed: they are not looked for any more, and
/// `cprflow sync` publishes in their dataset again, and an erasure no longer waits for them. Restore them from a backup if there
/// is one. With --tenant, the tenant need not be in the configuration any more.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  set aside
  1  set aside for the tenant, but the persons who left its scope are not known
  2  not set aside; the message says why

Examples:
  cprflow set-aside 47570fc2-be65-4ab1-8da7-3bcc086bfef9 \\
      --reason 'wrong order, helpdesk case 4711' --config cprflow.toml
  cprflow set-aside d261123.l431101 --tenant social \\
      --reason 'the tenant cannot read it' --config cprflow.toml
  cprflow set-aside --gone --reason 'disk lost, new full load ordered' \\
      --config cprflow.toml")]
pub(crate) struct SetAside {
    /// The delivery: its transfer UUID, or the name of its data file if only one delivery has it
    #[arg(required_unless_present = "gone")]
    delivery: Option<String>,

    /// Accept that the published deliveries that are missing or changed on the disk stay so
    #[arg(long, conflicts_with = "delivery")]
    gone: bool,

    /// Set the delivery aside for this tenant only: the tenant does not get it, and later
    /// deliveries to the tenant no longer wait for it. With --gone: only in this tenant's dataset
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// The reason, which is kept in the ledger. It must not contain a person number
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    source: SourceOptions,
}

impl SetAside {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        // This is not a value parser of clap, because clap's errors repeat the value.
        if holds_person_number(&self.reason) {
            return Err(UsageError::PersonNumberInReason.into());
        }
        let configuration = self.source.configuration()?;
        let Some(delivery) = &self.delivery else {
            return self.accept_gone(&configuration);
        };
        let delivery = DeliverySelector::new(&configuration, delivery);
        match &self.tenant {
            Some(tenant) => self.for_tenant(connector, &delivery, tenant),
            None => {
                let name = delivery.set_aside(connector, &self.reason)?;
                message::done(&format!("{name} is set aside"));
                Ok(Outcome::Success)
            }
        }
    }

    fn for_tenant(
        &self,
        connector: &Connector,
        delivery: &DeliverySelector<'_>,
        tenant: &str,
    ) -> Result<Outcome, Failure> {
        let done = delivery.set_aside_for(connector, tenant, &self.reason)?;
        let name = done.file_name;
        message::done(&format!("{name} is set aside for tenant {tenant}"));
        match done.leavers {
            Ok(0) => {
                message::done("nobody left the tenant's scope in it");
                Ok(Outcome::Success)
            }
            Ok(count) => {
                let persons = if count == 1 { "person" } else { "persons" };
                message::done(&format!(
                    "{count} {persons} left the tenant's scope in it; the tenant is told in out_of_scope"
                ));
                Ok(Outcome::Success)
            }
            Err(error) => {
                message::warning(&format!(
                    "persons who left the tenant's scope in it stay in the tenant's data, because the extract could not \
                     be read for the tenant: {error}. Order all persons again with `cprflow subscription reorder`"
                ));
                Ok(Outcome::NeedsAttention)
            }
        }
    }

    fn accept_gone(&self, configuration: &Configuration) -> Result<Outcome, Failure> {
        let (tenant, now) = (self.tenant.as_deref(), Timestamp::now());
        let accepted = accept_gone(configuration, tenant, &self.reason, now)?;
        for loss in &accepted {
            let of = match &loss.tenant {
                Some(tenant) => format!(" of tenant {tenant}"),
                None => String::new(),
            };
            message::done(&format!(
                "agreement={}/{}{of} is not looked for any more",
                loss.agreement, loss.directory
            ));
        }
        if accepted.is_empty() {
            message::done("every published delivery is on the disk, so nothing was changed");
        }
        Ok(Outcome::Success)
    }
}
