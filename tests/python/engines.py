"""Reads tables written by cprflow with DuckDB, polars, pandas and pyarrow, and prints the result of each engine.

Usage: engines.py DIRECTORY STREAM

DIRECTORY contains one Parquet file per table. STREAM is an Arrow IPC stream of one table. The output is one JSON
object: engine -> table -> {"rows", "types", "values"}. The type names are the same for all engines. The values are
those of the first 50 rows, so that the test can compare them with a scan.
"""

import datetime
import json
import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

# Number of rows per table whose values are printed.
ROWS = 50


def plain(value):
    """Converts a value to JSON: dates and times in ISO format, a map as a list of pairs."""
    if value is None or value is pandas.NaT or value is pandas.NA:
        return None
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, dict):
        return [[key, text] for key, text in value.items()]
    if isinstance(value, (list, tuple)) or type(value).__name__ in ("ndarray", "Series"):
        pairs = [tuple(entry.values()) if isinstance(entry, dict) else tuple(entry) for entry in value]
        return [list(pair) for pair in pairs]
    if hasattr(value, "item"):
        return value.item()
    return value


def arrow_type(kind):
    names = {
        pyarrow.string(): "text",
        pyarrow.large_string(): "text",
        pyarrow.date32(): "date",
        pyarrow.timestamp("us"): "timestamp",
        pyarrow.int64(): "int64",
        pyarrow.bool_(): "boolean",
    }
    if pyarrow.types.is_map(kind):
        return "map"
    return names.get(kind, str(kind))


def by_pyarrow(path):
    table = pyarrow.parquet.read_table(path)
    types = {field.name: arrow_type(field.type) for field in table.schema}
    rows = [[plain(value) for value in row.values()] for row in table.slice(0, ROWS).to_pylist()]
    return {"rows": table.num_rows, "types": types, "values": rows}


def by_duckdb(path):
    names = {"VARCHAR": "text", "DATE": "date", "TIMESTAMP": "timestamp", "BIGINT": "int64", "BOOLEAN": "boolean",
             "MAP(VARCHAR, VARCHAR)": "map"}
    connection = duckdb.connect()
    described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    types = {row[0]: names.get(row[1], row[1]) for row in described}
    count = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()[0]
    rows = connection.execute(f"SELECT * FROM read_parquet(?) ORDER BY line LIMIT {ROWS}", [str(path)]).fetchall()
    return {"rows": count, "types": types, "values": [[plain(value) for value in row] for row in rows]}


def by_polars(path):
    names = {polars.String: "text", polars.Date: "date", polars.Int64: "int64", polars.Boolean: "boolean"}

    def name(kind):
        if kind == polars.Datetime("us", None):
            return "timestamp"
        # polars 2 has a map type; older versions read a map as a list of structs.
        if str(kind) == "Map(String, String)":
            return "map"
        if isinstance(kind, polars.List) and isinstance(kind.inner, polars.Struct):
            return "map"
        return names.get(kind, str(kind)) if not isinstance(kind, polars.Datetime) else str(kind)

    frame = polars.read_parquet(path)
    types = {column: name(kind) for column, kind in frame.schema.items()}
    rows = [[plain(value) for value in row] for row in frame.head(ROWS).rows()]
    return {"rows": frame.height, "types": types, "values": rows}


def by_pandas(path):
    frame = pandas.read_parquet(path, dtype_backend="pyarrow")
    types = {column: arrow_type(kind.pyarrow_dtype) for column, kind in frame.dtypes.items()}
    rows = [[plain(value) for value in row] for row in frame.head(ROWS).itertuples(index=False, name=None)]
    return {"rows": len(frame), "types": types, "values": rows}


def main():
    directory, stream = (pathlib.Path(argument) for argument in sys.argv[1:])
    engines = {"pyarrow": by_pyarrow, "duckdb": by_duckdb, "polars": by_polars, "pandas": by_pandas}
    seen = {
        engine: {path.stem: read(path) for path in sorted(directory.glob("*.parquet"))}
        for engine, read in engines.items()
    }
    stream_table = pyarrow.ipc.open_stream(stream.open("rb")).read_all()
    frame = polars.read_ipc_stream(stream)
    connection = duckdb.connect()
    connection.register("stream_table", stream_table)
    by_sql = connection.execute("SELECT count(*), min(line), max(line) FROM stream_table").fetchone()
    seen["stream"] = {
        "types": {field.name: arrow_type(field.type) for field in stream_table.schema},
        "pyarrow": stream_table.num_rows,
        "polars": frame.height,
        "duckdb": by_sql[0],
        "pandas": len(stream_table.to_pandas()),
        "lines": list(by_sql[1:]),
    }
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
