//! Reads a file over SFTP with many requests in flight, at the full speed of the connection.

use std::io::{self, Read, Seek, SeekFrom};
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
/// the first bytes of a file, the chunks start small and grow.
pub(super) struct RemoteReader<'a> {
    inbox: &'a SftpInbox,
    file: Option<File>,
    name: RemoteName,
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
    /// Makes a reader that starts at an offset. `round_trip` is the measured time between a request and its answer.
    pub(super) fn new(
        inbox: &'a SftpInbox,
        mut file: File,
        name: &RemoteName,
        offset: u64,
        round_trip: Duration,
    ) -> Result<Self, TransportError> {
        // This sends nothing to the server.
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            inbox,
            file: Some(file),
            name: name.clone(),
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

    fn fetch(&mut self, target: ReadTarget<'_>) -> io::Result<usize> {
        if let Some(failure) = self.failure.take() {
            return Err(io::Error::other(failure));
        }
        let Some(file) = &mut self.file else {
            let lost = self.inbox.connection.lost(Operation::Read);
            return Err(io::Error::other(lost));
        };
        let buffer = match target {
            ReadTarget::Caller(buffer) => buffer,
            ReadTarget::Internal => &mut self.buffer,
        };
        let limit = self.inbox.connection.limit(self.inbox.stall);
        let read = file.read(buffer);
        drop(limit);
        let capacity = buffer.len();
        match read {
            Ok(read) => {
                self.offset += read as u64;
                Ok(read)
            }
            Err(error) => self.fail(&error, capacity),
        }
    }

    /// Returns the bytes that libssh2 received before an error, and keeps the error for the next call.
    ///
    /// libssh2 does not report these bytes, which can be megabytes. Its position in the file shows how many there are.
    fn fail(&mut self, error: &io::Error, capacity: usize) -> io::Result<usize> {
        let failure = self.read_error(error);
        let position = self
            .file
            .as_mut()
            .and_then(|file| file.stream_position().ok());
        let received =
            position.and_then(|position| usize::try_from(position.checked_sub(self.offset)?).ok());
        match received {
            Some(received @ 1..) if received <= capacity => {
                self.offset += received as u64;
                self.failure = Some(failure);
                Ok(received)
            }
            _ => Err(io::Error::other(failure)),
        }
    }

    /// Converts an error of a read. The reader of ssh2 keeps only the message of an error, so this looks up its code.
    fn read_error(&self, error: &io::Error) -> TransportError {
        let file_error = |code| {
            let error = Error::from_errno(code);
            self.inbox.file_error(Operation::Read, &self.name, &error)
        };
        match self.inbox.connection.last_error() {
            Some(last) if last.code() != PROTOCOL => {
                self.inbox.connection.failed(Operation::Read, &last)
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
                return self.fetch(ReadTarget::Caller(part));
            }
            let chunk = (self.buffer.len() * 4).clamp(FIRST_CHUNK, self.max_chunk);
            self.buffer.resize(chunk, 0);
            (self.start, self.end) = (0, 0);
            self.end = self.fetch(ReadTarget::Internal)?;
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

/// The buffer that a read fills.
enum ReadTarget<'a> {
    /// The caller's buffer.
    Caller(&'a mut [u8]),
    /// The reader's own buffer.
    Internal,
}

const PROTOCOL: ErrorCode = ErrorCode::Session(raw::LIBSSH2_ERROR_SFTP_PROTOCOL);

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
const FIRST_CHUNK: usize = 30_000;
