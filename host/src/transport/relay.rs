//! Reading and writing at once.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

use super::TransportError;

/// Hands what a reader gives on to a sink in a thread of its own, block by block and in order, until the reader ends or
/// the sink has enough: a line that is decrypted by one thread need not wait for a disk.
///
/// What was read before an error is handed on first.
///
/// # Errors
///
/// The sink's, and otherwise the reader's.
pub fn relay<E: From<TransportError> + Send>(
    reader: &mut (impl Read + ?Sized),
    mut sink: impl FnMut(&[u8]) -> Result<ControlFlow<()>, E> + Send,
) -> Result<(), E> {
    let (full, blocks) = mpsc::channel::<(Vec<u8>, usize)>();
    let (done, empty) = mpsc::channel();
    // Between the two threads there are as many blocks as there are, and no more.
    for _ in 0..BLOCKS {
        let _ = done.send(vec![0; BLOCK]);
    }
    thread::scope(|threads| {
        let writing = threads.spawn(move || {
            for (block, count) in blocks {
                if sink(block.get(..count).unwrap_or_default())?.is_break() {
                    break;
                }
                let _ = done.send(block);
            }
            Ok(())
        });
        let read = fill(reader, &empty, &full);
        drop(full);
        match writing.join() {
            Ok(written) => written.and(read.map_err(|error| TransportError::from(error).into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reads until the reader ends, or nobody wants more.
fn fill(
    reader: &mut (impl Read + ?Sized),
    empty: &mpsc::Receiver<Vec<u8>>,
    full: &mpsc::Sender<(Vec<u8>, usize)>,
) -> io::Result<()> {
    while let Ok(mut block) = empty.recv() {
        let count = loop {
            match reader.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if count == 0 || full.send((block, count)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Bytes read at a time: what a reader of SFTP gives at the most.
const BLOCK: usize = 2 * 1024 * 1024;

/// One that is read into, one that is written, and one that waits for either.
const BLOCKS: usize = 3;

#[cfg(test)]
mod tests {
    use super::super::Operation;
    use super::*;

    /// Gives pieces of all sizes, and then ends or fails.
    struct Pieces {
        left: usize,
        given: usize,
        fails: bool,
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return match self.fails {
                    false => Ok(0),
                    true => Err(io::Error::other(TransportError::Lost {
                        operation: Operation::Read,
                    })),
                };
            }
            if self.left % 7 == 3 {
                self.left -= 1;
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.left -= 1;
            let count = (self.given % 1000 + 1).min(buffer.len());
            for (place, byte) in buffer.iter_mut().take(count).enumerate() {
                *byte = (self.given + place) as u8;
            }
            self.given += count;
            Ok(count)
        }
    }

    fn relayed(
        pieces: usize,
        fails: bool,
        enough: usize,
    ) -> (Result<(), TransportError>, Vec<u8>, usize) {
        let mut reader = Pieces {
            left: pieces,
            given: 0,
            fails,
        };
        let mut all = Vec::new();
        let ended = relay(&mut reader, |block| {
            all.extend_from_slice(block);
            Ok(match all.len() >= enough {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        });
        (ended, all, reader.given)
    }

    fn is_in_order(all: &[u8]) -> bool {
        all.iter()
            .enumerate()
            .all(|(place, byte)| *byte == place as u8)
    }

    #[test]
    fn everything_comes_in_order() {
        let (ended, all, given) = relayed(500, false, usize::MAX);
        ended.unwrap();
        assert!(all.len() == given && given > 100_000 && is_in_order(&all));
    }

    #[test]
    fn what_came_before_an_error_is_handed_on() {
        let (ended, all, given) = relayed(500, true, usize::MAX);
        assert!(matches!(ended, Err(TransportError::Lost { .. })));
        assert!(all.len() == given && given > 100_000 && is_in_order(&all));
    }

    #[test]
    fn a_sink_that_has_enough_ends_it() {
        let (ended, all, _) = relayed(usize::MAX, false, 5_000);
        ended.unwrap();
        assert!(all.len() >= 5_000 && is_in_order(&all));
    }

    #[test]
    fn a_sink_that_fails_ends_it() {
        let mut reader = io::repeat(b'x');
        let ended = relay(&mut reader, |_| {
            Err(TransportError::Lost {
                operation: Operation::List,
            })
        });
        assert!(matches!(
            ended,
            Err(TransportError::Lost {
                operation: Operation::List
            })
        ));
    }
}
