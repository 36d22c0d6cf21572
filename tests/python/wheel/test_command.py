"""The command that the package installs."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import cprflow
import pyarrow
import pytest

from conftest import EVERYTHING, tenant


def test_version_and_help(run):
    assert run("--version").stdout.decode().split() == ["cprflow", cprflow.__version__]
    ended = run("--help")
    assert ended.returncode == 0 and b"Exit codes:" in ended.stdout
    assert run("nothing").returncode == 2


def test_a_person_number_is_not_repeated(run):
    ended = run("scan", "--0101965058")
    assert ended.returncode == 2 and b"0101965058" not in ended.stdout + ended.stderr


def test_it_reads_and_writes(run, extract, tmp_path):
    ended = run("verify", extract, "--format", "json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["records"] == cprflow.open(extract).verify().records
    data = extract.read_bytes()
    ended = run("verify", "-", input=data)
    assert ended.returncode == 0
    assert run("verify", "-", input=data[:5000]).returncode == 1
    ended = run("generate", "--persons", 3000, "--seed", 11, "--busy")
    assert ended.stdout == data


def test_generate_has_the_options_of_the_command(run, tmp_path):
    def generated(**options):
        cprflow.generate(tmp_path / "generated", persons=200, seed=4, **options)
        return (tmp_path / "generated").read_bytes()

    def by_command(*options):
        ended = run("generate", "--persons", 200, "--seed", 4, *options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    files = {}
    for shape in ["trimmed", "full", "packed"]:
        for order in ["second-pass", "by-person"]:
            files[shape, order] = generated(shape=shape, order=order)
            assert files[shape, order] == by_command("--shape", shape, "--order", order), (shape, order)
    files["original-layout"] = generated(original_layout=True)
    assert files["original-layout"] == by_command("--original-layout")
    files["night"] = generated(night=3, busy=True)
    assert files["night"] == by_command("--night", 3, "--busy")
    files["changes"] = generated(changes=True, night=3, busy=True)
    assert files["changes"] == by_command("--changes", "--night", 3, "--busy")
    files["busy"] = generated(busy=True)
    assert files["busy"] == by_command("--busy")
    # Every option has an effect.
    assert len(set(files.values())) == 10
    assert generated() == files["trimmed", "second-pass"] == by_command()
    first_night = generated(changes=True, busy=True)
    assert first_night == by_command("--changes", "--busy") != files["changes"]
    for wrong in [{"shape": "long"}, {"order": "random"}, {"persons": 0}]:
        with pytest.raises(cprflow.RequestError, match=next(iter(wrong))):
            cprflow.generate(tmp_path / "wrong", **{"persons": 1, **wrong})


def test_output_that_nobody_reads_is_no_error(extract):
    command = f"{sys.executable} -m cprflow scan {extract} --table person --format jsonl | head -1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=60)
    assert ended.returncode == 0 and ended.stderr == b""


def test_the_end_of_the_output_is_written(run):
    ended = run("completions", "bash")
    assert ended.returncode == 0 and b"complete" in ended.stdout.splitlines()[-1] + ended.stdout.splitlines()[-2]


@pytest.mark.parametrize("watched", [False, True])
def test_ctrl_c_ends_it(job, watched):
    """Without handlers of its own it ends by the signal. A service ends in an orderly way."""
    job.configure()
    arguments = ["sync", "--config", job.config, "--watch"] if watched else ["verify", "-"]
    command = [sys.executable, "-m", "cprflow", *map(str, arguments)]
    logs = {**os.environ, "CPRFLOW_LOG": "info"}
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    child = subprocess.Popen(command, env=logs, **pipes)
    if watched:
        # In the platform's service window no run begins until it is asked for.
        waits = next(line for line in child.stderr if b"waiting for" in line)
        if b"service window" in waits:
            child.send_signal(signal.SIGHUP)
        assert child.stdout.readline() == b"nothing new\n"
    else:
        child.stdin.write(b"0" * (1 << 20))
        child.stdin.flush()
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == (0 if watched else -signal.SIGINT)


def test_a_foreign_component_is_compiled_in_a_process_of_its_own(run, tmp_path):
    """The command of a package is not a program, so it must know how to run itself again."""
    component = os.environ["CPRFLOW_COMPONENT_FILE"]
    # A module in the working directory must not be imported instead of Python's own.
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')\n")
    (tmp_path / "cprflow.py").write_text("raise SystemExit('the wrong module')\n")
    script = [str(pathlib.Path(sys.executable).parent / "python"), "-c"]
    script.append(
        "import sys; sys.path.pop(0); import cprflow._command; sys.argv[1:] = sys.argv[1:]; cprflow._command.main()"
    )
    ended = subprocess.run(
        [*script, "--component", component, "tables"], cwd=tmp_path, capture_output=True, timeout=300
    )
    if not os.environ["CPRFLOW_TEST_HOOKS"]:
        # The wheel for users has no compiler.
        assert ended.returncode == 2 and b"this cprflow has no compiler" in ended.stderr, ended.stderr
        return
    assert ended.returncode == 0 and b"person" in ended.stdout, ended.stderr
    (tmp_path / "not.wasm").write_bytes(b"\0asm\x0d\0\x01\0nonsense")
    ended = run("--component", tmp_path / "not.wasm", "tables")
    assert ended.returncode == 2 and b"cannot load the component" in ended.stderr, ended.stderr


def test_ddl_creates_tables_that_take_the_rows(run, published):
    import duckdb

    now = cprflow.dataset(published.path, irregular="json").generation()
    for options in ([], ["--schema", "cpr"]):
        ended = run("ddl", "--dialect", "duckdb", *options)
        assert ended.returncode == 0, ended.stderr
        database = duckdb.connect()
        database.execute(ended.stdout.decode())
        place = "cpr." if options else ""
        for name in now.tables:
            rows = now.table(name)
            # By position.
            database.execute(f"INSERT INTO {place}{name} SELECT * FROM rows")
            assert [row[0] for row in database.sql(f"DESCRIBE {place}{name}").fetchall()] == rows.schema.names
            [[count]] = database.sql(f"SELECT count(*) FROM {place}{name}").fetchall()
            assert count == now.rows[name], name
        [[comment]] = database.sql(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'person' AND column_name = 'birth_date'"
        ).fetchall()
        assert comment.startswith("FOED")


def test_ddl_of_deliveries_takes_the_rows(run, published):
    import duckdb

    ended = run("ddl", "--dialect", "duckdb", "--deliveries")
    assert ended.returncode == 0, ended.stderr
    database = duckdb.connect()
    database.execute(ended.stdout.decode())
    deliveries = cprflow.dataset(published.path, irregular="json").deliveries()
    assert len(deliveries) == 3
    for delivery in deliveries:
        for name in delivery.rows:
            rows = delivery.table(name)
            database.execute(f"INSERT INTO {name} SELECT * FROM rows")
            assert [row[0] for row in database.sql(f"DESCRIBE {name}").fetchall()] == rows.schema.names
    for name in {name for delivery in deliveries for name in delivery.rows}:
        [[count]] = database.sql(f"SELECT count(*) FROM {name}").fetchall()
        assert count == sum(delivery.rows.get(name, 0) for delivery in deliveries), name
    text = run("ddl", "--dialect", "duckdb", "--deliveries", "001").stdout.decode()
    assert text.count("CREATE TABLE") == 1 and '"sequence" BIGINT NOT NULL' in text


@pytest.mark.parametrize("dialect", ["mssql", "postgres", "duckdb", "spark"])
def test_ddl_has_the_columns_of_the_rows_in_their_order(run, published, dialect):
    now = cprflow.dataset(published.path, irregular="json").generation()
    tables = ddl_columns(run, dialect)
    for name in now.tables:
        assert tables[name] == now.table(name).schema.names, name
    tables = ddl_columns(run, dialect, "--deliveries")
    for delivery in cprflow.dataset(published.path, irregular="json").deliveries():
        for name in delivery.rows:
            assert tables[name] == delivery.table(name).schema.names, name


def ddl_columns(run, dialect, *options):
    """Returns the columns of the tables that `cprflow ddl` prints."""
    ended = run("ddl", "--dialect", dialect, *options)
    assert ended.returncode == 0, ended.stderr
    tables = {}
    for name, columns in re.findall(r"^CREATE TABLE (\S+) \(\n(.*?)^\)", ended.stdout.decode(), re.MULTILINE | re.DOTALL):
        own = [line.split()[0] for line in columns.splitlines()]
        tables[name.strip('[]"`')] = [column.strip('[]"`') for column in own]
    assert "person" in tables
    return tables


def test_ddl_of_other_databases(run):
    text = run("ddl", "--dialect", "mssql", "--schema", "cpr", "person").stdout.decode()
    assert "CREATE TABLE [cpr].[person] (" in text and "[pnr] nvarchar(10)" in text
    assert "[irregular] nvarchar(max)" in text and "datetime2(0)" in text
    assert "EXEC sp_addextendedproperty 'MS_Description'" in text and "'COLUMN', 'birth_date';" in text
    text = run("ddl", "--dialect", "spark", "person").stdout.decode()
    assert "`birth_date` DATE COMMENT 'FOED" in text and "TIMESTAMP_NTZ" in text
    text = run("ddl", "--dialect", "postgres", "person").stdout.decode()
    assert '"irregular" jsonb' in text and 'COMMENT ON COLUMN "person"."pnr" IS' in text
    assert run("ddl", "--dialect", "duckdb", "--schema", "a; DROP").returncode == 2
    assert run("ddl", "--dialect", "duckdb", "nosuch").returncode == 2
    assert run("ddl", "person").returncode == 2


DEPLOY = pathlib.Path(__file__).parents[3] / "docs/deploy.md"


class SqlServer:
    """Stands for the package mssql-python, which is not installed. It notes what is copied."""

    def __init__(self):
        self.statements, self.copied = [], {}

    def connect(self, text):
        return contextlib.nullcontext(self)

    def cursor(self):
        return self

    def commit(self):
        self.statements.append("COMMIT")

    def execute(self, statement):
        self.statements.append(statement)

    # The parameters of mssql-python 1.16.
    def bulkcopy_arrow(self, table_name, source, batch_size=0, timeout=30, column_mappings=None, **options):
        assert self.statements[-2:] == [f"TRUNCATE TABLE {table_name}", "COMMIT"] and not options
        self.copied[table_name] = (pyarrow.table(source), column_mappings)


@pytest.mark.parametrize("is_tenant", [True, False])
def test_the_load_of_sql_server_names_the_columns(run, job, tmp_path, monkeypatch, is_tenant):
    """The dataset of a tenant has fewer columns than the tables. SQL Server itself is not tested."""
    columns = "person = ['pnr', 'status'], address = ['pnr', 'municipality_code'], name = ['surname']"
    job.configure(EVERYTHING + tenant("school", f"columns = {{ {columns} }}"))
    job.night(0)
    report = cprflow.sync(job.config)
    assert report.ok, report.problems
    dataset = job.root / "tenants" / "school" if is_tenant else job.dataset
    section = DEPLOY.read_text().split("\n## SQL Server\n")[1].split("\n## ")[0]
    [script] = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    server = SqlServer()
    monkeypatch.setitem(sys.modules, "mssql_python", server)
    (tmp_path / "dataset").symlink_to(dataset)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, str(DEPLOY), "exec"), {})
    created = ddl_columns(run, "mssql")
    now = cprflow.dataset(dataset, irregular="json").generation()
    assert set(server.copied) == {"cpr.person", "cpr.address", "cpr.name"}
    for place, (rows, names) in server.copied.items():
        name = place.removeprefix("cpr.")
        assert rows.num_rows == now.rows[name] > 0
        assert names == rows.schema.names == [column for column in created[name] if column in names]
        assert (len(names) < len(created[name])) == is_tenant, name
