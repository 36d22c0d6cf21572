//! Which records a scan lets through, and what of them is masked.

use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::layout::{self, Column, Sensitivity, Table};
use crate::policy::{ProtectionRule, Rules};
use crate::predicate::{Predicate, Row, RowCell};
use crate::schema::{ColumnId, TableId};
use crate::scratch::Scratch;
use crate::selection::{Chosen, Scope};
use crate::tally::{Class, pnr_number};
use crate::value;

/// What stands between a scan's records and its tables, where not every record passes as it stands.
pub(crate) struct Gate {
    chosen: Option<Chosen>,
    /// By place in [`crate::schema::all_tables`].
    tables: Vec<Option<TableGate>>,
    scratch: Scratch,
    /// A person's records stand together more often than not.
    last: Option<(u64, Standing)>,
}

/// What is asked of the records of a table.
pub(crate) struct TableGate {
    relatives: Vec<Relative>,
    /// Which rows whoever scans wants, of what is let through.
    wanted: Option<Predicate>,
}

/// A relative whom columns of a table tell about.
struct Relative {
    number: &'static Column,
    /// Columns that are filled where the relative has protection.
    marks: Vec<&'static Column>,
}

/// What a person is to the scan.
#[derive(Clone, Copy)]
struct Standing {
    is_in: bool,
    is_protected: bool,
}

/// What is hidden of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    /// What the column `protected` says.
    pub(crate) is_protected: bool,
    /// Columns about the row's own person are masked.
    own: bool,
    /// Columns about these relatives are masked, by place in [`relatives`].
    relatives: u32,
}

/// By what a column is masked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masking {
    own: bool,
    relative: u32,
}

impl Mask {
    /// Whether a column is null in the row.
    #[inline]
    pub(crate) fn hides(self, masking: Masking) -> bool {
        self.own && masking.own || self.relatives & masking.relative != 0
    }

    /// Whether anything can be null in the row because of it.
    pub(crate) fn is_empty(self) -> bool {
        !self.own && self.relatives == 0
    }
}

impl Masking {
    /// By what a column of that table is masked.
    pub(crate) fn of(table: &Table, column: &Column, rules: &Rules) -> Self {
        if rules.protection == ProtectionRule::Include {
            return Self::default();
        }
        let is_name_or_address = matches!(
            column.sensitivity,
            Some(Sensitivity::Name | Sensitivity::Address)
        );
        let is_masked = is_name_or_address || column.sensitivity == Some(Sensitivity::FreeText);
        let place = || {
            let mut relatives = relatives(table);
            column
                .relative
                .and_then(|name| relatives.position(|number| number.name == name))
        };
        Self {
            own: is_masked && rules.protection == ProtectionRule::Mask,
            relative: match place().filter(|_| is_name_or_address) {
                Some(place) => 1 << place,
                None => 0,
            },
        }
    }
}

/// The columns with the numbers of relatives whom other columns of the table tell about.
fn relatives(table: &Table) -> impl Iterator<Item = &'static Column> {
    let is_told_about = |number: &&'static Column| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.relative == Some(number.name))
    };
    table.columns.iter().filter(is_told_about)
}

impl TableGate {
    pub(crate) fn new(id: TableId, scope: Option<&Scope>, wanted: Option<Predicate>) -> Self {
        let is_masked = scope.is_some_and(|s| s.rules.protection != ProtectionRule::Include);
        let relatives = match id {
            TableId::Layout(table) if is_masked => {
                let relative = |number: &'static Column| Relative {
                    number,
                    marks: marks(table, number),
                };
                relatives(table).map(relative).collect()
            }
            _ => Vec::new(),
        };
        Self { relatives, wanted }
    }
}

/// The columns of a table that are filled where that relative has protection.
fn marks(table: &'static Table, number: &Column) -> Vec<&'static Column> {
    let is_mark = |column: &&'static Column| {
        column.relative == Some(number.name) && column.sensitivity == Some(Sensitivity::Protection)
    };
    table.columns.iter().filter(is_mark).collect()
}

impl Gate {
    pub(crate) fn new(chosen: Option<Chosen>, tables: Vec<Option<TableGate>>) -> Self {
        Self {
            chosen,
            tables,
            scratch: Scratch::default(),
            last: None,
        }
    }

    /// Whether a record passes, and what of it is masked; `place` is its table's.
    pub(crate) fn pass(
        &mut self,
        class: Class,
        place: usize,
        record: &[u8],
        line: u64,
    ) -> Option<Mask> {
        let table = match class {
            Class::Known(index) => layout::tables().get(index),
            Class::Unknown(_) | Class::Rejected(_) => None,
        };
        let standing = match table.filter(|table| table.is_keyed()) {
            Some(_) => self.standing(pnr_number(record.get(3..13).unwrap_or_default())),
            // Lines of nobody: where a policy shows such a table at all, it shows all of it.
            None => Standing {
                is_in: self
                    .chosen
                    .as_ref()
                    .is_none_or(|chosen| chosen.scope.is_some()),
                is_protected: false,
            },
        };
        if !standing.is_in {
            return None;
        }
        let gate = self.tables.get(place)?.as_ref()?;
        let scope = self
            .chosen
            .as_ref()
            .and_then(|chosen| chosen.scope.as_deref());
        let Some(table) = table else {
            return passes(
                gate.wanted.as_ref(),
                &Line {
                    class,
                    record,
                    line,
                },
            )
            .then(Mask::default);
        };
        let Some(scope) = scope else {
            let Some(wanted) = &gate.wanted else {
                return Some(Mask::default());
            };
            self.scratch.load(record);
            let row = Record::bare(&self.scratch, line);
            return wanted.is_met(&row).then(Mask::default);
        };
        if scope.rules.hides_event(table, record) {
            return None;
        }
        self.scratch.load(record);
        let rules = &*scope.rules;
        let mask = Mask {
            is_protected: standing.is_protected,
            own: standing.is_protected && rules.protection == ProtectionRule::Mask,
            relatives: masked_relatives(gate, &self.scratch, scope),
        };
        // Through the mask: that a row is there must not tell what is masked in it.
        let row = Record {
            scratch: &self.scratch,
            line,
            let_through: Some((table, rules, mask)),
        };
        let is_shown = passes(rules.rows(place), &row) && passes(gate.wanted.as_ref(), &row);
        is_shown.then_some(mask)
    }

    fn standing(&mut self, person: u64) -> Standing {
        if let Some((last, standing)) = self.last
            && last == person
        {
            return standing;
        }
        let standing = match &self.chosen {
            None => Standing {
                is_in: true,
                is_protected: false,
            },
            Some(chosen) => {
                let scope = chosen.scope.as_ref();
                Standing {
                    is_in: chosen.persons.contains(person)
                        || scope.is_some_and(|scope| scope.comes_once_more(person)),
                    is_protected: scope.is_some_and(|scope| scope.is_protected(person)),
                }
            }
        };
        self.last = Some((person, standing));
        standing
    }
}

fn passes(predicate: Option<&Predicate>, row: &impl Row) -> bool {
    predicate.is_none_or(|predicate| predicate.is_met(row))
}

/// Which relatives of a row are protected, or may be for all that is known.
fn masked_relatives(gate: &TableGate, record: &Scratch, scope: &Scope) -> u32 {
    let field = |column: &Column| record.field(column.start(), column.end());
    let mut masked = 0;
    for (place, relative) in gate.relatives.iter().enumerate() {
        let number = field(relative.number);
        let is_known = value::is_pnr(number) && !value::is_nobody(number);
        let is_marked = || {
            relative
                .marks
                .iter()
                .any(|mark| !value::is_spaces(field(mark)))
        };
        if !is_known || scope.is_protected(pnr_number(number)) || is_marked() {
            masked |= 1 << place;
        }
    }
    masked
}

/// A record of a layout, as a predicate sees it.
struct Record<'a> {
    scratch: &'a Scratch,
    line: u64,
    /// The table, the rules and the mask through which it is seen; none for the record itself.
    let_through: Option<(&'a Table, &'a Rules, Mask)>,
}

impl<'a> Record<'a> {
    fn bare(scratch: &'a Scratch, line: u64) -> Self {
        Self {
            scratch,
            line,
            let_through: None,
        }
    }
}

impl Row for Record<'_> {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        match column {
            ColumnId::Field(field) => {
                let is_hidden = self.let_through.is_some_and(|(table, rules, mask)| {
                    mask.hides(Masking::of(table, field, rules))
                });
                let raw = self.scratch.field(field.start(), field.end());
                match is_hidden {
                    true => RowCell::Null,
                    false => RowCell::of_field(field, raw),
                }
            }
            ColumnId::Line => RowCell::Number(self.line as i64),
            ColumnId::Protected => match self.let_through {
                Some((_, _, mask)) => RowCell::Flag(mask.is_protected),
                None => RowCell::Null,
            },
            _ => RowCell::Null,
        }
    }
}

/// A line that is no record of a layout, as a predicate sees it.
struct Line<'a> {
    class: Class,
    record: &'a [u8],
    line: u64,
}

impl Row for Line<'_> {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        match (column, self.class) {
            (ColumnId::Line, _) => RowCell::Number(self.line as i64),
            (ColumnId::Raw, _) => RowCell::Text(self.record),
            (ColumnId::RecordType, _) => RowCell::Text(self.record.get(..3).unwrap_or_default()),
            (ColumnId::Reason, Class::Rejected(reason)) => RowCell::Text(reason.name().as_bytes()),
            _ => RowCell::Null,
        }
    }
}

/// A person who has left, as a predicate sees it.
pub(crate) struct Leaver {
    pub(crate) digits: [u8; 10],
    pub(crate) reason: &'static str,
    pub(crate) day: Option<i32>,
}

impl Row for Leaver {
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

/// The rows of persons who have left, sorted by number.
pub(crate) struct LeaverRows {
    scope: Arc<Scope>,
    left: <RoaringTreemap as IntoIterator>::IntoIter,
    wanted: Option<Predicate>,
}

impl LeaverRows {
    pub(crate) fn new(scope: &Arc<Scope>, wanted: Option<Predicate>) -> Self {
        Self {
            left: scope.leavers.all().clone().into_iter(),
            scope: scope.clone(),
            wanted,
        }
    }
}

impl Iterator for LeaverRows {
    type Item = Leaver;

    fn next(&mut self) -> Option<Leaver> {
        loop {
            let person = self.left.next()?;
            let leaver = Leaver {
                digits: digits(person),
                reason: self.scope.leavers.reason(person).unwrap_or_default(),
                day: self.scope.produced(),
            };
            if passes(self.wanted.as_ref(), &leaver) {
                return Some(leaver);
            }
        }
    }
}

/// A person number as its ten digits.
fn digits(mut person: u64) -> [u8; 10] {
    let mut digits = [b'0'; 10];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (person % 10) as u8;
        person /= 10;
    }
    digits
}
