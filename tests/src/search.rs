//! Searches everything in a directory: the names, the bytes, and what the bytes say after decoding.

use std::fs;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::test_run::{files, table};

/// Returns the files below a directory whose name, bytes or decoded contents have this text.
///
/// Parquet files are read with all their rows, maps and metadata included. Compressed extracts are decompressed. The names
/// of codes are the same in every dataset, and have words that are names of persons too: they are left out.
pub fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = files(directory);
    found.retain(|file| {
        let name = file.strip_prefix(directory).unwrap().to_string_lossy();
        if format!("/{name}").contains("/codes/") {
            return false;
        }
        let is_in = |bytes: &[u8]| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        name.contains(text) || is_in(&fs::read(file).unwrap()) || is_in(&decoded(file))
    });
    found
}

/// Returns the contents of a file in plain text, empty if its format has none.
pub fn decoded(file: &Path) -> Vec<u8> {
    let name = file.file_name().unwrap().to_string_lossy();
    if name.ends_with(".parquet") {
        return format!("{:?}", table(file)).into_bytes();
    }
    match name.ends_with(".zst") {
        true => zstd::decode_all(fs::File::open(file).unwrap()).unwrap(),
        false => Vec::new(),
    }
}

/// Returns the compressed blocks of a file that have a text: the pages of those columns of a Parquet file, and the frame of a
/// kept extract.
pub fn compressed_blocks(file: &Path, text: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy();
    let mut blocks = Vec::new();
    if name.ends_with(".parquet") {
        let rows = table(file);
        let values = rows.iter().flatten();
        let has = |column: &str| {
            let mut own = values.clone().filter(|(name, _)| name == column);
            own.any(|(_, value)| format!("{value:?}").contains(text))
        };
        let reader = SerializedFileReader::new(fs::File::open(file).unwrap()).unwrap();
        for group in reader.metadata().row_groups() {
            for column in group.columns() {
                let path = column.column_path().parts();
                if !has(&path[0]) {
                    continue;
                }
                let (start, length) = column.byte_range();
                blocks.push(bytes[start as usize..(start + length) as usize].to_vec());
            }
        }
    } else if name.ends_with(".zst") {
        // The frame follows the description, whose length stands after its four bytes.
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        blocks.push(bytes[8 + length..].to_vec());
    }
    blocks
}

/// Returns whether the bytes of a file have a block.
pub fn has_block(file: &Path, block: &[u8]) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes.windows(block.len()).any(|part| part == block)
}
