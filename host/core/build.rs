//! Builds the component that this crate embeds and compiles it to machine code, so that `cargo build` is enough in a
//! fresh clone, and a program that starts need not compile.
//!
//! - A package of this crate (`cargo package`) contains the built component, because it lacks the sources of the other
//!   crates and their lock file.
//! - `CPRFLOW_COMPONENT` names another component that is built already, for toolchains without the WebAssembly target.
//! - `CPRFLOW_CPU` names the processors for which the code is made (default on x86-64: `x86-64-v2`).

use std::env;
use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::Digest;
use wasmtime::{Config, Engine};

#[path = "src/sandbox/code.rs"]
mod code;
#[path = "src/component/code_digest.rs"]
mod code_digest;
#[path = "src/sandbox/code_generation.rs"]
mod code_generation;

use code::MemoryLayout;

/// This crate in a checkout of the repository, relative to the workspace.
const CRATE: &str = "host/core";

/// The crate of the component, relative to this crate. Only a checkout has it.
const CONNECTOR: &str = "../../connector";

/// The component in a package of this crate. Beside it is a file with its SHA-256.
const PACKAGED: &str = "component/cprflow_connector.wasm";

/// The WIT file that has the version of the contract.
const CONTRACT: &str = "wit/connector.wit";

/// The processors that the code needs on x86-64, if `CPRFLOW_CPU` names no others: those with SSE4.2 and POPCNT, made
/// since about 2009. Without SSE4.1 the vector instructions of WebAssembly are slow.
const X86_64: &str = "x86-64-v2";

/// The names that `CPRFLOW_CPU` may have on x86-64.
const X86_64_LEVELS: [&str; 4] = ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CPRFLOW_COMPONENT");
    let component = match env::var_os("CPRFLOW_COMPONENT") {
        Some(prebuilt) => {
            let prebuilt = PathBuf::from(prebuilt).canonicalize()?;
            println!("cargo::rerun-if-changed={}", prebuilt.display());
            prebuilt
        }
        None if is_checkout()? => build()?,
        None => packaged()?,
    };
    println!(
        "cargo::rustc-env=CPRFLOW_COMPONENT_FILE={}",
        component.display()
    );
    println!("cargo::rustc-env=CPRFLOW_CONTRACT={}", contract()?);
    compile(&fs::read(component)?)
}

/// Compiles the component for each layout of memories, and describes it to the crate.
fn compile(component: &[u8]) -> Result<(), Box<dyn Error>> {
    let sha256 = sha256(component);
    println!("cargo::rustc-env=CPRFLOW_COMPONENT_SHA256={sha256}");
    let level = processor_level()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (layout, name) in [
        (MemoryLayout::Reserved, "RESERVED"),
        (MemoryLayout::Moving, "MOVING"),
    ] {
        let engine = engine(layout, level.as_deref())?;
        let code = engine.precompile_component(component)?;
        let file = out.join(format!("{}.cwasm", name.to_lowercase()));
        fs::write(&file, &code)?;
        println!("cargo::rustc-env=CPRFLOW_CODE_{name}={}", file.display());
        let digest = code_digest::digest(&code);
        println!("cargo::rustc-env=CPRFLOW_CODE_{name}_DIGEST={digest:016x}");
    }
    Ok(())
}

/// Returns an engine that compiles for the target of this build, which may be another machine.
fn engine(layout: MemoryLayout, level: Option<&str>) -> Result<Engine, Box<dyn Error>> {
    let target = env::var("TARGET")?;
    let mut config: Config = code::settings(layout);
    code_generation::generate(&mut config);
    config.target(&target)?;
    if let Some(level) = level {
        // SAFETY: the name is one of `X86_64_LEVELS`. Each only says which instructions the processor has, and the
        // engine that loads the code compares them with the processor at hand.
        unsafe {
            config.cranelift_flag_enable(level);
        }
    }
    Engine::new(&config).map_err(|error| {
        format!(
            "cannot compile for {target}: {error:#}. If this is another architecture than that of the building \
             machine, build with `--features cross`"
        )
        .into()
    })
}

/// Returns the level of processors for which the code is made. Other architectures than x86-64 have no levels: there
/// the code runs on every processor.
fn processor_level() -> Result<Option<String>, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CPRFLOW_CPU");
    let named = env::var("CPRFLOW_CPU").ok();
    if env::var("CARGO_CFG_TARGET_ARCH")? != "x86_64" {
        return match named {
            None => Ok(None),
            Some(_) => Err("CPRFLOW_CPU is only for x86-64: unset it".into()),
        };
    }
    let level = named.unwrap_or_else(|| X86_64.to_owned());
    if !X86_64_LEVELS.contains(&level.as_str()) {
        let levels = X86_64_LEVELS.join(", ");
        return Err(format!("CPRFLOW_CPU is {level:?}; expected one of {levels}").into());
    }
    Ok(Some(level))
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

/// Returns whether this crate is in a checkout of the repository. A package has a directory of another name.
fn is_checkout() -> Result<bool, Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    Ok(here.ends_with(CRATE) && here.join(CONNECTOR).join("Cargo.toml").is_file())
}

/// Returns the path of the component that the package contains, if it is the one that was packaged.
fn packaged() -> Result<PathBuf, Box<dyn Error>> {
    let component = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join(PACKAGED);
    let expected = component.with_extension("wasm.sha256");
    for file in [&component, &expected] {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let missing = |error: std::io::Error| {
        format!(
            "cannot read {PACKAGED} or its SHA-256 in this package: {error}. Take a package that `host/dist/build` made, \
             or set CPRFLOW_COMPONENT to a component that is built already"
        )
    };
    let sha256 = sha256(&fs::read(&component).map_err(missing)?);
    let expected = fs::read_to_string(&expected).map_err(missing)?;
    if expected.trim() != sha256 {
        return Err(format!(
            "{PACKAGED} has the SHA-256 {sha256}, and the package says {}. Download the package again",
            expected.trim()
        )
        .into());
    }
    Ok(component)
}

/// Returns the SHA-256 of a component in hexadecimal.
fn sha256(component: &[u8]) -> String {
    base16ct::lower::encode_string(&sha2::Sha256::digest(component))
}

/// Builds the component and returns its path.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = here
        .ancestors()
        .nth(2)
        .ok_or("the crate is outside its workspace")?;
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
