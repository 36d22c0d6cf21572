"""Columns of exported tables: names, types and comments. A column is nullable in every target."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pyarrow

import cprflow

_TYPES = {
    "utf8": "text",
    "date32": "date",
    "timestamp[us]": "timestamp",
    "timestamp[us, UTC]": "timestamptz",
    "boolean": "boolean",
    "int64": "bigint",
}

_ARROW = {
    "text": pyarrow.string(),
    "json": pyarrow.string(),
    "date": pyarrow.date32(),
    "timestamp": pyarrow.timestamp("us"),
    "timestamptz": pyarrow.timestamp("us", tz="UTC"),
    "boolean": pyarrow.bool_(),
    "bigint": pyarrow.int64(),
}

# Columns that do not come from a field of CPR's records.
_COMMENTS = {
    "irregular": "Values that do not fit their type: a JSON object of column names and texts",
    "line": "Number of the record in the extract",
    "as_of": "Production date of the extract that the row comes from",
    "agreement": "Name of the agreement (serviceaftale)",
    "delivery": "Name of the delivery (leverance). The names of an agreement sort in the order in which they apply",
    "sequence": "Number of the delivery's newest entry in the change feed",
    "protected": "Whether the person has name and address protection (navne- og adressebeskyttelse)",
    "reason": "Why the person left the scope",
    "date": "Day on which the person entered or left the scope",
}

_TABLES = {
    "into_scope": "Persons in scope who were not in scope at the end of the day before",
    "out_of_scope": "Persons who were in scope and no longer are",
}


@dataclass(frozen=True)
class Column:
    """A column. ``type`` is text, json, date, timestamp, timestamptz, boolean or bigint."""

    name: str
    type: str
    comment: str


def arrow(columns: list[Column]) -> pyarrow.Schema:
    """Return columns as a schema of Arrow, with their comments in the metadata."""
    return pyarrow.schema(
        [pyarrow.field(one.name, _ARROW[one.type], metadata={"comment": one.comment}) for one in columns]
    )


def columns(table: str, schema: cprflow.Schema) -> list[Column]:
    """Return the columns of a table that is read with ``irregular="json"``."""
    return [
        Column(one.name, "json" if one.name == "irregular" else _TYPES[one.type], _comment(table, one))
        for one in schema
    ]


def table_comment(table: str) -> str:
    """Return what a table has, with CPR's name of the record."""
    known = _catalog().get(table)
    if known is None:
        return _TABLES.get(table, "A table of cprflow")
    return f"{known.description}. CPR: {known.cpr_title}" + (f", record {known.record_type}" if known.record_type else "")


def _comment(table: str, column: cprflow.Column) -> str:
    if column.cpr_name is None:
        return _COMMENTS.get(column.name, "A column of cprflow")
    known = _catalog().get(table)
    record = f", record {known.record_type}" if known is not None and known.record_type else ""
    place = f", position {column.position}, length {column.length}" if column.position else ""
    sensitivity = f". Class of personal data: {column.sensitivity}" if column.sensitivity else ""
    return f"CPR: {column.cpr_name}{record}{place}{sensitivity}"


@functools.cache
def _catalog() -> dict[str, cprflow.CatalogTable]:
    return {table.name: table for table in cprflow.catalog()}


def missing(table: str, existing: dict[str, str], wanted: list[Column]) -> list[Column]:
    """Return the columns that the target lacks.

    ``existing`` maps the columns of the target to their types. Raises RequestError if a type differs.
    """
    for column in wanted:
        found = existing.get(column.name, column.type)
        if found != column.type:
            times = {found, column.type} == {"timestamp", "timestamptz"}
            advice = "Use the same --timestamps as before" if times else "Export to another target"
            raise cprflow.RequestError(
                f"the column {column.name} of the exported table {table} has the type {found}, and the dataset has "
                f"{column.type}. {advice}, or remove the table from the target."
            )
    return [column for column in wanted if column.name not in existing]
