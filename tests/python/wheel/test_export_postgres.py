"""`cprflow export --to postgresql://…`."""

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys

import cprflow
import pyarrow
import pytest

import exports
from conftest import EVERYTHING
from export_kills import Kills
from export_list import List
from export_rows import Rows
from exports import current, normal, own_persons

exports.require("CPRFLOW_REQUIRE_POSTGRES", "adbc_driver_postgresql", "adbc_driver_manager")

from adbc_driver_postgresql import dbapi  # noqa: E402

PASSWORD = "s3cret/pa:ss"


def programs():
    """Returns the directory of PostgreSQL's programs."""
    found = [pathlib.Path(shutil.which("initdb") or "/nowhere")]
    found += sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[4]))
    if not found[-1].is_file():
        exports.missing("CPRFLOW_REQUIRE_POSTGRES", "the server of PostgreSQL is not installed")
    return found[-1].parent


PROGRAMS = programs()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The directory of a server's socket. It takes no connections from the network."""
    # The path of a socket has at most 107 bytes.
    root = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/cprflow-postgres-XXXXXX"], text=True).strip())
    # PostgreSQL does not run as root.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(root, user)
    data = root / "data"
    settings = f"-c listen_addresses= -c unix_socket_directories={root} -c fsync=off"

    def call(program, *arguments):
        command = [*as_user, PROGRAMS / program, *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    call("initdb", "-D", data, "-U", "owner", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
    call("pg_ctl", "start", "-w", "-D", data, "-l", root / "log", "-o", settings)
    try:
        hba = data / "pg_hba.conf"
        hba.write_text(f"local all guarded scram-sha-256\n{hba.read_text()}")
        call("pg_ctl", "reload", "-D", data)
        yield root
    finally:
        call("pg_ctl", "stop", "-D", data, "-m", "immediate")
        shutil.rmtree(root)


class Schema:
    """A schema of a database."""

    kind = "postgresql"
    types = {
        "text": "text",
        "json": "jsonb",
        "date": "date",
        "ntz": "timestamp without time zone",
        "utc": "timestamp with time zone",
        "boolean": "boolean",
    }

    def __init__(self, server, database, name='the "cpr" data'):
        self.to = f"postgresql://owner@/{database}?host={server}"
        self.name = name
        self.options = ["--schema", name]
        self.keywords = {"schema": name}
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()

    def query(self, statement, *values):
        # A reader has a connection of its own, and sees what is committed.
        if self.connection is None:
            self.connection = dbapi.connect(self.to, autocommit=True)
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetch_arrow_table() if cursor.description else None

    def quoted(self, table):
        quoted = self.name.replace('"', '""')
        return f'"{quoted}"."{table}"'

    def rows(self, table):
        # ADBC gives times without a zone a unit of their own, and JSON as an extension type.
        found = self.query(f"SELECT * FROM {self.quoted(table)}")
        return found.set_column(
            found.schema.get_field_index("irregular"),
            "irregular",
            pyarrow.array(found.column("irregular").to_pylist(), pyarrow.string()),
        ) if "irregular" in found.column_names else found

    def list(self, statement, *values):
        return [tuple(row.values()) for row in self.query(statement, *values).to_pylist()]

    def tables(self):
        statement = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 AND tablename NOT LIKE 'cprflow%'"
        return {name for (name,) in self.list(statement, self.name)}

    def recorded(self, table):
        [(number,)] = self.list(f"SELECT generation FROM {self.quoted('cprflow_export_table')} WHERE name = $1", table)
        return number

    def columns(self, table):
        found = self.list(
            "SELECT attname::text, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute "
            "WHERE attrelid = $1::text::regclass AND attnum > 0",
            self.quoted(table),
        )
        return {name: kind for name, kind, _ in found}, {name: comment for name, _, comment in found}

    def table_comment(self, table):
        [(comment,)] = self.list("SELECT obj_description($1::text::regclass)", self.quoted(table))
        return comment

    def question(self, sql):
        for table in ["person", "address", "parents"]:
            sql = sql.replace(f"FROM {table} ", f"FROM {self.quoted(table)} ")
            sql = sql.replace(f"JOIN {table} ", f"JOIN {self.quoted(table)} ")
        return self.list(sql)

    answer = "[list(row) for row in children]"

    def example(self):
        # The schema is the default one.
        return exports.example("PostgreSQL").replace("postgresql://db.example/cpr", self.to)

    def check_readable(self, names):
        assert self.tables() == set() or self.tables() == set(names)

    def check_between(self, seen, before, after):
        """All tables change at once."""
        before, after = ({name: rows[name] for name in seen} for rows in (before, after))
        assert seen in (before, after)


@pytest.fixture
def database(server, request):
    name = f"test_{abs(hash(request.node.nodeid))}"
    to = f"postgresql://owner@/postgres?host={server}"
    with dbapi.connect(to, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def sink(server, database):
    schema = Schema(server, database)
    yield schema
    schema.close()


STEPS = exports.steps("postgresql")


class TestPostgres(Rows, Kills, List):
    @pytest.fixture(params=STEPS)
    def current_step(self, request):
        return request.param

    @pytest.fixture(params=STEPS)
    def delivery_step(self, request):
        return request.param

    @pytest.fixture
    def column_step(self):
        # Columns are added in the transaction.
        return "loaded:person"


@pytest.fixture
def export(run, sink, two_nights):
    def export(*options, to=None, code=0, **environment):
        arguments = ["export", two_nights.dataset, "--to", to or sink.to, *sink.options, *options]
        ended = run(*arguments, env={**os.environ, **environment})
        assert ended.returncode == code, ended.stderr.decode()
        return ended.stderr.decode() if code else ended.stdout.decode()

    return export


def test_only_persons_with_a_difference_are_written(sink, export, two_nights):
    export("--table", "person", "--table", "name_history")
    places = dict(sink.list(f"SELECT pnr, xmin::text FROM {sink.quoted('person')}"))
    two_nights.night(2, persons=60)
    assert cprflow.sync(two_nights.config).ok
    export("--table", "person", "--table", "name_history")
    after = dict(sink.list(f"SELECT pnr, xmin::text FROM {sink.quoted('person')}"))
    kept = [pnr for pnr in after if places.get(pnr) == after[pnr]]
    assert 30 < len(kept) < len(after)
    assert normal(sink.rows("person")) == current(two_nights.dataset)["person"]
    assert normal(sink.rows("name_history")) == current(two_nights.dataset)["name_history"]


def test_equal_rows_and_rows_without_a_number_are_counted(sink):
    """A row can occur more than once, in a table with person numbers and in one without."""
    from cprflow.export.postgres import Postgres
    from cprflow.export.schema import Column
    from cprflow.export.target import parse

    columns = [Column("pnr", "text", "x"), Column("value", "text", "x")]
    cases = [
        [("a", "1"), ("a", "1"), ("b", "2"), (None, "3"), (None, "3")],
        [("a", "1"), ("b", "2"), ("b", "2"), (None, "3")],
        [("a", None), ("a", None), (None, None)],
        [("a", None), (None, None), (None, None)],
        [],
        [(None, "4")],
    ]
    for own in (columns, columns[1:]):
        with Postgres(parse(sink.to), f"merge{len(own)}") as target:
            target.prepare("current", None)
            types = target._prepare_table("t", own, None, index=["pnr"])
            for case in cases:
                rows = [row[-len(own) :] for row in case]
                values = [pyarrow.array([row[at] for row in rows], pyarrow.string()) for at in range(len(own))]
                new = pyarrow.table(values, [one.name for one in own])
                target._cursor.adbc_ingest("cprflow_new", new, mode="create", temporary=True)
                target._merge("t", types, own)
                found = target._query(f"SELECT {', '.join(one.name for one in own)} FROM {target._name('t')}")
                assert sorted(map(str, map(tuple, found))) == sorted(map(str, rows)), case


def test_the_password_is_not_told(server, database, sink, export, two_nights):
    sink.query(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    sink.query(f"GRANT CREATE ON DATABASE {database} TO guarded")
    to = f"postgresql://guarded@/{database}?host={server}"
    encoded = PASSWORD.replace("/", "%2F").replace(":", "%3A")
    with_password = to.replace("guarded@", f"guarded:{encoded}@")
    assert "needs a password" in export("--table", "person", to=to, code=2)
    assert "the password is wrong" in export("--table", "person", to=to, code=2, PGPASSWORD="x")
    messages = [
        export("--table", "person", to=with_password),
        export("--table", "person", "--format", "json", to=with_password),
        export("--table", "nothing", to=with_password, code=2),
        export("--table", "person", to=with_password.replace(database, "nowhere"), code=2),
        export("--table", "person", to=with_password.replace(encoded, encoded + "%zz"), code=2),
        export("--table", "person", to=with_password + "&nonsense=1", code=2),
        export("--table", "person", to=with_password.replace("//guarded", "//[guarded"), code=2),
        export("--table", "person", with_password, code=2),
        export("--table", "person", to=with_password.replace("postgresql:", "mysql:"), code=2),
        *[one.read_text() for one in (two_nights.dataset / "_exports").iterdir()],
    ]
    for message in messages:
        assert PASSWORD not in message and encoded not in message and "guarded" not in message, message
    # The same target, however the password comes.
    assert "0 of 1 tables changed" in export("--table", "person", to=to, PGPASSWORD=PASSWORD)
    passfile = two_nights.root / "pgpass"
    passfile.write_text(f"*:*:*:guarded:{PASSWORD.replace(':', chr(92) + ':')}\n")
    passfile.chmod(0o600)
    assert "0 of 1 tables changed" in export("--table", "person", to=to, PGPASSFILE=str(passfile))
    service = two_nights.root / "services"
    service.write_text(f"[cpr]\nhost={server}\ndbname={database}\nuser=guarded\n")
    by_service = export(
        "--table", "person", to="postgresql://?service=cpr", PGSERVICEFILE=str(service), PGPASSWORD=PASSWORD
    )
    assert "0 of 1 tables changed" in by_service
    assert len(list((two_nights.dataset / "_exports").glob("*.json"))) == 1


def test_values_of_persons_are_not_told(server, sink, export, two_nights):
    """PostgreSQL's own texts have the values of the row that it refuses."""
    export("--table", "person")
    two_nights.night(2, persons=60)
    assert cprflow.sync(two_nights.config).ok
    before = normal(sink.rows("person"))
    sink.query(f"ALTER TABLE {sink.quoted('person')} ADD CONSTRAINT not_new CHECK (as_of < '2026-03-04')")
    message = export("--table", "person", code=2)
    assert "SQLSTATE 23514" in message and "constraint" in message
    assert not [pnr for pnr in own_persons(two_nights) if pnr in message]
    # Nothing was changed, and the next run is complete.
    assert normal(sink.rows("person")) == before
    sink.query(f"ALTER TABLE {sink.quoted('person')} DROP CONSTRAINT not_new")
    export("--table", "person")
    assert normal(sink.rows("person")) == current(two_nights.dataset)["person"]


def test_what_a_role_needs(server, database, sink, export, two_nights):
    """The statements of docs/export.md are enough for the export and for a reader."""

    def call(role, *options, code=0):
        return export("--schema", "cpr", "--table", "person", *options, to=sink.to.replace("owner", role), code=code)

    statements = re.search(r"^```sql\n(.*?)^```$", exports.PAGE.read_text(), flags=re.MULTILINE | re.DOTALL).group(1)
    statements = [line.partition("--")[0].rstrip(" ;") for line in statements.splitlines()]
    sink.query(statements[0])
    assert "lacks a privilege" in call("cprflow", code=2)
    for statement in statements[1:]:
        sink.query(statement.replace("DATABASE cpr", f"DATABASE {database}"))
    assert "1 of 1 tables changed" in call("cprflow")
    reader = sink.to.replace("owner", "reporting")
    with dbapi.connect(reader, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pnr FROM cpr.person")
        assert sorted(pnr for (pnr,) in cursor.fetchall()) == own_persons(two_nights)
    assert "lacks a privilege" in call("reporting", code=2)


def test_columns_of_others_and_new_columns(sink, export, two_nights):
    """A column that a newer version of cprflow has is added. Columns that others added stay."""
    export("--table", "person")
    sink.query(f"ALTER TABLE {sink.quoted('person')} DROP COLUMN occupation, ADD COLUMN note text DEFAULT 'own'")
    two_nights.night(2, persons=60)
    assert cprflow.sync(two_nights.config).ok
    export("--table", "person")
    types, comments = sink.columns("person")
    assert types["occupation"] == "text" and comments["occupation"].startswith("CPR: STILLING")
    assert normal(sink.rows("person").drop_columns(["note"])) == current(two_nights.dataset)["person"]
    sink.query(f"ALTER TABLE {sink.quoted('person')} ALTER COLUMN sex TYPE varchar(1)")
    two_nights.night(3, persons=60)
    assert cprflow.sync(two_nights.config).ok
    message = export("--table", "person", code=2)
    assert "column sex of the exported table person has the type character varying(1)" in message


def test_foreign_tables_are_not_touched(sink, export):
    export("--table", "address")
    sink.query(f"CREATE TABLE {sink.quoted('person')} (pnr text)")
    assert "was not made by `cprflow export`" in export("--table", "person", code=2)


def test_a_table_that_was_dropped_is_made_again(sink, export, two_nights):
    for options in [[], ["--schema", "feed", "--since", "0", "--config", two_nights.config]]:
        export("--table", "address", *options)
        schema = Schema(sink.to.partition("host=")[2], "", "feed") if options else sink
        schema.connection = sink.connection
        before = normal(schema.rows("address"))
        sink.query(f"DROP TABLE {schema.quoted('address')}")
        export("--table", "address", *options)
        assert normal(schema.rows("address")) == before


def test_characters_that_postgresql_cannot_store(sink, run, job):
    """U+0000 in a text and in JSON is replaced."""
    path = job.root / "extract"
    cprflow.generate(path, persons=60, seed=5, busy=True)
    lines = path.read_bytes().split(b"\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(b"001"))
    # The occupation, and the date of birth: it becomes irregular.
    lines[at] = lines[at][:39] + b"19\x00x\\u0000" + lines[at][49:75] + b"A\x00B" + lines[at][78:]
    path.write_bytes(b"\n".join(lines))
    job.configure(EVERYTHING + "accept = ['control-characters']\n")
    job.put(path, 1)
    report = cprflow.sync(job.config)
    assert report.ok, (report.problems, report.set_aside)
    ended = run("export", job.dataset, "--to", sink.to, *sink.options, "--table", "person")
    assert ended.returncode == 0, ended.stderr
    expected = current(job.dataset)["person"]
    assert any(r"\u0000" in row for row in expected)
    replaced = []
    for row in map(json.loads, expected):
        values = {name: value.replace("\0", "\ufffd") for name, value in (row["irregular"] or {}).items()}
        row = {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in row.items()}
        replaced.append(json.dumps({**row, "irregular": values or None}, sort_keys=True))
    assert normal(sink.rows("person")) == sorted(replaced)
    assert any(json.loads(row)["irregular"] for row in replaced)


def test_a_database_that_goes_away(server, database, sink, run, two_nights):
    """The connection is lost in the middle: nothing was changed."""
    script = f"""
import cprflow.export, cprflow.export.postgres as postgres
import adbc_driver_postgresql.dbapi as dbapi

def reached(step):
    if step == "merged:person":
        with dbapi.connect({sink.to!r}, autocommit=True) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                           "AND pid <> pg_backend_pid()")

postgres.reached = reached
try:
    cprflow.export.run({str(two_nights.dataset)!r}, {sink.to!r}, schema={sink.name!r}, tables=["person"])
except cprflow.export.TargetError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "cannot export to" in ended.stdout and "SQLSTATE" in ended.stdout
    assert sink.tables() == set()


@pytest.mark.parametrize("is_current", [True, False])
def test_the_tables_of_ddl_take_the_rows(server, database, run, two_nights, is_current):
    """`cprflow ddl` makes the tables, without the export."""
    schema = Schema(server, database, "ddl")
    statements = run("ddl", "--dialect", "postgres", "--schema", "ddl", *([] if is_current else ["--deliveries"]))
    assert statements.returncode == 0, statements.stderr
    psql = [PROGRAMS / "psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-h", server, "-U", "owner", database]
    made = subprocess.run(psql, input=statements.stdout, capture_output=True)
    assert made.returncode == 0, made.stderr
    dataset = cprflow.dataset(two_nights.dataset, irregular="json")
    now = dataset.generation() if is_current else dataset.deliveries()[0]
    names = now.tables if is_current else list(now.rows)
    with dbapi.connect(schema.to, autocommit=True) as connection, connection.cursor() as cursor:
        for name in names:
            rows = pyarrow.table(now.table(name))
            types, _ = schema.columns(name)
            assert list(types) == rows.column_names, name
            cursor.adbc_ingest("new", rows, mode="create", temporary=True)
            # Only JSON must be converted. The other columns come by position.
            columns = ", ".join("irregular::jsonb" if column == "irregular" else f'"{column}"' for column in rows.column_names)
            cursor.execute(f"INSERT INTO {schema.quoted(name)} SELECT {columns} FROM pg_temp.new")
            cursor.execute("DROP TABLE pg_temp.new")
            assert normal(schema.rows(name)) == normal(rows), name
    _, comments = schema.columns("person")
    assert comments["birth_date"].startswith("FOED") and schema.table_comment("person")
    schema.close()


def test_missing_packages_are_named(two_nights):
    script = (
        "import sys; sys.modules['adbc_driver_postgresql'] = None; "
        f"sys.argv[1:] = ['export', {str(two_nights.dataset)!r}, '--to', 'postgresql://x']; "
        "import cprflow._command; cprflow._command.main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 2 and "pip install 'cprflow[export]'" in ended.stderr


def test_a_wrong_command_line(run, two_nights):
    for arguments, text in [
        ([], b"--to"),
        (["--to", "sqlite:x"], b"delta:PATH"),
        (["--to", "delta:x", "--since", "x"], b"SEQUENCE must be a whole number"),
        (["--to", "delta:x", "--since", "0101965058x"], b"SEQUENCE"),
        (["--to", "delta:x", "--current", "--since", "1"], b"not allowed with"),
        (["--to", "delta:x", "--0101965058"], b"[number]"),
        (["--to", "delta:x", "--vacuum", "-1"], b"HOURS"),
    ]:
        ended = run("export", two_nights.dataset, *arguments)
        assert ended.returncode == 2 and text in ended.stderr and b"0101965058" not in ended.stderr, ended.stderr
    ended = run("export", "--help")
    assert ended.returncode == 0 and b"Exit codes:" in ended.stdout and b"Examples:" in ended.stdout
