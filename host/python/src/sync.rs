//! `cprflow.sync`: one run of the daily job.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use cprflow_delivery::config::Configuration;
use cprflow_delivery::sync::{RunReport, Silent, SkippedFile, run_all};
use cprflow_delivery::{Error, Stop};
use pyo3::prelude::*;

use crate::failure::{Failure, detached, guard};

/// How often a run lets Python's signal handlers run.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Run the daily job once: download new deliveries, publish them, and delete them from the server.
///
/// `config` is the configuration file, as for `cprflow sync --config`. `agreement` limits the run to one agreement.
///
/// Returns a report. An inbox, file or tenant that failed is in `report.problems` and does not stop the others. Ctrl-C
/// stops the run after the current step; the next run continues from there. A second Ctrl-C does not wait.
///
/// >>> report = cprflow.sync("cprflow.toml")
/// >>> report.ok
/// True
///
/// Raises ConfigurationError if the configuration is not valid.
#[pyfunction]
#[pyo3(signature = (config, *, agreement=None))]
pub(crate) fn sync(
    py: Python<'_>,
    config: PathBuf,
    agreement: Option<&str>,
) -> PyResult<SyncReport> {
    let configuration = detached(py, || {
        let mut configuration = Configuration::from_file(&config)?;
        if let Some(name) = agreement
            && !configuration.only(name)
        {
            let known: Vec<_> = configuration
                .agreements()
                .map(|one| one.name.as_str())
                .collect();
            let known = known.join(", ");
            let what =
                format!("the configuration has no agreement with this name. It has: {known}");
            return Err(Failure::request(what));
        }
        Ok(configuration)
    })?;
    let stop = Stop::default();
    let (done, mut ended) = mpsc::channel();
    let run_stop = stop.clone();
    let run = move || {
        let report = guard(|| {
            let connector = crate::connector()?;
            Ok(run_all(&connector, &configuration, &Silent, &run_stop))
        });
        // After a second Ctrl-C nobody receives it.
        let _ = done.send(report);
    };
    let thread = thread::Builder::new().name("cprflow-sync".to_owned());
    thread
        .spawn(run)
        .map_err(|error| Failure::from(Error::file("thread")(error)))?;
    let mut interrupted = None;
    let report = loop {
        let received;
        (received, ended) = py.detach(move || (ended.recv_timeout(POLL_INTERVAL), ended));
        let delivered = crate::log::deliver(py);
        match received {
            Ok(report) => {
                delivered?;
                break report?;
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::from(Error::Bug).into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(raised) = delivered.and_then(|()| py.check_signals()) {
            stop.flag()
                .store(true, std::sync::atomic::Ordering::Relaxed);
            match interrupted {
                None => interrupted = Some(raised),
                Some(first) => return Err(first),
            }
        }
    };
    match interrupted {
        Some(raised) => Err(raised),
        None => SyncReport::new(py, report),
    }
}

/// What a run did and what it left.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct SyncReport {
    /// The deliveries that were published.
    published: Vec<Py<Published>>,
    /// The deliveries that are set aside, from this and earlier runs: until a person decides, or because one has decided so.
    set_aside: Vec<Py<Skipped>>,
    /// The files that are not a complete delivery yet.
    waiting: Vec<Py<Skipped>>,
    /// The files that belong to no agreement or cannot be processed.
    strays: Vec<Py<Skipped>>,
    /// The errors of the run.
    problems: Vec<Py<Problem>>,
    /// Whether a person must act.
    needs_attention: bool,
    /// Whether there are no problems, and no person must act.
    ok: bool,
}

impl SyncReport {
    fn new(py: Python<'_>, report: RunReport) -> PyResult<Self> {
        let needs_attention = report.needs_attention();
        let ok = !needs_attention && report.problems.is_empty();
        let skipped = |files: Vec<SkippedFile>| -> PyResult<Vec<Py<Skipped>>> {
            let files = files.into_iter().map(|file| {
                let skipped = Skipped {
                    agreement: file.agreement,
                    file_name: file.file_name,
                    code: file.reason.code,
                    reason: file.reason.message,
                };
                Py::new(py, skipped)
            });
            files.collect()
        };
        let published = report.published.into_iter().map(|published| {
            let published = Published {
                agreement: published.agreement,
                tenant: published.tenant,
                file_name: published.file_name,
                directory: published.directory,
                records: published.records,
                persons: published.persons,
                remarks: published.remarks,
            };
            Py::new(py, published)
        });
        let problems = report.problems.into_iter().map(|problem| {
            let exception = PyErr::from(Failure::from(problem.error));
            let problem = Problem {
                agreement: problem.agreement,
                tenant: problem.tenant,
                error: exception.into_value(py).into_any(),
            };
            Py::new(py, problem)
        });
        Ok(Self {
            published: published.collect::<PyResult<_>>()?,
            problems: problems.collect::<PyResult<_>>()?,
            set_aside: skipped(report.set_aside)?,
            waiting: skipped(report.waiting)?,
            strays: skipped(report.strays)?,
            needs_attention,
            ok,
        })
    }
}

#[pymethods]
impl SyncReport {
    fn __repr__(&self) -> String {
        format!(
            "SyncReport({} published, {} set aside, {} waiting, {} strays, {} problems)",
            self.published.len(),
            self.set_aside.len(),
            self.waiting.len(),
            self.strays.len(),
            self.problems.len()
        )
    }
}

/// A delivery that a run published.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Published {
    /// The name of the agreement in the configuration.
    agreement: String,
    /// The tenant; None for the unrestricted dataset.
    tenant: Option<String>,
    /// The name of the extract's file on the server.
    file_name: String,
    /// The directory of the delivery, relative to the dataset.
    directory: PathBuf,
    /// The number of records of all types; for a tenant, of its rows.
    records: u64,
    /// The number of records of type 001; for a tenant, of the persons in its scope.
    persons: u64,
    /// What a person should know about the delivery, for example that it was late; usually empty.
    remarks: Vec<String>,
}

#[pymethods]
impl Published {
    fn __repr__(&self) -> String {
        let directory = self.directory.display().to_string();
        format!("Published({:?}, {directory:?})", self.file_name)
    }
}

/// A file or delivery that a run did not publish, and why.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Skipped {
    /// The name of the agreement; None for a file that belongs to none.
    agreement: Option<String>,
    /// The name of the file on the server.
    file_name: String,
    /// The stable code of the reason, for example `no-metadata`.
    code: String,
    /// The reason, and what to do.
    reason: String,
}

#[pymethods]
impl Skipped {
    fn __repr__(&self) -> String {
        format!("Skipped({:?}, {:?})", self.file_name, self.code)
    }
}

/// An error of a run that continued.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Problem {
    /// The name of the agreement; None if the error concerns none.
    agreement: Option<String>,
    /// The tenant; None if the error concerns none.
    tenant: Option<String>,
    /// An exception of this package, which was not raised.
    error: Py<PyAny>,
}

#[pymethods]
impl Problem {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let error = self.error.bind(py).repr()?;
        Ok(format!(
            "Problem(agreement={:?}, tenant={:?}, error={error})",
            self.agreement, self.tenant
        ))
    }
}
