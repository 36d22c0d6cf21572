"""What Spark reads: an extract, published deliveries or current tables. Each is divided into parts for tasks.

A source runs on the driver and on every executor. Only its options and the parts are sent from one to the other. Each
executor opens the extract, the configuration and the key of a tenant by their paths.
"""

import os
from dataclasses import dataclass

from pyspark.sql.datasource import InputPartition

import cprflow
from cprflow import ComponentError, DatasetError, RequestError


class Part(InputPartition):
    """A part of a table, which a task reads."""


@dataclass(frozen=True)
class ExtractPart(Part):
    """A part of an extract."""

    # Bytes that only cprflow understands; None for the whole extract. Under a policy they have the chosen persons.
    part: "bytes | None"
    # The digest of the component of the driver.
    component: "str | None"

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

    def table(self, threads=0):
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
        """Return the types of the columns in which conditions see the same values as the reader of the rows."""
        if self.options.tenant is None:
            return _comparable(table.schema)
        # If the policy replaces person numbers, it also does so in longer texts. Conditions take such a text for null.
        return _comparable(
            column for column in table.schema if column.kind not in ("text", "code", "uuid") or column.length < 10
        )

    def parts(self, columns, condition):
        component = _component_digest()
        scan = self.table().scan(columns=columns, filter=condition)
        if not hasattr(scan, "plan") or os.path.getsize(self.options.path) <= self.options.part_bytes:
            return [ExtractPart(None, component)]
        return [ExtractPart(part, component) for part in scan.plan(part_bytes=self.options.part_bytes).parts]

    def open(self, part, columns, condition):
        """Return a scan and its batches."""
        component = _component_digest()
        if component != part.component:
            raise ComponentError(
                f"the executor has the component {component}, and the driver has {part.component}. Install the same "
                "version of cprflow on all nodes"
            )
        # A task has one core.
        scan = self.table(threads=1).scan(columns=columns, filter=condition)
        return scan, scan if part.part is None else scan.read_part(part.part)


class Deliveries:
    """A table of published deliveries, divided by delivery."""

    def __init__(self, options):
        self.options = options

    def table(self):
        options = self.options
        return _dataset(options).table(options.table, since=options.since, agreement=options.agreement)

    def comparable(self, table):
        """Return the types of the columns that every delivery has. In the others, Spark compares the nulls."""
        types = _comparable(table.schema)
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
        """Return a scan and its batches."""
        for delivery in _dataset(self.options).deliveries(agreement=part.agreement):
            if (delivery.name, delivery.sequence) == (part.name, part.sequence):
                scan = self._scan(delivery, columns, condition)
                return scan, scan
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
        return _comparable(table.schema)

    def parts(self, columns, condition):
        generation = _dataset(self.options).generation()
        generation.table(self.options.table).scan(columns=columns, filter=condition)
        return [GenerationPart(generation.number)]

    def open(self, part, columns, condition):
        """Return a scan and its batches."""
        generation = _dataset(self.options).generation()
        if generation.number != part.number:
            raise DatasetError(
                f"the current tables were made again after the query was planned: generation {generation.number} has "
                f"replaced {part.number}. Load the table again: Spark keeps the plan of a frame"
            )
        scan = generation.table(self.options.table).scan(columns=columns, filter=condition)
        return scan, scan


def _dataset(options):
    return cprflow.dataset(options.path, irregular=options.irregular, timestamps=options.timestamps)


def _comparable(columns):
    """Return the types of the columns that conditions can compare.

    Conditions are about local time, and Spark compares points in time. So times with a zone are left out.
    """
    types = ("utf8", "int64", "boolean", "date32", "timestamp[us]")
    return {column.name: column.type for column in columns if column.type in types}


def takes(table, condition):
    """Return whether a table takes a condition: under a policy, some columns cannot be compared."""
    try:
        table.scan(filter=condition)
    except RequestError:
        return False
    return True


def _component_digest():
    return getattr(cprflow, "component_digest", lambda: None)()
