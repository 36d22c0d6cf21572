//! The clock of deadlines. It advances the engine's epoch while a component runs, and sleeps while none runs.
//!
//! A process that is forked has no thread but the one that called `fork`, so its first call starts another clock.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak, Store, UpdateDeadline};

use super::limits::StoreState;
use crate::error::ComponentError;

/// The interval between two ticks. A call ends at most two ticks and the scheduler's delay after its deadline, so that
/// a deadline of 100 ms ends within 110 ms. A tick costs some microseconds.
const TICK: Duration = Duration::from_millis(2);

/// The number of ticks without a call after which the clock goes to sleep. Waking it costs a call some microseconds,
/// so it stays awake between the calls of a scan.
const IDLE_TICKS: u32 = 50;

/// The time that a call gets if its limit is longer than `Instant` can express.
const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// The clock of an engine, in this process and in the processes that it forks.
pub(crate) struct Clock {
    engine: EngineWeak,
    first: ProcessClock,
}

/// The clock of one process.
struct ProcessClock {
    /// The process that has the thread.
    process: u32,
    state: Arc<ClockState>,
    thread: Thread,
    /// The clock of the child process, if this value is a copy that `fork` made. The copy has no thread, and the state
    /// may count calls of other threads that the child does not have either.
    forked: OnceLock<Result<Box<ProcessClock>, String>>,
}

#[derive(Default)]
struct ClockState {
    /// The number of running calls.
    calls: AtomicUsize,
    is_asleep: AtomicBool,
}

impl Clock {
    /// Starts the clock in a thread of its own. The thread ends with the engine, or with the process.
    pub(crate) fn start(engine: &Engine) -> wasmtime::Result<Self> {
        let engine = engine.weak();
        let first = ProcessClock::start(engine.clone())?;
        Ok(Self { engine, first })
    }

    /// Keeps the clock awake until the returned guard is dropped. After a fork, the first call starts a new thread.
    ///
    /// Fails if that thread cannot be started, because then no deadline would hold.
    pub(crate) fn begin_call(&self) -> Result<RunningCall<'_>, ComponentError> {
        let process = process::id();
        let mut clock = &self.first;
        while clock.process != process {
            let forked = clock.forked.get_or_init(|| {
                let started = ProcessClock::start(self.engine.clone());
                started.map(Box::new).map_err(|error| error.to_string())
            });
            clock = match forked {
                Ok(clock) => clock,
                Err(why) => {
                    let what = format!(
                        "the thread of the deadlines does not start: {why}. The system allows this user too few \
                         processes or threads (`ulimit -u`)"
                    );
                    return Err(ComponentError::Invalid(what));
                }
            };
        }
        Ok(clock.begin_call())
    }
}

impl ProcessClock {
    fn start(engine: EngineWeak) -> io::Result<Self> {
        let state = Arc::new(ClockState::default());
        let thread_state = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("cprflow-deadlines".to_owned())
            .spawn(move || {
                let mut idle = 0;
                let mut last = Instant::now();
                while let Some(engine) = engine.upgrade() {
                    // Ticks are counted by elapsed time, because every sleep takes a little longer than asked for.
                    while last.elapsed() >= TICK {
                        engine.increment_epoch();
                        last += TICK;
                    }
                    drop(engine);
                    idle = if thread_state.is_idle() { idle + 1 } else { 0 };
                    if idle > IDLE_TICKS {
                        thread_state.sleep();
                        idle = 0;
                        last = Instant::now();
                    }
                    thread::sleep(TICK.saturating_sub(last.elapsed()));
                }
            })?;
        Ok(Self {
            process: process::id(),
            state,
            thread: thread.thread().clone(),
            forked: OnceLock::new(),
        })
    }

    fn begin_call(&self) -> RunningCall<'_> {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        if self.state.is_asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        RunningCall { state: &self.state }
    }
}

/// The guard of a running call.
pub(crate) struct RunningCall<'a> {
    state: &'a ClockState,
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        self.state.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ClockState {
    fn is_idle(&self) -> bool {
        self.calls.load(Ordering::SeqCst) == 0
    }

    /// Sleeps until a call begins. No wake-up is lost: either the call sees that the clock is asleep, or the clock sees
    /// the call.
    fn sleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        while self.is_idle() {
            thread::park();
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

/// Sets the deadline of a call that begins at `start`.
pub(crate) fn set_deadline(store: &mut Store<StoreState>, start: Instant, limit: Duration) {
    store.data_mut().deadline = start.checked_add(limit).unwrap_or(start + CENTURY);
    store.set_epoch_deadline(ticks(limit));
}

/// Decides whether a call that has used all its ticks is interrupted. It continues if its deadline has not passed.
///
/// Ticks alone are not exact: a delayed clock makes several at once, also for calls that began after the delay.
pub(crate) fn check_deadline(deadline: Instant) -> UpdateDeadline {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => UpdateDeadline::Interrupt,
        left => UpdateDeadline::Continue(ticks(left)),
    }
}

/// Returns the number of ticks that last at least this long.
fn ticks(time: Duration) -> u64 {
    let ticks = time.as_micros().div_ceil(TICK.as_micros());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_a_call_only_after_its_deadline() {
        let now = Instant::now();
        assert!(matches!(check_deadline(now), UpdateDeadline::Interrupt));
        let UpdateDeadline::Continue(ticks) = check_deadline(now + Duration::from_secs(60)) else {
            panic!("the call was interrupted a minute before its deadline");
        };
        assert!((29_000..=30_000).contains(&ticks), "{ticks}");
    }
}
