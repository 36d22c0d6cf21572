//! What a component asks for and what it offers, held against the contract.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::bindings::ConnectorPre;
use super::limits::Host;
use super::{invalid, tame};
use crate::error::{ComponentError, Error};

/// The interfaces that Rust's standard library imports on `wasm32-wasip2`, needed or not. Every call of one
/// traps, save [`SEED`].
const SHIMS: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    SEED,
];

/// What seeds the hash maps of Rust's standard library: answered by a constant, so that the same bytes give the
/// same batches.
const SEED: &str = "wasi:random/insecure-seed";

/// The contract's package, and its version as `wit/` has it.
const PACKAGE: &str = "cprflow:connector/";
const CONTRACT: &str = env!("CPRFLOW_CONTRACT");

/// Checks what the component asks for, and answers it by nothing.
pub(super) fn link(engine: &Engine, component: &Component) -> Result<ConnectorPre<Host>, Error> {
    let mut linker = Linker::new(engine);
    for (import, _) in component.component_type().imports(engine) {
        let interface = import.split('@').next().unwrap_or_default();
        if !SHIMS.contains(&interface) {
            let import = tame(&import.chars().take(200).collect::<String>());
            return Err(ComponentError::Refused { import }.into());
        }
        if interface == SEED {
            linker
                .instance(import)
                .and_then(|mut seed| {
                    seed.func_wrap("insecure-seed", |_, (): ()| {
                        Ok(((0x6370_7266_u64, 0x6c6f_7701_u64),))
                    })
                })
                .map_err(invalid)?;
        }
    }
    check_contract(engine, component)?;
    linker
        .define_unknown_imports_as_traps(component)
        .map_err(invalid)?;
    let template = linker.instantiate_pre(component).map_err(invalid)?;
    Ok(ConnectorPre::new(template).map_err(invalid)?)
}

/// Names both versions where they differ. Whether the exports are what the version says, the bindings find out.
fn check_contract(engine: &Engine, component: &Component) -> Result<(), ComponentError> {
    let component_type = component.component_type();
    let mut versions: Vec<&str> = component_type
        .exports(engine)
        .filter_map(|(name, _)| name.strip_prefix(PACKAGE)?.split_once('@'))
        .map(|(_, version)| version)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let is_ours = |version: &&str| line(version) == line(CONTRACT);
    if !versions.is_empty() && versions.iter().all(is_ours) {
        return Ok(());
    }
    let found = match versions.as_slice() {
        [] => "nothing of the contract cprflow:connector".to_owned(),
        versions => format!("cprflow:connector@{}", versions.join(" and ")),
    };
    Err(ComponentError::Contract {
        found: tame(&found),
        supported: format!("cprflow:connector@{CONTRACT}"),
    })
}

/// What two versions share that understand each other: the major, or below 1 the minor.
fn line(version: &str) -> Option<(&str, Option<&str>)> {
    let mut parts = version.split('.');
    let major = parts.next()?;
    Some((major, parts.next().filter(|_| major == "0")))
}
