//! Being told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A wish to stop, which a signal handler may set. A run that sees it ends between two steps, and loses nothing.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// The flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error if it is time to stop.
    pub fn check(&self) -> Result<(), Error> {
        match self.is_set() {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Waits that long, or until it is time to stop.
    pub fn wait(&self, pause: Duration) -> Result<(), Error> {
        const GLANCE: Duration = Duration::from_millis(100);
        let until = Instant::now() + pause;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(GLANCE));
        }
    }
}
