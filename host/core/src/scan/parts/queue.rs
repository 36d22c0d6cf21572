//! Hands parts to threads, and their results back in any order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::PartError;
use crate::error::ComponentError;

/// A part that waits for a thread.
pub(super) struct Job {
    pub(super) index: u64,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// The queue of one run.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Signals a new job or the end of the run.
    work: Condvar,
    /// Signals a result.
    results: Condvar,
    /// Tells the threads to end.
    stop: AtomicBool,
}

struct State<T> {
    waiting: VecDeque<Job>,
    finished: BTreeMap<u64, Result<T, PartError>>,
}

/// What the asking thread does next.
pub(super) enum Turn<T> {
    /// The result that it waits for.
    Result(Result<T, PartError>),
    /// A part that no thread has taken.
    Job(Job),
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                finished: BTreeMap::new(),
            }),
            work: Condvar::new(),
            results: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    /// Adds a part.
    pub(super) fn add(&self, job: Job) {
        self.lock().waiting.push_back(job);
        self.work.notify_one();
    }

    /// Waits for the next part. Returns `None` when the run ends.
    pub(super) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Adds the result of a part.
    pub(super) fn finish(&self, index: u64, result: Result<T, PartError>) {
        self.lock().finished.insert(index, result);
        self.results.notify_one();
    }

    /// Returns whether a part has its result.
    pub(super) fn is_finished(&self, index: u64) -> bool {
        self.lock().finished.contains_key(&index)
    }

    /// Returns the result of a part, or else a part to read. Waits if threads have taken all parts.
    pub(super) fn turn(&self, index: u64) -> Turn<T> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.finished.remove(&index) {
                return Turn::Result(result);
            }
            if let Some(job) = state.waiting.pop_front() {
                return Turn::Job(job);
            }
            state = self
                .results
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells the threads to end, and drops the parts that wait.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        self.stop.store(true, Ordering::Relaxed);
        self.work.notify_all();
    }

    /// Returns the flag that tells the threads to end.
    pub(super) fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sure that a part gets a result although its thread panics, because the asking thread waits for it.
pub(super) struct Promise<'a, T> {
    queue: &'a Queue<T>,
    index: u64,
    is_kept: bool,
}

impl<'a, T> Promise<'a, T> {
    pub(super) fn new(queue: &'a Queue<T>, index: u64) -> Self {
        Self {
            queue,
            index,
            is_kept: false,
        }
    }

    pub(super) fn keep(mut self, result: Result<T, PartError>) {
        self.is_kept = true;
        self.queue.finish(self.index, result);
    }
}

impl<T> Drop for Promise<'_, T> {
    fn drop(&mut self) {
        if !self.is_kept {
            let error =
                ComponentError::misbehaved("a thread that read a part of the extract panicked");
            self.queue.finish(self.index, Err(error.into()));
        }
    }
}
