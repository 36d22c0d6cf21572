"""Reads the current tables of a dataset with one engine, and checks that the tables of each read belong together.

Usage: generation_reader.py ENGINE WAY DATASET

ENGINE is pyarrow, polars or duckdb. WAY is `paths`, which resolves the link and reads one path after the other, or `opened`,
which opens all files of the generation before it reads the first. Commands are lines on standard input:

  free     reads again and again until the next command
  held     reads half of the tables, says so, waits for `go`, and reads the rest
  through  the same, but opens each file through the link `current` and does not resolve it

Each result is a JSON object on a line of standard output:

  {"event": "idle"}                          waits for a command
  {"event": "middle", "generation": N}       half of the tables are read
  {"event": "read", "generation": N, "engine": …, "tables": …, "rows": …}   all tables are read and belong together
  {"event": "mixed", "generation": N, "what": […]}     they do not belong together
  {"event": "failed", "generation": N, "what": …}      a file could not be read
"""

import collections
import hashlib
import json
import os
import pathlib
import queue
import sys
import threading

# The tables whose rows say when a person entered or left. They have no column as_of.
ROSTER_TABLES = ("into_scope", "out_of_scope")

# Columns of a table: the number of its rows, and the values of the two that tie the tables together.
Columns = collections.namedtuple("Columns", "rows pnr as_of")


def with_pyarrow():
    import pyarrow.parquet

    def read(file):
        table = pyarrow.parquet.read_table(file)
        values = lambda name: table[name].to_pylist() if name in table.column_names else None
        return Columns(table.num_rows, values("pnr"), values("as_of"))

    return read


def with_polars():
    import polars

    def read(file):
        frame = polars.read_parquet(file)
        values = lambda name: frame[name].to_list() if name in frame.columns else None
        return Columns(frame.height, values("pnr"), values("as_of"))

    return read


def with_duckdb():
    import duckdb

    # A connection that remembers files would not notice that they are gone.
    connection = duckdb.connect(config={"enable_external_file_cache": False})
    connection.execute("SET threads = 1")

    def read(file):
        # DuckDB reads paths only. This one leads to the open file, also if the file was removed.
        path = file if isinstance(file, str) else f"/proc/self/fd/{file.fileno()}"
        result = connection.execute("SELECT * FROM read_parquet(?)", [path])
        names = [column[0] for column in result.description]
        rows = result.fetchall()
        values = lambda name: [row[names.index(name)] for row in rows] if name in names else None
        return Columns(len(rows), values("pnr"), values("as_of"))

    return read


ENGINES = {"pyarrow": with_pyarrow, "polars": with_polars, "duckdb": with_duckdb}


class Commands:
    """The commands, read in a thread so that a free reader notices the next one without waiting."""

    def __init__(self):
        self.lines = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in sys.stdin:
            self.lines.put(line.strip())
        # The caller has closed the pipe.
        self.lines.put("")

    def next(self):
        return self.lines.get()

    def is_waiting(self):
        return not self.lines.empty()


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


# docs/register.md has this function. A test compares the two.
def open_tables(dataset):
    while True:
        directory = dataset / os.readlink(dataset / "current")
        try:
            manifest = json.loads((directory / "_generation.json").read_text())
            return manifest, {name: open(directory / name, "rb") for name in manifest["files"]}
        except FileNotFoundError:
            continue  # The generation was removed meanwhile: current leads to a newer one.


class Reader:
    def __init__(self, engine, way, dataset):
        self.engine = engine
        self.is_opened = way == "opened"
        self.read_table = ENGINES[engine]()
        self.dataset = pathlib.Path(dataset)
        self.link = self.dataset / "current"
        self.commands = Commands()

    def run(self):
        say("idle")
        while True:
            command = self.commands.next()
            if not command:
                return
            if command == "free":
                while not self.commands.is_waiting():
                    self.read_all(is_held=False, is_resolved=True)
            elif command in ("held", "through"):
                self.read_all(is_held=True, is_resolved=command == "held")
            else:
                raise SystemExit(f"unknown command {command}")
            say("idle")

    def read_all(self, is_held, is_resolved):
        """Reads all tables of the generation that `current` leads to now, and checks them."""
        resolved = pathlib.Path(os.path.realpath(self.link))
        generation = int(resolved.name)
        directory = resolved if is_resolved else self.link
        files = {}
        try:
            if self.is_opened:
                manifest, files = open_tables(self.dataset)
                generation = manifest["number"]
            else:
                manifest = json.loads((directory / "_generation.json").read_text())
            names = sorted(manifest["rows"])
            tables = {}
            for place, name in enumerate(names):
                if is_held and place == len(names) // 2:
                    say("middle", generation=generation)
                    if self.commands.next() != "go":
                        return
                file = f"{name}.parquet"
                tables[name] = self.read_table(files.get(file) or str(directory / file))
            digests = {name: digest(files.get(name) or directory / name) for name in manifest["files"]}
        except Exception as error:
            # Each engine has its own errors for a file that is gone. The caller decides whether it may be gone.
            say("failed", generation=generation, what=f"{type(error).__name__}: {error}"[:300])
            return
        finally:
            for file in files.values():
                file.close()
        what = by_manifest(manifest, generation, tables, digests)[:5] + by_rows(manifest, tables)[:5]
        if what:
            say("mixed", generation=generation, what=what)
            return
        rows = sum(table.rows for table in tables.values())
        say("read", generation=generation, engine=self.engine, tables=len(tables), rows=rows)


def digest(file):
    if isinstance(file, pathlib.Path):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    file.seek(0)
    return hashlib.sha256(file.read()).hexdigest()


def by_manifest(manifest, generation, tables, digests):
    """Compares the files with the manifest: the number, the rows and the digest of each file."""
    wrong = []
    if manifest["number"] != generation:
        wrong.append(f"manifest: it is of generation {manifest['number']}")
    if sorted(manifest["files"]) != [f"{name}.parquet" for name in sorted(tables)]:
        wrong.append("manifest: it does not name the file of each table")
    for name, table in tables.items():
        if table.rows != manifest["rows"][name]:
            wrong.append(f"manifest: {name} has {table.rows} rows instead of {manifest['rows'][name]}")
    for file, entry in manifest["files"].items():
        if digests[file] != entry["sha256"]:
            wrong.append(f"manifest: {file} has another digest")
    return wrong


def by_rows(manifest, tables):
    """Compares the rows of all tables with those of `person`: the persons, and the extract that each row is from."""
    wrong = []
    days = {extract["production_date"] for extract in manifest["extracts"]}
    as_of = {}
    for pnr, day in zip(tables["person"].pnr, tables["person"].as_of):
        as_of.setdefault(pnr, set()).add(str(day))
    for name, table in tables.items():
        if name in ROSTER_TABLES:
            # A person who entered is in scope. One who left is not.
            outside = [pnr for pnr in table.pnr if (pnr in as_of) != (name == "into_scope")]
            if outside:
                wrong.append(f"rows: {len(outside)} persons of {name} do not fit to person")
            continue
        if table.pnr is None or table.as_of is None:
            wrong.append(f"rows: {name} lacks pnr or as_of")
            continue
        rows = [(pnr, str(day)) for pnr, day in zip(table.pnr, table.as_of)]
        if any(day not in days for _, day in rows):
            wrong.append(f"rows: {name} has rows of an extract that the manifest does not name")
        # Events of all extracts are kept, so they can be older than the person, and stay when the person ends.
        if name == "event":
            continue
        unknown = sum(pnr not in as_of for pnr, _ in rows)
        other = sum(pnr in as_of and day not in as_of[pnr] for pnr, day in rows)
        if unknown or other:
            wrong.append(f"rows: {name} has {unknown} rows of other persons, and {other} rows of another extract")
    return wrong


if __name__ == "__main__":
    Reader(*sys.argv[1:]).run()
