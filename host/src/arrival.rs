//! A file on its way: one thread brings it, one reads it along, one sees that it gets to the disk.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::Advice;

/// How far a download is, told between the threads that download, read along, and write back.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    state: Mutex<Arrived>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Arrived {
    bytes: u64,
    /// How many of them were read; more than there are, once nobody reads any more.
    read: u64,
    ended: Option<bool>,
}

impl Arrival {
    /// So many bytes of the file have come, counted from its beginning.
    pub(crate) fn arrived(&self, bytes: u64) {
        self.tell(|state| state.bytes = bytes);
    }

    /// No more will come; `whole` says whether that is all of it.
    pub(crate) fn ended(&self, whole: bool) {
        self.tell(|state| {
            state.ended.get_or_insert(whole);
        });
    }

    /// Waits until no more than [`AHEAD`] bytes are unread, but no longer than that. Says whether it is so.
    pub(crate) fn is_near(&self, limit: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_far = |state: &mut Arrived| state.bytes.saturating_sub(state.read) > AHEAD;
        let waited = self
            .changed
            .wait_timeout_while(state, limit, is_far)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    fn tell(&self, change: impl FnOnce(&mut Arrived)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until there are more bytes than `read`, or no more to come.
    fn wait(&self, read: u64) -> Arrived {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |state: &mut Arrived| state.bytes <= read && state.ended.is_none();
        *self
            .changed
            .wait_while(state, nothing_new)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a download may be ahead of who reads along. To run away from it would bring nothing, and fill the memory with
/// what is read later.
const AHEAD: u64 = 16 * 1024 * 1024;

/// Brings a file to the disk while it comes, so that nobody has to wait for all of it in the end. `is_read_once` says
/// that it need not stay in memory once it was read along.
pub(crate) fn write_back(file: &File, arrival: &Arrival, is_read_once: bool) -> io::Result<()> {
    let mut on_disk = 0;
    loop {
        let arrived = arrival.wait(on_disk + STEP);
        if arrived.ended.is_some() {
            return Ok(());
        }
        bring_to_disk(file, arrived, is_read_once)?;
        on_disk = arrived.bytes;
    }
}

fn bring_to_disk(file: &File, arrived: Arrived, is_read_once: bool) -> io::Result<()> {
    file.sync_data()?;
    if let Some(done) = NonZero::new(arrived.bytes.min(arrived.read)).filter(|_| is_read_once) {
        // A wish: where it cannot be, nothing is lost.
        let _ = rustix::fs::fadvise(file, 0, Some(done), Advice::DontNeed);
    }
    Ok(())
}

/// How much is brought to the disk at a time.
const STEP: u64 = 16 * 1024 * 1024;

/// Reads a file while it comes, and waits for what has not come yet.
pub(crate) struct Follower<'a> {
    file: File,
    arrival: &'a Arrival,
    read: u64,
}

impl<'a> Follower<'a> {
    /// From the file's beginning.
    pub(crate) fn new(file: File, arrival: &'a Arrival) -> Self {
        Self {
            file,
            arrival,
            read: 0,
        }
    }
}

impl Read for Follower<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let arrived = self.arrival.wait(self.read);
        let there = arrived.bytes.saturating_sub(self.read);
        if there == 0 {
            return match arrived.ended {
                Some(true) => Ok(0),
                _ => Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the download has ended before the file did",
                )),
            };
        }
        let room = buffer
            .len()
            .min(usize::try_from(there).unwrap_or(usize::MAX));
        let count = self.file.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.read += count as u64;
        self.arrival.tell(|state| state.read = self.read);
        Ok(count)
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.arrival.tell(|state| state.read = u64::MAX);
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
    fn a_download_waits_for_who_reads_along_and_for_nobody_else() {
        let file = file(b"0123456789");
        let arrival = Arrival::default();
        arrival.arrived(AHEAD);
        assert!(arrival.is_near(NOW));
        arrival.arrived(AHEAD + 10);
        assert!(!arrival.is_near(NOW));
        let mut follower = Follower::new(file.reopen().unwrap(), &arrival);
        assert_eq!(follower.read(&mut [0; 9]).unwrap(), 9);
        assert!(!arrival.is_near(NOW));
        assert_eq!(follower.read(&mut [0; 9]).unwrap(), 1);
        assert!(arrival.is_near(NOW));
        arrival.arrived(AHEAD * 10);
        assert!(!arrival.is_near(NOW));
        drop(follower);
        assert!(arrival.is_near(NOW));
    }

    #[test]
    fn a_reader_ends_with_the_download_or_fails_with_it() {
        let file = file(b"0123");
        for whole in [true, false] {
            let arrival = Arrival::default();
            arrival.arrived(4);
            arrival.ended(whole);
            let mut read = Vec::new();
            let mut follower = Follower::new(file.reopen().unwrap(), &arrival);
            assert_eq!(follower.read_to_end(&mut read).is_ok(), whole);
            assert_eq!(read, b"0123");
        }
    }

    #[test]
    fn what_is_left_behind_can_be_read_again() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|byte| (byte % 251) as u8).collect();
        for read in [0, 4000, 2_000_001, u64::MAX] {
            let file = file(&bytes);
            let arrived = Arrived {
                bytes: bytes.len() as u64,
                read,
                ended: None,
            };
            bring_to_disk(file.as_file(), arrived, true).unwrap();
            let mut again = Vec::new();
            file.reopen().unwrap().read_to_end(&mut again).unwrap();
            assert!(again == bytes);
        }
    }

    #[test]
    fn writing_back_ends_with_the_download_and_tells_what_fails() {
        let file = file(b"0123");
        let arrival = Arrival::default();
        thread::scope(|threads| {
            let back = threads.spawn(|| write_back(file.as_file(), &arrival, true));
            arrival.arrived(STEP + 1);
            arrival.ended(false);
            back.join().unwrap().unwrap();
        });
        // Nothing can be brought to a disk through a pipe.
        let (pipe, _other) = io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(pipe));
        let arrival = Arrival::default();
        arrival.arrived(STEP + 1);
        write_back(&pipe, &arrival, true).unwrap_err();
    }
}
