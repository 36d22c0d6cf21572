//! A running instance of a component, called within its limits.

use std::time::{Duration, Instant};

use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use super::clock;
use super::engine::Runtime;
use super::limits::{Limits, MAX_CORE_INSTANCES, StoreState};
use crate::error::{ComponentError, Error, LimitKind};
use crate::redact::redact;
use crate::wit::{Connector, ConnectorPre};

/// The bytes that a batch may take in an answer beside its IPC messages: the table's name and the head of the list.
const BATCH_OVERHEAD: usize = 4096;

/// The end of the operating system's error about missing memory (ENOMEM).
const NO_MEMORY: &str = "(os error 12)";

/// The ends of the operating system's errors about a file that is too large (EFBIG) and a full disk (ENOSPC). The engine keeps
/// the memory of an instance in a file without a name.
const NO_FILE: [&str; 2] = ["(os error 27)", "(os error 28)"];

/// An instance of a component with its store. Dropping it frees all that the instance holds.
pub(crate) struct Session {
    runtime: &'static Runtime,
    store: Store<StoreState>,
    bindings: Connector,
    limits: Limits,
    /// The time left for all calls together.
    time_left: Duration,
}

impl Session {
    /// Creates an instance.
    pub(crate) fn start(
        runtime: &'static Runtime,
        template: &ConnectorPre<StoreState>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut store = Store::new(&runtime.engine, StoreState::new(limits.memory));
        store.limiter(|state| state);
        store.set_max_component_handles(limits.handles);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.epoch_deadline_callback(|store| Ok(clock::check_deadline(store.data().deadline)));
        let time = limits.call.min(limits.total);
        let start = Instant::now();
        let running = runtime.clock.begin_call()?;
        clock::set_deadline(&mut store, start, time);
        let instance = template.instantiate(&mut store);
        drop(running);
        match instance {
            Ok(bindings) => Ok(Self {
                runtime,
                store,
                bindings,
                limits,
                time_left: limits.total.saturating_sub(start.elapsed()),
            }),
            Err(error) => {
                let failed = FailedCall {
                    runtime,
                    state: store.data(),
                    limits,
                    time_left: limits.total,
                    answer_bytes: limits.answer_bytes,
                };
                Err(failed.cause(&error).into())
            }
        }
    }

    /// Calls the component, with a deadline for this call and the limit [`Limits::answer_bytes`] for its answer.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&Connector, &mut Store<StoreState>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.call_within(self.limits.answer_bytes, call)
    }

    /// Calls the component for an answer that may be as large as a batch ([`Limits::batch_bytes`]).
    pub(crate) fn call_for_batch<T>(
        &mut self,
        call: impl FnOnce(&Connector, &mut Store<StoreState>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.call_within(self.limits.batch_bytes.saturating_add(BATCH_OVERHEAD), call)
    }

    fn call_within<T>(
        &mut self,
        answer_bytes: usize,
        call: impl FnOnce(&Connector, &mut Store<StoreState>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        let time = self.limits.call.min(self.time_left);
        self.store.set_hostcall_fuel(answer_bytes);
        let start = Instant::now();
        let running = self.runtime.clock.begin_call()?;
        clock::set_deadline(&mut self.store, start, time);
        let answer = call(&self.bindings, &mut self.store);
        drop(running);
        let answer = answer.map_err(|error| {
            let failed = FailedCall {
                runtime: self.runtime,
                state: self.store.data(),
                limits: self.limits,
                time_left: self.time_left,
                answer_bytes,
            };
            failed.cause(&error).into()
        });
        self.time_left = self.time_left.saturating_sub(start.elapsed());
        answer
    }
}

/// A failed call, with all that is needed to find the cause.
struct FailedCall<'a> {
    runtime: &'static Runtime,
    state: &'a StoreState,
    limits: Limits,
    /// The time that was left for all calls together when this one began.
    time_left: Duration,
    /// The limit of this call's answer in bytes.
    answer_bytes: usize,
}

impl FailedCall<'_> {
    /// Returns the limit that was exceeded, or the trap.
    fn cause(&self, error: &wasmtime::Error) -> ComponentError {
        if self.state.refused_memory() {
            let limit = self.limits.memory;
            return ComponentError::Memory { limit };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            let slots = self.runtime.pool_instances.unwrap_or_default();
            return ComponentError::PoolFull { slots };
        }
        if let Some(Trap::Interrupt) = error.downcast_ref::<Trap>() {
            return if self.time_left < self.limits.call {
                let limit = self.limits.total;
                ComponentError::Time { limit }
            } else {
                let limit = self.limits.call;
                ComponentError::Deadline { limit }
            };
        }
        // The engine has no error types for the limits below, so they are recognized by their texts.
        let text = error.root_cause().to_string();
        let answer = if self.answer_bytes == self.limits.answer_bytes {
            (LimitKind::AnswerBytes, self.limits.answer_bytes)
        } else {
            (LimitKind::BatchBytes, self.limits.batch_bytes)
        };
        let limits = [
            ("fuel allocated for hostcalls", answer),
            (
                "store handle limit exceeded",
                (LimitKind::Handles, self.limits.handles),
            ),
            (
                "resource limit exceeded",
                (LimitKind::CoreObjects, MAX_CORE_INSTANCES as usize),
            ),
        ];
        let exceeded = limits.into_iter().find(|(mark, _)| text.contains(mark));
        match exceeded {
            Some((_, (limit, at_most))) => ComponentError::Limit {
                limit,
                at_most: at_most as u64,
            },
            None if text.contains(NO_MEMORY) => ComponentError::NoMemory(redact(&text)),
            None if NO_FILE.iter().any(|mark| text.contains(mark)) => {
                ComponentError::NoFile(redact(&text))
            }
            None => ComponentError::Trapped(redact(&text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// What the system refuses is no bug of the component.
    #[test]
    fn errors_of_the_system_are_no_traps() {
        let state = StoreState::new(1);
        let limits = Limits::default();
        let failed = FailedCall {
            runtime: Runtime::shared().unwrap(),
            state: &state,
            limits,
            time_left: limits.total,
            answer_bytes: limits.answer_bytes,
        };
        let cause = |number| {
            let error = io::Error::from_raw_os_error(number);
            failed.cause(&wasmtime::Error::from(error))
        };
        assert!(matches!(cause(12), ComponentError::NoMemory(_)));
        for number in [27, 28] {
            let error = cause(number);
            assert!(matches!(error, ComponentError::NoFile(_)), "{error}");
            assert!(error.to_string().contains("ulimit -f"), "{error}");
        }
        assert!(matches!(cause(5), ComponentError::Trapped(_)));
    }
}
