//! Compiles components that are not built in, and keeps their code in the user's cache (feature `compiler`).
//!
//! They run in an engine of their own. The engine of the built-in component is therefore the same with and without this
//! feature, and starts without cache and compiler.

use std::sync::OnceLock;
use std::thread;

use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, Engine};

use super::code::{self, MemoryLayout};
use super::code_generation::generate;
use super::engine::Runtime;
use crate::error::{ComponentError, Error};

/// Fails if this program has no compiler. It has one.
pub(crate) fn require() -> Result<(), ComponentError> {
    Ok(())
}

/// Takes the compiler out of the settings of an engine that only runs the built-in component.
pub(super) fn remove(config: &mut Config) {
    config.enable_compiler(false);
}

/// Compiles a component, or finds its code in the cache. Returns it with the runtime that it runs in.
pub(crate) fn compile(bytes: &[u8]) -> Result<(&'static Runtime, Component), Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = Runtime::once(&RUNTIME, add_compiler)?;
    let component =
        Component::from_binary(&runtime.engine, bytes).map_err(ComponentError::invalid)?;
    Ok((runtime, component))
}

/// Compiles a component into the cache, in an engine without pool and clock.
///
/// [`compile`] finds the code there, because the pool does not change the code.
pub(crate) fn compile_into_cache(bytes: &[u8]) -> Result<(), String> {
    let mut config = code::settings(MemoryLayout::Reserved);
    add_compiler(&mut config);
    let compiled =
        Engine::new(&config).and_then(|engine| Component::from_binary(&engine, bytes).map(drop));
    compiled.map_err(|error| format!("{error:#}"))
}

/// Returns how often code was found in the cache, or nothing if there is no cache.
pub(crate) fn cache_hits() -> Option<usize> {
    cache().map(Cache::cache_hits)
}

/// Adds the compiler and its cache to the settings of an engine.
fn add_compiler(config: &mut Config) {
    generate(config);
    config
        .parallel_compilation(has_compiler_threads())
        .cache(cache().cloned());
}

/// Returns the cache of compiled code. Compiling a component takes most of a second, and the result is always the same.
///
/// Returns nothing if the cache has no directory, or if the system allows no thread for it: the library would panic.
fn cache() -> Option<&'static Cache> {
    static CACHE: OnceLock<Option<Cache>> = OnceLock::new();
    let cache = CACHE.get_or_init(|| {
        let started = thread::Builder::new().spawn(|| {}).ok()?;
        started.join().ok()?;
        Cache::new(CacheConfig::new()).ok()
    });
    cache.as_ref()
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
