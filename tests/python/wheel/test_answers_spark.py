"""The ready answers in Spark SQL: every row and column is that of DuckDB."""

import pytest

from conftest import need_spark

need_spark()

import ready_answers  # noqa: E402

# What new_since reads.
NEW_SINCE = {
    "person_now": "SELECT pnr, status, as_of, agreement FROM person_now",
    "name_now": "SELECT pnr, full_name FROM name_now",
}


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    # Characters with a meaning in SQL, in patterns of paths and in partitioned tables.
    datasets = ready_answers.busy(tmp_path_factory.mktemp("spark-answers") / "it's [1] {a,b} status=prod")
    for dataset in datasets:
        ready_answers.judge_on_the_day_of_the_last_delivery(dataset)
    return datasets


def create(spark, sql):
    """Runs the statements as the help says."""
    for statement in sql.rstrip().removesuffix(";").split(";\n"):
        spark.sql(statement)


def test_every_answer_is_that_of_duckdb(spark, run, busy, capsys):
    dataset = busy[0]
    create(spark, ready_answers.statements(run, "spark", dataset))

    def ask(query):
        return [tuple(row) for row in spark.sql(query).collect()]

    since = "SELECT * FROM new_since((SELECT day - 3 FROM today))"
    delivered = ask(since)
    assert delivered
    # Spark plans all views below a view for each query, which takes long. So each view is read once, and the many queries
    # of the comparison read these rows.
    views = {view: f"SELECT * FROM {view}" for view in (*ready_answers.answers.VIEWS, "today")}
    for view, rows in [(view, spark.sql(query).toArrow()) for view, query in (views | NEW_SINCE).items()]:
        spark.createDataFrame(rows).createOrReplaceTempView(view)
    assert sorted(ask(since)) == sorted(delivered)
    counts = ready_answers.compare(ask, run, dataset, capsys)
    empty = {name for name, rows in counts.items() if rows == 0 and not name.startswith("columns of ")}
    # No person was delivered after today.
    assert empty == {"new_since 0"}, counts


def test_without_marks_no_person_is_known_to_be_unprotected(spark, run, busy):
    create(spark, ready_answers.statements(run, "spark", busy[2]))
    [(residents, unprotected)] = spark.sql("SELECT count(*), count_if(NOT protected) FROM resident").collect()
    assert residents > 0 and unprotected == 0
