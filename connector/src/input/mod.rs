//! Cuts the blocks of an extract into records, in every physical shape.

mod other_formats;
mod shape_detection;
mod split;

pub use shape_detection::Shape;
pub(crate) use shape_detection::{GREENLAND, GREENLAND_PERSON_LENGTH};
pub(crate) use split::{Splitter, Step};
