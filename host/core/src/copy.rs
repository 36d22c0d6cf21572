//! Copies of an extract without the records of some persons.

use std::fmt;
use std::io::{Read, Write};

use wasmtime::component::ResourceAny;

use crate::component::Connector;
use crate::error::{ComponentError, Error};
use crate::pnr::Pnr;
use crate::sandbox::{Limits, Session};
use crate::scan::read_block;
use crate::summary::TableCount;
use crate::wit::source as wit;

/// The bytes given to the component at a time.
const BLOCK_BYTES: usize = 256 * 1024;

/// A copy of an extract without the records of some persons, byte for byte as to the other records.
///
/// The contract (`wit/connector.wit`) describes at `extract-copy` what is left out, blanked and refused.
#[derive(Clone)]
pub struct ExtractCopy {
    connector: Connector,
    options: wit::CopyOptions,
    limits: Limits,
    block_bytes: usize,
}

/// What a copy has left out or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct CopyReport {
    /// The number of records copied, start and end record included.
    pub copied: u64,
    /// The number of records left out, by table, without tables that have none.
    pub left_out: Vec<TableCount>,
    /// The number of copied records that hold an erased number.
    pub referring: u64,
    /// The number of copied records in which erased persons were blanked.
    pub blanked: u64,
}

impl CopyReport {
    /// Returns the number of records left out.
    pub fn records_left_out(&self) -> u64 {
        self.left_out.iter().map(|count| count.records).sum()
    }

    /// Returns whether the copy is identical to the extract.
    pub fn is_identical(&self) -> bool {
        self.left_out.is_empty() && self.blanked == 0
    }
}

impl fmt::Debug for ExtractCopy {
    /// Shows how many persons there are, but not their numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractCopy")
            .field("erased", &self.options.erased.len())
            .field("has_superseded", &self.options.superseded.is_some())
            .field("blank_references", &self.options.blank_references)
            .finish_non_exhaustive()
    }
}

impl ExtractCopy {
    /// Creates a copy that leaves out nothing.
    pub fn new(connector: &Connector) -> Self {
        Self {
            connector: connector.clone(),
            options: wit::CopyOptions {
                erased: Vec::new(),
                superseded: None,
                blank_references: false,
            },
            limits: Limits::default(),
            block_bytes: BLOCK_BYTES,
        }
    }

    /// Sets the persons who are erased: all their records are left out, and every line that belongs to no person and holds
    /// one of the numbers. Their former numbers are not included by themselves:
    /// [`StateSurvey::tied_numbers`](crate::StateSurvey::tied_numbers) finds them.
    pub fn erased<'a>(mut self, numbers: impl IntoIterator<Item = &'a Pnr>) -> Self {
        let numbers = numbers.into_iter().map(|number| number.as_str().to_owned());
        self.options.erased = numbers.collect();
        self
    }

    /// Sets the persons whose records are superseded, as
    /// [`StateSurvey::superseded_persons`](crate::StateSurvey::superseded_persons) returned them. Their records are left
    /// out, but not their events (099).
    pub fn superseded(mut self, persons: Vec<u8>) -> Self {
        self.options.superseded = Some(persons);
        self
    }

    /// Sets whether erased persons are blanked in the records of others. Default: no, these records are only counted.
    pub fn blank_references(mut self, blank: bool) -> Self {
        self.options.blank_references = blank;
        self
    }

    /// Sets the limits of the component.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the number of bytes given to the component at a time. It does not change the copy. Default: 256 KiB.
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes.max(1);
        self
    }

    /// Copies an extract. After an error the output is of no use.
    pub fn copy(self, mut input: impl Read, mut output: impl Write) -> Result<CopyReport, Error> {
        let mut session = self.connector.start(self.limits)?;
        let copy = session.call(|bindings, store| {
            let copy = bindings.cprflow_connector_source().extract_copy();
            copy.call_open(store, &self.options)
        })?;
        let copy = copy?;
        let mut buffer = vec![0; self.block_bytes];
        let mut left = 0;
        loop {
            let count = read_block(&mut input, &mut buffer)?;
            let block = buffer.get(..count).unwrap_or_default();
            let taken = session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source().extract_copy();
                match count {
                    0 => source.call_finish(store, copy),
                    _ => source.call_push(store, copy, block),
                }
            })?;
            taken?;
            left += count as u64;
            write_ready(&mut session, copy, &mut left, &mut output)?;
            if count == 0 {
                break;
            }
        }
        output.flush().map_err(Error::Copy)?;
        let report = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source().extract_copy();
            source.call_report(store, copy)
        })?;
        Ok(CopyReport::checked(report, self.connector.catalog())?)
    }
}

/// Writes the bytes of the copy that are ready. `left` is how many there can be: a copy is never longer than its extract.
fn write_ready(
    session: &mut Session,
    copy: ResourceAny,
    left: &mut u64,
    output: &mut impl Write,
) -> Result<(), Error> {
    loop {
        let next = session.call_for_batch(|bindings, store| {
            let source = bindings.cprflow_connector_source().extract_copy();
            source.call_next(store, copy)
        })?;
        let Some(bytes) = next? else {
            return Ok(());
        };
        let rest = left.checked_sub(bytes.len() as u64);
        *left = rest.filter(|_| !bytes.is_empty()).ok_or_else(|| {
            ComponentError::misbehaved(
                "its copy of an extract is longer than the extract, or has an empty part",
            )
        })?;
        output.write_all(&bytes).map_err(Error::Copy)?;
    }
}
