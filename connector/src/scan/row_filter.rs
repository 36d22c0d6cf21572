//! Decides which records a scan returns, and which of their columns are masked.

use super::state_rows::StateRows;
use crate::columns::schema::{ColumnId, TableId};
use crate::columns::{Origin, RecordBuffer, RowMask, can_hold_number, redacted_text};
use crate::layout::{self, Column, Sensitivity, Table};
use crate::policy::{NumberRule, ProtectionRule, Rules, relatives, row_bits};
use crate::predicate::{Predicate, Row, RowCell};
use crate::record::{RecordClass, pnr_number};
use crate::selection::{PolicyScope, ScannedExtract, SelectedPersons};
use crate::value;

/// Filters the records of a scan by person, policy and predicate.
pub(crate) struct RowFilter {
    chosen: Option<SelectedPersons>,
    /// Which records of the open extract are part of the state, in a scan of a state.
    state: Option<StateRows>,
    /// The filters by index in [`crate::columns::schema::all_tables`].
    tables: Vec<Option<TableFilter>>,
    buffer: RecordBuffer,
    /// The access of the last person, because a person's records usually follow each other.
    last: Option<(u64, PersonAccess)>,
}

/// The conditions on the records of one table.
pub(crate) struct TableFilter {
    relatives: Vec<Relative>,
    /// The requested rows, of those that the policy lets through.
    predicate: Option<Predicate>,
}

/// A relative whom columns of a table are about.
struct Relative {
    number: &'static Column,
    /// The columns that are filled if the relative has protection.
    marks: Vec<&'static Column>,
}

/// Whether a person's records are returned, and whether the person is protected.
#[derive(Clone, Copy)]
struct PersonAccess {
    is_selected: bool,
    is_protected: bool,
    /// Whether the person's records in the open extract of a state are part of the state. True without a state.
    is_current: bool,
}

impl TableFilter {
    pub(crate) fn new(
        id: TableId,
        scope: Option<&PolicyScope>,
        predicate: Option<Predicate>,
    ) -> Self {
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
        Self {
            relatives,
            predicate,
        }
    }
}

/// Returns the columns of a table that are filled if that relative has protection.
fn marks(table: &'static Table, number: &Column) -> Vec<&'static Column> {
    let is_mark = |column: &&'static Column| {
        column.relative == Some(number.name) && column.sensitivity == Some(Sensitivity::Protection)
    };
    table.columns.iter().filter(is_mark).collect()
}

impl RowFilter {
    pub(crate) fn new(chosen: Option<SelectedPersons>, tables: Vec<Option<TableFilter>>) -> Self {
        let state = chosen.as_ref().and_then(|chosen| chosen.state.as_ref());
        Self {
            state: state.map(StateRows::new),
            chosen,
            tables,
            buffer: RecordBuffer::default(),
            last: None,
        }
    }

    /// Begins an extract of a state.
    pub(crate) fn begin_extract(&mut self, extract: ScannedExtract) {
        self.last = None;
        if let Some(state) = &mut self.state {
            state.begin(extract);
        }
    }

    /// Returns whether [`may_return`](Self::may_return) can sort out records of a table.
    pub(crate) fn can_sort_out(&self, index: usize) -> bool {
        self.shows_all() && self.predicate(index).is_some_and(Predicate::has_ranges)
    }

    /// Returns whether a record of that table may be returned, by its bytes alone. `false` is certain.
    #[inline]
    pub(crate) fn may_return(&self, index: usize, record: &[u8]) -> bool {
        let Some(Some(filter)) = self.tables.get(index) else {
            // The table is not requested.
            return false;
        };
        // A record that ends before the fields of the condition has spaces there, and `apply` must add them first.
        !self.shows_all()
            || filter.predicate.as_ref().is_none_or(|predicate| {
                record.len() < predicate.end() || predicate.may_be_met(record)
            })
    }

    /// Returns whether records are returned unchanged, of all persons.
    #[inline]
    fn shows_all(&self) -> bool {
        self.chosen.is_none() && self.state.is_none()
    }

    fn predicate(&self, index: usize) -> Option<&Predicate> {
        self.tables.get(index)?.as_ref()?.predicate.as_ref()
    }

    /// Returns the mask for a record, or `None` if the record is not returned. `index` is the index of its table.
    pub(crate) fn apply(
        &mut self,
        class: RecordClass,
        index: usize,
        record: &[u8],
        line: u64,
    ) -> Option<RowMask> {
        let table = match class {
            RecordClass::Known(index) => layout::tables().get(index),
            RecordClass::Unknown(_) | RecordClass::Rejected(_) => None,
        };
        if self.shows_all() {
            return self.meets_predicate(class, table, index, record, line);
        }
        let person = table
            .filter(|table| table.is_keyed())
            .map(|_| pnr_number(record.get(3..13).unwrap_or_default()));
        let access = match person {
            Some(person) => self.access(person),
            // Records without a person: a policy that shows such a table shows all of it.
            None => PersonAccess {
                is_selected: self
                    .chosen
                    .as_ref()
                    .is_none_or(|chosen| chosen.scope.is_some()),
                is_protected: false,
                is_current: true,
            },
        };
        if !access.is_selected {
            return None;
        }
        if let (Some(state), Some(person)) = (&mut self.state, person)
            && !state.takes(index, person, record, access.is_current)
        {
            return None;
        }
        let origin = self.state.as_ref().and_then(StateRows::origin);
        let filter = self.tables.get(index)?.as_ref()?;
        let scope = self
            .chosen
            .as_ref()
            .and_then(|chosen| chosen.scope.as_deref());
        let (Some(table), Some(scope)) = (table, scope) else {
            return self.meets_predicate(class, table, index, record, line);
        };
        let rules = &*scope.rules;
        if rules.hides_row(table, record) {
            return None;
        }
        self.buffer.load(record);
        let mask = row_mask(table, rules, access.is_protected, &self.buffer, false);
        let mask = RowMask {
            relatives: masked_relatives(filter, &self.buffer, scope),
            ..mask
        };
        // The predicates see the masked row, because the presence of a row must not reveal a masked value. A policy
        // that may reveal hidden classes selects its rows before these are removed.
        let selecting = match rules.may_reveal {
            true => RowMask {
                relatives: mask.relatives,
                ..row_mask(table, rules, access.is_protected, &self.buffer, true)
            },
            false => mask,
        };
        for (predicate, mask) in [
            (rules.rows(index), selecting),
            (filter.predicate.as_ref(), mask),
        ] {
            if mask.is_coarse {
                self.buffer.remove_times(table.timestamps());
            }
            let row = MaskedRecord {
                record: self.buffer.bytes(),
                line,
                origin,
                view: Some((table, rules, mask)),
            };
            if !passes(predicate, &row) {
                return None;
            }
        }
        Some(mask)
    }

    /// Returns an empty mask for a record of which nothing is hidden, or `None` if it does not meet the predicate.
    #[inline]
    fn meets_predicate(
        &mut self,
        class: RecordClass,
        table: Option<&'static Table>,
        index: usize,
        record: &[u8],
        line: u64,
    ) -> Option<RowMask> {
        let filter = self.tables.get(index)?.as_ref()?;
        let Some(predicate) = &filter.predicate else {
            return Some(RowMask::default());
        };
        let is_met = match table {
            None => predicate.is_met(&RawLine {
                class,
                record,
                line,
            }),
            Some(_) => {
                // A record that ends before the fields of the predicate is filled up with spaces.
                let record = match record.len() >= predicate.end() {
                    true => record,
                    false => {
                        self.buffer.load(record);
                        self.buffer.bytes()
                    }
                };
                predicate.may_be_met(record)
                    && predicate.is_met(&MaskedRecord {
                        record,
                        line,
                        origin: self.state.as_ref().and_then(StateRows::origin),
                        view: None,
                    })
            }
        };
        is_met.then(RowMask::default)
    }

    fn access(&mut self, person: u64) -> PersonAccess {
        if let Some((last, access)) = self.last
            && last == person
        {
            return access;
        }
        let access = match &self.chosen {
            None => PersonAccess {
                is_selected: true,
                is_protected: false,
                is_current: true,
            },
            Some(chosen) => {
                let scope = chosen.scope.as_ref();
                let state = self.state.as_ref();
                PersonAccess {
                    is_selected: chosen.contains(person),
                    is_protected: scope.is_some_and(|scope| scope.is_protected(person)),
                    is_current: state.is_none_or(|state| state.is_current(person)),
                }
            }
        };
        self.last = Some((person, access));
        access
    }
}

fn passes(predicate: Option<&Predicate>, row: &impl Row) -> bool {
    predicate.is_none_or(|predicate| predicate.is_met(row))
}

/// Returns what is masked in a row, apart from its relatives. `reveals` leaves out what only hidden classes mask.
fn row_mask(
    table: &'static Table,
    rules: &Rules,
    is_protected: bool,
    record: &RecordBuffer,
    reveals: bool,
) -> RowMask {
    let own = is_protected && rules.protection == ProtectionRule::Mask;
    let field = |column: &Column| record.field(column.start(), column.end());
    let rows = rules.row_bits(table, own, reveals, field);
    RowMask {
        is_protected,
        own,
        relatives: 0,
        rows,
        is_coarse: rows & row_bits::EVENT != 0,
    }
}

/// Returns the relatives of a row who are protected, or who cannot be proven not to be.
fn masked_relatives(filter: &TableFilter, record: &RecordBuffer, scope: &PolicyScope) -> u32 {
    let field = |column: &Column| record.field(column.start(), column.end());
    let mut masked = 0;
    for (index, relative) in filter.relatives.iter().enumerate() {
        let number = field(relative.number);
        let is_known = value::is_pnr(number) && !value::is_blank_pnr(number);
        let is_marked = || {
            relative
                .marks
                .iter()
                .any(|mark| !value::is_spaces(field(mark)))
        };
        if !is_known || scope.is_protected(pnr_number(number)) || is_marked() {
            masked |= 1 << index;
        }
    }
    masked
}

/// A record with a layout, as a predicate sees it.
struct MaskedRecord<'a> {
    /// The bytes of the record, which has all fields that the predicate names.
    record: &'a [u8],
    line: u64,
    /// The extract, in a scan of a state.
    origin: Option<&'a Origin>,
    /// The table, the rules and the mask to apply; `None` for the unmasked record.
    view: Option<(&'a Table, &'a Rules, RowMask)>,
}

impl Row for MaskedRecord<'_> {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        match column {
            ColumnId::Field(field) => {
                let is_hidden = self.view.is_some_and(|(table, rules, mask)| {
                    mask.hides(rules.column_mask(table, field))
                });
                let raw = self.record.get(field.start()..field.end());
                let raw = raw.unwrap_or_default();
                // A text with a person number is not comparable where numbers are not kept.
                let is_redacted = || {
                    self.view.is_some_and(|(table, rules, _)| {
                        rules.numbers != NumberRule::Keep
                            && can_hold_number(table, field)
                            && redacted_text(field, raw).is_some()
                    })
                };
                match is_hidden || is_redacted() {
                    true => RowCell::Null,
                    false => RowCell::of_field(field, raw),
                }
            }
            ColumnId::Line => RowCell::Number(self.line as i64),
            ColumnId::AsOf => self
                .origin
                .map_or(RowCell::Null, |origin| RowCell::Number(origin.day.into())),
            ColumnId::Agreement => self.origin.map_or(RowCell::Null, |origin| {
                RowCell::Text(origin.agreement.as_bytes())
            }),
            ColumnId::Protected => match self.view {
                Some((_, _, mask)) => RowCell::Flag(mask.is_protected),
                None => RowCell::Null,
            },
            _ => RowCell::Null,
        }
    }
}

/// A line without a layout, as a predicate sees it.
struct RawLine<'a> {
    class: RecordClass,
    record: &'a [u8],
    line: u64,
}

impl Row for RawLine<'_> {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        match (column, self.class) {
            (ColumnId::Line, _) => RowCell::Number(self.line as i64),
            (ColumnId::Raw, _) => RowCell::Text(self.record),
            (ColumnId::RecordType, _) => RowCell::Text(self.record.get(..3).unwrap_or_default()),
            (ColumnId::Reason, RecordClass::Rejected(reason)) => {
                RowCell::Text(reason.name().as_bytes())
            }
            _ => RowCell::Null,
        }
    }
}
