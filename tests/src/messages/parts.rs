//! Decodes the messages of a batch into parts, and encodes changed parts again.

use arrow::ipc::{
    BodyCompressionBuilder, Buffer, FieldNode, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder, root_as_message,
};
use flatbuffers::FlatBufferBuilder;

/// The messages of a table's first batch.
pub struct Parts {
    /// The message of the schema, unchanged.
    pub schema: Vec<u8>,
    /// The number of rows.
    pub length: i64,
    /// The length and null count of each array.
    pub nodes: Vec<(i64, i64)>,
    /// The offset and length of each buffer.
    pub buffers: Vec<(i64, i64)>,
    /// Whether the batch is marked as compressed.
    pub is_compressed: bool,
    /// The numbers of variadic buffers, which no table uses.
    pub variadic: Vec<i64>,
    /// The version of the format.
    pub version: MetadataVersion,
    /// The length of the body in the message. The default is the real length.
    pub body_length: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Parts {
    /// Decodes the messages.
    pub fn of(messages: &[u8]) -> Self {
        let schema = header_end(messages);
        let (schema, batch) = messages.split_at(schema);
        let end = header_end(batch);
        let message = root_as_message(&batch[8..end]).unwrap();
        let header = message.header_as_record_batch().unwrap();
        let nodes = header.nodes().unwrap();
        let buffers = header.buffers().unwrap();
        Self {
            schema: schema.to_vec(),
            length: header.length(),
            nodes: nodes
                .iter()
                .map(|node| (node.length(), node.null_count()))
                .collect(),
            buffers: buffers
                .iter()
                .map(|buffer| (buffer.offset(), buffer.length()))
                .collect(),
            is_compressed: false,
            variadic: Vec::new(),
            version: message.version(),
            body_length: None,
            body: batch[end..].to_vec(),
        }
    }

    /// Returns the bytes of a buffer.
    pub fn buffer(&mut self, place: usize) -> &mut [u8] {
        let (offset, length) = self.buffers[place];
        &mut self.body[offset as usize..][..length as usize]
    }

    /// Writes an offset into a buffer of offsets.
    pub fn set_offset(&mut self, buffer: usize, place: usize, offset: i32) {
        self.buffer(buffer)[place * 4..][..4].copy_from_slice(&offset.to_le_bytes());
    }

    /// Encodes both messages.
    pub fn messages(&self) -> Vec<u8> {
        [self.schema.as_slice(), &self.batch()].concat()
    }

    /// Encodes the message of the batch.
    pub fn batch(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|(len, nulls)| FieldNode::new(*len, *nulls))
            .collect();
        let nodes = builder.create_vector(&nodes);
        let buffers: Vec<_> = self
            .buffers
            .iter()
            .map(|(at, len)| Buffer::new(*at, *len))
            .collect();
        let buffers = builder.create_vector(&buffers);
        let compression = self
            .is_compressed
            .then(|| BodyCompressionBuilder::new(&mut builder).finish());
        let variadic = (!self.variadic.is_empty()).then(|| builder.create_vector(&self.variadic));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(self.length);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(compression) = compression {
            batch.add_compression(compression);
        }
        if let Some(variadic) = variadic {
            batch.add_variadicBufferCounts(variadic);
        }
        let batch = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(self.version);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_header(batch);
        message.add_bodyLength(self.body_length.unwrap_or(self.body.len() as i64));
        let message = message.finish();
        builder.finish(message, None);
        let mut header = builder.finished_data().to_vec();
        header.resize(header.len().next_multiple_of(8), 0);
        let length = (header.len() as u32).to_le_bytes();
        [&[0xff; 4], &length, header.as_slice(), &self.body].concat()
    }
}

/// Returns the end of a message's header.
fn header_end(message: &[u8]) -> usize {
    8 + u32::from_le_bytes(message[4..8].try_into().unwrap()) as usize
}
