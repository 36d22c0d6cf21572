"""Measures how much faster two columns and one per cent of the rows are than a whole table, through each surface.

What comes back as Arrow is summed, buffer by buffer, because its values may not have been looked at yet. Polars and pandas
have made their own columns of it.

Runs with the package installed. Prints the medians of nine runs in turn, in seconds, and their ratio, and the megabytes
that leave the sandbox in one run and their ratio.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile
import time

import cprflow
import cprflow.polars
import datafusion
import duckdb
import numpy
import pandas
import polars
import pyarrow

RUNS = 9
# The smallest ratios of `--check`.
TIME_RATIO, BYTES_RATIO = 3, 20
COLUMNS = ["pnr", "birth_date"]


def surfaces(extract, filter, predicate):
    """Returns for each surface a function that reads the whole table, and one that reads little of it."""
    table = extract.table("person")
    little = table.scan(columns=COLUMNS, filter=filter)

    def sql(source):
        connection = duckdb.connect()
        connection.register("source", source)
        return connection.sql("SELECT * FROM source").to_arrow_table()

    readers = {
        "iterator": lambda source: sum(summed(pyarrow.record_batch(batch)) for batch in source),
        "pyarrow": lambda source: summed(pyarrow.table(source)),
        "polars (eager)": polars.DataFrame,
        "pandas": pandas.DataFrame.from_arrow,
        "duckdb": lambda source: summed(sql(source)),
        "datafusion": lambda source: summed(
            datafusion.SessionContext().from_arrow(source, "source").to_arrow_table()
        ),
    }
    for name, read in readers.items():
        yield name, lambda read=read: read(table), lambda read=read: read(little)
    lazy = cprflow.polars.scan(table)
    yield "polars (lazy)", lazy.collect, lambda: lazy.filter(predicate).select(COLUMNS).collect()


def summed(found):
    """Returns the sum of all buffers of a table or batch, in words of eight bytes."""
    total = 0
    for column in found.columns:
        for array in getattr(column, "chunks", [column]):
            for buffer in array.buffers():
                if buffer is not None:
                    total += int(numpy.frombuffer(buffer, numpy.uint64, buffer.size // 8).sum(dtype=numpy.uint64))
    return total % 2**64


def medians(extract, *works):
    """Returns for each work the median of its times, and the bytes that leave the sandbox in one run. They take turns."""
    times = [[] for _ in works]
    returned = [0] * len(works)
    for _ in range(RUNS):
        for place, work in enumerate(works):
            before, start = extract.stats().bytes_returned, time.perf_counter()
            work()
            times[place].append(time.perf_counter() - start)
            returned[place] += extract.stats().bytes_returned - before
    return [(statistics.median(one), count / RUNS) for one, count in zip(times, returned)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "persons", metavar="PERSONS", type=int, nargs="?", default=300_000,
        help="the number of persons in the extract (default: 300000)",
    )
    parser.add_argument(
        "--check", action="store_true",
        help=f"exit with code 1 if a surface is less than {TIME_RATIO} times as fast, or receives more than one part in "
        f"{BYTES_RATIO} of the bytes",
    )
    return parser.parse_args()


def main():
    options = arguments()
    persons, failed = options.persons, []
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "extract"
        cprflow.generate(path, persons=persons, busy=True)
        # The persons' own records only, so that other records do not hide the difference.
        records = [line for line in path.read_bytes().splitlines(True) if line[:3] in (b"000", b"001", b"999")]
        size = path.write_bytes(b"".join(records))
        del records
        # The end record counts the other records too.
        extract = cprflow.open(path, accept=["count-mismatch"])
        births = pyarrow.table(extract.table("person").scan(columns=["birth_date"])).column(0).to_pylist()
        births = sorted(birth for birth in births if birth is not None)
        after = births[-len(births) // 100]
        print(f"{persons} persons, {size / 1e6:.0f} MB; {len(births) // 100} persons were born after {after}")
        print(f"{'surface':16} {'whole':>8} {'little':>8} {'ratio':>6} {'MB':>8} {'MB':>8} {'ratio':>6}")
        predicate = polars.col("birth_date") > after
        for name, whole, little in surfaces(extract, f"birth_date > '{after}'", predicate):
            (all_of_it, all_bytes), (part, part_bytes) = medians(extract, whole, little)
            ratio, bytes_ratio = all_of_it / part, all_bytes / part_bytes
            print(
                f"{name:16} {all_of_it:8.3f} {part:8.3f} {ratio:6.1f} "
                f"{all_bytes / 1e6:8.2f} {part_bytes / 1e6:8.2f} {bytes_ratio:6.1f}"
            )
            if ratio < TIME_RATIO or bytes_ratio < BYTES_RATIO:
                failed.append(name)
    if options.check and failed:
        sys.exit(f"the ratio is too small: {', '.join(failed)}")


if __name__ == "__main__":
    main()
