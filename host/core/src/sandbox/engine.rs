//! The WebAssembly engine with its pool of instances and its clock of deadlines. A process has one for the built-in
//! component, and another if it compiles components.

use std::sync::OnceLock;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::clock::Clock;
use super::code::{self, MemoryLayout};
use super::compiler;
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

/// An engine with its clock and pool.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// How memories lie in the address space. The machine code depends on it.
    pub(crate) layout: MemoryLayout,
    /// The number of instances in the pool; none without a pool.
    pub(crate) pool_instances: Option<u32>,
}

impl Runtime {
    /// Returns the runtime of the built-in component. The first call creates it.
    pub(crate) fn shared() -> Result<&'static Self, Error> {
        static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
        Self::once(&RUNTIME, compiler::remove)
    }

    /// Returns the runtime of this cell. The first call creates it, with further settings from `add`.
    pub(super) fn once(
        cell: &'static OnceLock<Result<Self, String>>,
        add: impl Fn(&mut Config),
    ) -> Result<&'static Self, Error> {
        let runtime = cell.get_or_init(|| Self::new(add).map_err(|error| format!("{error:#}")));
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
    fn new(add: impl Fn(&mut Config)) -> wasmtime::Result<Self> {
        let config = |layout| {
            let mut config = code::settings(layout);
            config.max_wasm_stack(STACK);
            add(&mut config);
            config
        };
        let pooled = [POOL_INSTANCES, SMALL_POOL_INSTANCES]
            .into_iter()
            .find_map(|instances| {
                let mut config = config(MemoryLayout::Reserved);
                config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
                let engine = Engine::new(&config).ok()?;
                Some((engine, MemoryLayout::Reserved, Some(instances)))
            });
        let (engine, layout, pool_instances) = match pooled {
            Some(pooled) => pooled,
            None => {
                tracing::warn!(
                    "there is too little address space for a pool of instances, so scans start and run slower: raise \
                     the limit `ulimit -v`, if there is one"
                );
                let engine = Engine::new(&config(MemoryLayout::Moving))?;
                (engine, MemoryLayout::Moving, None)
            }
        };
        let clock = Clock::start(&engine)?;
        Ok(Self {
            engine,
            clock,
            layout,
            pool_instances,
        })
    }
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
