"""dbt-duckdb builds the model of docs/use-from.md without a change, also a second time."""

import os
import re
import subprocess
import sys

import cprflow
import duckdb
import exports
import pyarrow
import pytest

exports.require("CPRFLOW_REQUIRE_DBT", "dbt.adapters.duckdb")

from use_from import EXAMPLES, PAGE  # noqa: E402

PROJECT = """
name: cpr
version: "1.0"
profile: cpr
models:
  cpr:
    +materialized: view
"""
PROFILE = """
cpr:
  target: test
  outputs:
    test:
      type: duckdb
      path: cpr.duckdb
"""
# A model of SQL that reads the Python model, and tests of both.
STATUS = "SELECT status, count(*) AS persons FROM {{ ref('person') }} GROUP BY status\n"
TESTS = """
models:
  - name: person
    columns:
      - name: pnr
        data_tests: [unique, not_null]
  - name: status
    columns:
      - name: status
        data_tests: [unique, not_null]
"""


@pytest.fixture
def project(job):
    """A daily job, beside whose configuration a project of dbt has the example as a model."""
    job.configure()
    model = re.search(r"A Python model of dbt-duckdb, for example `(.+?)`", PAGE).group(1)
    files = {
        "dbt_project.yml": PROJECT,
        "profiles.yml": PROFILE,
        model: EXAMPLES["dbt"],
        "models/status.sql": STATUS,
        "models/tests.yml": TESTS,
    }
    for name, text in files.items():
        path = job.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return job


def build(project):
    """Runs `dbt build` and returns the rows of its two tables."""
    command = [sys.executable, "-m", "dbt.cli.main", "build", "--profiles-dir", "."]
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "NO_COLOR": "1"}
    ended = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ERROR=0" in ended.stdout and "PASS=6" in ended.stdout, ended.stdout
    with duckdb.connect(project.root / "cpr.duckdb", read_only=True) as connection:
        person = connection.sql("SELECT * FROM person").to_arrow_table()
        status = connection.sql("SELECT * FROM status").fetchall()
    return exports.normal(person), dict(status)


def newest(project):
    """Returns the rows of the newest delivery of each person, without dbt and DuckDB."""
    table = pyarrow.table(cprflow.dataset(project.dataset).table("person")).drop_columns(["irregular"])
    rows = table.to_pylist()
    sequences = {}
    for row in rows:
        sequences[row["pnr"]] = max(row["sequence"], sequences.get(row["pnr"], 0))
    kept = [row for row in rows if row["sequence"] == sequences[row["pnr"]]]
    return pyarrow.Table.from_pylist(kept, schema=table.schema)


def test_each_build_has_the_rows_of_the_newest_deliveries(project):
    builds = []
    for night in range(3):
        project.night(night, persons=200)
        assert cprflow.sync(project.config).ok
        expected = newest(project)
        built, counted = build(project)
        assert built == exports.normal(expected)
        assert sum(counted.values()) == expected.num_rows
        builds.append(built)
    # Each delivery changes rows, so a build that reads the table of the build before it fails this test.
    assert builds[0] != builds[1] != builds[2]
    # A build without a new delivery changes nothing.
    assert build(project)[0] == builds[2]
