"""The ready answers in PostgreSQL, over the tables of `cprflow export`: every row and column is that of DuckDB."""

import subprocess

import exports

exports.require("CPRFLOW_REQUIRE_POSTGRES", "adbc_driver_postgresql", "adbc_driver_manager")

import cprflow.export  # noqa: E402
import pytest  # noqa: E402
from adbc_driver_postgresql import dbapi  # noqa: E402

import ready_answers  # noqa: E402
from test_export_postgres import PROGRAMS, database, server  # noqa: E402, F401 (fixtures)


class Answers:
    """The answers over a schema of a database."""

    def __init__(self, server, database, schema="cpr"):
        self.to = f"postgresql://owner@/{database}?host={server}"
        self.schema = schema
        self.own = '"' + f"{schema}_answers".replace('"', '""') + '"'

    def psql(self, sql, *options, code=0):
        """Runs statements as the documentation says."""
        command = [PROGRAMS / "psql", "-q", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *options, self.to]
        ended = subprocess.run(command, input=sql, capture_output=True, text=True)
        assert ended.returncode == code, ended.stderr
        return ended.stderr if code else ended.stdout

    def ask(self, query, settings=""):
        with dbapi.connect(self.to) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {self.own}")
            if settings:
                cursor.execute(settings)
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def create(self, run, dataset, **options):
        cprflow.export.run(dataset, self.to, schema=self.schema, **options)
        self.psql(ready_answers.statements(run, "postgres", dataset, "--schema", self.schema))


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    datasets = ready_answers.busy(tmp_path_factory.mktemp("busy"))
    for dataset in datasets:
        ready_answers.judge_on_the_day_of_the_last_delivery(dataset)
    return datasets


def test_every_answer_is_that_of_duckdb(run, server, database, busy, capsys):  # noqa: F811
    for number, dataset in enumerate(busy):
        # A name with characters that must be quoted.
        made = Answers(server, database, f'the "cpr" data {number}')
        made.create(run, dataset)
        counts = ready_answers.compare(made.ask, run, dataset, capsys)
        assert counts["resident"] > 0 and counts["new_since 400"] > 0
        if number == 0:
            empty = {name for name, rows in counts.items() if rows == 0 and not name.startswith("columns of ")}
            # No person was delivered after today.
            assert empty == {"new_since 0"}, counts
    # This dataset does not tell who is protected, so that a query for unprotected persons finds none.
    assert counts["residents_without_protected"] == 0


def test_scenarios(run, server, database, tmp_path, capsys):  # noqa: F811
    dataset = ready_answers.scenarios(tmp_path, run)
    made = Answers(server, database)
    made.create(run, dataset)
    counts = ready_answers.compare(made.ask, run, dataset, capsys)
    # The person of the chain had three numbers. The agreements of the other scenarios still deliver the first as a resident, so
    # only the second was replaced.
    assert counts["number_changes"] == 1 and counts["protected"] > 0 and counts["deaths"] > 0


def test_times_as_points_in_time_and_other_settings(run, server, database, busy, capsys):  # noqa: F811
    """Neither --timestamps nor the settings of a session change a day."""
    made = Answers(server, database)
    made.create(run, busy[0], timestamps="utc")
    for settings in ("SET timezone = 'America/Los_Angeles'", "SET datestyle = 'SQL, DMY'"):
        ready_answers.compare(lambda query, settings=settings: made.ask(query, settings), run, busy[0], capsys)


def test_the_answers_follow_the_export(run, server, database, two_nights):  # noqa: F811
    """The views need not be made again after an export. They can be, and then keep their privileges and what reads them."""
    job = two_nights
    made = Answers(server, database)
    made.create(run, job.dataset)
    today = "SELECT generation FROM today"
    delivered = "SELECT max(as_of) FROM new_since(DATE '2000-01-01')"
    before = made.ask(today), made.ask(delivered)
    made.psql("CREATE ROLE reporting; GRANT USAGE ON SCHEMA cpr_answers TO reporting")
    made.psql("GRANT SELECT ON ALL TABLES IN SCHEMA cpr_answers TO reporting")
    made.psql("CREATE VIEW public.mine AS SELECT pnr FROM cpr_answers.resident")
    job.night(2, persons=60)
    assert cprflow.sync(job.config).ok
    cprflow.export.run(job.dataset, made.to)
    after = made.ask(today), made.ask(delivered)
    assert after[0][0][0] > before[0][0][0] and after[1] > before[1]
    statements = ready_answers.statements(run, "postgres", job.dataset)
    made.psql(statements)
    # A reader of the answers needs no privilege in the schema of the export.
    for what in ("resident", "new_since(DATE '2000-01-01')"):
        made.psql(f"SET ROLE reporting; SELECT * FROM cpr_answers.{what}")
    assert "42501" in made.psql("SET ROLE reporting; SELECT * FROM cpr.person", "-v", "VERBOSITY=verbose", code=3)
    made.psql("SELECT * FROM public.mine")
    # The statements fail as a whole if the tables are not there.
    empty = Answers(server, database, "other")
    assert "does not exist" in empty.psql(ready_answers.statements(run, "postgres", job.dataset, "--schema", "other"), code=3)
    assert made.ask("SELECT 1 FROM pg_namespace WHERE nspname = 'other_answers'") == []


def test_an_older_export_gets_the_day(run, server, database, two_nights):  # noqa: F811
    """A schema that was exported before there was a day gets it from an export that changes nothing else."""
    made = Answers(server, database)
    cprflow.export.run(two_nights.dataset, made.to)
    made.psql("DROP TABLE cpr.cprflow_export_day")
    done = cprflow.export.run(two_nights.dataset, made.to)
    assert done.changed == []
    [(generation, day)] = made.ask("SELECT generation, day FROM cpr.cprflow_export_day")
    manifest = cprflow.dataset(two_nights.dataset).generation().manifest
    assert (generation, day.isoformat()) == (manifest["number"], manifest["day"])
