//! What a scan was asked for, held against what there is, and what a policy leaves of it.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::error::Error;
use crate::gate::{Gate, LeaverRows, TableGate};
use crate::policy::{NumberRule, ViewTable};
use crate::predicate::{Comparable, Predicate};
use crate::scan::TableRequest;
use crate::schema::{ColumnId, TableId, all_tables};
use crate::selection::{Chosen, Scope};
use crate::table::TableBuilder;

/// The parts of a scan that follow from what was asked.
pub(crate) struct Plan {
    /// By place in [`all_tables`]; none for tables that are not wanted.
    pub(crate) builders: Vec<Option<TableBuilder>>,
    pub(crate) gate: Option<Gate>,
    pub(crate) leavers: Option<LeaverTable>,
}

impl Plan {
    pub(crate) fn new(
        requests: Option<&[TableRequest]>,
        chosen: Option<&Chosen>,
    ) -> Result<Self, Error> {
        let scope = chosen.and_then(|chosen| chosen.scope.as_ref());
        let everything: Vec<TableRequest>;
        let requests = match requests {
            Some(requests) => requests,
            None => {
                everything = all(scope)
                    .map(|table| TableRequest {
                        name: table.name().to_owned(),
                        ..TableRequest::default()
                    })
                    .collect();
                &everything
            }
        };
        let mut builders: Vec<Option<TableBuilder>> = all_tables().map(|_| None).collect();
        let mut gates: Vec<Option<TableGate>> = all_tables().map(|_| None).collect();
        let mut leavers = None;
        for (place, request) in requests.iter().enumerate() {
            let mut before = requests.iter().take(place);
            if before.any(|other| other.name == request.name) {
                return Err(invalid(format!(
                    "the table {:?} is asked for twice",
                    request.name
                )));
            }
            let shown = shown(&request.name, scope)?;
            let columns = columns(&shown, request)?;
            let wanted = wanted(&shown, request, scope)?;
            let builder = match scope {
                Some(scope) => TableBuilder::ruled(&shown, columns, &scope.rules),
                None => TableBuilder::new(shown.id, columns),
            };
            if let (TableId::OutOfScope, Some(scope)) = (shown.id, scope) {
                let rows = LeaverRows::new(scope, wanted);
                leavers = Some(LeaverTable { builder, rows });
                continue;
            }
            let gate = TableGate::new(shown.id, scope.map(Arc::as_ref), wanted);
            let places = all_tables().zip(builders.iter_mut().zip(&mut gates));
            for (id, (builder_place, gate_place)) in places {
                if id.name() == shown.id.name() {
                    *gate_place = Some(gate);
                    *builder_place = Some(builder);
                    break;
                }
            }
        }
        let has_predicates = requests.iter().any(|request| request.predicate.is_some());
        let gate = (chosen.is_some() || has_predicates).then(|| Gate::new(chosen.cloned(), gates));
        Ok(Self {
            builders,
            gate,
            leavers,
        })
    }
}

/// The table of persons who have left, as it is filled.
pub(crate) struct LeaverTable {
    builder: TableBuilder,
    rows: LeaverRows,
}

impl LeaverTable {
    /// The next batch, of so many rows at the most; none when all is said.
    pub(crate) fn next(&mut self, batch_rows: usize) -> Result<Option<RecordBatch>, Error> {
        for leaver in self.rows.by_ref().take(batch_rows) {
            self.builder.push_leaver(&leaver);
        }
        if self.builder.rows() == 0 {
            return Ok(None);
        }
        let batch = self.builder.take().map_err(|_| Error::Internal)?;
        Ok(Some(batch))
    }
}

/// Every table that can be scanned.
fn all(scope: Option<&Arc<Scope>>) -> impl Iterator<Item = TableId> {
    let of_view = scope.map(|scope| scope.rules.view.tables.iter().map(|table| table.id));
    let of_catalog = scope.is_none().then(all_tables);
    let of_view = of_view.into_iter().flatten();
    of_view.chain(of_catalog.into_iter().flatten())
}

/// The table of that name, with the columns that are there.
fn shown(name: &str, scope: Option<&Arc<Scope>>) -> Result<ViewTable, Error> {
    let id = TableId::by_name(name).filter(|id| *id != TableId::OutOfScope || scope.is_some());
    let Some(id) = id else {
        return Err(invalid(format!(
            "there is no table {name:?}; `cprflow tables` lists them"
        )));
    };
    match scope {
        None => Ok(ViewTable {
            id,
            columns: id.columns(),
            has_tails: true,
        }),
        Some(scope) => scope.rules.view.table(name).cloned().ok_or_else(|| {
            let names: Vec<_> = all(Some(scope)).map(|table| table.name()).collect();
            invalid(format!(
                "the policy does not let the table {name:?} through; it lets through {}",
                names.join(", ")
            ))
        }),
    }
}

fn columns(shown: &ViewTable, request: &TableRequest) -> Result<Vec<ColumnId>, Error> {
    let Some(names) = &request.columns else {
        return Ok(shown.columns.clone());
    };
    let mut columns: Vec<ColumnId> = Vec::with_capacity(names.len());
    for name in names {
        if columns.iter().any(|column| column.name() == name) {
            return Err(invalid(format!("the column {name:?} is asked for twice")));
        }
        let found = shown.columns.iter().find(|column| column.name() == name);
        columns.push(*found.ok_or_else(|| {
            let exists = shown
                .id
                .columns()
                .iter()
                .any(|column| column.name() == name);
            invalid(match exists {
                true => format!(
                    "the policy does not let the column {name:?} of the table {:?} through",
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
            "no column of the table {:?} is asked for",
            request.name
        )));
    }
    Ok(columns)
}

/// Which rows are wanted, of what is shown.
fn wanted(
    shown: &ViewTable,
    request: &TableRequest,
    scope: Option<&Arc<Scope>>,
) -> Result<Option<Predicate>, Error> {
    let Some(text) = &request.predicate else {
        return Ok(None);
    };
    let is_pseudonymous = scope.is_some_and(|scope| scope.rules.numbers == NumberRule::Pseudonym);
    let columns = match is_pseudonymous {
        true => Comparable::pseudonymous(&shown.columns),
        false => Comparable::all(&shown.columns),
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
