//! Encodes batches as messages of the Arrow IPC stream format.

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;

/// Encodes the batches of one table, one after the other.
///
/// The first message is the schema. A table's messages in order, with an end-of-stream marker after the last, are one
/// Arrow stream.
#[derive(Default)]
pub struct Encoder {
    writer: Option<StreamWriter<Vec<u8>>>,
}

impl Encoder {
    /// Returns the messages of the next batch.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        // The body is little more than the buffers, so one reservation avoids repeated growth.
        let room = batch.get_array_memory_size() + 4096;
        let writer = match &mut self.writer {
            Some(writer) => {
                writer.get_mut().reserve(room);
                writer
            }
            None => {
                let sink = Vec::with_capacity(room);
                let writer = StreamWriter::try_new(sink, &batch.schema())?;
                self.writer.insert(writer)
            }
        };
        writer.write(batch)?;
        Ok(std::mem::take(writer.get_mut()))
    }
}
