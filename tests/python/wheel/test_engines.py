"""One question through every surface: persons under 18 of a municipality, with address and parents' numbers.

Every surface must give the rows that follow from `cprflow scan`, read as JSON and joined in plain Python. The surfaces
that can push a question down must let fewer bytes out of the sandbox.
"""

import collections
import datetime

import cprflow
import cprflow.dlt
import cprflow.polars
import datafusion
import dlt
import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pytest

COLUMNS = ["pnr", "birth_date", "street_code", "house_number", "mother_pnr", "father_pnr"]

SQL = """
    SELECT person.pnr, birth_date, street_code, house_number, mother_pnr, father_pnr
    FROM person JOIN address ON address.pnr = person.pnr LEFT JOIN parents ON parents.pnr = person.pnr
    WHERE birth_date > DATE '{born_after}' AND status IN ('01', '03') AND municipality_code = '{municipality}'
"""


@pytest.fixture(scope="module")
def question(extract, rows):
    """The municipality with most persons, and the day 18 years before the extract was made."""
    found = collections.Counter(row["municipality_code"] for row in rows(extract, "address"))
    produced = datetime.date.fromisoformat(cprflow.open(extract).start.production_date)
    return found.most_common(1)[0][0], produced.replace(year=produced.year - 18)


@pytest.fixture(scope="module")
def expected(extract, rows, question):
    municipality, born_after = question
    condition = f"status in ('01', '03') and birth_date > '{born_after}'"
    persons = {row["pnr"]: row for row in rows(extract, "person", "--where", condition)}
    parents = {row["pnr"]: row for row in rows(extract, "parents")}
    answer = []
    for address in rows(extract, "address", "--where", f"municipality_code = '{municipality}'"):
        number = address["pnr"]
        if number in persons:
            row = {**address, **persons[number], **parents.get(number, {})}
            answer.append(tuple(row.get(column) for column in COLUMNS))
    assert len(answer) > 20 and any(row[4] for row in answer)
    return sorted(answer, key=str)


def same(found, expected):
    """Returns whether rows are the expected ones, in any order."""

    def plain(cell):
        if cell is None or cell is pandas.NaT or cell is pandas.NA or cell != cell:
            return None
        return cell.date().isoformat() if hasattr(cell, "date") else str(cell)

    return sorted((tuple(map(plain, row)) for row in found), key=str) == expected


def tables(extract):
    opened = cprflow.open(extract)
    return opened, {name: opened.table(name) for name in ("person", "address", "parents")}


def whole(extract):
    """Returns the bytes that leave the sandbox if the three tables are read completely."""
    opened, by_name = tables(extract)
    for table in by_name.values():
        pyarrow.table(table)
    return opened.stats().bytes_returned


def joined(person, address, parents, question):
    municipality, born_after = question
    children = person.filter(
        polars.col("status").is_in(["01", "03"]) & (polars.col("birth_date") > born_after)
    ).select("pnr", "birth_date")
    addresses = address.filter(polars.col("municipality_code") == municipality)
    addresses = addresses.select("pnr", "street_code", "house_number")
    numbers = parents.select("pnr", "mother_pnr", "father_pnr")
    found = children.join(addresses, on="pnr").join(numbers, on="pnr", how="left")
    return found.select(COLUMNS)


def test_polars_eager(extract, question, expected):
    _, by_name = tables(extract)
    frames = {name: polars.DataFrame(table) for name, table in by_name.items()}
    assert same(joined(**frames, question=question).rows(), expected)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_polars_lazy(extract, question, expected, engine):
    opened, by_name = tables(extract)
    frames = {name: cprflow.polars.scan(table) for name, table in by_name.items()}
    found = joined(**frames, question=question).collect(engine=engine)
    assert same(found.rows(), expected)
    assert opened.stats().bytes_returned * 6 < whole(extract)


def test_polars_lazy_over_the_stream(extract, question, expected):
    _, by_name = tables(extract)
    frames = {name: polars.scan_arrow_c_stream(table) for name, table in by_name.items()}
    assert same(joined(**frames, question=question).collect().rows(), expected)


def test_duckdb(extract, question, expected):
    municipality, born_after = question
    _, by_name = tables(extract)
    connection = duckdb.connect()
    for name, table in by_name.items():
        connection.register(name, table)
    query = SQL.format(municipality=municipality, born_after=born_after)
    # The tables can be read again.
    for _ in range(2):
        assert same(connection.sql(query).fetchall(), expected)


def test_duckdb_with_scans(extract, question, expected):
    """DuckDB pushes nothing down, but scans do it for every consumer of streams."""
    municipality, born_after = question
    opened, by_name = tables(extract)
    person = by_name["person"].scan(columns=["pnr", "birth_date", "status"], filter=f"birth_date > '{born_after}'")
    address = by_name["address"].scan(
        columns=["pnr", "street_code", "house_number", "municipality_code"],
        filter=f"municipality_code = '{municipality}'",
    )
    parents = by_name["parents"].scan(columns=["pnr", "mother_pnr", "father_pnr"])
    connection = duckdb.connect()
    for name, scan in [("person", person), ("address", address), ("parents", parents)]:
        connection.register(name, scan)
    query = SQL.format(municipality=municipality, born_after=born_after)
    assert same(connection.sql(query).fetchall(), expected)
    assert opened.stats().bytes_returned * 6 < whole(extract)


def test_pandas(extract, question, expected):
    municipality, born_after = question
    _, by_name = tables(extract)
    frames = {name: pandas.DataFrame.from_arrow(table) for name, table in by_name.items()}
    person, address = frames["person"], frames["address"]
    born = pandas.to_datetime(person["birth_date"])
    children = person[person["status"].isin(["01", "03"]) & (born > pandas.Timestamp(born_after))]
    found = children[["pnr", "birth_date"]]
    addresses = address[address["municipality_code"] == municipality]
    found = found.merge(addresses[["pnr", "street_code", "house_number"]], on="pnr")
    found = found.merge(frames["parents"][["pnr", "mother_pnr", "father_pnr"]], on="pnr", how="left")
    assert same(found[COLUMNS].itertuples(index=False, name=None), expected)


def test_pyarrow(extract, question, expected):
    municipality, born_after = question
    _, by_name = tables(extract)
    read = {name: pyarrow.table(table) for name, table in by_name.items()}
    field = pyarrow.dataset.field
    children = read["person"].filter(field("status").isin(["01", "03"]) & (field("birth_date") > born_after))
    addresses = read["address"].filter(field("municipality_code") == municipality)
    found = children.select(["pnr", "birth_date"])
    found = found.join(addresses.select(["pnr", "street_code", "house_number"]), "pnr", join_type="inner")
    found = found.join(read["parents"].select(["pnr", "mother_pnr", "father_pnr"]), "pnr")
    assert same(zip(*(found.column(name).to_pylist() for name in COLUMNS)), expected)


def test_datafusion(extract, question, expected):
    municipality, born_after = question
    _, by_name = tables(extract)
    context = datafusion.SessionContext()
    for name, table in by_name.items():
        context.from_arrow(table, name)
    found = context.sql(SQL.format(municipality=municipality, born_after=born_after)).to_arrow_table()
    assert same(zip(*(found.column(name).to_pylist() for name in COLUMNS)), expected)


@pytest.fixture(scope="module")
def cut_off(extract):
    """The table `person` of an extract that is cut off after a line."""
    data = extract.read_bytes()
    return cprflow.open(data[: data.index(b"\n", len(data) // 2) + 1]).table("person")


def read_by_duckdb(table):
    connection = duckdb.connect()
    connection.register("person", table)
    return connection.sql("SELECT pnr FROM person").fetchall()


def read_by_datafusion(table):
    context = datafusion.SessionContext()
    context.from_arrow(table, "person")
    return context.sql("SELECT pnr FROM person").to_arrow_table()


@pytest.mark.parametrize("read", [read_by_duckdb, pandas.DataFrame.from_arrow, read_by_datafusion])
def test_an_extract_that_is_cut_off_is_an_error_in_an_engine(cut_off, read):
    """Engines have exceptions of their own, with the text of cprflow."""
    with pytest.raises(cprflow.DataError) as raised:
        sum(len(batch) for batch in cut_off)
    assert raised.value.kind == "missing-end"
    with pytest.raises(Exception) as of_engine:
        read(cut_off)
    # DataFusion puts a backslash before each quotation mark.
    text = str(of_engine.value).replace("\\", "")
    assert text.count("missing-end: ") == 1 and str(raised.value) in text


def test_dlt(published, tmp_path, rows):
    """dlt loads each delivery once, and DuckDB answers the question for the first delivery."""
    # Only what was published before the run is loaded; the dataset of this test has three deliveries.
    pipeline = dlt.pipeline(
        "cprflow", destination=dlt.destinations.duckdb(str(tmp_path / "loaded.db")), dataset_name="cpr",
        pipelines_dir=str(tmp_path / "pipelines"),
    )

    def load(**options):
        names = ("person", "address", "parents")
        pipeline.run([cprflow.dlt.resource(published.path, name, **options) for name in names]).raise_on_failed_jobs()

    load()
    first = published.extracts[0]
    municipality = collections.Counter(row["municipality_code"] for row in rows(first, "address")).most_common(1)[0][0]
    born_after = datetime.date(1950, 1, 1)
    persons = {
        row["pnr"]: row
        for row in rows(first, "person", "--where", f"birth_date > '{born_after}' and status in ('01', '03')")
    }
    parents = {row["pnr"]: row for row in rows(first, "parents")}
    answer = [
        tuple({**row, **persons[row["pnr"]], **parents.get(row["pnr"], {})}.get(column) for column in COLUMNS)
        for row in rows(first, "address", "--where", f"municipality_code = '{municipality}'")
        if row["pnr"] in persons
    ]
    with duckdb.connect(str(tmp_path / "loaded.db")) as loaded:
        loaded.execute("USE cpr")
        for name in ("person", "address", "parents"):
            loaded.execute(f"CREATE TEMP VIEW first_{name} AS SELECT * FROM {name} WHERE sequence = 1")
        query = SQL.format(municipality=municipality, born_after=born_after)
        for name in ("person", "address", "parents"):
            query = query.replace(f" {name} ", f" first_{name} {name} ", 1)
        assert answer and same(loaded.sql(query).fetchall(), sorted(answer, key=str))
        # Times without a zone stay so, and `irregular` is a text.
        types = {row[0]: row[1] for row in loaded.execute("DESCRIBE person").fetchall()}
        assert types["status_start"] == "TIMESTAMP" and types["birth_date"] == "DATE"
        assert types["irregular"] == "VARCHAR" and types["sequence"] == "BIGINT"
        count = loaded.execute("SELECT count(*), count(DISTINCT sequence) FROM person").fetchone()
    deliveries = cprflow.dataset(published.path).deliveries()
    assert count == (sum(one.rows["person"] for one in deliveries), len(deliveries))
    # Nothing is loaded twice, and a later run loads what came meanwhile.
    load()
    published.job.night(len(deliveries))
    assert cprflow.sync(published.job.config).ok
    load()
    with duckdb.connect(str(tmp_path / "loaded.db")) as loaded:
        again = loaded.execute("SELECT count(*), count(DISTINCT sequence) FROM cpr.person").fetchone()
    deliveries = cprflow.dataset(published.path).deliveries()
    assert again == (sum(one.rows["person"] for one in deliveries), len(deliveries))
    assert again[0] > count[0]
