//! `cprflow sync`: fetches and publishes deliveries, once or as a service.
//!
//! `watch` repeats the run, `report` prints what it did.

mod report;
mod watch;

use std::time::Instant;

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::calendar;
use cprflow_delivery::config::Configuration;
use cprflow_delivery::status::{self, Status};
use cprflow_delivery::sync::run_all;
use cprflow_delivery::{Error, Stop, shared_keys};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Failure, Outcome};
use crate::metrics::{MetricsOption, RunMeasure};
use crate::options::{ReportFormat, SourceOptions, UnrestrictedOptions};
use crate::output::message;
use crate::output::progress::SyncProgress;

/// Download new deliveries, publish them in the dataset, and delete them from the server
///
/// A delivery is published as one directory of Parquet files, which appears complete in one step. Its data file and
/// metadata file are deleted from the server after that. With tenants, the two files are deleted when every tenant has the
/// delivery. For a tenant that failed, a copy in the spool is enough.
///
/// A damaged delivery is set aside with a reason and stays on the server; later deliveries are still processed. If
/// cprflow is stopped at any moment, the next run continues from there: no delivery is lost or published twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  every delivery that was ready is published
  1  something needs attention (see `cprflow status`); the rest is published
  2  an inbox, dataset, ledger or tenant failed; the others were processed

Examples:
  cprflow sync --inbox inbox/ --dataset dataset/ --unrestricted 'first test' \\
      --church-purpose 'first test'
  cprflow sync --inbox sftp://USER@sftp.serviceplatformen.dk/IN \\
      --identity sftp_key --known-hosts known_hosts --dataset /srv/cpr \\
      --unrestricted 'case management, data processing agreement 2026-17' \\
      --church-purpose 'membership fees, data processing agreement 2026-17'
  cprflow sync --config cprflow.toml --watch --log-format json --format json")]
pub(crate) struct Sync {
    #[command(flatten)]
    source: SourceOptions,

    #[command(flatten)]
    unrestricted: UnrestrictedOptions,

    /// Keep extracts that were set aside or not finished in the spool for this many days.
    /// Default: the configuration's value, or 90
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    max_age: Option<u32>,

    /// Take the clock as right although it is more than 31 days ahead of the current tables, or behind them
    ///
    /// The day of the current tables then becomes the day of the clock, also if that is earlier.
    #[arg(long, conflicts_with = "watch")]
    accept_clock: bool,

    /// Keep running and check the inboxes every 6 hours
    ///
    /// `interval_minutes` in the configuration sets another interval. The configuration is read again before each
    /// check. SIGHUP starts a check at once. SIGTERM stops cprflow after the current step. No checks are made in the
    /// service windows of the platform. After a failure the next check comes after 1 minute, then 2, 4 and so on.
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    metrics: MetricsOption,

    /// Format of the report. With --log-format json, a JSON report is one line
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Sync {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let stop = Stop::default();
        for signal in [SIGTERM, SIGINT] {
            // The first signal asks to stop after the current step, which can take long. The second one exits at once.
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
        self.unrestricted.apply_to(&mut configuration)?;
        if let Some(days) = self.max_age {
            configuration.max_age_days(days);
        }
        if self.accept_clock {
            configuration.accept_clock();
        }
        Ok(configuration)
    }

    /// Makes one run. Fails with [`Error::Stopped`] if it was asked to stop.
    fn once(
        &self,
        connector: &Connector,
        configuration: &Configuration,
        stop: &Stop,
    ) -> Result<Outcome, Failure> {
        let outcome = run(connector, configuration, stop, self.format, &self.metrics)?;
        match stop.is_set() {
            true => Err(Error::Stopped.into()),
            false => Ok(outcome),
        }
    }
}

/// Makes one run over the configuration and prints its report.
pub(crate) fn run(
    connector: &Connector,
    configuration: &Configuration,
    stop: &Stop,
    format: ReportFormat,
    metrics: &MetricsOption,
) -> Result<Outcome, Failure> {
    for shared in shared_keys(&configuration.tenants()) {
        message::warning(&shared.to_string());
    }
    let progress = SyncProgress::default();
    let started = Instant::now();
    let all = run_all(connector, configuration, &progress, stop);
    let measure = RunMeasure {
        seconds: started.elapsed().as_secs_f64(),
        is_success: all.problems.is_empty(),
        ended: calendar::now(),
    };
    report::print(&all, format)?;
    for problem in &all.problems {
        message::problem(problem);
    }
    let outcome = if !all.problems.is_empty() {
        Outcome::PartlyFailed
    } else if all.needs_attention() {
        Outcome::NeedsAttention
    } else {
        Outcome::Success
    };
    if outcome != Outcome::Success && !metrics.is_set() {
        return Ok(outcome);
    }
    let statuses = status::status(configuration, measure.ended)?;
    metrics.write(&statuses, Some(measure))?;
    Ok(match outcome {
        Outcome::Success => attention(&statuses),
        outcome => outcome,
    })
}

/// Prints what needs attention although the run found nothing new, so that `sync` and `status` give the same answer.
fn attention(statuses: &[Status]) -> Outcome {
    let mut outcome = Outcome::Success;
    for status in statuses {
        for remark in status
            .remarks
            .iter()
            .filter(|remark| remark.needs_attention)
        {
            message::warning(&format!("{}: {}", status.agreement, remark.text));
            outcome = Outcome::NeedsAttention;
        }
    }
    outcome
}
