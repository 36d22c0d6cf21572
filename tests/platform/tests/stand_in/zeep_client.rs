//! Calls of the service by an independent client: Python's zeep with a WSDL.

use std::path::{Path, PathBuf};
use std::process::Command;

use cprflow_platform::{Filter, SERVICE_UUID, ServiceEvent};

use crate::client::{platform, skipped};

#[test]
fn zeep_calls_every_operation() {
    calls_every_operation(|_| None);
}

#[test]
fn zeep_calls_every_operation_of_the_description() {
    calls_every_operation(|url| Some(format!("{url}?wsdl")));
}

/// Calls every operation with the WSDL that `wsdl` returns for the URL of the service; with the tests' own for `None`.
fn calls_every_operation(wsdl: impl Fn(&str) -> Option<String>) {
    let Some(python) = python() else {
        return;
    };
    let test = platform(10);
    let platform = &test.platform;
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
        .args(wsdl(&platform.url()))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    let lines: Vec<_> = printed.lines().collect();
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
    let seen = platform.take_events();
    let breaches = seen
        .iter()
        .filter(|seen| matches!(seen, ServiceEvent::ContractViolation(_)));
    assert_eq!(breaches.count(), 1, "{seen:?}");
}

/// Returns a Python that has zeep. Without one it reports a skipped test, or panics if `CPRFLOW_REQUIRE_PYTHON` is set.
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
        let reason = "no Python has the packages of tests/python/requirements.txt; \
                      set CPRFLOW_PYTHON or create .venv in the repository";
        let is_required = std::env::var_os("CPRFLOW_REQUIRE_PYTHON").is_some();
        assert!(!is_required, "{reason}");
        skipped(reason);
    }
    found
}

/// Returns the root directory of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
