//! Counts irregular values by table and column.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::finding::Occurrences;
use crate::layout;
use crate::wire::{DAMAGED, Reader, Writer};

/// The irregular values, by the indexes of their table and column in [`layout::tables`].
#[derive(Clone, Default)]
pub(super) struct IrregularCounts(BTreeMap<(usize, usize), Occurrences>);

impl IrregularCounts {
    /// Adds those of a column, in a part of the extract that begins after `lines` records.
    pub(super) fn add(&mut self, table: usize, column: &str, seen: Occurrences, lines: u64) {
        let columns = layout::tables().get(table).map(|table| table.columns);
        let mut columns = columns.unwrap_or_default().iter();
        if let Some(index) = columns.position(|one| one.name == column) {
            self.0
                .entry((table, index))
                .or_default()
                .add_part(seen, lines);
        }
    }

    /// Returns the counts by record type and column, in the order of the layouts.
    pub(super) fn values(&self) -> Vec<(&'static str, &'static str, Occurrences)> {
        let value = |((table, column), seen): (&(usize, usize), &Occurrences)| {
            let table = layout::tables().get(*table)?;
            let column = table.columns.get(*column)?;
            Some((table.record_type, column.name, *seen))
        };
        self.0.iter().filter_map(value).collect()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.number(self.0.len() as u64);
        for ((table, column), seen) in &self.0 {
            writer.number(*table as u64);
            writer.number(*column as u64);
            writer.seen(*seen);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut read = Self::default();
        for _ in 0..reader.number()? {
            let mut index = || usize::try_from(reader.number()?).map_err(|_| DAMAGED);
            let place = (index()?, index()?);
            read.0.insert(place, reader.seen()?);
        }
        Ok(read)
    }

    /// Adds those of a part that begins after `lines` records.
    pub(super) fn add_part(&mut self, part: Self, lines: u64) {
        for (place, seen) in part.0 {
            self.0.entry(place).or_default().add_part(seen, lines);
        }
    }
}
