//! A progress bar on standard error, if that is a terminal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
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
