"""The data source of Spark: an extract that is read in parts."""

import datetime
import json
import pathlib

import cprflow
import pyarrow
import pytest
from conftest import DailyJob, tenant
from spark_support import session  # noqa: F401 (fixture)
from spark_support import CONDITION, counting, filter, frame, read, reader, returned, sort, source
from test_extract import plain

# `spark_support` skips the file without Spark, so these come after it.
from cprflow.spark import CprflowReader


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


@pytest.fixture(scope="module")
def two_agreements(tmp_path_factory):
    """A tenant that may see two agreements, and an extract in which persons of one of them have moved away."""
    job = DailyJob(tmp_path_factory.mktemp("two-agreements") / "job")
    other = DailyJob(job.root / "other")
    extracts = {}
    for name, own, seed in [("town", job, 5), ("other", other, 9)]:
        extracts[name] = own.root / "load"
        cprflow.generate(extracts[name], persons=400, seed=seed, shape="full", busy=True)
        own.put(extracts[name], seed)
    address = cprflow.open(extracts["town"]).table("address")
    codes = pyarrow.table(address.scan(columns=["municipality_code"])).column(0).to_pylist()
    municipalities = sorted(set(codes) - {None, "0851"})
    school = tenant("school", f"persons = {{ municipalities = {municipalities} }}").replace("['town']", "['town', 'other']")
    job.configure("[agreement.other]\ninbox = 'other/inbox'\n" + school)
    report = cprflow.sync(job.config)
    assert report.ok, (report.problems, report.set_aside)
    at = address.schema["municipality_code"].position - 1
    lines = extracts["town"].read_bytes().split(b"\n")
    for number, line in enumerate(lines):
        if line[:3] == b"002" and number % 3 == 0:
            lines[number] = line[:at] + b"0851" + line[at + 4 :]
    moved = job.root / "moved"
    moved.write_bytes(b"\n".join(lines))
    return job.config, moved


@pytest.mark.parametrize("size", [100_000, 1 << 30])
def test_an_agreement_of_a_tenant_is_named(session, two_agreements, rows, size):
    """The persons who left are those of the agreement that is named, on the driver and in each task."""
    config, moved = two_agreements
    left = {}
    for name in ("town", "other"):
        options = {"config": config, "tenant": "school", "agreement": name}
        given = ["--tenant", "school", "--agreement", name, "--config", config]
        for table in ("person", "address", "out_of_scope"):
            parts = reader(moved, table, partBytes=size, **options)
            found = read(parts)
            assert plain(found) == rows(moved, table, *given), (name, table)
            assert sort(frame(session, moved, table, partBytes=size, **options).toArrow()) == sort(found), (name, table)
            assert len(parts.partitions()) > 1 or table == "out_of_scope" or size > 100_000
        left[name] = set(found.column("reason").to_pylist())
    assert left == {"town": {"moved"}, "other": set()}


def test_the_agreement_of_a_tenant_must_be_one_of_its_own(session, two_agreements):
    config, moved = two_agreements
    options = {"config": config, "tenant": "school"}
    for more, text in [({}, "Name the one of this extract with agreement="), ({"agreement": "village"}, "other, town")]:
        with pytest.raises(cprflow.RequestError, match=text):
            source(moved, **options, **more).schema()
        with pytest.raises(Exception, match=text):
            frame(session, moved, **options, **more).count()
