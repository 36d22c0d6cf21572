"""Datasets whose ready answers are asked of several engines."""

import importlib.util
import json
import pathlib

import cprflow
import pyarrow.compute
import pyarrow.parquet

from conftest import EVERYTHING, DailyJob, tenant

ROOT = pathlib.Path(__file__).parents[3]
DOCUMENT = ROOT / "docs/queries.md"


def load():
    """Returns the module with the second implementation of the answers."""
    spec = importlib.util.spec_from_file_location("cprflow_answers", ROOT / "tests/python/answers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


answers = load()


def busy(root):
    """Returns the datasets of a population that changes: without a policy, of a tenant that sees marks, and of one that
    cannot know who is protected."""
    job = DailyJob(root)
    marked = "classes = ['name', 'address', 'family']\nprotection = 'include'"
    job.configure(EVERYTHING + tenant("marked", marked) + tenant("unknown", "classes = ['name']"))
    for night in range(5):
        job.night(night, persons=500, seed=7)
        assert cprflow.sync(job.config).ok
    return [job.dataset, job.root / "tenants/marked", job.root / "tenants/unknown"]


def scenarios(root, run):
    """Returns the dataset of all scenarios in one: a chain of numbers, a protected child, a return from abroad."""
    job = DailyJob(root)
    # The scenarios have the same persons, so each has an agreement of its own.
    names = ["move-in", "protected-child", "number-chain", "emigration-return", "death-of-spouse"]
    ended = run("generate", "--scenario", ",".join(names), "-o", root / "scenarios")
    assert ended.returncode == 0, ended.stderr
    agreements = (f"[agreement.{name}]\ninbox = 'inbox'\n{EVERYTHING}files.name = '{name}.*'\n" for name in names)
    job.config.write_text("dataset = 'dataset'\nstate = 'state'\n" + "".join(agreements))
    number = 0
    for name in names:
        for path in sorted((root / "scenarios" / name).glob("d*")):
            number += 1
            job.put(path, number, name=f"{name}.{path.name}")
    assert cprflow.sync(job.config).ok
    return job.dataset


def judge_on_the_day_of_the_last_delivery(dataset):
    """Makes that day today, so that there are moves and deliveries of the last days. The clock is long after them."""
    directory = (dataset / "current").resolve()
    persons = pyarrow.parquet.read_table(directory / "person.parquet", columns=["as_of"])
    path = directory / "_generation.json"
    manifest = json.loads(path.read_text())
    manifest["day"] = pyarrow.compute.max(persons.column("as_of")).as_py().isoformat()
    path.chmod(0o600)
    path.write_text(json.dumps(manifest))


def statements(run, dialect, dataset, *more):
    """Returns what `cprflow views --answers` prints."""
    ended = run("views", "--dialect", dialect, "--answers", dataset, *more)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode()


def compare(ask, run, dataset, capsys):
    """Asserts that an engine has the rows of DuckDB and of plain Python. Returns the number of rows of each answer."""
    model = answers.Model(dataset)
    is_equal = answers.check(ask, model, DOCUMENT)
    is_equal &= answers.whole(ask, statements(run, "duckdb", dataset), model)
    report = capsys.readouterr().out
    assert is_equal, report
    counts = (line.rsplit(": ", 1) for line in report.splitlines())
    return {name: int(rows.removesuffix(" rows")) for name, rows in counts}
