//! A flag that asks a run to stop.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A flag that asks a run to stop; a signal handler may set it. The run ends between two steps, and the next run continues
/// from there.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Returns the flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Returns whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails with [`Error::Stopped`] if the flag is set.
    pub fn check(&self) -> Result<(), Error> {
        match self.is_set() {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Waits for this time. Fails with [`Error::Stopped`] within 100 ms after the flag is set.
    pub fn wait(&self, pause: Duration) -> Result<(), Error> {
        const POLL_INTERVAL: Duration = Duration::from_millis(100);
        let until = Instant::now() + pause;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(POLL_INTERVAL));
        }
    }
}

/// A writer that fails once the run must stop.
pub(crate) struct CheckedWriter<'a, W> {
    pub(crate) sink: W,
    pub(crate) stop: &'a Stop,
}

impl<W: Write> Write for CheckedWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stop.check().map_err(io::Error::other)?;
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
