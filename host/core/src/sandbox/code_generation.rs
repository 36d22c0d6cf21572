//! The settings that only an engine with a compiler has. The build script reads this file too.

use wasmtime::Config;

/// Sets how code is generated.
pub(crate) fn generate(config: &mut Config) {
    // The same bytes must give the same batches on every machine.
    config.cranelift_nan_canonicalization(true);
}
