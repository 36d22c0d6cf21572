//! A reader that reports a file that ends before its known size.

use std::io::{self, Read};

use crate::error::TransportError;
use crate::name::RemoteName;

/// Reads a file whose size was known when it was opened, and fails if the file ends before that size.
#[derive(Debug)]
pub(crate) struct ExactReader<R> {
    inner: R,
    name: RemoteName,
    /// The position in the file, in bytes.
    position: u64,
    size: u64,
}

impl<R> ExactReader<R> {
    /// Wraps a reader of a file of `size` bytes that already stands at `position`.
    ///
    /// Fails if the file is shorter than the position: it is not the file that the position was recorded for.
    pub(crate) fn new(
        inner: R,
        name: &RemoteName,
        position: u64,
        size: u64,
    ) -> Result<Self, TransportError> {
        let name = name.clone();
        if position > size {
            return Err(TransportError::Shrunk {
                name,
                expected: position,
                found: size,
            });
        }
        Ok(Self {
            inner,
            name,
            position,
            size,
        })
    }
}

impl<R: Read> Read for ExactReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.position += read as u64;
        if read == 0 && !buffer.is_empty() && self.position < self.size {
            return Err(io::Error::other(TransportError::Shrunk {
                name: self.name.clone(),
                expected: self.size,
                found: self.position,
            }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8], position: u64, size: u64) -> Result<Vec<u8>, TransportError> {
        let name = RemoteName::try_from("d").unwrap();
        let mut reader = ExactReader::new(content, &name, position, size)?;
        let mut read = Vec::new();
        match reader.read_to_end(&mut read) {
            Ok(_) => Ok(read),
            Err(error) => Err(TransportError::from(error)),
        }
    }

    #[test]
    fn fails_if_the_file_ends_early_and_accepts_a_file_that_grew() {
        assert_eq!(read(b"abc", 0, 3).unwrap(), b"abc");
        assert_eq!(read(b"abcd", 0, 3).unwrap(), b"abcd");
        assert_eq!(read(b"", 3, 3).unwrap(), b"");
        let shrunk = read(b"ab", 5, 8).unwrap_err();
        assert!(matches!(
            shrunk,
            TransportError::Shrunk {
                expected: 8,
                found: 7,
                ..
            }
        ));
        let shrunk = read(b"", 9, 8).unwrap_err();
        assert!(matches!(
            shrunk,
            TransportError::Shrunk {
                expected: 9,
                found: 8,
                ..
            }
        ));
    }
}
