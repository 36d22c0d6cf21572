//! The meaning of codes: `cprflow codes`, `schema --codes` and `scan --names`.

use std::collections::BTreeMap;
use std::fs::{self, File};

use cprflow_tests::command::{TestDirectory, cprflow};
use cprflow_tests::extract;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

#[test]
fn lists_the_reference_tables_and_their_codes() {
    let all = cprflow(["codes"]).text().to_owned();
    for table in [
        "status",
        "event",
        "municipality",
        "country",
        "authority",
        "correction_mark",
    ] {
        assert!(
            all.lines().any(|line| line.starts_with(table)),
            "{table}\n{all}"
        );
    }
    let status = cprflow(["codes", "Status", "--format", "csv"])
        .text()
        .to_owned();
    assert!(
        status.starts_with(
            "code,name_da,name_en,basis\n01,Bopæl i Danmark,Resident in Denmark,listed\n"
        ),
        "{status}"
    );
    let json: Value =
        serde_json::from_str(cprflow(["codes", "event", "--format", "json"]).text()).unwrap();
    let codes = json["codes"].as_array().unwrap();
    let unknown = codes.iter().find(|code| code["code"] == "P51").unwrap();
    assert!(unknown["name_en"].is_null() && unknown["basis"] == "unknown");
    assert_eq!(json["used_in"][0]["table"], "event");
}

#[test]
fn writes_a_reference_table_as_parquet() {
    let place = TestDirectory::new();
    let path = place.path("m.parquet");
    let ended = cprflow(["codes", "municipality", "-o", &path]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let names: Vec<_> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(
        names,
        [
            "code",
            "name_da",
            "name_en",
            "basis",
            "region_code",
            "region_da",
            "region_en",
            "until"
        ]
    );
    assert_eq!(
        cprflow(["codes", "municipality", "-o", &path]).code,
        2,
        "the file exists"
    );
    let ended = cprflow(["codes", "statuses"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("Did you mean status?") || ended.stderr.contains("status"),
        "{}",
        ended.stderr
    );
    assert_eq!(cprflow(["codes", "--format", "csv"]).code, 2);
}

#[test]
fn schema_lists_the_codes_of_a_table() {
    let text = cprflow(["schema", "person", "--codes"]).text().to_owned();
    assert!(
        text.contains("Emigrated") && text.contains("Udrejst"),
        "{text}"
    );
    let text = cprflow(["schema", "address", "--codes"]).text().to_owned();
    assert!(
        text.contains("`cprflow codes municipality` lists them"),
        "{text}"
    );
    let json: Value =
        serde_json::from_str(cprflow(["schema", "person", "--codes", "--format", "json"]).text())
            .unwrap();
    let tables = json["codes"].as_array().unwrap();
    let names: Vec<_> = tables
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["status", "sex"]);
    assert!(json["columns"].is_array());
}

#[test]
fn scan_adds_names_beside_codes() {
    let place = TestDirectory::new();
    let input = place.file("extract", &extract::small(200, 1));
    let scan = |more: &[&str]| {
        let arguments = [
            &[
                "scan",
                &input,
                "--table",
                "address",
                "--format",
                "jsonl",
                "--columns",
                "pnr,municipality_code",
            ],
            more,
        ]
        .concat();
        let ended = cprflow(&arguments);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let rows = ended
            .text()
            .lines()
            .map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap());
        rows.collect::<Vec<_>>()
    };
    let names = scan(&["--names"]);
    let without = scan(&[]);
    assert_eq!(names.len(), without.len());
    let known: Value =
        serde_json::from_str(cprflow(["codes", "municipality", "--format", "json"]).text())
            .unwrap();
    let known: BTreeMap<_, _> = known["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| (code["code"].clone().to_string(), code["name_da"].clone()))
        .collect();
    for (row, before) in names.iter().zip(&without) {
        let code = &row["municipality_code"];
        assert_eq!(code, &before["municipality_code"]);
        assert_eq!(
            row["municipality_name"],
            known.get(&code.to_string()).cloned().unwrap_or(Value::Null)
        );
    }
    assert!(names.iter().any(|row| row["municipality_name"].is_string()));
    let csv = cprflow([
        "scan",
        &input,
        "--table",
        "person",
        "--names=da",
        "--format",
        "csv",
    ])
    .text()
    .to_owned();
    let header = csv.lines().next().unwrap();
    assert!(
        header.contains("status,status_name,") && header.contains("sex,sex_name,"),
        "{header}"
    );
    assert!(csv.contains(",Kvinde,"));
    let parquet = place.path("person.parquet");
    assert_eq!(
        cprflow([
            "scan", &input, "--table", "person", "--names", "-o", &parquet
        ])
        .code,
        0
    );
    assert!(fs::metadata(&parquet).unwrap().len() > 0);
    assert_eq!(
        cprflow(["scan", &input, "--all", "--names", "-o", &place.path("all")]).code,
        2,
        "--names needs --table"
    );
}
