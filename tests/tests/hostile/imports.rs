//! Components that import or call system functions. `docs/hostile.md` has a line for each of these tests.
//!
//! Functions that are not in the list are refused at load. Those that Rust's standard library needs trap when called.

use cprflow::{ComponentError, Scan};
use cprflow_tests::hostile_guest::{
    beside_healthy_scan, component, component_error, connector, extended, long_deadline, refused,
    scan,
};

#[test]
fn hostile_import_of_files() {
    is_refused("wasi:filesystem/types@0.2.6");
    is_refused("wasi:filesystem/preopens@0.2.6");
}

#[test]
fn hostile_import_of_sockets() {
    is_refused("wasi:sockets/tcp@0.2.6");
    is_refused("wasi:sockets/instance-network@0.2.6");
}

#[test]
fn hostile_import_of_http() {
    is_refused("wasi:http/outgoing-handler@0.2.6");
}

#[test]
fn hostile_import_of_a_clock() {
    is_refused("wasi:clocks/wall-clock@0.2.6");
    is_refused("wasi:clocks/monotonic-clock@0.2.6");
}

#[test]
fn hostile_import_of_random_numbers() {
    is_refused("wasi:random/random@0.2.6");
    is_refused("wasi:random/insecure@0.2.6");
}

#[test]
fn hostile_import_of_an_invented_interface() {
    is_refused("evil:corp/exfiltrate");
}

/// The names start like an allowed one.
#[test]
fn hostile_import_that_looks_like_another() {
    is_refused("wasi:cli/environment-of-another@0.2.6");
    is_refused("wasi:io/streams-and-files@0.2.6");
}

/// The component chooses the names of its imports, so they must not be logged unchecked.
#[test]
fn hostile_import_named_by_a_person_number() {
    let error = import("wasi:evil/p0101010101");
    assert!(matches!(error, ComponentError::Refused { .. }), "{error:?}");
    assert!(!error.to_string().contains("0101"), "{error}");
}

#[test]
fn hostile_use_of_the_environment() {
    traps("environment");
    let error = beside_healthy_scan(|| refused(&component("environment-at-load"), long_deadline()));
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
}

#[test]
fn hostile_use_of_arguments() {
    traps("arguments");
}

#[test]
fn hostile_use_of_standard_output() {
    traps("stdout");
}

#[test]
fn hostile_use_of_standard_input() {
    traps("stdin");
}

#[test]
fn hostile_use_of_exit() {
    traps("exit");
}

fn is_refused(power: &str) {
    let error = import(power);
    let ComponentError::Refused { import } = &error else {
        panic!("{power}: {error:?}");
    };
    assert_eq!(import, power);
    assert!(error.to_string().contains(power), "{error}");
}

/// Returns a valid component with one more import.
fn import(power: &str) -> ComponentError {
    let items = format!("(import \"{power}\" (instance))");
    let bytes = extended(&component(""), &items);
    beside_healthy_scan(|| refused(&bytes, long_deadline()))
}

fn traps(attack: &str) {
    let connector = connector(attack);
    let error = beside_healthy_scan(|| {
        component_error(scan(Scan::new(&connector).limits(long_deadline()), b"x"))
    });
    assert!(
        matches!(error, ComponentError::Trapped(_)),
        "{attack}: {error:?}"
    );
}
