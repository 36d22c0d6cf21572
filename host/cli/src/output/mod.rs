//! What commands print.
//!
//! - `columns` prints tables for people, [`print_json`] prints JSON for programs.
//! - `rows` writes Arrow batches in every format, `sink` to a file or to standard output.
//! - [`message`] prints errors, warnings and other messages to standard error.
//! - [`progress`] draws progress bars on standard error.

mod columns;
pub(crate) mod message;
pub(crate) mod progress;
mod rows;
mod sink;

use std::io::{self, Write};

pub(crate) use columns::print_columns;
pub(crate) use rows::{RowFormat, RowWriter};
pub(crate) use sink::Sink;

/// Prints the value as indented JSON on standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}
