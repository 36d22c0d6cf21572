//! Tables for people, in aligned columns.

use std::io::{self, Write};

use super::stdout;

/// Prints a header and rows on standard output. Each column is as wide as its widest text.
pub(crate) fn print_columns<'a, const N: usize>(
    header: [&'a str; N],
    rows: impl Iterator<Item = [&'a str; N]>,
) -> io::Result<()> {
    let rows: Vec<[&str; N]> = std::iter::once(header).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    let mut out = stdout::stdout()?;
    for row in rows {
        let mut line = String::new();
        for (text, width) in row.iter().zip(widths) {
            line.push_str(&format!("{text:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
