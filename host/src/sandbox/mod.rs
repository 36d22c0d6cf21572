//! The sandbox: loading a component, and giving every scan a fresh instance of it with limits of its own.
//!
//! `engine` sets room aside and compiles, `clock` keeps deadlines, `limits` says what an instance may use, `link`
//! what a component may ask for, `load` takes in components that are not ours, `output` counts what comes out.

mod clock;
mod engine;
mod limits;
mod link;
mod load;
mod output;
mod text;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::Digest;
use wasmtime::component::Component;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::catalog::Catalog;
use crate::error::{ComponentError, Error};
use engine::Machine;

pub(crate) use limits::Host;
pub use limits::{LimitKind, Limits};
pub use load::{Loader, compile_component};
pub(crate) use output::Output;
pub(crate) use text::tame;

/// The contract as Rust: generated from `wit/`.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "connector" });
}

use bindings::ConnectorPre;

/// The component that is built with the host and carried inside it.
static EMBEDDED: &[u8] = include_bytes!(env!("CPRFLOW_COMPONENT_FILE"));

/// A component that is loaded, checked and linked, ready to be instantiated any number of times.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    machine: &'static Machine,
    template: ConnectorPre<Host>,
    catalog: Catalog,
    sha256: String,
}

impl Connector {
    /// The component that is built with the host.
    pub fn embedded() -> Result<Self, Error> {
        Self::compile(EMBEDDED, Limits::default())
    }

    /// Another component that is trusted to be fit to compile, from a file in WebAssembly's binary format. One that
    /// is not takes a [`Loader`].
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        Self::from_bytes(&load::read_bounded(path, load::MAX_COMPONENT)?)
    }

    /// Another component that is trusted to be fit to compile, in WebAssembly's binary format. One that is not takes
    /// a [`Loader`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        load::check_form(bytes, load::MAX_COMPONENT)?;
        Self::compile(bytes, Limits::default())
    }

    /// Compiles it, or finds it compiled, and asks it for its tables within these limits.
    fn compile(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        let machine = Machine::shared()?;
        let component = Component::from_binary(&machine.engine, bytes).map_err(invalid)?;
        let template = link::link(&machine.engine, &component)?;
        let mut session = Session::start(machine, &template, limits)?;
        let tables = session
            .call(|bindings, store| bindings.cprflow_connector_catalog().call_tables(store))?;
        let catalog = Catalog::new(tables)?;
        Ok(Self {
            shared: Arc::new(Shared {
                machine,
                template,
                catalog,
                sha256: crate::spool::hexadecimal(&sha2::Sha256::digest(bytes)),
            }),
        })
    }

    /// The component's tables.
    pub fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    /// The SHA-256 of the component's bytes, in hexadecimal: which component it is.
    pub fn sha256(&self) -> &str {
        &self.shared.sha256
    }

    /// A fresh instance.
    pub(crate) fn start(&self, limits: Limits) -> Result<Session, Error> {
        Session::start(self.shared.machine, &self.shared.template, limits)
    }
}

/// One instance and its store: what it holds ends with it.
pub(crate) struct Session {
    machine: &'static Machine,
    store: Store<Host>,
    bindings: bindings::Connector,
    limits: Limits,
    /// What is left of the time for all calls together.
    left: Duration,
}

impl Session {
    fn start(
        machine: &'static Machine,
        template: &ConnectorPre<Host>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut store = Store::new(&machine.engine, Host::new(limits.memory));
        store.limiter(|host| host);
        store.set_max_component_handles(limits.handles);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.epoch_deadline_callback(|store| Ok(clock::judge(store.data().due)));
        let time = limits.call.min(limits.total);
        let began = Instant::now();
        let under_way = machine.clock.call();
        clock::limit(&mut store, began, time);
        let started = template.instantiate(&mut store);
        drop(under_way);
        match started {
            Ok(bindings) => Ok(Self {
                machine,
                store,
                bindings,
                limits,
                left: limits.total.saturating_sub(began.elapsed()),
            }),
            Err(error) => {
                let fault = Fault {
                    machine,
                    host: store.data(),
                    limits,
                    left: limits.total,
                    answer_bytes: limits.answer_bytes,
                };
                Err(fault.of(&error).into())
            }
        }
    }

    /// Calls the component, with a deadline of its own.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&bindings::Connector, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.call_for(self.limits.answer_bytes, call)
    }

    /// Calls the component for a batch, or for as much.
    pub(crate) fn call_for_batch<T>(
        &mut self,
        call: impl FnOnce(&bindings::Connector, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        // The table's name and the list's own head come with the bytes.
        self.call_for(self.limits.batch_bytes.saturating_add(4096), call)
    }

    fn call_for<T>(
        &mut self,
        answer_bytes: usize,
        call: impl FnOnce(&bindings::Connector, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        let time = self.limits.call.min(self.left);
        self.store.set_hostcall_fuel(answer_bytes);
        let began = Instant::now();
        let under_way = self.machine.clock.call();
        clock::limit(&mut self.store, began, time);
        let called = call(&self.bindings, &mut self.store);
        drop(under_way);
        let called = called.map_err(|error| {
            let fault = Fault {
                machine: self.machine,
                host: self.store.data(),
                limits: self.limits,
                left: self.left,
                answer_bytes,
            };
            fault.of(&error).into()
        });
        self.left = self.left.saturating_sub(began.elapsed());
        called
    }
}

fn invalid(error: wasmtime::Error) -> ComponentError {
    ComponentError::Invalid(tame(&format!("{error:#}")))
}

/// What there is to know when a call has failed.
struct Fault<'a> {
    machine: &'static Machine,
    host: &'a Host,
    limits: Limits,
    left: Duration,
    answer_bytes: usize,
}

impl Fault<'_> {
    /// Why it failed.
    fn of(&self, error: &wasmtime::Error) -> ComponentError {
        if self.host.refused_memory() {
            let limit = self.limits.memory;
            return ComponentError::Memory { limit };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            let slots = self.machine.slots.unwrap_or_default();
            return ComponentError::PoolFull { slots };
        }
        if let Some(Trap::Interrupt) = error.downcast_ref::<Trap>() {
            return if self.left < self.limits.call {
                let limit = self.limits.total;
                ComponentError::Time { limit }
            } else {
                let limit = self.limits.call;
                ComponentError::Deadline { limit }
            };
        }
        // The engine has no types for these.
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
                (LimitKind::CoreObjects, limits::MAX_CORE_INSTANCES as usize),
            ),
        ];
        let found = limits.into_iter().find(|(mark, _)| text.contains(mark));
        match found {
            Some((_, (limit, at_most))) => ComponentError::Limit {
                limit,
                at_most: at_most as u64,
            },
            None => ComponentError::Trapped(tame(&text)),
        }
    }
}
