//! Downloads an extract from the server to the spool and scans it meanwhile. Continues after the connection broke.

mod progress;

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use self::progress::{DownloadProgress, TailReader};
use crate::error::Error;
use crate::fs::Digesting;
use crate::ledger::Reason;
use crate::spool::Spooled;
use crate::stop::Stop;
use crate::sync::connection::{Connection, RetryPauses};
use crate::sync::discover::FoundDelivery;
use crate::sync::observer::Observer;
use crate::sync::stage::{Staged, examine, stage};
use cprflow::Scan;
use cprflow_transport::{Stat, TransportError, pipelined_copy};

/// The result of a download that did not fail.
pub(super) enum Fetched {
    /// The extract is complete and durable in the spool, and was scanned.
    Whole {
        /// The SHA-256 of the extract, in hexadecimal.
        sha256: String,
        /// The result of the scan.
        staged: Box<Result<Staged, Error>>,
    },
    /// The file on the server changed since it was listed. A later run downloads it again.
    Changed(Reason),
    /// The file disappeared from the server before the download was complete.
    Vanished,
}

/// Why a download ended before the file was complete, without an error.
enum Incomplete {
    Changed,
    Vanished,
}

/// A download.
pub(super) struct Fetch<'a> {
    pub(super) found: &'a FoundDelivery,
    pub(super) spooled: &'a Spooled,
    /// The number of bytes that the spool has of this file already.
    pub(super) from: u64,
    /// The directory for the tables of the unrestricted dataset; `None` if no table is written.
    pub(super) staging: Option<&'a Path>,
    /// Whether the extract is only read by the scan during the download.
    pub(super) is_read_once: bool,
    pub(super) observer: &'a dyn Observer,
    pub(super) stop: &'a Stop,
}

impl Fetch<'_> {
    /// Downloads the extract and scans it at the same time.
    pub(super) fn run(
        &self,
        connection: &mut Connection<'_>,
        scan: Scan,
    ) -> Result<Fetched, Error> {
        let mut sink = self.open()?;
        let from = self.write_head(&mut sink)?;
        let progress = DownloadProgress::default();
        progress.arrived(from);
        let reader = self.spooled.reader()?;
        let for_sync = self.spooled.reader()?;
        let (downloaded, on_disk, staged) = thread::scope(|threads| {
            let progress = &progress;
            let write_back = || progress::write_back(&for_sync, progress, self.is_read_once);
            let started = thread::Builder::new().spawn_scoped(threads, write_back);
            let write_back = started.map_err(cprflow::Error::Thread)?;
            let scan = move || {
                let rows = |rows| self.observer.scanned(rows);
                let input = TailReader::new(reader, progress);
                match self.staging {
                    Some(staging) => stage(scan, input, staging, rows),
                    None => examine(scan, input, rows),
                }
            };
            let started = thread::Builder::new().spawn_scoped(threads, scan);
            let scanner = started.map_err(|error| {
                // The other thread waits for the download.
                progress.ended(false);
                cprflow::Error::Thread(error)
            })?;
            let downloaded = self.download(connection, &mut sink, progress, from);
            progress.ended(matches!(downloaded, Ok(None)));
            // Syncing overlaps with the rest of the scan.
            let written_back = joined(write_back);
            let on_disk = match downloaded {
                Ok(None) => written_back.and_then(|()| sink.get_ref().sync_all()),
                _ => written_back,
            };
            let staged = joined(scanner);
            Ok::<_, cprflow::Error>((downloaded, on_disk, staged))
        })?;
        if let Err(error) = on_disk {
            // The operating system reports a failed write once and then forgets it, so that a later run must not trust
            // the bytes in the spool.
            self.spooled.remove()?;
            return Err(self.spooled.error()(error));
        }
        if let Some(incomplete) = downloaded? {
            self.spooled.remove()?;
            return Ok(match incomplete {
                Incomplete::Changed => Fetched::Changed(Reason::new(
                    "growing",
                    "it changed on the server during the download",
                )),
                Incomplete::Vanished => Fetched::Vanished,
            });
        }
        let (file, sha256) = sink.finish();
        crate::failpoint::reached("downloaded");
        self.spooled.complete(&file)?;
        let staged = Box::new(staged);
        Ok(Fetched::Whole { sha256, staged })
    }

    /// Opens the spool file and computes the digest of the bytes that it already has.
    fn open(&self) -> Result<Digesting<File>, Error> {
        let file = self.spooled.resume(self.from)?;
        let mut sink = Digesting::new(file);
        let there = self.spooled.reader()?.take(self.from);
        sink.skip(there).map_err(self.spooled.error())?;
        Ok(sink)
    }

    /// Writes what was read to recognise the extract, if the spool does not have it yet. Some servers delete a file as soon
    /// as something of it was read. Returns the number of bytes that the spool has now.
    fn write_head(&self, sink: &mut Digesting<File>) -> Result<u64, Error> {
        let start = usize::try_from(self.from).unwrap_or(usize::MAX);
        let head = self.found.head.get(start..).unwrap_or_default();
        let from = self.from + head.len() as u64;
        if head.is_empty() || from > self.found.data.stat.size {
            return Ok(self.from);
        }
        sink.write_all(head).map_err(self.spooled.error())?;
        Ok(from)
    }

    /// Downloads the rest of the file, over several connections if needed. Returns `None` if the file is complete.
    fn download(
        &self,
        connection: &mut Connection<'_>,
        sink: &mut Digesting<File>,
        progress: &DownloadProgress,
        from: u64,
    ) -> Result<Option<Incomplete>, Error> {
        let mut written = from;
        let mut pauses = RetryPauses::default();
        let mut was_cut = false;
        loop {
            let before = written;
            let ended = self.attempt(connection, sink, &mut written, progress, was_cut);
            match ended {
                Ok(changed) => return Ok(changed),
                Err(Error::Transport(TransportError::Gone { .. })) => {
                    return Ok(Some(Incomplete::Vanished));
                }
                Err(Error::Transport(TransportError::Shrunk { .. })) => {
                    return Ok(Some(Incomplete::Changed));
                }
                Err(Error::Transport(error)) if error.is_transient() => {
                    if written > before {
                        pauses = RetryPauses::default();
                    }
                    let Some(pause) = pauses.next() else {
                        return Err(error.into());
                    };
                    tracing::warn!(%error, offset = written, "the download was cut off; it continues after a pause");
                    self.stop.wait(pause)?;
                    was_cut = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tries once to download the rest, over a new connection if the one before was cut. Returns `None` if the file is
    /// complete.
    fn attempt(
        &self,
        connection: &mut Connection<'_>,
        sink: &mut Digesting<File>,
        written: &mut u64,
        progress: &DownloadProgress,
        was_cut: bool,
    ) -> Result<Option<Incomplete>, Error> {
        let expected = self.found.data.stat;
        if was_cut {
            connection.open_again()?;
            match connection.get()?.stat(&self.found.data.name)? {
                None if *written < expected.size => return Ok(Some(Incomplete::Vanished)),
                Some(stat) if !stat.agrees_with(&expected) => {
                    return Ok(Some(Incomplete::Changed));
                }
                _ => {}
            }
        }
        self.stream(connection, sink, written, progress)?;
        let stat = connection.get()?.stat(&self.found.data.name)?;
        Ok(match stat {
            Some(Stat { size, .. }) if size != *written => Some(Incomplete::Changed),
            Some(stat) if !stat.agrees_with(&expected) => Some(Incomplete::Changed),
            Some(_) => None,
            // Some servers delete a file as soon as all of it was read.
            None if *written == expected.size => None,
            None => Some(Incomplete::Vanished),
        })
    }

    /// Copies the rest of the file to the spool, over one connection.
    fn stream(
        &self,
        connection: &mut Connection<'_>,
        sink: &mut Digesting<File>,
        written: &mut u64,
        progress: &DownloadProgress,
    ) -> Result<(), Error> {
        let size = self.found.data.stat.size;
        if *written > 0 && *written == size {
            return Ok(());
        }
        let mut file = connection.get()?.open(&self.found.data.name, *written)?;
        pipelined_copy(&mut *file, |block| {
            self.stop.check()?;
            while !progress.wait_until_near(POLL_INTERVAL) {
                self.stop.check()?;
            }
            sink.write_all(block).map_err(self.spooled.error())?;
            *written += block.len() as u64;
            progress.arrived(*written);
            self.observer.downloaded(*written);
            if *written < size {
                crate::failpoint::reached("half-downloaded");
            }
            Ok(match *written > size {
                // The file grew. The download is discarded.
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })
    }
}

/// Returns the result of a thread, and continues its panic.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The interval at which a waiting download checks whether to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
