"""What Spark reads: an extract, published deliveries or current tables. Each is divided into parts for tasks.

A source runs on the driver and on every executor. Only its options and the parts are sent from one to the other. Each
executor opens the extract, the configuration and the key of a tenant by their paths.
"""

import os
from dataclasses import dataclass

from pyspark.sql.datasource import InputPartition

import cprflow
from cprflow import ComponentError, DatasetError, _conditions


class Part(InputPartition):
    """A part of a table, which a task reads."""


@dataclass(frozen=True)
class ExtractPart(Part):
    """A part of an extract."""

    # What `Scan.divide` returned; None for the whole extract. For a tenant it has the numbers of the chosen persons.
    part: "bytes | None"
    # The digest of the component of the driver.
    component: str

    def __repr__(self):
        # Without the bytes, because Spark can write a partition to a log.
        return f"ExtractPart({'whole' if self.part is None else f'{len(self.part)} bytes'})"


@dataclass(frozen=True)
class DeliveryPart(Part):
    """The table of a published delivery."""

    agreement: str
    name: str
    sequence: int


@dataclass(frozen=True)
class GenerationPart(Part):
    """The table of a generation of the current tables."""

    number: int


def source(options):
    """Return the source that the options name."""
    if not options.is_dataset:
        return Extract(options)
    return Current(options) if options.current else Deliveries(options)


class Extract:
    """A table of an extract, divided by ranges of bytes."""

    def __init__(self, options):
        self.options = options
        self._table = None

    def __getstate__(self):
        # An open extract stays in its process.
        return {"options": self.options, "_table": None}

    def table(self):
        """Return the table. For a tenant, the first call reads and checks the whole extract."""
        if self._table is None:
            self._table = self._open(threads=0)
        return self._table

    def _open(self, threads):
        options = self.options
        extract = cprflow.open(
            options.path,
            config=options.config,
            tenant=options.tenant,
            agreement=options.agreement,
            irregular=options.irregular,
            timestamps=options.timestamps,
            accept=options.accept,
            threads=threads,
        )
        return extract.table(options.table)

    def comparable(self, table):
        """Return the types of the columns that conditions can compare."""
        return _comparable(table)

    def parts(self, columns, condition):
        """Read a large extract once, and return its parts. Raises DataError if the extract cannot be trusted."""
        options = self.options
        component = cprflow.component_digest()
        # Refuses a wrong condition now, and not in every task.
        scan = self.table().scan(columns=columns, filter=condition)
        # A task reads a small extract as a whole and checks it itself. For a tenant, the driver has the lists of the last run.
        is_divided = options.tenant is not None or os.path.getsize(options.path) > options.part_bytes
        parts = scan.divide(part_bytes=options.part_bytes) if is_divided else [None]
        return [ExtractPart(part, component) for part in parts]

    def open(self, part, columns, condition):
        """Return the scan of a part."""
        # Also for a whole extract, because another component can have other columns.
        component = cprflow.component_digest()
        if component != part.component:
            raise ComponentError(
                f"the executor has the component {component}, and the driver has {part.component}. Install the same "
                "version of cprflow on all nodes"
            )
        if part.part is None:
            # A task has one core.
            return self._open(threads=1).scan(columns=columns, filter=condition)
        options = self.options
        return cprflow.read_part(
            options.path, part.part, config=options.config, tenant=options.tenant, agreement=options.agreement
        )


class Deliveries:
    """A table of published deliveries, divided by delivery."""

    def __init__(self, options):
        self.options = options

    def table(self):
        options = self.options
        return _dataset(options).table(options.table, since=options.since, agreement=options.agreement)

    def comparable(self, table):
        """Return the types of the columns that every delivery has. In the others, Spark compares the nulls."""
        types = _comparable(table)
        for delivery in self._deliveries():
            own = delivery.table(self.options.table).schema
            types = {name: kind for name, kind in types.items() if name in own}
        return types

    def parts(self, columns, condition):
        parts = []
        for delivery in self._deliveries():
            # Refuses a wrong condition now, and not in every task.
            self._scan(delivery, columns, condition)
            parts.append(DeliveryPart(delivery.agreement, delivery.name, delivery.sequence))
        return parts

    def open(self, part, columns, condition):
        """Return the scan of a part."""
        for delivery in _dataset(self.options).deliveries(agreement=part.agreement):
            if (delivery.name, delivery.sequence) == (part.name, part.sequence):
                return self._scan(delivery, columns, condition)
        raise DatasetError(
            f"the delivery {part.name} of the agreement {part.agreement} was removed or made again after the query was "
            "planned. Load the table again: Spark keeps the plan of a frame"
        )

    def _scan(self, delivery, columns, condition):
        table = delivery.table(self.options.table)
        # Every row has `sequence`, so that rows are counted if the delivery has none of the columns.
        own = [column for column in columns if column in table.schema] or ["sequence"]
        return table.scan(columns=own, filter=condition)

    def _deliveries(self):
        options = self.options
        deliveries = _dataset(options).deliveries(since=options.since, agreement=options.agreement)
        return [delivery for delivery in deliveries if options.table in delivery.rows]


class Current:
    """A current table."""

    def __init__(self, options):
        self.options = options

    def table(self):
        return _dataset(self.options).current(self.options.table)

    def comparable(self, table):
        """Return the types of the columns that conditions can compare."""
        return _comparable(table)

    def parts(self, columns, condition):
        generation = _dataset(self.options).generation()
        generation.table(self.options.table).scan(columns=columns, filter=condition)
        return [GenerationPart(generation.number)]

    def open(self, part, columns, condition):
        """Return the scan of a part."""
        generation = _dataset(self.options).generation()
        if generation.number != part.number:
            raise DatasetError(
                f"the current tables were made again after the query was planned: generation {generation.number} has "
                f"replaced {part.number}. Load the table again: Spark keeps the plan of a frame"
            )
        return generation.table(self.options.table).scan(columns=columns, filter=condition)


def _dataset(options):
    return cprflow.dataset(options.path, irregular=options.irregular, timestamps=options.timestamps)


def _comparable(table):
    """Return the types of the columns that conditions can compare.

    Conditions are about local time, and Spark compares points in time. So times with a zone are left out.
    """
    return {name: kind for name, kind in _conditions.comparable(table).items() if kind != "timestamp[us, UTC]"}
