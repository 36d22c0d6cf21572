//! Iterates over the batches of a scan.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::capsule;
use crate::failure::detached;
use crate::interrupt::Interrupt;
use crate::schema::Schema;
use crate::stream::Stream;

/// An iterator over the batches of a scan. Ctrl-C ends it.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct BatchIterator {
    stream: Mutex<Stream>,
    interrupt: Arc<Interrupt>,
}

impl BatchIterator {
    /// Creates an iterator over a stream whose input checks the interrupt.
    pub(crate) fn new(stream: Stream, interrupt: Arc<Interrupt>) -> Self {
        Self {
            stream: Mutex::new(stream),
            interrupt,
        }
    }
}

#[pymethods]
impl BatchIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        py.check_signals()?;
        let next = detached(py, || {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream.next_batch()
        });
        let next = next.map_err(|failure| {
            // The log can also fail after the stream has returned a batch, which is then lost.
            py.detach(|| {
                let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
                stream.fail();
            });
            self.interrupt.explain(failure)
        })?;
        Ok(next.map(Batch))
    }
}

/// Some rows of a scan. Any library that takes `__arrow_c_array__` reads them, for example `pyarrow.record_batch`.
#[pyclass(frozen, module = "cprflow")]
pub(crate) struct Batch(pub(crate) RecordBatch);

#[pymethods]
impl Batch {
    /// The number of rows.
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    /// The columns.
    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.0.schema())
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    /// Return the rows as a schema and an array.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        // The interface lets a producer return its own types; a scan can choose them, and a batch has its types already.
        drop(requested_schema);
        capsule::batch(py, &self.0)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.0.schema())
    }

    fn __repr__(&self) -> String {
        format!(
            "Batch({} rows, {} columns)",
            self.0.num_rows(),
            self.0.num_columns()
        )
    }
}
