//! The progress of a download, shared by three threads: one downloads, one scans, one brings the file to the disk.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::Advice;

/// The progress of a download, shared by the threads that download, scan and write back.
#[derive(Debug, Default)]
pub(crate) struct DownloadProgress {
    state: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// The number of bytes that are in the file.
    bytes: u64,
    /// The number of bytes that the scan has read; `u64::MAX` once the scan has ended.
    read: u64,
    /// Set once the download has ended: whether the file is complete.
    ended: Option<bool>,
}

impl DownloadProgress {
    /// Records how many bytes are in the file, from its beginning.
    pub(crate) fn arrived(&self, bytes: u64) {
        self.update(|state| state.bytes = bytes);
    }

    /// Records that the download has ended, and whether the file is complete.
    pub(crate) fn ended(&self, is_complete: bool) {
        self.update(|state| {
            state.ended.get_or_insert(is_complete);
        });
    }

    /// Waits until the scan has at most [`MAX_UNREAD`] bytes left to read, but not longer than `limit`. Returns whether it
    /// has.
    pub(crate) fn wait_until_near(&self, limit: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_far = |state: &mut Progress| state.bytes.saturating_sub(state.read) > MAX_UNREAD;
        let waited = self
            .changed
            .wait_timeout_while(state, limit, is_far)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until the file has more than `read` bytes, or the download has ended.
    fn wait(&self, read: u64) -> Progress {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |state: &mut Progress| state.bytes <= read && state.ended.is_none();
        *self
            .changed
            .wait_while(state, nothing_new)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of bytes that a download may be ahead of the scan. More would not be faster, and would fill the page cache
/// with bytes that are read much later.
const MAX_UNREAD: u64 = 16 * 1024 * 1024;

/// Brings a file to the disk while it is downloaded, so that the sync at the end is short. With `is_read_once`, scanned
/// bytes are dropped from the page cache.
pub(crate) fn write_back(
    file: &File,
    progress: &DownloadProgress,
    is_read_once: bool,
) -> io::Result<()> {
    let mut on_disk = 0;
    loop {
        let arrived = progress.wait(on_disk + SYNC_STEP);
        if arrived.ended.is_some() {
            return Ok(());
        }
        sync_file(file, arrived, is_read_once)?;
        on_disk = arrived.bytes;
    }
}

fn sync_file(file: &File, arrived: Progress, is_read_once: bool) -> io::Result<()> {
    file.sync_data()?;
    if let Some(done) = NonZero::new(arrived.bytes.min(arrived.read)).filter(|_| is_read_once) {
        // Advice only. If the file system cannot follow it, nothing is lost.
        let _ = rustix::fs::fadvise(file, 0, Some(done), Advice::DontNeed);
    }
    Ok(())
}

/// The number of bytes after which the file is synced again.
const SYNC_STEP: u64 = 16 * 1024 * 1024;

/// Reads a file while it is downloaded, and waits for bytes that are not there yet.
pub(crate) struct TailReader<'a> {
    file: File,
    progress: &'a DownloadProgress,
    read: u64,
}

impl<'a> TailReader<'a> {
    /// Creates a reader at the beginning of the file.
    pub(crate) fn new(file: File, progress: &'a DownloadProgress) -> Self {
        Self {
            file,
            progress,
            read: 0,
        }
    }
}

impl Read for TailReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let arrived = self.progress.wait(self.read);
        let there = arrived.bytes.saturating_sub(self.read);
        if there == 0 {
            return match arrived.ended {
                Some(true) => Ok(0),
                _ => Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the download ended before the file was complete",
                )),
            };
        }
        let room = buffer
            .len()
            .min(usize::try_from(there).unwrap_or(usize::MAX));
        let count = self.file.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.read += count as u64;
        self.progress.update(|state| state.read = self.read);
        Ok(count)
    }
}

impl Drop for TailReader<'_> {
    fn drop(&mut self) {
        self.progress.update(|state| state.read = u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::thread;

    use tempfile::NamedTempFile;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn file(bytes: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_download_waits_for_the_scan_until_the_scan_ends() {
        let file = file(b"0123456789");
        let progress = DownloadProgress::default();
        progress.arrived(MAX_UNREAD);
        assert!(progress.wait_until_near(NOW));
        progress.arrived(MAX_UNREAD + 10);
        assert!(!progress.wait_until_near(NOW));
        let mut reader = TailReader::new(file.reopen().unwrap(), &progress);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 9);
        assert!(!progress.wait_until_near(NOW));
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 1);
        assert!(progress.wait_until_near(NOW));
        progress.arrived(MAX_UNREAD * 10);
        assert!(!progress.wait_until_near(NOW));
        drop(reader);
        assert!(progress.wait_until_near(NOW));
    }

    #[test]
    fn a_reader_ends_with_the_download_or_fails_with_it() {
        let file = file(b"0123");
        for is_complete in [true, false] {
            let progress = DownloadProgress::default();
            progress.arrived(4);
            progress.ended(is_complete);
            let mut read = Vec::new();
            let mut reader = TailReader::new(file.reopen().unwrap(), &progress);
            assert_eq!(reader.read_to_end(&mut read).is_ok(), is_complete);
            assert_eq!(read, b"0123");
        }
    }

    #[test]
    fn writing_back_ends_with_the_download_and_returns_errors_of_the_disk() {
        let file = file(b"0123");
        let progress = DownloadProgress::default();
        thread::scope(|threads| {
            let back = threads.spawn(|| write_back(file.as_file(), &progress, true));
            progress.arrived(SYNC_STEP + 1);
            progress.ended(false);
            back.join().unwrap().unwrap();
        });
        // A pipe cannot be synced.
        let (pipe, _other) = io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(pipe));
        let progress = DownloadProgress::default();
        progress.arrived(SYNC_STEP + 1);
        write_back(&pipe, &progress, true).unwrap_err();
    }
}
