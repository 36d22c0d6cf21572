//! An extract as input of a command: a file, or standard input for `-`.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cprflow::Error;

/// An input that is read once.
pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    /// Its size in bytes, if that is known.
    pub(crate) len: Option<u64>,
}

impl Input {
    /// Opens the file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Ok(Self {
                reader: Box::new(io::stdin()),
                len: None,
            });
        }
        let file = File::open(path).map_err(Error::file(path))?;
        let metadata = file.metadata().map_err(Error::file(path))?;
        if metadata.is_dir() {
            let error = io::Error::new(
                io::ErrorKind::IsADirectory,
                "this is a directory, not an extract",
            );
            return Err(Error::file(path)(error));
        }
        Ok(Self {
            reader: Box::new(file),
            len: metadata.is_file().then_some(metadata.len()),
        })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// An input that can be read several times.
///
/// Standard input and pipes are copied to a temporary file first. It has no name and mode 0600, so that no other
/// process can open it.
pub(crate) struct RereadableInput {
    path: PathBuf,
    copy: Option<File>,
    /// Its size in bytes.
    pub(crate) len: Option<u64>,
}

impl RereadableInput {
    /// Opens the file, or copies standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut input = Input::open(path)?;
        if let Some(len) = input.len {
            return Ok(Self {
                path: path.to_owned(),
                copy: None,
                len: Some(len),
            });
        }
        let in_temporary_directory = Error::file(std::env::temp_dir());
        let private = std::fs::Permissions::from_mode(0o600);
        let copy =
            tempfile::tempfile().and_then(|copy| copy.set_permissions(private).map(|()| copy));
        let mut copy = copy.map_err(in_temporary_directory)?;
        let len = io::copy(&mut input, &mut copy).map_err(Error::Input)?;
        Ok(Self {
            path: path.to_owned(),
            copy: Some(copy),
            len: Some(len),
        })
    }

    /// Returns the input from its first byte on. Only one of these inputs can be read at a time.
    pub(crate) fn again(&self) -> io::Result<Input> {
        let mut file = match &self.copy {
            Some(copy) => copy.try_clone()?,
            None => File::open(&self.path)?,
        };
        file.rewind()?;
        Ok(Input {
            reader: Box::new(file),
            len: self.len,
        })
    }
}
