//! Reading a file at the speed of the line.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use libssh2_sys as raw;
use ssh2::{Error, ErrorCode, File};

use super::super::error::{Operation, TransportError};
use super::super::name::RemoteName;
use super::SftpInbox;

/// A file that is being read.
///
/// libssh2 asks ahead for four times what a call wants, so calls must want much over a long way: see [`FAR`]. Callers
/// may read in pieces of any size; whoever reads small pieces, perhaps only the head of a file, is asked ahead for
/// little at first.
pub(super) struct RemoteReader<'a> {
    inbox: &'a SftpInbox,
    file: Option<File>,
    name: RemoteName,
    /// How much of the file libssh2 has given.
    offset: u64,
    /// What is to be told after the bytes that came before it.
    failure: Option<TransportError>,
    /// What a call wants at the most.
    most: usize,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

impl<'a> RemoteReader<'a> {
    /// A reader that begins at an offset, on a line that takes so long for a word and its answer.
    pub(super) fn new(
        inbox: &'a SftpInbox,
        mut file: File,
        name: &RemoteName,
        offset: u64,
        round_trip: Duration,
    ) -> Result<Self, TransportError> {
        // Nothing is sent for it.
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            inbox,
            file: Some(file),
            name: name.clone(),
            offset,
            failure: None,
            most: match round_trip < LONG_WAY {
                true => NEAR,
                false => FAR,
            },
            buffer: Vec::new(),
            at: 0,
            end: 0,
        })
    }

    fn fetch(&mut self, into: Into<'_>) -> io::Result<usize> {
        if let Some(failure) = self.failure.take() {
            return Err(io::Error::other(failure));
        }
        let Some(file) = &mut self.file else {
            return Err(io::Error::other(TransportError::Lost {
                operation: Operation::Read,
            }));
        };
        let buffer = match into {
            Into::Caller(buffer) => buffer,
            Into::Own => &mut self.buffer,
        };
        let limit = self.inbox.connection.limit(self.inbox.stall);
        let read = file.read(buffer);
        drop(limit);
        let room = buffer.len();
        match read {
            Ok(read) => {
                self.offset += read as u64;
                Ok(read)
            }
            Err(error) => self.fail(&error, room),
        }
    }

    /// libssh2 forgets to say what it has put into the buffer before an error, which can be megabytes. Its place in
    /// the file tells, and they are given on; the error comes after them.
    fn fail(&mut self, error: &io::Error, room: usize) -> io::Result<usize> {
        let failure = self.meaning(error);
        let place = self
            .file
            .as_mut()
            .and_then(|file| file.stream_position().ok());
        let came = place.and_then(|place| usize::try_from(place.checked_sub(self.offset)?).ok());
        match came {
            Some(came @ 1..) if came <= room => {
                self.offset += came as u64;
                self.failure = Some(failure);
                Ok(came)
            }
            _ => Err(io::Error::other(failure)),
        }
    }

    /// What an error means. The reader of ssh2 keeps its message only; the code is looked up.
    fn meaning(&self, error: &io::Error) -> TransportError {
        let failed = |code| {
            let error = Error::from_errno(code);
            self.inbox.file_error(Operation::Read, &self.name, &error)
        };
        match self.inbox.connection.last_error() {
            Some(last) if last.code() != PROTOCOL => {
                self.inbox.connection.failed(Operation::Read, &last)
            }
            Some(_) => {
                let message = error.to_string();
                let said =
                    |code: &i32| Error::from_errno(ErrorCode::SFTP(*code)).message() == message;
                match ANSWERS.iter().copied().find(said) {
                    Some(code) => failed(ErrorCode::SFTP(code)),
                    None => failed(PROTOCOL),
                }
            }
            None => failed(PROTOCOL),
        }
    }
}

impl Read for RemoteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end {
            if buffer.len() >= self.most {
                let part = buffer.get_mut(..self.most).unwrap_or_default();
                return self.fetch(Into::Caller(part));
            }
            let more = (self.buffer.len() * 4).clamp(FIRST, self.most);
            self.buffer.resize(more, 0);
            (self.at, self.end) = (0, 0);
            self.end = self.fetch(Into::Own)?;
        }
        let ready = self.buffer.get(self.at..self.end).unwrap_or_default();
        let take = ready.len().min(buffer.len());
        let (into, from) = (buffer.get_mut(..take), ready.get(..take));
        if let (Some(into), Some(from)) = (into, from) {
            into.copy_from_slice(from);
        }
        self.at += take;
        Ok(take)
    }
}

impl Drop for RemoteReader<'_> {
    /// Closing waits for what was asked for ahead.
    fn drop(&mut self) {
        let _limit = self.inbox.connection.limit(self.inbox.stall);
        self.file = None;
    }
}

/// Where bytes are to go.
enum Into<'a> {
    /// The caller's buffer.
    Caller(&'a mut [u8]),
    /// The reader's own.
    Own,
}

const PROTOCOL: ErrorCode = ErrorCode::Session(raw::LIBSSH2_ERROR_SFTP_PROTOCOL);

/// What a server can say to a request to read.
const ANSWERS: &[i32] = &[
    raw::LIBSSH2_FX_NO_SUCH_FILE,
    raw::LIBSSH2_FX_PERMISSION_DENIED,
    raw::LIBSSH2_FX_FAILURE,
    raw::LIBSSH2_FX_OP_UNSUPPORTED,
];

/// What a call wants on a long way. Four times as much is asked for ahead, which is also the most that libssh2 does:
/// 8 MiB are a gigabit over 64 ms of round trip.
const FAR: usize = 2 * 1024 * 1024;

/// What a call wants on a short way: what is under way then stays in the processor's cache, which is worth up to a
/// seventh of the time.
const NEAR: usize = 512 * 1024;

/// From here on a way is long. At this, four times [`NEAR`] under way would still be a gigabyte a second.
const LONG_WAY: Duration = Duration::from_millis(2);

/// What the first call wants when its caller reads small pieces: one answer of the server's.
const FIRST: usize = 30_000;
