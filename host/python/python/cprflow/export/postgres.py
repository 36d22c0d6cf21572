"""PostgreSQL: all tables change in one transaction, which also records the generation or the place in the change feed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import pyarrow
import pyarrow.compute

try:
    from adbc_driver_postgresql import dbapi
except ImportError as error:
    raise ImportError(
        "the export to PostgreSQL needs adbc-driver-postgresql and adbc-driver-manager: pip install 'cprflow[export]'"
    ) from error

import cprflow
from cprflow.export import schema
from cprflow.export.errors import TargetError
from cprflow.export.listing import CONTENTS
from cprflow.export.rows import Rows
from cprflow.export.schema import Column
from cprflow.export.source import Current, Deliveries, DeliveryKey
from cprflow.export.steps import reached
from cprflow.export.target import Target

# PostgreSQL's own names for the types of `Column`.
_TYPES = {
    "text": "text",
    "json": "jsonb",
    "date": "date",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "boolean": "boolean",
    "bigint": "bigint",
}

# The tables in which the export keeps what it has done. They have no value of a person's record.
_STATE = {
    "cprflow_export": "singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), id uuid NOT NULL, content text NOT NULL, tenant text",
    "cprflow_export_table": "name text PRIMARY KEY, generation bigint NOT NULL",
    "cprflow_export_feed": "name text, agreement text, sequence bigint NOT NULL, PRIMARY KEY (name, agreement)",
    "cprflow_export_delivery": (
        "name text, agreement text, delivery text, sequence bigint NOT NULL, PRIMARY KEY (name, agreement, delivery)"
    ),
    "cprflow_export_day": (
        "singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), generation bigint NOT NULL, day date NOT NULL"
    ),
}

# What the database answers, in our words: its own can have values of rows.
_REASONS = {
    "08": "the connection was lost",
    "22": "the database refused a value",
    "23": "a constraint was violated that is not from cprflow. Remove constraints and triggers from the exported tables",
    "25006": "the database is read-only",
    "40": "another transaction was in the way. Run the export again",
    "42501": "the role lacks a privilege, see docs/export.md",
    "42P01": "a table is gone that another program removed",
    "53100": "the disk of the database is full",
    "53": "the database lacks resources",
    "55P03": "a lock was not free in time. Run the export again",
    "57014": "the statement was cancelled or took longer than statement_timeout",
    "57": "the database was stopped. Run the export again",
}

# Texts of libpq when it cannot connect, and what is said instead: its own text can have the password.
_CONNECTION_REASONS = {
    "password authentication failed": "the password is wrong",
    "no password supplied": "it needs a password: set PGPASSWORD or write ~/.pgpass",
    "no pg_hba.conf entry": "pg_hba.conf does not allow it",
    "Peer authentication failed": "the operating system's user may not log in as that role",
    "does not exist": "the database or the role does not exist",
    "Connection refused": "nothing listens there",
    "No such file or directory": "nothing listens on that socket",
    "could not translate host name": "the host name is unknown",
    "timeout expired": "it does not respond",
    "certificate": "its certificate is not accepted",
    "invalid": "the postgresql:// URL is not valid",
}

_NEW = "pg_temp.cprflow_new"
_CHANGED = "pg_temp.cprflow_changed"


class Postgres:
    """A schema of a database that gets the content of one source."""

    def __init__(self, target: Target, schema_name: str) -> None:
        if not schema_name or "\0" in schema_name:
            raise cprflow.RequestError("the name of the schema must not be empty")
        self._target = target
        self._schema = schema_name
        # The agreements of which each table had rows before, for deliveries.
        self.agreements: dict[str, set[str]] = {}

    def __enter__(self) -> Postgres:
        try:
            self._connection = dbapi.connect(self._target.address)
        except dbapi.Error as error:
            text = str(error)
            reason = next((ours for theirs, ours in _CONNECTION_REASONS.items() if theirs in text), "libpq gives no reason")
            raise TargetError(f"cannot connect to {self._target.name}: {reason}") from None
        self._cursor = self._connection.cursor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cursor.close()
        self._connection.close()

    def prepare(self, content: str, tenant: str | None) -> str:
        """Make the schema and the tables of the export's state. Returns what identifies the target."""
        with self._errors():
            # CREATE SCHEMA IF NOT EXISTS needs a privilege even if the schema exists.
            if not self._query("SELECT 1 FROM pg_namespace WHERE nspname = $1", self._schema):
                self._execute(f"CREATE SCHEMA {_quoted(self._schema)}")
            for name, columns in _STATE.items():
                if self._relation(name) is None:
                    self._execute(f"CREATE TABLE {self._name(name)} ({columns})")
            state = self._name("cprflow_export")
            self._execute(
                f"INSERT INTO {state} (id, content, tenant) VALUES ($1::uuid, $2::text, nullif($3::text, '')) "
                "ON CONFLICT DO NOTHING",
                str(uuid.uuid4()),
                content,
                tenant or "",
            )
            [(identity, found, owner)] = self._query(f"SELECT id::text, content, tenant FROM {state}")
            self._connection.commit()
        if (found, owner) != (content, tenant):
            raise TargetError(
                f"the schema {self._schema} of the target has the {_described(found, owner)}, and not the "
                f"{_described(content, tenant)}. Export to another --schema."
            )
        reached("prepared")
        return str(identity)

    def tables(self) -> set[str]:
        """Return the tables that were exported to the schema."""
        with self._errors():
            return {name for (name,) in self._query(f"SELECT name FROM {self._name('cprflow_export_table')}")}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything or nothing. Waits for another export to the schema."""
        with self._errors():
            try:
                self._query(f"SELECT 1 FROM {self._name('cprflow_export')} FOR UPDATE")
                yield
                reached("before-commit")
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise
        reached("committed")

    def export_current(self, source: Current, table: str) -> Mapping[str, object]:
        """Make a table that of the generation. Only persons with a difference are written. Returns what was done."""
        state = self._name("cprflow_export_table")
        relation = self._known_relation(table)
        known = self._query(f"SELECT generation FROM {state} WHERE name = $1", table)
        recorded = known[0][0] if known else 0
        source.check(recorded, table)
        if recorded == source.number:
            return {"changed": False}
        own = source.columns(table)
        if relation is None and not own:
            return {"changed": False}
        types = self._prepare_table(table, own, relation, index=["pnr"])
        self._execute(
            f"INSERT INTO {state} VALUES ($1, $2::bigint) ON CONFLICT (name) DO UPDATE SET generation = excluded.generation",
            table,
            source.number,
        )
        if recorded and source.is_unchanged(table, recorded):
            return {"changed": False}
        rows = source.rows(table, schema.arrow(own))
        if own:
            self._load(rows, table)
        written, removed = self._merge(table, types, own)
        reached(f"merged:{table}")
        return {"changed": bool(written or removed), "rows_written": written, "rows_removed": removed}

    def record_day(self, source: Current) -> None:
        """Record the day for which the generation was made. The ready answers of `cprflow views` read it as today."""
        state = self._name("cprflow_export_day")
        self._execute(
            f"INSERT INTO {state} (generation, day) VALUES ($1::bigint, $2::text::date) ON CONFLICT (singleton) DO UPDATE "
            f"SET generation = excluded.generation, day = excluded.day WHERE {state}.generation < excluded.generation",
            source.number,
            source.day,
        )

    def export_deliveries(self, source: Deliveries, table: str) -> Mapping[str, object]:
        """Make the deliveries of a table those of the feed. Returns what was done."""
        feed, deliveries = self._name("cprflow_export_feed"), self._name("cprflow_export_delivery")
        relation = self._known_relation(table)
        source.check(dict(self._query(f"SELECT agreement, sequence FROM {feed} WHERE name = $1", table)), table)
        exported = self._query(f"SELECT agreement, delivery, sequence FROM {deliveries} WHERE name = $1", table)
        self.agreements[table] = {agreement for agreement, _, _ in exported}
        plan = source.plan(table, {(agreement, delivery): number for agreement, delivery, number in exported})
        own = source.columns(table, plan.added) if plan.added or relation is None else []
        if own:
            self._prepare_table(table, own, relation, index=["agreement", "delivery"])
            self._execute(f"INSERT INTO {self._name('cprflow_export_table')} VALUES ($1, 0) ON CONFLICT DO NOTHING", table)
        removed = sum(self._remove(table, key) for key in plan.removed)
        written = 0
        if plan.added:
            rows = source.rows(table, schema.arrow(own), plan.added)
            self._load(rows, table)
            names = ", ".join(_quoted(one.name) for one in own)
            written = self._execute(f"INSERT INTO {self._name(table)} ({names}) SELECT {_selected(own)} FROM {_NEW}")
            self._execute(f"DROP TABLE {_NEW}")
        for (agreement, delivery), number in plan.added.items():
            self._execute(f"INSERT INTO {deliveries} VALUES ($1, $2, $3, $4::bigint)", table, agreement, delivery, number)
        for agreement, number in source.sequences.items():
            self._execute(
                f"INSERT INTO {feed} VALUES ($1, $2, $3::bigint) "
                "ON CONFLICT (name, agreement) DO UPDATE SET sequence = excluded.sequence",
                table,
                agreement,
                number,
            )
        reached(f"merged:{table}")
        return {"changed": bool(written or removed), "rows_written": written, "rows_removed": removed}

    def _remove(self, table: str, key: DeliveryKey) -> int:
        self._execute(
            f"DELETE FROM {self._name('cprflow_export_delivery')} WHERE name = $1 AND agreement = $2 AND delivery = $3",
            table,
            *key,
        )
        return self._execute(f"DELETE FROM {self._name(table)} WHERE agreement = $1 AND delivery = $2", *key)

    def _known_relation(self, table: str) -> int | None:
        """Return the exported table, or None if there is none. Refuses a table of others."""
        relation = self._relation(table)
        is_known = bool(self._query(f"SELECT 1 FROM {self._name('cprflow_export_table')} WHERE name = $1", table))
        if relation is not None and not is_known:
            raise TargetError(
                f"{self._name(table)} exists in the target and was not made by `cprflow export`. Export to another "
                "--schema, or rename it."
            )
        if relation is None and is_known:
            # Somebody dropped the table, so that it is made again.
            for state in ("cprflow_export_table", "cprflow_export_feed", "cprflow_export_delivery"):
                self._execute(f"DELETE FROM {self._name(state)} WHERE name = $1", table)
        return relation

    def _prepare_table(
        self, table: str, columns: list[Column], relation: int | None, *, index: list[str]
    ) -> dict[str, str]:
        """Make a table, or add columns that it lacks. Returns the types of all its columns, in PostgreSQL's words."""
        name = self._name(table)
        if relation is None:
            definitions = ", ".join(f"{_quoted(one.name)} {_TYPES[one.type]}" for one in columns)
            self._execute(f"CREATE TABLE {name} ({definitions})")
            self._execute(f"COMMENT ON TABLE {name} IS {_literal(schema.table_comment(table))}")
            indexed = [one for one in index if one in {column.name for column in columns}]
            if indexed:
                self._execute(f"CREATE INDEX ON {name} ({', '.join(map(_quoted, indexed))})")
            lacking = columns
        else:
            lacking = schema.missing(table, self._types(relation), columns)
            for one in lacking:
                self._execute(f"ALTER TABLE {name} ADD COLUMN {_quoted(one.name)} {_TYPES[one.type]}")
        for one in lacking:
            self._execute(f"COMMENT ON COLUMN {name}.{_quoted(one.name)} IS {_literal(one.comment)}")
        return {column: _TYPES.get(kind, kind) for column, kind in self._types(self._relation(table)).items()}

    def _load(self, rows: Rows, table: str) -> None:
        """Copy rows into a temporary table."""
        try:
            self._cursor.adbc_ingest("cprflow_new", _storable(rows), mode="create", temporary=True)
        except dbapi.Error:
            if rows.error is not None:
                raise rows.error from None
            raise
        reached(f"loaded:{table}")

    def _merge(self, table: str, types: Mapping[str, str], own: list[Column]) -> tuple[int, int]:
        """Replace the rows of the persons who have a difference. Returns how many rows were written and removed.

        A person can have several rows in a table, also equal ones. So the sets of rows are compared, with EXCEPT ALL.
        """
        name = self._name(table)
        if not own:
            return 0, self._execute(f"DELETE FROM {name}")
        given = {one.name for one in own}
        names = ", ".join(map(_quoted, types))
        # A column that the source has no longer is null.
        new = ", ".join(
            f"{_quoted(column)}::{kind}" if column in given else f"NULL::{kind} AS {_quoted(column)}"
            for column, kind in types.items()
        )
        new = f"SELECT {new} FROM {_NEW}"
        old = f"SELECT {names} FROM {name}"
        key = "pnr" if "pnr" in types and "pnr" in given else "1 AS pnr"
        self._execute(
            f"CREATE TEMPORARY TABLE cprflow_changed AS SELECT {key} FROM ({new} EXCEPT ALL {old}) AS came "
            f"UNION SELECT {key} FROM ({old} EXCEPT ALL {new}) AS went"
        )
        if key == "pnr":
            condition = (
                f"pnr IN (SELECT pnr FROM {_CHANGED} WHERE pnr IS NOT NULL) "
                f"OR pnr IS NULL AND EXISTS (SELECT FROM {_CHANGED} WHERE pnr IS NULL)"
            )
        else:
            condition = f"EXISTS (SELECT FROM {_CHANGED})"
        removed = self._execute(f"DELETE FROM {name} WHERE {condition}")
        written = self._execute(f"INSERT INTO {name} ({names}) SELECT {names} FROM ({new}) AS new WHERE {condition}")
        self._execute(f"DROP TABLE {_CHANGED}")
        self._execute(f"DROP TABLE {_NEW}")
        return written, removed

    def _name(self, table: str) -> str:
        return f"{_quoted(self._schema)}.{_quoted(table)}"

    def _relation(self, table: str) -> int | None:
        found = self._query(
            "SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relname = $2",
            self._schema,
            table,
        )
        return found[0][0] if found else None

    def _types(self, relation: int | None) -> dict[str, str]:
        """Return the types of a table's columns. Other types than ours keep the name that PostgreSQL has for them."""
        ours = {theirs: own for own, theirs in _TYPES.items()}
        found = self._query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = $1::bigint::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            relation,
        )
        return {name: ours.get(kind, kind) for name, kind in found}

    def _query(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        self._cursor.execute(statement, values or None)
        rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        return rows

    def _execute(self, statement: str, *values: object) -> int:
        """Run a statement. Returns how many rows it changed."""
        self._cursor.execute(statement, values or None)
        count: int = self._cursor.rowcount
        return max(count, 0)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Replace the texts of errors, which can have values of rows."""
        try:
            yield
        except dbapi.Error as error:
            code = error.sqlstate or "none"
            reason = _REASONS.get(code) or _REASONS.get(code[:2]) or "the database refused a statement"
            raise TargetError(f"cannot export to {self._target.name}: {reason} (SQLSTATE {code})") from None


def _described(content: str, tenant: str | None) -> str:
    return f"{CONTENTS[content]} of " + (f"the tenant {tenant}" if tenant else "the unrestricted dataset")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _selected(columns: list[Column]) -> str:
    return ", ".join(f"{_quoted(one.name)}::{_TYPES[one.type]}" for one in columns)


def _storable(rows: Rows) -> pyarrow.RecordBatchReader:
    """Return the rows without the character U+0000, which PostgreSQL cannot store; U+FFFD replaces it."""

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for batch in rows.reader():
            columns = [
                _without_null_characters(column, is_json=field.name == "irregular")
                if pyarrow.types.is_string(field.type)
                else column
                for field, column in zip(batch.schema, batch.columns, strict=True)
            ]
            yield pyarrow.RecordBatch.from_arrays(columns, schema=batch.schema)

    return pyarrow.RecordBatchReader.from_batches(rows.schema, batches())


def _without_null_characters(column: pyarrow.Array, *, is_json: bool) -> pyarrow.Array:
    wanted = "\\u0000" if is_json else "\0"
    if not pyarrow.compute.any(pyarrow.compute.match_substring(column, wanted)).as_py():
        return column
    if not is_json:
        return pyarrow.compute.replace_substring(column, wanted, "\N{REPLACEMENT CHARACTER}")
    return pyarrow.array([_json_without_null_characters(text) for text in column.to_pylist()], column.type)


def _json_without_null_characters(text: str | None) -> str | None:
    if text is None:
        return None
    values = {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in json.loads(text).items()}
    return json.dumps(values, ensure_ascii=False)
