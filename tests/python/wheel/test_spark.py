"""The data source of Spark: schemas, tenants, datasets and errors."""

import inspect
import subprocess
import sys

import cprflow
import pyarrow
import pyarrow.parquet
import pytest
from exports import normal
from spark_support import session  # noqa: F401 (fixture)
from spark_support import case_insensitive, filter, frame, holds, read, reader, returned, sort, source
from test_extract import plain

# `spark_support` skips the file without Spark, so these come after it.
from cprflow import _spark_schema
from cprflow.spark import CprflowDataSource
from pyspark import cloudpickle
from pyspark.sql import datasource as spark_api
from pyspark.sql.datasource import InputPartition
from pyspark.sql.types import StructType


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


@pytest.mark.parametrize("is_current", [True, False])
def test_the_tables_of_ddl_take_the_rows(session, run, published, is_current):
    place = "ddl_current" if is_current else "ddl_deliveries"
    statements = run("ddl", "--dialect", "spark", "--schema", place, *([] if is_current else ["--deliveries"]))
    assert statements.returncode == 0, statements.stderr
    for statement in statements.stdout.decode().rstrip().removesuffix(";").split(";\n"):
        session.sql(statement)
    dataset = cprflow.dataset(published.path, irregular="json")
    now = dataset.generation() if is_current else dataset.deliveries()[0]
    for name in now.tables if is_current else list(now.rows):
        rows = pyarrow.table(now.table(name))
        table = session.table(f"{place}.{name}")
        assert table.columns == rows.column_names, name
        # By position.
        session.createDataFrame(rows, table.schema).write.insertInto(f"{place}.{name}")
        assert normal(session.table(f"{place}.{name}").toArrow()) == normal(rows), name
    described = {row.col_name: row.comment for row in session.sql(f"DESCRIBE TABLE {place}.person").collect()}
    assert described["birth_date"].startswith("FOED")


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
