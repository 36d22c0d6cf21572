"""Compares cprflow with polars, DuckDB, PyArrow, pandas and arrow-csv on the same questions.

The libraries answer in processes that stay warm and are pinned to one core, then to two. The rounds are
interleaved: each library answers once per round, one at a time, and the first round is not counted. The row counts must
agree. Results: results.json, table.md, and a curve per question as PNG and SVG.

Install requirements.txt first. The Rust side is built with cargo if --program is not given.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import questions
import report

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

# The engines of the Rust program; they share one process and one copy of the file.
RUST = ("sandboxed", "native", "arrow-csv")


class Failure(Exception):
    """A process ended before it answered."""


class Process:
    """A warm process, pinned to some processors."""

    def __init__(self, command, cores):
        def pin():
            os.sched_setaffinity(0, cores)

        self.command = command
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin
        )

    def ask(self, message):
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            raise Failure(f"{' '.join(self.command)} ended with status {self.process.returncode}")
        return json.loads(answer)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Peers:
    """The processes for one number of cores; each starts with its first question."""

    def __init__(self, program, cores):
        self.program = program
        self.cores = cores
        self.processes = {}

    def ask(self, peer, question):
        message = question.message()
        if peer in RUST:
            command = [str(self.program), "serve"]
            message["engine"] = peer
        else:
            command = [sys.executable, str(HERE / "worker.py"), peer, str(len(self.cores))]
        key = tuple(command)
        if key not in self.processes:
            self.processes[key] = Process(command, self.cores)
        try:
            return self.processes[key].ask(message)
        except Failure:
            # The next question starts another.
            del self.processes[key]
            raise

    def stop(self):
        for process in self.processes.values():
            process.stop()


def run(question, peers, cores, rounds, limit, slow):
    """Returns one result per library. One that fails or needs longer than the limit is not asked again: see `slow`."""
    asked = [peer for peer in question.peers if (peer, question.series) not in slow]
    answers = {peer: [] for peer in asked}
    for number in range(rounds + 1):
        for peer in list(answers):
            progress(f"{question.name} {question.point}, cores: {cores}, round {number} of {rounds}: {peer}")
            try:
                answers[peer].append(peers.ask(peer, question))
                seconds = answers[peer][-1]["seconds"]
                why = f"it needs {seconds:.1f} s, more than --limit" if seconds > limit else None
            except Failure as failure:
                why = f"{failure}: see its message above, or it ran out of memory"
            if why:
                progress(f"{peer} leaves the question {question.name}: {why}\n")
                slow.add((peer, question.series))
                del answers[peer]
    size = question.file.stat().st_size
    results = []
    for peer, (warm_up, *counted) in answers.items():
        seconds = [answer["seconds"] for answer in counted]
        part = warm_up.get("part", 1)
        results.append({
            "question": question.name, "point": question.point, "peer": peer, "cores": cores, "bytes": size,
            "rows": warm_up["rows"], "part": part, "seconds": seconds, "warm_up": warm_up["seconds"],
            # A library that reads every n-th line would need n times as long for the whole file.
            "median": statistics.median(seconds) * part, "best": min(seconds) * part,
        })
        if any(answer["rows"] != warm_up["rows"] for answer in counted):
            raise SystemExit(f"{peer} returns another number of rows in each round ({question.name} {question.point})")
    check_rows(question, results)
    return results


def check_rows(question, results):
    """Stops if the libraries return different numbers of rows. One that reads a part may miss rare records."""
    rows = {result["peer"]: result["rows"] for result in results if result["part"] == 1}
    if len(set(rows.values())) > 1:
        raise SystemExit(f"the libraries disagree on the rows of {question.name} {question.point}: {rows}")


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text.rstrip(), file=sys.stderr, flush=True)


def build():
    """Builds the Rust side and returns its path."""
    command = ["cargo", "build", "--release", "--locked", "-p", "cprflow", "--bench", "compare"]
    progress(f"building: {' '.join(command)}\n")
    built = subprocess.run(
        [*command, "--message-format", "json-render-diagnostics"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    if built.returncode:
        raise SystemExit(built.returncode)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable"))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--quick", action="store_true", help="small extracts, for a first look")
    add("--rounds", type=int, help="counted rounds of each question, at least 6 (default: 9; quick: 6)")
    add("--questions", default=",".join(questions.NAMES), help="questions to ask (default: %(default)s)")
    add("--sizes", help="megabytes of the curve over bytes (default: 10,100,1000,4000; quick: 10,20,40)")
    add("--megabytes", type=int, help="size of the extract of the other questions (default: 200; quick: 40)")
    add("--limit", type=float, default=120, help="seconds after which a library leaves a question (default: 120)")
    add("--cpus", help="two processors to pin to, such as 0,1 (default: the first two that are allowed)")
    add("--program", type=pathlib.Path, help="the built benchmark `compare` of the crate cprflow")
    output = REPOSITORY / "target" / "compare"
    add("--output", type=pathlib.Path, default=output, help="directory of the results (default: target/compare)")
    options = parser.parse_args()
    small, large = (6, "10,20,40", 40), (9, "10,100,1000,4000", 200)
    rounds, sizes, megabytes = small if options.quick else large
    options.rounds = rounds if options.rounds is None else options.rounds
    options.megabytes = options.megabytes or megabytes
    options.questions = options.questions.split(",")
    unknown = sorted(set(options.questions) - set(questions.NAMES))
    if unknown:
        parser.error(f"unknown question {unknown[0]!r}; known: {', '.join(questions.NAMES)}")
    try:
        options.sizes = [int(size) for size in (options.sizes or sizes).split(",")]
        allowed = sorted(os.sched_getaffinity(0))
        options.cpus = [int(cpu) for cpu in options.cpus.split(",")] if options.cpus else allowed[:2]
    except ValueError:
        parser.error("--sizes and --cpus are lists of whole numbers, such as 10,100")
    if min([*options.sizes, options.megabytes]) < 1:
        parser.error("the size of an extract is at least 1 megabyte")
    if options.rounds < 6:
        parser.error("--rounds is at least 6: fewer rounds say little")
    return options


def main():
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    program = options.program or build()
    results, slow = [], set()
    # The table is measured on one core and on two, the curves on one.
    for cores in (1, 2)[: len(options.cpus)]:
        peers = Peers(program, options.cpus[:cores])
        for name in options.questions:
            if cores > 1 and name != "table":
                continue
            for question in questions.ask(name, program, options.output, options.megabytes, options.sizes):
                results += run(question, peers, cores, options.rounds, options.limit, slow)
                # After each question, so that an interrupted run leaves its results.
                write(results, options.output)
        peers.stop()
    report.curves(results, options.output)
    progress(f"results: {options.output}\n")
    print(report.table(results), end="")


def write(results, directory):
    machine = {"processor": processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0], "versions": versions()}
    (directory / "results.json").write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    (directory / "table.md").write_text(report.table(results))


def processor():
    """Returns the name of the processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def versions():
    """Returns the versions of the Python libraries."""
    from importlib.metadata import version

    return {name: version(name) for name in ("polars", "duckdb", "pyarrow", "pandas")}


if __name__ == "__main__":
    main()
