"""Resources of dlt: published deliveries, each loaded once.

    import dlt
    import cprflow.dlt

    pipeline = dlt.pipeline("cpr", destination="duckdb")
    pipeline.run(cprflow.dlt.resource("/srv/cpr", "person"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import dlt as _dlt
    import pyarrow as _pyarrow
except ImportError as error:
    raise ImportError("cprflow.dlt needs dlt and pyarrow: pip install 'cprflow[dlt]'") from error

import cprflow

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Literal

    from dlt.common.schema.typing import TWriteDispositionConfig
    from dlt.extract import DltResource

__all__ = ["resource"]

# The key of the resource's state: the greatest sequence number that was loaded, by agreement.
_CURSOR = "cprflow_sequence"


def resource(
    dataset: cprflow.Dataset | str | os.PathLike[str],
    table: str,
    *,
    agreement: str | None = None,
    columns: Sequence[str] | None = None,
    filter: str | None = None,
    name: str | None = None,
    write_disposition: TWriteDispositionConfig = "append",
    timestamps: Literal["naive", "utc"] = "naive",
    **hints: Any,
) -> DltResource:
    """Return a dlt resource of a table of a dataset.

    ``dataset`` is the directory in which ``cprflow sync`` publishes, or a ``cprflow.Dataset``. Each run loads the
    deliveries that were published since the last one: dlt keeps their sequence numbers in the state of the pipeline.
    The rows are a log of deliveries, and the columns ``agreement``, ``delivery`` and ``sequence`` name the delivery of a
    row.

    ``columns`` and ``filter`` are those of ``Table.scan``. ``hints`` are further arguments of ``dlt.resource``. The
    column ``irregular`` is a text with a JSON object, because most destinations have no maps.

    >>> persons = cprflow.dlt.resource("/srv/cpr", "person", columns=["pnr", "status", "sequence"])
    >>> loaded = pipeline.run(persons)

    Raises RequestError if a delivery lacks a column, or if the condition is not valid.
    """
    if not isinstance(dataset, cprflow.Dataset):
        dataset = cprflow.dataset(dataset, irregular="json", timestamps=timestamps)

    def deliveries():
        state = _dlt.current.resource_state()
        for delivery in dataset.deliveries(since=state.get(_CURSOR, {}), agreement=agreement):
            if table in delivery.rows:
                scan = delivery.table(table).scan(columns=columns, filter=filter)
                hints = _dlt.mark.make_hints(columns=_hints(scan.schema))
                for batch in scan:
                    rows = _pyarrow.record_batch(batch)
                    # The hints hold for the rest of the delivery.
                    yield rows if hints is None else _dlt.mark.with_hints(rows, hints)
                    hints = None
            cursor = {**state.get(_CURSOR, {})}
            cursor[delivery.agreement] = max(delivery.sequence, cursor.get(delivery.agreement, 0))
            state[_CURSOR] = cursor

    return _dlt.resource(
        deliveries, name=name or table, write_disposition=write_disposition, **hints
    )


def _hints(schema):
    """Return the hints for times without a zone, which dlt would otherwise load as points in time."""
    return {
        column.name: {"name": column.name, "data_type": "timestamp", "timezone": False}
        for column in schema
        if column.type == "timestamp[us]"
    }
