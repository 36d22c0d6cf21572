//! Components that return too much, or invalid answers. `docs/hostile.md` has a line for each of these tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use cprflow::{ComponentError, Error, LimitKind, Limits, Scan, Summary};
use cprflow_connector::ipc::Encoder;
use cprflow_tests::hostile_guest::{
    beside_healthy_scan, component_error, connector, return_batches, return_batches_with, scan,
};
use cprflow_tests::messages::{alpha, beta, encoded};

#[test]
fn hostile_batches_without_end() {
    let error = endless("endless-batches", 100, Limits::new().output_rows(1_000));
    is_over(&error, LimitKind::OutputRows, 1_000);
}

/// The default limit of output depends on the size of the input.
#[test]
fn hostile_output_without_input() {
    let error = endless("endless-batches", 100, Limits::new());
    let ComponentError::Limit { limit, at_most } = error else {
        panic!("{error:?}");
    };
    assert_eq!(limit, LimitKind::OutputBytes);
    assert!(at_most < 80 << 20, "{at_most}");
}

#[test]
fn hostile_empty_batches_without_end() {
    let error = endless("endless-empty-batches", 0, Limits::new());
    is_over(&error, LimitKind::EmptyBatches, 16);
}

#[test]
fn hostile_batch_of_hundreds_of_megabytes() {
    let error = endless("huge-batch", 100, Limits::new().memory(1 << 30));
    is_over(&error, LimitKind::BatchBytes, 128 << 20);
}

#[test]
fn hostile_name_of_hundreds_of_megabytes() {
    let error = endless("huge-table-name", 100, Limits::new().memory(1 << 30));
    is_over(&error, LimitKind::BatchBytes, 128 << 20);
}

#[test]
fn hostile_batch_of_more_rows_than_asked_for() {
    let connector = connector("");
    let input = [b"alpha 100\n".as_slice(), &encoded(&alpha(100))].concat();
    let error =
        beside_healthy_scan(|| component_error(scan(Scan::new(&connector).batch_rows(99), &input)));
    is_over(&error, LimitKind::BatchRows, 99);
}

/// Each byte of a field becomes at most two bytes of UTF-8, which limits the text.
#[test]
fn hostile_text_longer_than_its_field() {
    let connector = connector("short-field");
    let table = connector.catalog().table("alpha").unwrap();
    let of = |name: &str| {
        let columns: [ArrayRef; 2] = [
            Arc::new(StringArray::from_iter_values(["abc", name])),
            Arc::new(Int64Array::from_iter_values([1, 2])),
        ];
        let batch = RecordBatch::try_new(table.schema(None).unwrap(), columns.into()).unwrap();
        return_batches_with(Scan::new(&connector), &[("alpha", 2, encoded(&batch))])
    };
    assert_eq!(of("åæø").unwrap().len(), 1);
    let error = beside_healthy_scan(|| component_error(of("abcdefg")));
    misbehaves(&error, "a text is longer than its field can be");
}

#[test]
fn hostile_text_longer_than_a_tenants_limit() {
    let connector = connector("");
    let of = |table: &str, batch: &RecordBatch, limits: Limits| {
        let scan = Scan::new(&connector).limits(limits).tenant("roskilde");
        return_batches_with(scan, &[(table, batch.num_rows(), encoded(batch))])
    };
    assert!(of("alpha", &alpha(2), Limits::new().text_bytes(4)).is_ok());
    assert!(of("beta", &beta(2), Limits::new().text_bytes(5)).is_ok());
    // The longest name has four bytes, and the longest text within `irregular` five.
    for (table, batch, at_most) in [("alpha", alpha(2), 3), ("beta", beta(2), 4)] {
        let limits = Limits::new().text_bytes(at_most);
        let error = beside_healthy_scan(|| component_error(of(table, &batch, limits)));
        assert_eq!(error.tenant(), Some("roskilde"));
        is_over(error.cause(), LimitKind::TextBytes, at_most as u64);
    }
}

#[test]
fn hostile_table_that_was_not_requested() {
    let connector = connector("");
    let input = [b"alpha 5\n".as_slice(), &encoded(&alpha(5))].concat();
    let error =
        beside_healthy_scan(|| component_error(scan(Scan::new(&connector).table("beta"), &input)));
    misbehaves(&error, "a table that was not requested");
}

#[test]
fn hostile_table_name_that_is_a_path() {
    let error = beside_healthy_scan(|| {
        component_error(return_batches(&[(
            "../../etc/passwd",
            5,
            encoded(&alpha(5)),
        )]))
    });
    misbehaves(&error, "a table that was not requested");
    assert!(!error.to_string().contains("passwd"));
}

#[test]
fn hostile_error_with_person_numbers() {
    let error = of_error("error-numbers", Limits::new());
    misbehaves(&error, "persons [number]");
    let said = error.to_string();
    assert!(!said.contains("1234") && !said.contains("0101"), "{said}");
    assert!(!said.contains(char::is_control), "{said:?}");
}

#[test]
fn hostile_error_of_a_gigabyte() {
    let error = of_error("error-huge", Limits::new().memory(2 << 30));
    is_over(&error, LimitKind::AnswerBytes, 4 << 20);
}

#[test]
fn hostile_error_that_is_not_utf8() {
    let error = of_error("error-not-utf8", Limits::new());
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
}

#[test]
fn hostile_error_that_lies_outside_its_memory() {
    let error = of_error("error-outside", Limits::new());
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
}

#[test]
fn hostile_findings_by_the_thousand() {
    let error = summary("many-findings").unwrap_err();
    is_over(&error, LimitKind::Findings, 1_000);
}

#[test]
fn hostile_findings_by_the_million() {
    let error = summary("million-findings").unwrap_err();
    is_over(&error, LimitKind::AnswerBytes, 4 << 20);
}

#[test]
fn hostile_places_by_the_thousand() {
    let error = summary("many-places").unwrap_err();
    is_over(&error, LimitKind::Findings, 1_000);
}

#[test]
fn hostile_finding_with_person_numbers() {
    let summary = summary("finding-number").unwrap();
    let said = format!("{summary:?}");
    assert!(said.contains("it is [number]"), "{said}");
    assert!(!said.contains("0101"), "{said}");
}

#[test]
fn hostile_finding_whose_code_is_a_person_number() {
    misbehaves(
        &summary("finding-code").unwrap_err(),
        "a finding with an invalid code",
    );
}

#[test]
fn hostile_finding_whose_code_moves_the_cursor() {
    misbehaves(
        &summary("finding-code-control").unwrap_err(),
        "a finding with an invalid code",
    );
}

#[test]
fn hostile_summary_of_an_unknown_table() {
    misbehaves(
        &summary("summary-unknown-table").unwrap_err(),
        "its catalog lacks",
    );
}

#[test]
fn hostile_summary_of_a_table_twice() {
    misbehaves(
        &summary("summary-table-twice").unwrap_err(),
        "its catalog lacks",
    );
}

#[test]
fn hostile_summary_whose_date_is_a_person_number() {
    misbehaves(&summary("summary-date").unwrap_err(), "an invalid date");
}

#[test]
fn hostile_summary_whose_task_is_a_person_number() {
    let start = summary("summary-task-number").unwrap().start.unwrap();
    assert_eq!(start.task_number, "[number]");
}

#[test]
fn hostile_metadata_with_person_numbers() {
    let connector = connector("");
    let error = beside_healthy_scan(|| connector.read_metadata(b"<a/>")).unwrap_err();
    assert!(matches!(error, Error::Metadata(_)), "{error:?}");
    assert_eq!(error.to_string(), "it reads no metadata of [number]");
}

/// Runs an attack that starts after two batches have been returned.
fn endless(attack: &str, rows: usize, limits: Limits) -> ComponentError {
    let connector = connector(attack);
    let mut encoder = Encoder::default();
    let batches = [(); 2].map(|()| ("alpha", rows, encoder.encode(&alpha(rows)).unwrap()));
    beside_healthy_scan(|| {
        component_error(return_batches_with(
            Scan::new(&connector).limits(limits),
            &batches,
        ))
    })
}

fn of_error(attack: &str, limits: Limits) -> ComponentError {
    let connector = connector(attack);
    beside_healthy_scan(|| component_error(scan(Scan::new(&connector).limits(limits), b"x")))
}

fn summary(attack: &str) -> Result<Summary, ComponentError> {
    let connector = connector(attack);
    let summary = beside_healthy_scan(|| {
        // A million findings do not fit into less memory.
        let scan = Scan::new(&connector).limits(Limits::new().memory(1 << 30));
        let mut reader = scan.read_all(&b""[..]).unwrap();
        assert!(reader.next().is_none());
        reader.summary()
    });
    summary.map_err(|error| match error {
        Error::Component(error) => error,
        other => panic!("{other:?}"),
    })
}

fn is_over(error: &ComponentError, kind: LimitKind, most: u64) {
    let is_over = matches!(error, ComponentError::Limit { limit, at_most } if *limit == kind && *at_most == most);
    assert!(is_over, "{error:?}");
}

fn misbehaves(error: &ComponentError, how: &str) {
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    assert!(error.to_string().contains(how), "{error}");
}
