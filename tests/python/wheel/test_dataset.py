"""Datasets: deliveries, cursors and tables over several deliveries."""

import json
import shutil

import cprflow
import cprflow.dlt
import dlt
import duckdb
import pyarrow
import pyarrow.parquet
import pytest

from conftest import EVERYTHING, DailyJob


@pytest.fixture
def dataset(published):
    return cprflow.dataset(published.path)


def test_deliveries_come_in_the_order_of_publication(published, dataset):
    deliveries = dataset.deliveries()
    sequences = [delivery.sequence for delivery in deliveries]
    assert sequences == list(range(1, len(sequences) + 1)) and len(sequences) >= 3
    first = deliveries[0]
    assert first.agreement == "town" and first.directory.is_dir()
    assert first.directory.name == f"delivery={first.name}"
    assert first.name.startswith(first.production_date)
    manifest = json.loads((first.directory / "_delivery.json").read_text())
    assert first.manifest == manifest
    assert first.rows == manifest["rows"] and first.published == manifest["published"]
    assert [finding.code for finding in first.findings] == [one["code"] for one in manifest["findings"]]
    assert set(dataset.tables) == set(first.rows)


def test_a_cursor_selects_later_deliveries(dataset):
    everything = [delivery.sequence for delivery in dataset.deliveries()]
    assert dataset.cursor() == {"town": everything[-1]}
    assert [one.sequence for one in dataset.deliveries(since=1)] == everything[1:]
    assert [one.sequence for one in dataset.deliveries(since={"town": 2})] == everything[2:]
    assert [one.sequence for one in dataset.deliveries(since={"other": 2})] == everything
    assert dataset.deliveries(since=dataset.cursor()) == []
    assert dataset.deliveries(agreement="other") == []
    later = pyarrow.table(dataset.table("person", since=1))
    assert set(later.column("sequence").to_pylist()) == set(everything[1:])
    assert pyarrow.table(dataset.table("person", since=dataset.cursor())).num_rows == 0


def test_a_table_has_the_rows_of_all_deliveries(published, dataset, rows):
    person = dataset.table("person")
    assert person.schema.names[-3:] == ["agreement", "delivery", "sequence"]
    found = pyarrow.table(person)
    own = found.drop_columns(["agreement", "delivery", "sequence"])
    for delivery, extract in zip(dataset.deliveries(), published.extracts):
        at = pyarrow.compute.equal(found.column("sequence"), delivery.sequence)
        assert own.filter(at).equals(pyarrow.table(cprflow.open(extract).table("person")))
        assert set(found.filter(at).column("delivery").to_pylist()) == {delivery.name}
        alone = pyarrow.table(delivery.table("person"))
        assert alone.equals(found.filter(at))


def test_columns_conditions_and_limits_are_pushed_down(dataset):
    person = dataset.table("person")
    everything = pyarrow.table(person)
    for condition in ["sex = 'K' and birth_date > '1980-01-01'", "status != '01'", "line < 40", "occupation is null"]:
        scan = person.scan(columns=["sequence", "pnr"], filter=condition)
        found = pyarrow.table(scan)
        # The condition means the same as for an extract, row by row.
        expected = []
        for delivery in dataset.deliveries():
            rows = pyarrow.table(delivery.table("person").scan(columns=["sequence", "pnr"], filter=condition))
            expected += rows.to_pylist()
        assert found.to_pylist() == expected and 0 < len(expected) < everything.num_rows
    whole = person.scan()
    narrow = person.scan(columns=["sex"], filter="sex = 'K'")
    pyarrow.table(whole), pyarrow.table(narrow)
    assert narrow.stats().bytes_read * 3 < whole.stats().bytes_read
    assert pyarrow.table(person.scan(limit=7)).num_rows == 7
    assert [len(batch) for batch in person.scan(batch_rows=50, limit=120)] == [50, 50, 20]
    assert pyarrow.table(person.scan(columns=["sequence"])).num_rows == everything.num_rows
    assert dataset.stats().rows > 0


def test_the_condition_of_a_dataset_gives_the_rows_of_the_command(published, dataset, rows):
    for table, condition in [
        ("person", "status in ('01', '03') and birth_date < '1990-01-01'"),
        ("address", "municipality_code >= '0500' and not (house_number < '010')"),
        ("event", "event_code in ('A01', 'P04', 'F05') or line between 10 and 500"),
    ]:
        for delivery, extract in zip(dataset.deliveries(), published.extracts):
            found = pyarrow.table(delivery.table(table).scan(columns=["line"], filter=condition))
            expected = [row["line"] for row in rows(extract, table, "--where", condition)]
            assert found.column("line").to_pylist() == expected


def test_irregular_and_times_are_represented_like_those_of_an_extract(published):
    options = {"irregular": "json", "timestamps": "utc"}
    found = pyarrow.table(cprflow.dataset(published.path, **options).deliveries()[0].table("person"))
    expected = pyarrow.table(cprflow.open(published.extracts[0], **options).table("person"))
    assert found.drop_columns(["agreement", "delivery", "sequence"]).equals(expected)


def test_columns_that_a_delivery_lacks_are_null(tmp_path, published):
    """Policies change: the deliveries of a tenant can have other columns and tables."""
    root = tmp_path / "dataset" / "agreement=town"
    source = cprflow.dataset(published.path).deliveries()
    for number, drop in [(0, ["occupation"]), (1, []), (2, ["sex", "status"])]:
        target = root / source[number].directory.name
        target.mkdir(parents=True)
        (target / "_delivery.json").write_text((source[number].directory / "_delivery.json").read_text())
        rows = pyarrow.parquet.read_table(source[number].directory / "person.parquet", partitioning=None)
        if number < 2:
            pyarrow.parquet.write_table(rows.drop_columns(drop), target / "person.parquet", compression="zstd")
        else:
            # This delivery has another order of columns.
            columns = rows.drop_columns(drop).column_names[::-1]
            pyarrow.parquet.write_table(rows.select(columns), target / "person.parquet", compression="zstd")
    dataset = cprflow.dataset(tmp_path / "dataset")
    person = dataset.table("person")
    assert person.schema["sex"].nullable and person.schema["occupation"].nullable
    found = pyarrow.table(person)
    nulls = {}
    for row in found.to_pylist():
        nulls.setdefault(row["sequence"], []).append((row["sex"] is None, row["occupation"] is None))
    assert all(occupation for _, occupation in nulls[1]) and not any(sex for sex, _ in nulls[1])
    assert all(sex for sex, _ in nulls[3])
    women = pyarrow.table(person.scan(columns=["sequence"], filter="sex = 'K'"))
    assert set(women.column("sequence").to_pylist()) == {1, 2}
    without = pyarrow.table(person.scan(columns=["sequence"], filter="sex is null"))
    assert set(without.column("sequence").to_pylist()) == {3}
    with pytest.raises(cprflow.RequestError, match="no published delivery has the table"):
        dataset.table("address")


def test_wrong_requests_are_refused(tmp_path, dataset):
    with pytest.raises(cprflow.FileError):
        cprflow.dataset(tmp_path / "nothing")
    empty = cprflow.dataset(tmp_path)
    assert empty.deliveries() == [] and empty.cursor() == {} and empty.tables == []
    with pytest.raises(cprflow.RequestError, match="no published delivery yet"):
        empty.table("person")
    for fails, text in [
        (lambda: dataset.table("../person"), "no published delivery has the table"),
        (lambda: dataset.table("person").scan(columns=["nothing"]), "no column"),
        (lambda: dataset.table("person").scan(columns=["pnr", "pnr"]), "twice"),
        (lambda: dataset.table("person").scan(filter="nothing = 1"), "no column"),
        (lambda: dataset.table("person").scan(filter="sequence = 1"), "no column"),
        (lambda: dataset.deliveries(since="x"), None),
    ]:
        with pytest.raises(cprflow.RequestError if text else TypeError, match=text):
            fails()


def test_broken_files_are_reported_with_their_path(tmp_path, published):
    source = cprflow.dataset(published.path).deliveries()[0]
    target = tmp_path / "agreement=town" / source.directory.name
    target.mkdir(parents=True)
    (target / "_delivery.json").write_text((source.directory / "_delivery.json").read_text())
    data = (source.directory / "person.parquet").read_bytes()
    dataset = cprflow.dataset(tmp_path)
    (target / "person.parquet").write_bytes(data[:-8])
    with pytest.raises(cprflow.DatasetError, match="person.parquet"):
        dataset.table("person")
    for at in range(4, len(data) // 2, len(data) // 40):
        (target / "person.parquet").write_bytes(data[:at] + bytes(200) + data[at + 200 :])
        try:
            for _ in dataset.table("person"):
                pass
        except (cprflow.DatasetError, cprflow.FileError) as error:
            assert "person.parquet" in str(error)
    (target / "_delivery.json").write_text("{}")
    with pytest.raises(cprflow.DatasetError, match="_delivery.json"):
        dataset.deliveries()


def test_the_current_tables_are_read_through_one_generation(published, dataset):
    now = dataset.generation()
    assert now.directory == (published.path / "current").resolve()
    assert now.manifest == json.loads((now.directory / "_generation.json").read_text())
    assert (now.number, now.day) == (now.manifest["number"], now.manifest["day"])
    assert now.rows == now.manifest["rows"] and now.made == now.manifest["made"]
    assert now.compare_since is None and repr(now).startswith("Generation(")
    assert "person" in now.tables and set(now.tables) == set(now.rows)
    for name in now.tables:
        expected = pyarrow.parquet.read_table(now.directory / f"{name}.parquet")
        found = pyarrow.table(now.table(name))
        assert found.schema.names == expected.schema.names
        assert found.num_rows == now.rows[name]
    person = pyarrow.table(dataset.current("person"))
    numbers = person.column("pnr").to_pylist()
    assert len(set(numbers)) == len(numbers) > 0
    assert set(person.column("agreement").to_pylist()) == {"town"}
    scan = dataset.current("person").scan(columns=["pnr", "agreement"], filter="sex = 'K'")
    women = [row["pnr"] for row in person.to_pylist() if row["sex"] == "K"]
    assert pyarrow.table(scan).column("pnr").to_pylist() == women and 0 < len(women) < len(numbers)
    for name in ["nothing", "../person", ""]:
        with pytest.raises(cprflow.RequestError, match="no table"):
            dataset.current(name)


def test_a_dataset_without_current_tables_says_so(tmp_path):
    with pytest.raises(cprflow.RequestError, match="has no current tables"):
        cprflow.dataset(tmp_path).current("person")


def test_deliveries_say_whether_they_came_late(dataset):
    deliveries = dataset.deliveries()
    newest = ""
    for delivery in deliveries:
        assert delivery.kind == ("late" if delivery.production_date < newest else "new")
        newest = max(newest, delivery.production_date)
    assert [one.kind for one in dataset.deliveries(since=1)] == [one.kind for one in deliveries[1:]]


def test_two_agreements_and_a_delivery_that_arrives_late(job, tmp_path):
    """Town's delivery of night 1 is published after that of night 2."""
    job.configure(f"{EVERYTHING}[agreement.city]\ninbox = 'city'\n{EVERYTHING}")
    city = DailyJob(job.root)
    city.inbox = job.root / "city"
    city.inbox.mkdir()
    pipeline = dlt.pipeline(
        "late", destination=dlt.destinations.duckdb(str(tmp_path / "loaded.db")), dataset_name="cpr",
        pipelines_dir=str(tmp_path / "pipelines"),
    )

    def publish(*nights):
        for inbox, night, seed in nights:
            inbox.night(night, seed=seed)
        report = cprflow.sync(job.config)
        assert report.ok and len(report.published) == len(nights), report.problems

    def load():
        pipeline.run(cprflow.dlt.resource(job.dataset, "person")).raise_on_failed_jobs()
        with duckdb.connect(str(tmp_path / "loaded.db")) as loaded:
            counts = "SELECT agreement, sequence, count(*) FROM cpr.person GROUP BY ALL ORDER BY sequence"
            return loaded.execute(counts).fetchall()

    publish((job, 0, 5), (city, 0, 6))
    publish((job, 2, 5))
    before = cprflow.dataset(job.dataset).deliveries()
    assert load() == [(one.agreement, one.sequence, one.rows["person"]) for one in before]
    publish((job, 1, 5), (city, 1, 6))
    dataset = cprflow.dataset(job.dataset)
    deliveries = dataset.deliveries()
    assert [one.sequence for one in deliveries] == [1, 2, 3, 4, 5]
    town = [one for one in deliveries if one.agreement == "town"]
    assert [one.production_date[-2:] for one in town] == ["02", "04", "03"]
    assert [one.kind for one in town] == ["new", "new", "late"]
    # A cursor of one agreement selects no deliveries of the other one.
    others = [one for one in deliveries if one.agreement == "city"]
    assert [one.kind for one in others] == ["new", "new"]
    cursor = {"town": town[1].sequence}
    since = dataset.deliveries(since=cursor)
    assert [one.name for one in since] == [one.name for one in deliveries if one in others or one is town[2]]
    assert [one.name for one in dataset.deliveries(since=cursor, agreement="town")] == [town[2].name]
    assert dataset.cursor() == {"city": others[1].sequence, "town": town[2].sequence}
    found = pyarrow.table(dataset.table("person", since=cursor).scan(columns=["agreement", "sequence"]))
    rows = [(one.agreement, one.sequence) for one in since for _ in range(one.rows["person"])]
    assert list(zip(*(column.to_pylist() for column in found.columns))) == rows
    # dlt loads the late delivery, which is older than one that it has loaded.
    assert load() == [(one.agreement, one.sequence, one.rows["person"]) for one in deliveries]


def test_a_stream_that_failed_has_no_ordinary_end(published, tiny, tmp_path):
    """The rows before an error are not all rows, also for code that catches the error and asks for more."""
    shutil.copytree(published.path, tmp_path / "dataset")
    damaged = cprflow.dataset(tmp_path / "dataset")
    file = damaged.deliveries()[1].directory / "person.parquet"
    content = file.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    file.chmod(0o600)
    file.write_bytes(b"PAR1" + b"\xff" * (len(content) - 4 - footer) + content[-footer:])
    extract = cprflow.open(tiny[: tiny.index(b"\n999") + 1])
    for table, expected in [(damaged.table("person"), cprflow.FileError), (extract.table("person"), cprflow.DataError)]:
        batches, rows = iter(table.scan()), 0
        with pytest.raises(expected):
            while True:
                rows += len(next(batches))
        assert rows > 0
        for _ in range(2):
            with pytest.raises(cprflow.RequestError, match="start a new scan"):
                next(batches)
        stream = pyarrow.RecordBatchReader.from_stream(table)
        with pytest.raises(pyarrow.ArrowException):
            stream.read_all()
        with pytest.raises(pyarrow.ArrowException, match="start a new scan"):
            stream.read_next_batch()
