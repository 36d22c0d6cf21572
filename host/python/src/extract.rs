//! `cprflow.open`: an extract.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::SchemaRef;
use cprflow::{
    DividedScan, Error, PolicyView, Representation, StartRecord, Table as TableInfo, TableReader,
};
use cprflow_delivery::TableQuery;
use cprflow_delivery::config::{ACCEPTABLE, Configuration};
use cprflow_delivery::sync::tenant_scan;
use pyo3::prelude::*;

use crate::choice;
use crate::failure::{Failure, detached};
use crate::input::{Input, InputReader};
use crate::interrupt::Interrupt;
use crate::report::{Report, Start};
use crate::stream::{Counters, ScanStats};
use crate::table::{Source, Table, TableSource};

/// An extract whose rows can be read any number of times.
pub(crate) struct OpenExtract {
    input: Input,
    /// The scan from which all others are made. It has the tenant's policy.
    scan: cprflow::Scan,
    /// The tables that the tenant may see; none without a tenant.
    view: Option<PolicyView>,
    /// The number of threads that read the extract; 0 for one for each core.
    threads: usize,
}

impl OpenExtract {
    /// Starts to read a table.
    pub(crate) fn read(
        &self,
        table: &str,
        query: &TableQuery,
        interrupt: Option<Arc<Interrupt>>,
    ) -> Result<TableReader<InputReader>, Error> {
        let open = || Ok(self.input.reader(interrupt.clone()));
        self.start(table, query, open)
    }

    /// Lets the component check a query, by a scan of nothing. Returns the schema.
    pub(crate) fn check(&self, table: &str, query: &TableQuery) -> Result<SchemaRef, Error> {
        let nothing = || Ok(std::io::empty());
        Ok(self.start(table, query, nothing)?.schema())
    }

    fn start<R: std::io::Read>(
        &self,
        table: &str,
        query: &TableQuery,
        mut open: impl FnMut() -> std::io::Result<R>,
    ) -> Result<TableReader<R>, Error> {
        let scan = self.scan_of(table, query);
        match &self.view {
            Some(_) => scan.read_table_with_policy(open),
            None => scan.read(open().map_err(Error::Input)?),
        }
    }

    /// Divides a scan into parts for other processes.
    pub(crate) fn divide(
        &self,
        table: &str,
        query: &TableQuery,
        part_bytes: u64,
        interrupt: &Arc<Interrupt>,
    ) -> Result<DividedScan, Error> {
        let open = || Ok(self.input.reader(Some(interrupt.clone())));
        self.scan_of(table, query).divide(part_bytes, open)
    }

    fn scan_of(&self, table: &str, query: &TableQuery) -> cprflow::Scan {
        let mut scan = self.scan.clone().table(table);
        if let Some(columns) = &query.columns {
            scan = scan.columns(columns);
        }
        if let Some(condition) = &query.condition {
            scan = scan.where_(condition);
        }
        if let Some(limit) = query.limit {
            scan = scan.limit(limit);
        }
        if let Some(rows) = query.batch_rows {
            scan = scan.batch_rows(rows);
        }
        scan
    }

    /// Returns whether a tenant's policy applies.
    pub(crate) fn has_policy(&self) -> bool {
        self.view.is_some()
    }

    /// Returns the schema of a table, if it exists and is visible.
    pub(crate) fn schema(&self, table: &str) -> Option<SchemaRef> {
        let table = self.tables().iter().find(|one| one.name == table)?;
        table.schema(None)
    }

    fn tables(&self) -> &[TableInfo] {
        match &self.view {
            Some(view) => view.tables(),
            None => self.scan.connector().catalog().tables(),
        }
    }

    /// Reads the start record.
    fn start_record(&self) -> Result<Option<StartRecord>, Failure> {
        use std::io::Read;
        /// The start record is the first record, and no record is longer than 64 KiB.
        const BEGIN: u64 = 128 << 10;
        let begin = self.input.reader(None).take(BEGIN);
        let scan = cprflow::Scan::new(self.scan.connector());
        let mut rows = scan.table("delivery_start").limit(1).read(begin)?;
        rows.next_batch()?;
        Ok(rows.summary()?.start)
    }

    /// Reads the whole extract and checks it.
    fn verify(
        &self,
        previous: Option<String>,
        interrupt: Arc<Interrupt>,
    ) -> Result<(cprflow::Summary, Option<cprflow::DataError>), Failure> {
        let mut scan = cprflow::Scan::new(self.scan.connector())
            .check_persons(true)
            .threads(self.threads);
        if let Some(previous) = previous {
            scan = scan.expected_previous(previous);
        }
        let mut batches = scan.read_all(self.input.reader(Some(interrupt)))?;
        let mut stopped = None;
        for rows in batches.by_ref() {
            match rows {
                Ok(_) => {}
                Err(Error::Data(error)) => stopped = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((batches.summary()?, stopped))
    }
}

/// Open an extract: a path, bytes, or a file object in binary mode.
///
/// With `config` and `tenant`, the extract has what this tenant of the configuration would get of it, and nothing else.
/// `agreement` names the agreement of the extract, if the tenant has several.
///
/// `irregular` says what becomes of the column `irregular`: `"map"` keeps it as a map, `"json"` makes it a text with a
/// JSON object, and `"drop"` leaves it out. `timestamps` is `"naive"` for times in Danish local time without a zone, as
/// CPR has them, or `"utc"` for points in time with the zone UTC. `accept` names findings of level error with which the
/// extract is read all the same; without it, a stream ends with an error after the last row of such an extract.
///
/// `threads` is the number of threads that read the extract, each with a sandbox of its own. With 0 there is one for each
/// core.
///
/// >>> extract = cprflow.open("d261123.l000001")
/// >>> extract.table("person").schema.names[:2]
/// ['pnr', 'current_pnr']
///
/// Raises FileError if the input cannot be read, and ConfigurationError or RequestError if an argument is not valid.
#[pyfunction]
#[pyo3(signature = (
    source, *, config=None, tenant=None, agreement=None, irregular="map", timestamps="naive", accept=Vec::new(), threads=0
))]
#[expect(
    clippy::too_many_arguments,
    reason = "they are the keyword arguments of a Python function"
)]
pub(crate) fn open(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    config: Option<PathBuf>,
    tenant: Option<String>,
    agreement: Option<String>,
    irregular: &str,
    timestamps: &str,
    accept: Vec<String>,
    threads: usize,
) -> PyResult<Extract> {
    let representation = choice::representation(irregular, timestamps)?;
    if let Some(code) = accept
        .iter()
        .find(|code| !ACCEPTABLE.contains(&code.as_str()))
    {
        let known = ACCEPTABLE.join(", ");
        let what = format!("accept: {code:?} cannot be accepted. The codes are {known}");
        return Err(Failure::request(what).into());
    }
    let policy = match (config, tenant) {
        (Some(config), Some(tenant)) => Some((config, tenant)),
        (None, None) if agreement.is_none() => None,
        (None, None) => {
            return Err(Failure::request("agreement= needs config= and tenant=").into());
        }
        _ => return Err(Failure::request("config= and tenant= need each other").into()),
    };
    let input = Input::open(source)?;
    let interrupt = Arc::new(Interrupt::new());
    let opened = detached(py, || {
        let connector = crate::connector()?;
        let (scan, view) = match policy {
            None => (cprflow::Scan::new(&connector), None),
            Some((config, tenant)) => {
                let configuration = Configuration::from_file(&config)?;
                let (input, interrupt) = (input.clone(), interrupt.clone());
                let open = move || Ok(input.reader(Some(interrupt.clone())));
                let agreement = agreement.as_deref();
                let scan = tenant_scan(&connector, &configuration, &tenant, agreement, open)?;
                let view = scan.view()?;
                (scan, view)
            }
        };
        let scan = scan.threads(threads);
        Ok(OpenExtract {
            input,
            scan,
            view,
            threads,
        })
    });
    let extract = opened.map_err(|failure| interrupt.explain(failure))?;
    Ok(Extract {
        extract: Arc::new(extract),
        representation,
        accept: accept.into(),
        totals: Arc::default(),
    })
}

/// An extract that is open for reading. `cprflow.open` returns it.
///
/// It can be used by several threads, and after a fork. All rows are parsed in a WebAssembly sandbox.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Extract {
    extract: Arc<OpenExtract>,
    representation: Representation,
    accept: Arc<[String]>,
    totals: Arc<Counters>,
}

#[pymethods]
impl Extract {
    /// The names of the tables, in the order of a scan. A table can be empty. For a tenant, the tables of its policy.
    #[getter]
    fn tables(&self) -> Vec<String> {
        let tables = self.extract.tables().iter();
        tables.map(|table| table.name.clone()).collect()
    }

    /// The start record: task number and production dates. None if the extract has none.
    #[getter]
    fn start(&self, py: Python<'_>) -> PyResult<Option<Start>> {
        let start = detached(py, || self.extract.start_record())?;
        Ok(start.map(Start::from))
    }

    /// Return a table.
    ///
    /// >>> polars.DataFrame(extract.table("person"))
    ///
    /// Raises RequestError if the table does not exist, or if the tenant's policy hides it.
    fn table(&self, py: Python<'_>, name: String) -> PyResult<Table> {
        let source = TableSource {
            source: Source::Extract(self.extract.clone()),
            name,
            representation: self.representation,
            accept: self.accept.clone(),
            totals: self.totals.clone(),
        };
        Ok(detached(py, || Table::open(source))?)
    }

    /// Read the whole extract and return a report with its findings. The report contains no value of a record.
    ///
    /// `previous` is the production date of the extract before, `"YYYY-MM-DD"`: the report then has the finding
    /// `sequence-gap` if this extract does not follow it.
    ///
    /// >>> [finding.code for finding in extract.verify().findings]
    /// []
    #[pyo3(signature = (*, previous=None))]
    fn verify(&self, py: Python<'_>, previous: Option<String>) -> PyResult<Report> {
        if self.extract.view.is_some() {
            let what = "verify() describes the complete extract, not the part of a tenant: open the extract without \
                        tenant=";
            return Err(Failure::request(what).into());
        }
        let interrupt = Arc::new(Interrupt::new());
        let checked = detached(py, || self.extract.verify(previous, interrupt.clone()));
        let (summary, stopped) = checked.map_err(|failure| interrupt.explain(failure))?;
        Report::new(py, summary, stopped)
    }

    /// Return what all streams of this extract have read so far.
    ///
    /// >>> polars.DataFrame(extract.table("person"))
    /// >>> extract.stats().rows
    /// 1000
    fn stats(&self) -> ScanStats {
        self.totals.stats()
    }

    fn __repr__(&self) -> String {
        format!("Extract({} tables)", self.extract.tables().len())
    }
}
