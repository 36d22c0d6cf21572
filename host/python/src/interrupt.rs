//! Ctrl-C during long work: Python's signal handlers run between two blocks of input, or two pages of a Parquet file.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::failure::Failure;

/// The interval at which long work lets Python's signal handlers run.
const INTERVAL: Duration = Duration::from_millis(50);

/// Lets Python's signal handlers run, and keeps the exception that one of them raised.
///
/// Python runs handlers in the main thread only. In other threads this does nothing.
pub(crate) struct Interrupt(Mutex<State>);

struct State {
    last: Instant,
    raised: Option<PyErr>,
}

impl Interrupt {
    /// Creates an interrupt that has not happened.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            last: Instant::now(),
            raised: None,
        }))
    }

    /// Runs the handlers of pending signals, if the last time was long enough ago. Fails if one of them raised an
    /// exception. The caller must not hold Python's global lock for long.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.check_after(INTERVAL)
    }

    /// Runs the handlers of pending signals at once, for example after a signal has ended a system call.
    pub(crate) fn check_now(&self) -> io::Result<()> {
        self.check_after(Duration::ZERO)
    }

    fn check_after(&self, interval: Duration) -> io::Result<()> {
        let mut state = self.state();
        if state.raised.is_none() {
            if state.last.elapsed() < interval {
                return Ok(());
            }
            state.last = Instant::now();
            // Another thread may have Python's lock and wait for this one.
            drop(state);
            let raised = Python::attach(|py| py.check_signals()).err();
            state = self.state();
            if raised.is_some() {
                state.raised = raised;
            }
        }
        match state.raised {
            None => Ok(()),
            // Another kind would make the reader try again.
            Some(_) => Err(io::Error::other("interrupted")),
        }
    }

    /// Returns the exception of a handler instead of the failure that it caused, if there is one.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match self.state().raised.take() {
            Some(raised) => Failure::Python(raised),
            None => failure,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A writer that can be interrupted.
pub(crate) struct InterruptibleWriter<'a, W> {
    pub(crate) inner: W,
    pub(crate) interrupt: &'a Interrupt,
}

impl<W: Write> Write for InterruptibleWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
