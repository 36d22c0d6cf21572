"""Lazy frames of polars. Columns, conditions and limits of a query reach the sandbox.

    import polars
    import cprflow.polars

    persons = cprflow.polars.scan("d261123.l000001", "person")
    persons.filter(polars.col("status") == "01").select("pnr", "birth_date").collect()
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

try:
    import polars as _polars
    from polars.io.plugins import register_io_source as _register
except ImportError as error:
    raise ImportError("cprflow.polars needs polars: pip install 'cprflow[polars]'") from error

import cprflow
from cprflow import _conditions, _pushdown

if TYPE_CHECKING:
    from typing import BinaryIO

    Source = (
        cprflow.Table
        | cprflow.Extract
        | cprflow.Dataset
        | cprflow.Delivery
        | str
        | os.PathLike[str]
        | bytes
        | BinaryIO
    )

__all__ = ["scan"]

# The rows of a batch of cprflow by default.
_BATCH_ROWS = 8192


def scan(source: Source, table: str | None = None, **options: Any) -> _polars.LazyFrame:
    """Return a lazy frame of a table.

    ``source`` is a table of ``cprflow``; or an extract or a dataset, with the name of the table; or whatever
    ``cprflow.open`` takes, with its ``options``. A directory is opened as a dataset.

    Only the columns of the query leave the sandbox, and only rows that can meet its conditions. These conditions are
    used: comparisons of a column with a value, ``is_in``, ``is_between``, ``is_null``, ``is_not_null``, and those joined
    by ``&``, ``|`` and ``~``. Polars itself applies all conditions again.

    >>> cprflow.polars.scan(extract, "address").filter(polars.col("municipality_code") == "0851").collect()

    Raises RequestError if the table does not exist.
    """
    if isinstance(source, cprflow.Table):
        if table is not None or options:
            raise TypeError("scan() of a table takes no further arguments")
        opened = source
    elif table is None:
        raise TypeError("scan() needs the name of a table: scan(source, \"person\")")
    else:
        opened = _open(source, options).table(table)
    schema = _polars.DataFrame(opened.schema.empty()).schema
    types = _conditions.comparable(opened)

    def read(with_columns, predicate, n_rows, batch_size):
        # Polars cuts off at `n_rows` before it filters.
        conditions = _pushdown.conditions(predicate, types) if predicate is not None and n_rows is None else []
        size = min(batch_size or _BATCH_ROWS, _BATCH_ROWS)
        query = {"columns": with_columns, "limit": n_rows, "batch_rows": size}
        for frame in _gathered(_scan(opened, query, conditions), size):
            yield frame.filter(predicate) if predicate is not None else frame

    return _register(read, schema=schema, is_pure=True)


def _gathered(batches, size):
    """Yield frames of at most ``size`` rows. A condition leaves few rows of each part, and each frame has a cost in polars."""
    frames, rows = [], 0
    for batch in batches:
        if frames and rows + len(batch) > size:
            yield _polars.concat(frames)
            frames, rows = [], 0
        frames.append(_polars.DataFrame(batch))
        rows += len(batch)
    if frames:
        yield _polars.concat(frames)


def _open(source, options):
    if isinstance(source, (cprflow.Extract, cprflow.Dataset, cprflow.Delivery)):
        if options:
            raise TypeError("the options belong to cprflow.open and cprflow.dataset, which returned the source")
        return source
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        return cprflow.dataset(source, **options)
    return cprflow.open(source, **options)


def _scan(source, query, conditions):
    """Return a scan with all conditions that the source takes: some columns cannot be compared under a policy."""
    if conditions:
        try:
            return source.scan(**query, filter=" and ".join(f"({one})" for one in conditions))
        except cprflow.RequestError:
            taken = [one for one in conditions if _conditions.takes(source, one)]
            if taken and len(taken) < len(conditions):
                return _scan(source, query, taken)
    return source.scan(**query)
