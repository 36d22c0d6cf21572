//! Compares the views, run by DuckDB and Spark, with the current state computed by plain replacement.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use cprflow_connector::layout;
use cprflow_delivery::sql_views::{self, Dialect, PublishedDataset, ViewsOptions};
use cprflow_tests::Requirement;
use cprflow_tests::command::{TestDirectory, cprflow};
use cprflow_tests::dataset::{Dataset, Delivery, resolution, text};
use cprflow_tests::delivery_history::{many_nights, random_number_changes};
use cprflow_tests::extract;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::rows;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[test]
fn duckdb_views_show_the_current_state() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    // In these populations, each kind of record exists in the end.
    for seed in [1, 2, 7] {
        let place = TestDirectory::new();
        let mut dataset = Dataset::new(place.path(ODD_NAME));
        let late = many_nights(&mut dataset, seed);
        let duckdb = DuckDb::new(&python, &place);
        let created = duckdb.create(&sql("duckdb", dataset.root(), &[]));
        compare(&created, &dataset, "duckdb");
        assert!(
            created.plan().contains("Scanning Files: 17/44"),
            "the files of the other agreement are read:\n{}",
            created.plan()
        );
        // The same views show later deliveries without being created again.
        dataset.publish(&late);
        compare(&duckdb.look("after"), &dataset, "duckdb, later");
        let seen = DuckDb::new(&python, &TestDirectory::new())
            .create(&sql("duckdb", dataset.root(), &ONE_AGREEMENT))
            .tables();
        compare_one_agreement(&seen, &dataset, "duckdb");
    }
}

#[test]
fn spark_views_show_the_current_state() {
    let Some(python) = spark() else {
        return;
    };
    let place = TestDirectory::new();
    let mut dataset = Dataset::new(place.path(ODD_NAME));
    let late = many_nights(&mut dataset, 4);
    dataset.publish(&late);
    // Number changes of every kind are in the same dataset, because a Spark session starts slowly.
    random_number_changes(5).for_each(|delivery| dataset.publish(&delivery));
    let seen = run(
        &python,
        &place,
        "spark",
        &sql("spark", dataset.root(), &[]),
        &[],
    );
    compare(&seen, &dataset, "spark");
    let place = TestDirectory::new();
    let script = sql("spark", dataset.root(), &ONE_AGREEMENT);
    let seen = run(&python, &place, "spark", &script, &[]).tables();
    compare_one_agreement(&seen, &dataset, "spark");
}

#[test]
fn former_numbers_resolve_to_the_current_one() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let (mut circles, mut long_ways) = (0, 0);
    for seed in 0..12 {
        let place = TestDirectory::new();
        let dataset = publish(&place, random_number_changes(seed));
        let duckdb = DuckDb::new(&python, &place);
        let seen = duckdb.create(&sql("duckdb", dataset.root(), &[]));
        compare(&seen, &dataset, &format!("numbers of seed {seed}"));
        let current = dataset.current();
        for row in &current["pnr_resolution"] {
            match text(row, "current_pnr") {
                None => circles += 1,
                Some(valid) => {
                    let direct = current["person"].iter().any(|person| {
                        text(person, "pnr") == text(row, "pnr")
                            && text(person, "current_pnr") == Some(valid)
                    });
                    long_ways += usize::from(!direct);
                }
            }
        }
        // Each of the two records also counts alone.
        let without_former =
            random_number_changes(seed).map(|delivery| delivery.without_tables(&["former_pnr"]));
        let part = TestDirectory::new();
        let dataset = publish(&part, without_former);
        let seen = DuckDb::new(&python, &part).create(&sql("duckdb", dataset.root(), &[]));
        compare(&seen, &dataset, "numbers of 001 alone");

        let without_current = random_number_changes(seed)
            .map(|delivery| delivery.without_column("person", "current_pnr"));
        let part = TestDirectory::new();
        let dataset = publish(&part, without_current);
        let seen = DuckDb::new(&python, &part).create(&sql("duckdb", dataset.root(), &[]));
        let mut current = dataset.current();
        current.insert("person".to_owned(), Vec::new());
        let wanted = resolution(&current);
        assert!(!wanted.is_empty());
        assert_eq!(sorted(&seen.tables()["pnr_resolution"]), sorted(&wanted));
    }
    assert!(circles > 10 && long_ways > 50, "{circles}, {long_ways}");
}

#[test]
fn creates_only_the_requested_views() {
    let place = TestDirectory::new();
    let mut dataset = Dataset::new(place.path("dataset"));
    let extract = extract::small(20, 1);
    let delivery = Delivery::new("odense", "2026-11-24", 1, &extract);
    dataset.publish(&delivery.without_tables(&["church", "note"]));
    let views = |arguments: &[&str]| {
        let script = sql("duckdb", dataset.root(), arguments);
        let create = "CREATE OR REPLACE VIEW ";
        let names = script.lines().filter_map(|line| line.strip_prefix(create));
        names
            .map(|line| line.split('"').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        views(&["--table", "address"]),
        [
            "published_person",
            "published_address",
            "latest_by_agreement",
            "latest_delivery",
            "address"
        ]
    );
    assert_eq!(views(&["--table", "event"]), ["published_event", "event"]);
    assert_eq!(
        views(&["--table", "latest_delivery"]),
        ["published_person", "latest_by_agreement", "latest_delivery"]
    );
    assert_eq!(
        views(&["--table", "pnr_resolution"]),
        [
            "published_person",
            "published_former_pnr",
            "latest_by_agreement",
            "latest_delivery",
            "person",
            "former_pnr",
            "pnr_resolution"
        ]
    );
    // There are 45 of the 47 tables, each twice, and three more views.
    assert_eq!(views(&[]).len(), 45 * 2 + 3);
    assert!(!views(&[]).contains(&"church".to_owned()));
}

#[test]
fn reports_what_views_cannot_be_created() {
    let place = TestDirectory::new();
    let dataset = place.path("dataset");
    let views = |path: &str, more: &[&str]| {
        let ended = cprflow([&["views", "--dialect", "duckdb", path], more].concat());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stdout.is_empty());
        ended.stderr.replace(&place.root(), "PLACE")
    };
    insta::assert_snapshot!("views-error-no-dataset", views(&dataset, &[]));
    fs::create_dir_all(place.path("dataset/agreement=odense/.staging")).unwrap();
    insta::assert_snapshot!("views-error-no-delivery", views(&dataset, &[]));
    let extract = extract::small(5, 1);
    let delivery = Delivery::new("odense", "2026-11-24", 1, &extract);
    Dataset::new(&dataset).publish(&delivery.clone().without_tables(&["person", "note"]));
    insta::assert_snapshot!(
        "views-error-no-agreement",
        views(&dataset, &["--agreement", "ribe"])
    );
    insta::assert_snapshot!(
        "views-error-unknown-table",
        views(&dataset, &["--table", "persons"])
    );
    insta::assert_snapshot!(
        "views-error-no-table",
        views(&dataset, &["--table", "note"])
    );
    insta::assert_snapshot!("views-error-no-person", views(&dataset, &[]));
    let lake = place.path("status=prod");
    Dataset::new(&lake).publish(&delivery);
    insta::assert_snapshot!("views-error-key-in-path", views(&lake, &[]));
    // Views that do not need the missing table work.
    assert_eq!(
        sql("duckdb", Path::new(&dataset), &["--table", "event"])
            .matches("CREATE")
            .count(),
        2
    );
}

#[test]
fn prints_the_statements() {
    let catalog = rows::connector().catalog();
    let script = |dialect, published| {
        let mut options = ViewsOptions::new("/data/cpr", published);
        let tables = ["person", "address", "event", "pnr_resolution"];
        options.tables = Some(tables.map(str::to_owned).to_vec());
        sql_views::sql(dialect, catalog, &options).unwrap()
    };
    let everything = || PublishedDataset::everything(catalog);
    insta::assert_snapshot!("views-duckdb", script(Dialect::DuckDb, everything()));
    insta::assert_snapshot!("views-spark", script(Dialect::Spark, everything()));
    insta::assert_snapshot!("views-help", cprflow(["views", "--help"]).text());
    // If the files cannot be listed, all tables count as present.
    let ended = cprflow([
        "views",
        "--dialect",
        "spark",
        "s3a://bucket/cpr",
        "--table",
        "name",
    ]);
    assert!(
        ended
            .text()
            .contains("path 's3a://bucket/cpr/agreement=*/delivery=*/name.parquet'")
    );
}

/// A directory name with characters that have a meaning in SQL or glob patterns.
const ODD_NAME: &str = r#"it's [1] 100% {a,b} "q" *? -- x"#;

fn publish(place: &TestDirectory, deliveries: impl Iterator<Item = Delivery>) -> Dataset {
    let mut dataset = Dataset::new(place.path("dataset"));
    deliveries.for_each(|delivery| dataset.publish(&delivery));
    dataset
}

/// Returns the SQL that the command prints.
fn sql(dialect: &str, dataset: &Path, more: &[&str]) -> String {
    let dataset = dataset.to_str().unwrap();
    let ended = cprflow([&["views", "--dialect", dialect, dataset], more].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended.text().to_owned()
}

/// A DuckDB database.
struct DuckDb<'a> {
    python: &'a Path,
    place: &'a TestDirectory,
}

impl<'a> DuckDb<'a> {
    fn new(python: &'a Path, place: &'a TestDirectory) -> Self {
        Self { python, place }
    }

    fn create(&self, sql: &str) -> Seen {
        run(self.python, self.place, "duckdb", sql, &[&self.database()])
    }

    /// Queries the views that were created before.
    fn look(&self, name: &str) -> Seen {
        query(
            self.python,
            self.place,
            name,
            "duckdb",
            "-",
            &[&self.database()],
        )
    }

    fn database(&self) -> String {
        self.place.path("cpr.duckdb")
    }
}

/// The contents of views, one file each.
struct Seen(PathBuf);

impl Seen {
    fn tables(&self) -> Tables {
        let mut tables = Tables::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                let view = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let reader = File::open(&path).unwrap();
                let reader = ParquetRecordBatchReaderBuilder::try_new(reader).unwrap();
                let batches = reader.build().unwrap();
                let rows = batches.flat_map(|batch| rows::rows(&batch.unwrap()));
                tables.insert(view, rows.collect());
            }
        }
        tables
    }

    fn plan(&self) -> String {
        fs::read_to_string(self.0.join("plan.txt")).unwrap()
    }
}

fn run(python: &Path, place: &TestDirectory, engine: &str, sql: &str, more: &[&str]) -> Seen {
    let script = place.file("views.sql", sql.as_bytes());
    query(python, place, "seen", engine, &script, more)
}

fn query(
    python: &Path,
    place: &TestDirectory,
    name: &str,
    engine: &str,
    script: &str,
    more: &[&str],
) -> Seen {
    let seen = PathBuf::from(place.path(name));
    fs::create_dir_all(&seen).unwrap();
    let output = Command::new(python)
        .arg(cprflow_tests::root().join("tests/python/views.py"))
        .args([engine, script])
        .arg(&seen)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{engine}: {said}");
    Seen(seen)
}

/// Compares all rows and columns of every view with the current state.
fn compare(seen: &Seen, dataset: &Dataset, engine: &str) {
    let tables = seen.tables();
    let current = dataset.current();
    let (mut rows, mut irregular) = (0, 0);
    for (view, wanted) in &current {
        let seen = tables
            .get(view)
            .unwrap_or_else(|| panic!("{engine}: no view {view}"));
        assert!(
            sorted(seen) == sorted(wanted),
            "{engine}: {view}: {}",
            difference(seen, wanted)
        );
        rows += wanted.len();
        let is_map = |(_, value): &(String, Value)| matches!(value, Value::Map(_));
        irregular += wanted.iter().filter(|row| row.iter().any(is_map)).count();
    }
    assert!(rows > 100, "{engine}: {rows} rows are too few for a test");
    if dataset.root().ends_with(ODD_NAME) {
        assert_data_is_sufficient(dataset, &current);
        assert!(irregular > 0, "{engine}: no row has a map");
    }
    let in_order = |tables: &Tables| {
        let place = |row: &Row| {
            let line = row.iter().find(|(name, _)| name == "line").cloned();
            let [delivery, agreement] =
                ["delivery", "agreement"].map(|column| text(row, column).map(str::to_owned));
            (delivery, agreement, line)
        };
        tables["event"].iter().map(place).collect::<Vec<_>>()
    };
    let order = in_order(&tables);
    assert!(
        order.is_sorted() && order == in_order(&current),
        "{engine}: the order of events"
    );
    let published = dataset.published();
    let all = tables
        .iter()
        .filter_map(|(view, rows)| Some((view.strip_prefix("published_")?, rows)));
    for (table, rows) in all {
        assert!(
            sorted(rows) == sorted(&published[table]),
            "{engine}: published_{table}"
        );
    }
    let views = tables.keys().filter(|view| !view.starts_with("published_"));
    assert!(
        views.eq(current.keys()),
        "{engine}: there are more views than tables"
    );
}

/// Options for the agreement whose name looks like a number.
const ONE_AGREEMENT: [&str; 6] = ["--agreement", "851", "--table", "name", "--table", "event"];

fn compare_one_agreement(seen: &Tables, dataset: &Dataset, engine: &str) {
    let current = dataset.current_of(|agreement| agreement == "851");
    for view in ["name", "event", "latest_delivery"] {
        let own = &current[view];
        assert!(own.len() > 100 && sorted(own) != sorted(&dataset.current()[view]));
        let seen = &seen[view];
        assert!(
            sorted(seen) == sorted(own),
            "{engine}: {view} of one agreement: {}",
            difference(seen, own)
        );
    }
}

/// Asserts that the data would reveal a view with too many or too few rows.
fn assert_data_is_sufficient(dataset: &Dataset, current: &Tables) {
    let published = dataset.published();
    for (table, all) in &published {
        let record_type = layout::by_name(table).map_or("", |table| table.record_type);
        let holds = current[table].len();
        assert!(holds > 0, "{table}: there are no rows");
        if ("001".."099").contains(&record_type) {
            assert!(holds < all.len(), "{table}: nothing was ever replaced");
        } else {
            assert_eq!(holds, all.len(), "{table}");
        }
    }
    assert!(!current["pnr_resolution"].is_empty());
}

/// Sorts rows and their columns, because engines return both in any order.
fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row.sort();
    }
    rows.sort();
    rows
}

/// Describes the first rows that only one side has.
fn difference(seen: &[Row], wanted: &[Row]) -> String {
    let count = |rows: &[Row]| {
        let mut counts: BTreeMap<Row, usize> = BTreeMap::new();
        for row in sorted(rows) {
            *counts.entry(row).or_default() += 1;
        }
        counts
    };
    let (seen, wanted) = (count(seen), count(wanted));
    let only = |one: &BTreeMap<Row, usize>, other: &BTreeMap<Row, usize>| {
        let only = one
            .iter()
            .find(|(row, count)| other.get(*row) != Some(*count));
        only.map(|(row, count)| format!("{count} times {row:?}"))
    };
    format!(
        "seen {:?}, wanted {:?}",
        only(&seen, &wanted),
        only(&wanted, &seen)
    )
}

/// Returns a Python with Spark, if Java is present too.
fn spark() -> Option<PathBuf> {
    let python = cprflow_tests::python::python()?;
    let works = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    let has_spark =
        works(&python, &["-c", "import pyspark"]) && works(Path::new("java"), &["-version"]);
    cprflow_tests::require(
        Requirement::Spark,
        has_spark.then_some(python),
        "there is no Spark (pyspark of tests/python/requirements-spark.txt, and Java 17)",
    )
}
