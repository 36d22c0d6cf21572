"""The examples of docs/use-from.md and of the README run as they stand, and answer like `cprflow scan`."""

import json
import os
import pathlib
import re
import subprocess
import sys

import cprflow
import pandas
import polars
import pytest
from conftest import DailyJob, need_spark

REPOSITORY = pathlib.Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/use-from.md").read_text()
BORN_AFTER, MUNICIPALITY = "2008-11-23", "0265"

# What is added to each example, to print the rows of its answer.
ANSWERS = {
    "DuckDB": "rows = children.fetchall()",
    "Polars": "rows = children.collect().rows()",
    "pandas": "rows = children.astype(object).where(children.notna(), None).values.tolist()",
    "dlt": "rows = children",
    "Airflow": "rows = fetched",
    "dbt": """
class dbt:
    config = staticmethod(lambda **options: None)

import duckdb
rows = model(dbt, duckdb.connect()).project("pnr, status").fetchall()
""",
    "Spark, Databricks, Fabric": "rows = [list(row) for row in children.collect()]",
    "Power BI": """
import pyarrow.parquet as parquet
read = {table: parquet.read_table(f"powerbi/{table}.parquet") for table in ["person", "address", "parents"]}
rows = {table: (len(found), found.schema.names) for table, found in read.items()}
""",
}


def blocks(text, language):
    """Returns the examples in a language by the heading above them."""
    sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    found = {}
    for heading, section in zip(sections[::2], sections[1::2]):
        for block in re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL):
            assert heading not in found, f"two examples in {heading}"
            found[heading] = block
    return found


EXAMPLES = blocks(PAGE, "python")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with what the examples read."""
    place = tmp_path_factory.mktemp("use-from")
    generated = re.search(r"`cprflow (generate .*?)`", PAGE, flags=re.DOTALL).group(1).split()
    command(place, *generated)
    job = DailyJob(place)
    job.configure()
    job.put(place / "extract.cpr", 1)
    assert cprflow.sync(job.config).ok
    return place


def command(place, *arguments):
    done = subprocess.run([sys.executable, "-m", "cprflow", *arguments], cwd=place, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(place, heading, before=""):
    """Runs an example and returns the rows of its answer."""
    script = place / "example.py"
    after = "import json\nprint(json.dumps(rows, default=str))\n"
    script.write_text("\n".join([before, EXAMPLES[heading], ANSWERS[heading], after]))
    scripts = str(pathlib.Path(sys.executable).parent)
    wrapper = place / "bin"
    wrapper.mkdir(exist_ok=True)
    # The tests install the package without its command.
    (wrapper / "cprflow").write_text(f"#!/bin/sh\nexec {sys.executable} -m cprflow \"$@\"\n")
    (wrapper / "cprflow").chmod(0o755)
    environment = {**os.environ, "DLT_DATA_DIR": str(place / "dlt"), "PATH": f"{wrapper}:{scripts}:{os.environ['PATH']}"}
    # Spark starts Python by this name, and is to use no other network.
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run([sys.executable, script], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def scanned(place, table, where=None):
    condition = ["--where", where] if where else []
    lines = command(place, "scan", "extract.cpr", "--table", table, "--format", "jsonl", *condition).splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def expected(place):
    persons = scanned(place, "person", f"status in ('01', '03') and birth_date > '{BORN_AFTER}'")
    persons = {row["pnr"]: row for row in persons}
    parents = {row["pnr"]: row for row in scanned(place, "parents")}
    columns = ["pnr", "birth_date", "street_code", "house_number", "mother_pnr", "father_pnr"]
    answer = [
        [{**address, **persons[address["pnr"]], **parents.get(address["pnr"], {})}.get(column) for column in columns]
        for address in scanned(place, "address", f"municipality_code = '{MUNICIPALITY}'")
        if address["pnr"] in persons
    ]
    assert len(answer) > 5 and any(row[4] for row in answer)
    return sorted(answer, key=str)


def test_every_example_is_run():
    assert EXAMPLES.keys() == ANSWERS.keys()
    headings = set(re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE))
    assert headings == ANSWERS.keys() | {"R", "Node", "What not to do"}


@pytest.mark.parametrize("heading", ["DuckDB", "Polars", "pandas", "dlt", "Spark, Databricks, Fabric"])
def test_the_question(place, expected, heading):
    if heading.startswith("Spark"):
        need_spark()
    assert sorted(run(place, heading), key=str) == expected


def test_dbt(place):
    rows = scanned(place, "person")
    assert sorted(run(place, "dbt")) == sorted([row["pnr"], row["status"]] for row in rows)


def test_power_bi(place):
    for table, (count, columns) in run(place, "Power BI").items():
        assert count == len(scanned(place, table)) and "pnr" in columns and "irregular" not in columns


def test_airflow(place):
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
    assert run(place, "Airflow", before) == []
    # A delivery that is cut off is set aside, and then the task fails.
    part = place / "part.cpr"
    part.write_bytes((place / "extract.cpr").read_bytes()[:5000])
    DailyJob(place).put(part, 2)
    with pytest.raises(AssertionError, match="missing-end"):
        run(place, "Airflow", before)


def test_what_not_to_do(place):
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


def test_three_lines_of_the_readme(place):
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
