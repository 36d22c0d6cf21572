//! Batches with wrong contents. `docs/hostile.md` has a line for each of these tests.
//!
//! Each test takes the messages of a valid batch, changes one thing, and lets the component return them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::MetadataVersion;
use cprflow::ComponentError;
use cprflow_connector::ipc::Encoder;
use cprflow_tests::hostile_guest::{beside_healthy_scan, component_error, return_batches};
use cprflow_tests::messages::{Parts, alpha, beta, encoded, schema};

const ROWS: usize = 7;

/// The buffers of `alpha`: offsets and bytes of its names, and its line numbers.
const OFFSETS: usize = 1;
const BYTES: usize = 2;
const LINES: usize = 4;

/// The batches that the other tests change are accepted unchanged.
#[test]
fn unchanged_batches_are_accepted() {
    for batch in [alpha(ROWS), beta(ROWS), alpha(0), beta(0)] {
        let table = if batch.num_columns() == 2 {
            "alpha"
        } else {
            "beta"
        };
        for messages in [encoded(&batch), Parts::of(&encoded(&batch)).messages()] {
            let read = return_batches(&[(table, batch.num_rows(), messages)]).unwrap();
            assert_eq!(read[0].batch, batch);
        }
    }
}

#[test]
fn hostile_schema_of_another_table() {
    refuses("beta", ROWS, encoded(&alpha(ROWS)), "another schema");
    refuses("alpha", ROWS, encoded(&beta(ROWS)), "another schema");
}

#[test]
fn hostile_schema_with_fewer_columns() {
    let fewer = alpha(ROWS).project(&[0]).unwrap();
    refuses("alpha", ROWS, encoded(&fewer), "another schema");
}

#[test]
fn hostile_schema_with_more_columns() {
    let batch = alpha(ROWS);
    let more = batch.project(&[0, 1, 1]).unwrap();
    refuses("alpha", ROWS, encoded(&more), "another schema");
}

#[test]
fn hostile_schema_with_columns_in_another_order() {
    let swapped = alpha(ROWS).project(&[1, 0]).unwrap();
    refuses("alpha", ROWS, encoded(&swapped), "another schema");
}

/// Each of name, type, nullability and metadata is changed once.
#[test]
fn hostile_schema_that_differs_in_one_thing() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["x"; ROWS]));
    let lines: ArrayRef = Arc::new(Int64Array::from(vec![1; ROWS]));
    let metadata = schema("alpha").metadata().clone();
    let name = Field::new("name", DataType::Utf8, true);
    let line = Field::new("line", DataType::Int64, false);
    let other = |fields: [&Field; 2], metadata| {
        let schema = Schema::new_with_metadata(fields.map(Clone::clone).to_vec(), metadata);
        encoded(
            &RecordBatch::try_new(Arc::new(schema), vec![names.clone(), lines.clone()]).unwrap(),
        )
    };
    let same = other([&name, &line], metadata.clone());
    assert!(return_batches(&[("alpha", ROWS, same)]).is_ok());
    let renamed = name.clone().with_name("pnr");
    let nullable = line.clone().with_nullable(true);
    let strict = name.clone().with_nullable(false);
    let marked = name
        .clone()
        .with_metadata([("cpr.sensitivity".to_owned(), "none".to_owned())].into());
    for fields in [
        [&renamed, &line],
        [&name, &nullable],
        [&strict, &line],
        [&marked, &line],
    ] {
        refuses(
            "alpha",
            ROWS,
            other(fields, metadata.clone()),
            "another schema",
        );
    }
    let unmarked = other([&name, &line], Default::default());
    refuses("alpha", ROWS, unmarked, "another schema");
}

#[test]
fn hostile_schema_that_changes_between_batches() {
    let again = encoded(&alpha(ROWS));
    let error = batches(&[("alpha", ROWS, again.clone()), ("alpha", ROWS, again)]);
    misbehaves(&error, "neither schema nor batch");
    let other = Parts::of(&encoded(&beta(ROWS))).batch();
    let error = batches(&[
        ("alpha", ROWS, encoded(&alpha(ROWS))),
        ("alpha", ROWS, other),
    ]);
    misbehaves(&error, "outside its message, or is shorter");
}

#[test]
fn hostile_batch_without_a_schema() {
    let batch = Parts::of(&encoded(&alpha(ROWS))).batch();
    refuses("alpha", ROWS, batch, "has no schema before it");
}

#[test]
fn hostile_dictionary() {
    let names = ["abc"; ROWS].into_iter();
    let names: arrow::array::DictionaryArray<Int32Type> = names.collect();
    let fields = vec![
        Field::new("name", names.data_type().clone(), true),
        Field::new("line", DataType::Int64, false),
    ];
    let schema = Schema::new_with_metadata(fields, schema("alpha").metadata().clone());
    let lines = Arc::new(Int64Array::from(vec![1; ROWS]));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(names), lines]).unwrap();
    refuses("alpha", ROWS, encoded(&batch), "another schema");
}

#[test]
fn hostile_compression() {
    changed(|parts| parts.is_compressed = true, "compressed");
}

#[test]
fn hostile_nesting() {
    let mut data_type = DataType::Int64;
    for _ in 0..40 {
        data_type = DataType::List(Arc::new(Field::new("item", data_type, true)));
    }
    let schema = Schema::new(vec![Field::new("name", data_type.clone(), true)]);
    let column = arrow::array::new_null_array(&data_type, ROWS);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
    refuses("alpha", ROWS, encoded(&batch), "another schema");
    // At this depth the header itself is rejected.
    let mut data_type = DataType::Int64;
    for _ in 0..200 {
        data_type = DataType::List(Arc::new(Field::new("item", data_type, true)));
    }
    let schema = Arc::new(Schema::new(vec![Field::new("name", data_type, true)]));
    let writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &schema).unwrap();
    let messages = writer.get_ref().clone();
    refuses("alpha", ROWS, messages, "has an invalid header");
}

#[test]
fn hostile_columns_by_the_hundred_thousand() {
    let fields: Vec<_> = (0..100_000)
        .map(|place| Field::new(format!("c{place}"), DataType::Int64, true))
        .collect();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields)),
        std::iter::repeat_n(column, 100_000).collect(),
        &RecordBatchOptions::new(),
    );
    let error = batches(&[("alpha", 1, encoded(&batch.unwrap()))]);
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
}

#[test]
fn hostile_offsets_out_of_bounds() {
    changed(
        |parts| parts.set_offset(OFFSETS, ROWS, 1_000_000),
        "contradict each other",
    );
    changed(
        |parts| parts.set_offset(OFFSETS, 3, i32::MAX),
        "contradict each other",
    );
}

#[test]
fn hostile_offsets_that_decrease() {
    changed(
        |parts| parts.set_offset(OFFSETS, 3, 1),
        "contradict each other",
    );
}

#[test]
fn hostile_offsets_below_zero() {
    changed(
        |parts| parts.set_offset(OFFSETS, 0, -1),
        "contradict each other",
    );
}

#[test]
fn hostile_bytes_that_are_not_utf8() {
    changed(
        |parts| parts.buffer(BYTES)[4] = 0xff,
        "contradict each other",
    );
}

/// The bytes are UTF-8 and the names are not, because an offset is within a character.
#[test]
fn hostile_offsets_within_a_character() {
    changed(
        |parts| parts.buffer(BYTES)[2..4].copy_from_slice("å".as_bytes()),
        "contradict each other",
    );
}

#[test]
fn hostile_wrong_array_length() {
    for length in [-1, 0, 6, 8, i64::MAX] {
        changed(|parts| parts.nodes[0].0 = length, "outside its message");
    }
}

#[test]
fn hostile_wrong_number_of_rows() {
    for rows in [0, ROWS - 1, ROWS + 1, 1_000_000] {
        refuses(
            "alpha",
            rows,
            encoded(&alpha(ROWS)),
            "another number of rows",
        );
    }
    for length in [-1, 0, i64::MAX] {
        changed(|parts| parts.length = length, "another number of rows");
    }
}

/// The batch claims far more rows than its body has bytes.
#[test]
fn hostile_more_rows_than_bytes() {
    let mut parts = Parts::of(&encoded(&alpha(ROWS)));
    parts.length = 1 << 20;
    parts.nodes = vec![(1 << 20, 0); 2];
    refuses("alpha", 1 << 20, parts.messages(), "outside its message");
}

#[test]
fn hostile_wrong_null_count() {
    for nulls in [-1, 8, i64::MIN] {
        changed(|parts| parts.nodes[0].1 = nulls, "outside its message");
    }
    // There is no bitmap, or the bitmap has another number of nulls.
    changed(|parts| parts.nodes[0].1 = 1, "outside its message");
    let mut parts = Parts::of(&encoded(&beta(ROWS)));
    parts.nodes[0].1 = 1;
    refuses("beta", ROWS, parts.messages(), "contradict each other");
}

/// With a null count of zero the bitmap is ignored, and the rows have values. That does no harm.
#[test]
fn hostile_null_count_of_zero() {
    let mut parts = Parts::of(&encoded(&beta(ROWS)));
    parts.nodes[0].1 = 0;
    let read = beside_healthy_scan(|| return_batches(&[("beta", ROWS, parts.messages())])).unwrap();
    assert_eq!(read[0].batch.column(0).null_count(), 0);
    assert_eq!(read[0].batch.num_rows(), ROWS);
}

#[test]
fn hostile_validity_that_is_too_short() {
    let mut parts = Parts::of(&encoded(&beta(9)));
    parts.buffers[0].1 = 1;
    refuses("beta", 9, parts.messages(), "shorter than its rows");
}

#[test]
fn hostile_nulls_in_a_column_without_nulls() {
    let mut parts = Parts::of(&encoded(&alpha(8)));
    // The line numbers get a bitmap: the bytes of their first value.
    parts.nodes[1].1 = 8;
    parts.buffers[3] = (parts.buffers[LINES].0, 8);
    refuses("alpha", 8, parts.messages(), "contradict each other");
}

#[test]
fn hostile_buffers_outside_the_message() {
    let ends = [
        (1 << 20, 64),
        (0, 1 << 20),
        (-8, 64),
        (i64::MAX - 7, 64),
        (0, i64::MAX),
        (8, -8),
    ];
    for end in ends {
        changed(|parts| parts.buffers[LINES] = end, "outside its message");
    }
}

#[test]
fn hostile_buffers_that_are_not_aligned() {
    changed(
        |parts| {
            let (offset, length) = parts.buffers[LINES];
            parts.buffers[LINES] = (offset - 1, length);
        },
        "outside its message",
    );
}

#[test]
fn hostile_buffers_and_arrays_missing_or_added() {
    changed(
        |parts| parts.buffers.truncate(LINES),
        "other arrays or buffers",
    );
    changed(
        |parts| parts.buffers.push((0, 0)),
        "other arrays or buffers",
    );
    changed(|parts| parts.nodes.truncate(1), "other arrays or buffers");
    changed(|parts| parts.nodes.push((0, 0)), "other arrays or buffers");
    changed(|parts| parts.variadic.push(3), "other arrays or buffers");
}

#[test]
fn hostile_map_with_wrong_entries() {
    const MAP_OFFSETS: usize = 5;
    let map = |change: fn(&mut Parts)| {
        let mut parts = Parts::of(&encoded(&beta(ROWS)));
        change(&mut parts);
        let error = batches(&[("beta", ROWS, parts.messages())]);
        assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    };
    map(|parts| parts.set_offset(MAP_OFFSETS, ROWS, 1_000));
    map(|parts| parts.set_offset(MAP_OFFSETS, 2, -1));
    map(|parts| parts.nodes[3].0 = 1 << 40);
    map(|parts| parts.nodes[4].0 = 1);
    // A key is null.
    map(|parts| {
        parts.nodes[4].1 = 1;
        parts.buffers[7] = parts.buffers[0];
    });
}

#[test]
fn hostile_invalid_messages() {
    let sound = encoded(&alpha(ROWS));
    let error = |messages: &[u8]| {
        let error = batches(&[("alpha", ROWS, messages.to_vec())]);
        assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    };
    error(b"");
    error(b"junk");
    error(&[0xff; 4096]);
    error(&[0; 4096]);
    error(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    for end in [4, 8, 100, sound.len() / 2, sound.len() - 1] {
        error(&sound[..end]);
    }
}

#[test]
fn hostile_bytes_after_a_batch() {
    let mut more = encoded(&alpha(ROWS));
    more.extend(Parts::of(&encoded(&alpha(ROWS))).batch());
    refuses("alpha", ROWS, more, "there are bytes after a batch");
}

#[test]
fn hostile_wrong_body_length() {
    for length in [-1, 1 << 20, i64::MAX] {
        changed(
            |parts| parts.body_length = Some(length),
            "a message is shorter than it declares",
        );
    }
}

#[test]
fn hostile_version_of_the_format() {
    changed(
        |parts| parts.version = MetadataVersion::V4,
        "another version",
    );
}

/// A flipped byte is rejected, or changes values without changing their types.
#[test]
fn hostile_bytes_flipped_one_by_one() {
    let mut encoder = Encoder::default();
    let batch = beta(ROWS);
    let messages = encoder.encode(&batch).unwrap();
    beside_healthy_scan(|| {
        for place in 0..messages.len() {
            let mut flipped = messages.clone();
            flipped[place] ^= 0xff;
            match return_batches(&[("beta", ROWS, flipped)]) {
                Ok(read) => {
                    assert_eq!(read[0].batch.schema(), batch.schema());
                    for column in read[0].batch.columns() {
                        column.to_data().validate_full().unwrap();
                    }
                }
                Err(error) => {
                    let error = component_error::<()>(Err(error));
                    assert!(
                        matches!(error, ComponentError::Misbehaved(_)),
                        "{place}: {error:?}"
                    );
                }
            }
        }
    });
}

/// Changes one thing of `alpha`, and asserts that the batch is refused for this reason.
fn changed(change: impl FnOnce(&mut Parts), why: &str) {
    let mut parts = Parts::of(&encoded(&alpha(ROWS)));
    change(&mut parts);
    refuses("alpha", ROWS, parts.messages(), why);
}

fn refuses(table: &str, rows: usize, messages: Vec<u8>, why: &str) {
    misbehaves(&batches(&[(table, rows, messages)]), why);
}

fn batches(batches: &[(&str, usize, Vec<u8>)]) -> ComponentError {
    beside_healthy_scan(|| component_error(return_batches(batches)))
}

fn misbehaves(error: &ComponentError, how: &str) {
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    assert!(error.to_string().contains(how), "{error}");
}
