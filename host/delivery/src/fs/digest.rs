//! SHA-256 digests of files while they are written or read.

use std::io::{self, Read, Write};

/// A writer that calculates the SHA-256 of everything that is written to it.
pub(crate) struct Digesting<W> {
    inner: W,
    hash: sha2::Sha256,
}

impl<W> Digesting<W> {
    /// Creates a writer that passes all bytes on to `inner`.
    pub(crate) fn new(inner: W) -> Self {
        use sha2::Digest;
        Self {
            inner,
            hash: sha2::Sha256::new(),
        }
    }

    /// Adds bytes to the digest that are already in the file. Returns their number.
    pub(crate) fn skip(&mut self, bytes: impl Read) -> io::Result<u64> {
        let mut bytes = io::BufReader::with_capacity(256 * 1024, bytes);
        io::copy(&mut bytes, &mut HashOnly(&mut self.hash))
    }

    /// Returns the inner writer.
    pub(crate) fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Returns the inner writer and the SHA-256 in lower-case hexadecimal.
    pub(crate) fn finish(self) -> (W, String) {
        use sha2::Digest;
        let digest = self.hash.finalize();
        (self.inner, base16ct::lower::encode_string(&digest))
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use sha2::Digest;
        let count = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the SHA-256 of everything that a reader returns, in lower-case hexadecimal.
pub(crate) fn digest(bytes: impl Read) -> io::Result<String> {
    let mut sink = Digesting::new(());
    sink.skip(bytes)?;
    Ok(sink.finish().1)
}

/// A writer that only adds to a digest.
struct HashOnly<'a>(&'a mut sha2::Sha256);

impl Write for HashOnly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
