//! A reader that does not let a file end early in silence.

use std::io::{self, Read};

use super::error::TransportError;
use super::name::RemoteName;

/// Reads a file that had a known size when it was opened.
#[derive(Debug)]
pub(super) struct Whole<R> {
    inner: R,
    name: RemoteName,
    at: u64,
    size: u64,
}

impl<R> Whole<R> {
    /// A reader that stands at an offset. It is an error if the file is shorter than that: it is another one than
    /// the offset is of.
    pub(super) fn new(
        inner: R,
        name: &RemoteName,
        at: u64,
        size: u64,
    ) -> Result<Self, TransportError> {
        let name = name.clone();
        if at > size {
            return Err(TransportError::Shrunk {
                name,
                expected: at,
                found: size,
            });
        }
        Ok(Self {
            inner,
            name,
            at,
            size,
        })
    }
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.at += read as u64;
        if read == 0 && !buffer.is_empty() && self.at < self.size {
            return Err(io::Error::other(TransportError::Shrunk {
                name: self.name.clone(),
                expected: self.size,
                found: self.at,
            }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8], at: u64, size: u64) -> Result<Vec<u8>, TransportError> {
        let name = RemoteName::try_from("d").unwrap();
        let mut reader = Whole::new(content, &name, at, size)?;
        let mut read = Vec::new();
        match reader.read_to_end(&mut read) {
            Ok(_) => Ok(read),
            Err(error) => Err(TransportError::from(error)),
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error_and_one_that_grew_is_none() {
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
