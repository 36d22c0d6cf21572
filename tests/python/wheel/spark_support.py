"""What the tests of the data source of Spark share.

They need Spark 4.1, which has classes of filters.
"""

import json
import os
import types

import pyarrow
import pytest
from conftest import need_spark
from test_extract import plain

need_spark()

import cprflow.spark
from cprflow.spark import CprflowDataSource, CprflowPushdownReader
from pyspark import cloudpickle
from pyspark.sql import datasource as spark_api
from pyspark.sql.types import StructType

PUSHDOWN = "spark.sql.python.filterPushdown.enabled"


def case_insensitive(options):
    return spark_api.CaseInsensitiveDict({name: str(value) for name, value in options.items()})


def source(path, table="person", **options):
    """Returns the data source as Spark creates it, without Spark."""
    return CprflowDataSource(case_insensitive({"path": path, "table": table, **options}))


def reader(path, table="person", columns=None, filters=(), **options):
    """Returns a reader as Spark creates it, after its filters were pushed down."""
    made = source(path, table, pushdown="true", **options)
    schema = made.schema()
    if columns is not None:
        schema = StructType([schema[name] for name in columns])
    found = made.reader(schema)
    assert isinstance(found, CprflowPushdownReader)
    assert found.pushFilters(list(filters)) == [], "a filter was not pushed down"
    return found


def read(found):
    """Returns the rows of all partitions of a reader, after it was pickled for an executor."""
    sent = [cloudpickle.loads(cloudpickle.dumps(part)) for part in found.partitions()]
    executor = cloudpickle.loads(cloudpickle.dumps(found))
    batches = [batch for part in sent for batch in executor.read(part)]
    return pyarrow.Table.from_batches(batches, found._arrow)


def frame(spark, path, table="person", schema=None, **options):
    """Returns a data frame of a table."""
    read = spark.read.format("cprflow").options(**{name: str(value) for name, value in options.items()})
    read = read.schema(schema) if schema else read
    return read.option("table", table).load(str(path))


def sort(table):
    """Returns the rows of a table in an order of their own."""
    return sorted((row for row in plain(table)), key=str)


@pytest.fixture
def session(spark):
    """The session with the format, as Spark starts it: without pushdown."""
    cprflow.spark.register(spark)
    spark.conf.unset(PUSHDOWN)
    return spark


def returned(found):
    """Reads all partitions of a reader and returns what left the sandbox."""
    scans = [found.open(part) for part in found.partitions()]
    for scan in scans:
        for _ in scan:
            pass
    stats = [scan.stats() for scan in scans]
    return types.SimpleNamespace(
        rows=sum(one.rows for one in stats),
        bytes_read=sum(one.bytes_read for one in stats),
        bytes_returned=sum(one.bytes_returned for one in stats),
    )


def filter(name, column, *value):
    return getattr(spark_api, name)((column,), *value)


def holds(found, row):
    """Returns what a filter of Spark says of a row: true, false or null."""
    name = type(found).__name__
    if name == "Not":
        inner = holds(found.child, row)
        return None if inner is None else not inner
    cell = row[found.attribute[0]]
    if name in ("IsNull", "IsNotNull"):
        return (cell is None) == (name == "IsNull")
    if name == "EqualNullSafe":
        return cell == found.value
    if cell is None:
        return None
    value = found.value
    return {
        "EqualTo": lambda: cell == value,
        "GreaterThan": lambda: cell > value,
        "GreaterThanOrEqual": lambda: cell >= value,
        "LessThan": lambda: cell < value,
        "LessThanOrEqual": lambda: cell <= value,
        "In": lambda: cell in value,
        "StringStartsWith": lambda: cell.startswith(value),
    }[name]()


def counting(file, reader):
    """Returns the data source under another name, which adds what leaves the sandbox on the executors to a file."""

    class CountingReader(reader):
        def open(self, partition):
            self.scan = super().open(partition)
            return self.scan

        def read(self, partition):
            yield from super().read(partition)
            stats = self.scan.stats()
            with open(file, "a") as lines:
                lines.write(json.dumps([os.getpid(), stats.rows, stats.bytes_returned]) + "\n")

    class CountingSource(CprflowDataSource):
        @classmethod
        def name(cls):
            return "counting"

        def reader(self, schema):
            return CountingReader(self._options(), schema)

    return CountingSource


CONDITION = "birth_date > '2015-01-01' and pnr >= '0' and pnr < '1' and status in ('01', '03')"
