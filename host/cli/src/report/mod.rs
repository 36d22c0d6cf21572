//! `cprflow report`: writes one HTML page about deliveries and tenants.

mod agreement;
mod days;
mod tenant;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use cprflow::{Connector, Error};
use cprflow_delivery::CheckDepth;
use cprflow_delivery::calendar::{self, danish_time};
use cprflow_delivery::config::Configuration;
use cprflow_delivery::status;

use crate::failure::{Failure, Outcome};
use crate::options::SourceOptions;
use crate::output::{Sink, message};

/// Write a report to look at: one HTML page about deliveries and tenants
///
/// For the operator: a calendar of nights with gaps, volumes, findings, what waits, the register, and certificates with the
/// days that are left. For the data protection officer: for each tenant the purpose, the legal basis, what it may see and
/// what is hidden, the persons in scope over time, who left and why (reasons and counts), and where its data is stored.
///
/// The page needs no network and no script, and it can be printed. It has no data of persons. Reads the ledger, the
/// manifests and the current tables. Connects to no server and changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow report --config cprflow.toml -o report.html
  cprflow report --config cprflow.toml --agreement roskilde -o report.html --force
  cprflow report --config cprflow.toml --tenant schools -o schools.html")]
pub(crate) struct Report {
    #[command(flatten)]
    source: SourceOptions,

    /// Only this tenant, without the agreements
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// The file to write. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace a file that exists
    #[arg(long)]
    force: bool,
}

impl Report {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let wanted = match &self.tenant {
            Some(name) => vec![configuration.tenant(name)?],
            None => configuration.tenants(),
        };
        let now = calendar::now();
        let statuses = status::status_to_depth(&configuration, now, CheckDepth::Sizes)?;
        let today = danish_time(now);
        let mut agreements = Vec::new();
        if self.tenant.is_none() {
            let codes = connector.code_tables()?;
            for status in &statuses {
                if let Some(reader) = agreement::AgreementReader::new(&configuration, status) {
                    agreements.push(reader.report(&codes, today.date())?);
                }
            }
        }
        let tenants = wanted
            .into_iter()
            .map(|tenant| tenant::report(connector, &configuration, tenant, &statuses));
        let report = cprflow_report::Report {
            made: today.datetime(),
            version: concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned(),
            dataset: datasets(&configuration),
            agreements,
            tenants: tenants.collect::<Result<_, _>>()?,
        };
        let sink = Sink::open(self.output.as_deref(), self.force)?;
        let name = sink.name();
        let html = report.html().map_err(std::io::Error::other);
        let html = html.map_err(Error::file(&name))?;
        write(sink, &html, &name)?;
        if let Some(path) = &self.output {
            message::done(&format!("wrote {}", path.display()));
        }
        Ok(Outcome::Success)
    }
}

/// Writes the page.
fn write(mut sink: Sink, html: &str, name: &std::path::Path) -> Result<(), Failure> {
    let written = sink.write_all(html.as_bytes());
    written.map_err(Error::file(name))?;
    Ok(sink.finish()?)
}

/// Returns the unrestricted datasets of a configuration in words.
fn datasets(configuration: &Configuration) -> String {
    let datasets = configuration
        .stores
        .iter()
        .map(|store| store.dataset.display().to_string());
    datasets.collect::<Vec<_>>().join(", ")
}
