//! `cprflow sync --watch`: repeats the run until it is stopped.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cprflow::Connector;
use cprflow_delivery::calendar::service_window_end;
use cprflow_delivery::{Error, Stop};
use jiff::Timestamp;
use signal_hook::consts::SIGHUP;

use super::Sync;
use crate::failure::{Failure, Outcome};
use crate::output::message;

/// How often a wait looks for signals.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

impl Sync {
    /// Makes a run at every interval, outside service windows, and at once after SIGHUP. Returns when it is stopped.
    ///
    /// Fails if the configuration is invalid at the start. A configuration that becomes invalid later is an error of
    /// the next run.
    pub(super) fn watch(&self, connector: &Connector, stop: &Stop) -> Result<Outcome, Failure> {
        let run_now = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, run_now.clone())?;
        let mut interval = self.configuration()?.interval;
        let mut failures = 0;
        let mut is_requested = false;
        loop {
            // A run that a person requested is made in a service window too.
            if !is_requested && wait_for_service_window(stop, &run_now).is_err() {
                return Ok(Outcome::Success);
            }
            let ended = self.configuration().and_then(|configuration| {
                interval = configuration.interval;
                self.once(connector, &configuration, stop)
            });
            let pause = match ended {
                Ok(Outcome::Success | Outcome::NeedsAttention) => {
                    failures = 0;
                    with_jitter(interval)
                }
                Err(Failure::Delivery(Error::Stopped)) => return Ok(Outcome::Success),
                // The problems have been printed.
                Ok(Outcome::PartlyFailed) => {
                    failures += 1;
                    with_jitter(pause_after_failures(failures, interval))
                }
                Err(failure) => {
                    message::error(&format!("the check of the inboxes failed: {failure}"));
                    failures += 1;
                    with_jitter(pause_after_failures(failures, interval))
                }
            };
            tracing::info!(seconds = pause.as_secs(), "waiting for the next check");
            is_requested = match wait(pause, stop, &run_now) {
                Ok(is_requested) => is_requested,
                Err(_) => return Ok(Outcome::Success),
            };
        }
    }
}

/// Waits until the platform's service window ends, if one is open, or until a run is requested. Fails if stopped.
fn wait_for_service_window(stop: &Stop, run_now: &AtomicBool) -> Result<(), Error> {
    let now = Timestamp::now();
    match service_window_end(now) {
        Some(end) => {
            let pause = Duration::try_from(end.duration_since(now)).unwrap_or_default();
            tracing::info!(until = %end, "waiting for the end of the platform's service window");
            wait(pause, stop, run_now).map(drop)
        }
        None => stop.check(),
    }
}

/// Waits, and returns whether a run was requested meanwhile. Fails if stopped.
fn wait(pause: Duration, stop: &Stop, run_now: &AtomicBool) -> Result<bool, Error> {
    let mut left = pause;
    while !left.is_zero() {
        if run_now.swap(false, Ordering::Relaxed) {
            return Ok(true);
        }
        stop.wait(left.min(POLL_INTERVAL))?;
        left = left.saturating_sub(POLL_INTERVAL);
    }
    Ok(false)
}

/// Returns the pause after this many failures in a row: 1 minute, doubled for each further one, up to the interval.
fn pause_after_failures(failures: u32, interval: Duration) -> Duration {
    let minutes = 1_u64 << (failures - 1).min(12);
    Duration::from_secs(60 * minutes).min(interval)
}

/// Returns the pause with a random change of up to 10 %, so that the platform's users do not all connect at once.
fn with_jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(std::process::id());
    let share = (random % 2_001) as f64 / 10_000.0;
    pause.mul_f64(0.9 + share)
}
