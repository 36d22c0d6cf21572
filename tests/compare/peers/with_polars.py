"""Polars: each line is one string; they are divided by record type, then sliced and converted, all plans at once."""

import io
import pathlib

import polars as pl


def load(path, threads):
    return pathlib.Path(path).read_bytes()


def answer(source, tables, threads):
    # Polars reads UTF-8 only. The separator never occurs, so that a line is one field.
    lines = pl.read_csv(
        io.BytesIO(source.decode("latin-1").encode()),
        has_header=False,
        schema={"line": pl.String},
        separator="\x01",
        quote_char=None,
    )
    if len(tables) == 1:
        (table,) = tables
        parts = {table.record_type: lines.filter(pl.col("line").str.starts_with(table.record_type))}
    else:
        lines = lines.with_columns(type=pl.col("line").str.slice(0, 3))
        by_type = lines.partition_by("type", as_dict=True, include_key=False)
        parts = {record_type: part for (record_type,), part in by_type.items()}
    plans = [
        parts[table.record_type].lazy().select(value(column).alias(column.name) for column in table.columns)
        for table in tables
        if table.record_type in parts
    ]
    for frame in pl.collect_all(plans):
        yield frame.to_arrow(compat_level=pl.CompatLevel.newest())


def value(column):
    raw = pl.col("line").str.slice(column.start, column.length)
    match column.kind:
        case "date":
            return raw.str.to_date("%Y-%m-%d", strict=False)
        case "date8":
            return raw.str.to_date("%Y%m%d", strict=False)
        case "timestamp":
            return raw.str.to_datetime("%Y%m%d%H%M", time_unit="us", strict=False)
        case "flag":
            return raw == "*"
        case "count":
            return raw.cast(pl.Int64, strict=False)
        case "pnr":
            text = raw.str.strip_chars_end(" ")
            return pl.when((text != "") & (text != "0000000000")).then(text)
        case _:
            text = raw.str.strip_chars_end(" ")
            return pl.when(text != "").then(text)
