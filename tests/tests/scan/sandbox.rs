//! What a component may import, and its limits of memory and time.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::time::Duration;

use cprflow::{ComponentError, Connector, Error, Limits, Scan};
use cprflow_tests::extract;
use cprflow_tests::rows;
use wasmtime::component::Component;

#[test]
fn refuses_forbidden_imports_by_name() {
    let powers = [
        "wasi:filesystem/preopens@0.2.6",
        "wasi:filesystem/types@0.2.0",
        "wasi:sockets/tcp@0.2.6",
        "wasi:sockets/instance-network@0.2.6",
        "wasi:clocks/wall-clock@0.2.6",
        "wasi:clocks/monotonic-clock@0.2.6",
        "wasi:random/random@0.2.6",
        "wasi:http/outgoing-handler@0.2.6",
        "wasi:cli/environment-of-another@0.2.6",
        "evil:corp/exfiltrate",
    ];
    for power in powers {
        let wat = format!("(component (import \"{power}\" (instance)))");
        let Err(Error::Component(ComponentError::Refused { import })) = load(&wat) else {
            panic!("{power} was not refused");
        };
        assert_eq!(import, power);
    }
    let Err(Error::Component(ComponentError::Refused { import })) =
        load("(component (import \"exec\" (func (param \"command\" string))))")
    else {
        panic!("a bare function was not refused");
    };
    assert_eq!(import, "exec");
}

/// One forbidden import among allowed ones is refused too.
#[test]
fn refuses_a_forbidden_import_among_allowed_ones() {
    let wat = "(component (import \"wasi:cli/exit@0.2.6\" (instance)) (import \"wasi:sockets/udp@0.2.6\" (instance)))";
    let error = error_of(load(wat));
    assert!(
        matches!(&error, ComponentError::Refused { import } if import == "wasi:sockets/udp@0.2.6"),
        "{error:?}"
    );
}

#[test]
fn refuses_files_that_are_not_components() {
    let of = |bytes: &[u8]| error_of(Connector::from_bytes(bytes));
    let core_module = wat::parse_str("(module (memory 1))").unwrap();
    let embedded = std::fs::read(cprflow_tests::command::component_file()).unwrap();
    for bytes in [
        b"".to_vec(),
        b"junk".to_vec(),
        vec![0; 4096],
        core_module,
        embedded[..1000].to_vec(),
    ] {
        let error = of(&bytes);
        let is_told = matches!(
            error,
            ComponentError::Invalid(_) | ComponentError::CoreModule
        );
        assert!(is_told, "{error:?}");
        // The message must fit into one line of a log.
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    // Text is not the binary format.
    let error = of(b"(component)");
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
}

#[test]
fn a_component_of_another_contract() {
    let components = [
        "(component)",
        // The names are right, but the version is another.
        "(component (instance $none) (export \"cprflow:connector/catalog@9.0.0\" (instance $none))
            (export \"cprflow:connector/source@9.0.0\" (instance $none)))",
        // The names are right, but nothing is exported under them.
        "(component (instance $none) (export \"cprflow:connector/catalog@0.3.0\" (instance $none))
            (export \"cprflow:connector/source@0.3.0\" (instance $none)))",
    ];
    for wat in components {
        let error = error_of(load(wat));
        assert!(
            matches!(
                error,
                ComponentError::Invalid(_) | ComponentError::Contract { .. }
            ),
            "{wat}: {error:?}"
        );
    }
}

#[test]
fn reports_a_missing_component_file() {
    let error = Connector::from_file("/nowhere/component.wasm".as_ref())
        .err()
        .unwrap();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
}

/// Snapshots the imports of the embedded component, so that a reviewer sees every change.
#[test]
fn the_embedded_component_imports_shims_only() {
    let engine = wasmtime::Engine::default();
    let component =
        Component::from_file(&engine, cprflow_tests::command::component_file()).unwrap();
    let component_type = component.component_type();
    let mut imports: Vec<&str> = component_type
        .imports(&engine)
        .map(|(name, _)| name.split('@').next().unwrap())
        .collect();
    imports.sort_unstable();
    insta::assert_snapshot!("imports", imports.join("\n"));
    let mut exports: Vec<&str> = component_type
        .exports(&engine)
        .map(|(name, _)| name)
        .collect();
    exports.sort_unstable();
    insta::assert_snapshot!(exports.join("\n"), @r"
    cprflow:connector/catalog@0.3.0
    cprflow:connector/delivery@0.3.0
    cprflow:connector/source@0.3.0
    cprflow:connector/subscription@0.3.0
    ");
}

#[test]
fn memory_has_a_limit() {
    let extract = extract::small(3_000, 1);
    let mut refused = 0;
    for memory in [1, 4, 256].map(|mebibytes| mebibytes << 20) {
        let limits = Limits::new().memory(memory);
        let batches = Scan::new(rows::connector())
            .limits(limits)
            .batch_rows(100_000)
            .read_all(extract.as_slice());
        let ended = batches.and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
        match ended {
            Err(error) => {
                let limited = matches!(error, Error::Component(ComponentError::Memory { limit }) if limit == memory);
                assert!(limited, "{error:?}");
                refused += 1;
            }
            Ok(batches) => assert!(!batches.is_empty()),
        }
    }
    assert_eq!(
        refused, 2,
        "1 and 4 MiB must be too little, 256 MiB must be enough"
    );
    // Other scans still work.
    assert!(rows::scan(&extract).error.is_none());
}

/// A call that reads a block of hundreds of megabytes takes longer than the shortest deadline.
#[test]
fn a_call_has_a_deadline() {
    let mut line = b"0080101010101Nilsson\n".repeat(2_000_000);
    line.splice(0..0, *b"00000000000004311012001111620011115\n");
    let limits = Limits::new().call(Duration::ZERO).memory(1 << 30);
    let scan = Scan::new(rows::connector())
        .limits(limits)
        .block_bytes(line.len())
        .batch_rows(1_000_000);
    let batches = scan.read_all(line.as_slice());
    let ended = batches.and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
    let error = ended.expect_err("the call must take longer than the deadline");
    assert!(
        matches!(error, Error::Component(ComponentError::Deadline { .. })),
        "{error:?}"
    );
}

#[test]
fn rejects_invalid_requests() {
    let request = |scan: Scan| match scan.read(&b""[..]) {
        Err(Error::Request(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was accepted"),
    };
    let scan = || Scan::new(rows::connector());
    insta::assert_snapshot!(request(scan()), @"a scan of one table must name exactly one table: name one with `table`, or call `read_all`");
    insta::assert_snapshot!(request(scan().table("persons")), @r#"there is no table "persons"; `cprflow tables` lists them"#);
    insta::assert_snapshot!(request(scan().table("person").columns(["pnr", "age"])), @r#"the table "person" has no column "age"; `cprflow schema person` lists them"#);
    insta::assert_snapshot!(request(scan().table("person").columns(["pnr", "pnr"])), @r#"the column "pnr" is requested twice"#);
    insta::assert_snapshot!(request(scan().table("person").expected_previous("16/11/2001")), @r#""16/11/2001" is not a date of the form YYYY-MM-DD"#);
    let twice = scan().table("person").table("person").read_all(&b""[..]);
    assert!(matches!(twice, Err(Error::Request(_))));
}

fn load(wat: &str) -> Result<Connector, Error> {
    Connector::from_bytes(&wat::parse_str(wat).unwrap())
}

fn error_of(loaded: Result<Connector, Error>) -> ComponentError {
    match loaded {
        Err(Error::Component(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}
