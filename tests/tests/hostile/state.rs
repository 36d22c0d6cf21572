//! Components that violate the contract of states and copies. `docs/hostile.md` has a line for each of these tests.

use std::io::Cursor;
use std::time::Duration;

use cprflow::{ComponentError, Connector, Error, ExtractCopy, ExtractPlace, Limits, StateScan};
use cprflow_tests::hostile_guest::{component_error, connector, long_deadline};

const DEADLINE: Duration = Duration::from_millis(100);

fn places() -> Vec<ExtractPlace> {
    vec![ExtractPlace {
        production_date: "2026-03-01".to_owned(),
        sequence: 1,
        agreement: "m".to_owned(),
    }]
}

fn copy(connector: &Connector, limits: Limits) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let copy = ExtractCopy::new(connector).limits(limits);
    copy.copy(&b"anything"[..], &mut bytes)?;
    Ok(bytes)
}

/// The component that the other tests change is accepted unchanged.
#[test]
fn an_unchanged_copy_is_accepted() {
    assert_eq!(copy(&connector(""), long_deadline()).unwrap(), b"anything");
}

#[test]
fn hostile_view_of_a_state() {
    let scan = StateScan::new(&connector("")).limits(long_deadline());
    let error = component_error(scan.read(places(), |_| Ok(Cursor::new(b"anything"))));
    let expected = "as_of or agreement";
    assert!(
        matches!(&error, ComponentError::Misbehaved(what) if what.contains(expected)),
        "{error:?}"
    );
}

#[test]
fn hostile_tied_numbers() {
    let scan = StateScan::new(&connector("")).limits(long_deadline());
    let survey = scan.survey(places(), |_| Ok(Cursor::new(b"anything")));
    let error = component_error(survey.unwrap().tied_numbers(&[]));
    assert!(
        matches!(&error, ComponentError::Misbehaved(what) if what.contains("ten digits")),
        "{error:?}"
    );
}

#[test]
fn hostile_protected_numbers() {
    let scan = StateScan::new(&connector("")).limits(long_deadline());
    let survey = scan.survey(places(), |_| Ok(Cursor::new(b"anything")));
    let error = component_error(survey.unwrap().protected_numbers());
    assert!(
        matches!(&error, ComponentError::Misbehaved(what) if what.contains("ten digits")),
        "{error:?}"
    );
}

#[test]
fn hostile_loop_in_a_selection_of_a_state() {
    let limits = long_deadline().call(DEADLINE);
    let scan = StateScan::new(&connector("spin-selection")).limits(limits);
    let error = component_error(scan.survey(places(), |_| Ok(Cursor::new(b"anything"))));
    assert!(
        matches!(error, ComponentError::Deadline { .. }),
        "{error:?}"
    );
}

#[test]
fn hostile_loop_in_a_copy() {
    let limits = long_deadline().call(DEADLINE);
    let error = component_error(copy(&connector("spin-copy"), limits));
    assert!(
        matches!(error, ComponentError::Deadline { .. }),
        "{error:?}"
    );
}

#[test]
fn hostile_copy_without_end() {
    let error = component_error(copy(&connector("endless-copy"), long_deadline()));
    assert!(
        matches!(&error, ComponentError::Misbehaved(what) if what.contains("empty part")),
        "{error:?}"
    );
}
