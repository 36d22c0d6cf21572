//! Decodes the batches of a scan, table by table.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::decode::Decoder;
use super::policy_scan::Restriction;
use super::reader::TableBatch;
use super::row_order::{LINE, Order};
use crate::catalog::Table;
use crate::component::Connector;
use crate::error::{ComponentError, Error, RequestError};
use crate::sandbox::Limits;
use crate::wit::source as wit;

/// The kind of the columns that contain person numbers.
const PNR: &str = "pnr";

/// The length of a pseudonym.
const PSEUDONYM_BYTES: usize = 64;

/// What a scan returns: which tables and columns, within which limits, and what becomes of person numbers.
pub(super) struct OutputPlan {
    pub(super) connector: Connector,
    /// The requested tables; empty for all.
    pub(super) requests: Vec<wit::TableRequest>,
    pub(super) limits: Limits,
    /// What the policy or the state lets through; none for everything in the catalog.
    pub(super) restriction: Option<Arc<Restriction>>,
}

/// The decoders of the tables that an instance has returned.
pub(super) struct TableDecoders {
    plan: Arc<OutputPlan>,
    decoders: Vec<TableDecoder>,
}

/// The decoder of one table's batches.
struct TableDecoder {
    table: String,
    decoder: Decoder,
    /// The indexes of the columns whose values become pseudonyms.
    pseudonym_columns: Vec<usize>,
    /// The index of the column with the number of the record, if it is returned.
    line: Option<usize>,
    order: Order,
}

/// A batch that was decoded and checked.
pub(super) struct DecodedBatch {
    pub(super) batch: TableBatch,
    /// The order in which its rows are returned.
    pub(super) order: Order,
    /// The size of its rows in bytes.
    pub(super) bytes: usize,
    /// The size of its messages in bytes.
    pub(super) ipc_bytes: u64,
    /// The index of the column with the number of the record, if there is one.
    pub(super) line: Option<usize>,
}

impl OutputPlan {
    /// Returns the table with this name, if the policy lets it through.
    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        match &self.restriction {
            Some(restriction) => restriction.view.table(name),
            None => self.connector.catalog().table(name),
        }
    }

    /// Returns the schema of a table, if the table was requested.
    fn schema_of(&self, name: &str) -> Option<SchemaRef> {
        let table = self.table(name)?;
        match self.requests.iter().find(|request| request.name == name) {
            Some(request) => table.schema(request.columns.as_deref()),
            None if self.requests.is_empty() => table.schema(None),
            None => None,
        }
    }

    /// Creates the decoder of a table.
    ///
    /// Fails if the table was not requested or has too many columns.
    fn decoder(&self, table: &str) -> Result<TableDecoder, ComponentError> {
        let schema = self.schema_of(table).ok_or_else(|| {
            ComponentError::misbehaved("it returned a table that was not requested")
        })?;
        self.limits.check_columns(schema.fields().len())?;
        let restriction = self.restriction.as_ref();
        Ok(TableDecoder {
            order: match restriction {
                Some(restriction) if restriction.is_by_policy => {
                    let is_of_persons = is_of_persons(&self.connector, table);
                    Order::of(&schema, is_of_persons, restriction.view.numbers())
                }
                _ => Order::Extract,
            },
            table: table.to_owned(),
            pseudonym_columns: restriction
                .map(|restriction| restriction.view.pseudonym_columns(table, &schema))
                .unwrap_or_default(),
            line: schema.column_with_name(LINE).map(|(index, _)| index),
            decoder: Decoder::new(schema).text_bytes(self.limits.text_bytes),
        })
    }
}

impl TableDecoders {
    pub(super) fn new(plan: Arc<OutputPlan>) -> Self {
        Self {
            plan,
            decoders: Vec::new(),
        }
    }

    /// Decodes a batch, and replaces person numbers by pseudonyms.
    pub(super) fn decode(&mut self, batch: wit::Batch) -> Result<DecodedBatch, Error> {
        let ipc_bytes = batch.ipc.len();
        let known = self
            .decoders
            .iter()
            .position(|decoder| decoder.table == batch.table);
        let index = match known {
            Some(index) => index,
            None => {
                self.decoders.push(self.plan.decoder(&batch.table)?);
                self.decoders.len() - 1
            }
        };
        let Some(decoder) = self.decoders.get_mut(index) else {
            return Err(ComponentError::misbehaved("a table has no decoder").into());
        };
        let mut decoded = decoder.decoder.decode(batch.ipc, batch.rows as usize)?;
        let mut bytes = ipc_bytes;
        if !decoder.pseudonym_columns.is_empty() {
            let restriction = self.plan.restriction.as_ref();
            let key = restriction.and_then(|restriction| restriction.key.as_ref());
            let key = key.ok_or(RequestError::NoPseudonymKey)?;
            decoded = key.replace(&decoded, &decoder.pseudonym_columns)?;
            bytes += PSEUDONYM_BYTES * decoder.pseudonym_columns.len() * decoded.num_rows();
        }
        Ok(DecodedBatch {
            batch: TableBatch {
                table: batch.table,
                batch: decoded,
            },
            order: decoder.order,
            bytes,
            ipc_bytes: ipc_bytes as u64,
            line: decoder.line,
        })
    }
}

/// Returns whether the rows of a table belong to persons. A table that the catalog lacks has leavers.
pub(super) fn is_of_persons(connector: &Connector, name: &str) -> bool {
    connector.catalog().table(name).is_none_or(|table| {
        let first = table.columns.first();
        let field = first.and_then(|column| column.field.as_ref());
        field.is_some_and(|field| field.kind == PNR)
    })
}
