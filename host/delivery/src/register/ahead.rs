//! Decompresses a kept extract in a thread of its own, beside the scan that reads it.

use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::BUFFER_BYTES;

/// The number of blocks that may wait for the reader.
const MAX_BLOCKS: usize = 4;

/// A reader whose bytes are read ahead by a thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct ReadAhead {
    /// Blocks in order; an empty one is the end. Closed without it, if the thread failed.
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Cursor<Vec<u8>>,
    is_at_end: bool,
}

impl ReadAhead {
    /// Starts the thread. Fails if the system has no thread left.
    pub(super) fn start(inner: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(MAX_BLOCKS);
        let thread = thread::Builder::new().name("cprflow-extract".to_owned());
        thread.spawn(move || send(inner, &sender))?;
        Ok(Self {
            blocks,
            block: Cursor::default(),
            is_at_end: false,
        })
    }
}

/// Sends all bytes, then an empty block. Ends early after an error, and when nobody reads any more.
fn send(mut inner: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BUFFER_BYTES);
        let mut next = inner.by_ref().take(BUFFER_BYTES as u64);
        let read = next.read_to_end(&mut block);
        let is_last = !matches!(read, Ok(count) if count > 0);
        if blocks.send(read.map(|_| block)).is_err() || is_last {
            return;
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.is_at_end {
                return Ok(count);
            }
            let lost = || io::Error::other("the thread that reads the kept extract has ended");
            let block = self.blocks.recv().map_err(|_| lost())??;
            self.is_at_end = block.is_empty();
            self.block = Cursor::new(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its bytes in small pieces and then ends or fails.
    struct Source {
        left: usize,
        end: fn() -> io::Result<usize>,
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return (self.end)();
            }
            let count = buffer.len().min(self.left).min(7_001);
            for (index, byte) in buffer.iter_mut().take(count).enumerate() {
                *byte = (self.left - index) as u8;
            }
            self.left -= count;
            Ok(count)
        }
    }

    #[test]
    fn all_bytes_arrive_in_order() {
        for length in [0, 1, BUFFER_BYTES, 3 * BUFFER_BYTES + 5] {
            let source = |left| Source {
                left,
                end: || Ok(0),
            };
            let mut expected = Vec::new();
            source(length).read_to_end(&mut expected).unwrap();
            let mut found = Vec::new();
            let mut ahead = ReadAhead::start(source(length)).unwrap();
            ahead.read_to_end(&mut found).unwrap();
            assert!(found == expected, "{length}");
            assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0);
        }
    }

    #[test]
    fn an_error_and_a_lost_thread_are_never_an_end() {
        let ends: [fn() -> io::Result<usize>; 2] = [
            || Err(io::Error::new(io::ErrorKind::InvalidData, "damaged")),
            || std::panic::resume_unwind(Box::new("lost")),
        ];
        for (end, kind) in ends
            .into_iter()
            .zip([io::ErrorKind::InvalidData, io::ErrorKind::Other])
        {
            for left in [0, BUFFER_BYTES, 10 * BUFFER_BYTES] {
                let mut ahead = ReadAhead::start(Source { left, end }).unwrap();
                let error = ahead.read_to_end(&mut Vec::new()).unwrap_err();
                assert_eq!(error.kind(), kind, "{left}");
                assert!(ahead.read(&mut [0; 8]).is_err());
            }
        }
    }

    #[test]
    fn the_thread_ends_when_its_reader_is_dropped() {
        struct Told(SyncSender<()>);
        impl Read for Told {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                buffer.fill(b'x');
                Ok(buffer.len())
            }
        }
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (sender, dropped) = sync_channel(1);
        let mut ahead = ReadAhead::start(Told(sender)).unwrap();
        ahead.read_exact(&mut [0; 100]).unwrap();
        drop(ahead);
        dropped.recv().unwrap();
    }
}
