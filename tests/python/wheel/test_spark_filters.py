"""The data source of Spark: filters of an option and of a query."""

import datetime
import json
import re

import cprflow
import pyarrow
import pytest
from spark_support import session  # noqa: F401 (fixture)
from spark_support import CONDITION, PUSHDOWN, counting, filter, frame, holds, read, reader, returned, source
from test_engines import COLUMNS, SQL, expected, question, same  # noqa: F401 (fixtures)
from test_extract import plain

# `spark_support` skips the file without Spark, so these come after it.
from cprflow import _spark_filters
from cprflow.spark import CprflowPushdownReader, CprflowReader
from pyspark.sql import datasource as spark_api


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


def filters_itself(found):
    """Returns whether Spark itself applies a filter to the rows of a frame."""
    return re.search(r"\bFilter \(", found._jdf.queryExecution().executedPlan().toString()) is not None


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
