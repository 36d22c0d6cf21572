//! Schemas, columns, and the tables of the catalog.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::batch::Batch;
use crate::capsule;
use crate::failure::{Failure, detached};

/// The columns of a table or a scan, in order.
///
/// Any library that takes `__arrow_c_schema__` reads it, for example `pyarrow.schema(table.schema)`.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Schema(pub(crate) SchemaRef);

#[pymethods]
impl Schema {
    /// The names of the columns.
    #[getter]
    fn names(&self) -> Vec<String> {
        let fields = self.0.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    /// The columns.
    #[getter]
    fn columns(&self) -> Vec<Column> {
        self.0.fields().iter().map(|field| field.into()).collect()
    }

    /// Return a batch without rows, for libraries that take types from data only.
    ///
    /// >>> types = polars.DataFrame(extract.table("person").schema.empty()).schema
    fn empty(&self) -> Batch {
        Batch(RecordBatch::new_empty(self.0.clone()))
    }

    fn __len__(&self) -> usize {
        self.0.fields().len()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.column_with_name(name).is_some()
    }

    fn __getitem__(&self, name: &str) -> PyResult<Column> {
        match self.0.fields().find(name) {
            Some((_, field)) => Ok(field.into()),
            None => Err(PyKeyError::new_err(name.to_owned())),
        }
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let columns = slf.getattr("columns")?;
        Ok(columns.try_iter()?.into_any().unbind())
    }

    fn __repr__(&self) -> String {
        let fields = self.0.fields().iter();
        let fields: Vec<_> = fields
            .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
            .collect();
        format!("Schema({})", fields.join(", "))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.0)
    }
}

/// A column of a table.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Column {
    /// The name of the column.
    name: String,
    /// The Arrow type, for example `utf8` or `date32`.
    r#type: String,
    /// Whether a value can be missing.
    nullable: bool,
    /// CPR's name of the field, for example `PNR`; None for a column that CPR does not have.
    cpr_name: Option<String>,
    /// The position of the field's first character in the record, from 1; None without a field.
    position: Option<u32>,
    /// The number of characters of the field; None without a field.
    length: Option<u32>,
    /// What the text of the field means, for example `date` or `pnr`; None without a field.
    kind: Option<String>,
    /// The class of personal data, for example `name`; None without one.
    sensitivity: Option<String>,
}

impl<F: AsRef<Field>> From<&F> for Column {
    fn from(field: &F) -> Self {
        let field = field.as_ref();
        let text = |key| field.metadata().get(key).cloned();
        let number = |key| field.metadata().get(key)?.parse().ok();
        Self {
            name: field.name().clone(),
            r#type: type_name(field.data_type()),
            nullable: field.is_nullable(),
            cpr_name: text("cpr.name"),
            position: number("cpr.position"),
            length: number("cpr.length"),
            kind: text("cpr.kind"),
            sensitivity: text("cpr.sensitivity"),
        }
    }
}

#[pymethods]
impl Column {
    fn __repr__(&self) -> String {
        format!("Column({:?}, {:?})", self.name, self.r#type)
    }
}

/// A table that cprflow knows.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct CatalogTable {
    /// The name of the table.
    name: String,
    /// The record type, three digits; None for a table of several record types.
    record_type: Option<String>,
    /// CPR's Danish title of the record type.
    cpr_title: String,
    /// The content.
    description: String,
    /// The columns.
    columns: Vec<Py<Column>>,
}

#[pymethods]
impl CatalogTable {
    fn __repr__(&self) -> String {
        format!("CatalogTable({:?}: {})", self.name, self.description)
    }
}

/// Return all tables that an extract can have, with their columns.
///
/// >>> [table.name for table in cprflow.catalog()][:3]
/// ['delivery_start', 'person', 'address']
#[pyfunction]
pub(crate) fn catalog(py: Python<'_>) -> PyResult<Vec<CatalogTable>> {
    let connector = detached(py, || crate::connector().map_err(Failure::from))?;
    let tables = connector.catalog().tables().iter();
    tables
        .map(|table| {
            let schema = table.schema(None);
            let fields = schema.iter().flat_map(|schema| schema.fields());
            let columns = fields.map(|field| Py::new(py, Column::from(field)));
            Ok(CatalogTable {
                name: table.name.clone(),
                record_type: table.record_type.clone(),
                cpr_title: table.cpr_title.clone(),
                description: table.description.clone(),
                columns: columns.collect::<PyResult<_>>()?,
            })
        })
        .collect()
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => format!("timestamp[us, {zone}]"),
        other => cprflow::type_name(other).to_owned(),
    }
}
