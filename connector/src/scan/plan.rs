//! Checks the options of a scan against the catalog and the policy, and builds the scan's parts.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::options::TableRequest;
use super::row_filter::{RowFilter, TableFilter};
use super::scope_rows::ScopeRows;
use crate::columns::schema::{ColumnId, TableId, all_tables};
use crate::columns::{ReadColumn, TableBuilder};
use crate::error::Error;
use crate::policy::{NumberRule, View, ViewTable};
use crate::predicate::{Comparable, Predicate};
use crate::selection::{PolicyScope, SelectedPersons};

/// The parts of a scan that follow from its options.
pub(crate) struct Plan {
    /// The builders by index in [`all_tables`]; `None` for tables that are not requested.
    pub(crate) builders: Vec<Option<TableBuilder>>,
    pub(crate) row_filter: Option<RowFilter>,
    /// The tables of persons who have left or come into the scope, returned last.
    pub(crate) scope_tables: Vec<ScopeTable>,
}

impl Plan {
    pub(crate) fn new(
        requests: Option<&[TableRequest]>,
        chosen: Option<&SelectedPersons>,
    ) -> Result<Self, Error> {
        let scope = chosen.and_then(|chosen| chosen.scope.as_ref());
        let visible = VisibleTables::of(chosen);
        let view = visible.view();
        let everything: Vec<TableRequest>;
        let requests = match requests {
            Some(requests) => requests,
            None => {
                everything = scannable_tables(view)
                    .map(|table| TableRequest {
                        name: table.name().to_owned(),
                        ..TableRequest::default()
                    })
                    .collect();
                &everything
            }
        };
        let mut builders: Vec<Option<TableBuilder>> = all_tables().map(|_| None).collect();
        let mut filters: Vec<Option<TableFilter>> = all_tables().map(|_| None).collect();
        let mut scope_tables = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let mut before = requests.iter().take(index);
            if before.any(|other| other.name == request.name) {
                return Err(invalid(format!(
                    "the table {:?} is requested twice",
                    request.name
                )));
            }
            let visible = visible.table(&request.name)?;
            let columns = columns(&visible, request)?;
            let predicate = row_predicate(&visible, request, scope)?;
            let builder = match scope {
                Some(scope) => {
                    let read_column =
                        |column: &ColumnId| scope.rules.read_column(visible.id, *column);
                    let read: Vec<ReadColumn> = visible.columns.iter().map(read_column).collect();
                    TableBuilder::masked(visible.id, columns, read, visible.has_tails)
                }
                None => TableBuilder::new(visible.id, columns),
            };
            if let Some(scope) = scope
                && let Some(rows) = ScopeRows::new(visible.id, scope, predicate.clone())
            {
                scope_tables.push(ScopeTable { builder, rows });
                continue;
            }
            let row_filter = TableFilter::new(visible.id, scope.map(Arc::as_ref), predicate);
            let indexes = all_tables().zip(builders.iter_mut().zip(&mut filters));
            for (id, (builder_slot, filter_slot)) in indexes {
                if id.name() == visible.id.name() {
                    *filter_slot = Some(row_filter);
                    *builder_slot = Some(builder);
                    break;
                }
            }
        }
        let has_predicates = requests.iter().any(|request| request.predicate.is_some());
        let row_filter =
            (chosen.is_some() || has_predicates).then(|| RowFilter::new(chosen.cloned(), filters));
        Ok(Self {
            builders,
            row_filter,
            scope_tables,
        })
    }
}

/// The builder of `out_of_scope` or `into_scope` and the rows that it still gets.
pub(crate) struct ScopeTable {
    builder: TableBuilder,
    rows: ScopeRows,
}

impl ScopeTable {
    pub(crate) fn id(&self) -> TableId {
        self.builder.id()
    }

    /// Returns the next batch of at most `batch_rows` rows, or `None` if there are no more rows.
    pub(crate) fn next(&mut self, batch_rows: usize) -> Result<Option<RecordBatch>, Error> {
        for row in self.rows.by_ref().take(batch_rows) {
            self.builder.push_leaver(&row);
        }
        if self.builder.rows() == 0 {
            return Ok(None);
        }
        let batch = self.builder.take().map_err(|_| Error::Internal)?;
        Ok(Some(batch))
    }
}

/// Returns every table that can be scanned.
fn scannable_tables(view: Option<&View>) -> impl Iterator<Item = TableId> {
    let of_view = view.map(|view| view.tables.iter().map(|table| table.id));
    let of_catalog = view.is_none().then(all_tables);
    let of_view = of_view.into_iter().flatten();
    of_view.chain(of_catalog.into_iter().flatten())
}

/// The tables that a scan can return.
#[derive(Clone, Copy)]
enum VisibleTables<'a> {
    /// Those of the catalog.
    Catalog,
    /// Those that a policy lets through.
    Policy(&'a View),
    /// Those of a state without a policy.
    State(&'a View),
}

impl<'a> VisibleTables<'a> {
    fn of(chosen: Option<&'a SelectedPersons>) -> Self {
        let scope = chosen.and_then(|chosen| chosen.scope.as_ref());
        let state = chosen.and_then(|chosen| chosen.state.as_ref());
        match (scope, state) {
            (Some(_), Some(state)) => Self::Policy(&state.view),
            (Some(scope), None) => Self::Policy(&scope.rules.view),
            (None, Some(state)) => Self::State(&state.view),
            (None, None) => Self::Catalog,
        }
    }

    fn view(self) -> Option<&'a View> {
        match self {
            Self::Catalog => None,
            Self::Policy(view) | Self::State(view) => Some(view),
        }
    }

    /// Returns the table of that name with its visible columns.
    fn table(self, name: &str) -> Result<ViewTable, Error> {
        let of_catalog = || TableId::by_name(name).filter(|id| all_tables().any(|one| one == *id));
        let missing = || {
            invalid(format!(
                "there is no table {name:?}; `cprflow tables` lists them"
            ))
        };
        let Some(view) = self.view() else {
            let id = of_catalog().ok_or_else(missing)?;
            return Ok(ViewTable {
                id,
                columns: id.columns(),
                has_tails: true,
            });
        };
        if let Some(table) = view.table(name) {
            return Ok(table.clone());
        }
        TableId::by_name(name).ok_or_else(missing)?;
        let names: Vec<_> = view.tables.iter().map(|table| table.id.name()).collect();
        let names = names.join(", ");
        Err(invalid(match self {
            Self::State(_) => {
                format!("the table {name:?} is not part of a state; the tables are {names}")
            }
            _ => format!("the policy hides the table {name:?}; the visible tables are {names}"),
        }))
    }
}

fn columns(visible: &ViewTable, request: &TableRequest) -> Result<Vec<ColumnId>, Error> {
    let Some(names) = &request.columns else {
        return Ok(visible.columns.clone());
    };
    let mut columns: Vec<ColumnId> = Vec::with_capacity(names.len());
    for name in names {
        if columns.iter().any(|column| column.name() == name) {
            return Err(invalid(format!("the column {name:?} is requested twice")));
        }
        let found = visible.columns.iter().find(|column| column.name() == name);
        columns.push(*found.ok_or_else(|| {
            let exists = visible
                .id
                .columns()
                .iter()
                .any(|column| column.name() == name);
            invalid(match exists {
                true => format!(
                    "the policy hides the column {name:?} of the table {:?}",
                    request.name
                ),
                false => format!(
                    "the table {:?} has no column {name:?}; `cprflow schema {}` lists them",
                    request.name, request.name
                ),
            })
        })?);
    }
    if columns.is_empty() {
        return Err(invalid(format!(
            "no column of the table {:?} is requested",
            request.name
        )));
    }
    Ok(columns)
}

/// Returns the condition on rows of a visible table, if there is one.
fn row_predicate(
    visible: &ViewTable,
    request: &TableRequest,
    scope: Option<&Arc<PolicyScope>>,
) -> Result<Option<Predicate>, Error> {
    let Some(text) = &request.predicate else {
        return Ok(None);
    };
    let is_pseudonymous = scope.is_some_and(|scope| scope.rules.numbers == NumberRule::Pseudonym);
    let columns = match is_pseudonymous {
        true => Comparable::pseudonymous(&visible.columns),
        false => Comparable::all(&visible.columns),
    };
    let predicate = Predicate::new(text, &columns);
    predicate.map(Some).map_err(|error| {
        invalid(format!(
            "the condition on rows of the table {:?} cannot be read: {error}",
            request.name
        ))
    })
}

fn invalid(message: String) -> Error {
    Error::InvalidRequest(message)
}
