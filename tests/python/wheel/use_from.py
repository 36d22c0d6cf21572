"""The examples of docs/use-from.md, what they read, and the rows that they must give."""

import json
import os
import pathlib
import re
import subprocess
import sys

import cprflow
import pytest
from conftest import DailyJob

REPOSITORY = pathlib.Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/use-from.md").read_text()
BORN_AFTER, MUNICIPALITY = "2008-11-23", "0265"


def blocks(text, language):
    """Returns the examples in a language by the heading above them."""
    sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    found = {}
    for heading, section in zip(sections[::2], sections[1::2]):
        for block in re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL):
            assert heading not in found, f"two examples in {heading}"
            found[heading] = block
    return found


EXAMPLES = blocks(PAGE, "python")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with what the examples read."""
    place = tmp_path_factory.mktemp("use-from")
    generated = re.search(r"`cprflow (generate .*?)`", PAGE, flags=re.DOTALL).group(1).split()
    command(place, *generated)
    job = DailyJob(place)
    job.configure()
    job.put(place / "extract.cpr", 1)
    assert cprflow.sync(job.config).ok
    return place


@pytest.fixture(scope="module")
def children(place):
    """The answer to the question of the page, from `cprflow scan`."""
    persons = scanned(place, "person", f"status in ('01', '03') and birth_date > '{BORN_AFTER}'")
    persons = {row["pnr"]: row for row in persons}
    parents = {row["pnr"]: row for row in scanned(place, "parents")}
    columns = ["pnr", "birth_date", "street_code", "house_number", "mother_pnr", "father_pnr"]
    answer = [
        [{**address, **persons[address["pnr"]], **parents.get(address["pnr"], {})}.get(column) for column in columns]
        for address in scanned(place, "address", f"municipality_code = '{MUNICIPALITY}'")
        if address["pnr"] in persons
    ]
    assert len(answer) > 5 and any(row[4] for row in answer)
    return sorted(answer, key=str)


def command(place, *arguments):
    done = subprocess.run([sys.executable, "-m", "cprflow", *arguments], cwd=place, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def scanned(place, table, where=None):
    condition = ["--where", where] if where else []
    lines = command(place, "scan", "extract.cpr", "--table", table, "--format", "jsonl", *condition).splitlines()
    return [json.loads(line) for line in lines]


def run(place, heading, after, before=""):
    """Runs an example and returns the rows of its answer, which `after` gives the name `rows`."""
    script = place / "example.py"
    script.write_text("\n".join([before, EXAMPLES[heading], after, "import json\nprint(json.dumps(rows, default=str))\n"]))
    scripts = str(pathlib.Path(sys.executable).parent)
    wrapper = place / "bin"
    wrapper.mkdir(exist_ok=True)
    # The tests install the package without its command.
    (wrapper / "cprflow").write_text(f"#!/bin/sh\nexec {sys.executable} -m cprflow \"$@\"\n")
    (wrapper / "cprflow").chmod(0o755)
    environment = {**os.environ, "DLT_DATA_DIR": str(place / "dlt"), "PATH": f"{wrapper}:{scripts}:{os.environ['PATH']}"}
    # Spark starts Python by this name, and is to use no other network.
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run([sys.executable, script], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
