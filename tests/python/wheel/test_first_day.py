"""The commands of docs/first-day.md run in the order of the page, and print what it shows, with its figures."""

import os
import pathlib
import re
import subprocess
import sys

PAGE = (pathlib.Path(__file__).parents[3] / "docs/first-day.md").read_text()
BLOCKS = re.findall(r"^```(sh|toml|console)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)

# The parts of the command `duckdb` that the page uses.
DUCKDB = """#!{python}
import sys, duckdb
*place, sql = sys.argv[1:] if len(sys.argv) > 2 else [sys.argv[1], sys.stdin.read()]
connection = duckdb.connect(*[part for part in place if part != "-c"])
answer = connection.sql(sql)
if answer is not None:
    for row in answer.fetchall():
        print(*row)
"""


# What a command or a line has whose figures depend on the day: ages are judged each day.
OF_THE_DAY = ["persons in scope", "tenants/schools"]

# What differs in every run, and what it is replaced by.
DIFFERENT = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "UUID",
    r"(delivery=\d{4}-\d\d-\d\d-\d+)-[0-9a-f]{8}": r"\1",
    r"(generation \d+ for) \d{4}-\d\d-\d\d": r"\1 DAY",
    r"\d{4}-\d\d-\d\d \d\d:\d\d": "TIME",
    r"\((less than a minute|\d+ \w+) ago\)": "(AGE)",
}


def words(text):
    """Returns the text without what differs in every run, and from tool to tool: lines and spaces."""
    for pattern, replacement in DIFFERENT.items():
        text = re.sub(pattern, replacement, text)
    return " ".join(re.sub(r"[│|]", " ", text).split())


def without_figures(text):
    """Returns the text with 0 for every number."""
    return re.sub(r"\d+", "0", text)


def shows(printed, line, command):
    """Returns whether the output of a command has a line of the page, with its figures. A line can end with `…`."""
    printed, line = words(printed), words(line.removesuffix("…"))
    if any(part in command or part in line for part in OF_THE_DAY):
        printed, line = without_figures(printed), without_figures(line)
    # A figure must not be the end or the beginning of a longer one.
    return re.search(rf"(?<![\d,.]){re.escape(line)}(?![\d,])", printed) is not None


def steps():
    """Returns the files that the page writes, and its commands with the lines that they print."""
    for kind, block in BLOCKS:
        if kind == "sh":
            yield ("deliver.sh", block)
        elif kind == "toml":
            yield ("cprflow.toml", block)
        else:
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                yield (None, (command, [line for line in shown if line != "…"]))


def test_every_command(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"duckdb": DUCKDB, "cprflow": "#!/bin/sh\nexec {python} -m cprflow \"$@\"\n"}.items():
        (programs / name).write_text(text.replace("{python}", sys.executable))
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    place, commands = tmp_path, 0
    for name, step in steps():
        if name:
            with (place / name).open("a") as file:
                file.write(step)
            continue
        command, shown = step
        if command.startswith("mkdir first-day"):
            place = tmp_path / "first-day"
            place.mkdir()
            continue
        commands += 1
        done = subprocess.run(command, shell=True, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        for line in shown:
            assert shows(done.stdout + done.stderr, line, command), f"{command} does not print: {line}\n{done.stdout}{done.stderr}"
    assert commands > 15
