"""Switches the current tables of a dataset and of a tenant while pyarrow, polars and DuckDB read them.

Usage: switching.py COMMAND DIRECTORY

COMMAND is a `cprflow` with test hooks, because the days of the test follow each other at once (CPRFLOW_NOW). DIRECTORY is
empty. Each reader is a process of its own (generation_reader.py). The switches:

  held     every reader is in the middle of a read when the link switches, and reads the rest afterwards
  free     the readers read without a pause; the next switch comes when each has read the newest generation
  through  the readers open each file through the link; the test fails unless their reads are found to be mixed

A switch is a new day or a new delivery: one with every kind of change, or a quiet one with a new person only. Nothing
depends on the pace of the machine. CPRFLOW_SWITCH_SECONDS=120 goes on with free switches for two minutes.
CPRFLOW_SWITCH_PERSONS sets the size of the population (default 300).

What must hold: every read of the unrestricted dataset is complete, and its tables belong together. So is every read of the
tenant's tables by a reader that opens all files first. A reader of the tenant's tables that opens one path after the other
fails only if the generation was removed, because somebody left the scope or became hidden. It never fails because of a quiet
delivery. No read mixes generations.

Prints the counts as JSON. Ends with 1 and says why if something does not hold.
"""

import collections
import datetime
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

ENGINES = ("pyarrow", "polars", "duckdb")
# How the readers read, and which tables. Each engine has a reader of each.
READERS = (("paths", "dataset"), ("paths", "tenant"), ("opened", "tenant"))
READER = pathlib.Path(__file__).with_name("generation_reader.py")

# Held and free switches, without CPRFLOW_SWITCH_SECONDS. The kinds of switches follow each other.
KINDS = ("delivery", "quiet", "day")
HELD = 6
FREE = 6

# Only a reader that hangs needs this long for an answer.
LIMIT_SECONDS = 600

CONFIGURATION = """
dataset = "disk/dataset"
state = "state"
[agreement.town]
inbox = "inbox"
unrestricted = "test"
church.purpose = "test"
[tenant.schools]
agreements = ["town"]
purpose = "test"
dataset = "tenants/schools"
classes = ["default", "family"]
persons = { ages = [0, 60] }
"""

METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<ns2:FileMetadata xmlns:ns2="http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types">\
<FileTransferUUID>{transfer:08x}-0000-4000-8000-000000000000</FileTransferUUID><FileDescriptor><FileName>{name}</FileName>\
<SizeInBytes>{size}</SizeInBytes><Sender>platform</Sender><Recipients>SYSTEM</Recipients></FileDescriptor>\
<FileContentDescriptor/></ns2:FileMetadata>
"""


def fail(why):
    raise SystemExit(f"switching.py: {why}")


class Store:
    """The inbox, the dataset and the tenant's dataset, and the command that publishes to them."""

    def __init__(self, command, directory, persons):
        self.command = command
        self.directory = pathlib.Path(directory)
        self.persons = persons
        self.night = 0
        self.transfers = 0
        self.now = datetime.datetime(2026, 12, 1, 6, tzinfo=datetime.timezone.utc)
        self.datasets = {"dataset": self.directory / "disk/dataset", "tenant": self.directory / "tenants/schools"}
        self.switches = collections.Counter()
        for name in ("inbox", "disk"):
            (self.directory / name).mkdir()
        (self.directory / "cprflow.toml").write_text(CONFIGURATION)
        self.deliver()
        self.sync()

    def run(self, *arguments):
        environment = {**os.environ, "CPRFLOW_NOW": self.now.isoformat().replace("+00:00", "Z"), "NO_COLOR": "1"}
        environment.pop("CPRFLOW_CONFIG", None)
        ended = subprocess.run(
            [self.command, *arguments], cwd=self.directory, env=environment, capture_output=True, text=True
        )
        if ended.returncode > 1:
            fail(f"{arguments[0]} ended with {ended.returncode}: {ended.stderr}{ended.stdout}")

    def sync(self):
        self.run("sync", "--config", "cprflow.toml")

    def deliver(self):
        """Puts the next night into the inbox; at first the whole population."""
        name = f"n{self.night:06}"
        path = self.directory / "inbox" / name
        night = ["--changes", "--night", str(self.night)] if self.night else []
        self.run("generate", "--busy", "--persons", str(self.persons), *night, "--quiet", "-o", str(path))
        self.night += 1
        with path.open(encoding="latin-1") as extract:
            self.start = extract.readline().strip()
        self.describe(path)

    def deliver_quietly(self):
        """Puts a delivery of the last night into the inbox that brings one new person, and changes nothing else."""
        path = self.directory / "inbox" / f"q{self.transfers:06}"
        path.write_text(
            f"{self.start}\n"
            f"001010100{5000 + self.transfers:04}          01000000000000 K2000-01-01\n"
            "999999999999900000001\n"
        )
        self.describe(path)

    def describe(self, path):
        """Adds the metadata file of a delivery, which makes it complete."""
        self.transfers += 1
        metadata = METADATA.format(transfer=self.transfers, name=path.name, size=path.stat().st_size)
        path.with_suffix(".metadata").write_text(metadata)

    def newest(self, place):
        return int(os.path.basename(os.readlink(self.datasets[place] / "current")))

    def is_gone(self, place, generation):
        return not (self.datasets[place] / "generations" / f"{generation:06}").exists()

    def switch(self, kind):
        """Makes a new generation in both datasets."""
        before = {place: self.newest(place) for place in self.datasets}
        if kind == "day":
            self.now += datetime.timedelta(days=1)
        else:
            self.now += datetime.timedelta(minutes=1)
            if kind == "quiet":
                self.deliver_quietly()
            else:
                self.deliver()
        self.sync()
        for place, number in before.items():
            if self.newest(place) != number + 1:
                fail(f"{place}: generation {number} was followed by {self.newest(place)} after a new {kind}")
            if kind == "quiet" and self.is_gone(place, number):
                fail(f"{place}: generation {number} was removed although nothing of it is hidden now")
        self.switches[kind] += 1


class Reader:
    """A process that reads with one engine."""

    changed = threading.Condition()

    def __init__(self, engine, way, place, dataset):
        self.name = f"{engine}, {place}, {way}"
        self.place = place
        # A tenant's older generation goes at once if it may show what is hidden now. A quiet delivery hides nothing.
        self.may_fail = place == "tenant" and way == "paths"
        self.process = subprocess.Popen(
            [sys.executable, str(READER), engine, way, str(dataset)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.events = []
        # Since the last command.
        self.answers = []
        self.is_ended = False
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            with self.changed:
                self.answers.append(json.loads(line))
                self.events.append(self.answers[-1])
                self.changed.notify_all()
        with self.changed:
            self.is_ended = True
            self.changed.notify_all()

    def send(self, command):
        with self.changed:
            self.answers = []
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait(self, what, is_reached):
        """Waits for an answer to the last command. Returns all its answers."""
        with self.changed:
            reached = lambda: self.is_ended or any(is_reached(answer) for answer in self.answers)
            if not self.changed.wait_for(reached, LIMIT_SECONDS) or self.is_ended:
                fail(f"{self.name}: {what} did not come; the last answers are {self.events[-3:]}")
            return list(self.answers)

    def wait_idle(self):
        return self.wait("the end of a command", lambda answer: answer["event"] == "idle")

    def count(self, event):
        return sum(answer["event"] == event for answer in self.events)

    def generations(self):
        return {answer["generation"] for answer in self.events if answer["event"] == "read"}


def check(store, reader, answers, kinds):
    """Fails if one of the answers must not be. `kinds` says which kind of switch ended each generation of the tenant."""
    for answer in answers:
        if answer["event"] == "mixed":
            fail(f"{reader.name}: generation {answer['generation']} is mixed: {answer['what']}")
        if answer["event"] == "failed":
            generation = answer["generation"]
            may_fail = reader.may_fail and kinds.get(generation) in ("delivery", "day")
            if not may_fail or not store.is_gone(reader.place, generation):
                fail(f"{reader.name}: generation {generation} cannot be read: {answer['what']}")


def held(store, readers, kinds, count):
    for number in range(count):
        for reader in readers:
            reader.send("held")
        for reader in readers:
            reader.wait("the middle of a read", lambda answer: answer["event"] == "middle")
        switch(store, kinds, number)
        for reader in readers:
            reader.send("go")
        for reader in readers:
            answers = reader.wait_idle()
            check(store, reader, answers, kinds)
            if not any(answer["event"] in ("read", "failed") for answer in answers):
                fail(f"{reader.name}: a held read has no result: {answers}")


def free(store, readers, kinds, count, seconds):
    begun = time.monotonic()
    for reader in readers:
        reader.send("free")
    number = 0
    while True:
        for reader in readers:
            newest = store.newest(reader.place)
            is_newest = lambda answer: answer["event"] == "read" and answer["generation"] == newest
            reader.wait(f"a read of generation {newest}", lambda answer: is_newest(answer) or answer["event"] == "mixed")
        for reader in readers:
            with Reader.changed:
                answers, reader.answers = reader.answers, []
            check(store, reader, answers, kinds)
        if number >= count and time.monotonic() - begun >= seconds:
            break
        switch(store, kinds, number)
        number += 1
    # Another command ends the free reads.
    for reader in readers:
        reader.send("held")
    for reader in readers:
        answers = reader.wait("the middle of a read", lambda answer: answer["event"] == "middle")
        check(store, reader, answers, kinds)
        reader.send("go")
        check(store, reader, reader.wait_idle(), kinds)


def switch(store, kinds, number):
    kind = KINDS[number % len(KINDS)]
    for place in store.datasets:
        if place == "tenant":
            kinds[store.newest(place)] = kind
    store.switch(kind)


def through(store, readers):
    """Readers that do not resolve the link must be found to mix, or the checks above prove nothing."""
    for reader in readers:
        reader.send("through")
    for reader in readers:
        reader.wait("the middle of a read", lambda answer: answer["event"] == "middle")
    store.switch("delivery")
    for reader in readers:
        reader.send("go")
    for reader in readers:
        mixed = [answer for answer in reader.wait_idle() if answer["event"] == "mixed"]
        for check_of in ("manifest: ", "rows: "):
            if not any(what.startswith(check_of) for answer in mixed for what in answer["what"]):
                fail(f"{reader.name}: a read through the link mixes two generations, and {check_of!r} did not notice it")


def main():
    command, directory = sys.argv[1:]
    seconds = float(os.environ.get("CPRFLOW_SWITCH_SECONDS") or 0)
    persons = int(os.environ.get("CPRFLOW_SWITCH_PERSONS") or 300)
    store = Store(command, directory, persons)
    readers = [Reader(engine, way, place, store.datasets[place]) for way, place in READERS for engine in ENGINES]
    try:
        for reader in readers:
            reader.wait_idle()
        kinds = {}
        held(store, readers, kinds, HELD)
        free(store, readers, kinds, FREE, seconds)
        report = {"switches": dict(store.switches), "readers": {}}
        for reader in readers:
            report["readers"][reader.name] = {
                "reads": reader.count("read"), "generations": len(reader.generations()), "removed": reader.count("failed"),
            }
            # A free reader has read each generation but those that were only read halfway.
            if len(reader.generations()) < FREE + 1 or reader.count("read") < HELD // 3 + FREE + 1:
                fail(f"{reader.name}: too few reads: {report}")
        through(store, [reader for reader in readers if reader.name.endswith("paths")])
        print(json.dumps(report))
    finally:
        for reader in readers:
            reader.process.stdin.close()
        for reader in readers:
            reader.process.wait()


if __name__ == "__main__":
    main()
