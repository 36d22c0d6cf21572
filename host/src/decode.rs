//! What the component returns, made into batches. Nothing of it is trusted.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;

use crate::error::ComponentError;

/// Decodes one table's batches, and holds them against what the catalog says of the table.
pub struct Decoder {
    stream: StreamDecoder,
    schema: SchemaRef,
}

impl Decoder {
    /// A decoder of batches of exactly this schema.
    pub fn new(schema: SchemaRef) -> Self {
        Self {
            // Misaligned buffers would be copied: our component's never are, and no other may cost us that.
            stream: StreamDecoder::new().with_require_alignment(true),
            schema,
        }
    }

    /// The batch in these messages: exactly one, of that many rows, with the schema's columns.
    ///
    /// Offsets, lengths, UTF-8 and null counts are all checked: arrow's decoder does so unless it is told not to,
    /// which takes `unsafe`, and the fuzz target `decode` holds it to that.
    pub fn decode(&mut self, ipc: Vec<u8>, rows: usize) -> Result<RecordBatch, ComponentError> {
        let mut buffer = Buffer::from_vec(ipc);
        let decoded = self.stream.decode(&mut buffer);
        let batch =
            decoded.map_err(|error| misbehaved(&format!("its batch is no Arrow IPC: {error}")))?;
        let batch = batch.ok_or_else(|| misbehaved("a batch ends before its end"))?;
        if !buffer.is_empty() {
            return Err(misbehaved("bytes follow a batch"));
        }
        if batch.schema() != self.schema {
            return Err(misbehaved("a batch has another schema than the catalog"));
        }
        if batch.num_rows() != rows {
            return Err(misbehaved(
                "a batch has another number of rows than it says",
            ));
        }
        Ok(batch)
    }
}

fn misbehaved(what: &str) -> ComponentError {
    ComponentError::Misbehaved(crate::sandbox::tame(what))
}
