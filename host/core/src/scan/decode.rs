//! Decodes the Arrow IPC messages of a component into batches. Nothing in them is trusted.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::RecordBatchDecoder;

use super::ipc_check::{Defect, IpcMessage};
use crate::error::{ComponentError, LimitKind};
use crate::sandbox::Limits;

/// The key of a column's metadata that has the length of its field in bytes.
const FIELD_LENGTH: &str = "cpr.length";

/// Decodes the batches of one table, and checks them against the table's schema in the catalog.
pub struct Decoder {
    schema: SchemaRef,
    /// Whether the schema message was read.
    has_schema: bool,
    /// The largest length of any text in bytes.
    text_bytes: usize,
    /// The largest length of a text of each column in bytes; none for columns without a field.
    field_text_bytes: Vec<Option<usize>>,
}

impl Decoder {
    /// Creates a decoder of batches with exactly this schema. The length of a text is limited to the default of
    /// [`Limits::text_bytes`], and to the column's `cpr.length`.
    pub fn new(schema: SchemaRef) -> Self {
        // A byte of a record in ISO-8859-1 becomes at most two bytes of UTF-8.
        let field_text_bytes = |field: &FieldRef| {
            let length = field.metadata().get(FIELD_LENGTH)?.parse::<usize>().ok()?;
            Some(length.saturating_mul(2))
        };
        Self {
            field_text_bytes: schema.fields().iter().map(field_text_bytes).collect(),
            schema,
            has_schema: false,
            text_bytes: Limits::default().text_bytes,
        }
    }

    /// Sets the largest length of a text in bytes.
    pub fn text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }

    /// Decodes one batch of exactly `rows` rows. The first call expects the schema message before the batch.
    ///
    /// Fails if the messages are not valid or a text is too long. Offsets, lengths, UTF-8 and null counts are checked
    /// by arrow's decoder, unless that is switched off by `unsafe` code. The fuzz target `decode` tests this.
    pub fn decode(&mut self, ipc: Vec<u8>, rows: usize) -> Result<RecordBatch, ComponentError> {
        let decoded = self.try_decode(ipc, rows);
        let batch = decoded.map_err(ComponentError::misbehaved)?;
        for (column, field_text_bytes) in batch.columns().iter().zip(&self.field_text_bytes) {
            let longest = longest_text(column);
            if longest > self.text_bytes {
                return Err(ComponentError::Limit {
                    limit: LimitKind::TextBytes,
                    at_most: self.text_bytes as u64,
                });
            }
            if field_text_bytes.is_some_and(|at_most| longest > at_most) {
                return Err(ComponentError::misbehaved(
                    "a text is longer than its field can be",
                ));
            }
        }
        Ok(batch)
    }

    fn try_decode(&mut self, ipc: Vec<u8>, rows: usize) -> Result<RecordBatch, Defect> {
        let mut rest = Buffer::from_vec(ipc);
        let mut message = IpcMessage::split_off(&mut rest)?;
        if !self.has_schema {
            if !message.is_schema()? {
                return Err("the first batch of a table has no schema before it");
            }
            message.check_schema(&self.schema)?;
            message = IpcMessage::split_off(&mut rest)?;
        }
        message.check_batch(&self.schema, rows)?;
        if !rest.is_empty() {
            return Err("there are bytes after a batch");
        }
        self.has_schema = true;
        let header = message.header()?;
        let batch = header.header_as_record_batch();
        let batch = batch.ok_or("a message is neither schema nor batch")?;
        RecordBatchDecoder::try_new(
            &message.body,
            batch,
            self.schema.clone(),
            &HashMap::new(),
            &MetadataVersion::V5,
        )
        .and_then(RecordBatchDecoder::read_record_batch)
        .map_err(|_| "the buffers of a column contradict each other")
    }
}

/// Returns the length in bytes of the longest text of an array, including the texts in maps.
fn longest_text(array: &dyn Array) -> usize {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let lengths = texts.value_offsets().windows(2).map(|ends| match ends {
            [start, end] => end - start,
            _ => 0,
        });
        return lengths.max().map_or(0, |length| length.max(0) as usize);
    }
    let map = array.as_map_opt();
    let entries = map.into_iter().flat_map(|map| map.entries().columns());
    entries
        .map(|texts| longest_text(texts))
        .max()
        .unwrap_or_default()
}
