"""A data source of Spark 4: extracts, published deliveries and current tables.

    import cprflow.spark

    cprflow.spark.register(spark)
    person = spark.read.format("cprflow").option("table", "person").load("/data/extract.cpr")

Each executor runs the component in a sandbox of its own. Install ``cprflow`` on all nodes. The options are described in
docs/use-from.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import pyarrow as _pyarrow  # noqa: F401 (Spark needs it to take rows from Python)
    import pyspark as _pyspark
except ImportError as error:
    raise ImportError("cprflow.spark needs pyspark and pyarrow: pip install 'cprflow[spark]'") from error
try:
    from pyspark.sql.datasource import DataSource, DataSourceReader
except ImportError as error:
    raise ImportError(f"cprflow.spark needs Spark 4.0 or newer; this is Spark {_pyspark.__version__}") from error

from cprflow import RequestError, _conditions, _spark_filters, _spark_options, _spark_schema, _spark_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyarrow import RecordBatch
    from pyspark.sql import SparkSession
    from pyspark.sql.datasource import Filter, InputPartition
    from pyspark.sql.types import StructType

    from cprflow import Scan

__all__ = [
    "CprflowDataSource",
    "CprflowPushdownReader",
    "CprflowReader",
    "register",
]


def register(spark: SparkSession) -> None:
    """Register the format "cprflow" in a session.

    >>> cprflow.spark.register(spark)
    >>> spark.read.format("cprflow").option("table", "person").load("d261123.l000001").show()
    """
    spark.dataSource.register(CprflowDataSource)


class CprflowDataSource(DataSource):
    """The format "cprflow"."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "cprflow"

    def schema(self) -> StructType:
        """Return the columns of the table, or those of the option ``columns``."""
        options = self._options()
        return _spark_schema.of_table(_spark_sources.source(options).table(), options.columns)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return a reader of the columns of a schema.

        Raises RequestError if the table has not such columns.
        """
        options = self._options()
        if not options.pushdown:
            # Spark refuses a reader with `pushFilters` while its setting is off. It also applies the filters of one query
            # to others that use the same frame, so filters are pushed down only on demand.
            return CprflowReader(options, schema)
        if not hasattr(DataSourceReader, "pushFilters"):
            raise RequestError(
                f"the option 'pushdown' needs Spark 4.1 or newer; this is Spark {_pyspark.__version__}. Use the option "
                "'filter'"
            )
        return CprflowPushdownReader(options, schema)

    def _options(self):
        return _spark_options.parse(self.options)


class CprflowReader(DataSourceReader):
    """Reads some columns of a table. The driver makes it, and Spark sends it to the executors."""

    def __init__(self, options: Any, schema: StructType) -> None:
        self._source = _spark_sources.source(options)
        self._columns = schema.fieldNames()
        self._condition: str | None = options.filter
        table = self._source.table()
        _spark_schema.check(schema, table, options.columns)
        self._arrow = _spark_schema.arrow(schema, table)

    def partitions(self) -> Sequence[InputPartition]:
        """Return one partition for each delivery, or for each part of a large extract."""
        return self._source.parts(self._columns, self._condition)

    def read(self, partition: InputPartition) -> Iterator[RecordBatch]:
        """Return the rows of a partition."""
        # Spark makes a partition without a value if there are none.
        if isinstance(partition, _spark_sources.Part):
            for batch in self.open(partition):
                yield _spark_schema.rows(batch, self._arrow)

    def open(self, partition: InputPartition) -> Scan:
        """Return the scan of a partition."""
        return self._source.open(partition, self._columns, self._condition)


class CprflowPushdownReader(CprflowReader):
    """A reader that also takes the filters of a query.

    Needs Spark 4.1 and the setting ``spark.sql.python.filterPushdown.enabled``.
    """

    def pushFilters(self, filters: list[Filter]) -> list[Filter]:
        """Take the filters that have exactly the same meaning in cprflow, and return the others to Spark."""
        table = self._source.table()
        types = self._source.comparable(table)
        taken = [self._condition] if self._condition else []
        others = []
        for filter in filters:
            condition = _spark_filters.condition(filter, types)
            # All of them together, because the length of a condition has a limit.
            if condition and _conditions.takes(table, _all([*taken, condition])):
                taken.append(condition)
            else:
                others.append(filter)
        self._condition = _all(taken) if taken else None
        return others


def _all(conditions):
    return " and ".join(f"({one})" for one in conditions)
