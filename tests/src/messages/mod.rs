//! Batches of the hostile component's tables, and their IPC messages.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, MapBuilder, RecordBatch, StringArray,
    StringBuilder,
};
use arrow::datatypes::SchemaRef;
use cprflow_connector::ipc::Encoder;

use crate::hostile_guest::connector;

mod parts;

pub use parts::Parts;

/// Returns `rows` rows of `alpha`, with the names `abc`, `abcd`, `abc`, …
pub fn alpha(rows: usize) -> RecordBatch {
    let names = (0..rows).map(|row| if row % 2 == 0 { "abc" } else { "abcd" });
    let columns: [ArrayRef; 2] = [
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
    ];
    RecordBatch::try_new(schema("alpha"), columns.into()).unwrap()
}

/// Returns `rows` rows of `beta`. Every third row is null, and every second has an irregular value.
pub fn beta(rows: usize) -> RecordBatch {
    let mut irregular = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..rows {
        if row % 2 == 0 {
            irregular.keys().append_value("day");
            irregular.values().append_value("00-00");
        }
        irregular.append(row % 2 == 0).unwrap();
    }
    let irregular = irregular.finish();
    let schema = schema("beta");
    // The cast gives the inner fields the names of the catalog.
    let irregular = arrow::compute::cast(&irregular, schema.field(2).data_type()).unwrap();
    let each_third = |row: usize| !row.is_multiple_of(3);
    let columns: [ArrayRef; 4] = [
        Arc::new(Date32Array::from_iter(
            (0..rows).map(|row| each_third(row).then_some(row as i32)),
        )),
        Arc::new(BooleanArray::from_iter(
            (0..rows).map(|row| each_third(row).then_some(row % 2 == 0)),
        )),
        irregular,
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
    ];
    RecordBatch::try_new(schema, columns.into()).unwrap()
}

/// Returns the schema of a table in the component's catalog.
pub fn schema(table: &str) -> SchemaRef {
    let connector = connector("");
    let table = connector.catalog().table(table).unwrap();
    table.schema(None).unwrap()
}

/// Returns the messages of a table's first batch: the schema and the rows.
pub fn encoded(batch: &RecordBatch) -> Vec<u8> {
    Encoder::default().encode(batch).unwrap()
}
