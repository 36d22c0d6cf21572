//! Fuzzes the host's decoder of component output: any bytes give an error or a valid batch.
//!
//! The first byte selects the table of the batch, the second byte is the claimed number of rows.
#![no_main]

use std::sync::Arc;

use arrow::array::Array;
use cprflow::Decoder;
use cprflow_connector::schema::{all_tables, table_count};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [table, rows, ipc @ ..] = data else {
        return;
    };
    let index = usize::from(*table) % table_count();
    let id = all_tables().nth(index).expect("the index is below the number of tables");
    let mut decoder = Decoder::new(Arc::new(id.schema(&id.columns())));
    if let Ok(batch) = decoder.decode(ipc.to_vec(), usize::from(*rows)) {
        for column in batch.columns() {
            assert_eq!(column.len(), usize::from(*rows));
            column.to_data().validate_full().expect("the decoder validates");
            // Reading a value must not access memory outside the buffers.
            for row in 0..column.len() {
                let _ = arrow::util::display::array_value_to_string(column, row);
            }
        }
    }
});
