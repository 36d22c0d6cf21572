//! The columns `as_of` and `agreement`: from which extract each row of a state comes.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, StringArray};

/// The extract from which rows of a state come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The date that places the extract in the order, as a day number.
    pub(crate) day: i32,
    /// The name of the agreement that delivered the extract.
    pub(crate) agreement: String,
}

/// The origins of a table's rows since its last batch: the first row of each extract.
#[derive(Default)]
pub(super) struct Origins {
    runs: Vec<(usize, Arc<Origin>)>,
}

impl Origins {
    /// Begins an extract at this row.
    pub(super) fn begin(&mut self, row: usize, origin: Arc<Origin>) {
        self.runs.retain(|(first, _)| *first != row);
        self.runs.push((row, origin));
    }

    /// Returns the origins so far. Further rows have the origin of the last one.
    pub(super) fn take(&mut self) -> Self {
        let last = self.runs.last().map(|(_, origin)| (0, origin.clone()));
        let runs = std::mem::replace(&mut self.runs, last.into_iter().collect());
        Self { runs }
    }

    /// Returns the dates of that many rows.
    pub(super) fn dates(&self, rows: usize) -> ArrayRef {
        let days: Vec<i32> = self.each(rows).map(|origin| origin.day).collect();
        Arc::new(Date32Array::from(days))
    }

    /// Returns the agreements of that many rows.
    pub(super) fn agreements(&self, rows: usize) -> ArrayRef {
        let names = self.each(rows).map(|origin| origin.agreement.as_str());
        Arc::new(StringArray::from(names.collect::<Vec<_>>()))
    }

    /// Returns the origin of each row.
    fn each(&self, rows: usize) -> impl Iterator<Item = &Origin> {
        let ends = self.runs.iter().skip(1).map(|(first, _)| *first);
        let ends = ends.chain([rows]);
        let runs = self.runs.iter().zip(ends);
        runs.flat_map(|((first, origin), end)| {
            std::iter::repeat_n(&**origin, end.saturating_sub(*first))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(day: i32) -> Arc<Origin> {
        let agreement = format!("a{day}");
        Arc::new(Origin { day, agreement })
    }

    fn days(origins: &Origins, rows: usize) -> Vec<i32> {
        origins.each(rows).map(|origin| origin.day).collect()
    }

    #[test]
    fn remembers_where_each_extract_begins() {
        let mut origins = Origins::default();
        origins.begin(0, origin(1));
        // An extract without rows of the table.
        origins.begin(2, origin(2));
        origins.begin(2, origin(3));
        let taken = origins.take();
        assert_eq!(days(&taken, 5), [1, 1, 3, 3, 3]);
        assert_eq!(taken.dates(5).len(), 5);
        assert_eq!(taken.agreements(2).len(), 2);
        // The extract continues in the next batch.
        origins.begin(1, origin(4));
        assert_eq!(days(&origins.take(), 3), [3, 4, 4]);
        origins.begin(0, origin(5));
        assert_eq!(days(&origins.take(), 1), [5]);
    }
}
