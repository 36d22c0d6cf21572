//! Findings, and the report of `verify`.

use std::collections::BTreeMap;

use cprflow::{DataError, Shape, StartRecord, Summary};
use cprflow_delivery::ManifestFinding;
use pyo3::prelude::*;

/// A finding about an extract. It never contains a value of a person's record.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Finding {
    /// The stable code, for example `count-mismatch`..
    code: String,
    /// `note`, `warning` or `error`.
    level: String,
    /// The number of occurrences.
    count: u64,
    /// What was found, and what to do.
    message: String,
    /// The places by record type and column; empty if they add nothing.
    places: Vec<Py<FindingPlace>>,
}

#[pymethods]
impl Finding {
    fn __repr__(&self) -> String {
        format!(
            "Finding({:?}, {:?}, count={})",
            self.code, self.level, self.count
        )
    }

    fn __str__(&self) -> String {
        format!(
            "{} {} ({}): {}",
            self.level, self.code, self.count, self.message
        )
    }
}

impl Finding {
    fn new(py: Python<'_>, finding: cprflow::Finding) -> PyResult<Self> {
        let places = finding.places.into_iter().map(|place| {
            let place = FindingPlace {
                record_type: place.record_type,
                column: place.column,
                count: place.count,
                first_line: place.first_line,
            };
            Py::new(py, place)
        });
        Ok(Self {
            code: finding.code,
            level: finding.level.name().to_owned(),
            count: finding.count,
            message: finding.message,
            places: places.collect::<PyResult<_>>()?,
        })
    }

    /// Returns a finding of a manifest.
    pub(crate) fn of_manifest(finding: &ManifestFinding) -> Self {
        Self {
            code: finding.code.clone(),
            level: finding.level.clone(),
            count: finding.count,
            message: finding.message.clone(),
            places: Vec::new(),
        }
    }
}

/// A place where a finding occurs.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct FindingPlace {
    /// The record type, three digits; None if the finding concerns none.
    record_type: Option<String>,
    /// The column; None if the finding concerns none.
    column: Option<String>,
    /// The number of occurrences at this place.
    count: u64,
    /// The number of the first record, from 1.
    first_line: u64,
}

#[pymethods]
impl FindingPlace {
    fn __repr__(&self) -> String {
        format!(
            "FindingPlace(record_type={:?}, column={:?}, count={}, first_line={})",
            self.record_type, self.column, self.count, self.first_line
        )
    }
}

/// The start record of an extract.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Start {
    /// The task number (OPGAVENR), unchanged.
    task_number: String,
    /// The production date, YYYY-MM-DD; None if it is not a date.
    production_date: Option<String>,
    /// The production date of the extract before, YYYY-MM-DD; None if it is not a date.
    previous_production_date: Option<String>,
}

#[pymethods]
impl Start {
    fn __repr__(&self) -> String {
        let date = self.production_date.as_deref().unwrap_or("None");
        format!(
            "Start(task_number={:?}, production_date={date})",
            self.task_number
        )
    }
}

impl From<StartRecord> for Start {
    fn from(start: StartRecord) -> Self {
        Self {
            task_number: start.task_number,
            production_date: start.production_date,
            previous_production_date: start.previous_production_date,
        }
    }
}

/// The result of `Extract.verify`.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Report {
    /// The findings, most severe first.
    findings: Vec<Py<Finding>>,
    /// The error that stopped the reading before the end, if there was one.
    error: Option<String>,
    /// Whether a person should look at the extract: it has errors or warnings.
    needs_attention: bool,
    /// The number of records by table.
    tables: BTreeMap<String, u64>,
    /// The number of records; blank lines are not counted.
    records: u64,
    /// The number of records between start and end that the end record declares; None without one.
    declared_records: Option<u64>,
    /// The number of bytes read.
    bytes: u64,
    /// `lines`, or `packed` or `packed-uniform` without line ends, or `unknown` if not enough was read to tell.
    shape: String,
    /// The start record; None if the extract has none.
    start: Option<Py<Start>>,
}

#[pymethods]
impl Report {
    fn __repr__(&self) -> String {
        let word = match self.needs_attention {
            true => "needs attention",
            false => "no errors, no warnings",
        };
        format!(
            "Report({} records, {} findings: {word})",
            self.records,
            self.findings.len()
        )
    }
}

impl Report {
    /// Creates the report of an extract that was read to its end, or to an error in the data.
    pub(crate) fn new(
        py: Python<'_>,
        summary: Summary,
        stopped: Option<DataError>,
    ) -> PyResult<Self> {
        let needs_attention = stopped.is_some() || summary.needs_attention();
        let findings = summary.findings.into_iter();
        let findings = findings.map(|finding| Py::new(py, Finding::new(py, finding)?));
        let shape = match summary.shape {
            Shape::Unknown => "unknown",
            Shape::Lines => "lines",
            Shape::Packed => "packed",
            Shape::PackedUniform => "packed-uniform",
        };
        let tables = summary.tables.into_iter();
        let start = summary.start.map(|start| Py::new(py, Start::from(start)));
        Ok(Self {
            findings: findings.collect::<PyResult<_>>()?,
            error: stopped.map(|error| error.message),
            needs_attention,
            tables: tables.map(|count| (count.table, count.records)).collect(),
            records: summary.records,
            declared_records: summary.declared_records,
            bytes: summary.bytes,
            shape: shape.to_owned(),
            start: start.transpose()?,
        })
    }
}
