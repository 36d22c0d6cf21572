//! Checks the imports and exports of a component against the contract, and links it.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::limits::StoreState;
use crate::error::{ComponentError, Error};
use crate::redact::redact;
use crate::wit::ConnectorPre;

/// The interfaces that Rust's standard library imports on `wasm32-wasip2`, used or not. Every call of them traps,
/// except calls of [`HASH_SEED`].
const ALLOWED_IMPORTS: &[&str] = &[
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
    HASH_SEED,
];

/// The seed of the hash maps of Rust's standard library. It is a constant, so that the same bytes give the same
/// batches.
const HASH_SEED: &str = "wasi:random/insecure-seed";

/// The package of the contract.
const PACKAGE: &str = "cprflow:connector/";

/// The version of the contract in `wit/`.
const CONTRACT: &str = env!("CPRFLOW_CONTRACT");

/// The longest name of an import in an error, in characters.
const MAX_IMPORT_NAME: usize = 200;

/// Links a component whose imports trap when they are called.
///
/// Fails if the component imports anything else than [`ALLOWED_IMPORTS`], or implements another contract.
pub(crate) fn link(
    engine: &Engine,
    component: &Component,
) -> Result<ConnectorPre<StoreState>, Error> {
    let mut linker = Linker::new(engine);
    for (import, _) in component.component_type().imports(engine) {
        let interface = import.split('@').next().unwrap_or_default();
        if !ALLOWED_IMPORTS.contains(&interface) {
            let import = redact(&import.chars().take(MAX_IMPORT_NAME).collect::<String>());
            return Err(ComponentError::Refused { import }.into());
        }
        if interface == HASH_SEED {
            linker
                .instance(import)
                .and_then(|mut seed| {
                    seed.func_wrap("insecure-seed", |_, (): ()| {
                        Ok(((0x6370_7266_u64, 0x6c6f_7701_u64),))
                    })
                })
                .map_err(ComponentError::invalid)?;
        }
    }
    check_contract(engine, component)?;
    linker
        .define_unknown_imports_as_traps(component)
        .map_err(ComponentError::invalid)?;
    let template = linker
        .instantiate_pre(component)
        .map_err(ComponentError::invalid)?;
    Ok(ConnectorPre::new(template).map_err(ComponentError::invalid)?)
}

/// Checks the version of the contract, so that the error can name both versions. The generated bindings check the
/// exports themselves.
fn check_contract(engine: &Engine, component: &Component) -> Result<(), ComponentError> {
    let component_type = component.component_type();
    let mut versions: Vec<&str> = component_type
        .exports(engine)
        .filter_map(|(name, _)| name.strip_prefix(PACKAGE)?.split_once('@'))
        .map(|(_, version)| version)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let is_supported = |version: &&str| compatible_version(version) == compatible_version(CONTRACT);
    if !versions.is_empty() && versions.iter().all(is_supported) {
        return Ok(());
    }
    let found = match versions.as_slice() {
        [] => "no interface of cprflow:connector".to_owned(),
        versions => format!("cprflow:connector@{}", versions.join(" and ")),
    };
    Err(ComponentError::Contract {
        found: redact(&found),
        supported: format!("cprflow:connector@{CONTRACT}"),
    })
}

/// Returns the part of a version that compatible versions share: the major number, and below 1 also the minor.
fn compatible_version(version: &str) -> Option<(&str, Option<&str>)> {
    let mut parts = version.split('.');
    let major = parts.next()?;
    Some((major, parts.next().filter(|_| major == "0")))
}
