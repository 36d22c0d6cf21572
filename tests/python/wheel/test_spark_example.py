"""Spark runs the example of docs/use-from.md without a change. Its rows are those of `cprflow scan`."""

from conftest import need_spark

need_spark()

from use_from import children, place, run  # noqa: E402, F401 (fixtures)


def test_the_example_answers_like_scan(place, children):  # noqa: F811
    rows = run(place, "Spark, Databricks, Fabric", "rows = [list(row) for row in children.collect()]")
    assert sorted(rows, key=str) == children
