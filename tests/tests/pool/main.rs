//! Tests of the pool of instances, which need a process of their own. `docs/hostile.md` has a line for each test.

use std::process::Command;

use cprflow::{ComponentError, Scan};
use cprflow_tests::command::{TestDirectory, binary};
use cprflow_tests::hostile_guest::{component_error, connector};
use cprflow_tests::{extract, rows};

/// If the pool is full, the next scan fails and running scans continue.
#[test]
fn hostile_instances_that_are_never_released() {
    let extract = extract::small(20, 1);
    let expected: Vec<_> = rows::scan(&extract).batches;
    let neighbour = || {
        let scan = Scan::new(rows::compiled_connector()).check_persons(true);
        scan.read_all(extract.as_slice()).unwrap()
    };
    let healthy = neighbour();
    let connector = connector("");
    let open = || Scan::new(&connector).block_bytes(1).read_all(&b""[..]);
    let mut kept = Vec::new();
    let error = loop {
        match open() {
            Ok(reader) => kept.push(reader),
            Err(error) => break error,
        }
        assert!(kept.len() < 10_000, "the pool never became full");
    };
    let error = component_error::<()>(Err(error));
    let ComponentError::PoolFull { slots } = error else {
        panic!("{error:?}");
    };
    // The running scan has one of the slots.
    assert_eq!(kept.len() as u32, slots - 1);
    let batches = healthy.map(|batch| batch.map(|batch| (batch.table, batch.batch)));
    assert_eq!(batches.collect::<Result<Vec<_>, _>>().unwrap(), expected);
    kept.pop();
    assert!(open().is_ok(), "a released slot can be used again");
}

/// With a limited address space, memory is reserved for one instance at a time, and scans return the same rows.
#[test]
fn hostile_limit_of_address_space() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let scan = |limit: &str| {
        let script =
            format!("ulimit -v {limit}; exec \"$0\" scan \"$1\" --table person --format csv");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &script]).arg(binary()).arg(&extract);
        output.output().unwrap()
    };
    let usual = scan("unlimited");
    let short = scan("1500000");
    assert!(
        usual.status.success() && short.status.success(),
        "{short:?}"
    );
    assert!(!usual.stdout.is_empty());
    assert_eq!(usual.stdout, short.stdout);
    let said = String::from_utf8(short.stderr).unwrap();
    assert!(said.contains("address space"), "{said}");
    assert!(
        !String::from_utf8(usual.stderr)
            .unwrap()
            .contains("address space")
    );
}
