//! The views say what is true after the deliveries: held against plain replacement, in engines that run them.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use cprflow::views::{self, Dialect, Published, ViewsOptions};
use cprflow_connector::layout;
use cprflow_tests::command::{Place, cprflow};
use cprflow_tests::cut::{Row, Tables, Value};
use cprflow_tests::dataset::{Dataset, Delivery, resolution, text};
use cprflow_tests::extract;
use cprflow_tests::nights::{many_nights, tangled};
use cprflow_tests::rows;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[test]
fn duckdb_shows_what_is_true_after_many_nights() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    // Populations in which somebody has each kind of record to the end.
    for seed in [1, 2, 7] {
        let place = Place::new();
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
        // The same views, not created again, see what is published later.
        dataset.publish(&late);
        compare(&duckdb.look("after"), &dataset, "duckdb, later");
        let seen = DuckDb::new(&python, &Place::new())
            .create(&sql("duckdb", dataset.root(), &ONE_AGREEMENT))
            .tables();
        compare_one_agreement(&seen, &dataset, "duckdb");
    }
}

#[test]
fn spark_shows_what_is_true_after_many_nights() {
    let Some(python) = spark() else {
        return;
    };
    let place = Place::new();
    let mut dataset = Dataset::new(place.path(ODD_NAME));
    let late = many_nights(&mut dataset, 4);
    dataset.publish(&late);
    // Numbers that replace each other in every way, in the same dataset: a session of Spark is slow to start.
    tangled(5).for_each(|delivery| dataset.publish(&delivery));
    let seen = run(
        &python,
        &place,
        "spark",
        &sql("spark", dataset.root(), &[]),
        &[],
    );
    compare(&seen, &dataset, "spark");
    let place = Place::new();
    let script = sql("spark", dataset.root(), &ONE_AGREEMENT);
    let seen = run(&python, &place, "spark", &script, &[]).tables();
    compare_one_agreement(&seen, &dataset, "spark");
}

#[test]
fn replaced_numbers_lead_to_the_valid_one() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let (mut circles, mut long_ways) = (0, 0);
    for seed in 0..12 {
        let place = Place::new();
        let dataset = publish(&place, tangled(seed));
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
        // One of the two records alone tells something too.
        let without_former = tangled(seed).map(|delivery| delivery.without_tables(&["former_pnr"]));
        let part = Place::new();
        let dataset = publish(&part, without_former);
        let seen = DuckDb::new(&python, &part).create(&sql("duckdb", dataset.root(), &[]));
        compare(&seen, &dataset, "numbers of 001 alone");

        let without_current =
            tangled(seed).map(|delivery| delivery.without_column("person", "current_pnr"));
        let part = Place::new();
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
fn only_what_was_asked_for_is_created() {
    let place = Place::new();
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
            "latest_delivery",
            "address"
        ]
    );
    assert_eq!(views(&["--table", "event"]), ["published_event", "event"]);
    assert_eq!(
        views(&["--table", "latest_delivery"]),
        ["published_person", "latest_delivery"]
    );
    assert_eq!(
        views(&["--table", "pnr_resolution"]),
        [
            "published_person",
            "published_former_pnr",
            "latest_delivery",
            "person",
            "former_pnr",
            "pnr_resolution"
        ]
    );
    // 47 tables without two, each twice, and two views more.
    assert_eq!(views(&[]).len(), 45 * 2 + 2);
    assert!(!views(&[]).contains(&"church".to_owned()));
}

#[test]
fn what_cannot_be_is_said() {
    let place = Place::new();
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
    // What does not need the missing table works.
    assert_eq!(
        sql("duckdb", Path::new(&dataset), &["--table", "event"])
            .matches("CREATE")
            .count(),
        2
    );
}

#[test]
fn the_statements() {
    let catalog = rows::connector().catalog();
    let script = |dialect, published| {
        let mut options = ViewsOptions::new("/data/cpr", published);
        let tables = ["person", "address", "event", "pnr_resolution"];
        options.tables = Some(tables.map(str::to_owned).to_vec());
        views::sql(dialect, catalog, &options).unwrap()
    };
    let everything = || Published::everything(catalog);
    insta::assert_snapshot!("views-duckdb", script(Dialect::DuckDb, everything()));
    insta::assert_snapshot!("views-spark", script(Dialect::Spark, everything()));
    insta::assert_snapshot!("views-help", cprflow(["views", "--help"]).text());
    // Where the files cannot be seen, all tables are taken to be there.
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

/// Everything that a path can hold and SQL or a pattern could take for its own.
const ODD_NAME: &str = r#"it's [1] 100% {a,b} "q" *? -- x"#;

fn publish(place: &Place, deliveries: impl Iterator<Item = Delivery>) -> Dataset {
    let mut dataset = Dataset::new(place.path("dataset"));
    deliveries.for_each(|delivery| dataset.publish(&delivery));
    dataset
}

/// The SQL that the command prints.
fn sql(dialect: &str, dataset: &Path, more: &[&str]) -> String {
    let dataset = dataset.to_str().unwrap();
    let ended = cprflow([&["views", "--dialect", dialect, dataset], more].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended.text().to_owned()
}

/// A database of DuckDB's.
struct DuckDb<'a> {
    python: &'a Path,
    place: &'a Place,
}

impl<'a> DuckDb<'a> {
    fn new(python: &'a Path, place: &'a Place) -> Self {
        Self { python, place }
    }

    fn create(&self, sql: &str) -> Seen {
        run(self.python, self.place, "duckdb", sql, &[&self.database()])
    }

    /// What the views show that were created before.
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

/// What views show: a file each.
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

fn run(python: &Path, place: &Place, engine: &str, sql: &str, more: &[&str]) -> Seen {
    let script = place.file("views.sql", sql.as_bytes());
    query(python, place, "seen", engine, &script, more)
}

fn query(
    python: &Path,
    place: &Place,
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

/// Every view against what is true, all rows and columns.
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
    assert!(rows > 100, "{engine}: {rows} rows tell nothing");
    if dataset.root().ends_with(ODD_NAME) {
        check_that_it_bites(dataset, &current);
        assert!(irregular > 0, "{engine}: no map among the rows");
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

/// The agreement whose name could be taken for a number, which no other is there to contradict.
const ONE_AGREEMENT: [&str; 6] = ["--agreement", "851", "--table", "name", "--table", "event"];

fn compare_one_agreement(seen: &Tables, dataset: &Dataset, engine: &str) {
    let current = dataset.current();
    for view in ["name", "event", "latest_delivery"] {
        let own = current[view]
            .iter()
            .filter(|row| text(row, "agreement") == Some("851"));
        let own: Vec<Row> = own.cloned().collect();
        assert!(own.len() > 100 && own.len() < current[view].len());
        let seen = &seen[view];
        assert!(
            sorted(seen) == sorted(&own),
            "{engine}: {view} of one agreement: {}",
            difference(seen, &own)
        );
    }
}

/// The data would show it if a view gave more or less than what holds.
fn check_that_it_bites(dataset: &Dataset, current: &Tables) {
    let published = dataset.published();
    for (table, all) in &published {
        let record_type = layout::by_name(table).map_or("", |table| table.record_type);
        let holds = current[table].len();
        assert!(holds > 0, "{table}: nobody has any");
        if ("001".."099").contains(&record_type) {
            assert!(holds < all.len(), "{table}: nothing was ever replaced");
        } else {
            assert_eq!(holds, all.len(), "{table}");
        }
    }
    assert!(!current["pnr_resolution"].is_empty());
}

/// Rows in an order of their own, with their columns in one: engines give both as they like.
fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row.sort();
    }
    rows.sort();
    rows
}

/// The first rows that only one side has.
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

/// A Python with Spark, and the Java that Spark needs.
fn spark() -> Option<PathBuf> {
    let python = cprflow_tests::python::python()?;
    let works = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if works(&python, &["-c", "import pyspark"]) && works(Path::new("java"), &["-version"]) {
        return Some(python);
    }
    cprflow_tests::skipped(
        "no Spark (pyspark, see tests/python/requirements-spark.txt, and Java 17)",
    );
    None
}
