//! Extracts as input of a command: files, directories, or standard input for `-`. Files may be packed with gzip.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cprflow::Error;
use flate2::read::MultiGzDecoder;

/// Why an input cannot be read. The error that holds it names the file.
#[derive(Debug, thiserror::Error)]
enum InputError {
    /// The directory is empty, or has only hidden files and metadata files.
    #[error(
        "this directory has no file that can be an extract. Name the directory of the data files, or a file"
    )]
    EmptyDirectory,
    /// A directory was named where one extract is read.
    #[error("this is a directory, not an extract. Name a file in it")]
    IsDirectory,
    /// The packed file ends before its content does.
    #[error("the gzip file is cut off, or other bytes follow its content. Fetch it again")]
    GzipCutOff,
    /// The packed file does not unpack to what was packed.
    #[error("the gzip file is damaged, or other bytes follow its content. Fetch it again")]
    GzipDamaged,
}

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Returns the extracts that the command line names. A directory stands for the files in it, in the order of their
/// names; hidden files and metadata files of deliveries are left out.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new("-") || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for entry in fs::read_dir(path).map_err(Error::file(path))? {
            let file = entry.map_err(Error::file(path))?.path();
            if file.is_file() && !is_left_out(&file) {
                files.push(file);
            }
        }
        if files.len() == before {
            let error = io::Error::new(io::ErrorKind::NotFound, InputError::EmptyDirectory);
            return Err(Error::file(path)(error));
        }
        if let Some(added) = files.get_mut(before..) {
            added.sort();
        }
    }
    Ok(files)
}

fn is_left_out(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b".metadata")
}

/// An input that is read once.
pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    /// The number of bytes that will be read, if that is known.
    pub(crate) len: Option<u64>,
}

impl Input {
    /// Returns an extract of the register as an input.
    pub(crate) fn kept(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, len: None }
    }

    /// Opens the file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Self::unpacked(io::stdin(), None).map_err(Error::Input);
        }
        let file = File::open(path).map_err(Error::file(path))?;
        let metadata = file.metadata().map_err(Error::file(path))?;
        if metadata.is_dir() {
            let error = io::Error::new(io::ErrorKind::IsADirectory, InputError::IsDirectory);
            return Err(Error::file(path)(error));
        }
        let len = metadata.is_file().then_some(metadata.len());
        Self::unpacked(file, len).map_err(Error::file(path))
    }

    /// Returns the input, unpacked if it begins like a gzip file.
    fn unpacked(mut reader: impl Read + Send + 'static, len: Option<u64>) -> io::Result<Self> {
        let mut front = Vec::with_capacity(GZIP.len());
        (&mut reader)
            .take(GZIP.len() as u64)
            .read_to_end(&mut front)?;
        let is_gzip = front == GZIP;
        let whole = Cursor::new(front).chain(reader);
        Ok(match is_gzip {
            true => Self {
                reader: Box::new(GzipInput(MultiGzDecoder::new(whole))),
                len: None,
            },
            false => Self {
                reader: Box::new(whole),
                len,
            },
        })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// A gzip file. Its errors say that the packing is damaged, not the extract.
struct GzipInput<R: Read>(MultiGzDecoder<R>);

impl<R: Read> Read for GzipInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), InputError::GzipCutOff),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                io::Error::new(error.kind(), InputError::GzipDamaged)
            }
            _ => error,
        })
    }
}

/// An input that can be read several times.
///
/// Standard input, pipes and gzip files are copied to a temporary file first. It has no name and mode 0600, so that no
/// other process can open it.
#[derive(Clone)]
pub(crate) struct RereadableInput {
    path: PathBuf,
    copy: Option<Arc<File>>,
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
        let private = fs::Permissions::from_mode(0o600);
        let copy =
            tempfile::tempfile().and_then(|copy| copy.set_permissions(private).map(|()| copy));
        let mut copy = copy.map_err(in_temporary_directory)?;
        let len = io::copy(&mut input, &mut copy).map_err(Error::Input)?;
        Ok(Self {
            path: path.to_owned(),
            copy: Some(Arc::new(copy)),
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
