//! The wheel as a user installs it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use cprflow_tests::command::TestDirectory;
use cprflow_tests::{Requirement, require};

use crate::package::{is_release, python_for_package, run, wheel};

/// The largest size of the wheel in bytes.
const MAX_WHEEL: u64 = 20_000_000;

/// In an environment without any other package, the wheel brings the module and the command. With DuckDB, the lines of the
/// README give a result.
#[test]
fn the_wheel_is_small_and_needs_no_other_package() {
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
    let place = TestDirectory::new();
    let environment = place.path("environment");
    run(Command::new(&python).args(["-m", "venv", &environment]));
    let own = |name: &str| Path::new(&environment).join("bin").join(name);
    run(Command::new(own("pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
        ])
        .arg(wheel));
    let version = run(Command::new(own("cprflow")).arg("--version"));
    assert_eq!(
        version.trim(),
        format!("cprflow {}", env!("CARGO_PKG_VERSION"))
    );
    let help = run(Command::new(own("cprflow")).arg("--help"));
    for command in ["scan", "sync", "verify"] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}:\n{help}"
        );
    }
    let extract = place.path("extract.cpr");
    run(Command::new(own("cprflow")).args(["generate", "--persons", "50", "-o", &extract]));
    let script =
        "import cprflow, sys; print(sum(map(len, cprflow.open(sys.argv[1]).table('person'))))";
    let rows = run(Command::new(own("python")).args(["-I", "-c", script, &extract]));
    assert_eq!(rows.trim(), "50");
    run(Command::new(own("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .arg("duckdb"));
    let result = run(Command::new(own("python"))
        .args(["-I", "-c", &readme_lines()])
        .current_dir(Path::new(&extract).parent().expect("it is in a directory")));
    assert!(result.contains("count_star()"), "{result}");
}

/// Returns the Python code of the README.
fn readme_lines() -> String {
    let readme = std::fs::read_to_string(cprflow_tests::root().join("README.md"))
        .expect("there is a README");
    let (_, code) = readme
        .split_once("```python\n")
        .expect("it has Python code");
    let (code, _) = code.split_once("```").expect("the code ends");
    assert!(code.contains("duckdb.sql"), "{code}");
    code.to_owned()
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
