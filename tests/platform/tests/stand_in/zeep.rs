//! The service, called by Python's zeep from a WSDL: a client that nobody here has written.

use std::path::{Path, PathBuf};
use std::process::Command;

use cprflow_platform::{Filter, SERVICE_UUID, Seen};

use crate::client::{platform, skipped};

#[test]
fn zeep_calls_every_operation() {
    let Some(python) = python() else {
        return;
    };
    let place = platform(10);
    let platform = &place.platform;
    let agreement = &platform.agreements()[0];
    let output = Command::new(python)
        .arg(root().join("tests/python/subscription.py"))
        .arg(platform.url())
        .args([
            platform.ca(),
            platform.client().chain.clone(),
            platform.client().key.clone(),
        ])
        .args([&agreement.uuid, &agreement.user_system, &agreement.user])
        .arg(SERVICE_UUID)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{why}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "AddPNRSubscription ADDED",
            "AddPNRSubscription ALREADY_EXISTED",
            "AddAgeRangeSubscription ADDED",
            "AddMunicipalityCodeSubscription ADDED",
            "AddChangeCodeSubscription ADDED",
            "AddNoFilterSubscription ADDED",
            "GetAllFilters ages 0-17 codes A01 municipalities 851 numbers 1 all True",
            "RemovePNRSubscription REMOVED",
            "RemovePNRSubscription NON_EXISTING_PNR",
            "RemoveAgeRangeSubscription REMOVED",
            "RemoveChangeCodeSubscription REMOVED",
            "RemoveNoFilterSubscription REMOVED",
            "RemoveMunicipalityCodeSubscription NON_EXISTING_MUNICIPALITYCODE",
            "RemoveAll REMOVED",
            "GetAllFilters ages  codes  municipalities  numbers 0 all False",
            "AddMunicipalityCodeSubscription fault soap:Server",
        ]
    );
    assert_eq!(platform.filters(agreement), Vec::<Filter>::new());
    let seen = platform.seen();
    let breaches = seen.iter().filter(|seen| matches!(seen, Seen::Breach(_)));
    assert_eq!(breaches.count(), 1, "{seen:?}");
}

/// A Python that has zeep. Without one this says so; with `CPRFLOW_REQUIRE_PYTHON` it fails.
fn python() -> Option<PathBuf> {
    let own = root().join(".venv/bin/python");
    let python = match std::env::var_os("CPRFLOW_PYTHON") {
        Some(named) => PathBuf::from(named),
        None => own,
    };
    let has_zeep = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", "import zeep"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let found = Some(python).filter(has_zeep);
    if found.is_none() {
        let why = "no Python with tests/python/requirements.txt (CPRFLOW_PYTHON, or .venv in the repository)";
        let is_required = std::env::var_os("CPRFLOW_REQUIRE_PYTHON").is_some();
        assert!(!is_required, "{why}");
        skipped(why);
    }
    found
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
