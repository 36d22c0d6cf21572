//! `cprflow reconcile`: lists the persons whom a new full load does not have.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use cprflow::{Connector, Error};
use cprflow_delivery::AgreementName;
use cprflow_delivery::register_state::reconcile;
use indicatif::HumanCount;
use jiff::civil::Date;
use serde_json::json;

use crate::agreement::agreement_name;
use crate::failure::{Failure, Outcome};
use crate::options::{ReportFormat, SourceOptions};
use crate::output::{Sink, message};

/// List the persons whom a new full load does not have
///
/// After `cprflow subscription reorder`, a full load has every person of the subscription again. Persons who are in no
/// delivery since the order may no longer belong to it, for example because a receipt was lost. The command lists their
/// numbers and removes nothing: a person must decide. `cprflow erase --numbers FILE` reads the list. Former numbers of persons
/// who are in a delivery are not listed, because CPR delivers only the valid number.
///
/// CPR stops a full load after five hours and continues the next night, and the files do not say so. So the command
/// refuses while the newest delivery looks like a part of a load. It also refuses while a delivery since that day is not
/// published, for example because it was set aside: retry it, or decide with `cprflow set-aside` that it stays out.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  every person is in the full load
  1  persons are listed
  2  failed, or the full load is not complete, or a delivery of it is not published

Examples:
  cprflow reconcile municipality --since 2026-11-20 -o not-seen.txt --config cprflow.toml
  cprflow reconcile municipality --since 2026-11-20 --format json")]
pub(crate) struct Reconcile {
    /// The agreement
    #[arg(value_parser = agreement_name, value_name = "AGREEMENT")]
    name: AgreementName,

    /// The day on which the full load was ordered: deliveries with this production date and later ones count
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Date,

    /// The file for the person numbers. Only its owner can read it. Without it, only their number is shown
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    source: SourceOptions,
}

impl Reconcile {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let found = reconcile(connector, &configuration, &self.name, self.since)?;
        if let Some(path) = &self.output {
            let mut sink = Sink::open(Some(path), self.force)?;
            let name = sink.name();
            let mut numbers = found.not_seen.iter();
            let written = numbers.try_for_each(|number| writeln!(sink, "{}", number.as_str()));
            written.map_err(Error::file(name))?;
            sink.finish()?;
        }
        let count = found.not_seen.len();
        match self.format {
            ReportFormat::Json => crate::output::print_json(&json!({
                "agreement": self.name.as_str(),
                "since": found.since.to_string(),
                "persons": found.persons,
                "not_seen": count,
                "former_numbers": found.former_numbers,
                "set_aside": found.set_aside,
            }))?,
            ReportFormat::Text => {
                let former = match found.former_numbers {
                    0 => String::new(),
                    former => format!(
                        ". {} more numbers are not listed: they are former numbers of persons who are in one",
                        HumanCount(former as u64)
                    ),
                };
                message::done(&format!(
                    "{} of {} persons are in no delivery since {}{former}",
                    HumanCount(count as u64),
                    HumanCount(found.persons),
                    found.since
                ));
            }
        }
        if found.set_aside > 0 {
            message::warning(&format!(
                "{} deliveries since {} were set aside by a person. Persons whom only they have count as not delivered",
                HumanCount(found.set_aside as u64),
                found.since
            ));
        }
        Ok(match count {
            0 => Outcome::Success,
            _ => Outcome::NeedsAttention,
        })
    }
}
