//! The WebAssembly engine: one for the whole process, with a pool of instances and a clock of deadlines.

use std::sync::OnceLock;
use std::thread;

use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::clock::Clock;
use super::limits::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::error::{ComponentError, Error};

/// The number of instances in the pool. A machine runs about as many scans at a time as it has cores; the other
/// instances are for readers that are held open. An instance costs address space, not memory.
const POOL_INSTANCES: u32 = 256;

/// The number of instances in the pool where address space is limited.
const SMALL_POOL_INSTANCES: u32 = 16;

/// The number of core instances of a component, on average over the pool. cprflow's own component has one for its
/// program and a few shims.
const CORE_INSTANCES_PER_INSTANCE: u32 = 6;

/// The number of tables of a component, on average over the pool.
const TABLES_PER_INSTANCE: u32 = 3;

/// The address space reserved for a memory, in bytes: all that 32 bits can address, so that compiled code need not
/// check every access. [`Limits::memory`](super::Limits::memory) limits the memory that a scan uses.
const MEMORY_ADDRESS_SPACE: usize = 1 << 32;

/// The bytes of a memory that stay in the pool between two instances. They are overwritten with zeros instead of being
/// returned to the kernel and fetched again page by page. A short scan uses about as much.
const KEEP_RESIDENT: usize = 1 << 20;

/// The bytes of tables of function references that stay in the pool in the same way.
const KEEP_TABLE_RESIDENT: usize = 64 << 10;

/// The largest size of the host's description of an instance, in bytes. A component that needs more is rejected.
const MAX_INSTANCE_SIZE: usize = 1 << 20;

/// The stack of a component's calls, in bytes.
const STACK: usize = 512 << 10;

/// The engine of the process with its clock, pool and cache.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// The number of instances in the pool; none without a pool.
    pub(crate) pool_instances: Option<u32>,
    /// The cache of compiled code; none if it has no directory.
    pub(crate) cache: Option<Cache>,
}

impl Runtime {
    /// Returns the runtime of this process. The first call creates it.
    pub(crate) fn shared() -> Result<&'static Self, Error> {
        static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| Self::new().map_err(|error| format!("{error:#}")));
        let runtime = runtime.as_ref();
        runtime.map_err(|why| {
            let what = format!(
                "the WebAssembly engine does not start: {why}. The system may allow this user too few processes, \
                 threads or too little memory (`ulimit -u`, `ulimit -v`)"
            );
            ComponentError::Invalid(what).into()
        })
    }

    /// Creates a runtime with the largest pool that the address space allows, or without a pool (`ulimit -v`).
    fn new() -> wasmtime::Result<Self> {
        let cache = cache();
        let pooled = [POOL_INSTANCES, SMALL_POOL_INSTANCES]
            .into_iter()
            .find_map(|instances| {
                let mut config = config(cache.clone());
                config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
                let engine = Engine::new(&config).ok()?;
                Some((engine, Some(instances)))
            });
        let (engine, pool_instances) = match pooled {
            Some(pooled) => pooled,
            None => {
                tracing::warn!(
                    "there is too little address space for a pool of instances, so scans start and run slower: raise \
                     the limit `ulimit -v`, if there is one"
                );
                let config = without_reserved_memory(config(cache.clone()));
                (Engine::new(&config)?, None)
            }
        };
        let clock = Clock::start(&engine)?;
        Ok(Self {
            engine,
            clock,
            pool_instances,
            cache,
        })
    }

    /// Creates an engine that only compiles, without pool and clock.
    ///
    /// [`shared`](Self::shared) finds the compiled code in the cache, because the pool does not change the code.
    pub(crate) fn compiler() -> wasmtime::Result<Engine> {
        Engine::new(&config(cache()))
    }
}

/// Returns the cache of compiled code. Compiling a component takes most of a second, and the result is always the same.
///
/// Returns nothing if the cache has no directory, or if the system allows no thread for it: the library would panic.
fn cache() -> Option<Cache> {
    let started = thread::Builder::new().spawn(|| {}).ok()?;
    started.join().ok()?;
    Cache::new(CacheConfig::new()).ok()
}

/// Returns the settings that determine how a component is compiled and run.
fn config(cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .parallel_compilation(has_compiler_threads())
        .wasm_component_model(true)
        // The same bytes must give the same batches on every machine.
        .wasm_relaxed_simd(false)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .wasm_backtrace_max_frames(None)
        .cache(cache);
    config
}

/// Starts the threads in which components are compiled. Returns whether they run: without them, one thread compiles.
///
/// The library starts them when it first compiles, and panics if the system allows no more threads.
fn has_compiler_threads() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    *STARTED.get_or_init(|| {
        match rayon_core::ThreadPoolBuilder::new().build_global() {
            Ok(()) => true,
            // If another part of the process has started them, the error has no cause.
            Err(error) => std::error::Error::source(&error).is_none(),
        }
    })
}

/// Changes the settings so that no address space is reserved: memories move when they grow, and every access is
/// checked.
fn without_reserved_memory(mut config: Config) -> Config {
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(16 << 20)
        .memory_guard_size(64 << 10);
    config
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES_PER_INSTANCE)
        // One memory for each instance. A component with two uses the memory of another instance.
        .total_memories(instances)
        .total_tables(instances * TABLES_PER_INSTANCE)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_memories_per_module(MAX_MEMORIES)
        .max_tables_per_module(MAX_TABLES)
        .max_component_instance_size(MAX_INSTANCE_SIZE)
        .max_core_instance_size(MAX_INSTANCE_SIZE)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(MEMORY_ADDRESS_SPACE)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_TABLE_RESIDENT);
    pool
}
