//! What the component returns, made into batches. Nothing of it is trusted.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::RecordBatchDecoder;

use crate::error::ComponentError;
use crate::ipc_check::{Frame, Refusal};

/// Decodes one table's batches, and holds them against what the catalog says of the table.
pub struct Decoder {
    schema: SchemaRef,
    has_begun: bool,
}

impl Decoder {
    /// A decoder of batches of exactly this schema.
    pub fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            has_begun: false,
        }
    }

    /// The batch in these messages: the schema before the first, then exactly one batch of that many rows.
    ///
    /// Offsets, lengths, UTF-8 and null counts are all checked: arrow's decoder does so unless it is told not to,
    /// which takes `unsafe`, and the fuzz target `decode` holds it to that.
    pub fn decode(&mut self, ipc: Vec<u8>, rows: usize) -> Result<RecordBatch, ComponentError> {
        self.try_decode(ipc, rows)
            .map_err(|why| ComponentError::Misbehaved(why.to_owned()))
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
