//! Arrow's C interfaces as Python capsules, so that any library takes the rows without copies.

use arrow::array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow::datatypes::Schema;
use arrow::ffi::{FFI_ArrowSchema, to_ffi};
use arrow::ffi_stream::FFI_ArrowArrayStream;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::failure::Failure;

/// Returns a stream as a capsule.
pub(crate) fn stream<'py>(
    py: Python<'py>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let stream = FFI_ArrowArrayStream::new(reader);
    PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
}

/// Returns a schema as a capsule.
pub(crate) fn schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema);
    let schema = schema.map_err(|error| Failure::request(error.to_string()))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// Returns the schema and the rows of a batch as two capsules.
pub(crate) fn batch<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let rows = StructArray::from(batch.clone());
    let (rows, _) = to_ffi(&rows.to_data()).map_err(|error| Failure::request(error.to_string()))?;
    let rows = PyCapsule::new_with_value(py, rows, c"arrow_array")?;
    // This schema has the metadata of the table, which the array has not.
    Ok((schema(py, &batch.schema())?, rows))
}

/// Returns the schema in a capsule that a consumer made.
pub(crate) fn requested_schema(capsule: &Bound<'_, PyCapsule>) -> PyResult<Schema> {
    let pointer = capsule.pointer_checked(Some(c"arrow_schema"))?;
    let pointer = pointer.cast::<FFI_ArrowSchema>();
    // SAFETY: the Arrow PyCapsule interface says that a capsule of this name points to an `ArrowSchema`, and that the
    // caller of `__arrow_c_stream__` keeps it alive during the call. `pointer_checked` has checked the name. The value
    // is only read here. A consumer that breaks the interface can do so only from inside this process.
    #[expect(unsafe_code, reason = "the interface passes schemas by pointer")]
    let schema = unsafe { pointer.as_ref() };
    let schema = Schema::try_from(schema);
    schema.map_err(|error| {
        Failure::request(format!("the requested schema cannot be read: {error}")).into()
    })
}
