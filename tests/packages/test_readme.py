"""Runs the Python lines of the README with the wheel, in an environment that has only the wheel and DuckDB.

`CPRFLOW_DIST` names the directory that `host/dist/build` has made. Needs a network, for DuckDB.
"""

import os
import re
import subprocess
import sys
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
    run(own / "cprflow", "generate", "--persons", "50", "-o", tmp_path / "extract.cpr")
    count = "import cprflow; print(sum(map(len, cprflow.open('extract.cpr').table('person'))))"
    assert run(own / "python", "-I", "-c", count, cwd=tmp_path) == "50\n"
    run(*install, "duckdb")
    readme = (cargo.ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert len(lines.splitlines()) == 3 and "duckdb.sql" in lines
    result = run(own / "python", "-I", "-c", lines, cwd=tmp_path)
    assert "count_star()" in result, result
