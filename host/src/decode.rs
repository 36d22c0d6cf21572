//! What the component returns, made into batches. Nothing of it is trusted.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::RecordBatchDecoder;

use crate::error::ComponentError;
use crate::ipc_check::{Frame, Refusal};
use crate::sandbox::{LimitKind, Limits};

/// Where the schema says how long a field is.
const LENGTH: &str = "cpr.length";

/// Decodes one table's batches, and holds them against what the catalog says of the table.
pub struct Decoder {
    schema: SchemaRef,
    has_begun: bool,
    /// Bytes of a text at the most, whatever its column.
    text_bytes: usize,
    /// Bytes of a text of each column at the most, where it is cut from a field.
    of_fields: Vec<Option<usize>>,
}

impl Decoder {
    /// A decoder of batches of exactly this schema.
    pub fn new(schema: SchemaRef) -> Self {
        // A byte of a record becomes two at the most.
        let of_field = |field: &FieldRef| {
            let length = field.metadata().get(LENGTH)?.parse::<usize>().ok()?;
            Some(length.saturating_mul(2))
        };
        Self {
            of_fields: schema.fields().iter().map(of_field).collect(),
            schema,
            has_begun: false,
            text_bytes: Limits::default().text_bytes,
        }
    }

    /// The same, with texts of so many bytes at the most.
    pub fn text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }

    /// The batch in these messages: the schema before the first, then exactly one batch of that many rows.
    ///
    /// Offsets, lengths, UTF-8 and null counts are all checked: arrow's decoder does so unless it is told not to,
    /// which takes `unsafe`, and the fuzz target `decode` holds it to that.
    pub fn decode(&mut self, ipc: Vec<u8>, rows: usize) -> Result<RecordBatch, ComponentError> {
        let misbehaved = |why: Refusal| ComponentError::Misbehaved(why.to_owned());
        let batch = self.try_decode(ipc, rows).map_err(misbehaved)?;
        for (column, of_field) in batch.columns().iter().zip(&self.of_fields) {
            let longest = longest_text(column);
            if longest > self.text_bytes {
                return Err(ComponentError::Limit {
                    limit: LimitKind::TextBytes,
                    at_most: self.text_bytes as u64,
                });
            }
            if of_field.is_some_and(|most| longest > most) {
                return Err(misbehaved("a text is longer than its field can be"));
            }
        }
        Ok(batch)
    }

    fn try_decode(&mut self, ipc: Vec<u8>, rows: usize) -> Result<RecordBatch, Refusal> {
        let mut rest = Buffer::from_vec(ipc);
        let mut frame = Frame::cut(&mut rest)?;
        if !self.has_begun {
            if !frame.is_schema()? {
                return Err("a table's first batch comes without its schema");
            }
            frame.check_schema(&self.schema)?;
            frame = Frame::cut(&mut rest)?;
        }
        frame.check_batch(&self.schema, rows)?;
        if !rest.is_empty() {
            return Err("bytes follow a batch");
        }
        self.has_begun = true;
        let message = frame.message()?;
        let batch = message.header_as_record_batch();
        let batch = batch.ok_or("a message is neither schema nor batch")?;
        RecordBatchDecoder::try_new(
            &frame.body,
            batch,
            self.schema.clone(),
            &HashMap::new(),
            &MetadataVersion::V5,
        )
        .and_then(RecordBatchDecoder::read_record_batch)
        .map_err(|_| "a column's buffers contradict each other")
    }
}

/// Bytes of the longest text of an array, those within a map included.
fn longest_text(array: &dyn Array) -> usize {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let lengths = texts.value_offsets().windows(2).map(|ends| match ends {
            [start, end] => end - start,
            _ => 0,
        });
        return lengths.max().map_or(0, |length| length.max(0) as usize);
    }
    let map = array.as_map_opt();
    let within = map.into_iter().flat_map(|map| map.entries().columns());
    within
        .map(|texts| longest_text(texts))
        .max()
        .unwrap_or_default()
}
