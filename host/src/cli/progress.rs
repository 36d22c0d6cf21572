//! A progress bar on standard error, if that is a terminal.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cprflow::Error;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// The input of a command: a file, or standard input for `-`.
pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    /// Bytes in it, where that is known beforehand.
    pub(crate) len: Option<u64>,
}

impl Input {
    /// Opens it.
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

/// The input of a command that reads it twice. What cannot be read twice is kept in a file that has no name and only
/// this process can reach.
pub(crate) struct Twice {
    path: PathBuf,
    kept: Option<File>,
    /// Bytes in it.
    pub(crate) len: Option<u64>,
}

impl Twice {
    /// Opens it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut input = Input::open(path)?;
        if let Some(len) = input.len {
            return Ok(Self {
                path: path.to_owned(),
                kept: None,
                len: Some(len),
            });
        }
        let here = Error::file(std::env::temp_dir());
        let private = std::fs::Permissions::from_mode(0o600);
        let kept =
            tempfile::tempfile().and_then(|kept| kept.set_permissions(private).map(|()| kept));
        let mut kept = kept.map_err(here)?;
        let len = io::copy(&mut input, &mut kept).map_err(Error::Input)?;
        Ok(Self {
            path: path.to_owned(),
            kept: Some(kept),
            len: Some(len),
        })
    }

    /// Reads it from its beginning.
    pub(crate) fn again(&self) -> io::Result<Input> {
        let mut file = match &self.kept {
            Some(kept) => kept.try_clone()?,
            None => File::open(&self.path)?,
        };
        file.rewind()?;
        Ok(Input {
            reader: Box::new(file),
            len: self.len,
        })
    }
}

/// The bar: bytes, records per second, time left.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins; of as many bytes as that, if it is known. indicatif draws only on a terminal.
    pub(crate) fn new(len: Option<u64>) -> Self {
        let (bar, template) = match len {
            Some(len) => (
                ProgressBar::new(len),
                "{bar:32} {bytes}/{total_bytes} {bytes_per_sec}  {msg}  {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {bytes} {bytes_per_sec}  {msg}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Says how far it is.
    pub(crate) fn at(&self, bytes: u64, rows: u64) {
        self.0.set_position(bytes);
        let seconds = self.0.elapsed().as_secs_f64();
        if seconds > 0.5 {
            let rate = (rows as f64 / seconds) as u64;
            self.0
                .set_message(format!("{} records/s", HumanCount(rate)));
        }
    }

    /// Takes the bar away, so that words can follow.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The bar of a delivery on its way: bytes that have come, records that were read along.
#[derive(Default)]
pub(crate) struct SyncProgress {
    bar: Mutex<Option<ProgressBar>>,
    rows: AtomicU64,
}

impl SyncProgress {
    fn with(&self, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            act(bar);
        }
    }
}

impl cprflow::sync::Observer for SyncProgress {
    fn begins(&self, file_name: &str, size: u64) {
        let bar = ProgressBar::new(size);
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}  {msg}  {eta} left",
        ) {
            bar.set_style(style);
        }
        bar.set_prefix(file_name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.rows.store(0, Ordering::Relaxed);
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn downloaded(&self, bytes: u64) {
        self.with(|bar| bar.set_position(bytes));
    }

    fn scanned(&self, rows: u64) {
        // Called for every batch, by the thread that scans: drawn once in a while.
        const STEP: u64 = 1 << 16;
        let before = self.rows.swap(rows, Ordering::Relaxed);
        if before / STEP != rows / STEP {
            self.with(|bar| bar.set_message(format!("{} records", HumanCount(rows))));
        }
    }

    fn ends(&self) {
        self.with(ProgressBar::finish_and_clear);
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
