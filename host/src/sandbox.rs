//! The sandbox: loading a component, and giving every scan a fresh instance of it with limits of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, ResourceLimiter, Store, Trap};

use crate::catalog::Catalog;
use crate::error::{ComponentError, Error};

/// The contract as Rust: generated from `wit/`.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "connector" });
}

use bindings::ConnectorPre;

/// The component that is built with the host and carried inside it.
static EMBEDDED: &[u8] = include_bytes!(env!("CPRFLOW_COMPONENT_FILE"));

/// The interfaces that Rust's standard library imports on `wasm32-wasip2`, needed or not. Every call of one
/// traps, save [`SEED`].
const SHIMS: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    SEED,
];

/// What seeds the hash maps of Rust's standard library: answered by a constant, so that the same bytes give the
/// same batches.
const SEED: &str = "wasi:random/insecure-seed";

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(10);

/// What a scan may use at the most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the component's memory. The default of 256 MiB is room for the widest batches of all tables at
    /// once, several times over.
    pub memory: usize,
    /// How long one call may take. A call reads one block or makes one batch, a matter of milliseconds: the
    /// default of 10 seconds is for machines that are busy with other things.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 * 1024 * 1024,
            call: Duration::from_secs(10),
        }
    }
}

/// A component that is loaded, checked and linked, ready to be instantiated any number of times.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    template: ConnectorPre<Host>,
    catalog: Catalog,
    sha256: String,
}

impl Connector {
    /// The component that is built with the host.
    pub fn embedded() -> Result<Self, Error> {
        Self::from_bytes(EMBEDDED)
    }

    /// Another component, from a file in WebAssembly's binary format.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        Self::from_bytes(&bytes)
    }

    /// Another component, in WebAssembly's binary format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let engine = engine()?;
        let component = Component::from_binary(&engine, bytes).map_err(invalid)?;
        let template = link(&engine, &component)?;
        let mut session = Session::start(&engine, &template, Limits::default())?;
        let tables = session
            .call(|bindings, store| bindings.cprflow_connector_catalog().call_tables(store))?;
        let catalog = Catalog::new(tables)?;
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
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
        Session::start(&self.shared.engine, &self.shared.template, limits)
    }
}

/// One instance and its store: what it holds ends with it.
pub(crate) struct Session {
    store: Store<Host>,
    bindings: bindings::Connector,
    limits: Limits,
}

impl Session {
    fn start(
        engine: &Engine,
        template: &ConnectorPre<Host>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut store = Store::new(
            engine,
            Host {
                memory_limit: limits.memory,
                memory_used: 0,
                memory_refused: false,
            },
        );
        store.limiter(|host| host);
        store.set_epoch_deadline(ticks(limits.call));
        let bindings = template
            .instantiate(&mut store)
            .map_err(|error| fault(&store, limits, &error))?;
        Ok(Self {
            store,
            bindings,
            limits,
        })
    }

    /// Calls the component, with a deadline of its own.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&bindings::Connector, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.store.set_epoch_deadline(ticks(self.limits.call));
        call(&self.bindings, &mut self.store)
            .map_err(|error| fault(&self.store, self.limits, &error))
    }
}

/// The host's side of a store: it only watches over memory.
pub(crate) struct Host {
    memory_limit: usize,
    memory_used: usize,
    memory_refused: bool,
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The limit is for all memories of the instance together.
        let used = self.memory_used - current.min(self.memory_used) + desired;
        if used > self.memory_limit {
            self.memory_refused = true;
            wasmtime::bail!("the memory limit is reached");
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// Function references in a table of the component, of which a Rust program has some hundreds.
const MAX_TABLE_ELEMENTS: usize = 100_000;

fn engine() -> Result<Engine, Error> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // The same bytes give the same batches on every machine.
        .wasm_relaxed_simd(false)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(None);
    // Compiling takes most of a second, and the result is the same every time. Without a place for it, every
    // start compiles.
    if let Ok(cache) = Cache::new(CacheConfig::new()) {
        config.cache(Some(cache));
    }
    let engine = Engine::new(&config).map_err(invalid)?;
    let watched = engine.weak();
    std::thread::Builder::new()
        .name("cprflow-deadlines".to_owned())
        .spawn(move || {
            while let Some(engine) = watched.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| ComponentError::Invalid(format!("no thread to be had: {error}")))?;
    Ok(engine)
}

/// Checks what the component asks for, and answers it by nothing.
fn link(engine: &Engine, component: &Component) -> Result<ConnectorPre<Host>, Error> {
    let mut linker = Linker::new(engine);
    for (import, _) in component.component_type().imports(engine) {
        let interface = import.split('@').next().unwrap_or_default();
        if !SHIMS.contains(&interface) {
            let import = import.chars().take(200).collect();
            return Err(ComponentError::Refused { import }.into());
        }
        if interface == SEED {
            linker
                .instance(import)
                .and_then(|mut seed| {
                    seed.func_wrap("insecure-seed", |_, (): ()| {
                        Ok(((0x6370_7266_u64, 0x6c6f_7701_u64),))
                    })
                })
                .map_err(invalid)?;
        }
    }
    linker
        .define_unknown_imports_as_traps(component)
        .map_err(invalid)?;
    let template = linker.instantiate_pre(component).map_err(invalid)?;
    Ok(ConnectorPre::new(template).map_err(invalid)?)
}

fn ticks(limit: Duration) -> u64 {
    // One more, for the tick that is under way.
    (limit.as_millis() / TICK.as_millis()) as u64 + 1
}

fn invalid(error: wasmtime::Error) -> ComponentError {
    ComponentError::Invalid(tame(&format!("{error:#}")))
}

/// Why a call failed.
fn fault(store: &Store<Host>, limits: Limits, error: &wasmtime::Error) -> Error {
    let fault = if store.data().memory_refused {
        ComponentError::Memory {
            limit: limits.memory,
        }
    } else if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        ComponentError::Deadline { limit: limits.call }
    } else {
        ComponentError::Trapped(tame(&error.root_cause().to_string()))
    };
    fault.into()
}

/// A text that came from a component or speaks of one, made fit for a line of a log.
pub(crate) fn tame(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(printable).take(1_000).collect()
}
