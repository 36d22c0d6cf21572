#!/usr/bin/env python3
"""Compares the speed of this commit with that of an earlier one, on one core.

Both are built in worktrees with the same program, `rounds.rs`, and answer the same questions about the same extract in
turn. Prints medians and their ratios. Exits with code 1 if the results differ.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WORK = ROOT / "target/compare-commits"
QUESTIONS = {
    "all tables, sandboxed": "sandboxed *",
    "all tables, native": "native *",
    "one table, sandboxed": "sandboxed person",
    "one table, native": "native person",
}


def main():
    options = arguments()
    if not options.extract.is_file():
        sys.exit(f"{options.extract} is no file: make one with `cprflow generate`")
    programs = [built(commit) for commit in (options.commit, "HEAD")]
    size = options.extract.stat().st_size / 1e6
    pin = ["taskset", "--cpu-list", str(options.cpu)]
    running = [
        subprocess.Popen([*pin, program, options.extract], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for program in programs
    ]
    differ = []
    print(f"{size:.0f} MB, core {options.cpu}, medians of {options.rounds} rounds in turn")
    print(f"{'question':24} {'before':>12} {'now':>12} {'ratio':>6}")
    for name, question in QUESTIONS.items():
        times, results = ([], []), [None, None]
        # The first round warms up.
        for round in range(options.rounds + 1):
            for place, process in enumerate(running):
                seconds, *results[place] = ask(process, question)
                if round > 0:
                    times[place].append(float(seconds))
        before, now = map(statistics.median, times)
        print(f"{name:24} {size / before:7.0f} MB/s {size / now:7.0f} MB/s {before / now:6.2f}")
        if results[0] != results[1]:
            differ.append(name)
    if differ:
        sys.exit(f"the rows or the sums of the buffers differ: {'; '.join(differ)}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the earlier commit, for example 6aafeb2")
    parser.add_argument("extract", type=Path, help="an extract, for example of `cprflow generate --persons 117000 --busy`")
    parser.add_argument("--rounds", type=int, default=7, help="the number of rounds, after one to warm up (default: 7)")
    parser.add_argument("--cpu", type=int, default=0, help="the core that both programs are pinned to (default: 0)")
    return parser.parse_args()


def built(commit):
    """Builds the program with a commit and returns its path."""
    name = subprocess.run(
        ["git", "rev-parse", "--short", f"{commit}^{{commit}}"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    program = WORK / f"rounds-{name}"
    if program.exists():
        return program
    tree = WORK / name
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--detach", tree, name], cwd=ROOT, check=True)
    try:
        # The crate has moved.
        crate = next(tree / place for place in ("host/core", "host") if (tree / place / "Cargo.toml").exists())
        (crate / "examples").mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("rounds.rs"), crate / "examples/rounds.rs")
        target = ROOT / "target"
        subprocess.run(
            ["cargo", "build", "--release", "--locked", "--package", "cprflow", "--example", "rounds"],
            cwd=tree,
            env={**os.environ, "CARGO_TARGET_DIR": str(target)},
            check=True,
        )
        shutil.copy(target / "release/examples/rounds", program)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
    return program


def ask(process, question):
    print(question, file=process.stdin, flush=True)
    answer = process.stdout.readline().split()
    if len(answer) != 3:
        sys.exit("a program has ended: its error is above")
    return answer


if __name__ == "__main__":
    main()
