"""Runs the command and the Python lines of the README with the wheel, in an environment that has only the wheel and DuckDB.

`CPRFLOW_DIST` names the directory that `host/dist/build` has made. Needs a network, for DuckDB.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cargo


def run(*command, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_lines_of_the_readme(tmp_path):
    (wheel,) = Path(os.environ["CPRFLOW_DIST"]).glob("cprflow-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "environment")
    own = tmp_path / "environment/bin"
    install = (own / "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*install, "--no-index", wheel)
    assert run(own / "cprflow", "--version") == f"cprflow {cargo.version()}\n"
    commands = re.findall(r"^ +([a-z][a-z-]*)  ", run(own / "cprflow", "--help"), flags=re.MULTILINE)
    assert {"scan", "sync", "verify"} <= set(commands), commands
    run(own / "cprflow", "generate", "--persons", "50", "-o", tmp_path / "extract.cpr")
    count = "import cprflow; print(sum(map(len, cprflow.open('extract.cpr').table('person'))))"
    assert run(own / "python", "-I", "-c", count, cwd=tmp_path) == "50\n"
    run(*install, "duckdb")
    readme = (cargo.ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert len(lines.splitlines()) == 3 and "duckdb.sql" in lines
    result = run(own / "python", "-I", "-c", lines, cwd=tmp_path)
    # A row of DuckDB's table: │ 01      │           37 │
    shown = re.findall(r"^│ +(\w+) +│ +(\d+) +│$", result, flags=re.MULTILINE)
    scanned = run(own / "cprflow", "scan", "extract.cpr", "--table", "person", "--format", "jsonl", cwd=tmp_path)
    counted = Counter(json.loads(line)["status"] for line in scanned.splitlines())
    assert len(counted) > 1 and sum(counted.values()) == 50
    assert {status: int(count) for status, count in shown} == counted, result
