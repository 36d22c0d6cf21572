//! `cprflow.generate`: an extract of persons who do not exist.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cprflow::{Error, unfinished_file};
use cprflow_connector::generate::{LayoutAge, Settings, Written, changes as write_changes, status};
use pyo3::prelude::*;

use crate::choice;
use crate::failure::{Failure, detached};
use crate::interrupt::{Interrupt, InterruptibleWriter};

/// The bytes that are written to the file at a time.
const BUFFER: usize = 1 << 20;

/// Write an extract of persons who do not exist, for tests. The same seed gives the same persons.
///
/// No number belongs to a person, because all numbers fail CPR's modulus 11 check. `changes=True` writes a change file
/// of a `night` (default: 1) instead of all persons; without it, `night` is the number of nights of changes that the
/// population has had. `busy=True` lets far more happen than in Denmark, so that few persons show everything. `shape`
/// is `"trimmed"`, `"full"` or `"packed"`, `order` is `"second-pass"` or `"by-person"`, and `original_layout=True` writes
/// the older layout of 001 and 002, as for `cprflow generate`.
///
/// >>> cprflow.generate("d261123.l000001", persons=1000, seed=7).persons
/// 1000
///
/// Raises FileError if the file cannot be written.
#[pyfunction]
#[pyo3(signature = (
    path, *, persons, seed=1, changes=false, night=None, busy=false, shape="trimmed", order="second-pass",
    original_layout=false
))]
#[expect(
    clippy::too_many_arguments,
    reason = "they are the keyword arguments of a Python function"
)]
pub(crate) fn generate(
    py: Python<'_>,
    path: PathBuf,
    persons: u64,
    seed: u64,
    changes: bool,
    night: Option<u32>,
    busy: bool,
    shape: &str,
    order: &str,
    original_layout: bool,
) -> PyResult<Generated> {
    if persons == 0 {
        return Err(Failure::request("persons must be at least 1").into());
    }
    let mut settings = Settings::new(persons, seed);
    settings.busy = busy;
    settings.shape = choice::shape(shape)?;
    settings.order = choice::order(order)?;
    if original_layout {
        settings.layout = LayoutAge::Original;
    }
    let change_night = changes.then(|| night.unwrap_or(1).max(1));
    if !changes {
        settings.night = night.unwrap_or(0);
    }
    let interrupt = Interrupt::new();
    let written = detached(py, || {
        Ok(write(&path, &settings, change_night, &interrupt)?)
    });
    let written = written.map_err(|failure| interrupt.explain(failure))?;
    Ok(Generated {
        persons: written.persons,
        records: written.records,
        bytes: written.bytes,
    })
}

/// Writes the extract. A file gets its name when it is complete, and only its owner can read it. A link is followed. A
/// device or pipe is written at once: a file that took its name would replace it.
fn write(
    path: &Path,
    settings: &Settings,
    change_night: Option<u32>,
    interrupt: &Interrupt,
) -> Result<Written, Error> {
    let target = match path.is_symlink() {
        true => fs::canonicalize(path).map_err(Error::file(path))?,
        false => path.to_owned(),
    };
    if fs::metadata(&target).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let device = OpenOptions::new().write(true).open(&target);
        let device = device.map_err(Error::file(path))?;
        let (written, _) =
            write_to(device, settings, change_night, interrupt).map_err(Error::file(path))?;
        return Ok(written);
    }
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let file = unfinished_file(directory, &name).map_err(Error::file(path))?;
    let written = write_to(file, settings, change_night, interrupt);
    let (written, file) = written.map_err(Error::file(path))?;
    file.as_file().sync_all().map_err(Error::file(path))?;
    let named = file.persist(&target);
    named.map_err(|error| Error::file(path)(error.error))?;
    Ok(written)
}

/// Writes the extract to what is open, and returns that again.
fn write_to<W: Write>(
    out: W,
    settings: &Settings,
    change_night: Option<u32>,
    interrupt: &Interrupt,
) -> io::Result<(Written, W)> {
    let inner = BufWriter::with_capacity(BUFFER, out);
    let mut out = InterruptibleWriter { inner, interrupt };
    let written = match change_night {
        Some(night) => write_changes(settings, night, &mut out),
        None => status(settings, &mut out),
    };
    let written = written.and_then(|written| out.flush().map(|()| written))?;
    let out = out
        .inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    Ok((written, out))
}

/// The size of a generated extract.
#[pyclass(frozen, get_all, module = "cprflow")]
pub(crate) struct Generated {
    /// The number of persons.
    persons: u64,
    /// The number of records, with start and end.
    records: u64,
    /// The size of the file in bytes.
    bytes: u64,
}

#[pymethods]
impl Generated {
    fn __repr__(&self) -> String {
        format!(
            "Generated(persons={}, records={}, bytes={})",
            self.persons, self.records, self.bytes
        )
    }
}
