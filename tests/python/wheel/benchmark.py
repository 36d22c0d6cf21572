"""Measures how much faster two columns and one per cent of the rows are than a whole table, through each surface.

Usage: benchmark.py [PERSONS]

Runs with the package installed. Prints the medians of five runs, in seconds, and their ratio. Nothing is asserted.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import cprflow
import cprflow.polars
import datafusion
import duckdb
import pandas
import polars
import pyarrow

RUNS = 5
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
        "iterator": lambda source: sum(len(batch) for batch in source),
        "pyarrow": pyarrow.table,
        "polars (eager)": polars.DataFrame,
        "pandas": pandas.DataFrame.from_arrow,
        "duckdb": sql,
        "datafusion": lambda source: datafusion.SessionContext().from_arrow(source, "source").to_arrow_table(),
    }
    for name, read in readers.items():
        yield name, lambda read=read: read(table), lambda read=read: read(little)
    lazy = cprflow.polars.scan(table)
    yield "polars (lazy)", lazy.collect, lambda: lazy.filter(predicate).select(COLUMNS).collect()


def median(work):
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    persons = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "extract"
        size = cprflow.generate(path, persons=persons).bytes
        extract = cprflow.open(path)
        births = pyarrow.table(extract.table("person").scan(columns=["birth_date"])).column(0).to_pylist()
        births = sorted(birth for birth in births if birth is not None)
        after = births[-len(births) // 100]
        print(f"{persons} persons, {size / 1e6:.0f} MB; {len(births) // 100} persons were born after {after}")
        print(f"{'surface':16} {'whole':>8} {'little':>8} {'ratio':>6}")
        predicate = polars.col("birth_date") > after
        for name, whole, little in surfaces(extract, f"birth_date > '{after}'", predicate):
            all_of_it, part = median(whole), median(little)
            print(f"{name:16} {all_of_it:8.3f} {part:8.3f} {all_of_it / part:6.1f}")


if __name__ == "__main__":
    main()
