//! Parts of an extract that other processes read, for example on the machines of a cluster.
//!
//! One process reads the whole extract once: it finds where parts can begin, learns what is wrong with the extract, and
//! selects the persons of a policy. Any process can then read a part by itself: the first record, which tells the date of the
//! extract, and the records of the part.

use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::builder::{Scan, may_name_line};
use super::input::Input;
use super::parts::PART_BYTES;
use super::reader::TableReader;
use crate::error::{Error, PartRefusal, RequestError};
use crate::policy::Policy;
use crate::summary::{Shape, Summary};
use crate::wit::source as wit;

/// The version of the description of a part.
const VERSION: u32 = 1;

/// The longest first record with its line end, in bytes.
const LONGEST_START: u64 = 4096;

/// An extract that was divided into parts.
pub struct DividedScan {
    /// The parts, in the order of the extract. Together they have the rows of the scan, in its order.
    pub parts: Vec<ScanPart>,
    /// What is known of the whole extract, with the findings.
    pub summary: Summary,
}

/// A part of the scan of one table, which [`Scan::read_part`] reads, also in another process.
///
/// Under a policy it has the numbers of all selected persons: keep it as secret as the extract.
#[derive(Clone)]
pub struct ScanPart {
    description: Description,
    /// The selected persons, in pieces that only the component reads.
    chosen: Arc<Vec<Vec<u8>>>,
}

/// What a part says about itself.
#[derive(Clone, Serialize, Deserialize)]
struct Description {
    version: u32,
    /// The SHA-256 of the component that found the parts.
    component: String,
    /// The size of the extract in bytes.
    size: u64,
    /// The SHA-256 of the first record.
    start: String,
    /// The number of bytes of the first record, with its line end.
    start_bytes: u64,
    /// The offset of the part.
    offset: u64,
    /// The number of bytes of the part.
    bytes: u64,
    /// The number of records before the part.
    lines: u64,
    /// A digest of the policy; none without one.
    policy: Option<String>,
    /// Whether the persons of the policy are selected.
    is_selected: bool,
    table: String,
    columns: Option<Vec<String>>,
    condition: Option<String>,
    batch_rows: u32,
    limit: Option<u64>,
    /// The sizes of the pieces of the selection, which follow the description.
    pieces: Vec<usize>,
}

impl ScanPart {
    /// Returns the part as bytes, for another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        // The description has texts and numbers only, which have a form in JSON.
        let description = serde_json::to_vec(&self.description).unwrap_or_default();
        let mut bytes = (description.len() as u64).to_le_bytes().to_vec();
        bytes.extend(description);
        bytes.extend(self.chosen.iter().flatten());
        bytes
    }

    /// Reads a part from the bytes of [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let refused = || RequestError::Part(PartRefusal::Unreadable);
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| refused())?;
        let (description, mut rest) = rest.split_at_checked(length).ok_or_else(refused)?;
        let description: Description =
            serde_json::from_slice(description).map_err(|_| refused())?;
        if description.version != VERSION {
            return Err(refused().into());
        }
        let mut chosen = Vec::new();
        for size in &description.pieces {
            let (piece, more) = rest.split_at_checked(*size).ok_or_else(refused)?;
            chosen.push(piece.to_vec());
            rest = more;
        }
        match rest.is_empty() {
            true => Ok(Self {
                description,
                chosen: chosen.into(),
            }),
            false => Err(refused().into()),
        }
    }

    /// Returns the name of the table.
    pub fn table(&self) -> &str {
        &self.description.table
    }

    /// Returns whether the part has a policy whose persons are not selected: the table has leavers. Read it by
    /// [`Scan::read_table_with_policy`].
    pub fn needs_selection(&self) -> bool {
        self.description.policy.is_some() && !self.description.is_selected
    }

    /// Sets the table, columns, condition and limit of the part.
    pub fn apply_to(&self, scan: Scan) -> Scan {
        let description = &self.description;
        let mut scan = scan.table(&description.table);
        if let Some(columns) = &description.columns {
            scan = scan.columns(columns);
        }
        if let Some(condition) = &description.condition {
            scan = scan.where_(condition);
        }
        if let Some(limit) = description.limit {
            scan = scan.limit(limit);
        }
        scan.batch_rows(description.batch_rows)
    }
}

/// A place where a part can begin.
#[derive(Clone, Copy)]
pub(super) struct PartBegin {
    pub(super) offset: u64,
    /// The number of records before it.
    pub(super) lines: u64,
}

impl Scan {
    /// Divides the scan of one table into parts of about `part_bytes`, for other processes.
    ///
    /// The extract is read once to find the parts and, under a policy, once more to select the persons: `open` is called each
    /// time, and must return the same bytes. There is only one part if the extract has no line ends or is small, if the scan
    /// has a limit or a condition on `line`, if the policy hides the order of the rows, or if the table has rows of no single
    /// record.
    ///
    /// The parts do not check the extract: look at the findings of the summary before you use their rows.
    pub fn divide<R: Read>(
        self,
        part_bytes: u64,
        mut open: impl FnMut() -> io::Result<R>,
    ) -> Result<DividedScan, Error> {
        let tenant = self.tenant.clone();
        let divided = self.divide_for(part_bytes, &mut open);
        divided.map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    fn divide_for<R: Read>(
        mut self,
        part_bytes: u64,
        open: &mut impl FnMut() -> io::Result<R>,
    ) -> Result<DividedScan, Error> {
        let (request, limit) = self.one_table()?;
        let start = FirstRecord::read(open().map_err(Error::Input)?)?;
        let (begins, summary) = self.survey(open().map_err(Error::Input)?, part_bytes)?;
        let size = summary.bytes;
        let component = self.connector().sha256().to_owned();
        let policy = self.policy.as_ref().map(policy_digest);
        let batch_rows = self.batch_rows;
        let names_line = request.where_.as_deref().is_some_and(may_name_line);
        // Every part begins with the first record, and a table that the catalog lacks is made of all records at the end.
        let has_no_records = self.connector().catalog().table(&request.name).is_none();
        let mut is_whole = limit.is_some()
            || names_line
            || request.name == "delivery_start"
            || has_no_records
            || start.is_none()
            || summary.shape != Shape::Lines;
        let mut chosen = Vec::new();
        // Leavers are only known to the process that selects.
        let is_selected = self.policy.is_some() && !has_no_records;
        if is_selected {
            let connector = self.connector().clone();
            let (mut session, selection) = self.select(&mut *open)?;
            is_whole |= selection.hides_order(&connector, &request);
            chosen = selection.pieces(&mut session)?.into_pieces();
        }
        let begins = match is_whole {
            true => Vec::new(),
            false => begins,
        };
        let start = start.unwrap_or_default();
        let chosen = Arc::new(chosen);
        let part = |begin: PartBegin, end: u64| ScanPart {
            description: Description {
                version: VERSION,
                component: component.clone(),
                size,
                start: start.sha256.clone(),
                start_bytes: start.bytes,
                offset: begin.offset,
                bytes: end - begin.offset,
                lines: begin.lines,
                policy: policy.clone(),
                is_selected,
                table: request.name.clone(),
                columns: request.columns.clone(),
                condition: request.where_.clone(),
                batch_rows,
                limit,
                pieces: chosen.iter().map(Vec::len).collect(),
            },
            chosen: chosen.clone(),
        };
        let mut parts = Vec::new();
        let mut last = PartBegin {
            offset: 0,
            lines: 0,
        };
        for begin in begins {
            if begin.offset - last.offset >= part_bytes.max(1) {
                parts.push(part(last, begin.offset));
                last = begin;
            }
        }
        parts.push(part(last, size));
        Ok(DividedScan { parts, summary })
    }

    /// Reads the whole extract, several parts at a time. Returns where parts begin, and what is known of it.
    fn survey<R: Read>(
        &self,
        extract: R,
        part_bytes: u64,
    ) -> Result<(Vec<PartBegin>, Summary), Error> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // A table with one row: everything else is only counted.
        let scan = Self::new(self.connector())
            .limits(self.limits)
            .table("delivery_end");
        let smallest = usize::try_from(part_bytes)
            .unwrap_or(PART_BYTES)
            .min(PART_BYTES);
        // With one thread, the extract is not divided.
        let scan = scan.threads(cores.max(2)).part_bytes(smallest);
        let mut rows = scan.read_all(extract)?;
        rows.keep_begins();
        for batch in rows.by_ref() {
            batch?;
        }
        let summary = rows.summary()?;
        Ok((rows.into_begins(), summary))
    }

    /// Reads the rows of a part of an extract that [`divide`](Self::divide) has divided.
    ///
    /// The scan needs the policy, the key of pseudonyms and the limits; the table, the columns and the condition are those of
    /// the part. Fails if the extract, the policy or the component is another one.
    pub fn read_part<R: Read + Seek>(
        self,
        part: &ScanPart,
        extract: R,
    ) -> Result<TableReader<PartInput<R>>, Error> {
        let tenant = self.tenant.clone();
        let reader = self.read_part_of(part, extract);
        reader.map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    fn read_part_of<R: Read + Seek>(
        mut self,
        part: &ScanPart,
        mut extract: R,
    ) -> Result<TableReader<PartInput<R>>, Error> {
        let description = &part.description;
        let refused = |refusal| Err(RequestError::Part(refusal).into());
        if self.connector().sha256() != description.component {
            return refused(PartRefusal::OtherComponent);
        }
        if self.policy.as_ref().map(policy_digest) != description.policy {
            return refused(PartRefusal::OtherPolicy);
        }
        let size = extract.seek(SeekFrom::End(0)).map_err(Error::Input)?;
        extract.rewind().map_err(Error::Input)?;
        let start = FirstRecord::read(&mut extract)?.unwrap_or_default();
        extract.rewind().map_err(Error::Input)?;
        if size != description.size || start.sha256 != description.start {
            return refused(PartRefusal::OtherExtract);
        }
        self = part.apply_to(self);
        let (request, _) = self.one_table()?;
        let input = PartInput::new(extract, description);
        // The first record comes again before every part but the first.
        let lines = description
            .lines
            .saturating_sub(u64::from(description.offset > 0));
        let reader = match self.policy.take() {
            None => self.read_all(input)?,
            Some(_) if part.needs_selection() => return refused(PartRefusal::NotSelected),
            Some(policy) => {
                let bytes = input.left_bytes();
                let (session, selection) = self.open_chosen(&policy, &part.chosen, bytes)?;
                self.begin(session, Some(selection), Input::Extract(input))?
            }
        };
        reader
            .after_lines(lines)
            .into_table(&request, description.limit)
    }
}

/// The bytes of a part: the first record of the extract, then the part.
pub struct PartInput<R> {
    extract: R,
    /// The bytes left of the first record.
    start: u64,
    offset: u64,
    /// The bytes left of the part.
    left: u64,
}

impl<R> PartInput<R> {
    /// Returns the number of bytes that are left.
    fn left_bytes(&self) -> u64 {
        self.start + self.left
    }

    fn new(extract: R, part: &Description) -> Self {
        Self {
            extract,
            start: match part.offset {
                0 => 0,
                _ => part.start_bytes,
            },
            offset: part.offset,
            left: part.bytes,
        }
    }
}

impl<R: Read + Seek> Read for PartInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = match self.start {
            0 => self.left,
            start => start,
        };
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self
            .extract
            .read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the extract is shorter than when it was divided: scan a file that no other program writes to",
            ));
        }
        if self.start == 0 {
            self.left -= count as u64;
        } else {
            self.start -= count as u64;
            if self.start == 0 {
                self.extract.seek(SeekFrom::Start(self.offset))?;
            }
        }
        Ok(count)
    }
}

/// The first record of an extract in lines.
#[derive(Default)]
struct FirstRecord {
    bytes: u64,
    sha256: String,
}

impl FirstRecord {
    /// Reads it. Returns `None` if the first line is no start record.
    fn read(extract: impl Read) -> Result<Option<Self>, Error> {
        let mut begin = Vec::new();
        let read = extract.take(LONGEST_START).read_to_end(&mut begin);
        read.map_err(Error::Input)?;
        let line = begin
            .split_inclusive(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let is_start = line.starts_with(b"000") && line.ends_with(b"\n");
        Ok(is_start.then(|| Self {
            bytes: line.len() as u64,
            sha256: base16ct::lower::encode_string(&Sha256::digest(line)),
        }))
    }
}

/// Returns a digest of everything that a policy says.
fn policy_digest(policy: &Policy) -> String {
    let text = format!("{:?}", wit::Policy::from(policy));
    base16ct::lower::encode_string(&Sha256::digest(text))
}
