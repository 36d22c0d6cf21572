"""A store of generated persons for the benchmark of the register, and commands with their time and memory."""

import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<ns2:FileMetadata xmlns:ns2="http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types">\
<FileTransferUUID>{transfer:08x}-0000-4000-8000-000000000000</FileTransferUUID><FileDescriptor><FileName>{name}</FileName>\
<SizeInBytes>{size}</SizeInBytes><Sender>platform</Sender><Recipients>SYSTEM</Recipients></FileDescriptor>\
<FileContentDescriptor/></ns2:FileMetadata>
"""

# The time by which extracts and deliveries are made older, so that retention is due.
AGE = datetime.timedelta(days=400)

# The places of the two dates in the record 000: the production date, and that of the night before.
DATE = 19
PREVIOUS_DATE = 27


@dataclasses.dataclass
class Cost:
    """What a command used: seconds, seconds of processor time, and peak resident memory in bytes."""

    seconds: float
    processor: float
    memory: int


def measured(command, directory, output, may_find=False):
    """Runs a command to its end. `may_find` allows the exit code 1: something needs attention."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CPRFLOW_")}
    with open(output, "wb") as out, open(f"{output}.err", "wb") as err:
        begun = time.perf_counter()
        child = subprocess.Popen(command, cwd=directory, env=environment, stdout=out, stderr=err)
        # The usage of this child alone. Its peak memory is at least that of this program, which is small therefore.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in ((0, 1) if may_find else (0,)):
        said = pathlib.Path(f"{output}.err").read_text(errors="replace")
        raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}: {said}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def size_of(directory):
    """Returns the sum of the sizes of all files below a directory, and their number. Links are not followed."""
    sizes = [
        (pathlib.Path(parent) / name).lstat().st_size
        for parent, _, names in os.walk(directory)
        for name in names
        if not (pathlib.Path(parent) / name).is_symlink()
    ]
    return sum(sizes), len(sizes)


class Store:
    """An inbox, a state directory, and the datasets of a configuration."""

    def __init__(self, command, directory, configuration):
        self.command = str(command)
        self.directory = pathlib.Path(directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        for name in ("inbox", "disk"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "cprflow.toml").write_text(configuration)
        self.deliveries = 0

    @property
    def dataset(self):
        return self.directory / "disk/dataset"

    def run(self, *arguments, may_find=False):
        return measured([self.command, *map(str, arguments)], self.directory, self.directory / "output", may_find)

    def output(self):
        return (self.directory / "output").read_text()

    def generate(self, path, persons, *arguments):
        self.run("generate", "--persons", persons, "--force", "-o", path, *arguments)
        return path.stat().st_size

    def put(self, path):
        """Moves an extract into the inbox as a delivery."""
        self.deliveries += 1
        name = f"n{self.deliveries:06}"
        target = self.directory / "inbox" / name
        size = path.stat().st_size
        path.rename(target)
        metadata = METADATA.format(transfer=self.deliveries, name=name, size=size)
        target.with_suffix(".metadata").write_text(metadata)

    def sync(self):
        # Generated extracts have findings, so that the exit code can be 1.
        cost = self.run("sync", "--config", "cprflow.toml", may_find=True)
        left = sorted(path.name for path in (self.directory / "inbox").iterdir())
        if left:
            raise SystemExit(f"sync left {left[:3]} in the inbox: {self.output()}")
        return cost

    def make_current(self, *datasets):
        """Makes only the current tables again, as on a new day without a delivery."""
        before = [os.readlink(dataset / "current") for dataset in datasets]
        for dataset in datasets:
            # Tables that are gone are made again. So the clock of the machine need not be changed.
            (dataset / "current").unlink()
        cost = self.sync()
        for dataset, old in zip(datasets, before):
            if os.readlink(dataset / "current") == old:
                raise SystemExit(f"{dataset}: no new current tables were made")
        return cost

    def current_size(self, dataset=None):
        return size_of(((dataset or self.dataset) / "current").resolve())

    def register_size(self):
        return size_of(self.directory / "state/register")[0]

    def make_older(self):
        """Makes everything older than `keep_deliveries`, in the ledger. Without it, the benchmark would take 90 days."""
        then = (datetime.datetime.now(datetime.timezone.utc) - AGE).strftime("%Y-%m-%dT%H:%M:%SZ")
        ledger = sqlite3.connect(self.directory / "state/ledger.sqlite")
        with ledger:
            ledger.execute("UPDATE kept_extract SET kept = ?", [then])
            ledger.execute("UPDATE delivery SET published = ? WHERE published IS NOT NULL", [then])
        ledger.close()


def night_of(store, persons, changed, night):
    """Writes the extract of a night in which so many persons of the population are delivered, with all their records as
    they are after that night. Returns the path."""
    whole = store.directory / "whole"
    one_night = store.directory / "one-night"
    store.generate(one_night, persons, "--changes", "--night", night)
    store.generate(whole, persons, "--night", night, "--order", "by-person")
    with open(one_night, "rb") as file:
        # It names the production date of the night before.
        start = file.readline()
    every = max(1, persons // changed)
    path = store.directory / "night"
    person, last, records, written = -1, None, 0, 0
    with open(whole, "rb") as file, open(path, "wb") as out:
        out.write(start)
        next(file)
        for line in file:
            if line.startswith(b"999"):
                break
            if line[3:13] != last:
                last = line[3:13]
                person += 1
                written += person % every == 0 and written < changed
                is_chosen = person % every == 0 and person // every < changed
            if is_chosen:
                records += 1
                out.write(line)
        out.write(b"9999999999999%08d\n" % records)
    whole.unlink()
    one_night.unlink()
    if written != changed:
        raise SystemExit(f"the population has only {written} of the {changed} persons of a night")
    return path


def make_extract_older(path, years):
    """Changes the years in the record 000 of an extract: an extract from the future is set aside."""
    with open(path, "r+b") as file:
        start = bytearray(file.readline())
        for place in (DATE, PREVIOUS_DATE):
            if start[place:place + 4].isdigit():
                start[place:place + 4] = b"%04d" % (int(start[place:place + 4]) - years)
        file.seek(0)
        file.write(start)


def save(path, results):
    path.write_text(json.dumps(results, indent=1) + "\n")
