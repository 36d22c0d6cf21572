"""`cprflow export --to delta:…`."""

import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import cprflow
import duckdb
import pyarrow
import pyarrow.parquet
import pytest

import exports
from export_kills import Kills
from export_list import List
from export_rows import Rows
from exports import normal, own_persons

exports.require("CPRFLOW_REQUIRE_DELTA", "deltalake")

import deltalake  # noqa: E402


class Lake:
    """A directory of Delta tables."""

    kind = "delta"
    options = []
    keywords = {}
    types = {
        "text": "string",
        "json": "string",
        "date": "date",
        "ntz": "timestamp_ntz",
        "utc": "timestamp",
        "boolean": "boolean",
    }

    def __init__(self, path):
        self.path = path
        self.to = f"delta:{path}"

    def open(self, table):
        return deltalake.DeltaTable(self.path / table)

    def rows(self, table):
        return self.open(table).to_pyarrow_table()

    def tables(self):
        return {log.parent.name for log in self.path.glob("*/_delta_log")}

    def recorded(self, table):
        return self.open(table).transaction_version("cprflow/current")

    def columns(self, table):
        fields = self.open(table).schema().fields
        return {one.name: one.type.type for one in fields}, {one.name: one.metadata["comment"] for one in fields}

    def table_comment(self, table):
        return self.open(table).metadata().description

    def question(self, sql):
        person, address, parents = (self.rows(name) for name in ["person", "address", "parents"])
        return duckdb.sql(sql).fetchall()

    answer = "children.fetchall()"

    def example(self):
        return exports.example("Delta").replace("delta:lake", self.to).replace('f"lake/', f'f"{self.path}/')

    def check_readable(self, names):
        for name in names:
            if name in self.tables():
                self.rows(name)

    def check_between(self, seen, before, after):
        """A table has the rows of the number that it names."""
        numbers = {name: self.recorded(name) for name in seen}
        newest = max(number or 0 for number in numbers.values())
        for name, number in numbers.items():
            if number is not None:
                assert (seen[name] == after[name]) == (number == newest) or newest == min(numbers.values()), name


@pytest.fixture
def sink(tmp_path):
    return Lake(tmp_path / "lake")


# Columns are added only if the dataset has new ones: a test of its own kills there.
COLUMNS_ADDED = "columns-added:{}"
STEPS = exports.steps("delta")
STEPS.remove(COLUMNS_ADDED.format("event"))


class TestDelta(Rows, Kills, List):
    @pytest.fixture(params=[*STEPS, "committed:person"])
    def current_step(self, request):
        return request.param

    @pytest.fixture(params=STEPS)
    def delivery_step(self, request):
        return request.param

    @pytest.fixture
    def column_step(self):
        return COLUMNS_ADDED.format("person")


def log_texts(path):
    """Returns the text of all logs and checkpoints below a directory."""
    texts = [pathlib.Path(one).read_text() for one in glob.glob(f"{path}/**/_delta_log/*.json", recursive=True)]
    for one in glob.glob(f"{path}/**/_delta_log/*.parquet", recursive=True):
        texts.append(json.dumps(pyarrow.parquet.read_table(one).to_pylist(), default=str))
    return texts


def values(job):
    """Returns values that say something about a person: numbers, names and addresses."""
    found = set()
    now = cprflow.dataset(job.dataset).generation()
    for table, columns in [
        ("person", ["pnr", "current_pnr", "birth_date"]),
        ("name", ["surname", "addressing_name"]),
        ("plaintext_address", ["standard_address"]),
        ("parents", ["mother_pnr", "mother_name"]),
    ]:
        rows = pyarrow.table(now.table(table).scan(columns=columns))
        found |= {str(value) for column in rows.columns for value in column.to_pylist() if value and len(str(value)) > 5}
    # The names of deliveries have their dates, on which persons are born too.
    return {value for value in found if not value.startswith("2026-")}


@pytest.mark.parametrize("options", [[], ["--since", "0"]])
def test_the_log_has_no_values_of_persons(sink, run, two_nights, options):
    job = two_nights
    if options:
        options = [*options, "--config", job.config]
    for night in [2, 3]:
        for hours in ["48", "0"]:
            ended = run("export", job.dataset, "--to", sink.to, "--vacuum", hours, *options)
            assert ended.returncode == 0, ended.stderr
        job.night(night, persons=60)
        assert cprflow.sync(job.config).ok
    persons = values(job)
    texts = log_texts(sink.path)
    assert len(persons) > 200 and any("checkpoint" in one for one in glob.glob(f"{sink.path}/person/_delta_log/*"))
    assert sum('"numRecords"' in text.replace("\\", "") for text in texts) > 10
    for text in texts:
        assert not [value for value in persons if value in text]
        for stats in ["minValues", "maxValues", "nullCount"]:
            assert f'"{stats}":{{"' not in text.replace("\\", "").replace(" ", "")


def all_bytes(path):
    """Returns all values of all Parquet files, and all bytes of all files below a directory."""
    texts = [one.read_bytes() for one in path.rglob("*") if one.is_file()]
    for one in path.rglob("*.parquet"):
        texts.append(json.dumps(pyarrow.parquet.read_table(one, partitioning=None).to_pylist(), default=str).encode())
    return texts


@pytest.mark.parametrize("options", [[], ["--since", "0"]])
def test_no_file_has_an_erased_person_after_vacuum(sink, run, two_nights, options):
    job = two_nights
    if options:
        options = [*options, "--config", job.config]
    victim = own_persons(job, "child")[0]

    def export(*more, **environment):
        return run("export", job.dataset, "--to", sink.to, *options, *more, env={**os.environ, **environment})

    # A run that is killed leaves files that no version of the table has.
    assert export(CPRFLOW_TEST_KILL_EXPORT_AT="committed:person").returncode == -9
    orphan = next(sink.path.glob("person/**/*.parquet"))
    shutil.copy(orphan, orphan.with_name("part-00000-00000000-0000-4000-8000-000000000000-c000.snappy.parquet"))
    assert export().returncode == 0
    numbers = job.root / "numbers.txt"
    numbers.write_text(f"{victim}\n")
    numbers.chmod(0o600)
    ended = run("erase", "--numbers", numbers, "--references", "--not-subscribed", "--yes", "--config", job.config)
    assert ended.returncode == 0, ended.stderr
    assert export().returncode == 0
    listed = next((job.dataset / "_exports").glob("*.json"))
    person = json.loads(listed.read_text())["tables"]["person"]
    assert person["cleaned"] is None
    assert any(victim.encode() in text for text in all_bytes(sink.path)), "the replaced files are kept for 48 hours"
    # Killed after the files of one table are gone, and before its log is shortened.
    assert export("--vacuum", "0", CPRFLOW_TEST_KILL_EXPORT_AT="vacuumed:person").returncode == -9
    assert not any(victim.encode() in text for text in all_bytes(sink.path / "person"))
    assert json.loads(listed.read_text())["tables"]["person"]["cleaned"] is None
    assert sink.rows("person").num_rows > 0
    ended = export("--vacuum", "0", "--format", "json")
    assert ended.returncode == 0 and json.loads(ended.stdout)["removed_files"] > 0
    assert not any(victim.encode() in text for text in all_bytes(sink.path))
    person = json.loads(listed.read_text())["tables"]["person"]
    assert person["cleaned"] == person.get("generation", person.get("sequences"))
    # The tables can still be read.
    assert sink.rows("person").num_rows == len({*own_persons(job)}) or options


def tables_of(job):
    """Returns what the file of the only target says of its tables."""
    [listed] = (job.dataset / "_exports").glob("*.json")
    return json.loads(listed.read_text())["tables"]


def as_if_later(path, days):
    """Changes a table as if its files were replaced by a computer whose clock was ahead."""
    # A checkpoint has the times too. Without it, the logs are read.
    for checkpoint in [*path.glob("_delta_log/*.parquet"), path / "_delta_log" / "_last_checkpoint"]:
        checkpoint.unlink()
    for log in path.glob("_delta_log/*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if "remove" in line:
                line["remove"]["deletionTimestamp"] += days * 86_400_000
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("options", [[], ["--since", "0"]])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_files_that_were_replaced_in_the_future_are_removed(sink, run, two_nights, options, scheme):
    """The clock was wrong when they were replaced. Delta itself keeps them until then."""
    job = two_nights
    if options:
        options = [*options, "--config", job.config]
    victim = own_persons(job, "child")[0]

    def export(hours):
        to = f"delta:{scheme}{sink.path}"
        ended = run("export", job.dataset, "--to", to, "--vacuum", hours, "--format", "json", *options)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)["removed_files"]

    export("48")
    numbers = job.root / "numbers.txt"
    numbers.write_text(f"{victim}\n")
    numbers.chmod(0o600)
    ended = run("erase", "--numbers", numbers, "--references", "--not-subscribed", "--yes", "--config", job.config)
    assert ended.returncode == 0, ended.stderr
    export("48")
    for table in sink.tables():
        as_if_later(sink.path / table, 30)
    # A file that no version has, with a later time.
    one = next(one for one in sink.path.glob("person/**/part-*.parquet"))
    orphan = one.with_name("part-00000-00000000-0000-4000-8000-000000000000-c000.snappy.parquet")
    shutil.copy(one, orphan)
    os.utime(orphan, (4e9, 4e9))
    before = {table: normal(sink.rows(table)) for table in sink.tables()}
    assert export("48") == 0 and orphan.exists()
    assert any(victim.encode() in text for text in all_bytes(sink.path))
    assert export("0") > 0 and not orphan.exists()
    assert not any(victim.encode() in text for text in all_bytes(sink.path))
    assert {table: normal(sink.rows(table)) for table in sink.tables()} == before
    for one in tables_of(job).values():
        assert one["cleaned"] == one.get("generation", one.get("sequences"))
    assert export("0") == 0


def test_a_table_whose_files_cannot_be_compared_is_not_clean(sink, run, two_nights):
    """A file of the newest version is not in the list, so it is not known which of the others are needed."""
    job = two_nights
    command = ["export", job.dataset, "--to", sink.to, "--table", "person"]
    assert run(*command).returncode == 0
    job.night(2, persons=60)
    assert cprflow.sync(job.config).ok
    assert run(*command).returncode == 0
    first = tables_of(job)["person"]
    as_if_later(sink.path / "person", 30)
    for needed in sink.open("person").file_uris():
        os.rename(needed, f"{needed}.moved")
    assert run(*command, "--vacuum", "0").returncode == 0
    assert tables_of(job)["person"]["cleaned"] == first["cleaned"] < first["generation"]
    # The replaced file is still there.
    assert len(list(sink.path.glob("person/*.parquet"))) == 1


def test_parts_of_files_that_a_killed_run_was_writing_are_removed(sink, run, two_nights):
    """Delta does not list them, so its vacuum does not find them."""
    job = two_nights
    command = ["export", job.dataset, "--to", sink.to, "--table", "person"]
    assert run(*command).returncode == 0
    part = sink.path / "person" / "part-00000-00000000-0000-4000-8000-000000000000-c000.snappy.parquet#1"
    foreign = part.with_name("notes#1")
    for one in [part, foreign]:
        one.write_bytes(b"x")
    assert run(*command).returncode == 0
    assert part.exists()
    hours_ago = part.stat().st_mtime - 49 * 3600
    os.utime(part, (hours_ago, hours_ago))
    ended = run(*command, "--format", "json")
    assert not part.exists() and json.loads(ended.stdout)["removed_files"] == 1
    part.write_bytes(b"x")
    assert run(*command, "--vacuum", "0").returncode == 0
    assert not part.exists() and foreign.exists()


@pytest.mark.parametrize("options", [[], ["--since", "0"]])
def test_a_target_with_a_url_gets_all_its_tables_into_a_new_file(sink, run, two_nights, options):
    """The file was removed, and the next run exports one table only."""
    job = two_nights
    if options:
        options = [*options, "--config", job.config]
    # A URL is listed as an object store is.
    command = ["export", job.dataset, "--to", f"delta:file://{sink.path}", *options]
    assert run(*command).returncode == 0
    everything = set(tables_of(job))
    assert len(everything) > 10
    # They are not the tables of this export.
    deltalake.write_deltalake(sink.path / "foreign", pyarrow.table({"pnr": ["x"]}))
    (sink.path / "empty").mkdir()
    (sink.path / "file").write_text("")
    shutil.rmtree(job.dataset / "_exports")
    assert run(*command, "--table", "person").returncode == 0
    tables = tables_of(job)
    assert set(tables) == everything
    assert {name for name, one in tables.items() if one.get("exported")} == {"person"}
    # A table of which only the log was removed has old files.
    shutil.rmtree(sink.path / "person" / "_delta_log")
    assert run(*command, "--table", "person").returncode == 0
    assert tables_of(job)["person"]["cleaned"] is None
    assert run(*command, "--vacuum", "0").returncode == 0
    assert all(one["exported"] and one["cleaned"] for one in tables_of(job).values())


def test_a_new_table_has_no_old_files(sink, run, two_nights):
    job = two_nights

    def tables(*options):
        ended = run("export", job.dataset, "--to", sink.to, "--table", "person", "--table", "event", *options)
        assert ended.returncode == 0, ended.stderr
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        return content["tables"], content["started"]

    first, started = tables()
    for one in first.values():
        assert (one["cleaned"], one["cleaned_at"]) == (one["generation"], started)
    job.night(2, persons=60)
    assert cprflow.sync(job.config).ok
    # Now the table has replaced files.
    second, _ = tables()
    for name, one in second.items():
        assert one["generation"] > one["cleaned"] == first[name]["generation"]
        assert one["cleaned_at"] == started
    # Only the log of one table, and everything of the other, was removed.
    shutil.rmtree(sink.path / "person" / "_delta_log")
    shutil.rmtree(sink.path / "event")
    third, again = tables()
    assert third["person"]["cleaned_at"] == started
    assert third["event"]["cleaned_at"] == again


def test_old_logs_are_removed(sink, run, two_nights):
    """A log that is older than seven days goes when a later run has made a checkpoint."""
    job = two_nights
    assert run("export", job.dataset, "--to", sink.to, "--table", "person").returncode == 0
    log = sink.path / "person" / "_delta_log"
    for one in log.iterdir():
        os.utime(one, (1_600_000_000, 1_600_000_000))
    job.night(2, persons=60)
    assert cprflow.sync(job.config).ok
    assert run("export", job.dataset, "--to", sink.to, "--table", "person").returncode == 0
    assert not (log / "00000000000000000000.json").exists()
    assert normal(sink.rows("person")) == exports.current(job.dataset)["person"]
    assert sink.recorded("person") == cprflow.dataset(job.dataset).generation().number


def test_which_readers_a_table_needs(sink, run, two_nights):
    job = two_nights
    assert run("export", job.dataset, "--to", sink.to, "--table", "person").returncode == 0
    protocol = sink.open("person").protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (3, 7)
    assert protocol.reader_features == ["timestampNtz"]
    other = Lake(sink.path.with_name("utc"))
    assert run("export", job.dataset, "--to", other.to, "--table", "person", "--timestamps", "utc").returncode == 0
    protocol = other.open("person").protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


def test_a_day_without_changes_rewrites_nothing(sink, run, two_nights):
    """A newer generation with the same file: only the number is committed."""
    job = two_nights
    assert run("export", job.dataset, "--to", sink.to).returncode == 0
    files = {table: set(sink.open(table).file_uris()) for table in sink.tables()}
    now = cprflow.dataset(job.dataset).generation()
    newer = now.directory.parent / f"{now.number + 1:06}"
    shutil.copytree(now.directory, newer)
    manifest = newer / "_generation.json"
    manifest.write_text(manifest.read_text().replace(f'"number": {now.number}', f'"number": {now.number + 1}', 1))
    (job.dataset / "current").unlink()
    (job.dataset / "current").symlink_to(f"generations/{newer.name}")
    ended = run("export", job.dataset, "--to", sink.to, "--format", "json")
    assert ended.returncode == 0, ended.stderr
    assert not any(one["changed"] for one in json.loads(ended.stdout)["tables"].values())
    assert {table: set(sink.open(table).file_uris()) for table in sink.tables()} == files
    assert {sink.recorded(table) for table in files} == {now.number + 1}


def test_a_foreign_table_is_not_touched(sink, run, two_nights):
    deltalake.write_deltalake(sink.path / "person", pyarrow.table({"pnr": ["x"]}))
    ended = run("export", two_nights.dataset, "--to", sink.to, "--table", "person")
    assert ended.returncode == 2 and b"was not made by `cprflow export`" in ended.stderr
    assert sink.rows("person").to_pylist() == [{"pnr": "x"}]


def test_two_commits_at_the_same_time_are_one(sink, two_nights):
    """Without the lock, Delta itself refuses the second commit of a number."""
    from cprflow.export import target
    from cprflow.export.delta import Delta
    from cprflow.export.source import Current

    source = Current(two_nights.dataset, timestamps="naive")
    first, second = (Delta(target.parse(sink.to), "current", None) for _ in range(2))
    stale = second._open("person", source.columns("person"))
    assert first.export_current(source, "person")["changed"]
    second._open = lambda table, columns: stale
    with pytest.raises(cprflow.export.TargetError, match="at the same time"):
        second.export_current(source, "person")
    assert normal(sink.rows("person")) == exports.current(two_nights.dataset)["person"]


def test_errors_of_the_disk(run, two_nights, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    ended = run("export", two_nights.dataset, "--to", f"delta:{blocked}/lake")
    assert ended.returncode == 2 and b"Not a directory" in ended.stderr, ended.stderr
    ended = run("export", two_nights.dataset, "--to", "delta:")
    assert ended.returncode == 2 and b"delta:PATH" in ended.stderr


def test_missing_packages_are_named(two_nights):
    for module, text in [("pyarrow", "pyarrow"), ("deltalake", "deltalake")]:
        script = (
            f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = ['export', {str(two_nights.dataset)!r}, "
            "'--to', 'delta:lake']; import cprflow._command; cprflow._command.main()"
        )
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert ended.returncode == 2 and f"needs {text}: pip install 'cprflow[export]'" in ended.stderr


def test_an_unexpected_error_shows_no_value(two_nights, sink):
    script = (
        "import sys, cprflow.export.delta as delta\n"
        "def fails(*arguments): raise KeyError('0101965058')\n"
        "delta.Delta.export_current = fails\n"
        f"sys.argv[1:] = ['export', {str(two_nights.dataset)!r}, '--to', {sink.to!r}]\n"
        "import cprflow._command; cprflow._command.main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 2 and "a bug in cprflow: KeyError at" in ended.stderr
    assert "0101965058" not in ended.stderr and "Traceback" not in ended.stderr


def test_output_that_nobody_reads_is_no_error(two_nights, sink):
    command = f"{sys.executable} -m cprflow export {two_nights.dataset} --to {sink.to} --table person"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", f"{command} | true"], capture_output=True)
    assert ended.returncode == 0 and ended.stderr == b""
    ended = subprocess.run(["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True)
    assert ended.returncode == 2 and "No space left on device" in ended.stderr


@pytest.mark.parametrize(
    "to",
    [
        "postgresql://cprflow:se#cret@db/cpr",
        "postgresql://cprflow:se?cret@db/cpr",
        "postgresql://cprflow:se/cret@db/cpr",
        "postgresql://cprflow:se@cret@db/cpr",
        "postgresql://cprflow:se[cret@db/cpr",
        "postgres://db/cpr?user=cprflow&password=se@cret",
        "delta:s3://KEY:SE/CRET@bucket/cpr",
        "delta:s3://KEY:SE#CRET@bucket/cpr",
        "delta:s3://KEY:SE?CRET@bucket/cpr",
        "delta:s3://KEY:SE@CRET@bucket/cpr",
        "delta:s3://KEY:SE[CRET@bucket/cpr",
        "mysql://cprflow:se/cret@db/cpr",
        "postgresql://cprflow:se-cret/cpr",
        "postgresql://db:5432,cprflow:se-cret/cpr",
        "postgresql://cprflow:20260302/cpr",
        "delta:s3://KEY:SE-CRET/bucket/cpr",
    ],
)
def test_a_password_that_is_not_encoded_is_refused_and_not_told(two_nights, to):
    command = [sys.executable, "-m", "cprflow", "export", two_nights.dataset]
    # In the second command, the URL is an argument too many.
    for arguments in (["--to", to], ["--to", "delta:lake", to]):
        ended = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert ended.returncode == 2
        told = (ended.stdout + ended.stderr).lower()
        assert not [part for part in ("se", "cret", "20260302", "cprflow:", "key:") if part in re.split(r"\W", told)], told
        if arguments[1] == to and "@" not in to:
            assert "a port that is not a number" in told
        elif arguments[1] == to and "[" not in to and "mysql" not in to:
            assert "percent-encode" in told


def test_names_of_targets_have_no_password():
    from cprflow.export.target import parse

    names = {
        "postgresql://cprflow:se%23cret@db/cpr": "postgresql://db/cpr",
        "postgresql://cprflow:x@one:5432,two/cpr": "postgresql://one:5432,two/cpr",
        "postgresql://[::1]:5432/cpr": "postgresql://[::1]:5432/cpr",
        "postgresql:///cpr": "postgresql:///cpr",
        "postgres://db/cpr?host=/run&password=x&user=cprflow%40azure#y": "postgresql://db/cpr?host=/run",
        "delta:s3://KEY:SEC%2FRET@bucket/cpr": "s3://bucket/cpr",
        "delta:s3://bucket/cpr?secret=x#y": "s3://bucket/cpr",
        "delta:abfss://cpr@account.dfs.core.windows.net/lake": "abfss://cpr@account.dfs.core.windows.net/lake",
        "delta:file:///srv/lake": "file:///srv/lake",
        "delta:/srv/a@b": "/srv/a@b",
    }
    assert {to: parse(to).name for to in names} == names


def test_texts_of_the_command_line_are_redacted():
    from cprflow.export.errors import redact

    texts = {
        "unrecognized arguments: postgresql://cprflow:se/c#r?e t@db/cpr": "unrecognized arguments: postgresql://[hidden]",
        "a postgresql://u:x@one/a postgresql://v:y@z@two/b": "a postgresql://[hidden]",
        "a postgres://db/cpr?user=u&password=x@y z": "a postgres://[hidden]",
        "a postgresql://db/cpr?PASSWORD=x y&z": "a postgresql://[hidden]",
        "a cprflow:se/cret@db b": "a [hidden]",
        "a host=db password='x y'": "a host=db [hidden]",
        "a postgresql://db/cpr b": "a postgresql://db/cpr b",
        "a postgresql://one:5432,two:1/cpr b": "a postgresql://one:5432,two:1/cpr b",
        "a postgresql://cprflow:se-cret/cpr b": "a postgresql://[hidden]",
        "a postgresql://cprflow:20260302/cpr b": "a postgresql://[hidden]",
        "a s3://KEY:7SECRET b": "a s3://[hidden]",
        "a 010203-4567": "a [number]",
    }
    assert {text: redact(text) for text in texts} == texts
