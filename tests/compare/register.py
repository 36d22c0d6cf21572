"""Measures the register and the current tables: time, processor time, peak memory and sizes on the disk.

Usage: register.py --command target/release/cprflow [--persons 50000] …

All data is generated. Each command is a process of its own, and its usage is that of this process. With smaller sizes than
those of the design, the table does not judge the figures. The parts:

  municipality  current tables of a municipality, a night of many changes, one person in the register, compaction
  tenants       current tables of many tenants over one register, compared with a scan of the extract for each
  nights        the files of many nights, and the views over them
  large         the current tables of a large register; of all of Denmark by calculation

Writes a table in Markdown to standard output and to register.md in the directory, and all measurements to register.json.
Needs only Python; with the package duckdb, the views are created too.
"""

import argparse
import dataclasses
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys

from register_store import Store, make_extract_older, night_of, save, size_of

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent

# The person numbers of Denmark: persons who live there, who moved away and who died.
DENMARK = 9_000_000

# Two hundred generated nights reach beyond the year of the first one.
YEARS = 2

WHOLE = """
dataset = "disk/dataset"
state = "state"
keep_deliveries = "90d"
[agreement.town]
inbox = "inbox"
unrestricted = "benchmark"
church.purpose = "benchmark"
"""

FOR_TENANTS = """
dataset = "disk/dataset"
state = "state"
publish = ["current"]
[agreement.town]
inbox = "inbox"
"""

VIEWS = """
import sys, time
import duckdb
text = open(sys.argv[1]).read()
begun = time.perf_counter()
duckdb.connect().execute(text)
print(time.perf_counter() - begun)
"""


# The least values of the options with which the figures of the design can be judged.
DESIGN = {"persons": 50_000, "changed": 5_000, "tenants": 20, "large": 1_000_000}


class Report:
    def __init__(self, is_trial):
        self.is_trial = is_trial
        self.rows = []
        self.measurements = {}

    def row(self, what, figure, measured, holds=None):
        """Adds a line: the figure that the design names, what was measured, and whether that holds."""
        judged = {None: "", True: "yes", False: "no"}[None if self.is_trial else holds]
        self.rows.append((what, figure, measured, judged))
        progress(f"{what}: {measured}")

    def keep(self, part, **values):
        kept = {key: [dataclasses.asdict(one) for one in value] if isinstance(value, list) else value
                for key, value in values.items()}
        self.measurements.setdefault(part, {}).update(kept)

    def table(self):
        lines = ["| what | design | measured | holds |", "|---|---|---|---|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows]) + "\n"


def progress(text):
    print(text, file=sys.stderr, flush=True)


def median(costs, of=lambda cost: cost.seconds):
    return statistics.median(of(cost) for cost in costs)


def peak(*costs):
    return max(cost.memory for cost in costs)


def mega(size):
    return f"{size / 1e6:,.1f} MB"


def municipality(options, report):
    store = Store(options.command, options.directory / "municipality", WHOLE)
    persons, changed = options.persons, options.changed
    extract = store.directory / "extract"
    bytes_of_extract = store.generate(extract, persons)
    store.put(extract)
    first = store.sync()
    kept = store.register_size()
    current, files = store.current_size()
    alone, nights, idle = [], [], []
    for night in range(1, options.rounds + 1):
        store.put(night_of(store, persons, changed, night))
        nights.append(store.sync())
        alone.append(store.make_current(store.dataset))
        idle.append(store.sync())
    seconds = median(alone)
    added = statistics.median(night.seconds - current.seconds for night, current in zip(nights, alone))
    processor = statistics.median(night.processor - current.processor for night, current in zip(nights, alone))
    name = f"{persons:,} persons"
    report.row(f"`current` of {name}", "<= 5 s", f"{seconds:.2f} s, {median(alone, lambda cost: cost.processor):.2f} s "
               "of processor time", seconds <= 5)
    report.row("its peak memory", "<= 300 MB", mega(peak(*alone)), peak(*alone) <= 300e6)
    report.row(f"a night with {changed:,} of them adds to that", "<= 1 s",
               f"{added:.2f} s, {processor:.2f} s of processor time", added <= 1)
    report.row("the whole `sync` of that night", "", f"{median(nights):.2f} s, {mega(peak(*nights))} of memory")
    report.row("a `sync` without anything to do", "", f"{median(idle):.2f} s")
    report.row(f"the first `sync` of {name}", "", f"{first.seconds:.2f} s, {mega(first.memory)} of memory")
    report.row("the kept extract, of the extract", "0.16", f"{kept / bytes_of_extract:.3f} ({mega(kept)} of "
               f"{mega(bytes_of_extract)})", kept / bytes_of_extract < 0.165)
    report.row("`current` on the disk", "", f"{mega(current)} in {files} files")
    register = kept / persons * DENMARK
    report.row(f"the register of {DENMARK:,} numbers, calculated", "about 2.5 GB", f"{register / 1e9:.1f} GB",
               register < 2.75e9)
    shown = show_person(store, options)
    report.row("one person in the register (`register show`)", "seconds", f"{median(shown):.2f} s, "
               f"{mega(peak(*shown))} of memory")
    before = store.register_size()
    store.make_older()
    compacted = store.run("expire", "--config", "cprflow.toml", "--yes", may_find=True)
    after = store.register_size()
    if after >= before:
        raise SystemExit(f"nothing was compacted: {store.output()}")
    report.row(f"compaction of {options.rounds + 1} extracts (`expire --yes`)", "", f"{compacted.seconds:.2f} s, "
               f"{mega(compacted.memory)} of memory, {mega(before)} to {mega(after)}")
    report.keep("municipality", first=[first], alone=alone, nights=nights, idle=idle, shown=shown, compacted=[compacted],
                extract_bytes=bytes_of_extract, kept_bytes=kept, current_bytes=current, current_files=files,
                register_before=before, register_after=after)


def show_person(store, options):
    """Looks for one person who exists. The number is written to a file that only its owner can read."""
    extract = store.directory / "extract"
    store.generate(extract, options.persons)
    with open(extract, "rb") as file:
        number = next(line[3:13] for line in file if line.startswith(b"001"))
    extract.unlink()
    numbers = store.directory / "numbers.txt"
    numbers.touch(mode=0o600)
    numbers.write_bytes(number + b"\n")
    shown = []
    for _ in range(options.rounds):
        answer = store.directory / "answer.json"
        answer.unlink(missing_ok=True)
        shown.append(store.run("register", "show", "--numbers", numbers, "--format", "json", "-o", answer,
                               "--config", "cprflow.toml", may_find=True))
        if number.decode() not in answer.read_text():
            raise SystemExit("register show did not find the person")
        answer.unlink()
    numbers.unlink()
    return shown


def tenants(options, report):
    names = [f"t{number:02}" for number in range(options.tenants)]
    configuration = FOR_TENANTS
    for number, name in enumerate(names):
        # No two policies are the same. Together they have every kind of protection.
        youngest = number * 3
        configuration += (
            f'[tenant.{name}]\nagreements = ["town"]\npurpose = "benchmark"\ndataset = "tenants/{name}"\n'
            f'protection = "{("mask", "drop", "include")[number % 3]}"\n'
            f"persons = {{ ages = [{youngest}, {youngest + 40}] }}\n"
        )
    store = Store(options.command, options.directory / "tenants", configuration)
    extract = store.directory / "extract"
    store.generate(extract, options.persons)
    # The register has this extract only, so scans of a copy of it make the same passes.
    copy = store.directory / "copy"
    shutil.copyfile(extract, copy)
    store.put(extract)
    store.sync()
    datasets = [store.directory / "tenants" / name for name in names]
    made, passes, sums = [], [], []
    tables = store.directory / "tables"
    for _ in range(options.rounds):
        made.append(store.make_current(*datasets))
        costs = []
        for name in names:
            costs.append(store.run("scan", copy, "--tenant", name, "--config", "cprflow.toml", "--all",
                                   "--format", "parquet", "-o", tables, may_find=True))
            shutil.rmtree(tables)
        passes.append(costs)
        sums.append(sum(cost.processor for cost in costs))
    ratio = statistics.median(one.processor / total for one, total in zip(made, sums))
    report.row(f"processor time of `current` of {len(names)} tenants, of that of their scans alone", "<= 1.5",
               f"{ratio:.2f} ({median(made, lambda cost: cost.processor):.1f} s and {statistics.median(sums):.1f} s)",
               ratio <= 1.5)
    elapsed = statistics.median(sum(cost.seconds for cost in costs) for costs in passes)
    report.row("the same, elapsed", "", f"{median(made):.1f} s; the scans one after the other {elapsed:.1f} s")
    report.row("peak memory with the tenants", "", mega(peak(*made)))
    report.keep("tenants", made=made, **{f"scans_{number}": costs for number, costs in enumerate(passes)})


def nights(options, report):
    store = Store(options.command, options.directory / "nights", WHOLE)
    extract = store.directory / "extract"
    for night in range(options.nights + 1):
        changes = ["--changes", "--night", night] if night else []
        store.generate(extract, options.night_persons, *changes)
        make_extract_older(extract, YEARS)
        store.put(extract)
    cost = store.sync()
    size, files = size_of(store.dataset / "agreement=town")
    current, current_files = store.current_size()
    name = f"{options.nights + 1} deliveries of {options.night_persons:,} persons"
    report.row(f"`sync` of {name}", "", f"{cost.seconds:.1f} s, {mega(cost.memory)} of memory")
    report.row("their files", "9,447 for 201 deliveries", f"{files:,} ({mega(size)})")
    report.row("the files of `current`", "", f"{current_files} ({mega(current)})")
    alone = [store.make_current(store.dataset) for _ in range(options.rounds)]
    report.row(f"`current` from {options.nights + 1} extracts", "",
               f"{median(alone):.2f} s, {mega(peak(*alone))} of memory")
    values = {"sync": [cost], "alone": alone, "files": files, "bytes": size}
    store.run("views", "--dialect", "duckdb", store.dataset)
    views = store.directory / "views.sql"
    (store.directory / "output").rename(views)
    created = subprocess.run([sys.executable, "-c", VIEWS, views], capture_output=True, text=True)
    if created.returncode == 0:
        values["views_seconds"] = float(created.stdout)
        report.row("creating the views over them in DuckDB", "4 s", f"{values['views_seconds']:.1f} s")
    else:
        why = (created.stderr.strip().splitlines() or ["it ended"])[-1]
        progress(f"the views are not created: {why}")
    before = store.register_size()
    store.make_older()
    compacted = store.run("expire", "--config", "cprflow.toml", "--yes", may_find=True)
    after = store.register_size()
    report.row(f"compaction of {options.nights + 1} extracts", "", f"{compacted.seconds:.1f} s, {mega(compacted.memory)} "
               f"of memory, {mega(before)} to {mega(after)}")
    report.keep("nights", compacted=[compacted], **values)


def large(options, report):
    store = Store(options.command, options.directory / "large", WHOLE)
    extract = store.directory / "extract"
    size = store.generate(extract, options.large)
    store.put(extract)
    first = store.sync()
    kept = store.register_size()
    current, files = store.current_size()
    alone = [store.make_current(store.dataset) for _ in range(min(2, options.rounds))]
    seconds = median(alone)
    processor = median(alone, lambda cost: cost.processor)
    name = f"{options.large:,} persons ({mega(size)})"
    report.row(f"`current` of {name}", "",
               f"{seconds:.1f} s, {processor:.1f} s of processor time")
    report.row("its peak memory", "<= 300 MB", mega(peak(*alone)), peak(*alone) <= 300e6)
    report.row(f"the first `sync` of {name}", "", f"{first.seconds:.1f} s, {mega(first.memory)} of memory")
    report.row("their register and `current` on the disk", "", f"{mega(kept)} and {mega(current)}")
    times = DENMARK / options.large / 60
    report.row(f"`current` of {DENMARK:,} numbers, calculated", "say how long",
               f"{seconds * times:.1f} minutes, {processor * times:.1f} minutes of processor time")
    report.keep("large", first=[first], alone=alone, extract_bytes=size, kept_bytes=kept, current_bytes=current)


PARTS = {"municipality": municipality, "tenants": tenants, "nights": nights, "large": large}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", type=pathlib.Path, default=REPOSITORY / "target/release/cprflow", help="a release build")
    parser.add_argument("--directory", type=pathlib.Path, default=REPOSITORY / "target/register", help="is emptied part by part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--persons", type=int, default=50_000, help="persons of the municipality")
    parser.add_argument("--changed", type=int, default=5_000, help="persons who are delivered in a night")
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--night-persons", type=int, default=2_000, help="persons of the population of these nights")
    parser.add_argument("--large", type=int, default=1_000_000, help="persons of the large register: 1.7 GB for a million")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of which the median counts")
    options = parser.parse_args()
    options.command = options.command.resolve()
    options.directory = options.directory.resolve()
    options.directory.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([options.command, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    report = Report(any(vars(options)[name] < least for name, least in DESIGN.items()))
    loads = [os.getloadavg()[0]]
    for part in options.parts:
        progress(f"part {part}")
        PARTS[part](options, report)
        loads.append(os.getloadavg()[0])
        save(options.directory / "register.json", report.measurements)
    machine = f"{version}, {os.cpu_count()} cores, {platform.machine()}, load {min(loads):.1f} to {max(loads):.1f}"
    report.measurements["machine"] = machine
    text = f"{machine}, medians of {options.rounds}\n\n{report.table()}"
    (options.directory / "register.md").write_text(text)
    save(options.directory / "register.json", report.measurements)
    print(text, end="")


if __name__ == "__main__":
    main()
