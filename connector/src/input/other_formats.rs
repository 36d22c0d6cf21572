//! Recognises files that are no extract by how they begin, so that the error can say what to do with them.

use super::shape_detection::{Shape, known_type};
use crate::layout::Table;
use crate::record::{RecordClass, classify};

/// The number of bytes that [`recognise`] wants of a file that does not begin with a known record type.
const FRONT: usize = 1024;

/// The first bytes of formats.
const BEGINNINGS: [(&[u8], OtherFormat); 16] = [
    (&[0x1f, 0x8b], OtherFormat::Gzip),
    (b"PK\x03\x04", OtherFormat::Zip),
    (b"\xfd7zXZ\0", OtherFormat::Xz),
    (&[0x28, 0xb5, 0x2f, 0xfd], OtherFormat::Zstandard),
    (b"BZh", OtherFormat::Bzip2),
    (b"7z\xbc\xaf\x27\x1c", OtherFormat::SevenZip),
    (&[0xd0, 0xcf, 0x11, 0xe0], OtherFormat::OfficeDocument),
    (b"PAR1", OtherFormat::Parquet),
    (b"ARROW1", OtherFormat::Arrow),
    (b"%PDF", OtherFormat::Pdf),
    (b"<", OtherFormat::Markup),
    (b"{", OtherFormat::Json),
    (UTF16_LE, OtherFormat::Utf16),
    (UTF16_BE, OtherFormat::Utf16),
    // The start record, without a byte order mark.
    (b"0\x000\x000\0", OtherFormat::Utf16),
    (b"\x000\x000\x000", OtherFormat::Utf16),
];

const UTF16_LE: &[u8] = &[0xff, 0xfe];
const UTF16_BE: &[u8] = &[0xfe, 0xff];

/// What a file is that is no extract. The text says what to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherFormat {
    /// The file is packed. The commands `scan` and `verify` unpack gzip themselves; other programs that use the
    /// component do not.
    #[error(
        "this is a gzip file, not an extract. Unpack it, for example with `zcat FILE | cprflow verify -`"
    )]
    Gzip,
    /// An archive of several files, or a document in an archive, for example of Word or Excel.
    #[error(
        "this is a ZIP archive or an Office document, not an extract. Unpack an archive, for example with \
         `unzip -p FILE NAME | cprflow verify -`; instead of a document, use the file as CPR delivers it"
    )]
    Zip,
    /// The file is packed.
    #[error(
        "this is an xz file, not an extract. Unpack it, for example with `xzcat FILE | cprflow verify -`"
    )]
    Xz,
    /// The file is packed.
    #[error(
        "this is a Zstandard file, not an extract. Unpack it, for example with `zstdcat FILE | cprflow verify -`"
    )]
    Zstandard,
    /// The file is packed.
    #[error(
        "this is a bzip2 file, not an extract. Unpack it, for example with `bzcat FILE | cprflow verify -`"
    )]
    Bzip2,
    /// An archive of several files.
    #[error("this is a 7-Zip archive, not an extract. Unpack it first")]
    SevenZip,
    /// A document of an older Office program.
    #[error("this is an Office document, not an extract. Ask for the file as CPR delivers it")]
    OfficeDocument,
    /// A table that cprflow or another program has written.
    #[error(
        "this is a Parquet file, not an extract. `cprflow write` makes an extract of a directory of Parquet files"
    )]
    Parquet,
    /// A table that cprflow or another program has written.
    #[error(
        "this is an Arrow file, not an extract. Read it with a program that reads Arrow, for example polars"
    )]
    Arrow,
    /// A document.
    #[error("this is a PDF document, not an extract. Ask for the file as CPR delivers it")]
    Pdf,
    /// A page, or the metadata that comes beside the data file of a delivery.
    #[error(
        "this is an XML or HTML file, not an extract. It may be the metadata file of a delivery: name the data file"
    )]
    Markup,
    /// The output of another program.
    #[error("this is a JSON file, not an extract. Ask for the file as CPR delivers it")]
    Json,
    /// An extract or another text in another encoding.
    #[error(
        "this is text in UTF-16, but extracts are in ISO-8859-1. An editor or another program has converted it: use \
         the file as CPR delivered it"
    )]
    Utf16,
    /// The first lines have the same number of separators.
    #[error(
        "this is a table of separated values (CSV), not an extract. Ask for the file as CPR delivers it"
    )]
    SeparatedValues,
    /// An extract whose line ends another system has changed.
    #[error(
        "the lines end with CR alone, as on old Macintosh systems. Convert the file, for example with \
         `tr '\\r' '\\n' < FILE | cprflow verify -`"
    )]
    CarriageReturns,
    /// An extract whose line ends another system has changed.
    #[error(
        "the lines end with NEL (0x85), as on mainframes. Convert the file, for example with \
         `tr '\\205' '\\n' < FILE | cprflow verify -`"
    )]
    NextLines,
}

/// Returns whether more of the input is needed to recognise its format.
pub(super) fn needs_more(front: &[u8]) -> bool {
    !is_record(front) && front.len() < FRONT
}

/// Returns what the file is and what to do, if it begins like one that is no extract. `shape` is how it would be read.
pub(super) fn recognise(front: &[u8], shape: Shape) -> Option<OtherFormat> {
    if let Some(first) = known_type(front).filter(|_| is_record(front)) {
        return match shape {
            Shape::Lines => None,
            _ => foreign_line_ends(front, first),
        };
    }
    let begins = |(beginning, _): &&(&[u8], OtherFormat)| front.starts_with(beginning);
    if let Some((_, format)) = BEGINNINGS.iter().find(begins) {
        return Some(*format);
    }
    is_separated(front).then_some(OtherFormat::SeparatedValues)
}

/// Returns the line ends of another system, if the first record ends with one and another record begins after it.
fn foreign_line_ends(front: &[u8], first: &Table) -> Option<OtherFormat> {
    let mut start = front.iter().take(first.record_length() + 1);
    let end = start.position(|byte| matches!(byte, b'\r' | 0x85))?;
    // A line can be shorter than its record, because spaces at its end may be left out.
    let is_full = first.lengths.contains(&end);
    let (line_end, next) = front.get(end..)?.split_first()?;
    let second = known_type(next).filter(|_| is_full || is_record(next))?;
    if *line_end != b'\r' {
        return Some(OtherFormat::NextLines);
    }
    // Records of full length can be read without line ends, whatever stands between them.
    let length = next.iter().position(|byte| *byte == b'\r');
    let is_readable = is_full && length.is_none_or(|length| second.lengths.contains(&length));
    (!is_readable).then_some(OtherFormat::CarriageReturns)
}

/// Returns whether the bytes begin with a record type and, if it has one, a key of ten digits.
fn is_record(bytes: &[u8]) -> bool {
    matches!(classify(bytes), RecordClass::Known(_))
}

/// Returns whether the first lines are no records and have the same number of separators, at least two.
fn is_separated(front: &[u8]) -> bool {
    let Some(end) = front.iter().rposition(|byte| *byte == b'\n') else {
        return false;
    };
    let lines: Vec<&[u8]> = front
        .get(..end)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .take(8)
        .collect();
    lines.len() >= 2
        && !lines.iter().any(|line| is_record(line))
        && b";,\t|".iter().any(|separator| {
            let count = |line: &&[u8]| line.iter().filter(|byte| *byte == separator).count();
            let first = lines.first().map_or(0, count);
            first >= 2 && lines.iter().all(|line| count(line) == first)
        })
}

#[cfg(test)]
mod tests {
    use super::super::{Splitter, Step};
    use super::*;
    use crate::error::Error;

    /// Returns the format of an input that is read in blocks of this size.
    fn format(input: &[u8], block: usize) -> Option<OtherFormat> {
        let mut splitter = Splitter::default();
        let mut blocks = input.chunks(block);
        loop {
            match splitter.next() {
                Err(Error::OtherFormat { format, .. }) => return Some(format),
                Ok(Step::Record) => {}
                Ok(Step::NeedMore) => match blocks.next() {
                    Some(block) => splitter.push(block.to_vec()),
                    None => splitter.finish(),
                },
                Ok(Step::End) | Err(_) => return None,
            }
        }
    }

    #[test]
    fn names_files_of_other_formats() {
        let csv = b"pnr;name;address\n0101010101;a;b\n".as_slice();
        let mut inputs: Vec<(Vec<u8>, OtherFormat)> = vec![
            (csv.to_vec(), OtherFormat::SeparatedValues),
            (csv.repeat(100), OtherFormat::SeparatedValues),
            (
                "a\tb\tc\r\n1\t2\t3\r\n".into(),
                OtherFormat::SeparatedValues,
            ),
            ([UTF16_LE, b"0\x000\x000\0"].concat(), OtherFormat::Utf16),
        ];
        for (beginning, format) in BEGINNINGS {
            for rest in [b"".as_slice(), &[0; 5000]] {
                let mut input = [beginning, rest].concat();
                input.resize(input.len().max(6), b' ');
                inputs.push((input, format));
            }
        }
        for (input, expected) in inputs {
            for block in [1, 7, 100_000] {
                assert_eq!(format(&input, block), Some(expected), "{input:?}");
            }
        }
    }

    #[test]
    fn names_the_line_ends_of_other_systems() {
        // A first delivery has no date of the one before, and the spaces in its place may be left out.
        let starts = [
            "00000000000001109012026061520260614",
            "000000000000011090120260615",
        ];
        let person = "00101010101010000000000  01";
        let end = "999999999999900000003";
        for (line_end, expected) in [
            (b"\r".as_slice(), OtherFormat::CarriageReturns),
            (b"\x85", OtherFormat::NextLines),
        ] {
            for start in starts {
                let lines = [start, person, end].map(str::as_bytes);
                let input = [lines.join(line_end).as_slice(), line_end].concat();
                for block in [1, 7, 100_000] {
                    let found = format(&input, block);
                    assert_eq!(found, Some(expected), "{start} {expected:?}");
                }
            }
        }
    }

    #[test]
    fn extracts_are_no_other_format() {
        let start = "00000000000001109012026061520260614";
        for input in [
            "",
            "0",
            "\n\n",
            "0010101010101",
            &format!("{start}\n0010101010101,a;b;c\n"),
            &format!("{start}\r\n0010101010101\r\n"),
            // A beginning that is lost, and records that can still be read.
            "a,b,c\n0010101010101,b,c\n",
            "garbage\nmore\n",
        ] {
            for block in [1, 100_000] {
                assert_eq!(format(input.as_bytes(), block), None, "{input:?}");
            }
        }
        // Records of full length, with CR between them.
        let input = format!(
            "{start}\r{:121}\r{:35}\r",
            "0010101010101", "999999999999900000003"
        );
        assert_eq!(format(input.as_bytes(), 100_000), None);
    }
}
