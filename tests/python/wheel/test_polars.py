"""Lazy frames of polars: what is pushed down, and that the rows stay right."""

import datetime

import cprflow
import cprflow.polars
import polars
import pytest
from cprflow import _pushdown

c = polars.col


@pytest.fixture(scope="module")
def person(extract):
    return cprflow.open(extract).table("person")


@pytest.fixture(scope="module")
def frame(person):
    return polars.DataFrame(person)


PUSHED = {
    "status = '01'": c("status") == "01",
    "status != '01'": c("status") != "01",
    "'01' < status": polars.lit("01") < c("status"),
    "occupation = 'it''s'": c("occupation") == "it's",
    "birth_date < '1990-01-01'": c("birth_date") < datetime.date(1990, 1, 1),
    "birth_date between '1960-02-29' and '1970-12-31'": c("birth_date").is_between(
        datetime.date(1960, 2, 29), datetime.date(1970, 12, 31)
    ),
    "status_start >= '2000-01-01 12:30:00'": c("status_start") >= datetime.datetime(2000, 1, 1, 12, 30),
    "status in ('01', '90')": c("status").is_in(["01", "90"]),
    "birth_date in ('1990-01-01')": c("birth_date").is_in([datetime.date(1990, 1, 1)]),
    "line <= 500": c("line") <= 500,
    "pnr_start_date_uncertain = true": c("pnr_start_date_uncertain"),
    "not (pnr_start_date_uncertain = true)": ~c("pnr_start_date_uncertain"),
    "pnr_start_date_uncertain = false": c("pnr_start_date_uncertain") == False,  # noqa: E712
    "current_pnr is not null": c("current_pnr").is_not_null(),
    "occupation is null": c("occupation").is_null(),
    "(sex = 'K' or status = '90')": (c("sex") == "K") | (c("status") == "90"),
    "not ((sex = 'K' and status in ('01')))": ~((c("sex") == "K") & c("status").is_in(["01"])),
}


@pytest.mark.parametrize("condition", PUSHED)
def test_a_condition_is_pushed_down(person, frame, condition):
    predicate = PUSHED[condition]
    types = {column.name: column.type for column in person.schema}
    written = condition.replace("'01' < status", "status > '01'")
    assert _pushdown.conditions(predicate, types) == [written]
    # The condition alone has the same rows, so that it means the same.
    assert polars.DataFrame(person.scan(filter=written)).equals(frame.filter(predicate))
    assert cprflow.polars.scan(person).filter(predicate).collect().equals(frame.filter(predicate))


NOT_PUSHED = {
    "starts with": c("status").str.starts_with("0"),
    "two columns": c("pnr") == c("current_pnr"),
    "arithmetic": c("line") % 2 == 0,
    "null in a list": c("status").is_in(["01", None]),
    "not equal with nulls": c("occupation").ne_missing("x"),
    "open interval": c("line").is_between(5, 10, closed="left"),
    "half a second": c("status_start") > datetime.datetime(2000, 1, 1, 0, 0, 0, 500_000),
    "date with a time": c("birth_date") > datetime.datetime(1990, 1, 1, 12),
    "one side of an or": (c("sex") == "K") | c("status").str.starts_with("0"),
    "the map": c("irregular").is_null(),
}


@pytest.mark.parametrize("what", NOT_PUSHED)
def test_other_conditions_are_left_to_polars(person, frame, what):
    predicate = NOT_PUSHED[what]
    types = {column.name: column.type for column in person.schema if not column.type.startswith("map")}
    assert _pushdown.conditions(predicate, types) == []
    assert cprflow.polars.scan(person).filter(predicate).collect().equals(frame.filter(predicate))


def test_a_part_of_a_conjunction_is_pushed_down(person, frame):
    predicate = (c("sex") == "K") & c("pnr").str.ends_with("1") & (c("line") > 20)
    types = {column.name: column.type for column in person.schema}
    assert _pushdown.conditions(predicate, types) == ["sex = 'K'", "line > 20"]
    assert cprflow.polars.scan(person).filter(predicate).collect().equals(frame.filter(predicate))


def test_times_with_a_zone_are_left_to_polars(extract):
    opened = cprflow.open(extract, timestamps="utc")
    lazy = cprflow.polars.scan(opened, "person")
    eager = polars.DataFrame(opened.table("person"))
    day = datetime.datetime(2000, 1, 1, 12, tzinfo=datetime.timezone.utc)
    assert lazy.filter(c("status_start") > day).collect().equals(eager.filter(c("status_start") > day))


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_columns_conditions_and_limits_reach_the_sandbox(extract, frame, engine):
    def stats(query):
        opened = cprflow.open(extract)
        found = query(cprflow.polars.scan(opened, "person")).collect(engine=engine)
        return found, opened.stats()

    everything, all_of_it = stats(lambda lazy: lazy)
    assert everything.equals(frame)
    found, narrow = stats(lambda lazy: lazy.select("birth_date", "pnr"))
    assert found.equals(frame.select("birth_date", "pnr"))
    assert narrow.bytes_returned * 3 < all_of_it.bytes_returned
    young = c("birth_date") > datetime.date(2000, 6, 1)
    found, few = stats(lambda lazy: lazy.filter(young).select("pnr"))
    assert found.equals(frame.filter(young).select("pnr")) and found.height > 0
    assert few.rows == found.height and few.bytes_returned * 3 < narrow.bytes_returned
    found, first = stats(lambda lazy: lazy.head(5))
    assert found.equals(frame.head(5))
    assert first.bytes_read < all_of_it.bytes_read and first.rows == 5
    found, count = stats(lambda lazy: lazy.select(polars.len()))
    assert found.item() == frame.height
    assert count.bytes_returned * 5 < all_of_it.bytes_returned


def test_a_limit_comes_before_or_after_a_condition(extract, frame):
    lazy = cprflow.polars.scan(extract, "person")
    woman = c("sex") == "K"
    assert lazy.head(10).filter(woman).collect().equals(frame.head(10).filter(woman))
    assert lazy.filter(woman).head(10).collect().equals(frame.filter(woman).head(10))
    assert lazy.tail(3).collect().equals(frame.tail(3))
    assert lazy.slice(5, 7).collect().equals(frame.slice(5, 7))


def test_a_dataset_can_be_scanned(published):
    lazy = cprflow.polars.scan(published.path, "person", irregular="json")
    eager = polars.DataFrame(cprflow.dataset(published.path, irregular="json").table("person"))
    for predicate in [c("status") == "90", c("sequence") > 1, (c("sequence") == 1) & (c("sex") == "M")]:
        assert lazy.filter(predicate).collect().equals(eager.filter(predicate))
    assert lazy.select(polars.len()).collect().item() == eager.height


@pytest.mark.parametrize("name", ["school", "research", "statistics"])
def test_conditions_of_a_tenant_keep_the_rows_that_are_shown(tenants, name):
    """In the sandbox, a text is null if its number is replaced by `[number]`."""
    opened = cprflow.open(tenants.extract, config=tenants.config, tenant=name)
    lazy = cprflow.polars.scan(opened, "address")
    eager = polars.DataFrame(opened.table("address"))
    text = "c/o 0101010101" if name == "school" else "c/o [number]"
    shown = eager["co_name"].to_list()
    assert shown.count(text) > 10
    for predicate, height in [
        (c("co_name") == text, shown.count(text)),
        (c("co_name").is_not_null(), len(shown) - shown.count(None)),
        (c("co_name").is_in([text, "nobody"]) & (c("municipality_code") > "0"), shown.count(text)),
        (~(c("co_name") == "nobody"), len(shown) - shown.count(None)),
    ]:
        found = lazy.filter(predicate).collect()
        assert found.height == height and found.equals(eager.filter(predicate))
    # Other conditions reach the sandbox.
    before = opened.stats().rows
    some = lazy.filter(c("municipality_code") > "0700").collect()
    assert opened.stats().rows - before == some.height and (some.height < eager.height or name == "school")


def test_wrong_arguments_are_refused(extract, person):
    with pytest.raises(cprflow.RequestError, match="no table"):
        cprflow.polars.scan(extract, "persons")
    with pytest.raises(TypeError, match="name of a table"):
        cprflow.polars.scan(extract)
    with pytest.raises(TypeError, match="no further"):
        cprflow.polars.scan(person, irregular="json")
    with pytest.raises(TypeError, match="belong to cprflow.open"):
        cprflow.polars.scan(cprflow.open(extract), "person", irregular="json")
    with pytest.raises(Exception, match="missing-end"):
        cprflow.polars.scan(extract.read_bytes()[:5000], "person").collect()


def test_small_batches_become_one_frame_up_to_the_size(person, frame):
    """A condition leaves few rows of each part of an extract."""
    gathered = list(cprflow.polars._gathered(person.scan(batch_rows=30, limit=200), 100))
    assert [len(one) for one in gathered] == [90, 90, 20]
    assert polars.concat(gathered).equals(frame.head(200))
    assert list(cprflow.polars._gathered([], 100)) == []
