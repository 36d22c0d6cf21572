//! The column `irregular`: the raw text of values that the type of their column cannot hold exactly.

use std::sync::Arc;

use arrow_array::{ArrayRef, MapArray, StructArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::bits::Bits;
use super::schema;
use super::text::Text;
use crate::value::trimmed_len;

/// A map from column name to raw text, null for rows without irregular values.
pub(crate) struct Irregular {
    keys: Text,
    values: Text,
    offsets: Vec<i32>,
    valid: Bits,
}

impl Default for Irregular {
    fn default() -> Self {
        Self {
            keys: Text::default(),
            values: Text::default(),
            offsets: vec![0],
            valid: Bits::default(),
        }
    }
}

impl Irregular {
    /// Adds an entry to the current row: the raw text without its trailing spaces.
    pub(crate) fn add(&mut self, key: &str, raw: &[u8]) {
        self.keys.push(key.as_bytes());
        self.values
            .push(raw.get(..trimmed_len(raw)).unwrap_or_default());
    }

    /// Ends the current row.
    pub(crate) fn end_row(&mut self) {
        let end = self.keys.rows() as i32;
        let begin = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end);
        self.valid.push(end > begin);
    }

    /// Adds many rows without entries.
    pub(crate) fn push_nulls(&mut self, rows: usize) {
        let end = self.keys.rows() as i32;
        self.offsets.resize(self.offsets.len() + rows, end);
        self.valid.push_run(false, rows);
    }

    /// Returns the rows and removes them.
    pub(crate) fn take(&mut self) -> Result<MapArray, ArrowError> {
        let mut taken = std::mem::take(self);
        let entries = StructArray::try_new(
            schema::map_fields(),
            vec![
                Arc::new(taken.keys.take()?) as ArrayRef,
                Arc::new(taken.values.take()?) as ArrayRef,
            ],
            None,
        )?;
        MapArray::try_new(
            schema::map_entries(),
            OffsetBuffer::new(ScalarBuffer::from(taken.offsets)),
            entries,
            taken.valid.take_nulls(),
            false,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Array, StringArray};

    #[test]
    fn builds_a_map_with_one_irregular_row() {
        let mut irregular = Irregular::default();
        irregular.push_nulls(2);
        irregular.add("birth_date", b"1961-00-00");
        irregular.add("+", b"X\xe6  ");
        irregular.end_row();
        irregular.end_row();
        let map = irregular.take().unwrap();
        assert!(map.is_null(0) && map.is_null(1) && map.is_valid(2) && map.is_null(3));
        assert_eq!(map.value_length(2), 2);
        let values = map.values().as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(values.value(1), "Xæ");
    }
}
