//! The settings that decide the machine code of a component.
//!
//! The build script compiles the built-in component with this file too, so that the code and the engine that runs it
//! cannot differ. The engine refuses code of other settings.

use wasmtime::Config;

/// How the memory of an instance lies in the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryLayout {
    /// Four GiB and a guard are reserved for each memory, so compiled code need not check every access.
    Reserved,
    /// No address space is reserved: memories move when they grow, and every access is checked. It is for processes
    /// whose address space is limited (`ulimit -v`).
    Moving,
}

/// Returns the settings of an engine whose instances have this layout.
pub(crate) fn settings(layout: MemoryLayout) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // The same bytes must give the same batches on every machine.
        .wasm_relaxed_simd(false)
        .epoch_interruption(true)
        // A trap is reported without the stack of the component, so the tables that describe it would only take space.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    match layout {
        MemoryLayout::Reserved => {}
        MemoryLayout::Moving => {
            config
                .memory_reservation(0)
                .memory_reservation_for_growth(16 << 20)
                .memory_guard_size(64 << 10);
        }
    }
    config
}
