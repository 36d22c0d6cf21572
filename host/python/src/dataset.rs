//! `cprflow.dataset`: published deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use cprflow::Representation;
use cprflow_delivery::{DatasetDelivery, DatasetGeneration, DatasetTable, published_deliveries};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::choice;
use crate::failure::{Failure, detached, json_dict};
use crate::report::Finding;
use crate::stream::{Counters, ScanStats};
use crate::table::{Source, Table, TableSource};

/// Open a dataset: the directory in which `cprflow sync` publishes deliveries, complete or of one tenant.
///
/// `irregular` and `timestamps` are those of `cprflow.open`.
///
/// >>> published = cprflow.dataset("/srv/cpr")
/// >>> published.deliveries()[-1].production_date
/// '2026-11-23'
///
/// Raises FileError if the directory does not exist.
#[pyfunction]
#[pyo3(signature = (path, *, irregular="map", timestamps="naive"))]
pub(crate) fn dataset(
    py: Python<'_>,
    path: PathBuf,
    irregular: &str,
    timestamps: &str,
) -> PyResult<Dataset> {
    let representation = choice::representation(irregular, timestamps)?;
    // Fails now, and not at the first use, if the directory cannot be read.
    detached(py, || Ok(published_deliveries(&path)?))?;
    Ok(Dataset {
        path,
        shared: Shared {
            representation,
            totals: Arc::default(),
        },
    })
}

/// What a dataset and its deliveries share.
#[derive(Clone)]
struct Shared {
    representation: Representation,
    totals: Arc<Counters>,
}

impl Shared {
    fn table(
        &self,
        known: &[DatasetDelivery],
        name: String,
        is_wanted: impl Fn(&DatasetDelivery) -> bool,
    ) -> Result<Table, Failure> {
        let table = DatasetTable::open(known, &name, is_wanted)?;
        Table::open(TableSource {
            source: Source::Dataset(Arc::new(table)),
            name,
            representation: self.representation,
            accept: Vec::new().into(),
            totals: self.totals.clone(),
        })
    }
}

/// A sequence number, for all agreements or for each.
#[derive(FromPyObject)]
enum Since {
    All(u64),
    Each(BTreeMap<String, u64>),
}

/// Which deliveries of a dataset are wanted.
struct Wanted {
    since: Option<Since>,
    agreement: Option<String>,
}

impl Wanted {
    fn has(&self, delivery: &DatasetDelivery) -> bool {
        let manifest = &delivery.manifest;
        let since = match &self.since {
            None => None,
            Some(Since::All(since)) => Some(*since),
            Some(Since::Each(each)) => each.get(&manifest.agreement).copied(),
        };
        let agreement = self.agreement.as_ref();
        since.is_none_or(|since| manifest.sequence > since)
            && agreement.is_none_or(|agreement| *agreement == manifest.agreement)
    }
}

/// A dataset of published deliveries. `cprflow.dataset` returns it.
///
/// Every call looks at the directory again, so new deliveries are found.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Dataset {
    path: PathBuf,
    shared: Shared,
}

#[pymethods]
impl Dataset {
    /// The directory.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The names of the tables that are published in any delivery.
    #[getter]
    fn tables(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let deliveries = detached(py, || Ok(published_deliveries(&self.path)?))?;
        let tables = deliveries.into_iter().flat_map(|one| one.manifest.rows);
        let tables: BTreeSet<String> = tables.map(|(table, _)| table).collect();
        Ok(tables.into_iter().collect())
    }

    /// Return the published deliveries, in the order of publication.
    ///
    /// `since` is a cursor: only deliveries with a greater sequence number are returned. It is one number, or a
    /// dictionary with a number for each agreement, as `cursor()` returns it. `agreement` selects one agreement.
    ///
    /// >>> [(one.sequence, one.kind) for one in published.deliveries(since=41)]
    /// [(42, 'new'), (43, 'late')]
    #[pyo3(signature = (*, since=None, agreement=None))]
    fn deliveries(
        &self,
        py: Python<'_>,
        since: Option<Since>,
        agreement: Option<String>,
    ) -> PyResult<Vec<Delivery>> {
        let wanted = Wanted { since, agreement };
        let deliveries = detached(py, || Ok(published_deliveries(&self.path)?))?;
        let mut newest: BTreeMap<String, String> = BTreeMap::new();
        let mut found = Vec::new();
        for delivery in deliveries {
            let manifest = &delivery.manifest;
            let before = newest.entry(manifest.agreement.clone()).or_default();
            let is_late = *before > manifest.production_date;
            if !is_late {
                before.clone_from(&manifest.production_date);
            }
            if wanted.has(&delivery) {
                found.push(Delivery {
                    delivery,
                    is_late,
                    shared: self.shared.clone(),
                });
            }
        }
        Ok(found)
    }

    /// Return the greatest sequence number of each agreement, for `since` of a later call.
    ///
    /// >>> cursor = published.cursor()
    /// >>> cursor
    /// {'town': 43}
    /// >>> published.deliveries(since=cursor)
    /// []
    fn cursor(&self, py: Python<'_>) -> PyResult<BTreeMap<String, u64>> {
        let deliveries = detached(py, || Ok(published_deliveries(&self.path)?))?;
        let mut cursor = BTreeMap::new();
        for delivery in deliveries {
            let newest = cursor.entry(delivery.manifest.agreement).or_default();
            *newest = delivery.manifest.sequence.max(*newest);
        }
        Ok(cursor)
    }

    /// Return a table over all deliveries, or over those that `since` and `agreement` select.
    ///
    /// The columns `agreement`, `delivery` and `sequence` follow those of the table. They name the delivery of each row.
    /// A column that a delivery lacks is null in its rows.
    ///
    /// >>> published.table("person", since=41).scan(columns=["pnr", "sequence"])
    ///
    /// Raises RequestError if no delivery of the dataset has the table.
    #[pyo3(signature = (name, *, since=None, agreement=None))]
    fn table(
        &self,
        py: Python<'_>,
        name: String,
        since: Option<Since>,
        agreement: Option<String>,
    ) -> PyResult<Table> {
        let wanted = Wanted { since, agreement };
        let table = detached(py, || {
            let known = published_deliveries(&self.path)?;
            self.shared
                .table(&known, name, |delivery| wanted.has(delivery))
        })?;
        Ok(table)
    }

    /// Return the newest generation of the current tables: every table as it is now.
    ///
    /// The link `current` is resolved once, so all tables of the generation belong together. A generation lives for 48
    /// hours after a newer one has replaced it; that of a tenant can be removed at once. Then reading raises FileError.
    ///
    /// >>> now = published.generation()
    /// >>> now.day, now.table("person"), now.table("address")
    ///
    /// Raises RequestError if the dataset has no current tables.
    fn generation(&self, py: Python<'_>) -> PyResult<Generation> {
        let found = detached(py, || Ok(DatasetGeneration::open(&self.path)?))?;
        let Some(generation) = found else {
            return Err(Failure::request(
                "the dataset has no current tables. Run `cprflow sync`; `cprflow status` says why tables were withdrawn",
            )
            .into());
        };
        Ok(Generation {
            generation,
            shared: self.shared.clone(),
        })
    }

    /// Return a table as it is now. Use `generation()` to read several tables that belong together.
    ///
    /// >>> polars.DataFrame(published.current("person"))
    fn current(&self, py: Python<'_>, name: String) -> PyResult<Table> {
        self.generation(py)?.table(py, name)
    }

    /// Return what all streams of this dataset have read so far.
    ///
    /// >>> polars.DataFrame(published.current("person"))
    /// >>> published.stats().rows
    /// 1000
    fn stats(&self) -> ScanStats {
        self.shared.totals.stats()
    }

    fn __repr__(&self) -> String {
        format!("Dataset({:?})", self.path.display().to_string())
    }
}

/// A generation of the current tables of a dataset. `Dataset.generation` returns it. It never changes.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Generation {
    generation: DatasetGeneration,
    shared: Shared,
}

#[pymethods]
impl Generation {
    /// The directory of the generation.
    #[getter]
    fn directory(&self) -> PathBuf {
        self.generation.directory.clone()
    }

    /// The number, which grows with every generation.
    #[getter]
    fn number(&self) -> u64 {
        self.generation.manifest.number
    }

    /// The day for which the persons were judged, YYYY-MM-DD.
    #[getter]
    fn day(&self) -> &str {
        &self.generation.manifest.day
    }

    /// The time at which the generation was made, in UTC (RFC 3339).
    #[getter]
    fn made(&self) -> &str {
        &self.generation.manifest.made
    }

    /// The day before which leavers are not known, YYYY-MM-DD; None if all are. A program that read `out_of_scope` last
    /// before this day must compare all persons with `person` once.
    #[getter]
    fn compare_since(&self) -> Option<&str> {
        self.generation.manifest.compare_since.as_deref()
    }

    /// The names of the tables.
    #[getter]
    fn tables(&self) -> Vec<String> {
        self.generation.manifest.rows.keys().cloned().collect()
    }

    /// The number of rows per table.
    #[getter]
    fn rows(&self) -> BTreeMap<String, u64> {
        self.generation.manifest.rows.clone()
    }

    /// The whole manifest, `_generation.json`.
    #[getter]
    fn manifest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json_dict(py, &self.generation.manifest)
    }

    /// Return a table of this generation.
    ///
    /// >>> now = published.generation()
    /// >>> polars.DataFrame(now.table("person"))
    ///
    /// Raises RequestError if the generation does not have the table.
    fn table(&self, py: Python<'_>, name: String) -> PyResult<Table> {
        Ok(detached(py, || {
            let table = DatasetTable::of_generation(&self.generation, &name)?;
            Table::open(TableSource {
                source: Source::Dataset(Arc::new(table)),
                name,
                representation: self.shared.representation,
                accept: Vec::new().into(),
                totals: self.shared.totals.clone(),
            })
        })?)
    }

    fn __repr__(&self) -> String {
        format!("Generation({}, {:?})", self.number(), self.day())
    }
}

/// A published delivery.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Delivery {
    delivery: DatasetDelivery,
    is_late: bool,
    shared: Shared,
}

#[pymethods]
impl Delivery {
    /// The delivery's directory.
    #[getter]
    fn directory(&self) -> PathBuf {
        self.delivery.directory.clone()
    }

    /// The delivery's name. The names of an agreement sort in the order in which its deliveries apply.
    #[getter]
    fn name(&self) -> String {
        self.delivery.name()
    }

    /// The agreement's name.
    #[getter]
    fn agreement(&self) -> &str {
        &self.delivery.manifest.agreement
    }

    /// The sequence number, which grows with every published delivery.
    #[getter]
    fn sequence(&self) -> u64 {
        self.delivery.manifest.sequence
    }

    /// "new", or "late" if a delivery of the agreement that was published before has a later production date.
    ///
    /// A delivery that was removed is in no dataset. `cprflow deliveries --format json` lists it as expired.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.is_late {
            true => "late",
            false => "new",
        }
    }

    /// The production date of the extract, YYYY-MM-DD.
    #[getter]
    fn production_date(&self) -> &str {
        &self.delivery.manifest.production_date
    }

    /// The time of the publication, in UTC (RFC 3339).
    #[getter]
    fn published(&self) -> &str {
        &self.delivery.manifest.published
    }

    /// The number of rows per table.
    #[getter]
    fn rows(&self) -> BTreeMap<String, u64> {
        self.delivery.manifest.rows.clone()
    }

    /// The findings of the extract; empty in a tenant's dataset.
    #[getter]
    fn findings(&self) -> Vec<Finding> {
        let findings = self.delivery.manifest.findings.iter();
        findings.map(Finding::of_manifest).collect()
    }

    /// The whole manifest, `_delivery.json`.
    #[getter]
    fn manifest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json_dict(py, &self.delivery.manifest)
    }

    /// Return a table of this delivery alone, like `Dataset.table`.
    ///
    /// >>> newest = published.deliveries()[-1]
    /// >>> polars.DataFrame(newest.table("person"))
    ///
    /// Raises RequestError if the delivery does not have the table.
    fn table(&self, py: Python<'_>, name: String) -> PyResult<Table> {
        let known = std::slice::from_ref(&self.delivery);
        Ok(detached(py, || self.shared.table(known, name, |_| true))?)
    }

    fn __repr__(&self) -> String {
        format!("Delivery({:?}, {:?})", self.agreement(), self.name())
    }
}
