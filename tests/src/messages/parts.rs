//! A batch's messages taken apart, to be put together again as something else.

use arrow::ipc::{
    BodyCompressionBuilder, Buffer, FieldNode, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder, root_as_message,
};
use flatbuffers::FlatBufferBuilder;

/// The messages of a table's first batch.
pub struct Parts {
    /// The schema's message, as it stands.
    pub schema: Vec<u8>,
    /// Rows.
    pub length: i64,
    /// Length and null count of each array.
    pub nodes: Vec<(i64, i64)>,
    /// Offset and length of each buffer.
    pub buffers: Vec<(i64, i64)>,
    /// Whether the batch says that it is compressed.
    pub is_compressed: bool,
    /// Buffers of views, which no column of ours has.
    pub variadic: Vec<i64>,
    /// Version of the format.
    pub version: MetadataVersion,
    /// Length of the body, as the message has it.
    pub body_length: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Parts {
    /// Takes the messages apart.
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

    /// A buffer's bytes.
    pub fn buffer(&mut self, place: usize) -> &mut [u8] {
        let (offset, length) = self.buffers[place];
        &mut self.body[offset as usize..][..length as usize]
    }

    /// Writes that offset into a buffer of offsets.
    pub fn set_offset(&mut self, buffer: usize, place: usize, offset: i32) {
        self.buffer(buffer)[place * 4..][..4].copy_from_slice(&offset.to_le_bytes());
    }

    /// The messages again.
    pub fn messages(&self) -> Vec<u8> {
        [self.schema.as_slice(), &self.batch()].concat()
    }

    /// The batch's message alone.
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

/// Where a message's header ends.
fn header_end(message: &[u8]) -> usize {
    8 + u32::from_le_bytes(message[4..8].try_into().unwrap()) as usize
}
