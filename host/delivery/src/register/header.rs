//! The description at the beginning of each file of the register, in a frame that zstd skips.

use std::io::{self, Read, Write};

use cprflow_transport::redacted_name;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EXTENSION;
use crate::ledger::Record;

/// The number that begins a frame which every program for zstd skips (RFC 8878, section 3.1.2).
const SKIPPABLE: u32 = 0x184D_2A50;

/// The longest description that is read, in bytes.
const MAX_BYTES: u32 = 64 * 1024;

/// The version of the description.
const FORMAT: u32 = 1;

/// The description of a kept extract. It holds no value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileHeader {
    /// The version of the description.
    pub(crate) format: u32,
    /// The UUID of the transfer.
    pub(crate) name: String,
    /// The day that orders the extracts, `YYYY-MM-DD`.
    pub(crate) production_date: String,
    /// The task number in record 000.
    pub(crate) task_number: Option<String>,
    /// The SHA-256 of the extract as it was delivered, in hexadecimal.
    pub(crate) sha256: String,
    /// Whether the extract belongs to the unrestricted dataset too, and not to tenants alone.
    pub(crate) is_unrestricted: bool,
    /// The code of the finding that says that records may be missing.
    pub(crate) incomplete: Option<String>,
    /// The name of the data file on the server. Digits that can be a person number are redacted.
    pub(crate) file_name: String,
    /// The name of the metadata file on the server, redacted in the same way.
    pub(crate) metadata_name: String,
    /// The size of the extract as it was delivered, in bytes.
    pub(crate) size: u64,
    /// The number of records of all types, of type 001 and of type 099.
    pub(crate) records: [u64; 3],
    /// The time at which it was kept first, in UTC (RFC 3339).
    pub(crate) kept: String,
}

impl FileHeader {
    /// Returns the description of a delivery's extract.
    pub(crate) fn of_delivery(
        record: &Record,
        is_unrestricted: bool,
        incomplete: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let counts = &record.counts;
        Self {
            format: FORMAT,
            name: record.transfer_uuid.clone(),
            production_date: record.production_date().unwrap_or_default().to_owned(),
            task_number: record.counts.task_number.clone(),
            sha256: record.counts.sha256.clone(),
            is_unrestricted,
            incomplete: incomplete.map(str::to_owned),
            file_name: record.redacted_file_name(),
            metadata_name: redacted_name(&record.metadata_name),
            size: record.size,
            records: [counts.records, counts.persons, counts.events],
            kept: now.to_string(),
        }
    }

    /// Returns the name of the file.
    pub(crate) fn file_name(&self) -> String {
        format!("{}{EXTENSION}", self.name)
    }

    /// Writes the frame.
    pub(super) fn write(&self, mut sink: impl Write) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        sink.write_all(&SKIPPABLE.to_le_bytes())?;
        sink.write_all(&length.to_le_bytes())?;
        sink.write_all(&text)
    }

    /// Reads the frame at the beginning of a file.
    pub(super) fn read(mut file: impl Read) -> io::Result<Self> {
        let mut number = [0; 4];
        file.read_exact(&mut number)?;
        let is_frame = u32::from_le_bytes(number) == SKIPPABLE;
        file.read_exact(&mut number)?;
        let length = u32::from_le_bytes(number);
        if !is_frame || length > MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let header: Self = serde_json::from_reader(file.take(u64::from(length)))?;
        match header.format {
            FORMAT => Ok(header),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
