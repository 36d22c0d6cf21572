//! Progress bars on standard error. They are drawn on a terminal only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cprflow_delivery::sync::Observer;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::log;

const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// The progress of a scan: bytes, records per second and, if the size is known, the time left.
pub(crate) struct ScanProgress(ProgressBar);

impl ScanProgress {
    /// Starts the bar of an input with this many bytes.
    pub(crate) fn new(len: Option<u64>) -> Self {
        let (bar, template) = match len {
            _ if log::is_quiet() => return Self(ProgressBar::hidden()),
            Some(len) => (
                ProgressBar::new(len),
                "{bar:32} {bytes}/{total_bytes} {bytes_per_sec}  {msg}  {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {bytes} {bytes_per_sec}  {msg}",
            ),
        };
        set_template(&bar, template);
        redraw_regularly(&bar);
        Self(bar)
    }

    /// Sets how much has been read.
    pub(crate) fn at(&self, bytes: u64, rows: u64) {
        self.0.set_position(bytes);
        let seconds = self.0.elapsed().as_secs_f64();
        // The rate of the first moments is not meaningful.
        if seconds > 0.5 {
            let rate = (rows as f64 / seconds) as u64;
            self.0
                .set_message(format!("{} records/s", HumanCount(rate)));
        }
    }

    /// Removes the bar, so that other output can follow.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for ScanProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The progress of a download: bytes received and records scanned.
#[derive(Default)]
pub(crate) struct SyncProgress {
    bar: SharedBar,
    rows: AtomicU64,
}

impl Observer for SyncProgress {
    fn begins(&self, file_name: &str, size: u64) {
        if log::is_quiet() {
            return;
        }
        let bar = ProgressBar::new(size);
        set_template(
            &bar,
            "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}  {msg}  {eta} left",
        );
        bar.set_prefix(file_name.to_owned());
        redraw_regularly(&bar);
        self.rows.store(0, Ordering::Relaxed);
        self.bar.set(bar);
    }

    fn downloaded(&self, bytes: u64) {
        self.bar.with(|bar| bar.set_position(bytes));
    }

    fn scanned(&self, rows: u64) {
        // The scanning thread calls this for every batch. Formatting the message each time would slow it down.
        const STEP: u64 = 1 << 16;
        let before = self.rows.swap(rows, Ordering::Relaxed);
        if before / STEP != rows / STEP {
            self.bar
                .with(|bar| bar.set_message(format!("{} records", HumanCount(rows))));
        }
    }

    fn ends(&self) {
        self.bar.clear();
    }
}

/// A bar that several threads can update and that does not always exist.
#[derive(Default)]
pub(crate) struct SharedBar(Mutex<Option<ProgressBar>>);

impl SharedBar {
    /// Shows this bar.
    pub(crate) fn set(&self, bar: ProgressBar) {
        *self.lock() = Some(bar);
    }

    /// Updates the bar, if there is one.
    pub(crate) fn with(&self, update: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &*self.lock() {
            update(bar);
        }
    }

    /// Removes the bar, if there is one.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Redraws the bar also while nothing happens, if it is shown. The library does so in a thread, and panics if the system
/// allows no more threads.
fn redraw_regularly(bar: &ProgressBar) {
    if !bar.is_hidden() && thread::Builder::new().spawn(|| {}).is_ok() {
        bar.enable_steady_tick(REDRAW_INTERVAL);
    }
}

/// Sets the template of a bar. A template that indicatif rejects leaves the default style.
pub(crate) fn set_template(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
