//! Extracts as input: a path, bytes or a Python file object.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cprflow::Error;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use tempfile::{SpooledData, SpooledTempFile};

use crate::failure::{Failure, detached};
use crate::interrupt::Interrupt;

/// The bytes of a pipe or a file object that are kept in memory. A longer one is copied to a temporary file, which has
/// no name and mode 0600.
const IN_MEMORY: usize = 16 << 20;

/// The bytes that are read of a pipe or a file object at a time.
const BLOCK: usize = 1 << 20;

/// An extract that can be read any number of times, also by several threads at a time.
#[derive(Clone)]
pub(crate) enum Input {
    File(Arc<File>),
    Python(Arc<PyBackedBytes>),
    Memory(Arc<[u8]>),
}

impl Input {
    /// Opens a path, bytes or a file object.
    ///
    /// A file object is read to its end, unless it is an ordinary file that can be opened again.
    pub(crate) fn open(source: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        let py = source.py();
        if let Ok(bytes) = source.cast::<PyBytes>() {
            return Ok(Self::Python(Arc::new(bytes.clone().into())));
        }
        if source.is_instance_of::<PyByteArray>() || source.is_instance_of::<PyMemoryView>() {
            let copied = py.get_type::<PyBytes>().call1((source,));
            let copied = copied.and_then(|copied| Ok(copied.cast_into::<PyBytes>()?));
            return Ok(Self::Python(Arc::new(
                copied.map_err(Failure::Python)?.into(),
            )));
        }
        if let Ok(path) = source.extract::<PathBuf>() {
            return detached(py, || Self::open_path(&path));
        }
        if source.hasattr("read").map_err(Failure::Python)? {
            return Self::open_file_object(source);
        }
        let what = "an extract must be a path, bytes or a file object that is open in binary mode";
        Err(Failure::Python(PyTypeError::new_err(what)))
    }

    fn open_path(path: &Path) -> Result<Self, Failure> {
        let mut file = File::open(path).map_err(Error::file(path))?;
        let metadata = file.metadata().map_err(Error::file(path))?;
        if metadata.is_dir() {
            let error = io::Error::new(
                io::ErrorKind::IsADirectory,
                "this is a directory, not an extract. For a dataset, use cprflow.dataset",
            );
            return Err(Error::file(path)(error).into());
        }
        if metadata.is_file() {
            return Ok(Self::File(Arc::new(file)));
        }
        let interrupt = Interrupt::new();
        let mut block = vec![0; BLOCK];
        let copied = Self::copy(|copy| {
            let count = match file.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    interrupt.check_now()?;
                    return Ok(true);
                }
                read => read?,
            };
            interrupt.check()?;
            copy.write_all(block.get(..count).unwrap_or_default())?;
            Ok(count > 0)
        });
        copied.map_err(|error| interrupt.explain(error))
    }

    fn open_file_object(source: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        if let Some(file) = same_file(source) {
            return Ok(Self::File(Arc::new(file)));
        }
        let mut raised = None;
        let copied = Self::copy(|copy| {
            let next = read_block(source).map_err(|error| {
                raised = Some(error);
                io::Error::other("the file object failed")
            })?;
            copy.write_all(next.as_bytes())?;
            Ok(!next.as_bytes().is_empty())
        });
        copied.map_err(|error| match raised {
            Some(raised) => Failure::Python(raised),
            None => error,
        })
    }

    /// Copies an input that can be read only once. `next` copies one block and returns whether there are more.
    fn copy(
        mut next: impl FnMut(&mut SpooledTempFile) -> io::Result<bool>,
    ) -> Result<Self, Failure> {
        let mut copy = SpooledTempFile::new(IN_MEMORY);
        while next(&mut copy).map_err(Error::Input)? {}
        Ok(match copy.into_inner() {
            SpooledData::InMemory(bytes) => Self::Memory(bytes.into_inner().into()),
            SpooledData::OnDisk(file) => Self::File(Arc::new(file)),
        })
    }

    /// Returns a reader from the first byte on.
    pub(crate) fn reader(&self, interrupt: Option<Arc<Interrupt>>) -> InputReader {
        InputReader {
            input: self.clone(),
            position: 0,
            interrupt,
        }
    }
}

/// Reads one block of a file object.
fn read_block<'py>(source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    source.py().check_signals()?;
    let block = source.call_method1("read", (BLOCK,))?;
    block.cast_into::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(
            "the file object does not return bytes: open it in binary mode, \"rb\"",
        )
    })
}

/// Opens the file of a file object once more, if the object is an ordinary file at its beginning.
///
/// Other objects have descriptors too, for example that of the compressed file.
fn same_file(source: &Bound<'_, PyAny>) -> Option<File> {
    let io = source.py().import("io").ok()?;
    let class = source.get_type();
    let is_plain = ["FileIO", "BufferedReader", "BufferedRandom"]
        .iter()
        .any(|name| io.getattr(name).is_ok_and(|plain| plain.is(&class)));
    let is_at_begin = || {
        source
            .call_method0("tell")
            .and_then(|at| at.extract::<u64>())
    };
    if !is_plain || is_at_begin().ok()? != 0 {
        return None;
    }
    let descriptor: i32 = source.call_method0("fileno").ok()?.extract().ok()?;
    let file = File::open(format!("/proc/self/fd/{descriptor}")).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// Reads an input. It has its own position, so that several readers of one input do not disturb each other.
pub(crate) struct InputReader {
    input: Input,
    position: u64,
    interrupt: Option<Arc<Interrupt>>,
}

impl Read for InputReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(interrupt) = &self.interrupt {
            interrupt.check()?;
        }
        let count = match &self.input {
            Input::File(file) => file.read_at(buffer, self.position)?,
            Input::Python(bytes) => read_at(bytes, buffer, self.position)?,
            Input::Memory(bytes) => read_at(bytes, buffer, self.position)?,
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for InputReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let size = || match &self.input {
            Input::File(file) => file.metadata().map(|metadata| metadata.len()),
            Input::Python(bytes) => Ok(bytes.len() as u64),
            Input::Memory(bytes) => Ok(bytes.len() as u64),
        };
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => size()?.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn read_at(bytes: &[u8], buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut cursor = Cursor::new(bytes);
    cursor.set_position(position);
    cursor.read(buffer)
}
