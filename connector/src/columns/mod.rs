//! Turns records into Arrow columns: the tables' schemas, the builders, and the batches as Arrow IPC.

mod bits;
mod builder;
mod field;
pub mod ipc;
mod irregular;
mod mask;
mod numbers;
mod origin;
mod record_block;
mod record_buffer;
mod redacted;
pub mod schema;
mod table;
mod text;

pub(crate) use mask::{ColumnMask, RowMask};
pub(crate) use origin::Origin;
pub(crate) use record_buffer::RecordBuffer;
pub(crate) use redacted::{can_hold_number, is_uuid, redacted_text};
pub(crate) use table::{LeaverRow, ReadColumn, TableBuilder};
