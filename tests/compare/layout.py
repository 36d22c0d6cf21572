"""The layouts of the extract, from the facts in `tests/data`."""

import csv
import dataclasses
import pathlib

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"


@dataclasses.dataclass(frozen=True)
class Column:
    """A field of a record: `start` counts characters from 0."""

    name: str
    start: int
    length: int
    kind: str

    @property
    def end(self):
        return self.start + self.length


@dataclasses.dataclass(frozen=True)
class Table:
    """The records of one type: lines that start with `record_type`."""

    name: str
    record_type: str
    columns: tuple[Column, ...]


def all_tables():
    """Returns the table of every record type, ordered by type."""
    columns = {}
    for field in rows("fields.csv"):
        first, last = int(field["first_byte"]), int(field["last_byte"])
        column = Column(field["column"], first - 1, last - first + 1, field["value"])
        columns.setdefault(field["type"], []).append(column)
    types = rows("record_types.csv")
    return [Table(row["name"], row["type"], tuple(columns[row["type"]])) for row in types]


def select(tables, columns):
    """Returns the tables with these names (all if there are none), with these columns (all if there are none)."""
    selected = [table for table in all_tables() if not tables or table.name in tables]
    if not columns:
        return selected
    by_name = [{column.name: column for column in table.columns} for table in selected]
    return [
        dataclasses.replace(table, columns=tuple(known[name] for name in columns))
        for table, known in zip(selected, by_name)
    ]


def rows(file):
    with open(DATA / file, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
