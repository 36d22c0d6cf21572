//! Searches all bytes of a result for marks and person numbers: values, but also dictionaries, statistics and whatever
//! else a file or a batch contains.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use parquet::column::page::Page;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::statistics::Statistics;

use crate::marked::Mark;
use crate::reference_reader::{Tables, Value};
use crate::test_run::files;

/// What the bytes of a result tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The long marks, in any byte, with the bytes around the first.
    pub marks: BTreeMap<String, String>,
    /// Every ten digits in a row, in any byte, with the bytes around the first.
    pub numbers: BTreeMap<String, String>,
}

impl Found {
    /// Searches bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for (place, window) in bytes.windows(8).enumerate() {
            if window.starts_with(b"Zq") && window[2..].iter().all(|b| (b'A'..=b'P').contains(b)) {
                let mark = self.marks.entry(text(window));
                mark.or_insert_with(|| around(bytes, place));
            }
            if let Some(window) = bytes.get(place..place + 10)
                && window.iter().all(u8::is_ascii_digit)
            {
                let number = self.numbers.entry(text(window));
                number.or_insert_with(|| around(bytes, place));
            }
        }
    }

    /// Asserts that the marks are those of `wanted`, and reports where the others are.
    ///
    /// # Panics
    ///
    /// Panics if there are others, or if some are missing.
    pub fn assert_marks(&self, wanted: &Self, what: &str) {
        for (mark, around) in &self.marks {
            assert!(
                wanted.marks.contains_key(mark),
                "{what}: {mark} in {around:?}"
            );
        }
        for mark in wanted.marks.keys() {
            assert!(self.marks.contains_key(mark), "{what}: {mark} is missing");
        }
    }

    /// Searches a file, and everything inside it if it is a Parquet file.
    pub fn add_file(&mut self, path: &Path) {
        self.add(path.to_string_lossy().as_bytes());
        match path.extension().is_some_and(|e| e == "parquet") {
            true => self.add_parquet(path),
            false => self.add(&fs::read(path).unwrap()),
        }
    }

    /// Searches the names and the content of all files below a directory.
    pub fn add_directory(&mut self, directory: &Path) {
        for file in files(directory) {
            self.add_file(&file);
        }
    }

    /// Searches every page of a Parquet file, and everything outside the pages: footer, statistics and indexes. Bytes
    /// that are compressed are searched only as the pages that they are.
    fn add_parquet(&mut self, path: &Path) {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let metadata = reader.metadata();
        let groups = metadata.row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns());
        let mut compressed: Vec<(u64, u64)> = chunks.map(|chunk| chunk.byte_range()).collect();
        compressed.sort_unstable();
        let bytes = fs::read(path).unwrap();
        let mut at = 0;
        for (start, length) in compressed {
            self.add(&bytes[at..start as usize]);
            at = (start + length) as usize;
        }
        self.add(&bytes[at..]);
        for pair in metadata
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
        {
            self.add(pair.key.as_bytes());
            self.add(pair.value.as_deref().unwrap_or_default().as_bytes());
        }
        for group in 0..metadata.num_row_groups() {
            let row_group = reader.get_row_group(group).unwrap();
            for column in 0..row_group.num_columns() {
                if let Some(Statistics::ByteArray(told)) =
                    metadata.row_group(group).column(column).statistics()
                {
                    for bound in [told.min_opt(), told.max_opt()].into_iter().flatten() {
                        self.add(bound.data());
                    }
                }
                let mut pages = row_group.get_column_page_reader(column).unwrap();
                while let Some(page) = pages.get_next_page().unwrap() {
                    self.add(page.buffer());
                    if let Some(Statistics::ByteArray(told)) = statistics(&page) {
                        for bound in [told.min_opt(), told.max_opt()].into_iter().flatten() {
                            self.add(bound.data());
                        }
                    }
                }
            }
        }
    }
}

fn statistics(page: &Page) -> Option<&Statistics> {
    match page {
        Page::DataPage { statistics, .. } | Page::DataPageV2 { statistics, .. } => {
            statistics.as_ref()
        }
        Page::DictionaryPage { .. } => None,
    }
}

fn around(bytes: &[u8], place: usize) -> String {
    text(&bytes[place.saturating_sub(20)..bytes.len().min(place + 30)])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts that statistics and dictionaries of a Parquet file tell nothing but the values of its rows.
///
/// # Panics
///
/// Panics if a bound is not a value of the column, or a dictionary has a value that no row has.
pub fn assert_parquet_tells_only_its_values(path: &Path, rows: &[crate::reference_reader::Row]) {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let metadata = reader.metadata();
    assert!(metadata.num_row_groups() <= 1, "the file is small");
    let mut values: BTreeMap<&str, BTreeSet<&Value>> = BTreeMap::new();
    for (column, value) in rows.iter().flatten() {
        if *value != Value::Null {
            values.entry(column).or_default().insert(value);
        }
    }
    for group in 0..metadata.num_row_groups() {
        let row_group = reader.get_row_group(group).unwrap();
        for column in 0..row_group.num_columns() {
            let chunk = metadata.row_group(group).column(column);
            let parts = chunk.column_path().parts();
            let [name] = parts else {
                // The keys and values of `irregular`.
                continue;
            };
            let known = values.remove(name.as_str()).unwrap_or_default();
            let place = format!("{} of {}", name, path.display());
            if let Some(told) = chunk.statistics() {
                for bound in bounds(told, name) {
                    assert!(known.contains(&bound), "{place}: a bound is no value");
                }
            }
            let mut pages = row_group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                if let Page::DictionaryPage { num_values, .. } = page {
                    assert_eq!(num_values as usize, known.len(), "{place}: the dictionary");
                }
            }
        }
    }
}

/// Returns the bounds of statistics as values. Texts are left out: their bounds can be cut off.
fn bounds(told: &Statistics, column: &str) -> Vec<Value> {
    match told {
        Statistics::Int64(told) => {
            let of = |bound: &i64| match column {
                "line" => Value::Number(*bound),
                _ => Value::Micros(*bound),
            };
            let bounds = [told.min_opt(), told.max_opt()].into_iter().flatten();
            bounds.map(of).collect()
        }
        Statistics::Int32(told) => {
            let bounds = [told.min_opt(), told.max_opt()].into_iter().flatten();
            bounds.map(|days| Value::Days(i64::from(*days))).collect()
        }
        Statistics::Boolean(told) => {
            let bounds = [told.min_opt(), told.max_opt()].into_iter().flatten();
            bounds.map(|flag| Value::Flag(*flag)).collect()
        }
        _ => Vec::new(),
    }
}

/// Asserts that the buffers of a batch hold nothing but the values of its rows: what is null must not be there either.
///
/// # Panics
///
/// Panics if a buffer has bytes that belong to no value.
pub fn assert_nothing_under_nulls(batch: &RecordBatch) {
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        assert_no_rest(column, field.name());
    }
}

fn assert_no_rest(column: &ArrayRef, name: &str) {
    let nulls = (0..column.len()).filter(|row| column.is_null(*row));
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let total: usize = texts.iter().flatten().map(str::len).sum();
            assert_eq!(
                texts.value_data().len(),
                total,
                "{name} has a text that no row has"
            );
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>().values();
            for row in nulls {
                assert_eq!(values[row], 0, "{name} has a date under a null");
            }
        }
        DataType::Timestamp(..) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().values();
            for row in nulls {
                assert_eq!(values[row], 0, "{name} has a time under a null");
            }
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().values();
            for row in nulls {
                assert_eq!(values[row], 0, "{name} has a number under a null");
            }
        }
        DataType::Boolean => {
            let values = column.as_boolean().values();
            for row in nulls {
                assert!(!values.value(row), "{name} has a flag under a null");
            }
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let total: i32 = (0..map.len()).map(|row| map.value_length(row)).sum();
            assert_eq!(
                map.entries().len(),
                total as usize,
                "{name} has an entry that no row has"
            );
            for part in map.entries().columns() {
                assert_no_rest(part, name);
            }
        }
        other => panic!("no table has a column of type {other}"),
    }
}

/// Returns the marks in the values of tables.
pub fn marks_of(tables: &Tables) -> BTreeSet<Mark> {
    let mut found = BTreeSet::new();
    for (_, value) in tables.values().flatten().flatten() {
        match value {
            Value::Text(text) => marks_of_text(text, &mut found),
            Value::Map(entries) => {
                for (key, text) in entries {
                    marks_of_text(key, &mut found);
                    marks_of_text(text, &mut found);
                }
            }
            Value::Days(days) => drop(found.insert(Mark::Day(*days))),
            Value::Micros(micros) => drop(found.insert(Mark::Moment(*micros))),
            Value::Null | Value::Flag(_) | Value::Number(_) => {}
        }
    }
    found
}

fn marks_of_text(text: &str, found: &mut BTreeSet<Mark>) {
    let bytes = text.as_bytes();
    let mut of_text = Found::default();
    of_text.add(bytes);
    found.extend(of_text.marks.into_keys().map(Mark::Long));
    let is_short = |window: &&[u8]| {
        let rest = &window[1..];
        let is_digit = |b: &u8| b.is_ascii_digit() || (b'A'..=b'V').contains(b);
        window[0] == b'w' && rest.iter().all(is_digit)
    };
    let shorts = bytes.windows(4).filter(is_short);
    found.extend(shorts.map(|window| Mark::Short(String::from_utf8_lossy(window).into_owned())));
}
