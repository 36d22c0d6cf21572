//! The room that there is for instances. `docs/hostile.md` has a line for each of these tests, which want the whole
//! process for themselves.

use std::process::Command;

use cprflow::{ComponentError, Scan};
use cprflow_tests::command::{Place, binary};
use cprflow_tests::hostile_guest::{connector, ended};
use cprflow_tests::{extract, rows};

/// There is room for so many instances; the next one is told so, and the others go on.
#[test]
fn hostile_instances_that_are_never_given_back() {
    let extract = extract::small(20, 1);
    let expected: Vec<_> = rows::scan(&extract).batches;
    let neighbour = || {
        let scan = Scan::new(rows::connector()).check_persons(true);
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
        assert!(kept.len() < 10_000, "there is an end to it");
    };
    let error = ended::<()>(Err(error));
    let ComponentError::PoolFull { slots } = error else {
        panic!("{error:?}");
    };
    // The neighbour has one of them.
    assert_eq!(kept.len() as u32, slots - 1);
    let batches = healthy.map(|batch| batch.map(|batch| (batch.table, batch.batch)));
    assert_eq!(batches.collect::<Result<Vec<_>, _>>().unwrap(), expected);
    kept.pop();
    assert!(open().is_ok(), "there is room again");
}

/// Where address space is short, instances get room one by one, and the rows are the same.
#[test]
fn hostile_limit_of_address_space() {
    let place = Place::new();
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
