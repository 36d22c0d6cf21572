//! Reads a file over SFTP with many requests in flight, at the full speed of the connection.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use libssh2_sys as raw;
use ssh2::{Error, ErrorCode, File};

use super::SftpInbox;
use crate::error::{Operation, TransportError};
use crate::name::RemoteName;

/// Reads a file of an inbox.
///
/// libssh2 requests four times the bytes of a call ahead. Calls must therefore ask for large chunks if the round trip is
/// long: see [`LONG_RTT_CHUNK`]. Callers may read in pieces of any size. For a caller that reads small pieces, perhaps only
/// the first bytes of a file, the chunks start small and grow. Towards the known end of the file they become smaller, so
/// that libssh2 requests nothing beyond it.
///
/// libssh2 does not support a server that answers a request with fewer bytes than asked for, unless only one request is
/// in flight. The file is then opened again and read with one request at a time.
pub(super) struct RemoteReader<'a> {
    inbox: &'a SftpInbox,
    file: Option<File>,
    name: RemoteName,
    path: PathBuf,
    /// The size that the file had when it was opened.
    size: u64,
    /// The position up to which libssh2 has returned the file.
    offset: u64,
    /// An error to return after the bytes that were received before it.
    failure: Option<TransportError>,
    /// The most bytes to ask for in one call of libssh2.
    max_chunk: usize,
    buffer: Vec<u8>,
    /// The part of the buffer that the caller has not read yet.
    start: usize,
    end: usize,
}

impl<'a> RemoteReader<'a> {
    /// Makes a reader that starts at an offset of a file of `size` bytes. `round_trip` is the measured time between a
    /// request and its answer.
    pub(super) fn new(
        inbox: &'a SftpInbox,
        mut file: File,
        name: &RemoteName,
        offset: u64,
        size: u64,
        round_trip: Duration,
    ) -> Result<Self, TransportError> {
        // This sends nothing to the server.
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            inbox,
            file: Some(file),
            name: name.clone(),
            path: inbox.path(name),
            size,
            offset,
            failure: None,
            max_chunk: match round_trip < LONG_RTT {
                true => SHORT_RTT_CHUNK,
                false => LONG_RTT_CHUNK,
            },
            buffer: Vec::new(),
            start: 0,
            end: 0,
        })
    }

    /// Reads at least one byte, unless the file ends. Reads the last [`FIRST_CHUNK`] bytes of a file at once.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            let rest = buffer.get_mut(filled..).unwrap_or_default();
            let read = match self.read_once(rest) {
                Ok(read) => read,
                Err(error) if filled == 0 => return Err(error),
                // The error is reported after the bytes before it.
                Err(error) => {
                    self.failure = Some(TransportError::from(error));
                    0
                }
            };
            filled += read;
            let left = self.size.saturating_sub(self.offset);
            if read == 0 || left == 0 || left > FIRST_CHUNK as u64 || filled == buffer.len() {
                return Ok(filled);
            }
        }
    }

    /// Calls libssh2 once, and again if the server has to be asked in another way.
    fn read_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(io::Error::other(failure));
            }
            let most = self.most().min(buffer.len());
            let buffer = buffer.get_mut(..most).unwrap_or_default();
            let inbox = self.inbox;
            let Some(file) = &mut self.file else {
                let lost = inbox.connection.lost(Operation::Read);
                return Err(io::Error::other(lost.about(&self.name.to_string())));
            };
            let limit = inbox.connection.limit(inbox.stall);
            let read = file.read(buffer);
            drop(limit);
            match read {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(_) if self.was_answered_shortly() => {
                    let received = self.received(most);
                    self.offset += received as u64;
                    self.read_one_at_a_time().map_err(io::Error::other)?;
                    if received > 0 {
                        return Ok(received);
                    }
                }
                Err(error) => return self.fail(&error, most),
            }
        }
    }

    /// Returns the most bytes to ask for in the next call of libssh2, which requests four times as many.
    fn most(&self) -> usize {
        let chunk = match self.inbox.has_short_answers.load(Ordering::Relaxed) {
            true => ONE_REQUEST / 4,
            false => self.max_chunk,
        };
        match self.size.checked_sub(self.offset) {
            // At the known end, a small request finds out whether the file has grown.
            Some(left) => usize::try_from(left / 4).map_or(chunk, |part| part.clamp(1, chunk)),
            // The file has grown.
            None => chunk,
        }
    }

    /// Returns whether the last call failed because the server sent fewer bytes than asked for, in the middle of a file.
    fn was_answered_shortly(&self) -> bool {
        let last = self.inbox.connection.last_error();
        !self.inbox.has_short_answers.load(Ordering::Relaxed)
            && last.is_some_and(|last| {
                last.code() == PROTOCOL && last.message().contains(SHORT_ANSWER_MESSAGE)
            })
    }

    /// Opens the file again, and from now on sends one request at a time.
    fn read_one_at_a_time(&mut self) -> Result<(), TransportError> {
        let inbox = self.inbox;
        tracing::debug!(
            "the server sends fewer bytes than asked for, so one request is sent at a time"
        );
        inbox.has_short_answers.store(true, Ordering::Relaxed);
        let _limit = inbox.connection.limit(inbox.stall);
        self.file = None;
        let failed = |error| inbox.file_error(Operation::Open, &self.name, &error);
        let mut file = inbox.open_to_read(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.offset))?;
        self.file = Some(file);
        Ok(())
    }

    /// Returns the bytes that libssh2 received before an error, and keeps the error for the next call.
    ///
    /// libssh2 does not report these bytes, which can be megabytes. Its position in the file shows how many there are.
    fn fail(&mut self, error: &io::Error, capacity: usize) -> io::Result<usize> {
        let failure = self.inbox.read_error(&self.name, error);
        match self.received(capacity) {
            0 => Err(io::Error::other(failure)),
            received => {
                self.offset += received as u64;
                self.failure = Some(failure);
                Ok(received)
            }
        }
    }

    /// Returns how many bytes of the last call libssh2 received before the call failed, at most `capacity`.
    fn received(&mut self, capacity: usize) -> usize {
        let file = self.file.as_mut();
        let position = file.and_then(|file| file.stream_position().ok());
        let received = position
            .and_then(|position| usize::try_from(position.checked_sub(self.offset)?).ok())
            .unwrap_or(0);
        match received <= capacity {
            true => received,
            false => 0,
        }
    }
}

impl SftpInbox {
    /// Converts an error of a read. The reader of ssh2 keeps only the message of an error, so this looks up its code.
    pub(super) fn read_error(&self, name: &RemoteName, error: &io::Error) -> TransportError {
        let file_error = |code| {
            let error = Error::from_errno(code);
            self.file_error(Operation::Read, name, &error)
        };
        match self.connection.last_error() {
            Some(last) if last.code() != PROTOCOL => {
                let failed = self.connection.failed(Operation::Read, &last);
                failed.about(&name.to_string())
            }
            Some(_) => {
                let message = error.to_string();
                let has_message =
                    |code: &i32| Error::from_errno(ErrorCode::SFTP(*code)).message() == message;
                match READ_STATUS_CODES.iter().copied().find(has_message) {
                    Some(code) => file_error(ErrorCode::SFTP(code)),
                    None => file_error(PROTOCOL),
                }
            }
            None => file_error(PROTOCOL),
        }
    }
}

impl Read for RemoteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            if buffer.len() >= self.max_chunk {
                let part = buffer.get_mut(..self.max_chunk).unwrap_or_default();
                return self.fill(part);
            }
            let chunk = (self.buffer.len() * 4).clamp(FIRST_CHUNK, self.max_chunk);
            self.buffer.resize(chunk, 0);
            (self.start, self.end) = (0, 0);
            let mut own = std::mem::take(&mut self.buffer);
            let filled = self.fill(&mut own);
            self.buffer = own;
            self.end = filled?;
        }
        let ready = self.buffer.get(self.start..self.end).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        let (target, source) = (buffer.get_mut(..count), ready.get(..count));
        if let (Some(target), Some(source)) = (target, source) {
            target.copy_from_slice(source);
        }
        self.start += count;
        Ok(count)
    }
}

impl Drop for RemoteReader<'_> {
    /// Closes the file within the time limit. Closing waits for the answers to all requests that were sent ahead.
    fn drop(&mut self) {
        let _limit = self.inbox.connection.limit(self.inbox.stall);
        self.file = None;
    }
}

const PROTOCOL: ErrorCode = ErrorCode::Session(raw::LIBSSH2_ERROR_SFTP_PROTOCOL);

/// The message of libssh2 if an answer was shorter than its request and another request was already sent.
const SHORT_ANSWER_MESSAGE: &str = "Unexpected Offset";

/// The bytes that libssh2 asks for in one request.
const ONE_REQUEST: usize = 30_000;

/// The status codes with which a server can answer a read request.
const READ_STATUS_CODES: &[i32] = &[
    raw::LIBSSH2_FX_NO_SUCH_FILE,
    raw::LIBSSH2_FX_PERMISSION_DENIED,
    raw::LIBSSH2_FX_FAILURE,
    raw::LIBSSH2_FX_OP_UNSUPPORTED,
];

/// The bytes to ask for in one call if the round trip is long. libssh2 then has four times as many in flight, which is
/// also its maximum: 8 MiB fill a connection of 1 Gbit/s with a round trip of 64 ms.
const LONG_RTT_CHUNK: usize = 2 * 1024 * 1024;

/// The bytes to ask for in one call if the round trip is short. The data in flight then stays in the processor's cache,
/// which saves up to a seventh of the time.
const SHORT_RTT_CHUNK: usize = 512 * 1024;

/// The round trip time from which on [`LONG_RTT_CHUNK`] is used. At this time, four times [`SHORT_RTT_CHUNK`] in flight
/// still allow 1 GB/s.
const LONG_RTT: Duration = Duration::from_millis(2);

/// The bytes of the first call if its caller reads small pieces: as much as one answer of a server holds.
const FIRST_CHUNK: usize = ONE_REQUEST;
