"""Exports of a dataset to Delta tables or to PostgreSQL, exactly once.

    import cprflow.export

    cprflow.export.run("/srv/cpr", "delta:/srv/lake/cpr")
    cprflow.export.run("/srv/cpr", "postgresql://db.example/cpr", since=0, config="cprflow.toml")

The command ``cprflow export`` does the same. It needs ``pip install 'cprflow[export]'``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

try:
    import pyarrow as _pyarrow  # noqa: F401
except ImportError as error:
    raise ImportError("cprflow.export needs pyarrow: pip install 'cprflow[export]'") from error

import cprflow
from cprflow.export import listing as _listing
from cprflow.export import target as _target
from cprflow.export.errors import TargetError
from cprflow.export.listing import Listing
from cprflow.export.source import Content, Current, Deliveries, Times

__all__ = ["Exported", "TargetError", "run"]

# The arguments are the number of tables that are done, the number of all tables, and the name of the next one.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Exported:
    """What an export did."""

    # Without user and password.
    target: str
    content: Content
    # The generation that the target has, if `content` is "current".
    generation: int | None
    # The last sequence number of each agreement that the target has, if `content` is "deliveries".
    sequences: dict[str, int] | None
    # For each table whether it changed, and the rows that were written.
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The files of older versions that were removed.
    removed_files: int = 0

    @property
    def changed(self) -> list[str]:
        """The tables that changed."""
        return [name for name, one in self.tables.items() if one["changed"]]


def run(
    dataset: str | os.PathLike[str],
    to: str,
    *,
    since: int | None = None,
    tables: Sequence[str] = (),
    schema: str = "cpr",
    timestamps: Literal["ntz", "utc"] = "ntz",
    config: str | os.PathLike[str] | None = None,
    tenant: str | None = None,
    agreement: str | None = None,
    vacuum: int = 48,
    listed: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Make a target equal to the current tables of a dataset, or to its deliveries. Safe to repeat.

    ``dataset`` is a directory in which ``cprflow sync`` publishes. ``to`` is ``delta:PATH`` or ``postgresql://…``.

    Without ``since``, the target gets the tables of the newest generation. With ``since``, it gets the rows of each delivery
    that the target does not have and whose sequence number is higher, and it loses those that were removed from the
    dataset. This needs the configuration: ``config``, and ``tenant`` for the dataset of a tenant.

    ``tables`` limits the export to these tables. ``schema`` is the schema in PostgreSQL. ``timestamps`` is ``"ntz"`` for
    Danish local time, or ``"utc"``. ``vacuum`` is the number of hours after which replaced files of Delta are removed.
    With ``listed=False``, the proof of an erasure does not name the target.

    >>> cprflow.export.run("/srv/cpr", "delta:/srv/lake/cpr").generation
    42

    Raises RequestError, DatasetError or ConfigurationError if the source cannot be read, and TargetError if the target
    cannot be written. Raises ImportError if the library of the target is not installed.
    """
    # Before anything is read: an erasure that is completed after this can be missing in what the export has read.
    started = _listing.now()
    into = _target.parse(to)
    _target.check_apart(into, dataset)
    _check(since, timestamps, vacuum)
    form: Times = "naive" if timestamps == "ntz" else "utc"
    source: Current | Deliveries
    if since is None:
        if config is not None or tenant is not None or agreement is not None:
            raise cprflow.RequestError("config, tenant and agreement are for the change feed: add since")
        source = Current(dataset, timestamps=form)
    else:
        source = Deliveries(
            dataset, since=since, timestamps=form, config=config, tenant=tenant, agreement=agreement
        )
    job = _Job(
        source, dataset, into, list(tables), started=started, vacuum=vacuum, is_listed=listed, progress=progress or _silent
    )
    return job.to_delta() if into.kind == "delta" else job.to_postgres(schema)


def _check(since: int | None, timestamps: str, vacuum: int) -> None:
    if timestamps not in ("ntz", "utc"):
        raise cprflow.RequestError("timestamps must be ntz or utc")
    if since is not None and since < 0:
        raise cprflow.RequestError("since must be 0 or higher")
    if vacuum < 0:
        raise cprflow.RequestError("vacuum must be 0 hours or more")


def _silent(done: int, count: int, table: str) -> None:
    pass


@dataclass
class _Job:
    source: Current | Deliveries
    dataset: str | os.PathLike[str]
    target: _target.Target
    only: list[str]
    # The time at which the run began (UTC).
    started: str
    vacuum: int
    is_listed: bool
    progress: Progress

    def to_delta(self) -> Exported:
        from cprflow.export.delta import Delta

        sink = Delta(self.target, self.source.content, self.source.tenant)
        with self._listing(sink.identity(), None) as listing:
            names = self._begin(listing, sink.tables())
            done = {}
            removed = 0
            for number, table in enumerate(names):
                self.progress(number, len(names), table)
                if isinstance(self.source, Current):
                    done[table] = sink.export_current(self.source, table)
                else:
                    done[table] = sink.export_deliveries(self.source, table)
                cleaned = sink.clean(table, self.vacuum)
                removed += cleaned.removed
                # Files of older versions are gone for certain only if all of them were removed, or if there were none.
                self._note(listing, table, sink.agreements, is_clean=cleaned.is_complete or table in sink.created)
            listing.finish()
        return self._exported(done, removed)

    def to_postgres(self, schema: str) -> Exported:
        from cprflow.export.postgres import Postgres

        with Postgres(self.target, schema) as sink:
            identity = sink.prepare(self.source.content, self.source.tenant)
            with self._listing(identity, schema) as listing:
                names = self._begin(listing, sink.tables())
                with sink.transaction():
                    done = {}
                    for number, table in enumerate(names):
                        self.progress(number, len(names), table)
                        if isinstance(self.source, Current):
                            done[table] = sink.export_current(self.source, table)
                        else:
                            done[table] = sink.export_deliveries(self.source, table)
                    if isinstance(self.source, Current):
                        sink.record_day(self.source)
                for table in names:
                    self._note(listing, table, sink.agreements, is_clean=False)
                listing.finish()
        return self._exported(done, 0)

    def _listing(self, identity: str, schema: str | None) -> Listing:
        return Listing(
            self.dataset,
            self.target,
            identity=identity,
            schema=schema,
            started=self.started,
            is_listed=self.is_listed,
        )

    def _begin(self, listing: Listing, found: set[str]) -> list[str]:
        """List the target, which has the tables ``found``. Returns the tables to export."""
        listing.check(self.source.content, self.source.tenant)
        names = self._names(found | listing.tables.keys())
        listing.begin(names, found, self._state()["sequences"])
        return names

    def _note(self, listing: Listing, table: str, agreements: Mapping[str, set[str]], *, is_clean: bool) -> None:
        """Note that a table was exported. ``agreements`` are those of which the tables had rows before."""
        found = agreements.get(table, set())
        listing.exported(table, **self._state(), agreement=self.source.agreement, agreements=found, is_clean=is_clean)

    def _names(self, exported: set[str]) -> list[str]:
        """Return the tables to export: those of the dataset, and those that only the target still has."""
        known = self.source.tables | exported
        for name in self.only:
            if name not in known:
                raise cprflow.RequestError(f"the dataset has no table {name!r}. It has: {', '.join(sorted(known))}")
        return sorted(set(self.only) or known)

    def _state(self) -> dict[str, Any]:
        """Return what a table has that was exported."""
        if isinstance(self.source, Current):
            return {"generation": self.source.number, "sequences": None}
        return {"generation": None, "sequences": self.source.sequences}

    def _exported(self, done: dict[str, Any], removed: int) -> Exported:
        return Exported(
            target=self.target.name,
            content=self.source.content,
            **self._state(),
            tables=done,
            removed_files=removed,
        )
