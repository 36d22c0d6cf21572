//! `cprflow deliveries`: lists the published deliveries of a dataset, in the order of publication.

use std::io::Write;

use clap::Args;
use cprflow_delivery::config::{Configuration, Store};
use cprflow_delivery::retention::{FeedEntry, FeedKind, delivery_feed};

use crate::failure::{Failure, Outcome};
use crate::options::{ReportFormat, SourceOptions};
use crate::output::print_json;

/// List the published deliveries in the order of publication
///
/// This is the change feed of a dataset: remember the last sequence number that your program has read, and ask for those
/// above it. A delivery is `new`, `late` (an earlier one of its agreement has a later production date) or `expired` (its
/// directory was removed). A delivery that was made again has a second entry with a new number: `rewritten` if something in it
/// is hidden now, `erased` if persons were erased. Such an entry without a directory says that the delivery was removed.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  listed
  2  failed

Examples:
  cprflow deliveries --since 41 --format json --config cprflow.toml
  cprflow deliveries --tenant schools --config cprflow.toml")]
pub(crate) struct Deliveries {
    /// List only deliveries with a higher sequence number
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    since: u64,

    /// List the deliveries of this tenant's dataset
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    #[command(flatten)]
    source: SourceOptions,

    /// Format of the list
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Deliveries {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let mut all = Vec::new();
        for store in self.stores(&configuration)? {
            all.extend(delivery_feed(store, self.tenant.as_deref(), self.since)?);
        }
        match self.format {
            ReportFormat::Json => print_json(&all)?,
            ReportFormat::Text => {
                let mut out = crate::output::stdout()?;
                for entry in &all {
                    writeln!(
                        out,
                        "{:>6}  {:9} {}  {}",
                        entry.sequence,
                        kind(entry),
                        entry.production_date.as_deref().unwrap_or("no date   "),
                        entry.directory.as_deref().unwrap_or(&entry.agreement),
                    )?;
                }
            }
        }
        Ok(Outcome::Success)
    }

    /// Returns the stores of the dataset that was asked for.
    fn stores<'a>(&self, configuration: &'a Configuration) -> Result<Vec<&'a Store>, Failure> {
        let stores = configuration.stores.iter();
        let Some(name) = &self.tenant else {
            return Ok(stores.collect());
        };
        let tenant = configuration.tenant(name)?;
        let has = |store: &&Store| store.tenants.iter().any(|one| one.name == tenant.name);
        Ok(stores.filter(has).collect())
    }
}

fn kind(entry: &FeedEntry) -> &'static str {
    match entry.kind {
        FeedKind::New => "new",
        FeedKind::Late => "late",
        FeedKind::Expired => "expired",
        FeedKind::Rewritten => "rewritten",
        FeedKind::Erased => "erased",
    }
}
