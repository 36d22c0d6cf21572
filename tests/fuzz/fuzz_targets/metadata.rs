//! Fuzzes the reader of metadata files: any bytes give an error or a valid document. A truncated file gives an error.
#![no_main]

use cprflow_connector::delivery::{Document, MAX_BYTES, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = read(data) else {
        return;
    };
    assert!(data.len() <= MAX_BYTES);
    if let Document::Metadata(metadata) = document {
        assert_eq!(metadata.transfer_uuid.len(), 36);
        assert!(!metadata.file_name.is_empty() && !metadata.file_name.contains(['/', '\\']));
        assert!(!metadata.file_name.chars().any(char::is_control));
        assert!(!metadata.recipients.is_empty());
    }
    // Comments may follow the root element. Without them, a file that lacks its last `>` is truncated.
    if !data.windows(3).any(|window| window == b"-->" || window.starts_with(b"?>")) {
        let end = data.iter().rposition(|byte| *byte == b'>').expect("a document has tags");
        assert!(read(&data[..end]).is_err());
    }
});
