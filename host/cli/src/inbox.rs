//! `cprflow inbox`: lists the files of the inboxes.

use std::io::{self, Write};

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::Error;
use cprflow_delivery::config::Configuration;
use cprflow_delivery::sync::{Inventory, discover};
use cprflow_delivery::{Agreement, Ledger, UnclaimedFile};
use cprflow_transport::connect;
use indicatif::HumanBytes;
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::{Failure, Outcome};
use crate::options::{ReportFormat, SourceOptions};
use crate::output::{message, print_json};

/// List the files in the inbox without downloading them
///
/// Shows for each delivery its state, production date, size, agreement, age in days, and the days until the platform
/// deletes it. Other files are listed after the deliveries, each with the reason why it is not a delivery.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  every inbox is listed
  2  an inbox or a ledger could not be read; the other inboxes are listed

Examples:
  cprflow inbox --inbox inbox/ --dataset dataset/
  cprflow inbox --config cprflow.toml --agreement roskilde
  cprflow inbox --config cprflow.toml --format json \\
      | jq '.[] | select(.days_left < 10)'")]
pub(crate) struct Inbox {
    #[command(flatten)]
    source: SourceOptions,

    /// Format of the list
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// A file of the list.
#[derive(Serialize)]
struct ListedFile {
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
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let mut files = Vec::new();
        let mut seen: Vec<cprflow_transport::Inbox> = Vec::new();
        let mut outcome = Outcome::Success;
        // Several stores can share an inbox, and each has a ledger of its own.
        let mut ledgers = Vec::new();
        for store in &configuration.stores {
            match Ledger::open_to_read(&store.state) {
                Ok(ledger) => ledgers.extend(ledger),
                Err(error) => {
                    message::error(&error.to_string());
                    outcome = Outcome::PartlyFailed;
                }
            }
        }
        let ledgers: Vec<&Ledger> = ledgers.iter().collect();
        let mut unclaimed = Vec::new();
        for ledger in &ledgers {
            match ledger.unclaimed_files() {
                Ok(files) => unclaimed.extend(files),
                Err(error) => {
                    message::error(&error.to_string());
                    outcome = Outcome::PartlyFailed;
                }
            }
        }
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
                        files.extend(list(
                            &agreement.inbox,
                            inventory,
                            &unclaimed,
                            &configuration,
                        ));
                    }
                    // The other inboxes are still listed.
                    Err(error) => {
                        message::error(&format!("{}: {error}", agreement.inbox));
                        outcome = Outcome::PartlyFailed;
                    }
                }
            }
        }
        match self.format {
            // An inbox that could not be read may have files.
            ReportFormat::Text if files.is_empty() && outcome == Outcome::PartlyFailed => {}
            ReportFormat::Text => print_text(&mut crate::output::stdout()?, &files)?,
            ReportFormat::Json => print_json(&files)?,
        }
        Ok(outcome)
    }
}

/// Returns the files of an inbox: deliveries, then metadata files without a data file, then other files. `unclaimed` are the
/// files that the last run left in the inboxes.
fn list(
    inbox: &cprflow_transport::Inbox,
    inventory: Inventory,
    unclaimed: &[UnclaimedFile],
    configuration: &Configuration,
) -> Vec<ListedFile> {
    let now = Timestamp::now();
    let age = |modified: Option<u64>| {
        let modified = Timestamp::from_second(i64::try_from(modified?).ok()?).ok()?;
        Some(now.duration_since(modified).as_hours() / 24)
    };
    let days_left =
        |modified| age(modified).map(|age| i64::from(configuration.retention_days) - age);
    let mut files = Vec::new();
    for found in inventory.deliveries {
        let left = found.left_on_server(&inbox.to_string(), unclaimed);
        let is_delivery = left.is_none();
        let (state, reason) = match (left, &found.known) {
            (Some(left), _) => (left.code, Some(left.message)),
            (None, None) => ("ready".to_owned(), None),
            (None, Some(known)) => {
                let reason = known.reason.as_ref();
                let reason = reason.map(|reason| reason.message.clone());
                (known.state.to_string(), reason)
            }
        };
        files.push(ListedFile {
            inbox: inbox.to_string(),
            name: found.data.name.to_string(),
            agreement: Some(found.agreement.to_string()),
            state,
            production_date: found.production_date().map(str::to_owned),
            size: Some(found.data.stat.size),
            age_days: age(found.data.stat.modified),
            days_left: days_left(found.data.stat.modified),
            reason,
            is_delivery,
        });
    }
    for orphan in inventory.orphans {
        files.push(ListedFile {
            inbox: inbox.to_string(),
            name: orphan.name.to_string(),
            agreement: Some(orphan.agreement.to_string()),
            state: "published".to_owned(),
            production_date: None,
            size: None,
            age_days: None,
            days_left: None,
            reason: Some(
                "the delivery is published and only its metadata file is left; `cprflow sync` deletes it"
                    .to_owned(),
            ),
            is_delivery: false,
        });
    }
    for file in inventory.waiting.into_iter().chain(inventory.strays) {
        files.push(ListedFile {
            inbox: inbox.to_string(),
            name: file.redacted_file_name(),
            agreement: None,
            state: file.reason.code,
            production_date: None,
            size: file.size,
            age_days: age(file.modified),
            days_left: days_left(file.modified),
            reason: Some(file.reason.message),
            is_delivery: false,
        });
    }
    files
}

fn print_text(out: &mut impl Write, files: &[ListedFile]) -> io::Result<()> {
    if files.is_empty() {
        return writeln!(out, "the inbox is empty");
    }
    let (deliveries, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.is_delivery);
    let days = |days: Option<i64>| days.map(|days| days.to_string()).unwrap_or_default();
    if !deliveries.is_empty() {
        writeln!(
            out,
            "{:12} {:10} {:>12} {:>5} {:>5}  {:16} FILE",
            "STATE", "PRODUCED", "SIZE", "AGE", "LEFT", "AGREEMENT"
        )?;
    }
    for file in deliveries {
        writeln!(
            out,
            "{:12} {:10} {:>12} {:>5} {:>5}  {:16} {}",
            file.state,
            file.production_date.as_deref().unwrap_or("?"),
            HumanBytes(file.size.unwrap_or_default()).to_string(),
            days(file.age_days),
            days(file.days_left),
            file.agreement.as_deref().unwrap_or_default(),
            file.name,
        )?;
    }
    if !others.is_empty() {
        writeln!(out, "\nnot deliveries, or not complete yet:")?;
    }
    for file in others {
        let reason = file.reason.as_deref().unwrap_or_default();
        writeln!(out, "  {} ({}): {reason}", file.name, file.state)?;
    }
    Ok(())
}
