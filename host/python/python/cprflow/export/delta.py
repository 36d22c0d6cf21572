"""Delta tables: one directory for each table.

A commit changes one table. It carries the number of the generation, or of the change feed, as a transaction of Delta: so the
rows and the number come together, and a run that was killed goes on where it ended.
"""

from __future__ import annotations

import os
import pathlib
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

try:
    import deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
    from deltalake.fs import DeltaStorageHandler
    from deltalake.schema import Field, PrimitiveType
except ImportError as error:
    raise ImportError("the export to Delta needs deltalake: pip install 'cprflow[export]'") from error

import pyarrow
from pyarrow import fs

import cprflow
from cprflow.export import schema
from cprflow.export.errors import TargetError, system_error
from cprflow.export.rows import Rows
from cprflow.export.schema import Column
from cprflow.export.source import Current, Deliveries, DeliveryKey
from cprflow.export.steps import reached
from cprflow.export.target import Target

_TYPES = {
    "text": "string",
    "json": "string",
    "date": "date",
    "timestamp": "timestamp_ntz",
    "timestamptz": "timestamp",
    "boolean": "boolean",
    "bigint": "long",
}

# Delta keeps the least and the greatest value of the first 32 columns in its log by default: names and numbers of persons.
_PROPERTIES = {
    "delta.dataSkippingNumIndexedCols": "0",
    "delta.deletedFileRetentionDuration": "interval 48 hours",
    "delta.logRetentionDuration": "interval 7 days",
}

# A delivery is removed and replaced by whole files, because it has files of its own.
_PARTITIONS = ["agreement", "delivery", "sequence"]


@dataclass(frozen=True)
class Cleaned:
    """What was removed from a table."""

    # The number of files.
    removed: int
    # Whether only the files of the newest version are left.
    is_complete: bool


class Delta:
    """A directory of Delta tables that get the content of one source."""

    def __init__(self, target: Target, content: str, tenant: str | None) -> None:
        self._base = target.address.rstrip("/")
        self._name = target.name.rstrip("/")
        # The names of Delta's transactions. Another content or tenant has other names, so that they are not mixed.
        self._application = f"cprflow/{content}" + (f"/tenant={tenant}" if tenant else "")
        self._is_partitioned = content == "deliveries"
        # The tables that this run made, so that no file of an older version exists.
        self.created: set[str] = set()
        # The agreements of which each table had rows before, for deliveries.
        self.agreements: dict[str, set[str]] = {}

    def identity(self) -> str:
        return self._base

    def tables(self) -> set[str]:
        """Return the tables of this source that the target has."""
        if "://" in self._base:
            with self._errors():
                entries = _entries(self._base, recursive=False)
            names = {entry.base_name for entry in entries if entry.type == fs.FileType.Directory}
        else:
            names = {log.parent.name for log in pathlib.Path(self._base).glob("*/_delta_log")}
        return {name for name in names if self._is_own(name)}

    def _is_own(self, table: str) -> bool:
        with self._errors(table):
            uri = self._uri(table)
            if not deltalake.DeltaTable.is_deltatable(uri):
                return False
            return deltalake.DeltaTable(uri).transaction_version(self._application) is not None

    def export_current(self, source: Current, table: str) -> Mapping[str, object]:
        """Make a table that of the generation, in one commit. Returns what was done."""
        with self._errors(table):
            found = self._open(table, source.columns(table))
            if found is None:
                return {"changed": False}
            recorded = found.transaction_version(self._application) or 0
            source.check(recorded, table)
            if recorded == source.number:
                return {"changed": False}
            transactions = {self._application: source.number}
            if recorded and source.is_unchanged(table, recorded):
                self._write_number(found, transactions)
                return {"changed": False}
            rows = source.rows(table, _arrow(found))
            self._write(found, rows, transactions, table)
            return {"changed": True, "rows_written": rows.count}

    def export_deliveries(self, source: Deliveries, table: str) -> Mapping[str, object]:
        """Make the deliveries of a table those of the feed, in one commit. Returns what was done."""
        with self._errors(table):
            found = self._open(table, source.columns(table, []))
            if found is None:
                return {"changed": False}
            numbers = {one: f"{self._application}/agreement={one}" for one in source.sequences}
            recorded = {one: found.transaction_version(name) or 0 for one, name in numbers.items()}
            source.check(recorded, table)
            exported = _exported(found)
            self.agreements[table] = {agreement for agreement, _ in exported}
            plan = source.plan(table, exported)
            transactions = {name: source.sequences[one] for one, name in numbers.items()}
            if plan.added:
                found = self._with_columns(found, table, source.columns(table, plan.added))
            if plan.added or plan.removed:
                rows = source.rows(table, _arrow(found), plan.added)
                touched = {*plan.removed, *plan.added} if plan.removed else set()
                self._write(found, rows, transactions, table, replaced=touched)
                return {"changed": True, "rows_written": rows.count}
            if recorded != source.sequences:
                self._write_number(found, transactions)
            return {"changed": False}

    def clean(self, table: str, hours: int) -> Cleaned:
        """Remove the files that no version of the last hours needs, and old logs."""
        with self._errors(table):
            uri = self._uri(table)
            if not deltalake.DeltaTable.is_deltatable(uri):
                return Cleaned(0, is_complete=hours == 0 and not _has_files(uri))
            found = deltalake.DeltaTable(uri)
            # Without `full`, the files that a killed run left would stay.
            removed = len(found.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True))
            removed += _remove_parts(uri, hours)
            unused = _unused(found, uri) if hours == 0 else None
            # Delta keeps files that were replaced in the future: the clock was wrong then.
            for path in unused or ():
                DeltaStorageHandler(uri).delete_file(path)
            removed += len(unused or ())
            reached(f"vacuumed:{table}")
            found = deltalake.DeltaTable(uri)
            # Logs can be removed only if a checkpoint has what they say.
            found.create_checkpoint()
            found.cleanup_metadata()
            return Cleaned(removed, is_complete=unused is not None)

    @contextmanager
    def _errors(self, table: str | None = None) -> Iterator[None]:
        """Replace the texts of errors, which can have values of rows."""
        try:
            yield
        except CommitFailedError:
            raise TargetError(
                f"another program changed the Delta table {table} at the same time. Run the export again."
            ) from None
        except cprflow.Error:
            raise
        except (DeltaError, OSError, pyarrow.ArrowException) as error:
            what = f"list the Delta tables in {self._name}" if table is None else f"use the Delta table {self._name}/{table}"
            raise TargetError(f"cannot {what}{system_error(error)}") from None

    def _uri(self, table: str) -> str:
        return f"{self._base}/{table}"

    def _open(self, table: str, columns: list[Column]) -> deltalake.DeltaTable | None:
        """Open a table. Makes it, or adds columns that it lacks. Returns None if neither target nor source has it."""
        uri = self._uri(table)
        if not deltalake.DeltaTable.is_deltatable(uri):
            if not columns:
                return None
            self._create(uri, table, columns)
        found = deltalake.DeltaTable(uri)
        if found.transaction_version(self._application) is None:
            raise TargetError(
                f"the Delta table {self._name}/{table} has other content: another tenant's data, or not the same choice of "
                "current tables or deliveries, or it was not made by `cprflow export`. Export to another directory."
            )
        return self._with_columns(found, table, columns)

    def _with_columns(
        self, found: deltalake.DeltaTable, table: str, columns: list[Column]
    ) -> deltalake.DeltaTable:
        """Return a table with the columns that it lacked."""
        lacking = schema.missing(table, _types(found), columns)
        if not lacking:
            return found
        fields = [
            Field(one.name, PrimitiveType(_TYPES[one.type]), nullable=True, metadata={"comment": one.comment})
            for one in lacking
        ]
        found.alter.add_columns(fields)
        reached(f"columns-added:{table}")
        return deltalake.DeltaTable(self._uri(table))

    def _create(self, uri: str, table: str, columns: list[Column]) -> None:
        if "://" not in uri:
            os.makedirs(uri, mode=0o700, exist_ok=True)
        # A table of which only the log was removed leaves its files.
        is_new = not _has_files(uri)
        deltalake.DeltaTable.create(
            uri,
            schema.arrow(columns),
            description=schema.table_comment(table),
            partition_by=_PARTITIONS if self._is_partitioned else None,
            configuration=_PROPERTIES,
            commit_properties=_commit({self._application: 0}),
        )
        if is_new:
            self.created.add(table)
        reached(f"created:{table}")

    def _write(
        self,
        found: deltalake.DeltaTable,
        rows: Rows,
        transactions: Mapping[str, int],
        table: str,
        *,
        replaced: Collection[DeliveryKey] | None = None,
    ) -> None:
        """Replace all rows, or those of deliveries, in one commit."""
        new, commit = _until_written(rows, table), _commit(transactions)
        try:
            # An overwrite without a condition would replace everything.
            if replaced is not None and not replaced:
                deltalake.write_deltalake(found, new, mode="append", commit_properties=commit)
            else:
                predicate = _predicate(replaced) if replaced else None
                deltalake.write_deltalake(found, new, mode="overwrite", predicate=predicate, commit_properties=commit)
        except DeltaError:
            if rows.error is not None:
                raise rows.error from None
            raise
        reached(f"committed:{table}")

    def _write_number(self, found: deltalake.DeltaTable, transactions: Mapping[str, int]) -> None:
        """Commit numbers without rows, because the table has the right rows already."""
        found.create_write_transaction(
            [],
            "append",
            found.schema(),
            partition_by=_PARTITIONS if self._is_partitioned else None,
            commit_properties=_commit(transactions),
        )


def _entries(uri: str, *, recursive: bool) -> list[fs.FileInfo]:
    """Return the files and directories in a directory or a path of an object store. If it does not exist, it has none."""
    try:
        return list(DeltaStorageHandler(uri).get_file_info_selector(fs.FileSelector("", recursive=recursive)))
    except TableNotFoundError:
        return []


def _has_files(uri: str) -> bool:
    return bool(_entries(uri, recursive=False)) or any(_parts(uri))


def _unused(found: deltalake.DeltaTable, uri: str) -> list[str] | None:
    """Return the files that the newest version of a table does not need. None if that cannot be known."""
    needed = {_plain(path) for path in pyarrow.table(found.get_add_actions())["path"].to_pylist()}
    files = {entry.path: _plain(entry.path) for entry in _entries(uri, recursive=True) if entry.is_file}
    # A needed file that the list does not have can have another name there, and must not be removed.
    if not needed <= set(files.values()):
        return None
    is_hidden = re.compile(r"(^|/)[_.]").search
    return [path for path, plain in files.items() if plain not in needed and not is_hidden(path)]


def _plain(path: str) -> str:
    """Return a path without percent-encoding, which the log and the list can have in different ways."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return path


def _parts(uri: str) -> Iterator[pathlib.Path]:
    """Return the parts of files that a killed run was writing to a local directory. No list of Delta has them."""
    path = unquote(urlsplit(uri).path) if uri.startswith("file://") else uri
    if "://" not in path:
        yield from (one for one in pathlib.Path(path).rglob("*.parquet#*") if re.search(r"#\d+$", one.name))


def _remove_parts(uri: str, hours: int) -> int:
    """Remove the parts that were written more than some hours ago. Returns their number."""
    latest = time.time() - 3600 * hours
    old = [part for part in _parts(uri) if hours == 0 or part.stat().st_mtime < latest]
    for part in old:
        part.unlink(missing_ok=True)
    return len(old)


def _arrow(found: deltalake.DeltaTable) -> pyarrow.Schema:
    return pyarrow.schema(found.schema().to_arrow())


def _types(found: deltalake.DeltaTable) -> dict[str, str]:
    """Return the types of a table's columns. Other types than ours keep the name that Delta has for them."""
    names = {delta: own for own, delta in _TYPES.items() if own != "json"}
    types = {field.name: str(getattr(field.type, "type", field.type)) for field in found.schema().fields}
    return {
        name: "json" if name == "irregular" and kind == "string" else names.get(kind, kind) for name, kind in types.items()
    }


def _exported(found: deltalake.DeltaTable) -> dict[DeliveryKey, int]:
    """Return the deliveries of a table, with the number that their rows have."""
    return {(one["agreement"], one["delivery"]): int(one["sequence"]) for one in found.partitions()}


def _predicate(deliveries: Collection[DeliveryKey]) -> str:
    """Return the condition for the rows of deliveries."""
    names: dict[str, list[str]] = {}
    for agreement, delivery in sorted(deliveries):
        names.setdefault(agreement, []).append(_literal(delivery))
    return " OR ".join(f"(agreement = {_literal(one)} AND delivery IN ({', '.join(own)}))" for one, own in names.items())


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _commit(transactions: Mapping[str, int]) -> deltalake.CommitProperties:
    return deltalake.CommitProperties(
        app_transactions=[deltalake.Transaction(name, number) for name, number in transactions.items()]
    )


def _until_written(rows: Rows, table: str) -> pyarrow.RecordBatchReader:
    def batches() -> Iterator[pyarrow.RecordBatch]:
        yield from rows.reader()
        reached(f"read:{table}")

    return pyarrow.RecordBatchReader.from_batches(rows.schema, batches())
