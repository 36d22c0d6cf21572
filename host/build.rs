//! Builds the component that the host embeds, so that a clean clone needs no step of its own for it.
//!
//! `CPRFLOW_COMPONENT` may name one that is built already: for packaging, where the sibling crate is absent,
//! and for toolchains without the WebAssembly target.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate of the component, beside this one.
const CONNECTOR: &str = "../connector";

/// The contract.
const CONTRACT: &str = "../wit/connector.wit";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CPRFLOW_COMPONENT");
    println!("cargo::rerun-if-env-changed=LIBSSH2_SYS_USE_PKG_CONFIG");
    if env::var_os("LIBSSH2_SYS_USE_PKG_CONFIG").is_some() {
        return Err("LIBSSH2_SYS_USE_PKG_CONFIG is set: distributions' libssh2 is 1.11.1 or older, in which a server \
                    can attack its clients (CVE-2026-55200). Unset it; the copy that is built in is mended"
            .into());
    }
    let component = match env::var_os("CPRFLOW_COMPONENT") {
        Some(prebuilt) => {
            let prebuilt = PathBuf::from(prebuilt).canonicalize()?;
            println!("cargo::rerun-if-changed={}", prebuilt.display());
            prebuilt
        }
        None => build()?,
    };
    println!(
        "cargo::rustc-env=CPRFLOW_COMPONENT_FILE={}",
        component.display()
    );
    println!("cargo::rustc-env=CPRFLOW_CONTRACT={}", contract()?);
    Ok(())
}

/// The version of the contract that the host is built against.
fn contract() -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    let text = std::fs::read_to_string(CONTRACT)?;
    let version = text.lines().find_map(|line| {
        let version = line.strip_prefix("package cprflow:connector@")?;
        version.strip_suffix(';')
    });
    Ok(version.ok_or("the contract has no version")?.to_owned())
}

fn build() -> Result<PathBuf, Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = here.parent().ok_or("the host has no workspace around it")?;
    for input in [
        "connector/src",
        "connector/Cargo.toml",
        "wit",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    let target = target_directory()?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What belongs to the outer build (a wrapper of clippy's or of a coverage tool's, flags for the native
    // target, its target directory) would break the inner one.
    for variable in [
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOCFLAGS",
    ] {
        cargo.env_remove(variable);
    }
    let status = cargo
        .current_dir(here.join(CONNECTOR))
        .env("RUSTFLAGS", rustflags(workspace))
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--locked"])
        .args(["--target", "wasm32-wasip2", "--profile", "component"])
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    if !status.success() {
        return Err(
            "building the component failed; if the target is missing, run \
                    `rustup target add wasm32-wasip2`"
                .into(),
        );
    }
    Ok(target.join("wasm32-wasip2/component/cprflow_connector.wasm"))
}

/// A directory of its own beside the outer build's profiles: sharing one would wait for itself for ever.
fn target_directory() -> Result<PathBuf, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = out
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
        .unwrap_or(&out);
    Ok(target.join("component"))
}

/// Vector instructions, and no paths of the machine that built it.
fn rustflags(workspace: &Path) -> String {
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned()];
    let mut remap = |from: Option<PathBuf>, to: &str| {
        if let Some(from) = from {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
    };
    let home = env::var_os("HOME").map(PathBuf::from);
    let home_of = |variable: &str, default: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| home.as_ref().map(|home| home.join(default)))
    };
    remap(home_of("CARGO_HOME", ".cargo"), "cargo");
    remap(home_of("RUSTUP_HOME", ".rustup"), "rustup");
    remap(Some(workspace.to_owned()), "cprflow");
    flags.join(" ")
}
