//! What commands print.
//!
//! - `columns` prints tables for people, [`print_json`] prints JSON for programs.
//! - `rows` writes Arrow batches in every format (`framed` for people), `sink` to a file or to standard output.
//! - `stdout` is standard output, and fails if it is closed.
//! - [`message`] prints errors, warnings and other messages to standard error.
//! - [`progress`] draws progress bars on standard error.

mod columns;
mod framed;
pub(crate) mod message;
pub(crate) mod progress;
mod rows;
mod sink;
mod stdout;

use std::io::{self, Write};

pub(crate) use columns::print_columns;
pub(crate) use rows::{RowFormat, RowWriter, TextLayout};
pub(crate) use sink::Sink;
pub(crate) use stdout::{raw_stdout, stdout};

/// Prints the value as indented JSON on standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = raw_stdout()?.lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}
