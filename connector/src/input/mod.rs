//! Cuts the blocks of an extract into records, in every physical shape.

mod other_formats;
mod shape_detection;
mod split;

pub use shape_detection::Shape;
pub(crate) use shape_detection::{GREENLAND, GREENLAND_PERSON_LENGTH};
pub(crate) use split::{Splitter, SplitterStart, Step};

/// Where the first part of an extract begins, for instances that read parts of it at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStart {
    /// What `open_part` must know of the records before the parts.
    pub context: Vec<u8>,
    /// The bytes that the scan has taken but not read as records. The first part begins with them.
    pub rest: Vec<u8>,
    /// Whether records end with LF, so that a part can begin after each.
    pub has_line_ends: bool,
}
