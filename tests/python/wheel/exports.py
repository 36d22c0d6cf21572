"""What the tests of `cprflow export` share. A module for a target has the fixture `sink` and a class of the tests of
`export_rows`, `export_kills` and `export_list`, which hold for every target."""

import collections
import importlib
import json
import os
import pathlib
import re
import signal
import sqlite3

import cprflow
import cprflow.export
import duckdb
import pyarrow
import pytest

from conftest import is_set

# Few tables, in the order in which they are exported.
SOME = ["address", "event", "person"]
QUESTION = """
    SELECT person.pnr, birth_date, street_code, house_number, mother_pnr, father_pnr
    FROM person JOIN address USING (pnr) LEFT JOIN parents USING (pnr)
    WHERE status IN ('01', '03') AND birth_date > '{born_after}' AND municipality_code = '{municipality}'
"""


PAGE = pathlib.Path(__file__).parents[3] / "docs/export.md"


def example(heading):
    """Returns the Python example below a heading of docs/export.md."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    [found] = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return found


def question(dataset, municipality="0265"):
    """Returns the answer to the question of the examples, from the current tables."""
    now = cprflow.dataset(dataset).generation()
    person, address, parents = (now.table(name) for name in ["person", "address", "parents"])
    return duckdb.sql(QUESTION.format(born_after="2008-11-23", municipality=municipality)).fetchall()


# The modules of the export that one kind of target has for itself.
OWN_MODULES = {"delta": "delta", "postgresql": "postgres"}


def steps(kind, table="event"):
    """Returns the steps at which a test can kill the export to a kind of target, as its code names them."""
    found = set()
    for path in pathlib.Path(cprflow.export.__file__).parent.glob("*.py"):
        if path.stem == "steps" or path.stem in {own for other, own in OWN_MODULES.items() if other != kind}:
            continue
        for argument in re.findall(r"\breached\(([^)]*)\)", path.read_text()):
            step = re.fullmatch(r'f?"([a-z-]+)(:\{table\})?"', argument)
            assert step, f"{path.name} has a step that the tests do not understand: {argument}"
            found.add(step[1] + (f":{table}" if step[2] else ""))
    return sorted(found)


def require(variable, *modules):
    """Skips the tests of a module if a package is not installed, or fails if a variable says that they are needed."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            missing(variable, f"{module} is not installed")


def missing(variable, reason):
    if is_set(variable):
        pytest.fail(f"{reason}, and {variable} is set", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def normal(table):
    """Returns rows so that they can be compared: each as JSON, sorted."""
    rows = []
    for row in table.to_pylist():
        if isinstance(row.get("irregular"), str):
            row["irregular"] = json.loads(row["irregular"])
        rows.append(json.dumps(row, sort_keys=True, default=str))
    return sorted(rows)


def current(dataset):
    """Returns the rows of the newest generation by table."""
    now = cprflow.dataset(dataset, irregular="json").generation()
    return {name: normal(pyarrow.table(now.table(name))) for name in now.tables}


def delivered(dataset, entries):
    """Returns the rows of the deliveries of a change feed by table. Rows have the number of the newest entry."""
    numbers = {}
    for entry in entries:
        if entry["kind"] != "expired" and entry["directory"]:
            numbers[entry["directory"]] = entry["sequence"]
    found = collections.defaultdict(list)
    for delivery in cprflow.dataset(dataset, irregular="json").deliveries():
        number = numbers.get(f"agreement={delivery.agreement}/delivery={delivery.name}")
        for name in delivery.rows if number else []:
            rows = pyarrow.table(delivery.table(name))
            at = rows.schema.get_field_index("sequence")
            same = pyarrow.repeat(pyarrow.scalar(number, pyarrow.int64()), rows.num_rows)
            found[name] += normal(rows.set_column(at, "sequence", same))
    return {name: sorted(rows) for name, rows in found.items() if rows}


def without_empty(tables):
    return {name: rows for name, rows in tables.items() if rows}


def put_leavers(job, mover, ended):
    """Puts a delivery into the inbox: one person has moved to another municipality, and the subscription of another has
    ended (997)."""
    first, later = (job.root / f"night-{night}" for night in (0, 2))
    cprflow.generate(later, persons=60, seed=5, changes=True, night=2, busy=True)
    address = cprflow.open(first).table("address").schema["municipality_code"]
    at = slice(address.position - 1, address.position - 1 + address.length)
    lines = [later.read_bytes().split(b"\n")[0]]
    for line in first.read_bytes().split(b"\n"):
        # Events are not repeated.
        if line[3:13] == mover.encode() and line[:3] not in (b"099", b"997"):
            lines.append(line[: at.start] + b"0851" + line[at.stop :] if line[:3] == b"002" else line)
    lines.append(f"997{ended}202603041200A45".encode())
    lines.append(f"9999999999999{len(lines) - 1:08}".encode())
    later.write_bytes(b"\n".join(lines) + b"\n")
    job.put(later, 2)


def own_persons(job, table="person"):
    return sorted(pyarrow.table(cprflow.dataset(job.dataset).current(table)).column("pnr").to_pylist())


class Exports:
    """What the tests of all targets use. `sink` is a `Lake` or a `Schema`."""

    @pytest.fixture
    def export(self, run, sink):
        """Runs the command and returns its result."""

        def export(dataset, *options, code=0, kill=None):
            environment = {**os.environ, **({"CPRFLOW_TEST_KILL_EXPORT_AT": kill} if kill else {})}
            arguments = ["export", dataset, "--to", sink.to, *sink.options, "--format", "json", *options]
            ended = run(*arguments, env=environment)
            expected = -signal.SIGKILL if kill else code
            assert ended.returncode == expected, (ended.returncode, ended.stderr.decode())
            return json.loads(ended.stdout) if expected == 0 else ended.stderr.decode()

        return export

    @pytest.fixture
    def feed(self, run):
        def feed(job, *options):
            ended = run("deliveries", "--config", job.config, "--format", "json", *options)
            assert ended.returncode == 0, ended.stderr
            return json.loads(ended.stdout)

        return feed

    @pytest.fixture
    def erase(self, run):
        def erase(job, pnr):
            numbers = job.root / "numbers.txt"
            numbers.write_text(f"{pnr}\n")
            numbers.chmod(0o600)
            options = ["--references", "--not-subscribed", "--yes"]
            ended = run("erase", "--numbers", numbers, *options, "--config", job.config)
            assert ended.returncode == 0, ended.stderr

        return erase

    @pytest.fixture
    def remarks(self, run):
        """Returns what the status says of exports."""

        def remarks(job):
            ended = run("status", "--config", job.config, "--format", "json")
            texts = [remark["text"] for status in json.loads(ended.stdout) for remark in status["remarks"]]
            return [text for text in texts if text.startswith("the export to")]

        return remarks

    def whole(self, sink):
        return without_empty({name: normal(sink.rows(name)) for name in sink.tables()})

    def expected(self, dataset, feed, job, is_tenant, is_current):
        if is_current:
            return without_empty(current(dataset))
        return delivered(dataset, feed(job, *(["--tenant", "school"] if is_tenant else [])))

    def some(self):
        return [option for name in SOME for option in ("--table", name)]

    def compare(self, sink, expected):
        for name in SOME:
            assert normal(sink.rows(name)) == expected[name], name

    def without_nulls(self, rows):
        values = [{name: value for name, value in json.loads(row).items() if value is not None} for row in rows]
        return sorted(json.dumps(row, sort_keys=True) for row in values)

    def expire_the_first(self, job):
        ledger = sqlite3.connect(job.root / "state" / "ledger.sqlite")
        ledger.execute("UPDATE delivery SET published = '2020-01-01T00:00:00Z' WHERE sequence = 1")
        ledger.commit()
        ledger.close()
        report = cprflow.sync(job.config)
        assert report.ok, report.problems
