//! `cprflow retry`: processes a delivery that was set aside.

use clap::Args;
use clap::builder::PossibleValuesParser;
use cprflow::Connector;
use cprflow_delivery::DeliverySelector;
use cprflow_delivery::Stop;
use cprflow_delivery::config::{ACCEPTABLE, ACCEPTABLE_ONCE};
use jiff::civil::Date;

use crate::failure::{Failure, Outcome};
use crate::metrics::MetricsOption;
use crate::options::{ReportFormat, SourceOptions, UnrestrictedOptions};
use crate::sync;

/// Retry a delivery that was set aside
///
/// Allows the delivery to be processed again, then does what `cprflow sync` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: as for `cprflow sync`

Examples:
  cprflow retry d261123.l431101 --accept count-mismatch --config cprflow.toml
  cprflow retry d261123.l431101 --accept future-date --as-of 2026-11-23 --config cprflow.toml
  cprflow retry d261123.l431101 --tenant social --config cprflow.toml
  cprflow retry 47570fc2-be65-4ab1-8da7-3bcc086bfef9 --inbox inbox/ \\
      --dataset dataset/ --unrestricted 'first test' --church-purpose 'first test'")]
pub(crate) struct Retry {
    /// The delivery: its transfer UUID, or the name of its data file if only one delivery has it
    delivery: String,

    /// Retry the delivery for this tenant only: it was set aside for the tenant, or published
    /// before the tenant was configured
    #[arg(long, value_name = "NAME", conflicts_with_all = ["accept", "as_of"])]
    tenant: Option<String>,

    /// Accept this error finding or this reason for the delivery; can be repeated
    #[arg(long, value_name = "CODE", value_parser = PossibleValuesParser::new(ACCEPTABLE.into_iter().chain(ACCEPTABLE_ONCE)))]
    accept: Vec<String>,

    /// The day that the delivery shows, which is its place among the others. Only for an extract
    /// without a production date, or with one in the future
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = iso_date)]
    as_of: Option<String>,

    #[command(flatten)]
    source: SourceOptions,

    #[command(flatten)]
    unrestricted: UnrestrictedOptions,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Retry {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let mut configuration = self.source.configuration()?;
        self.unrestricted.apply_to(&mut configuration)?;
        let delivery = DeliverySelector::new(&configuration, &self.delivery);
        match &self.tenant {
            Some(tenant) => delivery.release_to(tenant)?,
            None => delivery.release(&self.accept, self.as_of.as_deref())?,
        }
        sync::run(
            connector,
            &configuration,
            &Stop::default(),
            self.format,
            &MetricsOption::default(),
        )
    }
}

/// A date on the command line is written in another way.
#[derive(Debug, thiserror::Error)]
#[error("a date is written YYYY-MM-DD, for example 2026-11-23")]
struct InvalidDate;

/// Checks a date. Jiff reads other notations of dates too, and these are refused.
fn iso_date(text: &str) -> Result<String, InvalidDate> {
    let date: Date = text.parse().map_err(|_| InvalidDate)?;
    let iso = date.to_string();
    (iso == text).then_some(iso).ok_or(InvalidDate)
}
