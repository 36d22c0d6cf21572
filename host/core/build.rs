//! Builds the component that this crate embeds, so that `cargo build` is enough in a fresh clone.
//!
//! Set `CPRFLOW_COMPONENT` to embed a component that is built already. Packages need this because they lack the
//! connector crate, and so do toolchains without the WebAssembly target.

use std::env;
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate of the component, relative to this crate.
const CONNECTOR: &str = "../../connector";

/// The WIT file that has the version of the contract.
const CONTRACT: &str = "../../wit/connector.wit";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CPRFLOW_COMPONENT");
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

/// Returns the version of the contract.
fn contract() -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    let text = std::fs::read_to_string(CONTRACT)?;
    let version = text.lines().find_map(|line| {
        let version = line.strip_prefix("package cprflow:connector@")?;
        version.strip_suffix(';')
    });
    let version = version
        .ok_or_else(|| format!("{CONTRACT} has no line `package cprflow:connector@<version>;`"))?;
    Ok(version.to_owned())
}

/// Builds the component and returns its path.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = here
        .ancestors()
        .nth(2)
        .ok_or("the crate is outside its workspace: set CPRFLOW_COMPONENT to a component that is built already")?;
    for input in [
        "connector/src",
        "connector/Cargo.toml",
        "connector/redact/src",
        "connector/redact/Cargo.toml",
        "wit",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    let target = target_directory(workspace)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // These settings of the outer build would break the inner one: wrappers of clippy or coverage tools, flags for the
    // native target, and the target directory.
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
            "cannot build the component: see the errors above. If the target is missing, run \
             `rustup target add wasm32-wasip2`"
                .into(),
        );
    }
    Ok(target.join("wasm32-wasip2/component/cprflow_connector.wasm"))
}

/// Returns the target directory of the inner build: beside the profiles of the outer build, because sharing a profile's
/// directory would wait for its own lock. Each checkout has its own, so that two that share a target directory do not
/// overwrite each other's component.
fn target_directory(workspace: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = out
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
        .unwrap_or(&out);
    let mut checkout = DefaultHasher::new();
    workspace.hash(&mut checkout);
    Ok(target
        .join("component")
        .join(format!("{:016x}", checkout.finish())))
}

/// Returns flags that enable vector instructions and remove the paths of this machine from the component.
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
