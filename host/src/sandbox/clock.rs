//! The clock by which deadlines are kept: it ticks while a component runs, and sleeps when none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store, UpdateDeadline};

use super::limits::Host;

/// How often deadlines are looked at. A call that is over its time ends two ticks and the scheduler's delay after
/// it: a deadline of 100 ms is kept within 110 ms. A tick costs some microseconds.
const TICK: Duration = Duration::from_millis(2);

/// Ticks without a call after which the clock goes to sleep. Waking it costs a call some microseconds, so that it
/// stays awake between the calls of a scan.
const LINGER: u32 = 50;

/// The clock of an engine.
pub(super) struct Clock {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Default)]
struct State {
    /// Calls that are under way.
    calls: AtomicUsize,
    is_asleep: AtomicBool,
}

impl Clock {
    /// Starts the clock. It ends with the engine, or with the process.
    pub(super) fn start(engine: &Engine) -> wasmtime::Result<Self> {
        let state = Arc::new(State::default());
        let watched = engine.weak();
        let ticking = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("cprflow-deadlines".to_owned())
            .spawn(move || {
                let mut idle = 0;
                let mut last = Instant::now();
                while let Some(engine) = watched.upgrade() {
                    // By the time that has passed, not by the number of sleeps, each of which takes a little longer.
                    while last.elapsed() >= TICK {
                        engine.increment_epoch();
                        last += TICK;
                    }
                    drop(engine);
                    idle = if ticking.is_idle() { idle + 1 } else { 0 };
                    if idle > LINGER {
                        ticking.sleep();
                        idle = 0;
                        last = Instant::now();
                    }
                    thread::sleep(TICK.saturating_sub(last.elapsed()));
                }
            })?;
        Ok(Self {
            state,
            thread: thread.thread().clone(),
        })
    }

    /// Says that a call begins; it ends when what is returned is dropped.
    pub(super) fn call(&self) -> Call<'_> {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        if self.state.is_asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Call { state: &self.state }
    }
}

/// A call that is under way.
pub(super) struct Call<'a> {
    state: &'a State,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.state.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.calls.load(Ordering::SeqCst) == 0
    }

    /// Sleeps until there is a call. Whoever begins one sees that the clock is asleep, or the clock sees the call.
    fn sleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        while self.is_idle() {
            thread::park();
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

/// Gives the call that began then so much time.
pub(super) fn limit(store: &mut Store<Host>, began: Instant, time: Duration) {
    // A time without end is longer than anybody waits.
    store.data_mut().due = began.checked_add(time).unwrap_or(began + CENTURY);
    store.set_epoch_deadline(ticks(time));
}

/// What becomes of a call whose ticks are spent: it goes on if it has time left. A clock that was held up makes up for
/// the ticks that it has missed, and a call that began since then has not used them.
pub(super) fn judge(due: Instant) -> UpdateDeadline {
    match due.saturating_duration_since(Instant::now()) {
        Duration::ZERO => UpdateDeadline::Interrupt,
        left => UpdateDeadline::Continue(ticks(left)),
    }
}

/// So many ticks that a call has at least this long.
fn ticks(limit: Duration) -> u64 {
    let ticks = limit.as_micros().div_ceil(TICK.as_micros());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2)
}

const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_interrupted_when_its_time_is_over_and_not_before() {
        let now = Instant::now();
        assert!(matches!(judge(now), UpdateDeadline::Interrupt));
        let UpdateDeadline::Continue(ticks) = judge(now + Duration::from_secs(60)) else {
            panic!("it has a minute left");
        };
        assert!((29_000..=30_000).contains(&ticks), "{ticks}");
    }
}
