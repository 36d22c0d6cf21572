"""Schemas of Spark, and rows in the types that Spark expects."""

import pyarrow
from pyspark.sql.types import (
    BooleanType,
    DateType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from cprflow import RequestError

_TYPES = {
    "utf8": StringType(),
    "int64": LongType(),
    "boolean": BooleanType(),
    "date32": DateType(),
    "timestamp[us]": TimestampNTZType(),
    "timestamp[us, UTC]": TimestampType(),
    "map<utf8, utf8>": MapType(StringType(), StringType()),
}


def of_table(table, columns=None):
    """Return the schema of some columns of a table for Spark; of all without ``columns``.

    CPR's names are comments, and the classes of personal data are metadata.
    """
    fields = {column.name: _field(column) for column in table.schema}
    for name in columns or ():
        if name not in fields:
            raise RequestError(_no_column("the option 'columns'", name, table, fields))
    return StructType(list(fields.values()) if columns is None else [fields[name] for name in columns])


def _field(column):
    metadata = {}
    if column.cpr_name:
        metadata["comment"] = column.cpr_name
    if column.sensitivity:
        metadata["cpr.sensitivity"] = column.sensitivity
    return StructField(column.name, _TYPES[column.type], column.nullable, metadata)


def check(requested, table, columns=None):
    """Check a schema that was asked for: some columns of a table, in their own types."""
    own = {field.name: field for field in of_table(table, columns)}
    for field in requested:
        if field.name not in own:
            raise RequestError(_no_column("the schema", field.name, table, own))
        expected = own[field.name].dataType
        if field.dataType != expected:
            raise RequestError(
                f"the schema has the type {field.dataType.simpleString()} for the column {field.name!r}, which has the "
                f"type {expected.simpleString()}. Ask for that type, and convert the column in the query"
            )
        if own[field.name].nullable and not field.nullable:
            raise RequestError(
                f"the schema says that the column {field.name!r} is never null, and it can be null. Leave out NOT NULL"
            )


def _no_column(where, name, table, known):
    return f"{where} has the column {name!r}, which the table {table.name!r} has not; its columns are {', '.join(known)}"


def arrow(requested, table):
    """Return the Arrow schema of the rows that Spark expects."""
    own = pyarrow.schema(table.schema)
    return pyarrow.schema([own.field(field.name).with_nullable(field.nullable).remove_metadata() for field in requested])


def rows(batch, expected):
    """Return a batch in the schema that Spark expects. Columns that a delivery lacks are null."""
    found = pyarrow.record_batch(batch)
    names = set(found.schema.names)
    columns = [
        found.column(field.name) if field.name in names else pyarrow.nulls(len(batch), field.type) for field in expected
    ]
    return pyarrow.record_batch(columns, schema=expected)
