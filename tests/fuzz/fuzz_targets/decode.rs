//! What a component returns against the host's decoder: any bytes end in an error or in a sound batch.
//!
//! The first byte chooses the table whose batches the bytes claim to be, the second how many rows they claim.
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
    let place = usize::from(*table) % table_count();
    let id = all_tables().nth(place).expect("there are so many");
    let mut decoder = Decoder::new(Arc::new(id.schema(&id.columns())));
    if let Ok(batch) = decoder.decode(ipc.to_vec(), usize::from(*rows)) {
        for column in batch.columns() {
            assert_eq!(column.len(), usize::from(*rows));
            column.to_data().validate_full().expect("the decoder validates");
            // Reading every value must touch nothing outside the buffers.
            for row in 0..column.len() {
                let _ = arrow::util::display::array_value_to_string(column, row);
            }
        }
    }
});
