//! `--metrics`: writes the state of the agreements as Prometheus text, for node_exporter's textfile collector.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use cprflow::Error;
use cprflow_delivery::status::Status;
use cprflow_delivery::{Generation, calendar};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::Sink;

/// The option that writes metrics.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct MetricsOption {
    /// Write metrics in Prometheus text format to this file, for example for node_exporter. It has no personal data
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

/// How a run went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunMeasure {
    /// The duration of the run in seconds.
    pub(crate) seconds: f64,
    /// Whether every part of the run succeeded.
    pub(crate) is_success: bool,
    /// The time at which the run ended.
    pub(crate) ended: Timestamp,
}

impl MetricsOption {
    /// Returns whether metrics are wanted.
    pub(crate) const fn is_set(&self) -> bool {
        self.metrics.is_some()
    }

    /// Writes the metrics, if they are wanted. A file appears complete, and every user can read it. A link is followed, and
    /// a device or pipe is written at once.
    pub(crate) fn write(&self, all: &[Status], run: Option<RunMeasure>) -> Result<(), Failure> {
        match &self.metrics {
            Some(path) => {
                let text = text(all, run, calendar::now());
                let mut sink = Sink::open(Some(path), true)?;
                sink.write_all(text.as_bytes()).map_err(Error::file(path))?;
                Ok(sink.readable_by_all().finish()?)
            }
            None => Ok(()),
        }
    }
}

/// A metric: its name, its meaning, and its values with their labels.
struct Metric {
    name: &'static str,
    help: &'static str,
    values: Vec<(String, f64)>,
}

/// Returns the metrics as text. Labels are names of the configuration, which cannot be person numbers.
fn text(all: &[Status], run: Option<RunMeasure>, now: Timestamp) -> String {
    let seconds = |time: Timestamp| time.as_second() as f64;
    let of = |name, help, value: &dyn Fn(&Status) -> Option<f64>| Metric {
        name,
        help,
        values: all
            .iter()
            .filter_map(|status| Some((label("agreement", &status.agreement), value(status)?)))
            .collect(),
    };
    let mut metrics = vec![
        of(
            "cprflow_inbox_visit_timestamp_seconds",
            "Time of the last check of the inbox.",
            &|status| Some(seconds(status.visit.as_ref()?.last)),
        ),
        of(
            "cprflow_inbox_visit_failed",
            "1 if the last check of the inbox failed, otherwise 0.",
            &|status| Some(f64::from(status.visit.as_ref()?.error.is_some())),
        ),
        of(
            "cprflow_last_success_timestamp_seconds",
            "Time of the last check of the inbox that did not fail.",
            &|status| Some(seconds(status.visit.as_ref()?.last_good?)),
        ),
        of(
            "cprflow_inbox_files_unclaimed",
            "Number of files in the inbox that belong to no agreement or are not a complete delivery.",
            &|status| Some(status.unclaimed_files.len() as f64),
        ),
        of(
            "cprflow_deliveries_published",
            "Number of published deliveries.",
            &|status| Some(status.published as f64),
        ),
        of(
            "cprflow_deliveries_in_progress",
            "Number of deliveries that are neither published nor set aside.",
            &|status| Some(status.under_way.len() as f64),
        ),
        of(
            "cprflow_deliveries_set_aside",
            "Number of deliveries that were set aside and need a decision.",
            &|status| Some(status.undecided() as f64),
        ),
        of(
            "cprflow_newest_delivery_published_timestamp_seconds",
            "Time at which the newest delivery was published.",
            &|status| Some(seconds(status.newest.as_ref()?.published?)),
        ),
        of(
            "cprflow_newest_delivery_records",
            "Number of records of the newest delivery.",
            &|status| Some(status.newest.as_ref()?.counts.records as f64),
        ),
        of(
            "cprflow_silent_working_days",
            "Number of CPR's working days since the last publication.",
            &|status| Some(f64::from(status.silent_working_days?)),
        ),
        of(
            "cprflow_erasure_pending",
            "1 if an erasure is not complete, otherwise 0.",
            &|status| Some(f64::from(status.erasing.is_some())),
        ),
        of(
            "cprflow_needs_attention",
            "Number of remarks of `cprflow status` that need attention.",
            &|status| {
                let remarks = status.remarks.iter();
                Some(remarks.filter(|remark| remark.needs_attention).count() as f64)
            },
        ),
    ];
    metrics.extend(current_metrics(all, now));
    let tenants = all.iter().flat_map(|status| {
        let agreement = label("agreement", &status.agreement);
        status.tenants.iter().map(move |tenant| {
            let labels = format!("{agreement},{}", label("tenant", &tenant.tenant));
            (labels, tenant)
        })
    });
    let tenants: Vec<_> = tenants.collect();
    for (name, help, value) in [
        (
            "cprflow_tenant_deliveries_published",
            "Number of deliveries that are published to the tenant.",
            (|tenant| tenant.published) as fn(&cprflow_delivery::status::TenantStatus) -> usize,
        ),
        (
            "cprflow_tenant_deliveries_waiting",
            "Number of deliveries that are not published to the tenant yet.",
            |tenant| tenant.waiting,
        ),
    ] {
        let values = tenants.iter();
        let values = values.map(|(labels, tenant)| (labels.clone(), value(tenant) as f64));
        metrics.push(Metric {
            name,
            help,
            values: values.collect(),
        });
    }
    if let Some(run) = run {
        for (name, help, value) in [
            (
                "cprflow_run_duration_seconds",
                "Duration of the last run of `cprflow sync`.",
                run.seconds,
            ),
            (
                "cprflow_run_success",
                "1 if every part of the last run succeeded, otherwise 0.",
                f64::from(run.is_success),
            ),
            (
                "cprflow_run_timestamp_seconds",
                "Time at which the last run ended.",
                seconds(run.ended),
            ),
        ] {
            metrics.push(Metric {
                name,
                help,
                values: vec![(String::new(), value)],
            });
        }
    }
    let mut text = String::new();
    for metric in metrics.iter().filter(|metric| !metric.values.is_empty()) {
        let Metric { name, help, values } = metric;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{labels}}}"),
            };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

/// Returns the metrics of the current tables: of the unrestricted dataset, without a label of a tenant, and of each tenant.
/// A tenant of several agreements has one set of tables, so it counts once.
fn current_metrics(all: &[Status], now: Timestamp) -> Vec<Metric> {
    let mut datasets: BTreeMap<(String, bool), Option<&Generation>> = BTreeMap::new();
    let mut withdrawn: BTreeMap<&str, bool> = BTreeMap::new();
    for status in all {
        if let Some(current) = &status.current {
            let labels = label("agreement", &status.agreement);
            datasets.insert((labels, false), Some(current));
        }
        for tenant in &status.tenants {
            let labels = label("tenant", &tenant.tenant);
            datasets.insert((labels, true), tenant.current.as_ref());
            let is_withdrawn = tenant
                .current
                .as_ref()
                .is_some_and(|current| !current.is_current);
            withdrawn.insert(&tenant.tenant, is_withdrawn);
        }
    }
    let of = |name, help, value: &dyn Fn(&Generation, bool) -> Option<f64>| Metric {
        name,
        help,
        values: datasets
            .iter()
            .filter_map(|((labels, is_tenant), current)| {
                Some((labels.clone(), value(current.as_ref()?, *is_tenant)?))
            })
            .collect(),
    };
    let mut metrics = vec![
        of(
            "cprflow_current_generation",
            "Number of the newest generation of the current tables.",
            &|current, _| Some(current.number as f64),
        ),
        of(
            "cprflow_current_age_seconds",
            "Age of the newest generation of the current tables.",
            &|current, _| Some(now.duration_since(current.made).as_secs_f64().max(0.0)),
        ),
        of(
            "cprflow_current_persons",
            "Number of persons in a tenant's scope in the newest generation.",
            &|current, is_tenant| is_tenant.then_some(current.persons as f64),
        ),
        of(
            "cprflow_current_withdrawn",
            "1 if the current tables were withdrawn, otherwise 0.",
            &|current, _| Some(f64::from(!current.is_current)),
        ),
    ];
    if !withdrawn.is_empty() {
        let count = withdrawn
            .values()
            .filter(|is_withdrawn| **is_withdrawn)
            .count();
        metrics.push(Metric {
            name: "cprflow_tenants_withdrawn",
            help: "Number of tenants whose current tables were withdrawn.",
            values: vec![(String::new(), count as f64)],
        });
    }
    metrics
}

/// Returns a label. Names of the configuration have no character that would need an escape.
fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}
