"""What is exported: the current tables of a dataset, or its deliveries."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow

import cprflow
from cprflow.export import feed, schema
from cprflow.export.rows import Rows
from cprflow.export.schema import Column

Content = Literal["current", "deliveries"]
Times = Literal["naive", "utc"]
# An agreement and the name of one of its deliveries.
DeliveryKey = tuple[str, str]


class Current:
    """The tables of the newest generation."""

    content: Content = "current"

    def __init__(self, path: str | os.PathLike[str], *, timestamps: Times) -> None:
        self.generation = cprflow.dataset(path, irregular="json", timestamps=timestamps).generation()
        self.number = self.generation.number
        self.tenant: str | None = self.generation.manifest.get("tenant")
        self.agreement: str | None = None
        self.tables = set(self.generation.tables)
        # The day for which the generation was made, YYYY-MM-DD.
        self.day = str(self.generation.manifest["day"])

    def columns(self, table: str) -> list[Column]:
        """Return the columns of a table. A table without rows can be missing in the generation."""
        if table not in self.tables:
            return []
        return schema.columns(table, self.generation.table(table).schema)

    def rows(self, table: str, columns: pyarrow.Schema) -> Rows:
        scans = [self.generation.table(table).scan()] if table in self.tables else []
        return Rows(columns, [(scan, {}) for scan in scans])

    def check(self, recorded: int, table: str) -> None:
        """Refuse to replace rows of a newer generation."""
        if recorded > self.number:
            raise cprflow.DatasetError(
                f"the target has generation {recorded} of the table {table}, and the dataset has the older generation "
                f"{self.number}. Is it another dataset, or a backup? Export it to another target."
            )

    def is_unchanged(self, table: str, recorded: int) -> bool:
        """Return whether a table has the same rows as in an older generation. False if that cannot be known."""
        older = pathlib.Path(self.generation.directory).parent / f"{recorded:06}" / "_generation.json"
        try:
            manifest = json.loads(older.read_bytes())
        except (OSError, ValueError):
            return False
        file = f"{table}.parquet"
        digests = [one["files"].get(file, {}).get("sha256") for one in (manifest, self.generation.manifest)]
        return bool(digests[0] == digests[1])


@dataclass(frozen=True)
class Plan:
    """What to do with the deliveries of one table of the target."""

    # The deliveries whose rows go, also those that are added again.
    removed: Collection[DeliveryKey]
    # The deliveries whose rows come, with the number of their newest entry in the feed, in the order of publication.
    added: Mapping[DeliveryKey, int]


class Deliveries:
    """The deliveries of the change feed."""

    content: Content = "deliveries"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        since: int,
        timestamps: Times,
        config: str | os.PathLike[str] | None,
        tenant: str | None,
        agreement: str | None,
    ) -> None:
        # The feed comes first: what is made again after it has a newer entry, which the next run finds.
        every = feed.read(config=config, tenant=tenant, agreement=agreement)
        published = cprflow.dataset(path, irregular="json", timestamps=timestamps).deliveries(agreement=agreement)
        agreements = {one.agreement for one in published}
        # The feed of a configuration with several datasets has the deliveries of all of them.
        others = {one.agreement for one in every if one.is_kept} - agreements
        self.tenant = tenant
        self._since = since
        # The one to which the export is limited.
        self.agreement = agreement
        self._feed = [one for one in every if one.agreement not in others]
        self._published = {(one.agreement, one.name): one for one in published}
        self.sequences: dict[str, int] = {}
        for one in self._feed:
            self.sequences[one.agreement] = max(one.sequence, self.sequences.get(one.agreement, 0))
        self._check(path, has_others=bool(others))
        self.tables = {table for one in self._kept() for table in self._published[one.agreement, one.name].rows}

    def _check(self, path: str | os.PathLike[str], *, has_others: bool) -> None:
        if has_others and not self._feed:
            raise cprflow.RequestError(
                f"the configuration publishes nothing in {os.fspath(path)}. Name the dataset of the agreement or tenant, "
                "and a tenant with --tenant."
            )
        for delivery in self._published.values():
            owner = (delivery.manifest.get("tenant") or {}).get("name")
            if owner != self.tenant:
                whose = f"the tenant {owner}: add --tenant {owner}" if owner else "no tenant: leave out --tenant"
                raise cprflow.RequestError(f"the dataset {os.fspath(path)} belongs to {whose}")
        for one in self._kept():
            if (one.agreement, one.name) not in self._published:
                raise cprflow.DatasetError(
                    f"the delivery {one.name} of the agreement {one.agreement} is in the change feed and not in "
                    f"{os.fspath(path)}. Run `cprflow status`, then export again."
                )

    def _kept(self) -> Iterator[feed.FeedDelivery]:
        return (one for one in self._feed if one.is_kept)

    def columns(self, table: str, added: Collection[DeliveryKey]) -> list[Column]:
        """Return the columns of deliveries; without any, those of the newest delivery that has the table."""
        having = [(one.agreement, one.name) for one in self._kept() if table in self._published[one.agreement, one.name].rows]
        found: dict[str, Column] = {}
        for key in added or having[-1:]:
            for column in schema.columns(table, self._published[key].table(table).schema):
                found.setdefault(column.name, column)
        return list(found.values())

    def rows(self, table: str, columns: pyarrow.Schema, added: Mapping[DeliveryKey, int]) -> Rows:
        parts = (
            (self._published[key].table(table).scan(), {"agreement": key[0], "delivery": key[1], "sequence": sequence})
            for key, sequence in added.items()
        )
        return Rows(columns, parts)

    def check(self, recorded: Mapping[str, int], table: str) -> None:
        """Refuse a feed that ends before the one that the target has."""
        for agreement, sequence in self.sequences.items():
            if recorded.get(agreement, 0) > sequence:
                raise cprflow.DatasetError(
                    f"the target has the deliveries of {agreement} up to {recorded[agreement]} in the table {table}, and the "
                    f"change feed ends at {sequence}. Is it another dataset, or a backup? Export it to another target."
                )

    def plan(self, table: str, exported: Mapping[DeliveryKey, int]) -> Plan:
        """Return what makes the deliveries of the target those of the feed."""
        wanted = {}
        for one in self._kept():
            key = (one.agreement, one.name)
            if self._published[key].rows.get(table) and (key in exported or one.first > self._since):
                wanted[key] = one.sequence
        own = {key: sequence for key, sequence in exported.items() if self.agreement in (None, key[0])}
        removed = [key for key, sequence in own.items() if wanted.get(key) != sequence]
        return Plan(removed, {key: sequence for key, sequence in wanted.items() if own.get(key) != sequence})

