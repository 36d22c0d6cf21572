//! The rows of `out_of_scope` and `into_scope`.

use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::columns::LeaverRow;
use crate::columns::schema::{ColumnId, TableId};
use crate::predicate::{Predicate, Row, RowCell};
use crate::selection::PolicyScope;

impl Row for LeaverRow {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        match column {
            ColumnId::Number => RowCell::Text(&self.digits),
            ColumnId::Reason => RowCell::Text(self.reason.as_bytes()),
            ColumnId::Day => self
                .day
                .map_or(RowCell::Null, |day| RowCell::Number(day.into())),
            _ => RowCell::Null,
        }
    }
}

/// Iterates over the rows of persons who have left the scope or come into it, sorted by number.
pub(crate) struct ScopeRows {
    scope: Arc<PolicyScope>,
    persons: <RoaringTreemap as IntoIterator>::IntoIter,
    predicate: Option<Predicate>,
}

impl ScopeRows {
    /// Returns the rows of that table, or `None` if it is another one.
    pub(crate) fn new(
        table: TableId,
        scope: &Arc<PolicyScope>,
        predicate: Option<Predicate>,
    ) -> Option<Self> {
        let persons = match table {
            TableId::OutOfScope => scope.leavers.all(),
            TableId::IntoScope => &scope.entered,
            TableId::Layout(_) | TableId::Unknown | TableId::Rejected => return None,
        };
        Some(Self {
            persons: persons.clone().into_iter(),
            scope: scope.clone(),
            predicate,
        })
    }
}

impl Iterator for ScopeRows {
    type Item = LeaverRow;

    fn next(&mut self) -> Option<LeaverRow> {
        loop {
            let person = self.persons.next()?;
            let row = LeaverRow {
                digits: digits(person),
                reason: self.scope.leavers.reason(person).unwrap_or_default(),
                day: self.scope.produced(),
            };
            let predicate = self.predicate.as_ref();
            if predicate.is_none_or(|predicate| predicate.is_met(&row)) {
                return Some(row);
            }
        }
    }
}

/// Returns a person number as its ten digits.
fn digits(mut person: u64) -> [u8; 10] {
    let mut digits = [b'0'; 10];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (person % 10) as u8;
        person /= 10;
    }
    digits
}
