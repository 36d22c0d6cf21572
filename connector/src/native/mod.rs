//! Native tools that the component does not contain: they write extracts, restore records, filter
//! batches and generate test data.

pub mod batch_filter;
pub mod compared_codes;
pub mod generate;
pub mod restore;
pub mod writer;
