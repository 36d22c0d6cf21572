"""DuckDB: one query if one table is wanted; otherwise the lines are read once, and each record type has a query."""

import duckdb


def load(path, threads):
    connection = duckdb.connect(config={"threads": threads})
    # Without it, result sets keep the order of the file at the cost of parallel work.
    connection.execute("SET preserve_insertion_order = false")
    # DuckDB reads files only. This one is in the page cache.
    return connection, path


def answer(source, tables, threads):
    connection, path = source
    # The delimiter never occurs, so that a line is one field.
    lines = f"""read_csv('{path}', columns = {{'line': 'VARCHAR'}}, header = false, auto_detect = false,
        delim = '\x01', quote = '', escape = '', encoding = 'latin-1')"""
    if len(tables) > 1:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT line FROM {lines}")
        lines = "lines"
    for table in tables:
        columns = ", ".join(f'{value(column)} AS "{column.name}"' for column in table.columns)
        query = f"SELECT {columns} FROM {lines} WHERE starts_with(line, '{table.record_type}')"
        # Faster than `to_arrow_table`, which copies the rows.
        yield connection.sql(query).to_arrow_reader(100_000).read_all()


def value(column):
    raw = f"substring(line, {column.start + 1}, {column.length})"
    match column.kind:
        case "date":
            return f"try_cast({raw} AS DATE)"
        case "date8":
            return f"CAST(try_strptime({raw}, '%Y%m%d') AS DATE)"
        case "timestamp":
            return f"try_strptime({raw}, '%Y%m%d%H%M')"
        case "flag":
            return f"{raw} = '*'"
        case "count":
            return f"try_cast({raw} AS BIGINT)"
        case "pnr":
            return f"nullif(nullif(rtrim({raw}), ''), '0000000000')"
        case _:
            return f"nullif(rtrim({raw}), '')"
