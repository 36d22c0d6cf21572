//! Whether messages of the Arrow IPC stream format are what a table's must be, before arrow's decoder sees them.
//!
//! The decoder is written for senders that mean well: there are headers that make it panic. What the catalog says of
//! a table leaves so little room that all of it can be checked first: which fields, how many buffers, how long each
//! must be. Values (offsets, UTF-8, null counts) are the decoder's to validate, and it does.

use std::collections::HashMap;

use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::{self, MessageHeader, MetadataVersion};

/// Why messages are refused.
pub(crate) type Refusal = &'static str;

/// A message that stands at the front of a buffer: its header's bytes and its body.
pub(crate) struct Frame {
    header: Buffer,
    pub(crate) body: Buffer,
}

impl Frame {
    /// Cuts the message off the front of the buffer.
    pub(crate) fn cut(buffer: &mut Buffer) -> Result<Self, Refusal> {
        const SHORT: Refusal = "a message ends before its end";
        let (marker, rest) = buffer.split_first_chunk::<4>().ok_or(SHORT)?;
        if *marker != [0xff; 4] {
            return Err("a message does not begin as one");
        }
        let length = u32::from_le_bytes(*rest.first_chunk::<4>().ok_or(SHORT)?) as usize;
        let header = take(buffer, 8, length).ok_or(SHORT)?;
        let body = ipc::root_as_message(&header).map_err(|_| "a message has no sound header")?;
        let body = usize::try_from(body.bodyLength()).map_err(|_| SHORT)?;
        let body = take(buffer, 8 + length, body).ok_or(SHORT)?;
        *buffer = buffer.slice(8 + length + body.len());
        Ok(Self { header, body })
    }

    /// The message's header; sound, because [`cut`](Self::cut) looked.
    pub(crate) fn message(&self) -> Result<ipc::Message<'_>, Refusal> {
        ipc::root_as_message(&self.header).map_err(|_| "a message has no sound header")
    }

    /// Whether it is a schema, and not yet which.
    pub(crate) fn is_schema(&self) -> Result<bool, Refusal> {
        Ok(self.message()?.header_type() == MessageHeader::Schema)
    }

    /// Refuses a schema other than this one.
    pub(crate) fn check_schema(&self, expected: &Schema) -> Result<(), Refusal> {
        let message = self.message()?;
        let schema = message.header_as_schema().ok_or(OTHER)?;
        let fields = schema.fields().ok_or(OTHER)?;
        let is_same = schema.endianness() == ipc::Endianness::Little
            && fields.len() == expected.fields().len()
            && fields
                .iter()
                .zip(expected.fields())
                .all(|(field, expected)| is_field(&field, expected))
            && is_metadata(schema.custom_metadata(), expected.metadata());
        is_same.then_some(()).ok_or(OTHER)
    }

    /// Refuses anything but a batch of so many rows with this schema's buffers, as long as they must be.
    pub(crate) fn check_batch(&self, schema: &Schema, rows: usize) -> Result<(), Refusal> {
        let message = self.message()?;
        let batch = message.header_as_record_batch();
        let batch = batch.ok_or("a message is neither schema nor batch")?;
        if message.version() != MetadataVersion::V5 {
            return Err("a batch is of another version of the format");
        }
        if batch.compression().is_some() {
            return Err("a batch is compressed");
        }
        if usize::try_from(batch.length()) != Ok(rows) {
            return Err("a batch has another number of rows than it says");
        }
        let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else {
            return Err(COUNTS);
        };
        if batch
            .variadicBufferCounts()
            .is_some_and(|counts| !counts.is_empty())
        {
            return Err(COUNTS);
        }
        let mut walk = Walk {
            nodes: nodes.iter(),
            buffers: buffers.iter(),
            body: self.body.len(),
        };
        for field in schema.fields() {
            walk.array(field.data_type(), Some(rows))?;
        }
        match (walk.nodes.next(), walk.buffers.next()) {
            (None, None) => Ok(()),
            _ => Err(COUNTS),
        }
    }
}

const OTHER: Refusal = "a batch has another schema than the catalog";
const COUNTS: Refusal = "a batch has other arrays or buffers than its schema";
const BOUNDS: Refusal = "a buffer lies outside its message, or is shorter than its rows";

/// A pass over the arrays of a batch, in their order.
struct Walk<'a, N, B>
where
    N: Iterator<Item = &'a ipc::FieldNode>,
    B: Iterator<Item = &'a ipc::Buffer>,
{
    nodes: N,
    buffers: B,
    /// Length of the message's body.
    body: usize,
}

impl<'a, N, B> Walk<'a, N, B>
where
    N: Iterator<Item = &'a ipc::FieldNode>,
    B: Iterator<Item = &'a ipc::Buffer>,
{
    /// One array and those within it. Only the entries of a map have a length of their own.
    fn array(&mut self, data_type: &DataType, expected: Option<usize>) -> Result<(), Refusal> {
        let node = self.nodes.next().ok_or(COUNTS)?;
        let len = usize::try_from(node.length()).map_err(|_| BOUNDS)?;
        let nulls = usize::try_from(node.null_count()).map_err(|_| BOUNDS)?;
        // No array has more values than its message has bytes, bits apart.
        if expected.is_some_and(|expected| expected != len) || nulls > len || len / 8 > self.body {
            return Err(BOUNDS);
        }
        self.buffer(if nulls > 0 { len.div_ceil(8) } else { 0 }, 1)?;
        let offsets = if len > 0 { (len + 1) * 4 } else { 0 };
        match data_type {
            DataType::Utf8 => {
                self.buffer(offsets, 4)?;
                self.buffer(0, 1)
            }
            DataType::Boolean => self.buffer(len.div_ceil(8), 1),
            DataType::Date32 => self.buffer(len * 4, 4),
            DataType::Int64 | DataType::Timestamp(..) => self.buffer(len * 8, 8),
            DataType::Map(entries, _) => {
                self.buffer(offsets, 4)?;
                self.array(entries.data_type(), None)
            }
            DataType::Struct(fields) => fields
                .iter()
                .try_for_each(|field| self.array(field.data_type(), Some(len))),
            _ => Err(OTHER),
        }
    }

    /// One buffer, of at least that many bytes, in values of that width.
    fn buffer(&mut self, at_least: usize, width: usize) -> Result<(), Refusal> {
        let buffer = self.buffers.next().ok_or(COUNTS)?;
        let offset = usize::try_from(buffer.offset()).map_err(|_| BOUNDS)?;
        let length = usize::try_from(buffer.length()).map_err(|_| BOUNDS)?;
        let end = offset.checked_add(length).ok_or(BOUNDS)?;
        let fits = length >= at_least && end <= self.body;
        let is_whole = offset.is_multiple_of(8) && length.is_multiple_of(width);
        (fits && is_whole).then_some(()).ok_or(BOUNDS)
    }
}

fn is_field(field: &ipc::Field<'_>, expected: &Field) -> bool {
    field.name() == Some(expected.name().as_str())
        && field.nullable() == expected.is_nullable()
        && field.dictionary().is_none()
        && is_type(field, expected.data_type())
        && is_metadata(field.custom_metadata(), expected.metadata())
}

fn is_type(field: &ipc::Field<'_>, expected: &DataType) -> bool {
    let children = |expected: &[&Field]| {
        field.children().is_some_and(|children| {
            children.len() == expected.len()
                && children
                    .iter()
                    .zip(expected)
                    .all(|(child, expected)| is_field(&child, expected))
        })
    };
    match expected {
        DataType::Utf8 => field.type_type() == ipc::Type::Utf8,
        DataType::Boolean => field.type_type() == ipc::Type::Bool,
        DataType::Int64 => field
            .type_as_int()
            .is_some_and(|int| int.bitWidth() == 64 && int.is_signed()),
        DataType::Date32 => field
            .type_as_date()
            .is_some_and(|date| date.unit() == ipc::DateUnit::DAY),
        DataType::Timestamp(..) => field.type_as_timestamp().is_some_and(|timestamp| {
            timestamp.unit() == ipc::TimeUnit::MICROSECOND && timestamp.timezone().is_none()
        }),
        DataType::Map(entries, _) => {
            field.type_as_map().is_some_and(|map| !map.keysSorted()) && children(&[entries])
        }
        DataType::Struct(fields) => {
            let fields: Vec<&Field> = fields.iter().map(AsRef::as_ref).collect();
            field.type_type() == ipc::Type::Struct_ && children(&fields)
        }
        _ => false,
    }
}

/// Whether the metadata is the expected, in whatever order.
fn is_metadata<'a>(
    found: Option<impl IntoIterator<Item = ipc::KeyValue<'a>>>,
    expected: &HashMap<String, String>,
) -> bool {
    let mut found: Vec<(&str, &str)> = found
        .into_iter()
        .flatten()
        .map(|pair| {
            (
                pair.key().unwrap_or_default(),
                pair.value().unwrap_or_default(),
            )
        })
        .collect();
    let pairs = expected.iter();
    let mut expected: Vec<(&str, &str)> = pairs.map(|(k, v)| (k.as_str(), v.as_str())).collect();
    found.sort_unstable();
    expected.sort_unstable();
    found == expected
}

/// So many bytes of a buffer from a place on, if they are there.
fn take(buffer: &Buffer, from: usize, length: usize) -> Option<Buffer> {
    let end = from.checked_add(length)?;
    (end <= buffer.len()).then(|| buffer.slice_with_length(from, length))
}
