//! The order in which rows are returned under a policy.
//!
//! Rows in the order of the extract tell more than their values. The rows at the same place of two tables with one row
//! for each person belong to the same person, and so do those of the tables of two tenants. So the order of the extract
//! stays only where the rows show whose they are anyway. Elsewhere, rows are sorted by what they show.
//!
//! Sorting everything would need memory for the whole extract. Rows are collected up to [`BUDGET`], and then the table
//! with the most bytes is sorted and returned.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::row::{Row, RowConverter, SortField};

use super::reader::TableBatch;
use crate::policy::NumberRule;

/// The bytes of rows that are collected, of all tables together. Copies of one table's rows come on top while they are
/// sorted.
const BUDGET: usize = 64 << 20;

/// The column with the number of the row's person, and the column with the number of the record in the extract.
const PERSON: &str = "pnr";
pub(super) const LINE: &str = "line";

/// The rows that wait to be sorted, and those that are.
#[derive(Default)]
pub(super) struct RowOrder {
    collected: Vec<Collected>,
    bytes: usize,
    ready: VecDeque<TableBatch>,
}

/// The rows of one table that wait to be sorted.
struct Collected {
    table: String,
    batches: Vec<RecordBatch>,
    bytes: usize,
    /// The largest number of rows in a batch so far.
    batch_rows: usize,
    order: Order,
}

/// The order of a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The order of the extract.
    Extract,
    /// Sorted by the pseudonym of the person in this column. The rows of one person stay in the order of the extract.
    Person(usize),
    /// Sorted by all columns.
    Content,
}

impl Order {
    /// Returns the order of the rows of a table under a policy that treats person numbers like this. `is_of_persons`
    /// tells whether the rows belong to persons.
    pub(super) fn of(schema: &Schema, is_of_persons: bool, numbers: NumberRule) -> Self {
        // If there are record numbers, the policy hides nothing.
        if !is_of_persons || schema.column_with_name(LINE).is_some() {
            return Self::Extract;
        }
        match (schema.column_with_name(PERSON), numbers) {
            (Some(_), NumberRule::Keep) => Self::Extract,
            (Some((index, _)), NumberRule::Pseudonym) => Self::Person(index),
            (None, _) | (Some(_), NumberRule::Drop) => Self::Content,
        }
    }
}

impl RowOrder {
    /// Takes a batch of `bytes` bytes. [`next`](Self::next) returns its rows when it is their turn.
    pub(super) fn add(
        &mut self,
        batch: TableBatch,
        order: Order,
        bytes: usize,
    ) -> Result<(), ArrowError> {
        if order == Order::Extract {
            self.ready.push_back(batch);
            return Ok(());
        }
        let rows = batch.batch.num_rows();
        let known = self
            .collected
            .iter()
            .position(|one| one.table == batch.table);
        let index = known.unwrap_or_else(|| {
            self.collected.push(Collected {
                table: batch.table,
                batches: Vec::new(),
                bytes: 0,
                batch_rows: 0,
                order,
            });
            self.collected.len() - 1
        });
        if let Some(own) = self.collected.get_mut(index) {
            own.batches.push(batch.batch);
            own.bytes += bytes;
            own.batch_rows = own.batch_rows.max(rows);
        }
        self.bytes += bytes;
        match self.bytes > BUDGET {
            true => self.sort_largest(),
            false => Ok(()),
        }
    }

    /// Returns the next batch that is ready.
    pub(super) fn next(&mut self) -> Option<TableBatch> {
        self.ready.pop_front()
    }

    /// Sorts the rows of one table that still wait. Returns `false` if there are none.
    pub(super) fn finish_one(&mut self) -> Result<bool, ArrowError> {
        let waits = !self.collected.is_empty();
        if waits {
            self.sort_largest()?;
        }
        Ok(waits)
    }

    fn sort_largest(&mut self) -> Result<(), ArrowError> {
        let all = self.collected.iter().enumerate();
        let Some((index, _)) = all.max_by_key(|(_, one)| one.bytes) else {
            return Ok(());
        };
        let own = self.collected.swap_remove(index);
        self.bytes -= own.bytes;
        let Some(schema) = own.batches.first().map(RecordBatch::schema) else {
            return Ok(());
        };
        let rows = concat_batches(&schema, &own.batches)?;
        drop(own.batches);
        let sorted = sorted(&rows, own.order)?;
        drop(rows);
        let mut from = 0;
        while from < sorted.num_rows() {
            let count = own.batch_rows.min(sorted.num_rows() - from);
            self.ready.push_back(TableBatch {
                table: own.table.clone(),
                batch: sorted.slice(from, count),
            });
            from += count;
        }
        Ok(())
    }
}

/// Returns the rows in their order. Rows with equal keys stay in the order of the extract.
fn sorted(rows: &RecordBatch, order: Order) -> Result<RecordBatch, ArrowError> {
    let keys: Vec<ArrayRef> = match order {
        Order::Extract => Vec::new(),
        Order::Person(index) => rows.columns().get(index).cloned().into_iter().collect(),
        Order::Content => rows.columns().to_vec(),
    };
    if keys.is_empty() {
        return Ok(rows.clone());
    }
    let field = |key: &ArrayRef| SortField::new(key.data_type().clone());
    let converter = RowConverter::new(keys.iter().map(field).collect())?;
    let encoded = converter.convert_columns(&keys)?;
    let mut places: Vec<(Row<'_>, u64)> = encoded.iter().zip(0..).collect();
    places.sort_by_key(|(row, _)| *row);
    let places = UInt64Array::from_iter_values(places.into_iter().map(|(_, place)| place));
    drop(encoded);
    take_record_batch(rows, &places)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{AsArray, Int64Array, RecordBatchOptions, StringArray};
    use arrow::datatypes::{DataType, Field, Int64Type};

    fn batch(numbers: &[Option<&str>], values: &[i64]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            (
                PERSON,
                Arc::new(StringArray::from(numbers.to_vec())) as ArrayRef,
                true,
            ),
            ("value", Arc::new(Int64Array::from(values.to_vec())), true),
        ])
        .unwrap()
    }

    fn values(batch: &RecordBatch) -> Vec<i64> {
        batch
            .column(1)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    }

    #[test]
    fn the_order_depends_on_whose_rows_are_shown() {
        let schema = |names: &[&str]| {
            let field = |name: &&str| Field::new(*name, DataType::Utf8, true);
            Schema::new(names.iter().map(field).collect::<Vec<_>>())
        };
        let number = schema(&["status", PERSON]);
        assert_eq!(Order::of(&number, true, NumberRule::Keep), Order::Extract);
        assert_eq!(
            Order::of(&number, true, NumberRule::Pseudonym),
            Order::Person(1)
        );
        // A table whose number a list of columns leaves out can be joined with others by position alone.
        for numbers in [NumberRule::Keep, NumberRule::Pseudonym, NumberRule::Drop] {
            let without = schema(&["status"]);
            assert_eq!(Order::of(&without, true, numbers), Order::Content);
            assert_eq!(Order::of(&without, false, numbers), Order::Extract);
            let open = schema(&["status", LINE]);
            assert_eq!(Order::of(&open, true, numbers), Order::Extract);
        }
    }

    #[test]
    fn the_rows_of_a_person_keep_their_order() {
        let rows = batch(
            &[Some("c"), Some("a"), Some("c"), None, Some("a"), Some("c")],
            &[6, 9, 5, 7, 8, 4],
        );
        let by_person = sorted(&rows, Order::Person(0)).unwrap();
        assert_eq!(values(&by_person), [7, 9, 8, 6, 5, 4]);
        let by_content = sorted(&rows, Order::Content).unwrap();
        assert_eq!(values(&by_content), [7, 8, 9, 4, 5, 6]);
        assert_eq!(sorted(&rows, Order::Extract).unwrap(), rows);
    }

    #[test]
    fn returns_every_row_once_in_batches_of_the_same_size() {
        let mut order = RowOrder::default();
        let add = |order: &mut RowOrder, table: &str, how, values: &[i64]| {
            let batch = batch(&vec![None; values.len()], values);
            let table = table.to_owned();
            order.add(TableBatch { table, batch }, how, 100).unwrap();
        };
        add(&mut order, "a", Order::Content, &[5, 3]);
        add(&mut order, "b", Order::Extract, &[2, 1]);
        add(&mut order, "a", Order::Content, &[4]);
        // Rows that stay in the order of the extract do not wait.
        assert_eq!(values(&order.next().unwrap().batch), [2, 1]);
        assert!(order.next().is_none());
        assert!(order.finish_one().unwrap());
        let batches: Vec<_> = std::iter::from_fn(|| order.next()).collect();
        let found: Vec<_> = batches.iter().map(|one| values(&one.batch)).collect();
        assert_eq!(found, [vec![3, 4], vec![5]]);
        assert!(batches.iter().all(|one| one.table == "a"));
        assert!(!order.finish_one().unwrap());
    }

    /// Memory is bounded: the largest table is returned when the rows of all tables are too many.
    #[test]
    fn sorts_the_largest_table_when_the_budget_is_used() {
        let mut order = RowOrder::default();
        let mut add = |table: &str, value, bytes| {
            let batch = batch(&[None], &[value]);
            let table = table.to_owned();
            let added = order.add(TableBatch { table, batch }, Order::Content, bytes);
            added.unwrap();
            order.next().map(|one| (one.table, values(&one.batch)))
        };
        assert_eq!(add("small", 1, BUDGET / 4), None);
        assert_eq!(add("large", 3, BUDGET / 2), None);
        let returned = add("large", 2, BUDGET / 2);
        // Batches of one row came in, so batches of one row come out.
        assert_eq!(returned, Some(("large".to_owned(), vec![2])));
        assert_eq!(add("small", 0, 1), Some(("large".to_owned(), vec![3])));
        assert_eq!(order.bytes, BUDGET / 4 + 1);
        assert!(order.finish_one().unwrap());
        let rest: Vec<_> = std::iter::from_fn(|| order.next()).collect();
        assert_eq!(rest.len(), 2);
    }

    #[test]
    fn sorts_rows_with_maps() {
        use arrow::array::{MapBuilder, StringBuilder};
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for text in [Some("b"), None, Some("a}"), Some("a")] {
            if let Some(text) = text {
                map.keys().append_value("column");
                map.values().append_value(text);
            }
            map.append(text.is_some()).unwrap();
        }
        let map = map.finish();
        let rows = RecordBatch::try_from_iter_with_nullable([
            ("irregular", Arc::new(map) as ArrayRef, true),
            ("value", Arc::new(Int64Array::from(vec![7, 8, 9, 6])), true),
        ])
        .unwrap();
        let by_map = sorted(&rows, Order::Content).unwrap();
        assert_eq!(values(&by_map), [8, 6, 9, 7]);
    }

    #[test]
    fn rows_without_columns_have_no_order() {
        let count = RecordBatchOptions::new().with_row_count(Some(3));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &count);
        let rows = rows.unwrap();
        assert_eq!(sorted(&rows, Order::Content).unwrap(), rows);
    }
}
