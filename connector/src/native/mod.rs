//! Native tools that the component does not contain: they write extracts, restore records and generate test data.

pub mod generate;
pub mod restore;
pub mod writer;
