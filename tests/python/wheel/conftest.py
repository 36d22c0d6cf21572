"""Extracts and datasets for the tests of the Python package."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import cprflow
import pyarrow
import pytest


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("cprflow")


@pytest.fixture(scope="session")
def extract(place):
    """The path of an extract with all record types."""
    path = place / "d261123.l431101"
    cprflow.generate(path, persons=3000, seed=11, busy=True)
    return path


@pytest.fixture(scope="session")
def parts(place):
    """The path of an extract of more than 20 MB, which several threads read in parts."""
    path = place / "parts"
    cprflow.generate(path, persons=15_000, seed=2, busy=True)
    assert path.stat().st_size > 20 << 20
    return path


@pytest.fixture(scope="session")
def tiny(place):
    """The bytes of an extract of a few persons."""
    path = place / "tiny"
    cprflow.generate(path, persons=5, seed=3, busy=True)
    return path.read_bytes()


@pytest.fixture(scope="session")
def run():
    """Runs the command of the package."""

    def run(*arguments, **options):
        command = [sys.executable, "-m", "cprflow", *map(str, arguments)]
        options = {"capture_output": True, "timeout": 300, **options}
        return subprocess.run(command, **options)

    return run


@pytest.fixture(scope="session")
def rows(run):
    """Returns the rows of `cprflow scan`, as dictionaries of JSON values."""

    def rows(path, table, *options):
        ended = run("scan", path, "--table", table, "--format", "jsonl", *options)
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]

    return rows


# The keys of an agreement that publishes everything of every person.
EVERYTHING = "unrestricted = 'tests'\nchurch = { purpose = 'tests' }\n"


def tenant(name, more):
    """Returns a tenant of a configuration."""
    return f"[tenant.{name}]\nagreements = ['town']\npurpose = 'what {name} does'\ndataset = 'tenants/{name}'\n{more}\n"


class DailyJob:
    """An inbox, a configuration and the datasets that follow from them."""

    def __init__(self, root):
        self.root = root
        self.inbox = root / "inbox"
        self.dataset = root / "dataset"
        self.config = root / "cprflow.toml"
        self.inbox.mkdir(parents=True, exist_ok=True)

    def configure(self, more=EVERYTHING):
        self.config.write_text(
            f"dataset = 'dataset'\nstate = 'state'\n[agreement.town]\ninbox = 'inbox'\n{more}"
        )

    def put(self, path, number, name=None):
        """Puts a delivery into the inbox."""
        name = name or f"d{260000 + number:06}.l431101"
        data = pathlib.Path(path).read_bytes()
        (self.inbox / name).write_bytes(data)
        (self.inbox / f"{name}.metadata").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ns2:FileMetadata xmlns:ns2="http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types">'
            f"<FileTransferUUID>{number:08x}-0000-4000-8000-000000000000</FileTransferUUID>"
            f"<FileDescriptor><FileName>{name}</FileName><SizeInBytes>{len(data)}</SizeInBytes>"
            "<Sender>platform</Sender><Recipients>SYSTEM</Recipients></FileDescriptor>"
            "<FileContentDescriptor/></ns2:FileMetadata>\n"
        )

    def night(self, number, persons=300, seed=5):
        """Puts the delivery of a night into the inbox: all persons first, and then changes."""
        path = self.root / f"night-{number}"
        cprflow.generate(path, persons=persons, seed=seed, changes=number > 0, night=number or None, busy=True)
        self.put(path, number)
        return path


@pytest.fixture
def job(tmp_path):
    return DailyJob(tmp_path / "job")


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A dataset with three deliveries, and the extracts from which they were made."""
    job = DailyJob(tmp_path_factory.mktemp("published") / "job")
    job.configure()
    extracts = []
    for night in range(3):
        extracts.append(job.night(night))
        report = cprflow.sync(job.config)
        assert report.ok and len(report.published) == 1, report.problems
    return types.SimpleNamespace(path=job.dataset, extracts=extracts, job=job)


@pytest.fixture(scope="session")
def tenants(tmp_path_factory):
    """An agreement with tenants, and its extract. Some addresses have a person number in a text."""
    job = DailyJob(tmp_path_factory.mktemp("tenants") / "job")
    job.extract = job.root / "extract"
    cprflow.generate(job.extract, persons=800, seed=5, shape="full", busy=True)
    address = cprflow.open(job.extract).table("address")
    column = address.schema["co_name"]
    at = column.position - 1
    lines = job.extract.read_bytes().split(b"\n")
    for number, line in enumerate(lines):
        if line[:3] == b"002" and number % 3 == 0:
            lines[number] = line[:at] + b"c/o 0101010101".ljust(column.length) + line[at + column.length :]
    job.extract.write_bytes(b"\n".join(lines))
    codes = pyarrow.table(address.scan(columns=["municipality_code"])).column(0).to_pylist()
    municipality, _ = collections.Counter(codes).most_common(1)[0]
    (job.root / "key").write_text("ab" * 32 + "\n")
    (job.root / "key").chmod(0o600)
    job.configure(
        tenant("school", f"persons = {{ municipalities = ['{municipality}'] }}")
        + tenant("research", "numbers = 'pseudonym'\nkey = { file = 'key' }")
        + tenant("statistics", "numbers = 'drop'")
    )
    return job


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A session of Spark with two threads, which runs a task again if it fails."""
    need_spark()
    session = spark_session("local[2,4]", tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


def is_set(variable):
    """Returns whether a variable says that something is needed: `0` and the empty text do not, as for the tests in Rust."""
    return os.environ.get(variable, "0") not in ("", "0")


def need_spark():
    """Skips a test, or all tests of a file, without Spark 4.1 or newer, unless CPRFLOW_REQUIRE_SPARK is set."""
    if not is_set("CPRFLOW_REQUIRE_SPARK"):
        pytest.importorskip("pyspark", minversion="4.1")
        if shutil.which("java") is None:
            pytest.skip("Spark needs Java", allow_module_level=True)


def spark_session(master, directory):
    """Starts a session of Spark that keeps its files in a directory."""
    from pyspark.sql import SparkSession

    # The name by which executors start Python.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": directory,
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.warehouse.dir": directory / "warehouse",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master(master)
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


@pytest.fixture(scope="session")
def two_nights_once(tmp_path_factory):
    job = DailyJob(tmp_path_factory.mktemp("two-nights") / "job")
    job.configure()
    for night in range(2):
        job.night(night, persons=60)
        assert cprflow.sync(job.config).ok
    return job


@pytest.fixture
def two_nights(two_nights_once, tmp_path):
    """A daily job of its own that has published two deliveries."""
    root = tmp_path / "job"
    shutil.copytree(two_nights_once.root, root, symlinks=True)
    return DailyJob(root)


@pytest.fixture(scope="session")
def many_persons(tmp_path_factory):
    """A daily job with the persons of the examples in the documentation."""
    job = DailyJob(tmp_path_factory.mktemp("many-persons"))
    job.configure()
    job.night(0, persons=3000, seed=1)
    assert cprflow.sync(job.config).ok
    return job


def resident_memory():
    """Returns the memory of this process in bytes."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
