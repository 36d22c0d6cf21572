//! `cprflow inbox`.

use std::io::Write;

use clap::Args;
use cprflow::config::Configuration;
use cprflow::sync::{Inventory, discover};
use cprflow::transport::{Inbox as Place, connect};
use cprflow::{Agreement, Connector, Error, Ledger};
use indicatif::HumanBytes;
use jiff::Timestamp;
use serde::Serialize;

use super::source::Source;
use super::sync::ReportFormat;
use super::{Failure, Outcome, say};

/// List what is in the inbox, and take nothing
///
/// For each delivery: whose it is, how far it is, its size and age, and the days until the platform deletes it.
/// Files that are no delivery, or not yet, stand apart with the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  every inbox is listed
  2  one could not be looked into; the others are listed

Examples:
  cprflow inbox --inbox inbox/ --dataset dataset/
  cprflow inbox --config cprflow.toml --agreement roskilde
  cprflow inbox --config cprflow.toml --format json | jq '.[] | select(.days_left < 10)'")]
pub(crate) struct Inbox {
    #[command(flatten)]
    source: Source,

    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// A file, as the list has it.
#[derive(Serialize)]
struct Line {
    inbox: String,
    name: String,
    agreement: Option<String>,
    state: String,
    production_date: Option<String>,
    size: Option<u64>,
    age_days: Option<i64>,
    days_left: Option<i64>,
    reason: Option<String>,
    is_delivery: bool,
}

impl Inbox {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let mut lines = Vec::new();
        let mut seen: Vec<Place> = Vec::new();
        let mut outcome = Outcome::Clean;
        // Several stores can share an inbox, and each ledger knows its own deliveries.
        let mut ledgers = Vec::new();
        for store in &configuration.stores {
            match Ledger::open_to_read(&store.state) {
                Ok(ledger) => ledgers.extend(ledger),
                Err(error) => {
                    say::error(&error.to_string());
                    outcome = Outcome::Failed;
                }
            }
        }
        let ledgers: Vec<&Ledger> = ledgers.iter().collect();
        for store in &configuration.stores {
            for agreement in &store.agreements {
                if seen.contains(&agreement.inbox) {
                    continue;
                }
                seen.push(agreement.inbox.clone());
                let sharing: Vec<&Agreement> = store.sharing(&agreement.inbox);
                let inventory = connect(&agreement.inbox, &agreement.sftp)
                    .map_err(Error::from)
                    .and_then(|mut inbox| discover(connector, inbox.as_mut(), &sharing, &ledgers));
                match inventory {
                    Ok(inventory) => {
                        lines.extend(list(&agreement.inbox, inventory, &configuration))
                    }
                    // The others are listed all the same.
                    Err(error) => {
                        say::error(&format!("{}: {error}", agreement.inbox));
                        outcome = Outcome::Failed;
                    }
                }
            }
        }
        match self.format {
            ReportFormat::Text if lines.is_empty() && outcome == Outcome::Failed => {}
            ReportFormat::Text => text(&mut anstream::stdout().lock(), &lines)?,
            ReportFormat::Json => {
                let mut out = std::io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &lines).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
        Ok(outcome)
    }
}

fn list(inbox: &Place, inventory: Inventory, configuration: &Configuration) -> Vec<Line> {
    let now = Timestamp::now();
    let age = |modified: Option<u64>| {
        let modified = Timestamp::from_second(i64::try_from(modified?).ok()?).ok()?;
        Some(now.duration_since(modified).as_hours() / 24)
    };
    let left = |modified| age(modified).map(|age| i64::from(configuration.retention_days) - age);
    let mut lines = Vec::new();
    for found in inventory.deliveries {
        let known = found.known.as_ref();
        lines.push(Line {
            inbox: inbox.to_string(),
            name: found.data.name.to_string(),
            agreement: Some(found.agreement.to_string()),
            state: known.map_or_else(|| "ready".to_owned(), |known| known.state.to_string()),
            production_date: found.production_date().map(str::to_owned),
            size: Some(found.data.stat.size),
            age_days: age(found.data.stat.modified),
            days_left: left(found.data.stat.modified),
            reason: known
                .and_then(|known| known.reason.as_ref())
                .map(|reason| reason.message.clone()),
            is_delivery: true,
        });
    }
    for orphan in inventory.orphans {
        lines.push(Line {
            inbox: inbox.to_string(),
            name: orphan.name.to_string(),
            agreement: Some(orphan.agreement.to_string()),
            state: "published".to_owned(),
            production_date: None,
            size: None,
            age_days: None,
            days_left: None,
            reason: Some(
                "its delivery is published, and only the metadata is left: `cprflow sync` removes it"
                    .to_owned(),
            ),
            is_delivery: false,
        });
    }
    for file in inventory.waiting.into_iter().chain(inventory.strays) {
        lines.push(Line {
            inbox: inbox.to_string(),
            name: file.said_name(),
            agreement: None,
            state: file.reason.code,
            production_date: None,
            size: file.size,
            age_days: age(file.modified),
            days_left: left(file.modified),
            reason: Some(file.reason.message),
            is_delivery: false,
        });
    }
    lines
}

fn text(out: &mut impl Write, lines: &[Line]) -> Result<(), std::io::Error> {
    if lines.is_empty() {
        return writeln!(out, "the inbox is empty");
    }
    let (deliveries, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.is_delivery);
    let days = |days: Option<i64>| days.map(|days| days.to_string()).unwrap_or_default();
    if !deliveries.is_empty() {
        writeln!(
            out,
            "{:12} {:10} {:>12} {:>5} {:>5}  {:16} FILE",
            "STATE", "PRODUCED", "SIZE", "AGE", "LEFT", "AGREEMENT"
        )?;
    }
    for line in deliveries {
        writeln!(
            out,
            "{:12} {:10} {:>12} {:>5} {:>5}  {:16} {}",
            line.state,
            line.production_date.as_deref().unwrap_or("?"),
            HumanBytes(line.size.unwrap_or_default()).to_string(),
            days(line.age_days),
            days(line.days_left),
            line.agreement.as_deref().unwrap_or_default(),
            line.name,
        )?;
    }
    if !others.is_empty() {
        writeln!(out, "\nno delivery, or not yet:")?;
    }
    for line in others {
        let reason = line.reason.as_deref().unwrap_or_default();
        writeln!(out, "  {} ({}): {reason}", line.name, line.state)?;
    }
    Ok(())
}
