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
use crate::reference_reader::{Row, Tables, Value};
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
        self.assert_no_other_marks(wanted, what);
        for mark in wanted.marks.keys() {
            assert!(self.marks.contains_key(mark), "{what}: {mark} is missing");
        }
    }

    /// Asserts that all marks are among those of `wanted`, and reports where the others are.
    ///
    /// # Panics
    ///
    /// Panics if there are others.
    pub fn assert_no_other_marks(&self, wanted: &Self, what: &str) {
        for (mark, around) in &self.marks {
            assert!(
                wanted.marks.contains_key(mark),
                "{what}: {mark} in {around:?}"
            );
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
pub fn assert_parquet_tells_only_its_values(path: &Path, rows: &[Row]) {
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

#[cfg(test)]
mod tests {
    use std::panic;
    use std::sync::Arc;

    use arrow::array::{Date32Array, StringArray};
    use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::{Field, Schema};
    use cprflow::ParquetFile;

    use super::*;
    use crate::command::TestDirectory;

    fn batch(column: ArrayRef) -> RecordBatch {
        let field = Field::new("column", column.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
    }

    fn panics(check: impl FnOnce()) -> bool {
        panic::catch_unwind(panic::AssertUnwindSafe(check)).is_err()
    }

    fn write(batch: &RecordBatch, directory: &TestDirectory) -> String {
        let path = directory.path("table.parquet");
        let file = File::create(&path).unwrap();
        let mut file = ParquetFile::new(file, batch.schema(), &path).unwrap();
        file.write(batch).unwrap();
        file.finish().unwrap();
        path
    }

    #[test]
    fn finds_what_is_under_a_null() {
        let nulls = || Some(NullBuffer::from(vec![true, false]));
        let text = |ends: Vec<i32>, bytes: &str| {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
            let bytes = Buffer::from(bytes.as_bytes().to_vec());
            batch(Arc::new(StringArray::new(offsets, bytes, nulls())))
        };
        let date = |days: [i32; 2]| {
            let days = ScalarBuffer::from(days.to_vec());
            batch(Arc::new(Date32Array::new(days, nulls())))
        };
        assert_nothing_under_nulls(&text(vec![0, 1, 1], "a"));
        assert_nothing_under_nulls(&date([7, 0]));
        assert!(panics(|| assert_nothing_under_nulls(&text(
            vec![0, 1, 2],
            "ab"
        ))));
        assert!(panics(|| assert_nothing_under_nulls(&date([7, 8]))));
    }

    #[test]
    fn finds_marks_in_pages_and_in_the_footer() {
        let directory = TestDirectory::new();
        let texts = ["x ZqAAAAAB 0101701234", "ZqAAAAAC", "ZqAAAA"];
        let column = StringArray::from(texts.map(Some).to_vec());
        let path = write(&batch(Arc::new(column)), &directory);
        let mut found = Found::default();
        found.add_file(path.as_ref());
        let marks: Vec<&str> = found.marks.keys().map(String::as_str).collect();
        assert_eq!(marks, ["ZqAAAAAB", "ZqAAAAAC"]);
        assert!(found.numbers.contains_key("0101701234"));
        // The bounds of the column are in the footer.
        let bytes = fs::read(&path).unwrap();
        let mut in_footer = Found::default();
        in_footer.add(&bytes[bytes.len() - 400..]);
        assert!(in_footer.marks.contains_key("ZqAAAAAB"));
        let mut wanted = found.clone();
        found.assert_marks(&wanted, "the same");
        wanted.marks.remove("ZqAAAAAC");
        assert!(panics(|| found.assert_marks(&wanted, "one less")));
        assert!(panics(|| wanted.assert_marks(&found, "one more")));
    }

    #[test]
    fn bounds_and_dictionaries_must_be_values_of_rows() {
        let directory = TestDirectory::new();
        let path = write(
            &batch(Arc::new(Date32Array::from(vec![7, 8, 7]))),
            &directory,
        );
        let rows = |days: &[i64]| -> Vec<Row> {
            let row = |day: &i64| vec![("column".to_owned(), Value::Days(*day))];
            days.iter().map(row).collect()
        };
        let check = |days: &[i64]| {
            let rows = rows(days);
            panics(|| assert_parquet_tells_only_its_values(path.as_ref(), &rows))
        };
        assert!(!check(&[7, 8, 7]));
        assert!(check(&[7, 7, 7]));
        assert!(check(&[7, 8, 9]));
    }
}
