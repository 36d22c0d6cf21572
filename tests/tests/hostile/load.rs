//! Files that must not be loaded as components. `docs/hostile.md` has a line for each of these tests. The modules
//! `catalog` and `imports` have more.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fmt::Write;
use std::fs::File;
use std::time::{Duration, Instant};

use cprflow::{ComponentError, Connector, Limits, Loader};
use cprflow_tests::command::{TestDirectory, cprflow};
use cprflow_tests::hostile_guest::{
    ELAPSED_LIMIT, beside_healthy_scan, component, component_error, extended, hand_made, loader,
    refused, stopped_beside_healthy_scan,
};
use cprflow_tests::rows;

#[test]
fn hostile_junk() {
    for junk in [
        b"".as_slice(),
        b"junk",
        &[0; 4096],
        b"\0asm",
        b"\0asm\x0d\0\x01\0\xff\xff\xff",
    ] {
        let error = beside_healthy_scan(|| refused(junk, Limits::new()));
        assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

/// Text is not the binary format, and compiled code is never accepted.
#[test]
fn hostile_formats() {
    for (bytes, why) in [
        (
            b"(component)".as_slice(),
            "not in WebAssembly's binary format",
        ),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "compiled already"),
        (b"\0asm\x02\0\0\0", "another version of WebAssembly"),
    ] {
        let error = beside_healthy_scan(|| refused(bytes, Limits::new()));
        assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn hostile_core_module() {
    let error = beside_healthy_scan(|| {
        refused(
            &wat::parse_str("(module (memory 1))").unwrap(),
            Limits::new(),
        )
    });
    assert!(matches!(error, ComponentError::CoreModule), "{error:?}");
    assert!(error.to_string().contains("wasm32-wasip2"), "{error}");
}

#[test]
fn hostile_component_that_is_cut_off() {
    let whole = component("");
    let error = beside_healthy_scan(|| refused(&whole[..whole.len() / 2], Limits::new()));
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
}

/// The file is rejected without reading more than the size limit.
#[test]
fn hostile_component_of_half_a_gigabyte() {
    let place = TestDirectory::new();
    let path = place.path("large.wasm");
    File::create(&path).unwrap().set_len(500 << 20).unwrap();
    let error =
        stopped_beside_healthy_scan(|| component_error(loader().file(path.as_ref()).map(drop)));
    let is_too_large = |error: &ComponentError| matches!(error, ComponentError::TooLarge { limit } if *limit == 32 << 20);
    assert!(is_too_large(&error), "{error:?}");
    let error = component_error(Connector::from_file(path.as_ref()).map(drop));
    assert!(is_too_large(&error), "{error:?}");
}

#[test]
fn hostile_file_without_end() {
    let error = stopped_beside_healthy_scan(|| {
        component_error(loader().file("/dev/zero".as_ref()).map(drop))
    });
    assert!(
        matches!(error, ComponentError::TooLarge { .. }),
        "{error:?}"
    );
}

#[test]
fn hostile_version_of_the_contract() {
    for version in ["9.0.0", "0.99.0", "1.0.0"] {
        let wat = format!(
            "(component (instance $none) (export \"cprflow:connector/catalog@{version}\" (instance $none))
                (export \"cprflow:connector/source@{version}\" (instance $none)))"
        );
        let error = beside_healthy_scan(|| refused(&wat::parse_str(&wat).unwrap(), Limits::new()));
        let ComponentError::Contract { found, supported } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*found, format!("cprflow:connector@{version}"));
        assert!(supported.starts_with("cprflow:connector@0."), "{supported}");
        // The message names both versions and says what to do.
        let said = error.to_string();
        assert!(said.contains(version) && said.contains(supported), "{said}");
        assert!(said.contains("Build it against"), "{said}");
    }
}

#[test]
fn hostile_component_of_no_contract() {
    let bytes = wat::parse_str("(component)").unwrap();
    let error = beside_healthy_scan(|| refused(&bytes, Limits::new()));
    assert!(
        matches!(error, ComponentError::Contract { .. }),
        "{error:?}"
    );
}

/// The version is right, and the exported functions are missing.
#[test]
fn hostile_exports_without_functions() {
    let text = wasmprinter::print_bytes(component("")).unwrap();
    let export = text
        .lines()
        .find(|line| line.contains("(export") && line.contains("cprflow:connector/source@"));
    let name = export.unwrap().split('"').nth(1).unwrap();
    let wat = format!("(component (instance $none) (export \"{name}\" (instance $none)))");
    let bytes = wat::parse_str(&wat).unwrap();
    let error = beside_healthy_scan(|| refused(&bytes, Limits::new()));
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
}

/// The code is short and takes very long to compile. Only the compiler process is ended.
#[test]
fn hostile_compiling_without_end() {
    let bytes = compile_bomb();
    let time = Duration::from_millis(500);
    let loader = loader().time(time);
    let (error, elapsed) = beside_healthy_scan(|| {
        let began = Instant::now();
        let error = component_error(loader.bytes(&bytes).map(drop));
        (error, began.elapsed())
    });
    assert!(
        matches!(&error, ComponentError::Compile { time: limit, .. } if *limit == time),
        "{error:?}"
    );
    // The compiler is a process of its own, so the processor time of this thread says nothing.
    assert!(elapsed < ELAPSED_LIMIT, "{elapsed:?}");
}

#[test]
fn hostile_compiling_in_all_memory() {
    let bytes = compile_bomb();
    let memory = 96 << 20;
    let error =
        beside_healthy_scan(|| component_error(loader().memory(memory).bytes(&bytes).map(drop)));
    assert!(
        matches!(&error, ComponentError::Compile { memory: limit, .. } if *limit == memory),
        "{error:?}"
    );
}

/// Only cprflow itself is accepted as the compiler.
#[test]
fn hostile_compiler() {
    let bytes = component("");
    for compiler in ["/bin/true", "/bin/echo", "/nowhere/cprflow"] {
        let error =
            beside_healthy_scan(|| component_error(Loader::new(compiler).bytes(&bytes).map(drop)));
        assert!(matches!(error, ComponentError::Compiler(_)), "{error:?}");
        assert!(error.to_string().contains(compiler), "{error}");
    }
}

/// The component that the other tests change is accepted unchanged.
#[test]
fn an_unchanged_component_is_loaded() {
    let own = cprflow_tests::hostile_guest::component("");
    let connector = loader().bytes(&own).unwrap();
    assert_eq!(connector.catalog().tables().len(), 2);
    // The hand-written component is complete: it is loaded, and then traps.
    let error = refused(&hand_made(""), Limits::new());
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
    assert!(!rows::connector().catalog().tables().is_empty());
}

/// The command prints one line and ends with exit code 2.
#[test]
fn hostile_component_on_the_command_line() {
    let place = TestDirectory::new();
    let file = |name: &str, bytes: &[u8]| place.file(name, bytes);
    for (path, why) in [
        (file("junk.wasm", b"junk"), "binary format"),
        (
            file("module.wasm", b"\0asm\x01\0\0\0"),
            "core WebAssembly module",
        ),
        (
            file(
                "files.wasm",
                &extended(
                    &component(""),
                    "(import \"wasi:filesystem/types@0.2.6\" (instance))",
                ),
            ),
            "it imports wasi:filesystem/types@0.2.6",
        ),
        (file("path.wasm", &component("path")), "has an invalid name"),
    ] {
        let ended = cprflow(["tables", "--component", &path]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
    let sound = file("sound.wasm", &component(""));
    let ended = cprflow(["tables", "--component", &sound]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.text().contains("alpha"), "{}", ended.text());
}

/// Returns a component whose functions have thousands of branches that write the same variables.
fn compile_bomb() -> Vec<u8> {
    let mut bomb = String::new();
    for function in 0..40 {
        write!(bomb, "(func $bomb{function} (param i32) (result i32) ").unwrap();
        for local in 0..50 {
            write!(bomb, "(local $l{local} i32) ").unwrap();
        }
        for branch in 0..8_000 {
            let (one, other) = (branch % 50, branch * 7 % 50);
            write!(
                bomb,
                "(if (local.get $l{other}) (then (local.set $l{one} (i32.add (local.get $l{other}) (i32.const {branch})))))"
            )
            .unwrap();
        }
        bomb.push_str("local.get $l1)");
    }
    hand_made(&bomb)
}
