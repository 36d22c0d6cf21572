"""The examples of docs/use-from.md and of the README run as they stand, and answer like `cprflow scan`.

Those for dbt and Airflow run without their packages here, and with them in test_dbt.py and test_airflow.py.
"""

import re
import subprocess
import sys

import cprflow
import pandas
import polars
import pytest
from conftest import DailyJob
from use_from import EXAMPLES, PAGE, REPOSITORY, blocks, run, scanned
from use_from import children, place  # noqa: F401 (fixtures)

# What is added to each example that answers the question of the page, to print the rows of its answer.
ANSWERS = {
    "DuckDB": "rows = children.fetchall()",
    "Polars": "rows = children.collect().rows()",
    "pandas": "rows = children.astype(object).where(children.notna(), None).values.tolist()",
    "dlt": "rows = children",
}


def test_every_example_is_run():
    elsewhere = {"Airflow", "dbt", "Power BI", "Spark, Databricks, Fabric"}
    assert EXAMPLES.keys() == ANSWERS.keys() | elsewhere
    headings = set(re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE))
    assert headings == EXAMPLES.keys() | {"R", "Node", "Errors in Python", "What not to do"}


@pytest.mark.parametrize("heading", ANSWERS)
def test_the_question(place, children, heading):  # noqa: F811
    assert sorted(run(place, heading, ANSWERS[heading]), key=str) == children


def test_dbt(place):  # noqa: F811
    """The model runs without dbt, in a database that has its table already, as in every build but the first."""
    after = """
class dbt:
    config = staticmethod(lambda **options: None)

import duckdb
connection = duckdb.connect()
connection.execute("CREATE TABLE person AS SELECT 'of an earlier build' AS pnr, 1 AS sequence")
rows = model(dbt, connection).project("pnr, status").fetchall()
"""
    rows = scanned(place, "person")
    assert sorted(run(place, "dbt", after)) == sorted([row["pnr"], row["status"]] for row in rows)


def test_power_bi(place):  # noqa: F811
    after = """
import pyarrow.parquet as parquet
read = {table: parquet.read_table(f"powerbi/{table}.parquet") for table in ["person", "address", "parents"]}
rows = {table: (len(found), found.schema.names) for table, found in read.items()}
"""
    for table, (count, columns) in run(place, "Power BI", after).items():
        assert count == len(scanned(place, table)) and "pnr" in columns and "irregular" not in columns


def test_airflow(place):  # noqa: F811
    """The task function runs, with stand-ins for the two decorators of Airflow."""
    before = """
import sys, types

fetched = None

def dag(**options):
    assert options["max_active_runs"] == 1
    return lambda function: function

def task(**options):
    def decorate(function):
        def call():
            global fetched
            fetched = function()
        return call
    return decorate

sys.modules["airflow"] = types.ModuleType("airflow")
sys.modules["airflow.sdk"] = types.SimpleNamespace(dag=dag, task=task)
"""
    assert run(place, "Airflow", "rows = fetched", before) == []
    # A delivery that is cut off is set aside, and then the task fails.
    part = place / "part.cpr"
    part.write_bytes((place / "extract.cpr").read_bytes()[:5000])
    DailyJob(place).put(part, 2)
    with pytest.raises(AssertionError, match="missing-end"):
        run(place, "Airflow", "rows = fetched", before)


def test_what_not_to_do(place):  # noqa: F811
    """The page is right about other readers."""
    dataset = place / "dataset"
    mixed = pandas.read_parquet(dataset)
    delivered = sum(cprflow.dataset(dataset).deliveries()[0].rows.values())
    current = sum(len(pandas.read_parquet(table)) for table in (dataset / "current").glob("*.parquet"))
    codes = sum(len(pandas.read_parquet(table)) for table in (dataset / "codes").glob("*.parquet"))
    # The link and the directory that it leads to are both read, and the names of codes.
    assert len(mixed) == delivered + 2 * current + codes
    with pytest.raises(polars.exceptions.PolarsError):
        polars.scan_parquet(f"{dataset}/").collect()
    path = place / "numbers" / "agreement=0851" / "person.parquet"
    path.parent.mkdir(parents=True)
    polars.DataFrame({"pnr": ["0101010101"]}).write_parquet(path)
    assert polars.scan_parquet(place / "numbers").collect()["agreement"].to_list() == [851]
    assert polars.scan_parquet(place / "numbers", hive_partitioning=False).collect().columns == ["pnr"]


def test_three_lines_of_the_readme(place):  # noqa: F811
    """The README has three lines from an extract to a result of DuckDB."""
    example = blocks((REPOSITORY / "README.md").read_text(), "python")["Python"]
    assert len([line for line in example.splitlines() if line.strip()]) == 3
    done = subprocess.run([sys.executable, "-c", example], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counted = {}
    for row in scanned(place, "person"):
        counted[row["status"]] = counted.get(row["status"], 0) + 1
    for status, count in counted.items():
        assert re.search(rf"\b{status}\b.*\b{count}\b", done.stdout), done.stdout
