//! Cuts the blocks of an extract into records, in every physical shape.

use std::fmt;

mod line_ends;
mod other_formats;
mod shape_detection;
mod split;

pub use other_formats::OtherFormat;
pub use shape_detection::Shape;
pub(crate) use shape_detection::{GREENLAND, GREENLAND_PERSON_LENGTH};
pub(crate) use split::{Splitter, SplitterStart, Step};

/// Where the first part of an extract begins, for instances that read parts of it at the same time.
#[derive(Clone, PartialEq, Eq)]
pub struct PartStart {
    /// What `open_part` must know of the records before the parts.
    pub context: Vec<u8>,
    /// The bytes that the scan has taken but not read as records. The first part begins with them.
    pub rest: Vec<u8>,
    /// Whether records end with LF, so that a part can begin after each.
    pub has_line_ends: bool,
}

impl fmt::Debug for PartStart {
    /// Shows the sizes, without any data of the extract.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartStart")
            .field("context_bytes", &self.context.len())
            .field("rest_bytes", &self.rest.len())
            .field("has_line_ends", &self.has_line_ends)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_parts_shows_no_data() {
        let start = PartStart {
            context: vec![1],
            rest: b"0010101010010".to_vec(),
            has_line_ends: true,
        };
        let shown = "PartStart { context_bytes: 1, rest_bytes: 13, has_line_ends: true }";
        assert_eq!(format!("{start:?}"), shown);
    }
}
