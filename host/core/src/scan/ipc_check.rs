//! Checks messages of the Arrow IPC stream format against a table's schema, before arrow's decoder reads them.
//!
//! The decoder expects well-meaning senders: some headers make it panic. The catalog determines the fields, the number
//! of buffers and their smallest lengths, so all of these can be checked first. The decoder itself checks the values
//! (offsets, UTF-8, null counts).

use std::collections::HashMap;

use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::{self, MessageHeader, MetadataVersion};

/// What is wrong with a message.
pub(crate) type Defect = &'static str;

/// An IPC message: the bytes of its header, and its body.
pub(crate) struct IpcMessage {
    header: Buffer,
    pub(crate) body: Buffer,
}

impl IpcMessage {
    /// Splits the first message off a buffer.
    pub(crate) fn split_off(buffer: &mut Buffer) -> Result<Self, Defect> {
        const SHORT: Defect = "a message is shorter than it declares";
        let (marker, rest) = buffer.split_first_chunk::<4>().ok_or(SHORT)?;
        if *marker != [0xff; 4] {
            return Err("a message does not begin with the continuation marker");
        }
        let length = u32::from_le_bytes(*rest.first_chunk::<4>().ok_or(SHORT)?) as usize;
        let header = slice(buffer, 8, length).ok_or(SHORT)?;
        let message = ipc::root_as_message(&header).map_err(|_| BAD_HEADER)?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| SHORT)?;
        let body = slice(buffer, 8 + length, body).ok_or(SHORT)?;
        *buffer = buffer.slice(8 + length + body.len());
        Ok(Self { header, body })
    }

    /// Returns the header. It never fails, because [`split_off`](Self::split_off) has checked the header.
    pub(crate) fn header(&self) -> Result<ipc::Message<'_>, Defect> {
        ipc::root_as_message(&self.header).map_err(|_| BAD_HEADER)
    }

    /// Returns whether the message is a schema, with any fields.
    pub(crate) fn is_schema(&self) -> Result<bool, Defect> {
        Ok(self.header()?.header_type() == MessageHeader::Schema)
    }

    /// Fails if the message is not exactly this schema.
    pub(crate) fn check_schema(&self, expected: &Schema) -> Result<(), Defect> {
        let header = self.header()?;
        let schema = header.header_as_schema().ok_or(OTHER_SCHEMA)?;
        let fields = schema.fields().ok_or(OTHER_SCHEMA)?;
        let is_same = schema.endianness() == ipc::Endianness::Little
            && fields.len() == expected.fields().len()
            && fields
                .iter()
                .zip(expected.fields())
                .all(|(field, expected)| is_field(&field, expected))
            && is_metadata(schema.custom_metadata(), expected.metadata());
        is_same.then_some(()).ok_or(OTHER_SCHEMA)
    }

    /// Fails if the message is not a batch of exactly `rows` rows with the arrays and buffers of this schema.
    pub(crate) fn check_batch(&self, schema: &Schema, rows: usize) -> Result<(), Defect> {
        let header = self.header()?;
        let batch = header.header_as_record_batch();
        let batch = batch.ok_or("a message is neither schema nor batch")?;
        if header.version() != MetadataVersion::V5 {
            return Err("a batch is in another version of the format than V5");
        }
        if batch.compression().is_some() {
            return Err("a batch is compressed");
        }
        if usize::try_from(batch.length()) != Ok(rows) {
            return Err("a batch has another number of rows than it declares");
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
        let mut walk = ArrayWalk {
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

const BAD_HEADER: Defect = "a message has an invalid header";
const OTHER_SCHEMA: Defect = "a batch has another schema than the catalog";
const COUNTS: Defect = "a batch has other arrays or buffers than its schema";
const BOUNDS: Defect = "a buffer is outside its message, or is shorter than its rows";

/// Visits the arrays of a batch in their order.
struct ArrayWalk<'a, N, B>
where
    N: Iterator<Item = &'a ipc::FieldNode>,
    B: Iterator<Item = &'a ipc::Buffer>,
{
    nodes: N,
    buffers: B,
    /// The length of the message's body in bytes.
    body: usize,
}

impl<'a, N, B> ArrayWalk<'a, N, B>
where
    N: Iterator<Item = &'a ipc::FieldNode>,
    B: Iterator<Item = &'a ipc::Buffer>,
{
    /// Checks one array and its children. `expected` is its length; none for the entries of a map, which have their
    /// own.
    fn array(&mut self, data_type: &DataType, expected: Option<usize>) -> Result<(), Defect> {
        let node = self.nodes.next().ok_or(COUNTS)?;
        let len = usize::try_from(node.length()).map_err(|_| BOUNDS)?;
        let nulls = usize::try_from(node.null_count()).map_err(|_| BOUNDS)?;
        // An array of booleans has one bit for each value; all other arrays have more.
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
            _ => Err(OTHER_SCHEMA),
        }
    }

    /// Checks one buffer: at least `at_least` bytes, in values of `width` bytes.
    fn buffer(&mut self, at_least: usize, width: usize) -> Result<(), Defect> {
        let buffer = self.buffers.next().ok_or(COUNTS)?;
        let offset = usize::try_from(buffer.offset()).map_err(|_| BOUNDS)?;
        let length = usize::try_from(buffer.length()).map_err(|_| BOUNDS)?;
        let end = offset.checked_add(length).ok_or(BOUNDS)?;
        let fits = length >= at_least && end <= self.body;
        let is_aligned = offset.is_multiple_of(8) && length.is_multiple_of(width);
        (fits && is_aligned).then_some(()).ok_or(BOUNDS)
    }
}

/// Returns whether a field is the expected one.
fn is_field(field: &ipc::Field<'_>, expected: &Field) -> bool {
    field.name() == Some(expected.name().as_str())
        && field.nullable() == expected.is_nullable()
        && field.dictionary().is_none()
        && is_type(field, expected.data_type())
        && is_metadata(field.custom_metadata(), expected.metadata())
}

/// Returns whether a field has the expected type.
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

/// Returns whether the metadata is the expected one, in any order.
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

/// Returns `length` bytes of a buffer from `offset` on, or `None` if the buffer is shorter.
fn slice(buffer: &Buffer, offset: usize, length: usize) -> Option<Buffer> {
    let end = offset.checked_add(length)?;
    (end <= buffer.len()).then(|| buffer.slice_with_length(offset, length))
}
