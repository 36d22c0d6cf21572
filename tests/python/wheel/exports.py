"""Tests of `cprflow export` that hold for every target. A module for a target has the fixture `sink` and a class of these."""

import collections
import datetime
import fcntl
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys

import cprflow
import cprflow.export
import duckdb
import pyarrow
import pytest

from conftest import EVERYTHING, DailyJob, is_set

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
    """The tests. `sink` is a `Lake` or a `Schema`."""

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

    def test_the_target_equals_each_generation(self, sink, export, two_nights):
        job = two_nights
        first = export(job.dataset)
        expected = current(job.dataset)
        assert self.whole(sink) == without_empty(expected)
        assert sorted(first["tables"]) == sorted(expected) and first["content"] == "current"
        assert first["generation"] == cprflow.dataset(job.dataset).generation().number
        assert all(one["rows_written"] == len(expected[name]) for name, one in first["tables"].items())
        again = export(job.dataset)
        assert not any(one["changed"] for one in again["tables"].values())
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        later = export(job.dataset)
        assert later["generation"] > first["generation"] and later["tables"]["person"]["changed"]
        assert self.whole(sink) == without_empty(current(job.dataset)) != without_empty(expected)
        assert sink.recorded("person") == later["generation"]

    def test_an_erased_person_is_gone_after_the_next_export(self, sink, export, erase, two_nights):
        job = two_nights
        export(job.dataset)
        victim = own_persons(job, "child")[0]
        assert any(victim in row for rows in self.whole(sink).values() for row in rows)
        erase(job, victim)
        export(job.dataset)
        exported = self.whole(sink)
        assert exported == without_empty(current(job.dataset))
        assert not any(victim in row for rows in exported.values() for row in rows)

    @pytest.mark.parametrize("is_current", [True, False])
    def test_the_status_names_a_target_until_it_has_caught_up(self, sink, export, erase, remarks, two_nights, is_current):
        job = two_nights
        options = [] if is_current else ["--since", "0", "--config", job.config]
        target = export(job.dataset, *options)["target"]
        assert remarks(job) == []
        erase(job, own_persons(job, "child")[0])
        [text] = remarks(job)
        name = target if sink.kind == "delta" else f"{target} (schema {sink.keywords['schema']})"
        assert text.startswith(f"the export to {name} has not caught up with an erasure")
        [listed] = (job.dataset / "_exports").glob("*.json")
        assert text.endswith(f"/_exports/{listed.name}")
        proof = json.loads((job.root / "state" / "erasures.jsonl").read_text().splitlines()[-1])
        assert [(one["target"], one["lag"]) for one in proof["exports"]] == [(target, "rows")]
        # Some of its tables are not enough.
        export(job.dataset, *options, *self.some(), "--vacuum", "0")
        assert remarks(job) == [text]
        export(job.dataset, *options)
        is_delta = sink.kind == "delta"
        assert ["files of older versions" in text for text in remarks(job)] == [True] * is_delta
        export(job.dataset, *options, "--vacuum", "0")
        assert remarks(job) == []
        # A run that is killed may have written something that its file does not name.
        export(job.dataset, *options, kill="listed")
        assert len(remarks(job)) == 1
        export(job.dataset, *options)
        assert remarks(job) == []

    def test_a_table_whose_last_row_went_is_empty(self, sink, export, erase, two_nights):
        job = two_nights
        export(job.dataset)
        name = next(name for name in self.whole(sink) if len(set(own_persons(job, name))) == 1)
        erase(job, own_persons(job, name)[0])
        assert not current(job.dataset).get(name)
        assert export(job.dataset)["tables"][name]["changed"]
        assert sink.rows(name).num_rows == 0 and self.whole(sink) == without_empty(current(job.dataset))

    def test_what_a_policy_hides_later_is_gone(self, sink, export, job, tmp_path):
        """A person who leaves the scope, a table and a column that are hidden, and a column that comes."""
        policy = "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
        job.configure(policy + "persons = { ages = [0, 70] }\n[tenant.school.columns]\nperson = ['pnr', 'status']\n")
        job.night(0, persons=60)
        assert cprflow.sync(job.config).ok
        dataset = job.root / "tenants" / "school"
        export(dataset)
        before = self.whole(sink)
        assert before == without_empty(current(dataset))
        assert sink.rows("person").column_names[:2] == ["pnr", "status"]
        job.configure(policy + "persons = { ages = [0, 60] }\nclasses = ['address']\n")
        assert cprflow.sync(job.config).ok
        export(dataset)
        after, now = self.whole(sink), current(dataset)
        assert "name" in before and "name" not in after and len(after["person"]) < len(before["person"])
        assert after["person"] == now["person"] and '"birth_date": "' in after["person"][0]
        masked = [json.loads(row) for row in after["plaintext_address"]]
        assert "addressing_name" not in json.loads(now["plaintext_address"][0])
        assert {row.pop("addressing_name") for row in masked} == {None}
        assert sorted(json.dumps(row, sort_keys=True) for row in masked) == now["plaintext_address"]
        # The same directory again, as if it belonged to nobody.
        message = export(dataset, "--since", "0", "--config", job.config, code=2)
        assert "tenant school" in message, message

    @pytest.mark.parametrize("is_tenant", [True, False])
    @pytest.mark.parametrize("is_current", [True, False])
    def test_persons_who_ended_or_moved_away(self, sink, export, feed, job, is_tenant, is_current):
        """They leave, or are marked, as in the dataset."""
        first = job.night(0, persons=60)
        rows = pyarrow.table(cprflow.open(first).table("address").scan(columns=["municipality_code"]))
        codes = collections.Counter(rows.column("municipality_code").to_pylist())
        municipality = next(code for code, _ in codes.most_common() if code not in (None, "0851"))
        job.configure(
            EVERYTHING + "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
            f"persons = {{ municipalities = ['{municipality}'] }}\n"
        )
        assert cprflow.sync(job.config).ok
        school = job.root / "tenants" / "school"
        dataset = school if is_tenant else job.dataset
        options = [] if is_current else ["--since", "0", "--config", job.config]
        if is_tenant and not is_current:
            options += ["--tenant", "school"]
        export(dataset, *options)
        names = pyarrow.table(cprflow.dataset(school).current("name")).column("pnr").to_pylist()
        mover, ended = sorted(set(names))[:2]
        expected = self.expected(dataset, feed, job, is_tenant, is_current)
        before = self.whole(sink)
        assert before == expected
        assert all(any(f'"pnr": "{pnr}"' in row for row in before["person"]) for pnr in (mover, ended))
        put_leavers(job, mover, ended)
        report = cprflow.sync(job.config)
        assert report.ok, (report.problems, report.set_aside)
        export(dataset, *options)
        after = self.whole(sink)
        assert after == self.expected(dataset, feed, job, is_tenant, is_current) != before
        persons = {json.loads(row)["pnr"] for row in after["person"]}
        left = {row["pnr"]: row["reason"] for row in map(json.loads, after.get("out_of_scope", []))}
        if is_tenant:
            assert (left[mover], left[ended]) == ("moved", "unsubscribed")
        if is_current:
            assert ended not in persons and (mover in persons) != is_tenant
            own = {json.loads(row)["pnr"]: json.loads(row) for row in after["address"]}
            assert ended not in own and (is_tenant or own[mover]["municipality_code"] == "0851")
        elif not is_tenant:
            assert any(ended in row for row in after["subscription_receipt"])

    def expected(self, dataset, feed, job, is_tenant, is_current):
        if is_current:
            return without_empty(current(dataset))
        return delivered(dataset, feed(job, *(["--tenant", "school"] if is_tenant else [])))

    def test_an_older_generation_is_refused(self, sink, export, two_nights, tmp_path):
        job = two_nights
        backup = tmp_path / "backup"
        shutil.copytree(job.dataset, backup, symlinks=True)
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset)
        exported = self.whole(sink)
        assert "older generation" in export(backup, code=2)
        assert self.whole(sink) == exported

    def test_withdrawn_tables_are_an_error(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person")
        exported = self.whole(sink)
        (job.dataset / "current").unlink()
        assert "no current tables" in export(job.dataset, "--table", "person", code=2)
        assert self.whole(sink) == exported

    def test_a_damaged_file_is_named(self, sink, export, two_nights):
        """The error comes while the library of the target reads the rows."""
        job = two_nights
        export(job.dataset, "--table", "person")
        before = normal(sink.rows("person"))
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        file = job.dataset / "current" / "person.parquet"
        data = file.read_bytes()
        file.write_bytes(data[:40] + bytes(len(data) // 3) + data[40 + len(data) // 3 :])
        message = export(job.dataset, "--table", "person", code=2)
        assert "person.parquet" in message and "Traceback" not in message
        assert normal(sink.rows("person")) == before
        file.write_bytes(data)
        export(job.dataset, "--table", "person")
        assert normal(sink.rows("person")) == current(job.dataset)["person"]

    def test_some_tables(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person")
        assert sink.tables() == {"person"}
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset, "--table", "address")
        assert sink.recorded("person") < sink.recorded("address")
        [listed] = (job.dataset / "_exports").glob("*.json")
        tables = json.loads(listed.read_text())["tables"]
        assert tables["person"]["generation"] < tables["address"]["generation"]
        export(job.dataset)
        assert self.whole(sink) == without_empty(current(job.dataset))
        assert "no table 'nothing'" in export(job.dataset, "--table", "nothing", code=2)

    def test_deliveries_follow_the_change_feed(self, sink, export, erase, feed, two_nights):
        job = two_nights
        options = ["--since", "0", "--config", job.config]
        done = export(job.dataset, *options)
        assert self.whole(sink) == delivered(job.dataset, feed(job))
        assert done["sequences"] == {"town": 2} and done["generation"] is None
        assert not any(one["changed"] for one in export(job.dataset, *options)["tables"].values())
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        done = export(job.dataset, *options)
        assert self.whole(sink) == delivered(job.dataset, feed(job))
        assert done["tables"]["person"]["rows_written"] < 60
        # Made again without a person.
        victim = own_persons(job, "child")[0]
        erase(job, victim)
        assert "erased" in {entry["kind"] for entry in feed(job)}
        done = export(job.dataset, *options)
        exported = self.whole(sink)
        assert exported == delivered(job.dataset, feed(job))
        assert not any(victim in row for rows in exported.values() for row in rows)
        assert done["sequences"]["town"] == max(entry["sequence"] for entry in feed(job))
        # Expired. The entry keeps its number.
        self.expire_the_first(job)
        assert feed(job)[0]["kind"] == "expired"
        export(job.dataset, *options)
        exported = self.whole(sink)
        assert exported == delivered(job.dataset, feed(job))
        assert {json.loads(row)["delivery"] for row in exported["person"]} == {
            entry["directory"].rpartition("delivery=")[2] for entry in feed(job) if entry["kind"] == "new"
        }
        assert not any(one["changed"] for one in export(job.dataset, *options)["tables"].values())

    def expire_the_first(self, job):
        ledger = sqlite3.connect(job.root / "state" / "ledger.sqlite")
        ledger.execute("UPDATE delivery SET published = '2020-01-01T00:00:00Z' WHERE sequence = 1")
        ledger.commit()
        ledger.close()
        report = cprflow.sync(job.config)
        assert report.ok, report.problems

    def test_deliveries_after_a_number(self, sink, export, feed, two_nights):
        job = two_nights
        options = ["--since", "1", "--config", job.config]
        export(job.dataset, *options)
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset, *options)
        found = {json.loads(row)["sequence"] for row in self.whole(sink)["person"]}
        assert found == {2, 3}
        # A lower number later brings the rest, once.
        export(job.dataset, "--since", "0", "--config", job.config)
        assert self.whole(sink) == delivered(job.dataset, feed(job))

    def test_deliveries_of_a_tenant(self, sink, export, feed, job):
        job.configure(
            EVERYTHING + "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
            "persons = { ages = [0, 60] }\n"
        )
        dataset = job.root / "tenants" / "school"
        options = ["--since", "0", "--config", job.config]
        for night in range(3):
            job.night(night, persons=60)
            assert cprflow.sync(job.config).ok
            export(dataset, *options, "--tenant", "school")
            assert self.whole(sink) == delivered(dataset, feed(job, "--tenant", "school"))
        assert "rewritten" in {entry["kind"] for entry in feed(job, "--tenant", "school")}
        assert "--tenant school" in export(dataset, *options, code=2)
        assert "Export to another" in export(job.dataset, *options, code=2)
        assert "Export to another" in export(dataset, code=2)

    def test_a_change_feed_that_ends_earlier_is_refused(self, sink, export, two_nights, tmp_path):
        job = two_nights
        backup = DailyJob(tmp_path / "backup" / "job")
        shutil.copytree(job.root, backup.root, symlinks=True, dirs_exist_ok=True)
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset, "--since", "0", "--config", job.config)
        exported = self.whole(sink)
        message = export(backup.dataset, "--since", "0", "--config", backup.config, code=2)
        assert "the change feed ends at 2" in message
        assert self.whole(sink) == exported
        empty = tmp_path / "empty"
        empty.mkdir()
        assert "publishes nothing in" in export(empty, "--since", "0", "--config", job.config, code=2)

    def some(self):
        return [option for name in SOME for option in ("--table", name)]

    def test_a_killed_export_of_current_tables_is_completed(self, sink, export, two_nights, current_step):
        """Killed in the first run and in a later one, in which a person was replaced."""
        job = two_nights
        export(job.dataset, *self.some(), kill=current_step)
        sink.check_readable(SOME)
        export(job.dataset, *self.some())
        self.compare(sink, current(job.dataset))
        before = {name: normal(sink.rows(name)) for name in SOME}
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        after = {name: current(job.dataset)[name] for name in SOME}
        assert all(before[name] != after[name] for name in SOME)
        # A later run makes no table.
        if not current_step.startswith("created"):
            export(job.dataset, *self.some(), kill=current_step)
            seen = {name: normal(sink.rows(name)) for name in SOME}
            assert all(seen[name] in (before[name], after[name]) for name in SOME)
            sink.check_between(seen, before, after)
        export(job.dataset, *self.some())
        self.compare(sink, current(job.dataset))
        assert not any(one["changed"] for one in export(job.dataset, *self.some())["tables"].values())

    def test_a_killed_export_of_deliveries_is_completed(self, sink, export, erase, feed, two_nights, delivery_step):
        """Killed in the first run, and in a later one that adds, replaces and deletes deliveries."""
        job = two_nights
        options = ["--since", "0", "--config", job.config, *self.some()]
        export(job.dataset, *options, kill=delivery_step)
        sink.check_readable(SOME)
        export(job.dataset, *options)
        self.compare(sink, delivered(job.dataset, feed(job)))
        before = {name: normal(sink.rows(name)) for name in SOME}
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        erase(job, own_persons(job, "event")[0])
        self.expire_the_first(job)
        if not delivery_step.startswith("created"):
            after = delivered(job.dataset, feed(job))
            export(job.dataset, *options, kill=delivery_step)
            seen = {name: normal(sink.rows(name)) for name in SOME}
            assert all(seen[name] in (before[name], after[name]) for name in SOME)
            sink.check_between(seen, before, after)
        export(job.dataset, *options)
        self.compare(sink, delivered(job.dataset, feed(job)))
        assert not any(one["changed"] for one in export(job.dataset, *options)["tables"].values())

    @pytest.mark.parametrize("is_current", [True, False])
    def test_a_killed_export_that_adds_columns_is_completed(self, sink, export, feed, job, column_step, is_current):
        policy = "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
        job.configure(policy + "[tenant.school.columns]\nperson = ['pnr', 'status']\n")
        job.night(0, persons=60)
        assert cprflow.sync(job.config).ok
        dataset = job.root / "tenants" / "school"
        options = [] if is_current else ["--since", "0", "--config", job.config, "--tenant", "school"]
        export(dataset, *options, "--table", "person")
        before = normal(sink.rows("person"))
        job.configure(policy)
        job.night(1, persons=60)
        assert cprflow.sync(job.config).ok
        export(dataset, *options, "--table", "person", kill=column_step)
        # The older rows, with or without the new columns.
        assert self.without_nulls(normal(sink.rows("person"))) == self.without_nulls(before)
        export(dataset, *options, "--table", "person")
        assert "birth_date" in sink.rows("person").column_names
        if is_current:
            assert normal(sink.rows("person")) == current(dataset)["person"]
        else:
            expected = delivered(dataset, feed(job, "--tenant", "school"))["person"]
            assert self.without_nulls(normal(sink.rows("person"))) == self.without_nulls(expected)
        assert not export(dataset, *options, "--table", "person")["tables"]["person"]["changed"]

    def without_nulls(self, rows):
        values = [{name: value for name, value in json.loads(row).items() if value is not None} for row in rows]
        return sorted(json.dumps(row, sort_keys=True) for row in values)

    def compare(self, sink, expected):
        for name in SOME:
            assert normal(sink.rows(name)) == expected[name], name

    def test_the_question_has_the_same_answer(self, sink, export, two_nights):
        """Residents under 18 in a municipality, with address and the numbers of their parents."""
        job = two_nights
        export(job.dataset)
        now = cprflow.dataset(job.dataset).generation()
        person, address, parents = (now.table(name) for name in ["person", "address", "parents"])
        [(municipality,)] = duckdb.sql(
            "SELECT municipality_code FROM address JOIN person USING (pnr) WHERE birth_date > '2008-11-23' "
            "GROUP BY ALL ORDER BY count(*) DESC, municipality_code LIMIT 1"
        ).fetchall()
        expected = sorted(question(job.dataset, municipality), key=str)
        assert expected and any(row[4] for row in expected)
        sql = QUESTION.format(born_after="2008-11-23", municipality=municipality)
        assert sorted(sink.question(sql), key=str) == expected

    def test_the_example_of_the_documentation(self, sink, many_persons):
        script = sink.example() + "\nimport json\nprint(json.dumps(" + sink.answer + ", default=str))\n"
        ended = subprocess.run([sys.executable, "-c", script], cwd=many_persons.root, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        expected = json.loads(json.dumps(question(many_persons.dataset), default=str))
        assert len(expected) > 5
        assert sorted(json.loads(ended.stdout.splitlines()[-1]), key=str) == sorted(expected, key=str)

    def test_columns_have_types_and_comments(self, sink, export, two_nights):
        export(two_nights.dataset)
        types, comments = sink.columns("person")
        assert types["pnr"] == sink.types["text"] and types["irregular"] == sink.types["json"]
        assert types["birth_date"] == sink.types["date"] and types["status_start"] == sink.types["ntz"]
        assert types["status_start_uncertain"] == sink.types["boolean"]
        assert comments["status"] == "CPR: STATUS, record 001, position 24, length 2"
        assert comments["current_pnr"].endswith("Class of personal data: identity")
        assert "CPR: Personoplysninger, record 001" in sink.table_comment("person")
        for table in sink.tables():
            types, comments = sink.columns(table)
            assert types.keys() == comments.keys() and all(comments.values()), table
            assert not {"A column of cprflow", "A table of cprflow"} & {*comments.values(), sink.table_comment(table)}, table

    def test_times_can_be_points_in_time(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person", "--timestamps", "utc")
        assert sink.columns("person")[0]["status_start"] == sink.types["utc"]
        utc = cprflow.dataset(job.dataset, irregular="json", timestamps="utc").generation()
        assert normal(sink.rows("person")) == normal(pyarrow.table(utc.table("person")))
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        message = export(job.dataset, "--table", "person", code=2)
        assert "status_start" in message and "--timestamps" in message

    def test_the_dataset_lists_its_exports(self, sink, export, run, two_nights):
        job = two_nights
        done = export(job.dataset)
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        assert content["format"] == 1 and content["kind"] == sink.kind and content["target"] == done["target"]
        assert (content["content"], content["tenant"]) == ("current", None)
        assert content["started"] <= content["finished"]
        assert {name: one["generation"] for name, one in content["tables"].items()} == dict.fromkeys(
            done["tables"], done["generation"]
        )
        for path in [listed, listed.with_suffix(".lock")]:
            assert path.stat().st_mode & 0o777 == 0o600
        assert listed.parent.stat().st_mode & 0o777 == 0o700
        assert not re.search(r"\d{10}", re.sub(r"[0-9a-f-]{16,}", "", listed.read_text()))
        # The other commands do not trip over it.
        for command in ["sync", "status", "doctor", "deliveries", "expire"]:
            ended = run(command, "--config", job.config)
            assert ended.returncode == 0 and b"_exports" not in ended.stdout + ended.stderr, ended.stderr
        assert run("status", "--deep", "--config", job.config).returncode == 0
        assert run("views", "--dialect", "duckdb", job.dataset).returncode == 0
        assert cprflow.dataset(job.dataset).generation().number == done["generation"]

    def test_a_target_that_was_begun_is_listed(self, sink, export, two_nights):
        """Otherwise a run that was killed would leave a target that no proof of an erasure names."""
        job = two_nights
        export(job.dataset, *self.some(), kill="listed")
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        assert content["finished"] is None
        assert content["tables"] == dict.fromkeys(SOME, {"generation": 0, "cleaned": None})

    @pytest.mark.parametrize("is_current", [True, False])
    @pytest.mark.parametrize("is_killed", [True, False])
    def test_a_table_that_the_file_did_not_name(self, sink, export, erase, remarks, two_nights, is_current, is_killed):
        """The run that wrote the table was killed before it wrote its file, or the file was removed."""
        job = two_nights
        options = [] if is_current else ["--since", "0", "--config", job.config]
        if is_killed:
            export(job.dataset, *options, *self.some(), kill="committed:event" if sink.kind == "delta" else "committed")
        else:
            export(job.dataset, *options, *self.some())
            [listed] = (job.dataset / "_exports").glob("*.json")
            listed.unlink()
        export(job.dataset, *options, "--table", "person")
        [listed] = (job.dataset / "_exports").glob("*.json")
        assert set(json.loads(listed.read_text())["tables"]) == set(SOME)
        erase(job, own_persons(job, "child")[0])
        export(job.dataset, *options, "--table", "person", "--vacuum", "0")
        [text] = remarks(job)
        assert "has not caught up with an erasure" in text
        export(job.dataset, *options, "--vacuum", "0")
        assert remarks(job) == []

    @pytest.mark.parametrize("is_current", [True, False])
    def test_the_file_says_when_each_table_was_exported(self, sink, export, two_nights, is_current):
        job = two_nights
        options = [] if is_current else ["--since", "0", "--config", job.config]

        def content():
            [listed] = (job.dataset / "_exports").glob("*.json")
            return json.loads(listed.read_text())

        def times(content, name):
            exported = content["tables"][name]["exported"]
            return exported if is_current else exported["town"]

        export(job.dataset, *options, *self.some())
        first = content()
        assert {times(first, name) for name in SOME} == {first["started"]}
        export(job.dataset, *options, "--table", "person", "--vacuum", "0")
        second = content()
        assert second["tables"]["event"] == first["tables"]["event"]
        assert first["started"] < second["started"] == times(second, "person")
        cleaned = [second["tables"][name]["cleaned_at"] for name in ("person", "event")]
        assert cleaned[0] == (second["started"] if sink.kind == "delta" else None)
        assert cleaned[1] != second["started"]

    @pytest.mark.parametrize("is_current", [True, False])
    def test_a_run_begins_before_it_reads_the_dataset(self, sink, two_nights, monkeypatch, is_current):
        """Otherwise an erasure could be complete between the two, and the target would count as exported after it."""
        job = two_nights
        read = []

        class Late(cprflow.export.Current if is_current else cprflow.export.Deliveries):
            def __init__(self, *arguments, **options):
                read.append(datetime.datetime.now(datetime.timezone.utc))
                super().__init__(*arguments, **options)

        monkeypatch.setattr(cprflow.export, Late.__base__.__name__, Late)
        options = {} if is_current else {"since": 0, "config": job.config}
        cprflow.export.run(job.dataset, sink.to, tables=["person"], **options, **sink.keywords)
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        exported = content["tables"]["person"]["exported"]
        assert content["started"] == (exported if is_current else exported["town"])
        [time] = read
        assert datetime.datetime.fromisoformat(content["started"].replace("Z", "+00:00")) <= time

    def test_an_export_of_one_agreement_leaves_the_times_of_others(self, sink, export, two_nights):
        """Also if the file was removed: the table still has the rows of the other agreement."""
        job = two_nights
        options = ["--since", "0", "--config", job.config]
        job.configure(EVERYTHING + "[agreement.other]\ninbox = 'other/inbox'\n" + EVERYTHING)
        DailyJob(job.root / "other").night(0, persons=60, seed=9)
        assert cprflow.sync(job.config).ok
        export(job.dataset, *options, "--table", "person")
        [listed] = (job.dataset / "_exports").glob("*.json")
        before = json.loads(listed.read_text())
        assert before["tables"]["person"]["exported"] == dict.fromkeys(["other", "town"], before["started"])
        export(job.dataset, *options, "--table", "person", "--agreement", "town")
        after = json.loads(listed.read_text())
        assert after["tables"]["person"]["exported"] == {"other": before["started"], "town": after["started"]}
        listed.unlink()
        export(job.dataset, *options, "--table", "person", "--agreement", "town")
        alone = json.loads(listed.read_text())
        assert alone["tables"]["person"]["exported"] == {"town": alone["started"]}
        assert alone["tables"]["person"]["sequences"]["other"] == 0

    def test_an_unlisted_target(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person", "--unlisted")
        assert not (job.dataset / "_exports").exists()
        assert normal(sink.rows("person")) == current(job.dataset)["person"]

    def test_two_exports_at_the_same_time(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person")
        [lock] = (job.dataset / "_exports").glob("*.lock")
        with open(lock) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert "another export" in export(job.dataset, "--table", "person", code=2)
        export(job.dataset, "--table", "person")

    def test_the_function_does_the_same(self, sink, two_nights):
        job = two_nights
        seen = []
        done = cprflow.export.run(
            job.dataset, sink.to, tables=["person"], progress=lambda *arguments: seen.append(arguments), **sink.keywords
        )
        assert done.changed == ["person"] and done.generation == cprflow.dataset(job.dataset).generation().number
        assert seen == [(0, 1, "person")]
        for wrong in [{"since": -1}, {"timestamps": "local"}, {"vacuum": -1}, {"tenant": "x"}]:
            with pytest.raises(cprflow.RequestError):
                cprflow.export.run(job.dataset, sink.to, **sink.keywords, **wrong)
