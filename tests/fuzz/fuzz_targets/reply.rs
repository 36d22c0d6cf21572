//! Fuzzes the reader of service responses: any bytes give no panic, and no text for the user contains a person number.
//!
//! The first byte selects the operation, the second byte the HTTP status.
#![no_main]

use cprflow_connector::subscription::{ChangeResult, Operation, Reply, reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [operation, status, body @ ..] = data else {
        return;
    };
    let operation = match operation % 3 {
        0 => Operation::GetAllFilters,
        1 => Operation::AddPnr("0101010101".to_owned()),
        _ => Operation::RemoveNoFilter,
    };
    let status = [200, 202, 301, 403, 404, 500, 503][usize::from(*status) % 7];
    let text = match reply(&operation, status, body) {
        Ok(_) if status != 200 => panic!("only status 200 is a success"),
        Ok(Reply::Filters(filters)) => {
            assert_eq!(filters.pnrs.len() % 10, 0);
            assert!(filters.pnrs.bytes().all(|byte| byte.is_ascii_digit()));
            assert!(filters.municipality_codes.iter().all(|code| code.len() == 4));
            filters.change_codes.join(" ")
        }
        Ok(Reply::Changed(ChangeResult::Other(word))) => word,
        Ok(Reply::Changed(_)) => return,
        Err(mut failure) => {
            // These two identifiers have their own formats and may contain ten digits.
            if let Some(fault) = &mut failure.fault {
                let call = fault.call_uuid.take();
                assert!(call.is_none_or(|call| call.len() == 36));
                let received = fault.received.take();
                assert!(received.is_none_or(|received| received.len() <= 36));
            }
            format!("{failure} {failure:?}")
        }
    };
    assert!(!text.as_bytes().windows(10).any(|window| window.iter().all(u8::is_ascii_digit)));
});
