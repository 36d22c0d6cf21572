//! Tests of the Python package: its wheel is built once, and the tests in `tests/python/wheel` run with it. Also tests of
//! the component in other hosts.
#![expect(clippy::expect_used, reason = "a test that cannot be set up must fail")]

mod other_hosts;
mod package;
mod wheel;

use std::io::Write;
use std::process::Command;

/// Runs files of `tests/python/wheel`, with a space between them, with the package installed.
fn pytest(files: &str) {
    let Some(installed) = package::installed() else {
        return;
    };
    let directory = cprflow_tests::root().join("tests/python/wheel");
    let output = Command::new(&installed.python)
        .args([
            "-m",
            "pytest",
            "--quiet",
            "--color=no",
            "-p",
            "no:cacheprovider",
        ])
        .args(files.split(' ').map(|file| directory.join(file)))
        .current_dir(&directory)
        .env("PYTHONPATH", &installed.directory)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(
            "CPRFLOW_COMPONENT_FILE",
            cprflow_tests::command::component_file(),
        )
        .env(
            "CPRFLOW_CORPUS",
            cprflow_tests::root().join("tests/fuzz/corpus/scan"),
        )
        // Only the module of the tests' profile has the hooks by which a test makes it panic, and the compiler.
        .env(
            "CPRFLOW_TEST_HOOKS",
            if package::is_release() { "" } else { "1" },
        )
        .env_remove("CPRFLOW_CONFIG")
        .env_remove("CPRFLOW_LOG")
        .output()
        .expect("Python can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    // A file whose packages are not installed has no test. Variables such as CPRFLOW_REQUIRE_SPARK make that a failure.
    if output.status.code() == Some(NO_TESTS) && said.contains("skipped") {
        // Written directly, because the test harness captures what `eprintln!` prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {files}: {said}");
        return;
    }
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The exit code of pytest if a file has no test.
const NO_TESTS: i32 = 5;

#[test]
fn extracts() {
    pytest("test_extract.py");
}

#[test]
fn datasets() {
    pytest("test_dataset.py");
}

#[test]
fn daily_job_and_tenants() {
    pytest("test_sync.py");
}

#[test]
fn every_engine_answers_the_same() {
    pytest("test_engines.py");
}

#[test]
fn polars_queries_reach_the_sandbox() {
    pytest("test_polars.py");
}

#[test]
fn threads_forks_and_signals() {
    pytest("test_process.py");
}

#[test]
fn command_of_the_package() {
    pytest("test_command.py");
}

#[test]
fn types_and_documentation() {
    pytest("test_package.py");
}

#[test]
fn spark_reads_extracts_and_datasets() {
    // One process for all, because each would start a Spark of its own.
    pytest("test_spark.py test_spark_filters.py test_spark_parts.py test_spark_workers.py");
}

#[test]
fn commands_of_the_first_day() {
    pytest("test_first_day.py");
}

#[test]
fn links_and_fields_of_the_guides() {
    pytest("test_guides.py");
}

#[test]
fn exports_to_delta() {
    pytest("test_export_delta.py");
}

#[test]
fn exports_to_postgresql() {
    pytest("test_export_postgres.py");
}

#[test]
fn exports_to_postgresql_have_ready_answers() {
    pytest("test_answers_postgres.py");
}

#[test]
fn spark_has_ready_answers() {
    pytest("test_answers_spark.py");
}

#[test]
fn examples_of_the_documentation() {
    pytest("test_documentation.py");
}

#[test]
fn spark_runs_the_example_of_the_documentation() {
    pytest("test_spark_example.py");
}

#[test]
fn dbt_runs_the_example_of_the_documentation() {
    pytest("test_dbt.py");
}

#[test]
fn airflow_runs_the_example_of_the_documentation() {
    pytest("test_airflow.py");
}
