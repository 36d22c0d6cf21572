//! The content of the wheel, and what a plain build leaves out.

use std::collections::BTreeSet;
use std::process::Command;

use cprflow_tests::{Requirement, require};

use crate::package::{is_release, python_for_package, run, wheel};

/// The largest size of the wheel in bytes.
const MAX_WHEEL: u64 = 20_000_000;

/// `tests/packages/test_readme.py` installs the wheel and uses it.
#[test]
fn the_wheel_is_small_and_has_all_its_files() {
    let missing = "building the wheel was not asked for, so it is not tested";
    let Some(python) = require(Requirement::Wheel, is_release().then_some(()), missing)
        .and_then(|()| python_for_package())
    else {
        return;
    };
    let wheel = wheel(&python);
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    assert!(
        name.starts_with("cprflow-") && name.contains("cp310-abi3-manylinux_2_28"),
        "{name}"
    );
    let size = std::fs::metadata(wheel).expect("the wheel exists").len();
    assert!(size <= MAX_WHEEL, "{size} bytes");
    let listed = run(Command::new(&python)
        .args(["-m", "zipfile", "-l"])
        .arg(wheel));
    for file in [
        "cprflow/py.typed",
        "cprflow/_native.pyi",
        "cprflow/_native.abi3.so",
        "licenses/LICENSE",
        "entry_points.txt",
        "sboms/",
    ] {
        assert!(listed.contains(file), "{file} is missing:\n{listed}");
    }
    assert!(!listed.contains("__pycache__"), "{listed}");
}

/// A plain `cargo build` at the root builds the command, and neither the Python package nor what only tests need.
#[test]
fn a_plain_build_does_not_build_the_package() {
    let metadata = run(Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(cprflow_tests::root()));
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let ids = |key: &str| -> BTreeSet<String> {
        let list = metadata[key].as_array().expect("it is a list");
        list.iter()
            .map(|id| id.as_str().expect("an identifier is a text").to_owned())
            .collect()
    };
    let (members, defaults) = (ids("workspace_members"), ids("workspace_default_members"));
    assert!(members.iter().any(|id| id.contains("host/python#")));
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .expect("it is a list");
    let mut wanted: Vec<String> = defaults.iter().cloned().collect();
    let mut built = BTreeSet::new();
    while let Some(id) = wanted.pop() {
        if built.insert(id.clone()) {
            let node = nodes.iter().find(|node| node["id"] == id.as_str());
            let needs = node.expect("it is resolved")["deps"]
                .as_array()
                .expect("it is a list");
            let needs = needs.iter().filter(|need| {
                let kinds = need["dep_kinds"].as_array().expect("it is a list");
                kinds.iter().any(|kind| kind["kind"] != "dev")
            });
            wanted.extend(needs.map(|need| need["pkg"].as_str().expect("it is a text").to_owned()));
        }
    }
    let built: Vec<_> = members.intersection(&built).collect();
    assert!(built.iter().any(|id| id.contains("host/cli#")), "{built:?}");
    for other in ["host/python", "/tests"] {
        assert!(!built.iter().any(|id| id.contains(other)), "{built:?}");
    }
}
