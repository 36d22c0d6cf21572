"""Rows on their way to a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow

import cprflow


class Rows:
    """Rows of scans of one table, with exactly the columns of the target, in its order.

    Each part is a scan and the values of columns that are the same in all of its rows. Columns that a scan lacks are null.
    """

    def __init__(
        self, columns: pyarrow.Schema, parts: Iterable[tuple[cprflow.Scan, Mapping[str, object]]]
    ) -> None:
        self.schema = columns
        self.count = 0
        # Libraries wrap an error that comes through a stream into their own words.
        self.error: cprflow.Error | None = None
        self._parts = parts

    def reader(self) -> pyarrow.RecordBatchReader:
        """Return the rows as a stream that can be read once."""
        return pyarrow.RecordBatchReader.from_batches(self.schema, self._batches())

    def _batches(self) -> Iterator[pyarrow.RecordBatch]:
        try:
            for scan, constants in self._parts:
                for batch in scan:
                    yield self._conformed(pyarrow.record_batch(batch), constants)
        except cprflow.Error as error:
            self.error = error
            raise

    def _conformed(self, batch: pyarrow.RecordBatch, constants: Mapping[str, object]) -> pyarrow.RecordBatch:
        self.count += batch.num_rows
        names = set(batch.schema.names)
        arrays = []
        for field in self.schema:
            if field.name in constants:
                value = pyarrow.scalar(constants[field.name], field.type)
                arrays.append(pyarrow.repeat(value, batch.num_rows))
            elif field.name in names:
                arrays.append(batch.column(field.name))
            else:
                arrays.append(pyarrow.nulls(batch.num_rows, field.type))
        return pyarrow.RecordBatch.from_arrays(arrays, schema=self.schema)
