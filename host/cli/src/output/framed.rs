//! Rows as text for people: in frames, or one value per line.

use std::io::{self, Write};
use std::slice;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;

/// Returns the rows in a frame, and how many columns were left out because the frame would be wider than `width`
/// characters. The first column is always shown.
pub(super) fn frame(
    batch: &RecordBatch,
    width: Option<usize>,
) -> Result<(String, usize), ArrowError> {
    let text = |batch: &RecordBatch| {
        pretty_format_batches(slice::from_ref(batch)).map(|text| text.to_string())
    };
    let whole = text(batch)?;
    let border = whole.lines().next().unwrap_or_default();
    let columns = batch.num_columns();
    let Some(width) = width.filter(|width| border.chars().count() > *width) else {
        return Ok((whole, 0));
    };
    // The border `+----+---+` shows where each column ends.
    let ends = border.char_indices().skip(1).filter(|(_, c)| *c == '+');
    let fitting = ends.take_while(|(at, _)| *at < width).count().max(1);
    let indexes: Vec<usize> = (0..fitting.min(columns)).collect();
    let shown = batch.project(&indexes)?;
    Ok((text(&shown)?, columns - indexes.len()))
}

/// Writes each value on a line of its own, below the number of its row. `first` is the number of the first row.
pub(super) fn write_vertical(
    out: &mut impl Write,
    batch: &RecordBatch,
    first: u64,
) -> Result<(), ArrowError> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name());
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let options = FormatOptions::default();
    let values: Result<Vec<_>, _> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect();
    let values = values?;
    for row in 0..batch.num_rows() {
        writeln!(out, "[ row {} ]", first + row as u64)?;
        for (field, value) in schema.fields().iter().zip(&values) {
            let line = format!("{:width$}  {}", field.name(), value.value(row));
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(())
}

/// Returns the width of the terminal on standard output in characters, if there is one.
pub(super) fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        let column = |values: [Option<&str>; 2]| -> ArrayRef {
            Arc::new(StringArray::from(values.to_vec()))
        };
        RecordBatch::try_from_iter_with_nullable([
            (
                "pnr",
                column([Some("0101010101"), Some("0202020202")]),
                true,
            ),
            ("name", column([Some("Ærøskøbing"), None]), true),
            ("status", column([Some("01"), Some("90")]), true),
        ])
        .unwrap()
    }

    #[test]
    fn leaves_out_the_columns_that_do_not_fit() {
        let widths = |width| {
            let (text, hidden) = frame(&batch(), width).unwrap();
            let lengths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
            (lengths[0], lengths.len(), hidden)
        };
        assert_eq!(widths(None), (36, 6, 0));
        assert_eq!(widths(Some(36)), (36, 6, 0));
        assert_eq!(widths(Some(35)), (27, 6, 1));
        assert_eq!(widths(Some(27)), (27, 6, 1));
        assert_eq!(widths(Some(26)), (14, 6, 2));
        // The first column is shown in any case.
        assert_eq!(widths(Some(3)), (14, 6, 2));
    }

    #[test]
    fn writes_one_value_per_line() {
        let mut out = Vec::new();
        write_vertical(&mut out, &batch(), 7).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "[ row 7 ]\npnr     0101010101\nname    Ærøskøbing\nstatus  01\n\
             [ row 8 ]\npnr     0202020202\nname\nstatus  90\n"
        );
    }
}
