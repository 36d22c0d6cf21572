"""Airflow runs the task of docs/use-from.md without a change.

Airflow has a Python of its own, because it needs other versions of packages than the rest: that of CPRFLOW_AIRFLOW_PYTHON, or
of .venv-airflow in the repository. Install tests/python/requirements-airflow.txt there.
"""

import json
import os
import pathlib
import subprocess

import cprflow
import exports
import pytest
from use_from import EXAMPLES, REPOSITORY

PYTHON = os.environ.get("CPRFLOW_AIRFLOW_PYTHON") or str(REPOSITORY / ".venv-airflow/bin/python")

# Runs the DAG once, in one process and without a scheduler, and prints what came of it.
RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["cpr"]
run = dag.test()
[fetch] = run.get_task_instances()
result = fetch.xcom_pull(task_ids="fetch")
print(json.dumps([run.state, fetch.try_number, result, dag.max_active_runs, dag.catchup]))
"""


def has_airflow():
    return os.access(PYTHON, os.X_OK) and subprocess.run([PYTHON, "-c", "import airflow.sdk"], capture_output=True).returncode == 0


if not has_airflow():
    exports.missing("CPRFLOW_REQUIRE_AIRFLOW", f"there is no Airflow at {PYTHON}")


class Airflow:
    """An installation of Airflow whose only DAG is the example."""

    def __init__(self, root, place):
        self.place = place
        self.dags = root / "dags"
        self.dags.mkdir()
        (self.dags / "cpr.py").write_text(EXAMPLES["Airflow"])
        # Airflow is to find this package, and nothing else that is installed beside it.
        packages = root / "packages"
        packages.mkdir()
        (packages / "cprflow").symlink_to(pathlib.Path(cprflow.__file__).parent)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(root / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            # The seconds before Airflow tries a task again. Its own default is 5 minutes.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "NO_COLOR": "1",
            "PYTHONPATH": str(packages),
        }
        self.python("-m", "airflow", "db", "migrate")

    def python(self, *arguments):
        command = [PYTHON, *map(str, arguments)]
        ended = subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def run(self):
        """Returns the state of the run, the number of tries, what the task returns, and the whole output."""
        printed = self.python("-c", RUN, self.dags)
        state, tries, result, max_active_runs, catchup = json.loads(printed.splitlines()[-1])
        assert max_active_runs == 1 and not catchup
        return state, tries, result, printed


@pytest.fixture
def airflow(tmp_path, job):
    job.configure()
    return Airflow(tmp_path, job.root)


def directories(job, since=0):
    return [delivery.directory for delivery in cprflow.dataset(job.dataset).deliveries() if delivery.sequence > since]


def test_the_task_publishes_and_returns_directories(airflow, job):
    for night in range(2):
        job.night(night, persons=60)
        state, tries, result, printed = airflow.run()
        assert (state, tries) == ("success", 1), printed
        assert [job.dataset / one for one in result] == directories(job, since=night)
    # A run without a new delivery, and a task that is repeated, publish nothing again.
    state, tries, result, printed = airflow.run()
    assert (state, tries, result) == ("success", 1, []), printed
    assert len(directories(job)) == 2


def test_the_task_fails_if_a_delivery_is_set_aside(airflow, job):
    whole = job.night(0, persons=60)
    part = job.root / "part"
    part.write_bytes(whole.read_bytes()[:5000])
    job.put(part, 1)
    # Each of the three retries fails too: the delivery waits for the decision of a person.
    state, tries, result, printed = airflow.run()
    assert (state, tries, result) == ("failed", 4, None), printed
    assert "missing-end" in printed
    assert len(directories(job)) == 1
