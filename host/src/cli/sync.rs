//! `cprflow sync`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstyle::Style;
use clap::{Args, ValueEnum};
use cprflow::calendar::service_window_end;
use cprflow::config::Configuration;
use cprflow::sync::{Problem, Report, Stop, Sync as Run};
use cprflow::{Connector, Error};
use indicatif::HumanCount;
use jiff::Timestamp;

use super::progress::SyncProgress;
use super::source::Source;
use super::{Failure, Outcome, log, say};

/// Fetch what is ready in the inbox, publish it in the dataset, and remove it from the server
///
/// A delivery is published as one directory of Parquet files that appears at once and whole, and only then are its
/// data file and its metadata file removed from the server; where tenants get it, when all that are well have it and
/// the spool holds it for the others. One that is damaged is set aside, with its reason, and stays on the server; the
/// others go on. Stopped at any moment, the next run goes on from there: nothing is lost, and nothing is published twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  everything that is ready is published
  1  published what could be; something waits for a person (see `cprflow status`)
  2  an inbox, the dataset, the ledger or a tenant could not be worked on

Examples:
  cprflow sync --inbox inbox/ --dataset dataset/ --unrestricted 'trying it out'
  cprflow sync --inbox sftp://SYSTEM@sftp.serviceplatformen.dk/IN --identity sftp_key --known-hosts known_hosts \\
      --dataset /srv/cpr --unrestricted 'case management, data processing agreement 2026-17'
  cprflow sync --config cprflow.toml --watch --log-format json --format json")]
pub(crate) struct Sync {
    #[command(flatten)]
    source: Source,

    /// Publish everything of everyone, for this purpose; it stands in every _delivery.json
    #[arg(long, value_name = "PURPOSE")]
    unrestricted: Option<String>,

    /// Days that extracts stay in the spool which were set aside or not finished
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    max_age: Option<u32>,

    /// Go on for ever: look into the inboxes every six hours, or as the configuration says
    ///
    /// The configuration is read again before every look. SIGHUP makes it look at once, SIGTERM ends it between two
    /// steps. It stays away in the platform's service windows, and comes back sooner after a failure.
    #[arg(long)]
    watch: bool,

    /// How to print the report; with --log-format json, that of JSON is one line
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

impl Sync {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let stop = Stop::default();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // The second one ends it the hard way, should a step take too long for somebody.
            signal_hook::flag::register_conditional_shutdown(signal, 130, stop.flag())?;
            signal_hook::flag::register(signal, stop.flag())?;
        }
        match self.watch {
            true => self.watch(connector, &stop),
            false => self.once(connector, &self.configuration()?, &stop),
        }
    }

    fn configuration(&self) -> Result<Configuration, Failure> {
        let mut configuration = self.source.configuration()?;
        if let Some(purpose) = &self.unrestricted {
            configuration.unrestricted(purpose)?;
        }
        if let Some(days) = self.max_age {
            configuration.max_age_days(days);
        }
        Ok(configuration)
    }

    fn once(
        &self,
        connector: &Connector,
        configuration: &Configuration,
        stop: &Stop,
    ) -> Result<Outcome, Failure> {
        let outcome = run(connector, configuration, stop, self.format)?;
        match stop.is_set() {
            true => Err(Error::Stopped.into()),
            false => Ok(outcome),
        }
    }

    /// Looks again and again until it is stopped.
    fn watch(&self, connector: &Connector, stop: &Stop) -> Result<Outcome, Failure> {
        let now_please = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGHUP, now_please.clone())?;
        // A configuration that is wrong from the beginning is told at once.
        let mut interval = self.configuration()?.interval;
        let mut failures = 0;
        let mut is_asked = false;
        loop {
            // Whoever asks gets a look in a service window too.
            if !is_asked && wait_for_window(stop, &now_please).is_err() {
                return Ok(Outcome::Clean);
            }
            let looked = self.configuration().and_then(|configuration| {
                interval = configuration.interval;
                self.once(connector, &configuration, stop)
            });
            let pause = match looked {
                Ok(outcome) if outcome != Outcome::Failed => {
                    failures = 0;
                    with_jitter(interval)
                }
                Err(Failure::Cprflow(Error::Stopped)) => return Ok(Outcome::Clean),
                looked => {
                    if let Err(failure) = looked {
                        say::error(&format!("the look failed: {failure}"));
                    }
                    failures += 1;
                    with_jitter(after_failures(failures, interval))
                }
            };
            tracing::info!(seconds = pause.as_secs(), "waiting for the next look");
            is_asked = match wait(pause, stop, &now_please) {
                Ok(is_asked) => is_asked,
                Err(_) => return Ok(Outcome::Clean),
            };
        }
    }
}

/// Runs over all stores, and reports.
pub(super) fn run(
    connector: &Connector,
    configuration: &Configuration,
    stop: &Stop,
    format: ReportFormat,
) -> Result<Outcome, Failure> {
    let progress = SyncProgress::default();
    let mut all = Report::default();
    for store in &configuration.stores {
        if stop.is_set() {
            break;
        }
        let ended = Run::new(connector, store)
            .observer(&progress)
            .stop(stop)
            .run();
        let report = match ended {
            Ok(report) => report,
            Err(Error::Stopped) => break,
            // The next store has a disk and a ledger of its own.
            Err(error) => {
                all.problems.push(Problem {
                    agreement: None,
                    tenant: None,
                    error,
                });
                continue;
            }
        };
        all.published.extend(report.published);
        all.set_aside.extend(report.set_aside);
        all.waiting.extend(report.waiting);
        all.strays.extend(report.strays);
        all.problems.extend(report.problems);
    }
    match format {
        ReportFormat::Text => text(&mut anstream::stdout().lock(), &all)?,
        ReportFormat::Json => {
            let mut out = std::io::stdout().lock();
            // Where the log is JSON, a collector takes both, line by line.
            let written = match log::is_json() {
                true => serde_json::to_writer(&mut out, &all),
                false => serde_json::to_writer_pretty(&mut out, &all),
            };
            written.map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    for problem in &all.problems {
        say::problem(problem);
    }
    Ok(match (all.problems.is_empty(), all.needs_attention()) {
        (false, _) => Outcome::Failed,
        (true, true) => Outcome::Findings,
        (true, false) => Outcome::Clean,
    })
}

fn text(out: &mut impl Write, report: &Report) -> Result<(), std::io::Error> {
    let bold = Style::new().bold();
    for published in &report.published {
        let (to, what) = match &published.tenant {
            Some(tenant) => (format!(" to tenant {tenant}"), "rows"),
            None => (String::new(), "records"),
        };
        writeln!(
            out,
            "{bold}published{bold:#}  {}{to} as {}: {} {what} of {} persons",
            published.file_name,
            published.directory.display(),
            HumanCount(published.records),
            HumanCount(published.persons),
        )?;
        for remark in &published.remarks {
            writeln!(out, "           {remark}")?;
        }
    }
    for (word, files) in [
        ("set aside", &report.set_aside),
        ("waiting  ", &report.waiting),
        ("not taken", &report.strays),
    ] {
        for file in files {
            writeln!(
                out,
                "{bold}{word}{bold:#}  {} ({}): {}",
                file.file_name, file.reason.code, file.reason.message
            )?;
        }
    }
    if report.published.is_empty() && report.problems.is_empty() {
        writeln!(out, "nothing new")?;
    }
    Ok(())
}

/// Waits out a service window; somebody who asks for a look gets it all the same.
fn wait_for_window(stop: &Stop, now_please: &AtomicBool) -> Result<(), Error> {
    let now = Timestamp::now();
    match service_window_end(now) {
        Some(end) => {
            let pause = Duration::try_from(end.duration_since(now)).unwrap_or_default();
            tracing::info!(until = %end, "the platform may be closed for service; waiting");
            wait(pause, stop, now_please).map(drop)
        }
        None => stop.check(),
    }
}

/// Waits that long, or until somebody asks for a look; says whether somebody did.
fn wait(pause: Duration, stop: &Stop, now_please: &AtomicBool) -> Result<bool, Error> {
    const GLANCE: Duration = Duration::from_millis(200);
    let mut left = pause;
    while !left.is_zero() {
        if now_please.swap(false, Ordering::Relaxed) {
            return Ok(true);
        }
        stop.wait(left.min(GLANCE))?;
        left = left.saturating_sub(GLANCE);
    }
    Ok(false)
}

/// One minute after the first failure, then twice as long each time, up to the interval.
fn after_failures(failures: u32, interval: Duration) -> Duration {
    let minutes = 1_u64 << (failures - 1).min(12);
    Duration::from_secs(60 * minutes).min(interval)
}

/// A tenth more or less, so that not everybody comes at the same moment.
fn with_jitter(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(std::process::id());
    let share = (random % 2_001) as f64 / 10_000.0;
    pause.mul_f64(0.9 + share)
}
