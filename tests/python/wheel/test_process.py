"""Threads, forks, signals, memory and dropped streams."""

import concurrent.futures
import gc
import io
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

import cprflow
import cprflow.polars
import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest

from conftest import resident_memory


# A test waits this many seconds before it takes a process for one that hangs.
HANGS = 300


def test_eight_threads_share_an_extract(extract):
    opened = cprflow.open(extract)
    names = ["person", "address", "name", "event"] * 8
    expected = {name: pyarrow.table(opened.table(name)) for name in set(names)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for name, found in zip(names, pool.map(lambda name: pyarrow.table(opened.table(name)), names)):
            assert found.equals(expected[name])
        # One iterator that all threads pull from returns each batch once.
        batches = iter(opened.table("person").scan(batch_rows=50))
        pulled = pool.map(lambda _: sum(len(batch) for batch in batches), range(8))
        assert sum(pulled) == expected["person"].num_rows


def test_the_number_of_threads_changes_no_row(parts):
    """One thread and four give the same rows in the same order."""
    one, four = (cprflow.open(parts, threads=threads) for threads in (1, 4))
    for name in ["person", "address", "event", "unknown_record"]:
        expected, found = (pyarrow.table(opened.table(name)) for opened in (one, four))
        assert found.equals(expected), name
        # The parts are read by several threads only if the batches are cut at other rows.
        lengths = [[len(chunk) for chunk in table.column(0).chunks] for table in (expected, found)]
        assert expected.num_rows < 10_000 or lengths[0] != lengths[1], name


@pytest.mark.parametrize(
    "work",
    [
        lambda opened: opened.verify(),
        # No row meets the condition, so one step of the iterator reads the whole file.
        lambda opened: list(opened.table("event").scan(filter="event_code = 'none'")),
        lambda opened: pyarrow.table(opened.table("person")),
    ],
    ids=["verify", "iterator", "pyarrow"],
)
def test_other_threads_run_during_a_scan(parts, work):
    opened = cprflow.open(parts)
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    inside = 0
    # If the native call kept Python's global lock, the other thread would run only in the moments before and after it.
    # So the first ticks of each call do not count.
    for _ in range(20):
        ticks.clear()
        begin = time.monotonic()
        work(opened)
        end = time.monotonic()
        inside += max(0, sum(begin < at < end for at in ticks) - 10)
        if inside > 50:
            break
    done.set()
    thread.join()
    assert inside > 50


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_forked_process_reads(extract, used_before, depth):
    # A process of its own, so that cprflow is not in use before the fork unless the test says so.
    script = f"""
import os, sys
import cprflow, pyarrow
opened = cprflow.open({str(extract)!r})
if {used_before}:
    assert pyarrow.table(opened.table("person")).num_rows == 3000
    running = iter(opened.table("person").scan(batch_rows=100))
    next(running)
for _ in range({depth}):
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            assert pyarrow.table(opened.table("person")).num_rows == 3000
        os._exit(code)
assert pyarrow.table(opened.table("person")).num_rows == 3000
assert not opened.verify().needs_attention
if {used_before}:
    assert sum(len(batch) for batch in running) == 2900
os._exit(0)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("is_scanned", [False, True])
def test_a_fork_during_a_scan_with_threads(parts, is_scanned):
    """The threads of a scan do not exist in a forked process, which can begin scans of its own."""
    # The second case forks several times, at different points of another thread's scans.
    script = f"""
import os, signal, threading, time
import cprflow

opened = cprflow.open({str(parts)!r}, threads=4)
is_over = threading.Event()

def read(batches):
    return sum(len(batch) for batch in batches)

def scan():
    while not is_over.is_set():
        read(opened.table("address").scan(columns=["pnr"]))

def has_threads():
    names = [open(f"/proc/self/task/{{task}}/comm").read() for task in os.listdir("/proc/self/task")]
    return "cprflow-scan\\n" in names

def check_child(running):
    try:
        read(running)
    except cprflow.FileError as error:
        assert "begun in another process" in str(error), error
    else:
        raise AssertionError("the child has read the rows of its parent")
    del running
    assert read(opened.table("person").scan(columns=["pnr"])) == 15_000

if {is_scanned}:
    # A daemon thread ends with the process, also after a failed assertion.
    threading.Thread(target=scan, daemon=True).start()
for _ in range(4 if {is_scanned} else 1):
    running = iter(opened.table("person").scan(columns=["pnr"], batch_rows=100))
    # The first 256 KiB are read before the extract is divided into parts.
    rows = sum(len(next(running)) for _ in range(30))
    while not {is_scanned} and not has_threads():
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signal.alarm({HANGS} // 4)
        code = 1
        try:
            check_child(running)
            code = 0
        except BaseException as error:
            print(repr(error), flush=True)
        finally:
            os._exit(code)
    rows += read(running)
    assert rows == 15_000, rows
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
is_over.set()
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=HANGS, capture_output=True)
    assert ended.returncode == 0, (ended.stdout, ended.stderr)


def test_deadlines_hold_after_a_fork():
    """The thread of the deadlines does not exist after a fork; the first call starts another one."""
    script = """
import os, threading, time
import cprflow

def clocks(expected):
    # A new thread gives itself its name, which can take a moment.
    for _ in range(200):
        names = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
        found = sum(name.startswith("cprflow-deadlin") for name in names)
        if found == expected:
            break
        time.sleep(0.05)
    return found

cprflow.catalog()
assert clocks(1) == 1
child = os.fork()
if child == 0:
    assert clocks(0) == 0
    cprflow.open(b"").table("person")
    assert clocks(1) == 1
    os._exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
cprflow.open(b"").table("person")
assert clocks(1) == 1
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
    assert ended.returncode == 0, ended.stderr


def test_multiprocessing_forks(extract):
    script = f"""
import multiprocessing
import cprflow, pyarrow
opened = cprflow.open({str(extract)!r})

def rows(name):
    return pyarrow.table(opened.table(name)).num_rows

if __name__ == "__main__":
    names = ["person", "address", "name", "event"]
    expected = [rows(name) for name in names]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(rows, names) == expected
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
    assert ended.returncode == 0, ended.stderr


def read_streams(tables, times):
    """Starts streams of each table in turn, and reads all, some or none of the rows."""
    for number in range(times):
        table = tables[number % len(tables)]
        if number % 5 == 0:
            pyarrow.table(table)
        elif number % 5 == 1:
            # Never used.
            table.__arrow_c_stream__()
        elif number % 5 == 2:
            # Dropped half-way.
            next(iter(table.scan(batch_rows=1)))
        elif number % 5 == 3:
            table.scan(columns=["pnr"], filter="status = '01'").__arrow_c_stream__()
        else:
            # Dropped half-way by a consumer of the stream.
            pyarrow.RecordBatchReader.from_stream(table.scan(batch_rows=1)).read_next_batch()
    gc.collect()


@pytest.mark.parametrize("kind", ["extract", "dataset"])
def test_ten_thousand_streams_leave_nothing(tiny, job, kind):
    if kind == "extract":
        opened = cprflow.open(tiny)
        tables = [opened.table("person")]
    else:
        job.configure()
        job.night(0, persons=5)
        assert cprflow.sync(job.config).ok
        opened = cprflow.dataset(job.dataset)
        tables = [opened.table("person"), opened.current("person")]
    read_streams(tables, 2000)
    before = resident_memory()
    descriptors = len(os.listdir("/proc/self/fd"))
    read_streams(tables, 10_000)
    assert resident_memory() - before < 8 << 20
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert opened.stats().streams == 12_000


def threads_of_this_process():
    return len(os.listdir("/proc/self/task"))


def test_half_read_streams_leave_no_thread(parts):
    opened = cprflow.open(parts, threads=4)
    assert sum(len(batch) for batch in opened.table("person").scan(columns=["pnr"])) == 15_000
    before, most = threads_of_this_process(), 0
    for _ in range(50):
        # The first 256 KiB are read before the extract is divided into parts.
        batches = iter(opened.table("person").scan(columns=["pnr"], batch_rows=100))
        assert sum(len(next(batches)) for _ in range(30)) > 2000
        most = max(most, threads_of_this_process())
        del batches
    assert most >= before + 3
    # The system may list a thread for a moment after its end.
    waiting_since = time.monotonic()
    while threads_of_this_process() > before and time.monotonic() - waiting_since < HANGS:
        time.sleep(0.01)
    assert threads_of_this_process() == before


def test_many_open_streams_fail_with_an_error(tiny):
    person = cprflow.open(tiny).table("person")
    streams = []
    with pytest.raises(cprflow.ComponentError, match="instances are running"):
        while len(streams) < 1000:
            streams.append(iter(person))
    assert len(streams) > 100
    del streams
    assert len(list(person)) == 1


def test_an_exception_in_a_consumer_leaves_nothing(tiny):
    person = cprflow.open(tiny).table("person")

    class ConsumerError(Exception):
        pass

    for _ in range(600):
        with pytest.raises(ConsumerError):
            for _ in person.scan(batch_rows=1):
                raise ConsumerError
    assert len(list(person)) == 1


def test_an_error_in_an_engine_leaves_nothing(tiny):
    """DuckDB and Polars drop a stream when their query fails."""
    person = cprflow.open(tiny).table("person")
    connection = duckdb.connect()
    connection.register("person", person)

    def stop(frame):
        raise ValueError("stop")

    def fail(times):
        for _ in range(times):
            with pytest.raises(duckdb.Error, match="stop"):
                connection.sql("SELECT error('stop') FROM person").fetchall()
            with pytest.raises((ValueError, polars.exceptions.PolarsError), match="stop"):
                cprflow.polars.scan(person).map_batches(stop).collect()
        gc.collect()

    fail(100)
    before = resident_memory()
    fail(300)
    assert resident_memory() - before < 8 << 20
    assert len(list(person)) == 1
    assert connection.sql("SELECT count(*) FROM person").fetchall() == [(5,)]


def person_numbers(extract):
    """Returns all person numbers of an extract, those of relatives too."""
    opened = cprflow.open(extract)
    numbers = set()
    for name in opened.tables:
        table = opened.table(name)
        columns = [column for column in table.schema.names if column.endswith("pnr")]
        if columns:
            for values in pyarrow.table(table.scan(columns=columns)).columns:
                numbers.update(value for value in values.to_pylist() if value and re.fullmatch("[0-9]{10}", value))
    return numbers


def fuzz_corpus():
    """Returns the inputs of the fuzz target `scan`, also without their first byte, which is no part of the extract."""
    files = [path.read_bytes() for path in pathlib.Path(os.environ["CPRFLOW_CORPUS"]).rglob("*") if path.is_file()]
    assert len(files) >= 6
    return files + [data[1:] for data in files]


def rows_or_error(read, table):
    """Returns the number of rows of a table, or the error instead."""
    try:
        return read(table)
    except Exception as error:
        return error


def test_corrupt_extracts_end_with_our_errors(extract, tiny):
    """Cuts, repeats, noise and other files: rows or an error of ours, and never a crash or a person number."""
    data = extract.read_bytes()[:40_000]
    noise = random.Random(1)
    inputs = [b"", b"\n", b"\0" * 100_000, b"\xff" * 70_000, bytes(range(256)) * 100, tiny[:50], tiny * 2]
    inputs += fuzz_corpus()
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(noise.randrange(1, 60)):
            at = noise.randrange(len(damaged))
            if noise.random() < 0.3:
                del damaged[at : at + noise.randrange(300)]
            else:
                damaged[at] = noise.randrange(256)
        inputs.append(bytes(damaged))
    connection = duckdb.connect()

    def by_duckdb(table):
        connection.register("source", table)
        return connection.sql("SELECT count(*) FROM source").fetchall()[0][0]

    texts, errors, tables = [], 0, 0
    # Most inputs are refused for their findings, so every second one is read in spite of the usual findings.
    usual = ["missing-start", "missing-end", "count-mismatch", "damaged-encoding", "records-after-end"]
    for number, damaged in enumerate(inputs):
        opened = cprflow.open(damaged, accept=usual if number % 2 else [])
        report = opened.verify()
        texts += [report.error or "", *(f"{finding} {finding.message}" for finding in report.findings)]
        try:
            assert opened.start is None or len(opened.start.task_number) <= 6
        except cprflow.DataError as error:
            assert report.error is not None
            texts.append(str(error))
        for name in ("person", "address", "unknown_record", "rejected_record"):
            table = opened.table(name)
            found = rows_or_error(lambda table: sum(len(batch) for batch in table), table)
            if isinstance(found, Exception):
                assert isinstance(found, cprflow.DataError) and report.needs_attention, repr(found)
                errors += 1
            else:
                assert report.error is None and found == report.tables.get(name, 0)
                tables += found > 0
            for read in (lambda table: pyarrow.table(table).num_rows, by_duckdb):
                other = rows_or_error(read, table)
                # Consumers of streams have exceptions of their own, with the same text.
                same = found == other if isinstance(found, int) else str(found) in str(other)
                assert same, (repr(found), repr(other))
                texts.append(repr(other))
            texts.append(repr(found))
    assert errors > 100 and tables > 10
    numbers = person_numbers(extract) | person_numbers(tiny)
    assert len(numbers) > 3000
    in_texts = {number for text in texts for number in re.findall("(?=([0-9]{10}))", text)}
    # The assertion shows how many there are, and not the numbers.
    repeated = len(in_texts & numbers)
    assert repeated == 0


def interrupt(script, has_begun):
    """Runs a script and sends SIGINT when its work has begun. Returns its exit code, its last line and its errors.

    The script prints a line before the work. `has_begun` gets the process and this line.
    """
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = child.stdout.readline()
        while child.poll() is None and not has_begun(child, line):
            time.sleep(0.005)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=HANGS)
    finally:
        child.kill()
    return child.returncode, output, errors


# Returns the bytes that a process has read and written.
MOVED = """
def moved(process="self"):
    with open(f"/proc/{process}/io") as counts:
        return sum(int(line.split()[1]) for line in counts if line.startswith(("rchar", "wchar")))
"""
exec(MOVED)


@pytest.fixture
def large(parts, tmp_path_factory):
    """The path of an extract of more than 500 MB: the records between start and end are repeated."""
    lines = parts.read_bytes().splitlines(True)
    end = next(at for at, line in enumerate(lines) if line.startswith(b"999"))
    path = tmp_path_factory.mktemp("large") / "extract"
    body = b"".join(lines[1:end])
    with path.open("wb") as file:
        file.write(lines[0])
        for _ in range(20):
            file.write(body)
        file.writelines(lines[end:])
    yield path
    path.unlink()


@pytest.mark.parametrize(
    "work",
    [
        # No row meets the condition, so one step of the iterator reads the whole file.
        "list(opened.table('event').scan(filter=\"event_code = 'none'\"))",
        "opened.verify()",
        "cprflow.generate(target, persons=500_000, busy=True)",
    ],
)
def test_ctrl_c_ends_long_work(large, tmp_path, work):
    """The signal comes early in the work, and the exception before the end of the work.

    Python raises the exception also if the work goes on to its end. So the test looks at what was read and written.
    """
    target = tmp_path / "generated"
    script = f"""
import cprflow
{MOVED}
opened = cprflow.open({str(large)!r}, accept=["count-mismatch"], threads=2)
opened.table("event")
target = {str(target)!r}
before = moved()
print(before)
try:
    {work}
except KeyboardInterrupt:
    print(moved() - before)
    raise SystemExit(7)
raise SystemExit(8)
"""
    code, read, errors = interrupt(script, lambda child, before: moved(child.pid) - int(before) > 4 << 20)
    assert code == 7, errors
    assert 4 << 20 < int(read) < large.stat().st_size
    assert not target.exists() and not list(tmp_path.iterdir())


def repeat_row_group(file, times):
    """Changes the footer of a Parquet file with one row group: its pages are the rows of `times` row groups."""
    content, buffer = file.read_bytes(), io.BytesIO()
    metadata = pyarrow.parquet.read_metadata(file)
    one = pyarrow.parquet.read_metadata(file)
    for _ in range(times - 1):
        metadata.append_row_groups(one)
    metadata.write_metadata_file(buffer)
    footer = int.from_bytes(content[-8:-4], "little") + 8
    file.write_bytes(content[:-footer] + buffer.getvalue()[4:])


@pytest.mark.parametrize("files, groups", [(1, 4000), (4000, 1)], ids=["row groups", "files"])
def test_ctrl_c_ends_a_dataset_scan_without_rows(published, tmp_path, files, groups):
    """No row meets the condition, so one step of the iterator reads 4 billion rows: one file, or one of each delivery.

    The scan would take a minute or more, so the signal comes long before its end on every machine. All row groups have
    the same pages, and all files are the same file, so the test is fast and needs little space.
    """
    manifest = cprflow.dataset(published.path).deliveries()[0].directory / "_delivery.json"
    rows = pyarrow.table({"status": [f"{code:02}" for code in range(16)] * 65_536})
    file = tmp_path / "person.parquet"
    pyarrow.parquet.write_table(rows, file, compression="none", row_group_size=len(rows))
    pages = file.stat().st_size
    repeat_row_group(file, groups)
    for number in range(files):
        delivery = tmp_path / "dataset" / "agreement=town" / f"delivery={number:04}"
        delivery.mkdir(parents=True)
        (delivery / manifest.name).hardlink_to(manifest)
        (delivery / file.name).hardlink_to(file)
    script = f"""
import cprflow
{MOVED}
person = cprflow.dataset({str(tmp_path / "dataset")!r}).table("person")
batches = iter(person.scan(filter="status = 'none'"))
before = moved()
print(before)
try:
    next(batches)
except KeyboardInterrupt:
    print(moved() - before)
    try:
        next(batches)
    except cprflow.RequestError:
        raise SystemExit(7)
    raise SystemExit(9)
raise SystemExit(8)
"""
    code, read, errors = interrupt(script, lambda child, before: moved(child.pid) - int(before) > 4 << 20)
    assert code == 7, errors
    assert 4 << 20 < int(read) < files * groups * pages // 2


def test_ctrl_c_ends_waiting_for_a_pipe(tiny, tmp_path):
    """The other end of the pipe has more to write, and does not."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"""
import cprflow
print("ready")
try:
    cprflow.open({str(pipe)!r})
except KeyboardInterrupt:
    raise SystemExit(7)
raise SystemExit(8)
"""
    is_waiting, is_over = threading.Event(), threading.Event()

    def write():
        with pipe.open("wb", buffering=0) as end:
            end.write(tiny)
            # The script takes a moment to read this, and then waits for more.
            time.sleep(0.5)
            is_waiting.set()
            is_over.wait()

    # A daemon, because it waits for ever if the script does not open the pipe.
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        code, _, errors = interrupt(script, lambda child, line: is_waiting.wait(0.1))
    finally:
        is_over.set()
    assert code == 7, errors
