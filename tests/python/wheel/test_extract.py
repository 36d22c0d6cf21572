"""Extracts: open, tables, schemas, scans, representations, findings and errors."""

import datetime
import gzip
import io
import json
import os
import subprocess
import sys
import threading

import cprflow
import pyarrow
import pytest


def table(source, **options):
    return pyarrow.table(source.scan(**options) if options else source)


def test_every_table_has_the_rows_of_the_command(extract, rows):
    opened = cprflow.open(extract)
    count = 0
    for name in opened.tables:
        found = table(opened.table(name))
        expected = rows(extract, name)
        assert found.num_rows == len(expected), name
        assert found.schema.names == opened.table(name).schema.names
        for ours, theirs in zip(plain(found), expected):
            assert ours == theirs, name
        count += len(expected)
    assert count > 10_000


def plain(rows):
    """Returns rows as the command writes them in JSON."""

    def value(value):
        if isinstance(value, datetime.datetime):
            return value.isoformat()
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, list):
            return dict(value)
        return value

    return [{name: value(cell) for name, cell in row.items()} for row in rows.to_pylist()]


def test_columns_filter_and_limit_are_those_of_the_command(extract, rows):
    person = cprflow.open(extract).table("person")
    condition = "status in ('01', '03') and birth_date < '1990-01-01'"
    found = table(person, columns=["birth_date", "pnr"], filter=condition, limit=20, batch_rows=7)
    expected = rows(extract, "person", "--columns", "birth_date,pnr", "--where", condition, "--limit", 20)
    assert plain(found) == expected and len(expected) == 20
    assert [len(chunk) for chunk in found.column("pnr").chunks] == [7, 7, 6]


def test_the_schema_tells_types_and_fields():
    extract = cprflow.open(b"")
    schema = extract.table("person").schema
    assert schema.names[:3] == ["pnr", "current_pnr", "status"]
    assert len(schema) == len(schema.names) == len(list(schema))
    assert "birth_date" in schema and "nothing" not in schema
    birth = schema["birth_date"]
    assert (birth.type, birth.nullable, birth.cpr_name, birth.length) == ("date32", True, "FOED_DT", 10)
    assert schema["occupation"].sensitivity == "free-text"
    assert schema["irregular"].cpr_name is None
    with pytest.raises(KeyError):
        schema["nothing"]
    arrow = pyarrow.schema(schema)
    assert arrow.field("birth_date").type == pyarrow.date32()
    assert arrow.field("birth_date").metadata[b"cpr.name"] == b"FOED_DT"
    assert arrow.metadata[b"cpr.table"] == b"person"


def test_the_catalog_has_all_tables():
    tables = {one.name: one for one in cprflow.catalog()}
    assert list(tables) == cprflow.open(b"").tables
    assert tables["address"].record_type == "002"
    assert tables["unknown_record"].record_type is None
    assert [column.name for column in tables["child"].columns] == ["pnr", "child_pnr", "irregular", "line"]


def test_irregular_is_a_map_or_json_or_dropped(extract):
    def irregular(choice):
        person = cprflow.open(extract, irregular=choice).table("person")
        return person, table(person)

    _, maps = irregular("map")
    filled = [row for row in maps.column("irregular").to_pylist() if row is not None]
    assert filled and pyarrow.types.is_map(maps.schema.field("irregular").type)
    _, texts = irregular("json")
    assert texts.schema.field("irregular").type == pyarrow.string()
    parsed = [json.loads(text) for text in texts.column("irregular").to_pylist() if text is not None]
    assert parsed == [dict(row) for row in filled]
    person, dropped = irregular("drop")
    assert "irregular" not in dropped.schema.names and "irregular" not in person.schema
    assert dropped.equals(maps.drop_columns("irregular").cast(dropped.schema))
    with pytest.raises(cprflow.RequestError, match="irregular"):
        person.scan(columns=["irregular"])


def test_times_are_local_or_utc(extract):
    column = "status_start"
    naive = table(cprflow.open(extract).table("person"), columns=[column]).column(column)
    utc = table(cprflow.open(extract, timestamps="utc").table("person"), columns=[column]).column(column)
    assert naive.type == pyarrow.timestamp("us")
    assert utc.type == pyarrow.timestamp("us", tz="UTC")
    hours = set()
    for local, point in zip(naive.to_pylist(), utc.to_pylist()):
        assert (local is None) == (point is None)
        if local is not None:
            hours.add((local - point.replace(tzinfo=None)).total_seconds() / 3600)
    # Danish winter time and summer time.
    assert {1.0, 2.0} <= hours and len(naive) > 100
    # A condition is about local time in both cases.
    day = next(local for local in naive.to_pylist() if local is not None)
    for timestamps in ("naive", "utc"):
        person = cprflow.open(extract, timestamps=timestamps).table("person")
        found = table(person, columns=["line"], filter=f"{column} = '{day.isoformat(sep=' ')}'")
        assert found.num_rows == naive.to_pylist().count(day)


def test_an_extract_is_a_path_or_bytes_or_a_file_object(extract, tmp_path):
    data = extract.read_bytes()
    compressed = tmp_path / "extract.gz"
    compressed.write_bytes(gzip.compress(data))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    expected = table(cprflow.open(extract).table("person"))
    with extract.open("rb") as file, gzip.open(compressed) as unpacked, extract.open("rb", buffering=0) as raw:
        later = extract.open("rb")
        later.read(36)
        for source in [
            str(extract),
            extract,
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
            raw,
            unpacked,
            pipe,
        ]:
            opened = cprflow.open(source)
            # A source is read as often as needed, also if it was a pipe.
            for _ in range(2):
                assert table(opened.table("person")).equals(expected), source
        # A file object is read from its position on.
        codes = [finding.code for finding in cprflow.open(later).verify().findings]
        assert "missing-start" in codes
        later.close()
    writer.join()
    # The objects are closed, and the extract is not.
    assert table(opened.table("person")).equals(expected)


def test_wrong_sources_are_refused(tmp_path):
    with pytest.raises(cprflow.FileError, match="No such file") as missing:
        cprflow.open(tmp_path / "nothing")
    assert missing.value.errno == 2 and isinstance(missing.value, OSError)
    with pytest.raises(cprflow.FileError, match="cprflow.dataset"):
        cprflow.open(tmp_path)
    with pytest.raises(TypeError, match="binary mode"):
        cprflow.open(io.StringIO("text"))
    with pytest.raises(TypeError, match="path, bytes or a file object"):
        cprflow.open(3.5)

    class Broken:
        def read(self, size):
            raise ZeroDivisionError("own error")

    with pytest.raises(ZeroDivisionError, match="own error"):
        cprflow.open(Broken())


def test_wrong_requests_are_refused(extract):
    opened = cprflow.open(extract)
    for fails, text in [
        (lambda: opened.table("persons"), "no table"),
        (lambda: opened.table("../person"), "no table"),
        (lambda: opened.table("person").scan(columns=["pnr", "nothing"]), "no column"),
        (lambda: opened.table("person").scan(columns=["pnr", "pnr"]), "twice"),
        (lambda: opened.table("person").scan(columns=[]), "no column"),
        (lambda: opened.table("person").scan(filter="birth_date <"), "at character 13"),
        (lambda: opened.table("person").scan(batch_rows=0), "batch_rows"),
        (lambda: cprflow.open(extract, irregular="list"), "irregular must be one of"),
        (lambda: cprflow.open(extract, timestamps="local"), "timestamps must be one of"),
        (lambda: cprflow.open(extract, accept=["look-alike"]), "cannot be accepted"),
        (lambda: cprflow.open(extract, tenant="a"), "need each other"),
        (lambda: cprflow.open(extract, config="a"), "need each other"),
        (lambda: cprflow.open(extract, agreement="a"), "agreement= needs"),
    ]:
        with pytest.raises(cprflow.RequestError, match=text) as refused:
            fails()
        assert isinstance(refused.value, (cprflow.Error, ValueError))


def test_a_condition_is_not_repeated_in_an_error(extract):
    with pytest.raises(cprflow.RequestError) as refused:
        cprflow.open(extract).table("person").scan(filter="pnr = '0101965058' and nothing")
    assert "0101965058" not in str(refused.value)


def test_verify_reports_findings(extract):
    opened = cprflow.open(extract)
    report = opened.verify()
    assert not report.needs_attention and report.error is None
    assert report.tables["person"] == 3000
    assert report.bytes == extract.stat().st_size and report.shape == "lines"
    assert report.start.task_number == "431101" == opened.start.task_number
    assert report.start.production_date == opened.start.production_date
    assert {finding.level for finding in report.findings} == {"note"}
    irregular = next(finding for finding in report.findings if finding.code == "irregular-value")
    assert irregular.count == sum(place.count for place in irregular.places) > 0
    gap = opened.verify(previous="1999-01-01")
    assert [finding.code for finding in gap.findings if finding.level == "warning"] == ["sequence-gap"]
    assert gap.needs_attention


def test_an_extract_that_is_cut_off_ends_with_an_error(extract):
    data = extract.read_bytes()
    cut = data[: data.index(b"\n", len(data) * 2 // 3) + 1]
    opened = cprflow.open(cut)
    with pytest.raises(cprflow.DataError, match="missing-end") as raised:
        for _ in opened.table("person"):
            pass
    assert raised.value.kind == "missing-end"
    # Arrow's consumers have their own exceptions, with the same text.
    with pytest.raises(Exception, match="missing-end: .*accept="):
        table(opened.table("person"))
    # Rows before a limit are not the whole extract, and verify() only reports.
    assert table(opened.table("person"), limit=3).num_rows == 3
    assert "missing-end" in [finding.code for finding in opened.verify().findings]
    accepted = table(cprflow.open(cut, accept=["missing-end"]).table("person"))
    assert 0 < accepted.num_rows <= 3000


def test_a_damaged_extract_ends_with_its_place(extract):
    data = extract.read_bytes()
    lost = data[:5000] + b"x" * 70_000 + data[5000:]
    opened = cprflow.open(lost)
    with pytest.raises(cprflow.DataError) as raised:
        for _ in opened.table("person"):
            pass
    assert raised.value.kind == "record-too-long"
    assert raised.value.line > 1 and raised.value.offset <= 5000
    report = opened.verify()
    assert "64 KiB" in report.error and report.needs_attention


def test_streams_are_fresh_and_independent(extract):
    person = cprflow.open(extract).table("person")
    scan = person.scan(batch_rows=100)
    one, other = iter(scan), iter(scan)
    expected = table(person).combine_chunks()
    # The second stream begins while the first one is read.
    of_one = [next(one), next(one)]
    of_other = [next(other)]
    assert of_one[0].num_rows == of_other[0].num_rows == 100
    assert pyarrow.record_batch(of_one[0]).equals(pyarrow.record_batch(of_other[0]))
    # Later batches can have fewer rows, because a batch ends where the part of a thread ends.
    for batches, stream in [(of_one, one), (of_other, other)]:
        batches += stream
        assert all(batch.num_rows <= 100 for batch in batches)
        rows = pyarrow.Table.from_batches([pyarrow.record_batch(batch) for batch in batches])
        assert rows.combine_chunks().equals(expected)
        assert next(stream, None) is None
    assert table(scan).combine_chunks().equals(expected)
    assert scan.stats().streams == 3


def test_a_requested_schema_selects_columns_and_types(extract):
    scan = cprflow.open(extract, irregular="drop").table("person").scan()
    wanted = pyarrow.schema([("birth_date", pyarrow.date32()), ("pnr", pyarrow.large_string())])
    before = scan.stats().bytes_returned
    found = pyarrow.RecordBatchReader.from_stream(scan, wanted).read_all()
    assert found.schema.names == ["birth_date", "pnr"]
    assert found.schema.field("pnr").type == pyarrow.large_string()
    narrow = scan.stats().bytes_returned - before
    whole = pyarrow.table(scan)
    assert found.column("pnr").to_pylist() == whole.column("pnr").to_pylist()
    assert narrow * 3 < scan.stats().bytes_returned - narrow
    # A type that could lose something is not converted to.
    capsule = pyarrow.schema([("line", pyarrow.int8())]).__arrow_c_schema__()
    own = pyarrow.RecordBatchReader._import_from_c_capsule(scan.__arrow_c_stream__(capsule))
    assert own.schema.field("line").type == pyarrow.int64()
    missing = pyarrow.schema([("nothing", pyarrow.int8())]).__arrow_c_schema__()
    with pytest.raises(cprflow.RequestError, match="nothing"):
        scan.__arrow_c_stream__(missing)
    with pytest.raises(ValueError):
        scan.__arrow_c_stream__(scan.__arrow_c_stream__())


def test_only_requested_bytes_leave_the_sandbox(extract):
    person = cprflow.open(extract).table("person")

    def returned(**query):
        scan = person.scan(**query)
        found = table(person, **query)
        for batch in scan:
            pass
        stats = scan.stats()
        assert stats.rows == found.num_rows
        return stats

    everything = returned()
    assert everything.bytes_read == extract.stat().st_size
    narrow = returned(columns=["pnr", "birth_date"])
    assert narrow.rows == everything.rows
    assert narrow.bytes_returned * 3 < everything.bytes_returned
    few = returned(columns=["pnr", "birth_date"], filter="birth_date > '2000-01-01' and birth_date < '2000-07-01'")
    assert 0 < few.rows < everything.rows / 50
    assert few.bytes_returned * 10 < narrow.bytes_returned
    first = returned(limit=1)
    assert first.bytes_returned * 20 < everything.bytes_returned
    assert first.bytes_read < everything.bytes_read


def test_parts_read_by_other_processes_have_the_rows_of_one_scan(parts, tmp_path):
    extract = cprflow.open(parts)
    scan = extract.table("address").scan(columns=["line", "pnr", "municipality_code"], filter="municipality_code > '0400'")
    divided = scan.divide(part_bytes=4 << 20)
    assert len(divided) > 2 and all(isinstance(part, bytes) for part in divided)
    file = tmp_path / "part"
    script = (
        "import cprflow, pyarrow, pyarrow.ipc, sys\n"
        "table = pyarrow.table(cprflow.read_part(sys.argv[1], open(sys.argv[2], 'rb').read()))\n"
        "with pyarrow.ipc.new_stream(sys.argv[3], table.schema) as out: out.write_table(table)\n"
    )
    tables = []
    for part in divided:
        file.write_bytes(part)
        out = tmp_path / "rows"
        subprocess.run([sys.executable, "-c", script, parts, file, out], check=True)
        tables.append(pyarrow.ipc.open_stream(out.read_bytes()).read_all())
    assert pyarrow.concat_tables(tables).combine_chunks() == pyarrow.table(scan).combine_chunks()
    one = cprflow.read_part(parts, divided[1])
    rows = sum(len(batch) for batch in one)
    # Only the columns and rows of the scan leave the sandbox, and only the part is read.
    stats = one.stats()
    assert stats.rows == rows and stats.bytes_read < 10 << 20
    whole = cprflow.read_part(parts, extract.table("address").scan().divide(part_bytes=4 << 20)[1])
    sum(len(batch) for batch in whole)
    assert whole.stats().bytes_returned > 3 * stats.bytes_returned


def test_parts_keep_the_form_of_the_rows_and_check_the_extract(parts, tiny, tmp_path):
    extract = cprflow.open(parts, irregular="json", timestamps="utc")
    [first, *_] = extract.table("person").scan().divide(part_bytes=4 << 20)
    assert cprflow.read_part(parts, first).schema.names == extract.table("person").schema.names
    assert cprflow.read_part(parts, first).schema["irregular"].type == "utf8"
    [event, *_] = extract.table("event").scan().divide(part_bytes=4 << 20)
    assert cprflow.read_part(parts, event).schema["registered"].type == "timestamp[us, UTC]"
    with pytest.raises(cprflow.RequestError, match="not the one that was divided"):
        cprflow.read_part(tiny, first)
    with pytest.raises(cprflow.RequestError, match="no part of an extract"):
        cprflow.read_part(parts, b"x" * 40)
    damaged = tmp_path / "damaged"
    data = parts.read_bytes()
    damaged.write_bytes(data[: data.rindex(b"\n999999999999") + 1])
    with pytest.raises(cprflow.DataError) as raised:
        cprflow.open(damaged).table("person").scan().divide()
    assert raised.value.kind == "missing-end"
    assert len(cprflow.open(damaged, accept=["missing-end", "count-mismatch"]).table("person").scan().divide()) == 1
    with pytest.raises(cprflow.RequestError, match="no column"):
        cprflow.open(parts).table("person").scan(columns=["x"])
    assert len(cprflow.component_digest()) == 64
