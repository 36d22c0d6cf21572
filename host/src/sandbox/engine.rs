//! The engine: one for the whole process, with room for instances set aside, and a clock for deadlines.

use std::sync::OnceLock;

use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::clock::Clock;
use super::limits::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::error::{ComponentError, Error};

/// Instances that the pool has room for. A machine runs about as many scans at a time as it has cores; the others
/// are readers that somebody holds open. It costs address space, not memory.
const SLOTS: u32 = 256;

/// The same where address space is dear.
const FEW_SLOTS: u32 = 16;

/// Core instances of one component, on average over the pool: cprflow's own has one for its program and a few shims.
const CORE_INSTANCES_PER_SLOT: u32 = 6;

/// Tables of one component, on average over the pool.
const TABLES_PER_SLOT: u32 = 3;

/// Bytes that a memory can grow to: all that 32 bits can address. What a scan may have of it is its [`Limits`]'
/// business; this is address space, which lets compiled code do without checking every access.
///
/// [`Limits`]: super::Limits
const MAX_MEMORY: usize = 1 << 32;

/// Bytes of a memory that stay with the pool between two instances and are zeroed by hand, not given back to the
/// kernel and fetched again, page by page. A short scan touches about as much.
const KEEP_RESIDENT: usize = 1 << 20;

/// The bytes of function references that stay likewise.
const KEEP_TABLE_RESIDENT: usize = 64 << 10;

/// Bytes of the host's descriptions of an instance; a component of more is refused.
const MAX_INSTANCE_SIZE: usize = 1 << 20;

/// Bytes of the stack that a component's calls may use.
const STACK: usize = 512 << 10;

/// An engine and what belongs to it.
pub(super) struct Machine {
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    /// Instances that there is room for; none if each gets room of its own.
    pub(super) slots: Option<u32>,
    /// Where compiled code is kept, if there is a place for it.
    pub(super) cache: Option<Cache>,
}

impl Machine {
    /// The one of this process.
    pub(super) fn shared() -> Result<&'static Self, Error> {
        static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();
        let machine = MACHINE.get_or_init(|| Self::new().map_err(|error| format!("{error:#}")));
        let machine = machine.as_ref();
        machine.map_err(|why| ComponentError::Invalid(format!("no engine for it: {why}")).into())
    }

    /// With as large a pool as the address space allows, or none where it is cut short (`ulimit -v`).
    fn new() -> wasmtime::Result<Self> {
        // Compiling takes most of a second, and the result is the same every time. Without a place for it, every
        // start compiles.
        let cache = Cache::new(CacheConfig::new()).ok();
        let pooled = [SLOTS, FEW_SLOTS].into_iter().find_map(|slots| {
            let mut config = config(cache.clone());
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
            Engine::new(&config)
                .ok()
                .map(|engine| (engine, Some(slots)))
        });
        let (engine, slots) = match pooled {
            Some(pooled) => pooled,
            None => {
                tracing::warn!(
                    "too little address space for a pool of instances (is there a `ulimit -v`?): scans start and \
                     run slower"
                );
                (Engine::new(&frugal(config(cache.clone())))?, None)
            }
        };
        let clock = Clock::start(&engine)?;
        Ok(Self {
            engine,
            clock,
            slots,
            cache,
        })
    }

    /// One that only compiles, for the process that does nothing else: no pool, and no clock. What it compiles is
    /// what [`shared`](Self::shared) finds in the cache, because how instances are placed changes no code.
    pub(super) fn compiler() -> wasmtime::Result<Engine> {
        Engine::new(&config(Cache::new(CacheConfig::new()).ok()))
    }
}

/// What decides which code is made of a component, and how it runs.
fn config(cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // The same bytes give the same batches on every machine.
        .wasm_relaxed_simd(false)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .wasm_backtrace_max_frames(None)
        .cache(cache);
    config
}

/// The same without setting address space aside: memories move when they grow, and every access is checked.
fn frugal(mut config: Config) -> Config {
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(16 << 20)
        .memory_guard_size(64 << 10);
    config
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * CORE_INSTANCES_PER_SLOT)
        // One memory each: a component of two takes another's place.
        .total_memories(slots)
        .total_tables(slots * TABLES_PER_SLOT)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_memories_per_module(MAX_MEMORIES)
        .max_tables_per_module(MAX_TABLES)
        .max_component_instance_size(MAX_INSTANCE_SIZE)
        .max_core_instance_size(MAX_INSTANCE_SIZE)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_TABLE_RESIDENT);
    pool
}
