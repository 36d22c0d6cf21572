//! The spool: extracts on their way, readable by their owner only, and read while they come.
//!
//! An extract is `<agreement>/<transfer uuid>.part` until all its bytes are on the disk, then `….extract`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::error::Error;

/// The place of one extract.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    part: PathBuf,
    whole: PathBuf,
}

impl Spooled {
    /// The place of a delivery's extract; its directory is made.
    pub(crate) fn new(spool: &Path, agreement: &str, transfer: &str) -> Result<Self, Error> {
        let directory = spool.join(agreement);
        private_directory(&directory)?;
        Ok(Self {
            part: directory.join(format!("{transfer}.part")),
            whole: directory.join(format!("{transfer}.extract")),
        })
    }

    /// The whole extract, if it is there.
    pub(crate) fn whole(&self) -> Option<&Path> {
        self.whole.is_file().then_some(self.whole.as_path())
    }

    /// How many bytes of the extract have come.
    pub(crate) fn part_size(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |metadata| metadata.len())
    }

    /// Opens what has come, to go on after byte `from`; what stands behind is cut off.
    pub(crate) fn resume(&self, from: u64) -> Result<File, Error> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.part)
            .map_err(Error::file(&self.part))?;
        file.set_len(from)
            .and_then(|()| file.seek(SeekFrom::Start(from)))
            .map_err(Error::file(&self.part))?;
        Ok(file)
    }

    /// Opens what has come for reading.
    pub(crate) fn reader(&self) -> Result<File, Error> {
        File::open(&self.part).map_err(Error::file(&self.part))
    }

    /// An error about what has come.
    pub(crate) fn error(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::file(self.part.clone())
    }

    /// All has come: on the disk, and under the name that says so.
    pub(crate) fn complete(&self, file: &File) -> Result<(), Error> {
        file.sync_all().map_err(self.error())?;
        fs::rename(&self.part, &self.whole).map_err(Error::file(&self.whole))?;
        sync_directory(self.whole.parent())
    }

    /// Everything of it goes.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        for path in [&self.part, &self.whole] {
            remove_file(path)?;
        }
        Ok(())
    }
}

/// Removes what is in the spool since before `max_age` and is not needed, and gives the names.
pub(crate) fn remove_older(
    spool: &Path,
    max_age: SignedDuration,
    now: Timestamp,
    is_needed: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    for directory in entries(spool)? {
        for path in entries(&directory)? {
            let modified = fs::metadata(&path)
                .and_then(|metadata| metadata.modified())
                .map_err(Error::file(&path))?;
            let modified = Timestamp::try_from(modified).unwrap_or(now);
            if now.duration_since(modified) > max_age && !is_needed(&path) {
                remove_file(&path)?;
                removed.push(path);
            }
        }
    }
    Ok(removed)
}

/// What is in a directory; nothing if there is none.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::file(directory))?,
    };
    let mut paths = Vec::new();
    for entry in read {
        paths.push(entry.map_err(Error::file(directory))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Makes a directory that only its owner can enter, and those above it that are missing. Those that were missing are
/// on the disk: what is in one that is not would be lost with it.
pub(crate) fn private_directory(path: &Path) -> Result<(), Error> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<_> = path.ancestors().take_while(is_missing).collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::file(path))?;
    for directory in made {
        let above = directory.parent();
        sync_directory(above.filter(|above| !above.as_os_str().is_empty()))?;
    }
    Ok(())
}

/// Makes sure that the names in a directory are on the disk.
pub(crate) fn sync_directory(path: Option<&Path>) -> Result<(), Error> {
    let path = path.unwrap_or(Path::new("."));
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::file(path))
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file's bytes and digests them on the way.
pub(crate) struct Digesting<W> {
    inner: W,
    hash: sha2::Sha256,
}

impl<W> Digesting<W> {
    /// Begins.
    pub(crate) fn new(inner: W) -> Self {
        use sha2::Digest;
        Self {
            inner,
            hash: sha2::Sha256::new(),
        }
    }

    /// Takes bytes into the digest that stand in the file already.
    pub(crate) fn skip(&mut self, bytes: impl Read) -> io::Result<u64> {
        let mut bytes = io::BufReader::with_capacity(256 * 1024, bytes);
        io::copy(&mut bytes, &mut HashOnly(&mut self.hash))
    }

    /// What is written to.
    pub(crate) fn get_ref(&self) -> &W {
        &self.inner
    }

    /// What was written to, and the SHA-256 in hexadecimal.
    pub(crate) fn finish(self) -> (W, String) {
        use sha2::Digest;
        let digest = self.hash.finalize();
        (self.inner, hexadecimal(&digest))
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

/// The SHA-256 of what a reader gives, in hexadecimal.
pub(crate) fn digest(bytes: impl Read) -> io::Result<String> {
    let mut sink = Digesting::new(());
    sink.skip(bytes)?;
    Ok(sink.finish().1)
}

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

/// Bytes as small hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
