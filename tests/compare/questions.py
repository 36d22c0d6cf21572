"""The questions that every library answers: each is one point of a curve or one line of the table."""

import dataclasses
import pathlib

import files
import layout

NAMES = ("table", "bytes", "columns", "types", "non-ascii", "bad-lines", "batch", "tenants")

# The libraries, in the order of the table.
CPRFLOW = ("sandboxed", "native")
EVERYBODY = (*CPRFLOW, "arrow-csv", "polars", "duckdb", "pyarrow", "pandas")
# pandas reads only a part, so it is left out of the curves.
CURVES = EVERYBODY[:-1]


@dataclasses.dataclass(frozen=True)
class Question:
    """What to read: no tables means all, and no columns means all."""

    name: str
    point: str
    file: pathlib.Path
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    batch_rows: int = 0
    tenants: int = 0
    peers: tuple[str, ...] = CURVES

    @property
    def series(self):
        """What a slow library leaves: the larger extracts of a curve, but not the other line of the table."""
        return f"{self.name} {self.point}" if self.name == "table" else self.name

    def message(self):
        return {
            "file": str(self.file),
            "tables": list(self.tables),
            "columns": list(self.columns),
            "batch_rows": self.batch_rows,
            "tenants": self.tenants,
        }


def ask(name, program, directory, megabytes, sizes):
    """Yields the questions of one name, with an extract of that many megabytes (`bytes`: of these sizes)."""
    extract = files.base(program, directory, megabytes)
    match name:
        case "table":
            yield Question(name, "all tables", extract, peers=EVERYBODY)
            yield Question(name, "one table", extract, ("person",), peers=EVERYBODY)
        case "bytes":
            for size in sizes:
                yield Question("bytes, all tables", str(size), files.base(program, directory, size))
                yield Question("bytes, one table", str(size), files.base(program, directory, size), ("person",))
        case "columns":
            (table,) = layout.select(["address"], [])
            columns = [column.name for column in table.columns]
            for count in (1, 5, 12, len(columns)):
                yield Question(name, str(count), extract, ("address",), tuple(columns[:count]))
        case "types":
            tables = [table.name for table in layout.all_tables()]
            # From 001 on: the start record has one line.
            for count in (1, 5, 25, len(tables) - 1):
                yield Question(name, str(count), extract, tuple(tables[1 : count + 1]))
        case "non-ascii":
            for share in (0, 1, 20, 100):
                yield Question(name, str(share), files.non_ascii(extract, share), ("name",))
        case "bad-lines":
            for share in (0, 1, 50):
                yield Question(name, str(share), files.bad_lines(extract, share), ("person",))
        case "batch":
            for rows in (1024, 4096, 16384, 65536, 131072):
                yield Question(name, str(rows), extract, batch_rows=rows, peers=(*CPRFLOW, "arrow-csv"))
        case "tenants":
            # The other libraries know no policies.
            for tenants in (1, 5, 20):
                yield Question(name, str(tenants), extract, tenants=tenants, peers=("sandboxed",))
