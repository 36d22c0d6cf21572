//! Components that attack the threads which read parts of an extract. `docs/hostile.md` has a line for each of these tests.

use cprflow::{ComponentError, Limits, Scan};
use cprflow_tests::hostile_guest::{
    beside_healthy_scan, component_error, connector, long_deadline, short_deadline,
    stopped_beside_healthy_scan,
};

/// Runs a scan in parts with this attack, and returns the number of its batches.
fn parts(attack: &str, limits: Limits) -> Result<usize, cprflow::Error> {
    let connector = connector(attack);
    let scan = Scan::new(&connector).limits(limits).threads(3);
    let extract = b"a line\n".repeat(3_000);
    let batches = scan.part_bytes(1_000).read_all(extract.as_slice())?;
    let batches: Vec<_> = batches.collect::<Result<_, _>>()?;
    Ok(batches.len())
}

#[test]
fn hostile_loop_in_a_part() {
    let error =
        stopped_beside_healthy_scan(|| component_error(parts("parts-spin", short_deadline())));
    assert!(
        matches!(error, ComponentError::Deadline { .. }),
        "{error:?}"
    );
}

#[test]
fn hostile_trap_in_a_part() {
    let error = beside_healthy_scan(|| component_error(parts("parts-trap", long_deadline())));
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
}

/// The instance that takes what the parts have counted refuses them, and reads everything itself.
#[test]
fn hostile_refusal_of_parts() {
    let batches = beside_healthy_scan(|| parts("parts-refuse", long_deadline()));
    assert_eq!(batches.unwrap(), 0);
}

#[test]
fn hostile_number_of_records_before_a_part() {
    let batches = beside_healthy_scan(|| parts("parts-lines", long_deadline()));
    assert_eq!(batches.unwrap(), 0);
}

#[test]
fn hostile_rest_before_the_parts() {
    let error = beside_healthy_scan(|| component_error(parts("parts-rest", long_deadline())));
    assert_eq!(
        error.to_string(),
        "the component violates the contract: it returned more bytes than it was given. This is a bug in the \
         component: report it with this message"
    );
}

#[test]
fn hostile_end_of_a_part() {
    let error = beside_healthy_scan(|| component_error(parts("parts-walk", long_deadline())));
    assert_eq!(
        error.to_string(),
        "the component violates the contract: a record begins before the bytes that were given. This is a bug in the \
         component: report it with this message"
    );
}
