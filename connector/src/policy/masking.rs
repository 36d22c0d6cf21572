//! Which columns are masked for protected persons and their relatives.

use super::{NumberRule, ProtectionRule, Rules};
use crate::columns::schema::{ColumnId, TableId};
use crate::columns::{ColumnMask, ReadColumn};
use crate::layout::{Column, Kind, Places, Sensitivity, Table};

impl Rules {
    /// Describes what the policy hides of a column of that table.
    pub(crate) fn read_column(&self, table: TableId, column: ColumnId) -> ReadColumn {
        match (table, column) {
            (TableId::Layout(table), ColumnId::Field(field)) => ReadColumn {
                id: column,
                mask: self.column_mask(table, field),
                shows_irregular: self.shows_irregular(field),
                redacts: self.numbers != NumberRule::Keep,
            },
            _ => ReadColumn::unmasked(column),
        }
    }

    /// Returns the conditions under which a column of that table is masked.
    pub(crate) fn column_mask(&self, table: &Table, column: &Column) -> ColumnMask {
        let rows = Self::column_bits(table, column);
        if self.protection == ProtectionRule::Include {
            return ColumnMask {
                rows,
                ..ColumnMask::default()
            };
        }
        let is_name_or_address = matches!(
            column.sensitivity,
            Some(Sensitivity::Name | Sensitivity::Address)
        );
        let is_masked = is_name_or_address
            || column.sensitivity == Some(Sensitivity::FreeText)
            || column.places == Places::Yes;
        // A policy that drops protected persons hides their numbers and everything else about them as relatives.
        let of_relative = is_name_or_address || self.protection == ProtectionRule::Drop;
        let relative_index = || {
            let mut relatives = relatives(table);
            column
                .relative
                .and_then(|name| relatives.position(|number| number.name == name))
        };
        ColumnMask {
            own: is_masked && self.protection == ProtectionRule::Mask,
            relative: match relative_index().filter(|_| of_relative) {
                Some(index) => 1 << index,
                None => 0,
            },
            rows,
        }
    }

    /// Returns whether `irregular` may show a column's raw text. It may not where numbers are hidden and the column
    /// holds one.
    fn shows_irregular(&self, column: &Column) -> bool {
        column.kind != Kind::Pnr || self.numbers == NumberRule::Keep
    }
}

/// Returns the columns with the numbers of those relatives whom other columns of the table are about.
pub(crate) fn relatives(table: &Table) -> impl Iterator<Item = &'static Column> {
    let has_columns = |number: &&'static Column| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.relative == Some(number.name))
    };
    table.columns.iter().filter(has_columns)
}
