//! A column of any type.
//!
//! Each column has growing buffers and makes no allocation per field. A finished batch takes the buffers over. The types
//! here have no `Debug`, because they hold persons' records.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int64Array, TimestampMicrosecondArray};
use arrow_schema::ArrowError;

use super::irregular::Irregular;
use super::numbers::{Flags, Numbers};
use super::text::Text;

/// A column of any type.
pub(crate) enum Builder {
    Text(Text),
    Dates(Numbers<i32>),
    Timestamps(Numbers<i64>),
    Counts(Numbers<i64>),
    Flags(Flags),
    Irregular(Irregular),
}

impl Builder {
    /// Returns the finished array and empties the builder.
    pub(crate) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(text) => Arc::new(text.take()?),
            Self::Dates(numbers) => {
                let (values, nulls) = numbers.take();
                Arc::new(Date32Array::try_new(values, nulls)?)
            }
            Self::Timestamps(numbers) => {
                let (values, nulls) = numbers.take();
                Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?)
            }
            Self::Counts(numbers) => {
                let (values, nulls) = numbers.take();
                Arc::new(Int64Array::try_new(values, nulls)?)
            }
            Self::Flags(flags) => Arc::new(flags.take()),
            Self::Irregular(irregular) => Arc::new(irregular.take()?),
        })
    }
}
