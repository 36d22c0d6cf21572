//! `cprflow retry` and `cprflow set-aside`: a person decides.

use clap::Args;
use cprflow::sync::Stop;
use cprflow::{Connector, DeliveryChoice, config::ACCEPTABLE};
use cprflow_connector::holds_number;

use super::source::Source;
use super::sync::{ReportFormat, run};
use super::{Failure, Outcome, say};

/// Take a delivery that was set aside after all
///
/// The next look takes it, and that is now: this runs `cprflow sync` with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow retry d261123.l431101 --accept count-mismatch --config cprflow.toml
  cprflow retry d261123.l431101 --tenant social --config cprflow.toml
  cprflow retry 47570fc2-be65-4ab1-8da7-3bcc086bfef9 --inbox inbox/ --dataset dataset/ --unrestricted 'a trial'")]
pub(crate) struct Retry {
    /// The delivery: its transfer UUID, or its file's name if only one has it
    delivery: String,

    /// Only for this tenant: it was set aside for it, or published before the tenant came
    #[arg(long, value_name = "NAME", conflicts_with_all = ["accept", "production_date"])]
    tenant: Option<String>,

    /// A finding that is no reason to set it aside; may be given more than once
    #[arg(long, value_name = "CODE", value_parser = clap::builder::PossibleValuesParser::new(ACCEPTABLE))]
    accept: Vec<String>,

    /// When it was produced, if the extract does not say so
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    production_date: Option<String>,

    #[command(flatten)]
    source: Source,

    /// Publish everything of everyone, for this purpose
    #[arg(long, value_name = "PURPOSE")]
    unrestricted: Option<String>,

    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// Set a delivery aside that would be published, or should not be touched again
///
/// It stays on the server, and in the spool if it is there. What is published already is not undone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow set-aside 47570fc2-be65-4ab1-8da7-3bcc086bfef9 --reason 'wrong order, helpdesk case 4711' --config cprflow.toml
  cprflow set-aside d261123.l431101 --tenant social --reason 'it cannot be read there' --config cprflow.toml")]
pub(crate) struct SetAside {
    /// The delivery: its transfer UUID, or its file's name if only one has it
    delivery: String,

    /// Only for this tenant: it does not get the delivery, and what follows it need not wait
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// Why; it stands in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    source: Source,
}

impl Retry {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let mut configuration = self.source.configuration()?;
        if let Some(purpose) = &self.unrestricted {
            configuration.unrestricted(purpose)?;
        }
        let choice = DeliveryChoice::new(&configuration, &self.delivery);
        match &self.tenant {
            Some(tenant) => choice.release_to(tenant)?,
            None => choice.release(&self.accept, self.production_date.as_deref())?,
        }
        run(connector, &configuration, &Stop::default(), self.format)
    }
}

impl SetAside {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        // Not in clap's hands: its error would repeat the text.
        if holds_number(&self.reason) {
            return Err(Failure::Usage(
                "there is something in the reason that can be a person number, and the ledger holds none: say it \
                 without"
                    .to_owned(),
            ));
        }
        let configuration = self.source.configuration()?;
        let choice = DeliveryChoice::new(&configuration, &self.delivery);
        match &self.tenant {
            Some(tenant) => {
                let name = choice.set_aside_for(tenant, &self.reason)?;
                say::done(&format!("{name} is set aside for tenant {tenant}"));
            }
            None => {
                let name = choice.set_aside(connector, &self.reason)?;
                say::done(&format!("{name} is set aside"));
            }
        }
        Ok(Outcome::Clean)
    }
}

fn date(text: &str) -> Result<String, String> {
    let date: Result<jiff::civil::Date, _> = text.parse();
    match date {
        Ok(date) if date.to_string() == text => Ok(date.to_string()),
        _ => Err("a date is written YYYY-MM-DD".to_owned()),
    }
}
