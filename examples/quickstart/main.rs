//! Shows the whole process on one machine: a platform, a subscription, three nights, a tenant, and a report.
//!
//! `cargo run --release --example quickstart`
//!
//! It needs no installation and connects only to this machine. The platform is cprflow's stand-in for Serviceplatformen,
//! with keys and certificates made in this run. The persons in it do not exist. Each line that begins with `$` is a
//! command of cprflow, which runs just like that.

mod command;
mod current;
mod printer;
mod setting;

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use cprflow_platform::{DeliveryFault, Options, Platform, SftpBackend};
use indicatif::{HumanBytes, HumanCount};

use current::Current;
use printer::StepPrinter;
use setting::{AGREEMENT, MUNICIPALITY, TENANT};

/// Show cprflow at work, from the subscription to a report, with persons who do not exist
#[derive(Debug, Parser)]
struct Arguments {
    /// Keep all files in this directory, which must be new or empty [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Number of persons in the platform's register
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    persons: u64,
}

/// The day from which on moves are shown, some weeks before the first night of the platform.
const MOVED_SINCE: &str = "2026-01-01";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    if let Some(code) = command::run_if_asked() {
        return code;
    }
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
    let mut printer = StepPrinter::new(7, &directory);

    printer.step("A platform on this machine")?;
    let platform = Platform::start(platform_options(&directory, arguments.persons))?;
    printer.line(&format!(
        "a stand-in for Serviceplatformen: {} persons who do not exist, new keys and certificates",
        HumanCount(arguments.persons)
    ))?;
    printer.value("subscription", &platform.url())?;
    printer.value("inbox", &setting::inbox_address(&platform))?;
    let config = directory.join("cprflow.toml");
    fs::write(&config, setting::configuration(&platform))?;
    printer.value("configuration", &config.display().to_string())?;
    printer.line("The commands below run in the directory of the configuration.")?;

    printer.step("Subscribe to a municipality")?;
    printer.command(&["subscription", "apply", "--yes"])?;
    run_platform_night(&mut printer, &platform)?;
    printer.command(&["sync"])?;

    printer.step("Who moved in, and from where?")?;
    run_platform_night(&mut printer, &platform)?;
    printer.command(&["sync"])?;
    show_moves(&mut printer)?;

    printer.step("A tenant that must not see a protected child")?;
    show_tenant(&mut printer, &directory, &config)?;

    printer.step("A damaged delivery")?;
    show_damaged_delivery(&mut printer, &platform)?;

    printer.step("The tables as they are now")?;
    count_by_status(&mut printer, &Current::of(&directory.join("dataset"))?)?;

    printer.step("The report, without personal data")?;
    printer.command(&["status"])?;
    printer.command(&["report", "-o", "report.html"])?;

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

/// Shows who came from another municipality, from the kept extracts.
fn show_moves(printer: &mut StepPrinter) -> Outcome<()> {
    let moved_in = format!(
        "municipality_code = '{MUNICIPALITY}' and moved_into_municipality >= '{MOVED_SINCE}' \
         and previous_municipality_code != '0000'"
    );
    printer.command(&[
        "scan",
        "--register",
        AGREEMENT,
        "--table",
        "address",
        "--columns",
        "pnr,moved_into_municipality,street_name,house_number,previous_municipality_code",
        "--names",
        "--where",
        &moved_in,
        "--limit",
        "5",
    ])
}

/// Adds a tenant, and shows the same child in the whole dataset and in the tenant's.
fn show_tenant(printer: &mut StepPrinter, directory: &Path, config: &Path) -> Outcome<()> {
    let tenant = setting::tenant();
    OpenOptions::new()
        .append(true)
        .open(config)?
        .write_all(tenant.as_bytes())?;
    printer.line("added to the configuration:")?;
    for line in tenant.trim().lines() {
        printer.line(&format!("  {line}"))?;
    }
    printer.line(
        "`cprflow tenant check` lists what it may see, and why. The next run makes its tables:",
    )?;
    printer.command(&["sync"])?;
    let whole = Current::of(&directory.join("dataset"))?;
    let tenants = Current::of(&directory.join("tenants").join(TENANT))?;
    let Some(child) = tenants.protected_person()? else {
        return printer.line("none of the children is protected: use more --persons");
    };
    let columns = ["pnr", "addressing_name", "standard_address", "postal_code"];
    for (title, tables) in [
        ("a protected child in dataset/current", &whole),
        ("the same child in tenants/schools/current", &tenants),
    ] {
        let row = tables.person("plaintext_address", &columns, &child)?;
        printer.rows(title, &row, 1)?;
    }
    Ok(())
}

/// Shows that a delivery with an error is not published, and how it is processed when it has come whole.
fn show_damaged_delivery(printer: &mut StepPrinter, platform: &Platform) -> Outcome<()> {
    platform.arm_delivery_fault(DeliveryFault::CutOff, 1);
    let night = printer.timed("nightly run of the platform", || platform.run_night())?;
    let delivered = night.deliveries.first();
    let delivered = delivered.ok_or("the platform has delivered nothing")?;
    let name = &delivered.name;
    printer.line(&format!(
        "{}: {name} is in the inbox, but its end was cut off",
        night.day
    ))?;
    printer.command_that_fails(&["sync"])?;
    platform.deliver_again(delivered)?;
    printer.line("The helpdesk sends the whole file again, so you let cprflow try again:")?;
    printer.command(&["retry", name])
}

/// Counts the persons by status, from the current tables.
fn count_by_status(printer: &mut StepPrinter, current: &Current) -> Outcome<()> {
    printer
        .line("SELECT status, count(*) FROM 'dataset/current/person.parquet' GROUP BY status")?;
    for (status, count) in current.count_by("person", "status")? {
        let meaning = match status.as_str() {
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
    printer.value("report", &format!("{directory}/report.html"))?;
    printer.value("to remove them", &format!("rm -r {directory}"))?;
    printer.closing_title("Next: the command, which `cargo install --path host/cli` installs")?;
    printer.line(
        "The platform has stopped, so `sync` and `subscription` cannot reach it. These work:",
    )?;
    for next in [
        format!("cprflow status --config {directory}/cprflow.toml"),
        format!(
            "cprflow scan --register {AGREEMENT} --config {directory}/cprflow.toml --table person --limit 5"
        ),
        format!("duckdb -c \"SELECT count(*) FROM '{directory}/dataset/current/person.parquet'\""),
        "cprflow init --environment test    # writes the configuration of your own agreement"
            .to_owned(),
    ] {
        printer.line(&format!("$ {next}"))?;
    }
    Ok(())
}
