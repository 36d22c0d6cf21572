"""Creates the views of `cprflow views` in an engine, and writes the rows of each view to a Parquet file.

Usage: views.py duckdb SQL DIRECTORY DATABASE
       views.py spark SQL DIRECTORY

SQL is a file of statements, or `-` to use the views that exist in the database. DIRECTORY receives one file per view.
DuckDB also writes plan.txt, the plan of a query that filters by agreement.
"""

import pathlib
import sys


def by_duckdb(sql, directory, database):
    import duckdb

    connection = duckdb.connect(database)
    if sql is not None:
        connection.execute(sql)
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    for (view,) in views:
        connection.execute(f"COPY (SELECT * FROM \"{view}\") TO '{directory / view}.parquet' (FORMAT parquet, COMPRESSION zstd)")
    if ("address",) in views:
        query = "EXPLAIN ANALYZE SELECT street_code FROM address WHERE agreement = 'odense'"
        (directory / "plan.txt").write_text(connection.execute(query).fetchall()[0][1])


def by_spark(sql, directory):
    import pyarrow.parquet
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.ui.enabled", "false")
        # Keeps Spark's working files in the directory of the test.
        .config("spark.local.dir", str(directory))
        .config("spark.sql.warehouse.dir", str(directory / "warehouse"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    for statement in sql.rstrip().removesuffix(";").split(";\n"):
        session.sql(statement)
    for table in session.catalog.listTables():
        if not table.name.startswith("published_"):
            rows = session.table(table.name).toArrow()
            pyarrow.parquet.write_table(rows, directory / f"{table.name}.parquet", compression="zstd")
    session.stop()


def main():
    engine, sql, directory, *database = sys.argv[1:]
    sql = None if sql == "-" else pathlib.Path(sql).read_text()
    {"duckdb": by_duckdb, "spark": by_spark}[engine](sql, pathlib.Path(directory), *database)


if __name__ == "__main__":
    main()
