//! A table of an extract or of a dataset, and scans of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use cprflow::{Irregular, Representation};
use cprflow_delivery::{DatasetTable, TableQuery};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use crate::batch::BatchIterator;
use crate::capsule;
use crate::extract::OpenExtract;
use crate::failure::{Failure, detached};
use crate::interrupt::Interrupt;
use crate::part::{self, OpenPart};
use crate::schema::Schema;
use crate::stream::{Counters, Rows, ScanStats, Stream, check_findings};

/// Where the rows of a table come from.
#[derive(Clone)]
pub(crate) enum Source {
    Extract(Arc<OpenExtract>),
    Dataset(Arc<DatasetTable>),
    Part(Arc<OpenPart>),
}

/// A table and how to read it.
#[derive(Clone)]
pub(crate) struct TableSource {
    pub(crate) source: Source,
    pub(crate) name: String,
    pub(crate) representation: Representation,
    pub(crate) accept: Arc<[String]>,
    /// The counters of the extract or dataset.
    pub(crate) totals: Arc<Counters>,
}

impl TableSource {
    /// Checks a query and returns the scan. No row is read.
    pub(crate) fn scan(&self, query: TableQuery) -> Result<Scan, Failure> {
        let query = TableQuery {
            columns: match query.columns {
                None => self.kept_columns(),
                Some(columns) => Some(columns),
            },
            ..query
        };
        let schema = match &self.source {
            Source::Extract(extract) => extract.check(&self.name, &query)?,
            Source::Dataset(table) => arrow::array::RecordBatchReader::schema(&table.read(&query)?),
            Source::Part(_) => {
                return Err(Failure::request(
                    "a part has the columns and rows of its scan",
                ));
            }
        };
        let schema = self.representation.schema(&schema);
        if schema.fields().is_empty() {
            return Err(Failure::request(
                "no column is left: with irregular=\"drop\" the column \"irregular\" does not exist",
            ));
        }
        Ok(Scan {
            table: self.clone(),
            query,
            schema,
            counters: Arc::default(),
        })
    }

    /// Returns the columns without those that the representation leaves out; `None` if it leaves out none.
    fn kept_columns(&self) -> Option<Vec<String>> {
        if self.representation.irregular != Irregular::Drop {
            return None;
        }
        let schema = match &self.source {
            Source::Extract(extract) => extract.schema(&self.name)?,
            Source::Dataset(table) => table.schema().clone(),
            Source::Part(_) => return None,
        };
        let fields = schema.fields().iter();
        let kept = fields.filter(|field| !matches!(field.data_type(), DataType::Map(..)));
        Some(kept.map(|field| field.name().clone()).collect())
    }
}

/// A table of an extract or of a dataset.
///
/// Any library that takes `__arrow_c_stream__` reads it: `polars.DataFrame(table)`, `duckdb.sql("from table")`,
/// `pandas.DataFrame.from_arrow(table)`, `pyarrow.table(table)`.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Table {
    source: TableSource,
    whole: Scan,
}

impl Table {
    /// Opens a table. Fails if it does not exist or is hidden.
    pub(crate) fn open(source: TableSource) -> Result<Self, Failure> {
        let whole = source.scan(TableQuery::default())?;
        Ok(Self { source, whole })
    }
}

#[pymethods]
impl Table {
    /// The name of the table.
    #[getter]
    fn name(&self) -> &str {
        &self.source.name
    }

    /// The columns of the table.
    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.whole.schema.clone())
    }

    /// Whether a tenant's policy applies. Then a condition can see another text than the rows show.
    #[getter]
    fn _has_policy(&self) -> bool {
        match &self.source.source {
            Source::Extract(extract) => extract.has_policy(),
            Source::Dataset(_) | Source::Part(_) => false,
        }
    }

    /// Return a scan of some columns and rows. Only these leave the sandbox.
    ///
    /// `columns` are the columns, in this order. `filter` is a condition as for `cprflow scan --where`, for example
    /// `"status in ('01', '03') and birth_date < '1990-01-01'"`; times in it are Danish local time. `limit` is the
    /// largest number of rows.
    ///
    /// `batch_rows` is the largest number of rows in a batch. Default: 8,192. Any batch can have fewer rows, for example at
    /// the end of a part of the extract that one thread reads, or at the end of a delivery.
    ///
    /// >>> adults = extract.table("person").scan(columns=["pnr"], filter="birth_date < '2008-11-23'")
    /// >>> polars.DataFrame(adults)
    ///
    /// Raises RequestError if a column or the condition is not valid.
    #[pyo3(signature = (*, columns=None, filter=None, limit=None, batch_rows=None))]
    fn scan(
        &self,
        py: Python<'_>,
        columns: Option<Vec<String>>,
        filter: Option<String>,
        limit: Option<u64>,
        batch_rows: Option<u32>,
    ) -> PyResult<Scan> {
        if batch_rows == Some(0) {
            return Err(Failure::request("batch_rows must be at least 1").into());
        }
        let query = TableQuery {
            columns,
            condition: filter,
            limit,
            batch_rows,
        };
        Ok(detached(py, || self.source.scan(query))?)
    }

    /// Return a fresh stream of all rows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        self.whole.__arrow_c_stream__(py, requested_schema)
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<BatchIterator> {
        self.whole.__iter__(py)
    }

    fn __repr__(&self) -> String {
        format!("Table({:?})", self.source.name)
    }
}

/// Some columns and rows of a table. Nothing is read before a stream or an iterator is asked for rows.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Scan {
    table: TableSource,
    query: TableQuery,
    schema: SchemaRef,
    counters: Arc<Counters>,
}

impl Scan {
    /// Returns the scan of a part. Its query is in the part.
    pub(crate) fn of_part(table: TableSource, schema: SchemaRef) -> Self {
        Self {
            table,
            query: TableQuery::default(),
            schema,
            counters: Arc::default(),
        }
    }

    /// Starts a stream. `requested` is the schema that a consumer asked for.
    fn stream(
        &self,
        requested: Option<&ArrowSchema>,
        interrupt: Option<Arc<Interrupt>>,
    ) -> Result<Stream, Failure> {
        let (schema, query) = match requested {
            None => (self.schema.clone(), self.query.clone()),
            Some(requested) => {
                let schema = self.requested(requested)?;
                let names = schema.fields().iter().map(|field| field.name().clone());
                let columns = Some(names.collect());
                let query = self.query.clone();
                (schema, TableQuery { columns, ..query })
            }
        };
        let rows = match &self.table.source {
            Source::Extract(extract) => {
                let rows = extract.read(&self.table.name, &query, interrupt)?;
                Rows::Extract(Box::new(rows))
            }
            Source::Dataset(table) => {
                let rows = table.read(&query)?;
                Rows::Dataset(Box::new(match interrupt {
                    None => rows,
                    Some(interrupt) => rows.check_with(move || interrupt.check()),
                }))
            }
            Source::Part(part) => part.read(interrupt)?,
        };
        Ok(Stream::new(
            rows,
            schema,
            self.table.representation,
            query.limit,
            self.table.accept.clone(),
            vec![self.counters.clone(), self.table.totals.clone()],
        ))
    }

    /// Returns the schema of a stream that was asked for a schema: its columns, in types that the values can be cast
    /// to. Other types stay as they are, because Arrow's interface makes a request that is met as far as possible.
    fn requested(&self, requested: &ArrowSchema) -> Result<SchemaRef, Failure> {
        let fields = requested.fields().iter().map(|wanted| {
            let own = self.schema.fields().find(wanted.name());
            let (_, own) = own.ok_or_else(|| {
                Failure::request(format!(
                    "the requested schema has the column {:?}, which the scan has not",
                    wanted.name()
                ))
            })?;
            let (from, to) = (own.data_type(), wanted.data_type());
            Ok(match is_lossless(from, to) {
                true => Field::clone(own).with_data_type(to.clone()),
                false => Field::clone(own),
            })
        });
        let fields = fields.collect::<Result<Vec<_>, Failure>>()?;
        let metadata = self.schema.metadata().clone();
        Ok(Arc::new(ArrowSchema::new_with_metadata(fields, metadata)))
    }
}

/// Returns whether every value of a type can be cast to another type without a change. Consumers ask for other types of
/// text only.
fn is_lossless(from: &DataType, to: &DataType) -> bool {
    *from == DataType::Utf8 && matches!(to, DataType::LargeUtf8 | DataType::Utf8View)
}

#[pymethods]
impl Scan {
    /// The columns of the scan.
    #[getter]
    pub(crate) fn schema(&self) -> Schema {
        Schema(self.schema.clone())
    }

    /// Return what all streams of this scan have read so far.
    ///
    /// `bytes_returned` counts the bytes of batches that left the sandbox. For a dataset, which needs no sandbox,
    /// `bytes_read` counts the pages of its Parquet files.
    ///
    /// >>> scan = extract.table("person").scan(columns=["pnr"])
    /// >>> numbers = polars.DataFrame(scan)
    /// >>> scan.stats().rows
    /// 1000
    fn stats(&self) -> ScanStats {
        self.counters.stats()
    }

    /// Divide the scan into parts of about `part_bytes`, for other processes: `cprflow.read_part` reads one.
    ///
    /// The extract is read once to find the parts and to check it, and once more to select the persons of a tenant. There is
    /// only one part if the extract has no line ends or is small, if the scan has a limit or a condition on `line`, or if the
    /// tenant's policy hides the order of rows. A part of a tenant has the numbers of the tenant's persons: keep it as secret
    /// as the extract.
    ///
    /// >>> parts = extract.table("person").scan(columns=["pnr"]).divide(part_bytes=16 << 20)
    /// >>> frames = [polars.DataFrame(cprflow.read_part("d261123.l000001", part)) for part in parts]
    ///
    /// Raises DataError if the extract cannot be read to its end, or if a finding says that it cannot be trusted.
    #[pyo3(signature = (*, part_bytes=64 << 20))]
    fn divide<'py>(&self, py: Python<'py>, part_bytes: u64) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let Source::Extract(extract) = &self.table.source else {
            let what = "only the scan of an extract is divided: read the deliveries of a dataset, or the files of its \
                        current tables, one by one";
            return Err(Failure::request(what).into());
        };
        let interrupt = Arc::new(Interrupt::new());
        let divided = detached(py, || {
            let divided = extract.divide(&self.table.name, &self.query, part_bytes, &interrupt)?;
            check_findings(divided.summary, &self.table.accept)?;
            Ok(divided.parts)
        });
        let parts = divided.map_err(|failure| interrupt.explain(failure))?;
        let bytes = parts
            .iter()
            .map(|part| PyBytes::new(py, &part::to_bytes(part, self.table.representation)));
        Ok(bytes.collect())
    }

    /// Return a fresh stream of the rows.
    #[pyo3(signature = (requested_schema=None))]
    pub(crate) fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let requested = requested_schema.as_ref().map(capsule::requested_schema);
        let requested = requested.transpose()?;
        let stream = detached(py, || self.stream(requested.as_ref(), None))?;
        capsule::stream(py, Box::new(stream))
    }

    pub(crate) fn __iter__(&self, py: Python<'_>) -> PyResult<BatchIterator> {
        let interrupt = Arc::new(Interrupt::new());
        let started = detached(py, || self.stream(None, Some(interrupt.clone())));
        let stream = started.map_err(|failure| interrupt.explain(failure))?;
        Ok(BatchIterator::new(stream, interrupt))
    }

    fn __repr__(&self) -> String {
        let names = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        let names: Vec<_> = names.collect();
        format!("Scan({:?}: {})", self.table.name, names.join(", "))
    }
}
