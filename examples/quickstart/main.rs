//! Shows the whole process on one machine: a platform, a subscription, two nights, and a dataset with both deliveries.
//!
//! `cargo run --release --example quickstart`
//!
//! It needs no installation and connects only to this machine. The platform is cprflow's stand-in for Serviceplatformen,
//! with keys and certificates made in this run. The persons in it do not exist. Each step does the same as a command,
//! which the output names.

mod now;
mod printer;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arrow::array::AsArray;
use clap::Parser;
use cprflow::Connector;
use cprflow_delivery::Agreement;
use cprflow_delivery::Stop;
use cprflow_delivery::config::Configuration;
use cprflow_delivery::subscription::{
    self, AuditLog, CallObserver, ChangeLimits, Client, Executor, Pace, Plan,
    SubscriptionDirectory, municipality_name,
};
use cprflow_delivery::sync::Sync;
use cprflow_platform::{Options, Platform, SftpBackend};
use indicatif::{HumanBytes, HumanCount};

use now::Now;
use printer::StepPrinter;

/// Show cprflow at work, from the subscription to a question about the data, with persons who do not exist
#[derive(Debug, Parser)]
struct Arguments {
    /// Keep all files in this directory, which must be new or empty [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Number of persons in the platform's register
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    persons: u64,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The municipality that the quickstart subscribes to.
const MUNICIPALITY: &str = "0265";

/// The name of the agreement.
const AGREEMENT: &str = "roskilde";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer::print_error(error.as_ref());
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<()> {
    let directory = make_directory(arguments.keep.as_deref())?;
    let mut printer = StepPrinter::new(7);

    printer.step("A platform on this machine", "")?;
    let platform = Platform::start(platform_options(&directory, arguments.persons))?;
    printer.line(&format!(
        "a stand-in for Serviceplatformen: {} persons who do not exist, new keys and certificates",
        HumanCount(arguments.persons)
    ))?;
    printer.value("subscription", &platform.url())?;
    printer.value("inbox", &inbox_address(&platform))?;
    let config = directory.join("cprflow.toml");
    fs::write(&config, configuration(&platform))?;
    printer.value("configuration", &config.display().to_string())?;

    let connector = printer.timed("loading the sandbox", Connector::embedded)?;
    let configuration = Configuration::from_file(&config)?;

    printer.step("Subscribe to a municipality", "cprflow subscription apply")?;
    apply_subscription(&mut printer, &connector, &configuration)?;

    printer.step("The first night", "")?;
    run_platform_night(&mut printer, &platform)?;

    printer.step("Fetch and publish the delivery", "cprflow sync")?;
    sync(&mut printer, &connector, &configuration)?;
    let now = Now::of(&directory.join("dataset"), AGREEMENT)?;
    show_tables(&mut printer, &now)?;

    printer.step("Another night, another delivery", "cprflow sync")?;
    run_platform_night(&mut printer, &platform)?;
    sync(&mut printer, &connector, &configuration)?;
    let now = Now::of(&directory.join("dataset"), AGREEMENT)?;
    let events = now.published_last("event", &["pnr", "registered", "event_code"])?;
    printer.rows("some events (table event)", &events, 4)?;

    printer.step("The ledger", "cprflow status")?;
    show_status(&mut printer, &configuration)?;

    printer.step("The current state", "dataset/current/person.parquet")?;
    count_by_status(&mut printer, &now)?;

    show_next_steps(&mut printer, &directory)
}

/// Makes the directory for all files. Only its owner can read it, as with real data.
fn make_directory(keep: Option<&Path>) -> Outcome<PathBuf> {
    let Some(keep) = keep else {
        let temporary = tempfile::Builder::new()
            .prefix("cprflow-quickstart-")
            .tempdir()?;
        return Ok(temporary.keep());
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(keep)?;
    let directory = fs::canonicalize(keep)?;
    if fs::read_dir(&directory)?.next().is_some() {
        let error = format!(
            "{} is not empty, and the quickstart overwrites nothing. Name a new or empty directory",
            keep.display()
        );
        return Err(error.into());
    }
    Ok(directory)
}

/// Returns the options of the stand-in platform, which keeps its files in the directory.
fn platform_options(directory: &Path, persons: u64) -> Options {
    let mut options = Options::new(directory.join("platform"), persons, 1);
    options.sftp = SftpBackend::InProcess;
    options
}

/// Returns the address of the inbox on the platform's SFTP server.
fn inbox_address(platform: &Platform) -> String {
    let sftp = platform.sftp();
    format!("sftp://{}@{}:{}/IN", sftp.user(), sftp.host(), sftp.port())
}

/// Returns a configuration like the one of `cprflow init`, with all values filled in.
fn configuration(platform: &Platform) -> String {
    let (sftp, client, agreement) = (
        platform.sftp(),
        platform.client(),
        &platform.agreements()[0],
    );
    format!(
        "dataset = \"dataset\"\nstate = \"state\"\n\n\
         [agreement.{AGREEMENT}]\ncontroller = \"the quickstart, no real controller\"\ninbox = {:?}\nidentity = {:?}\n\
         known_hosts = {:?}\nunrestricted = \"the quickstart, with persons who do not exist\"\n\
         church = {{ purpose = \"the quickstart\" }}\n\n\
         [agreement.{AGREEMENT}.service]\nendpoint = {:?}\nservice_agreement_uuid = {:?}\nuser_system_uuid = {:?}\n\
         user_uuid = {:?}\nmunicipality = \"{MUNICIPALITY}\"\npurpose = \"the quickstart\"\ncertificate = {:?}\n\
         key = {:?}\nca = {:?}\n\n\
         [agreement.{AGREEMENT}.subscription]\nmunicipality_codes = [\"{MUNICIPALITY}\"]\n",
        inbox_address(platform),
        sftp.identity(),
        sftp.known_hosts(),
        platform.url(),
        agreement.uuid,
        agreement.user_system,
        agreement.user,
        client.chain,
        client.key,
        platform.ca(),
    )
}

/// Does the same as `cprflow subscription apply`: reads the subscription, adds the missing filters, and reads it again.
fn apply_subscription(
    printer: &mut StepPrinter,
    connector: &Connector,
    configuration: &Configuration,
) -> Outcome<()> {
    let (state, agreement) = only_agreement(configuration)?;
    let (Some(service), Some(wanted)) = (&agreement.service, &agreement.subscription) else {
        return Err("the agreement has no service or no subscription in the configuration".into());
    };
    let directory = SubscriptionDirectory::take(state, &agreement.name)?;
    let audit = AuditLog::open(
        directory.directory(),
        agreement.name.as_str(),
        service.purpose.as_deref(),
    )?;
    let channel = subscription::connect(service)?;
    let mut client = Client::new(connector, channel, service, Stop::default()).with_audit(audit);
    let current = client.current_filters()?;
    let plan = Plan::new(&wanted.wanted()?, &current)?;
    plan.check(ChangeLimits {
        allow_national: wanted.allow_national,
        max_removals: None,
        may_remove_most: false,
    })?;
    printer.line(&format!(
        "the subscription has {} filters; the configuration adds:",
        current.filters.len()
    ))?;
    for filter in &plan.add {
        let name = municipality_name(MUNICIPALITY).unwrap_or_default();
        printer.line(&format!("+ {filter} {name}    brings an initial load"))?;
    }
    let mut executor = Executor::new(
        &mut client,
        &directory,
        &agreement.name,
        Pace::default(),
        &NoProgress,
    );
    let counts = executor.apply(&plan, false, &current)?;
    printer.value("added", &counts.added.to_string())?;
    let log = directory.directory().join("audit.jsonl");
    printer.value("audit log", &log.display().to_string())
}

/// Runs the platform's nightly delivery, which Serviceplatformen starts by itself.
fn run_platform_night(printer: &mut StepPrinter, platform: &Platform) -> Outcome<()> {
    let night = printer.timed("nightly run of the platform", || platform.run_night())?;
    for delivered in &night.deliveries {
        let content = match (delivered.loaded.len(), delivered.changed.len()) {
            (0, changed) => format!("{} persons with events", HumanCount(changed as u64)),
            (loaded, _) => format!("everything about {} persons", HumanCount(loaded as u64)),
        };
        printer.line(&format!(
            "{}: {} is in the inbox, {}, {content}",
            night.day,
            delivered.name,
            HumanBytes(delivered.bytes.len() as u64)
        ))?;
    }
    Ok(())
}

/// Does the same as `cprflow sync`: fetches over SFTP, scans in the sandbox, publishes, then removes the delivery from the
/// server.
fn sync(
    printer: &mut StepPrinter,
    connector: &Connector,
    configuration: &Configuration,
) -> Outcome<()> {
    for store in &configuration.stores {
        let run = Sync::new(connector, store);
        let report = printer.timed("fetching, scanning, publishing", || run.run())?;
        if let Some(problem) = report.problems.into_iter().next() {
            return Err(problem.error.into());
        }
        for published in &report.published {
            printer.value(
                "published",
                &format!(
                    "{} records of {} persons",
                    HumanCount(published.records),
                    HumanCount(published.persons)
                ),
            )?;
            printer.value("as", &published.directory.display().to_string())?;
        }
    }
    Ok(())
}

/// Shows the largest tables of the dataset, and some rows of one table.
fn show_tables(printer: &mut StepPrinter, now: &Now) -> Outcome<()> {
    let mut counts = now.row_counts()?;
    counts.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let empty = counts.iter().filter(|(_, rows)| *rows == 0).count();
    let largest: Vec<_> = counts
        .iter()
        .take(6)
        .map(|(table, rows)| format!("{table} {}", HumanCount(*rows)))
        .collect();
    printer.value("tables", &format!("{}, …", largest.join(", ")))?;
    printer.line(&format!(
        "{} tables, {empty} of them empty: every delivery has every table",
        counts.len()
    ))?;
    let persons = now.table(
        "plaintext_address",
        &[
            "pnr",
            "addressing_name",
            "standard_address",
            "postal_code",
            "postal_district",
        ],
    )?;
    printer.rows(
        "some persons who do not exist (table plaintext_address)",
        &persons,
        4,
    )
}

/// Does the same as `cprflow status`: shows what the ledger records.
fn show_status(printer: &mut StepPrinter, configuration: &Configuration) -> Outcome<()> {
    for status in cprflow_delivery::status::status(configuration, jiff::Timestamp::now())? {
        printer.value("agreement", &status.agreement)?;
        printer.value("published", &status.published.to_string())?;
        if let Some(newest) = &status.newest {
            let date = newest.production_date().unwrap_or("no date");
            printer.value(
                "newest",
                &format!("{} of {date}, {}", newest.file_name, newest.state),
            )?;
        }
        if status.remarks.is_empty() {
            printer.value("to be done", "nothing")?;
        }
        for remark in &status.remarks {
            printer.value("note", &remark.text)?;
        }
    }
    Ok(())
}

/// Runs `SELECT status, count(*) FROM 'current/person.parquet' GROUP BY status` on the dataset.
fn count_by_status(printer: &mut StepPrinter, now: &Now) -> Outcome<()> {
    let persons = now.table("person", &["pnr", "status"])?;
    printer.line(&format!(
        "{} rows of table person are published. A delivery replaces the persons that it carries, so {} are in current/:",
        HumanCount(now.published_rows("person")?),
        HumanCount(persons.num_rows() as u64)
    ))?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for status in persons.column(1).as_string::<i32>().iter().flatten() {
        *counts.entry(status).or_default() += 1;
    }
    for (status, count) in counts {
        let meaning = match status {
            "01" | "03" => "resident in Denmark",
            "05" | "07" => "resident in Greenland",
            "20" => "not resident: a number for tax or pension",
            "30" => "annulled number",
            "50" => "deleted number",
            "60" => "changed number",
            "70" => "disappeared",
            "80" => "emigrated",
            "90" => "dead",
            _ => "",
        };
        printer.line(&format!(
            "status {status} {:>7}  {meaning}",
            HumanCount(count).to_string()
        ))?;
    }
    Ok(())
}

/// Shows where the files are, and commands to try next.
fn show_next_steps(printer: &mut StepPrinter, directory: &Path) -> Outcome<()> {
    let directory = directory.display();
    printer.closing_title("Done. The files are kept:")?;
    printer.value("current tables", &format!("{directory}/dataset/current"))?;
    printer.value("dataset", &format!("{directory}/dataset"))?;
    printer.value("to remove them", &format!("rm -r {directory}"))?;
    printer.closing_title("Next: the command, which `cargo install --path host/cli` installs")?;
    for next in [
        format!("cprflow status --config {directory}/cprflow.toml"),
        format!("duckdb -c \"SELECT count(*) FROM '{directory}/dataset/current/person.parquet'\""),
        "cprflow init --environment test    # writes the configuration of your own agreement"
            .to_owned(),
    ] {
        printer.line(&next)?;
    }
    Ok(())
}

/// Returns the only agreement of the configuration, and its state directory.
fn only_agreement(configuration: &Configuration) -> Outcome<(&Path, &Agreement)> {
    let store = configuration.stores.first().ok_or("there is no dataset")?;
    let agreement = store.agreements.first().ok_or("there is no agreement")?;
    Ok((&store.state, agreement))
}

/// Shows no progress, because the quickstart adds only one filter.
struct NoProgress;

impl CallObserver for NoProgress {
    fn begins(&self, _calls: usize) {}
    fn advanced(&self) {}
    fn ends(&self) {}
}
