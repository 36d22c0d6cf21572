//! Reads and writes at the same time, in two threads.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

use crate::error::TransportError;

/// Copies the bytes of a reader to a sink, in order and in blocks of up to 2 MiB.
///
/// The sink runs in its own thread, so that the thread that decrypts a connection does not wait for a disk. The copy
/// ends when the reader ends or the sink returns [`ControlFlow::Break`]. Bytes that were read before an error of the
/// reader still reach the sink.
///
/// # Errors
///
/// Returns the error of the sink, or else that of the reader.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use cprflow_transport::{TransportError, pipelined_copy};
///
/// let mut copy = Vec::new();
/// pipelined_copy(&mut b"an extract".as_slice(), |block| {
///     copy.extend_from_slice(block);
///     Ok::<_, TransportError>(ControlFlow::Continue(()))
/// })?;
/// assert_eq!(copy, b"an extract");
/// # Ok::<(), TransportError>(())
/// ```
pub fn pipelined_copy<E: From<TransportError> + Send>(
    reader: &mut (impl Read + ?Sized),
    mut sink: impl FnMut(&[u8]) -> Result<ControlFlow<()>, E> + Send,
) -> Result<(), E> {
    let (full_sender, full_blocks) = mpsc::channel::<(Vec<u8>, usize)>();
    let (empty_sender, empty_blocks) = mpsc::channel();
    // The channels have no limit, but only these blocks circulate between the threads, which limits the memory.
    for _ in 0..BLOCK_COUNT {
        let _ = empty_sender.send(vec![0; BLOCK_BYTES]);
    }
    thread::scope(|threads| {
        let write = move || {
            for (block, count) in full_blocks {
                if sink(block.get(..count).unwrap_or_default())?.is_break() {
                    break;
                }
                let _ = empty_sender.send(block);
            }
            Ok(())
        };
        let started = thread::Builder::new().spawn_scoped(threads, write);
        let writing = started.map_err(|error| {
            let text = format!(
                "cannot start a thread: {error}. The system allows this user too few processes or threads"
            );
            TransportError::from(io::Error::new(error.kind(), text))
        })?;
        let read = fill_blocks(reader, &empty_blocks, &full_sender);
        drop(full_sender);
        match writing.join() {
            Ok(written) => written.and(read.map_err(|error| TransportError::from(error).into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Fills empty blocks until the reader ends or the other thread has stopped.
fn fill_blocks(
    reader: &mut (impl Read + ?Sized),
    empty_blocks: &mpsc::Receiver<Vec<u8>>,
    full_sender: &mpsc::Sender<(Vec<u8>, usize)>,
) -> io::Result<()> {
    while let Ok(mut block) = empty_blocks.recv() {
        let count = loop {
            match reader.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if count == 0 || full_sender.send((block, count)).is_err() {
            break;
        }
    }
    Ok(())
}

/// The size of a block: the most that the SFTP reader returns from one call.
const BLOCK_BYTES: usize = 2 * 1024 * 1024;

/// One block is filled, one is written, and one waits so that neither thread is idle.
const BLOCK_COUNT: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Operation;

    /// Returns a number of pieces of different sizes, then ends or fails.
    struct PieceReader {
        pieces_left: usize,
        bytes_returned: usize,
        fails: bool,
    }

    impl Read for PieceReader {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.pieces_left == 0 {
                return match self.fails {
                    false => Ok(0),
                    true => Err(io::Error::other(lost(Operation::Read))),
                };
            }
            if self.pieces_left % 7 == 3 {
                self.pieces_left -= 1;
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.pieces_left -= 1;
            let count = (self.bytes_returned % 1000 + 1).min(buffer.len());
            for (index, byte) in buffer.iter_mut().take(count).enumerate() {
                *byte = (self.bytes_returned + index) as u8;
            }
            self.bytes_returned += count;
            Ok(count)
        }
    }

    fn lost(operation: Operation) -> TransportError {
        TransportError::Lost {
            server: "sftp.example.dk".to_owned(),
            operation,
            what: None,
        }
    }

    /// Copies until the sink has `enough` bytes. Returns the result, the copied bytes and the number of bytes read.
    fn copy(
        pieces: usize,
        fails: bool,
        enough: usize,
    ) -> (Result<(), TransportError>, Vec<u8>, usize) {
        let mut reader = PieceReader {
            pieces_left: pieces,
            bytes_returned: 0,
            fails,
        };
        let mut all = Vec::new();
        let result = pipelined_copy(&mut reader, |block| {
            all.extend_from_slice(block);
            Ok(match all.len() >= enough {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        });
        (result, all, reader.bytes_returned)
    }

    fn is_in_order(all: &[u8]) -> bool {
        all.iter()
            .enumerate()
            .all(|(index, byte)| *byte == index as u8)
    }

    #[test]
    fn copies_all_bytes_in_order() {
        let (result, all, read) = copy(500, false, usize::MAX);
        result.unwrap();
        assert!(all.len() == read && read > 100_000 && is_in_order(&all));
    }

    #[test]
    fn copies_the_bytes_before_a_read_error() {
        let (result, all, read) = copy(500, true, usize::MAX);
        assert!(matches!(result, Err(TransportError::Lost { .. })));
        assert!(all.len() == read && read > 100_000 && is_in_order(&all));
    }

    #[test]
    fn ends_when_the_sink_breaks() {
        let (result, all, _) = copy(usize::MAX, false, 5_000);
        result.unwrap();
        assert!(all.len() >= 5_000 && is_in_order(&all));
    }

    #[test]
    fn ends_when_the_sink_fails() {
        let mut reader = io::repeat(b'x');
        let result = pipelined_copy(&mut reader, |_| Err(lost(Operation::List)));
        assert!(matches!(
            result,
            Err(TransportError::Lost {
                operation: Operation::List,
                ..
            })
        ));
    }
}
