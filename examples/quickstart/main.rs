//! The whole way on one machine: a platform, a subscription, two nights, and a dataset of both.
//!
//! `cargo run --release --example quickstart`
//!
//! Nothing has to be installed, and nobody is talked to but this machine: the platform is cprflow's stand-in for
//! Serviceplatformen, with keys and certificates of this very run, and nobody in it exists. What is done with it is
//! what the command does: the comments name it.

mod now;
mod stage;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arrow::array::AsArray;
use clap::Parser;
use cprflow::config::Configuration;
use cprflow::subscriber::{
    self, Audit, Desk, Observer, Pace, Permission, Place, Plan, Work, municipality_name,
};
use cprflow::sync::{Stop, Sync};
use cprflow::{Agreement, Connector};
use cprflow_platform::{Options, Platform, SftpServer};
use indicatif::{HumanBytes, HumanCount};

use now::Now;
use stage::Stage;

/// Show cprflow at work, from the subscription to a question about the data, with persons who do not exist
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave everything in this directory, which must be new or empty [default: one of its own among the temporary]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Persons whom the platform knows, in the whole country
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    persons: u64,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Who is subscribed to.
const MUNICIPALITY: &str = "0265";

/// The agreement's name.
const AGREEMENT: &str = "roskilde";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stage::failed(error.as_ref());
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<()> {
    let directory = directory(arguments.keep.as_deref())?;
    let mut stage = Stage::new(7);

    stage.step("A platform on this machine", "")?;
    let platform = Platform::start(options(&directory, arguments.persons))?;
    stage.say(&format!(
        "a stand-in for Serviceplatformen: {} persons who do not exist, and keys and certificates made just now",
        HumanCount(arguments.persons)
    ))?;
    stage.fact("subscription", &platform.url())?;
    stage.fact("inbox", &inbox(&platform))?;
    let config = directory.join("cprflow.toml");
    fs::write(&config, configuration(&platform))?;
    stage.fact("configuration", &config.display().to_string())?;

    let connector = stage.working("compiling the sandbox", Connector::embedded)?;
    let configuration = Configuration::from_file(&config)?;

    stage.step("Subscribe to a municipality", "cprflow subscription apply")?;
    subscribe(&mut stage, &connector, &configuration)?;

    stage.step("The first night", "")?;
    night(&mut stage, &platform)?;

    stage.step("Fetch and publish what came", "cprflow sync")?;
    sync(&mut stage, &connector, &configuration)?;
    let now = Now::of(&directory.join("dataset"), AGREEMENT)?;
    tables(&mut stage, &now)?;

    stage.step("Another night, and what it brought", "cprflow sync")?;
    night(&mut stage, &platform)?;
    sync(&mut stage, &connector, &configuration)?;
    let now = Now::of(&directory.join("dataset"), AGREEMENT)?;
    let events = now.published_last("event", &["pnr", "registered", "event_code"])?;
    stage.rows("some of what happened to them (table event)", &events, 4)?;

    stage.step("The ledger", "cprflow status")?;
    ledger(&mut stage, &configuration)?;

    stage.step("As it is now", "cprflow views … | duckdb")?;
    question(&mut stage, &now)?;

    farewell(&mut stage, &directory)
}

/// Where everything is: for its owner's eyes only, as it would be with real data.
fn directory(keep: Option<&Path>) -> Outcome<PathBuf> {
    let Some(keep) = keep else {
        let made = tempfile::Builder::new()
            .prefix("cprflow-quickstart-")
            .tempdir()?;
        return Ok(made.keep());
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(keep)?;
    let directory = fs::canonicalize(keep)?;
    if fs::read_dir(&directory)?.next().is_some() {
        let what = format!(
            "{} is not empty: name a directory that is new",
            keep.display()
        );
        return Err(what.into());
    }
    Ok(directory)
}

fn options(directory: &Path, persons: u64) -> Options {
    let mut options = Options::new(directory.join("platform"), persons, 1);
    options.sftp = SftpServer::InProcess;
    options
}

/// The inbox's address.
fn inbox(platform: &Platform) -> String {
    let sftp = platform.sftp();
    format!("sftp://{}@{}:{}/IN", sftp.user(), sftp.host(), sftp.port())
}

/// What `cprflow init` begins, filled in.
fn configuration(platform: &Platform) -> String {
    let (sftp, client, agreement) = (
        platform.sftp(),
        platform.client(),
        &platform.agreements()[0],
    );
    format!(
        "dataset = \"dataset\"\nstate = \"state\"\n\n\
         [agreement.{AGREEMENT}]\ncontroller = \"Nobody: the quickstart\"\ninbox = {:?}\nidentity = {:?}\n\
         known_hosts = {:?}\nunrestricted = \"the quickstart, with persons who do not exist\"\n\n\
         [agreement.{AGREEMENT}.service]\nendpoint = {:?}\nservice_agreement_uuid = {:?}\nuser_system_uuid = {:?}\n\
         user_uuid = {:?}\nmunicipality = \"{MUNICIPALITY}\"\npurpose = \"the quickstart\"\ncertificate = {:?}\n\
         key = {:?}\nca = {:?}\n\n\
         [agreement.{AGREEMENT}.subscription]\nmunicipality_codes = [\"{MUNICIPALITY}\"]\n",
        inbox(platform),
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

/// `cprflow subscription apply`: look what is there, work out what is missing, add that, and look again.
fn subscribe(
    stage: &mut Stage,
    connector: &Connector,
    configuration: &Configuration,
) -> Outcome<()> {
    let (state, agreement) = only(configuration)?;
    let (Some(service), Some(wanted)) = (&agreement.service, &agreement.subscription) else {
        return Err("the configuration has no service or no subscription".into());
    };
    let place = Place::take(state, &agreement.name)?;
    let audit = Audit::open(
        place.directory(),
        agreement.name.as_str(),
        service.purpose.as_deref(),
    )?;
    let client = subscriber::connect(service)?;
    let mut desk = Desk::new(connector, client, service, Stop::default()).with_audit(audit);
    let holding = desk.holding()?;
    let plan = Plan::new(&wanted.wanted()?, &holding)?;
    plan.check(Permission {
        allow_national: wanted.allow_national,
        max_removals: None,
        may_remove_most: false,
    })?;
    stage.say(&format!(
        "it holds {} filters; what the configuration wants besides:",
        holding.filters.len()
    ))?;
    for filter in &plan.add {
        let name = municipality_name(MUNICIPALITY).unwrap_or_default();
        stage.say(&format!("+ {filter} {name}    brings a full load"))?;
    }
    let mut work = Work::new(
        &mut desk,
        &place,
        &agreement.name,
        Pace::default(),
        &Unwatched,
    );
    let tally = work.apply(&plan, false, &holding)?;
    stage.fact("added", &tally.added.to_string())?;
    let log = place.directory().join("audit.jsonl");
    stage.fact("audit log", &log.display().to_string())
}

/// The platform's nightly run: at Serviceplatformen this happens by itself.
fn night(stage: &mut Stage, platform: &Platform) -> Outcome<()> {
    let night = stage.working("the platform makes its nightly run", || platform.night())?;
    for delivered in &night.deliveries {
        let whom = match (delivered.loaded.len(), delivered.changed.len()) {
            (0, changed) => format!(
                "{} persons to whom something happened",
                HumanCount(changed as u64)
            ),
            (loaded, _) => format!("everything about {} persons", HumanCount(loaded as u64)),
        };
        stage.say(&format!(
            "{}: {} lies in the inbox, {}, {whom}",
            night.day,
            delivered.name,
            HumanBytes(delivered.bytes.len() as u64)
        ))?;
    }
    Ok(())
}

/// `cprflow sync`: over SFTP, through the sandbox, into the dataset, and only then off the server.
fn sync(stage: &mut Stage, connector: &Connector, configuration: &Configuration) -> Outcome<()> {
    for store in &configuration.stores {
        let run = Sync::new(connector, store);
        let report = stage.working("fetching, reading, publishing", || run.run())?;
        if let Some(problem) = report.problems.into_iter().next() {
            return Err(problem.error.into());
        }
        for published in &report.published {
            stage.fact(
                "published",
                &format!(
                    "{} records of {} persons",
                    HumanCount(published.records),
                    HumanCount(published.persons)
                ),
            )?;
            stage.fact("as", &published.directory.display().to_string())?;
        }
    }
    Ok(())
}

/// What a delivery became: tables, and somebody in them.
fn tables(stage: &mut Stage, now: &Now) -> Outcome<()> {
    let mut counts = now.row_counts()?;
    counts.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let empty = counts.iter().filter(|(_, rows)| *rows == 0).count();
    let largest: Vec<_> = counts
        .iter()
        .take(6)
        .map(|(table, rows)| format!("{table} {}", HumanCount(*rows)))
        .collect();
    stage.fact("tables", &format!("{}, …", largest.join(", ")))?;
    stage.say(&format!(
        "{} tables in all, {empty} of them empty: every delivery has every table",
        counts.len()
    ))?;
    let somebody = now.table(
        "plaintext_address",
        &[
            "pnr",
            "addressing_name",
            "standard_address",
            "postal_code",
            "postal_district",
        ],
    )?;
    stage.rows(
        "some who do not exist (table plaintext_address)",
        &somebody,
        4,
    )
}

/// `cprflow status`.
fn ledger(stage: &mut Stage, configuration: &Configuration) -> Outcome<()> {
    for status in cprflow::status::status(configuration, jiff::Timestamp::now())? {
        stage.fact("agreement", &status.agreement)?;
        stage.fact("published", &status.published.to_string())?;
        if let Some(newest) = &status.newest {
            let date = newest.production_date().unwrap_or("no date");
            stage.fact(
                "newest",
                &format!("{} of {date}, {}", newest.file_name, newest.state),
            )?;
        }
        if status.remarks.is_empty() {
            stage.fact("to be done", "nothing")?;
        }
        for remark in &status.remarks {
            stage.fact("note", &remark.text)?;
        }
    }
    Ok(())
}

/// `SELECT status, count(*) FROM person GROUP BY status`, of the persons as they are now.
fn question(stage: &mut Stage, now: &Now) -> Outcome<()> {
    let persons = now.table("person", &["pnr", "status"])?;
    stage.say(&format!(
        "{} rows of table person are published. A delivery replaces the persons that it carries, so {} hold now:",
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
        stage.say(&format!(
            "status {status} {:>7}  {meaning}",
            HumanCount(count).to_string()
        ))?;
    }
    Ok(())
}

fn farewell(stage: &mut Stage, directory: &Path) -> Outcome<()> {
    let here = directory.display();
    stage.end("That was all of it, and all of it is still there")?;
    stage.fact("dataset", &format!("{here}/dataset"))?;
    stage.fact("remove it", &format!("rm -r {here}"))?;
    stage.end("Go on with the command, which `cargo install --path host` installs")?;
    for next in [
        format!("cprflow status --config {here}/cprflow.toml"),
        format!("cprflow views --dialect duckdb {here}/dataset | duckdb now.db"),
        "cprflow init --environment test    # the configuration of your own agreement".to_owned(),
    ] {
        stage.say(&next)?;
    }
    Ok(())
}

/// The one agreement of the configuration, and where its state is.
fn only(configuration: &Configuration) -> Outcome<(&Path, &Agreement)> {
    let store = configuration.stores.first().ok_or("there is no dataset")?;
    let agreement = store.agreements.first().ok_or("there is no agreement")?;
    Ok((&store.state, agreement))
}

/// One call needs no progress bar.
struct Unwatched;

impl Observer for Unwatched {
    fn begins(&self, _calls: usize) {}
    fn advanced(&self) {}
    fn ends(&self) {}
}
