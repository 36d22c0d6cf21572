"""The data source of Spark: workers that are killed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import cprflow
import pyarrow
import pyarrow.parquet
import pytest
from conftest import spark_session, tenant
from spark_support import counting, session, sort  # noqa: F401 (fixture)

# `spark_support` skips the file without Spark, so these come after it.
import pyspark
from cprflow.spark import CprflowDataSource, CprflowReader

# A test waits this many seconds for a worker to read.
HANGS = 300
# The number of persons in the extract that two workers read. A quarter of them are more than one batch, so that a worker is
# killed while it reads a part. 600,000 persons make 1 GB.
PERSONS = int(os.environ.get("CPRFLOW_SPARK_PERSONS", "36000"))


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
    on_a_cluster = f"test_spark_workers.on_a_cluster(pathlib.Path({str(tmp_path)!r}), {str(path)!r}, {options})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(pathlib.Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", f"import pathlib, test_spark_workers; {on_a_cluster}"]
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
