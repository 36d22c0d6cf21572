"""The data source of Spark: schemas, filters, parts, tenants, datasets, errors and killed workers.

Needs Spark 4.1, which has classes of filters.
"""

import datetime
import inspect
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import types

import cprflow
import pyarrow
import pyarrow.parquet
import pytest
from conftest import need_spark, spark_session, tenant
from test_engines import COLUMNS, SQL, expected, question, same  # noqa: F401 (fixtures)
from test_extract import plain

need_spark()

import cprflow.spark
import pyspark
from cprflow import _spark_filters, _spark_schema
from cprflow.spark import CprflowDataSource, CprflowPushdownReader, CprflowReader
from pyspark import cloudpickle
from pyspark.sql import datasource as spark_api
from pyspark.sql.datasource import InputPartition
from pyspark.sql.types import StructType

PUSHDOWN = "spark.sql.python.filterPushdown.enabled"
# A test waits this many seconds for a worker to read.
HANGS = 300
# The number of persons in the extract that two workers read. A quarter of them are more than one batch, so that a worker is
# killed while it reads a part. 600,000 persons make 1 GB.
PERSONS = int(os.environ.get("CPRFLOW_SPARK_PERSONS", "36000"))


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


# Schemas.


def test_the_schema_has_types_comments_and_classes(extract):
    schema = source(extract).schema()
    types = {field.name: field.dataType.simpleString() for field in schema}
    assert types["pnr"] == "string" and types["line"] == "bigint" and types["birth_date"] == "date"
    assert types["status_start"] == "timestamp_ntz" and types["status_start_uncertain"] == "boolean"
    assert types["irregular"] == "map<string,string>"
    assert schema["birth_date"].metadata["comment"] == "FOED_DT"
    assert schema["occupation"].metadata["cpr.sensitivity"] == "free-text"
    assert schema["birth_date"].nullable and not schema["line"].nullable
    other = source(extract, irregular="json", timestamps="utc").schema()
    assert other["irregular"].dataType.simpleString() == "string"
    assert other["status_start"].dataType.simpleString() == "timestamp"
    assert "irregular" not in source(extract, irregular="drop").schema().fieldNames()


@pytest.mark.parametrize("options", [{}, {"irregular": "json", "timestamps": "utc"}, {"irregular": "drop"}], ids=str)
def test_every_table_is_in_the_arrow_schema_of_spark(extract, options):
    from pyspark.sql.pandas.types import to_arrow_schema

    # Spark 4.1 has only this time zone.
    zone = {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_schema).parameters else {}
    opened = cprflow.open(extract, **options)
    for name in opened.tables:
        table = opened.table(name)
        schema = _spark_schema.of_table(table)
        assert to_arrow_schema(schema, **zone).equals(_spark_schema.arrow(schema, table)), name


@pytest.mark.parametrize("options", [{}, {"irregular": "json", "timestamps": "utc"}], ids=str)
def test_spark_reads_all_types_and_nulls(session, extract, options):
    for table in ("person", "event"):
        found = frame(session, extract, table, **options)
        rows = found.toArrow()
        opened = pyarrow.table(cprflow.open(extract, **options).table(table))
        assert rows.schema.names == opened.schema.names and rows.num_rows == opened.num_rows
        assert plain(rows) == plain(opened.cast(rows.schema))
    assert found.schema["event_code"].metadata["comment"]


def test_a_schema_narrows_the_columns(session, extract):
    narrow = frame(session, extract, schema="birth_date date, pnr string, line bigint")
    rows = narrow.toArrow()
    expected = pyarrow.table(cprflow.open(extract).table("person").scan(columns=["birth_date", "pnr", "line"]))
    assert rows.schema.names == ["birth_date", "pnr", "line"] and plain(rows) == plain(expected)
    by_option = frame(session, extract, columns="birth_date, pnr,line")
    assert plain(by_option.toArrow()) == plain(expected)
    assert by_option.schema["birth_date"].metadata["comment"] == "FOED_DT"
    with pytest.raises(Exception, match="the schema has the column 'age', which the table 'person' has not"):
        frame(session, extract, schema="age int").count()


def test_only_the_columns_of_the_schema_leave_the_sandbox(extract):
    everything, narrow = returned(reader(extract)), returned(reader(extract, columns=["pnr", "birth_date"]))
    assert everything.rows == narrow.rows == 3000
    assert narrow.bytes_returned * 3 < everything.bytes_returned


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (StructType().add("age", "integer"), "has the column 'age', which the table 'person' has not"),
        (StructType().add("pnr", "integer"), "type int for the column 'pnr', which has the type string"),
        (StructType().add("status_start", "timestamp"), "type timestamp for .* has the type timestamp_ntz"),
        (StructType().add("pnr", "string", False), "'pnr' is never null, and it can be null"),
    ],
)
def test_wrong_schemas_are_refused(extract, schema, text):
    with pytest.raises(cprflow.RequestError, match=text):
        source(extract).reader(schema)


# Filters.


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


def negated(found):
    return spark_api.Not(found)


DAY = datetime.date(1990, 1, 1)
PUSHED = [
    filter("EqualTo", "status", "01"),
    filter("EqualTo", "sex", "no such sex"),
    filter("EqualTo", "occupation", "O'Brien"),
    filter("EqualTo", "birth_date_uncertain", True),
    filter("EqualTo", "birth_date", DAY),
    filter("EqualTo", "line", 17),
    filter("EqualNullSafe", "occupation", None),
    filter("EqualNullSafe", "status", "01"),
    filter("EqualNullSafe", "birth_date", DAY),
    filter("GreaterThan", "birth_date", DAY),
    filter("GreaterThanOrEqual", "pnr", "15"),
    filter("LessThan", "line", 500),
    filter("LessThanOrEqual", "status_start", datetime.datetime(2000, 1, 1, 12, 30)),
    filter("In", "status", ("01", "03")),
    filter("In", "occupation", ("Lærer", "Smed")),
    filter("IsNull", "status_start"),
    filter("IsNotNull", "occupation"),
    filter("StringStartsWith", "pnr", "0101"),
    filter("StringStartsWith", "occupation", "L"),
    filter("StringStartsWith", "occupation", ""),
    filter("StringStartsWith", "status", "0"),
]

NOT_PUSHED = [
    filter("StringEndsWith", "pnr", "1"),
    filter("StringContains", "pnr", "1"),
    filter("EqualTo", "irregular", None),
    filter("IsNull", "irregular"),
    filter("EqualTo", "status", None),
    filter("In", "status", ("01", None)),
    filter("In", "status", ()),
    filter("GreaterThan", "birth_date_uncertain", False),
    filter("In", "birth_date_uncertain", (True, False)),
    filter("EqualTo", "line", 1.5),
    filter("EqualTo", "line", True),
    filter("EqualTo", "line", 2**70),
    filter("GreaterThan", "birth_date", datetime.datetime(1990, 1, 1, 12)),
    filter("GreaterThan", "status_start", datetime.datetime(2000, 1, 1, 0, 0, 0, 500_000)),
    filter("GreaterThan", "status_start", datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)),
    filter("EqualTo", "nothing", "x"),
    spark_api.EqualTo(("irregular", "status"), "x"),
    spark_api.Not(filter("StringContains", "pnr", "1")),
]


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


@pytest.fixture(scope="module")
def persons(extract):
    return pyarrow.table(cprflow.open(extract).table("person")).to_pylist()


@pytest.mark.parametrize("found", PUSHED + [negated(one) for one in PUSHED], ids=repr)
def test_a_pushed_filter_keeps_the_rows_of_spark(extract, persons, found):
    kept = read(reader(extract, columns=["line"], filters=[found])).column("line").to_pylist()
    assert kept == [row["line"] for row in persons if holds(found, row)]


@pytest.mark.parametrize("found", NOT_PUSHED, ids=repr)
def test_other_filters_are_returned_to_spark(extract, found):
    made = source(extract, pushdown="true")
    pushing = made.reader(made.schema())
    taken = filter("EqualTo", "sex", "K")
    assert pushing.pushFilters([found, taken]) == [found]
    assert {row["sex"] for row in read(pushing).to_pylist()} == {"K"}


def test_prefixes_end_before_the_next_text():
    after = _spark_filters._after
    assert after("0101") == "0102" and after("a\ud7ff") == "a\ue000"
    assert after("a\U0010ffff") == "b" and after("\U0010ffff") is None
    assert _spark_filters.condition(filter("StringStartsWith", "a", "\U0010ffff"), {"a": "utf8"}).startswith("a >= ")


def test_too_many_values_are_left_to_spark(extract):
    # A condition has at most 64 KiB.
    long = filter("In", "pnr", tuple(f"{number:010}" for number in range(6000)))
    short = filter("EqualTo", "sex", "K")
    made = source(extract, pushdown="true")
    assert made.reader(made.schema()).pushFilters([long, short]) == [long]


def test_only_the_rows_of_a_filter_leave_the_sandbox(extract):
    columns = ["pnr", "birth_date"]
    narrow = returned(reader(extract, columns=columns))
    few = returned(reader(extract, columns=columns, filters=[filter("GreaterThan", "birth_date", datetime.date(2015, 1, 1))]))
    assert 0 < few.rows < narrow.rows / 4 and few.bytes_returned * 4 < narrow.bytes_returned


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


def filters_itself(found):
    """Returns whether Spark itself applies a filter to the rows of a frame."""
    return re.search(r"\bFilter \(", found._jdf.queryExecution().executedPlan().toString()) is not None


CONDITION = "birth_date > '2015-01-01' and pnr >= '0' and pnr < '1' and status in ('01', '03')"


def test_a_filter_reaches_the_sandbox(session, extract, rows, tmp_path):
    counts = tmp_path / "counts"
    session.dataSource.register(counting(str(counts), CprflowReader))

    def load(**options):
        return session.read.format("counting").options(table="person", **options).load(str(extract))

    kept = load(filter=CONDITION, columns="pnr,birth_date").toArrow()
    everything = load().count()
    [_, some, returned], [_, count, all_returned] = map(json.loads, counts.read_text().splitlines())
    assert plain(kept) == rows(extract, "person", "--where", CONDITION, "--columns", "pnr,birth_date")
    assert some == kept.num_rows > 0 and count == everything == 3000
    assert returned * 50 < all_returned


def test_filters_of_a_query_are_pushed_down_on_demand(session, extract, tmp_path):
    counts = tmp_path / "counts"
    session.dataSource.register(counting(str(counts), CprflowPushdownReader))
    session.conf.set(PUSHDOWN, "true")

    def load(name, **options):
        return session.read.format(name).options(table="person", **options).load(str(extract)).where(CONDITION)

    pushed, plain_frame = load("counting"), load("cprflow")
    assert not filters_itself(pushed) and filters_itself(plain_frame) and not filters_itself(load("cprflow", pushdown="true"))
    kept = pushed.toArrow()
    assert plain(kept) == plain(plain_frame.toArrow())
    [_, rows, returned] = json.loads(counts.read_text())
    assert 0 < rows == kept.num_rows
    opened = cprflow.open(extract)
    pyarrow.table(opened.table("person"))
    assert returned * 20 < opened.stats().bytes_returned


def test_pushdown_needs_the_setting_of_spark(session, extract):
    with pytest.raises(Exception, match=f"DATA_SOURCE_PUSHDOWN_DISABLED.*{PUSHDOWN}"):
        frame(session, extract, pushdown="true").count()


def test_spark_mixes_up_the_filters_of_one_frame(session, extract):
    """A fault of Spark 4.1 to 4.3, because of which filters are pushed down only on demand.

    If this test fails, Spark has repaired the fault: then pushdown can be the default for that version.
    """
    session.conf.set(PUSHDOWN, "true")
    pushed = frame(session, extract, columns="sex", pushdown="true")
    sexes = pushed.where("sex = 'K'").union(pushed.where("sex = 'M'")).distinct().collect()
    assert [row.sex for row in sexes] == ["M"]
    # Without the option, everything is right.
    safe = frame(session, extract, columns="sex")
    sexes = safe.where("sex = 'K'").union(safe.where("sex = 'M'")).distinct().collect()
    assert {row.sex for row in sexes} == {"K", "M"}


@pytest.mark.parametrize("is_filtered", [False, True])
def test_the_question_of_all_engines(session, extract, question, expected, is_filtered):  # noqa: F811
    municipality, born_after = question
    filters = {"person": f"birth_date > '{born_after}'", "address": f"municipality_code = '{municipality}'"}
    for table in ("person", "address", "parents"):
        options = {"filter": filters[table]} if is_filtered and table in filters else {}
        frame(session, extract, table, **options).createOrReplaceTempView(table)
    found = session.sql(SQL.format(municipality=municipality, born_after=born_after)).collect()
    assert same([tuple(row[name] for name in COLUMNS) for row in found], expected)


def test_the_filter_of_an_option_and_those_of_a_query_hold_together(extract, persons):
    made = source(extract, filter="sex = 'K' or sex = 'M' and line < 900", pushdown="true")
    pushing = made.reader(made.schema())
    assert pushing.pushFilters([filter("EqualTo", "status", "01")]) == []
    expected = [
        row["line"]
        for row in persons
        if (row["sex"] == "K" or row["sex"] == "M" and row["line"] < 900) and row["status"] == "01"
    ]
    assert read(pushing).column("line").to_pylist() == expected


# Tenants.


@pytest.mark.parametrize("name", ["school", "research", "statistics"])
@pytest.mark.parametrize("table", ["person", "address"])
def test_a_policy_holds_in_spark(session, tenants, rows, name, table):
    options = {"config": tenants.config, "tenant": name}
    found = frame(session, tenants.extract, table, **options)
    expected = rows(tenants.extract, table, "--tenant", name, "--config", tenants.config)
    assert plain(found.toArrow()) == expected and 0 < len(expected) <= 800
    with pytest.raises(Exception, match="hides"):
        frame(session, tenants.extract, "church", **options)


def test_filters_under_a_policy_keep_the_rows_of_spark(tenants):
    """The sandbox does not see pseudonyms, nor texts in which a number was replaced."""
    options = {"config": tenants.config, "tenant": "research", "pushdown": "true"}
    made = source(tenants.extract, "address", **options)
    everything = read(made.reader(made.schema())).to_pylist()
    texts = {row["co_name"] for row in everything}
    assert "c/o [number]" in texts and not any("0101010101" in (text or "") for text in texts)
    hidden = [
        filter("IsNotNull", "co_name"),
        filter("EqualTo", "co_name", "c/o [number]"),
        filter("EqualTo", "pnr", everything[5]["pnr"]),
        filter("StringStartsWith", "pnr", "0"),
    ]
    shown = [filter("IsNotNull", "pnr"), filter("GreaterThan", "municipality_code", "0500")]
    pushing = made.reader(made.schema())
    assert pushing.pushFilters([*hidden, *shown]) == hidden
    assert read(pushing).to_pylist() == [row for row in everything if all(holds(one, row) for one in shown)]


def test_no_number_and_no_key_is_sent_to_executors(tenants):
    found = source(tenants.extract, config=tenants.config, tenant="research")
    made = found.reader(found.schema())
    parts = made.partitions()
    sent = cloudpickle.dumps((found, made, parts)) + repr(parts).encode()
    assert b"abababab" not in sent
    assert "0101010101" not in repr(source(tenants.extract, filter="pnr = '0101010101'")._options())
    numbers = pyarrow.table(cprflow.open(tenants.extract).table("person").scan(columns=["pnr"])).column(0).to_pylist()
    assert not any(number.encode() in sent for number in numbers)


# Parts of an extract.


def test_parts_have_the_rows_of_one_scan(extract):
    for table, options in [("person", {}), ("event", {"irregular": "json", "timestamps": "utc"}), ("address", {})]:
        whole, parts = reader(extract, table, **options), reader(extract, table, partBytes=200_000, **options)
        assert len(parts.partitions()) > 5
        assert read(parts).equals(read(whole))


def test_rows_and_bytes_are_counted_over_parts(extract):
    """Only the columns and rows of a query leave the sandboxes of all tasks, and each byte of the extract is read once."""
    size = extract.stat().st_size
    columns, young = ["pnr", "birth_date"], filter("GreaterThan", "birth_date", datetime.date(2015, 1, 1))

    def counts(**options):
        return returned(reader(extract, partBytes=200_000, **options)), returned(reader(extract, **options))

    for options in ({}, {"columns": columns}, {"columns": columns, "filters": [young]}):
        parts, whole = counts(**options)
        assert parts.rows == whole.rows > 0
        # Each task also reads the first record of the extract.
        assert size <= parts.bytes_read < size * 1.01
        assert parts.bytes_returned < whole.bytes_returned * 1.1 + 50_000
    everything, narrow, few = (
        counts(**options)[0] for options in ({}, {"columns": columns}, {"columns": columns, "filters": [young]})
    )
    assert narrow.bytes_returned * 3 < everything.bytes_returned
    assert 0 < few.rows < narrow.rows / 4 and few.bytes_returned * 3 < narrow.bytes_returned


def test_spark_runs_a_task_for_each_part(session, extract, tmp_path):
    counts = tmp_path / "counts"
    session.dataSource.register(counting(str(counts), CprflowReader))
    options = {"table": "person", "partBytes": "1000000", "filter": CONDITION, "columns": "pnr,birth_date"}
    loaded = session.read.format("counting").options(**options).load(str(extract))
    expected = pyarrow.table(cprflow.open(extract).table("person").scan(columns=["pnr", "birth_date"], filter=CONDITION))
    assert plain(loaded.toArrow()) == plain(expected)
    counted = [json.loads(line) for line in counts.read_text().splitlines()]
    assert len(counted) == len(reader(extract, partBytes=1_000_000).partitions()) > 2
    assert sum(rows for _, rows, _ in counted) == expected.num_rows > 0


def test_a_policy_holds_over_parts(tenants, rows):
    options = {"config": tenants.config, "tenant": "school"}
    tables = cprflow.open(tenants.extract, **options).tables
    assert len(tables) > 10
    for table in tables:
        parts = reader(tenants.extract, table, partBytes=100_000, **options)
        found = read(parts)
        assert found.equals(read(reader(tenants.extract, table, **options))), table
        # The persons who left are known at the end of the extract.
        assert len(parts.partitions()) > 3 or table == "out_of_scope"
        if table in ("person", "address", "name"):
            expected = rows(tenants.extract, table, "--tenant", "school", "--config", tenants.config)
            assert plain(found) == expected and expected


def test_a_policy_that_hides_the_order_of_rows_has_no_parts(tenants):
    for name, more in [("research", {}), ("statistics", {}), ("school", {"columns": ["birth_date"]})]:
        options = {"config": tenants.config, "tenant": name, **more}
        parts = reader(tenants.extract, partBytes=100_000, **options)
        assert len(parts.partitions()) == 1
        assert read(parts).equals(read(reader(tenants.extract, **options)))


def test_a_part_of_a_tenant_is_not_read_without_the_policy(tenants):
    found = reader(tenants.extract, partBytes=100_000, config=tenants.config, tenant="school")
    part = found.partitions()[1]
    with pytest.raises(cprflow.RequestError, match="policy"):
        list(reader(tenants.extract, partBytes=100_000).read(part))


def test_the_driver_checks_an_extract_that_it_divides(session, extract, job, tmp_path):
    data = extract.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[: data.index(b"\n", len(data) // 2) + 1])
    # Without all records, protected persons cannot be masked.
    job.configure(tenant("board", "protection = 'include'\nclasses = ['default', 'protection']"))
    for options in ({}, {"config": job.config, "tenant": "board"}):
        with pytest.raises(cprflow.DataError, match="missing-end: "):
            reader(cut, partBytes=200_000, **options).partitions()
        opened = cprflow.open(cut, accept=["missing-end"], **options)
        expected = sort(pyarrow.table(opened.table("person")))
        # In parts and as a whole.
        for size in (200_000, 1 << 30):
            accepted = reader(cut, partBytes=size, accept="missing-end", **options)
            assert (len(accepted.partitions()) > 1) == (size == 200_000)
            assert sort(read(accepted)) == expected
    with pytest.raises(Exception, match="missing-end: "):
        frame(session, cut, partBytes=200_000).count()


def test_the_driver_reads_an_extract_of_a_tenant_at_most_four_times(extract, tenants):
    """The component checks it and selects the persons. Other extracts are read once, and small ones only by their task."""

    def times(path, size, **options):
        before = bytes_read()
        made = source(path, partBytes=size, **options)
        made.reader(made.schema()).partitions()
        return (bytes_read() - before) / path.stat().st_size

    own = {"config": tenants.config, "tenant": "school"}
    assert times(extract, 1 << 30) < 0.1 and 1 <= times(extract, 200_000) < 1.1
    assert 4 <= times(tenants.extract, 1 << 30, **own) < 4.1 and 4 <= times(tenants.extract, 100_000, **own) < 4.1


def bytes_read():
    """Returns the number of bytes that this process has read."""
    return int(pathlib.Path("/proc/self/io").read_text().split()[1])


def test_an_extract_that_changes_after_planning_is_an_error(extract, tmp_path):
    path = tmp_path / "extract"
    data = extract.read_bytes()
    path.write_bytes(data)
    found = reader(path, partBytes=200_000)
    parts = found.partitions()
    path.write_bytes(data[:-400])
    for part in parts:
        with pytest.raises(cprflow.RequestError, match="not the one that was divided"):
            list(found.read(part))
    path.unlink()
    with pytest.raises(cprflow.FileError):
        list(found.read(parts[0]))


def test_another_component_on_an_executor_is_an_error(extract, monkeypatch):
    own = cprflow.component_digest()
    for size in (200_000, 1 << 30):
        found = reader(extract, partBytes=size)
        parts = found.partitions()
        with monkeypatch.context() as patch:
            patch.setattr(cprflow, "component_digest", lambda: "2222")
            with pytest.raises(cprflow.ComponentError, match=f"executor has the component 2222, and the driver has {own}"):
                list(found.read(parts[0]))


# Datasets.


def test_a_filter_holds_in_a_dataset(session, published):
    found = frame(session, published.path, filter="sex = 'K'", columns="sequence,pnr")
    scan = cprflow.dataset(published.path).table("person").scan(columns=["sequence", "pnr"], filter="sex = 'K'")
    assert sort(found.toArrow()) == sort(pyarrow.table(scan))
    for options in ({}, {"current": "true"}):
        with pytest.raises(cprflow.RequestError, match="no column"):
            made = source(published.path, filter="nothing = 1", **options)
            made.reader(made.schema()).partitions()


def test_a_dataset_has_a_partition_for_each_delivery(session, published):
    found = frame(session, published.path)
    assert found.rdd.getNumPartitions() == 3
    everything = pyarrow.table(cprflow.dataset(published.path).table("person"))
    assert sort(found.toArrow()) == sort(everything)
    newer = frame(session, published.path, since=1)
    assert {row.sequence for row in newer.select("sequence").distinct().collect()} == {2, 3}


def test_a_frame_keeps_its_deliveries(session, job):
    job.configure()
    job.night(0)
    assert cprflow.sync(job.config).ok
    before = frame(session, job.dataset, columns="sequence")
    count = before.count()
    job.night(1)
    assert cprflow.sync(job.config).ok
    assert before.count() == count
    after = frame(session, job.dataset, columns="sequence")
    assert {row.sequence for row in after.distinct().collect()} == {1, 2}


def test_deliveries_are_selected(published):
    for since, sequences in [("1", {2, 3}), ('{"town": 2}', {3}), ('{"city": 2}', {1, 2, 3}), ("9", set())]:
        found = read(reader(published.path, columns=["sequence"], since=since, agreement="town"))
        assert set(found.column("sequence").to_pylist()) == sequences
    # Spark makes a partition of its own if there is none.
    assert list(reader(published.path, since="9").read(InputPartition(None))) == []
    # Filters on the columns of a delivery stay with Spark.
    made = source(published.path, pushdown="true")
    sequence, sex = filter("EqualTo", "sequence", 1), filter("EqualTo", "sex", "K")
    pushing = made.reader(made.schema())
    assert pushing.pushFilters([sequence, sex]) == [sequence]
    everything = pyarrow.table(cprflow.dataset(published.path).table("person")).to_pylist()
    assert read(pushing).to_pylist() == [row for row in everything if row["sex"] == "K"]


def test_columns_that_a_delivery_lacks_are_null(tmp_path, published):
    for number, delivery in enumerate(cprflow.dataset(published.path).deliveries()):
        target = tmp_path / "agreement=town" / delivery.directory.name
        target.mkdir(parents=True)
        (target / "_delivery.json").write_text((delivery.directory / "_delivery.json").read_text())
        rows = pyarrow.parquet.read_table(delivery.directory / "person.parquet", partitioning=None)
        rows = rows.drop_columns(["sex"] if number == 0 else [])
        pyarrow.parquet.write_table(rows, target / "person.parquet", compression="zstd")
    expected = pyarrow.table(cprflow.dataset(tmp_path).table("person")).to_pylist()
    assert read(reader(tmp_path)).to_pylist() == expected
    assert read(reader(tmp_path, columns=["sex"])).column("sex").to_pylist() == [row["sex"] for row in expected]
    made = source(tmp_path, pushdown="true")
    null, status = filter("IsNull", "sex"), filter("EqualTo", "status", "01")
    assert made.reader(made.schema()).pushFilters([null, status]) == [null]


def test_the_current_tables_are_read(session, published):
    found = frame(session, published.path, current="true")
    expected = pyarrow.table(cprflow.dataset(published.path).current("person"))
    assert sort(found.toArrow()) == sort(expected) and expected.num_rows > 0
    # Spark also reads the file itself.
    parquet = session.read.parquet(str(published.path / "current" / "person.parquet"))
    assert sort(parquet.toArrow()) == sort(expected)
    women = reader(published.path, current="true", filters=[filter("EqualTo", "sex", "K")])
    assert read(women).to_pylist() == [row for row in expected.to_pylist() if row["sex"] == "K"]


def test_a_delivery_or_generation_that_is_gone_is_an_error(job):
    job.configure()
    job.night(0)
    assert cprflow.sync(job.config).ok
    deliveries, current = reader(job.dataset), reader(job.dataset, current="true")
    planned = [(found, found.partitions()[0]) for found in (deliveries, current)]
    job.night(1)
    assert cprflow.sync(job.config).ok
    # A delivery stays, and a generation is replaced.
    assert list(deliveries.read(planned[0][1]))
    with pytest.raises(cprflow.DatasetError, match="current tables were made again after the query was planned"):
        list(current.read(planned[1][1]))
    first = cprflow.dataset(job.dataset).deliveries()[0].directory
    first.rename(job.root / "gone")
    with pytest.raises(cprflow.DatasetError, match="was removed or made again after the query was planned"):
        list(deliveries.read(planned[0][1]))


# Errors.


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tabel": "person"}, "there is no option 'tabel'; the options are path, table, columns, "),
        ({"table": ""}, "the option 'table' is missing"),
        ({"path": "s3://bucket/extract"}, "'path' is a URI"),
        ({"path": "dbfs:/extract"}, "'path' is a URI"),
        ({"current": "true"}, "'current' is for datasets"),
        ({"since": "1"}, "'since' is for datasets"),
        ({"partBytes": "0"}, "'partBytes' must be a whole number of at least 1"),
        ({"partBytes": "64m"}, "'partBytes' must be a whole number"),
        ({"pushdown": "yes"}, "'pushdown' must be true or false"),
        ({"irregular": "list"}, "irregular must be one of"),
        ({"accept": "missing-end, look-alike"}, "cannot be accepted"),
        ({"tenant": "school"}, "need each other"),
        ({"table": "persons"}, "no table"),
        ({"columns": "pnr, age"}, "the option 'columns' has the column 'age', which the table 'person' has not"),
    ],
)
def test_wrong_options_are_refused(extract, options, text):
    with pytest.raises(cprflow.RequestError, match=text):
        CprflowDataSource(case_insensitive({"path": extract, "table": "person", **options})).schema()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tenant": "school", "config": "a"}, "'config' is for extracts.*A tenant has a dataset of its own"),
        ({"partBytes": "5"}, "'partBytes' is for extracts"),
        ({"since": "x"}, "'since' must be a whole number"),
        ({"since": "{1}"}, "'since' must be a sequence number, or a JSON object"),
        ({"since": '{"town": "x"}'}, "'since' must be a sequence number, or a JSON object"),
        ({"since": "1", "current": "true"}, "'since' selects deliveries"),
        ({"agreement": "town", "current": "true"}, "'agreement' selects deliveries"),
    ],
)
def test_wrong_options_of_a_dataset_are_refused(published, options, text):
    with pytest.raises(cprflow.RequestError, match=text):
        source(published.path, **options).schema()


def test_errors_reach_spark_with_the_text_of_cprflow(session, extract, tmp_path):
    with pytest.raises(Exception, match="there is no table \"persons\""):
        frame(session, extract, "persons")
    with pytest.raises(Exception, match="there is no option 'tabel'"):
        frame(session, extract, tabel="person")
    data = extract.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[: data.index(b"\n", len(data) // 2) + 1])
    with pytest.raises(Exception, match="missing-end: ") as raised:
        frame(session, cut).count()
    numbers = pyarrow.table(cprflow.open(extract).table("person").scan(columns=["pnr"])).column(0).to_pylist()
    # Spark makes the text anew each time.
    text = str(raised.value)
    assert not any(number in text for number in numbers)
    assert 0 < frame(session, cut, accept="missing-end").count() <= 3000


def test_an_older_spark_is_refused():
    script = """
import sys, types
pyspark = types.ModuleType("pyspark")
pyspark.__version__ = "3.5.1"
pyspark.__path__ = []
sys.modules["pyspark"] = pyspark
import cprflow.spark
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "cprflow.spark needs Spark 4.0 or newer; this is Spark 3.5.1" in ended.stderr


def test_pushdown_needs_spark_4_1(extract, monkeypatch):
    made = source(extract, pushdown="true")
    schema = made.schema()
    monkeypatch.delattr(spark_api.DataSourceReader, "pushFilters")
    with pytest.raises(cprflow.RequestError, match="'pushdown' needs Spark 4.1 or newer.*'filter'"):
        made.reader(schema)


# Workers that are killed.


def waiting(directory):
    """Returns the data source under another name: its first two tasks wait in the middle until one of them is killed."""

    class WaitingReader(CprflowReader):
        def read(self, partition):
            for number, batch in enumerate(super().read(partition)):
                yield batch
                waits = os.path.join(directory, f"waits-{os.getpid()}")
                done = os.path.join(directory, "killed")
                if number == 0 and not os.path.exists(done):
                    pathlib.Path(waits).touch()
                    while not os.path.exists(done):
                        time.sleep(0.05)

    class WaitingSource(CprflowDataSource):
        @classmethod
        def name(cls):
            return "waiting"

        def reader(self, schema):
            return WaitingReader(self._options(), schema)

    return WaitingSource


def kill_one(directory, tasks, pid_to_kill):
    """Waits until this many tasks are in the middle, and kills a process of one of them."""
    deadline = time.monotonic() + HANGS
    while len(found := sorted(directory.glob("waits-*"))) < tasks:
        assert time.monotonic() < deadline, "no task has begun"
        time.sleep(0.05)
    worker = int(found[0].name.removeprefix("waits-"))
    os.kill(pid_to_kill(worker), signal.SIGKILL)
    (directory / "killed").touch()


def in_thread(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def parent(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_python_worker_changes_nothing(session, published, tmp_path):
    session.dataSource.register(waiting(str(tmp_path)))
    loaded = session.read.format("waiting").option("table", "person").load(str(published.path))
    killer = in_thread(kill_one, tmp_path, 2, lambda worker: worker)
    rows = loaded.toArrow()
    killer.join()
    assert (tmp_path / "killed").exists()
    assert sort(rows) == sort(pyarrow.table(cprflow.dataset(published.path).table("person")))


def executor(worker):
    """Returns the process of Spark that has started a Python worker."""
    process = worker
    while "CoarseGrainedExecutorBackend" not in pathlib.Path(f"/proc/{process}/cmdline").read_text():
        process = parent(process)
        assert process > 1
    return process


def on_a_cluster(directory, path, options):
    """Lets two executors write a table, twice. The second time, one of them is killed in the middle."""
    # A cluster writes the logs of its executors into the directory of Spark, so it gets one of its own.
    home = directory / "home"
    home.mkdir()
    for entry in pathlib.Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    os.environ["SPARK_HOME"] = str(home)
    session = spark_session("local-cluster[2,1,1024]", directory / "spark")
    session.dataSource.register(counting(str(directory / "counts"), CprflowReader))
    session.dataSource.register(waiting(str(directory)))

    def write(name):
        loaded = session.read.format(name).options(table="person", **options).load(str(path))
        loaded.write.parquet(str(directory / name))

    write("counting")
    killer = in_thread(kill_one, directory, 2, executor)
    write("waiting")
    killer.join()
    session.stop()


@pytest.mark.parametrize("kind", ["deliveries", "extract", "tenant"])
def test_two_workers_of_which_one_is_killed(published, job, tmp_path, kind):
    """In another Python, because a process has one Spark. Each executor is a process of its own."""
    options = {}
    if kind == "deliveries":
        path = published.path
        table = cprflow.dataset(path).table("person")
    else:
        path = tmp_path / "extract"
        cprflow.generate(path, persons=PERSONS, seed=9, busy=True)
        if kind == "tenant":
            job.configure(tenant("grown", "persons = { statuses = ['01'] }"))
            options = {"config": str(job.config), "tenant": "grown"}
        table = cprflow.open(path, **options).table("person")
        # Two tasks for each worker, so that there is work left for the one that stays.
        options["partBytes"] = str(path.stat().st_size // 4)
    on_a_cluster = f"test_spark.on_a_cluster(pathlib.Path({str(tmp_path)!r}), {str(path)!r}, {options})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(pathlib.Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", f"import pathlib, test_spark; {on_a_cluster}"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    assert ended.returncode == 0, ended.stderr
    keys = [(name, "ascending") for name in ("sequence", "line", "pnr") if name in table.schema]
    expected = pyarrow.table(table).sort_by(keys)
    for name in ("counting", "waiting"):
        written = pyarrow.parquet.read_table(tmp_path / name)
        assert written.cast(expected.schema).sort_by(keys).equals(expected), name
    counted = [json.loads(line) for line in (tmp_path / "counts").read_text().splitlines()]
    assert len({worker for worker, _, _ in counted}) >= 2 and (tmp_path / "killed").exists()
    assert len(counted) >= 3 and sum(rows for _, rows, _ in counted) == expected.num_rows
