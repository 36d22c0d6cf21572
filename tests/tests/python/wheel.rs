//! The wheel as a user installs it.

use std::path::Path;
use std::process::Command;

use cprflow_tests::command::TestDirectory;
use cprflow_tests::{Requirement, require};

use crate::package::{is_release, python_for_package, run, wheel};

/// The largest size of the wheel in bytes.
const MAX_WHEEL: u64 = 20_000_000;

/// In an environment without any other package, the wheel brings the module and the command.
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
    let extract = place.path("extract");
    run(Command::new(own("cprflow")).args(["generate", "--persons", "50", "-o", &extract]));
    let script =
        "import cprflow, sys; print(sum(map(len, cprflow.open(sys.argv[1]).table('person'))))";
    let rows = run(Command::new(own("python")).args(["-I", "-c", script, &extract]));
    assert_eq!(rows.trim(), "50");
}
