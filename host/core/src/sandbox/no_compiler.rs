//! What stands in for the compiler in programs without the feature `compiler`: the error that says so.

use wasmtime::Config;
use wasmtime::component::Component;

use super::engine::Runtime;
use crate::error::{ComponentError, Error};

/// Fails if this program has no compiler. It has none.
pub(crate) fn require() -> Result<(), ComponentError> {
    Err(ComponentError::NoCompiler)
}

/// Changes nothing, because the settings have no compiler.
pub(super) fn remove(_config: &mut Config) {}

/// Fails, because this program has no compiler.
pub(crate) fn compile(_bytes: &[u8]) -> Result<(&'static Runtime, Component), Error> {
    Err(ComponentError::NoCompiler.into())
}

/// Fails, because this program has no compiler.
pub(crate) fn compile_into_cache(_bytes: &[u8]) -> Result<(), String> {
    Err(ComponentError::NoCompiler.to_string())
}

/// Returns nothing, because there is no cache.
pub(crate) fn cache_hits() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Connector, Loader, compile_component};

    fn assert_no_compiler<T>(loaded: Result<T, Error>) {
        let error = loaded.map(drop).unwrap_err();
        assert!(
            matches!(error, Error::Component(ComponentError::NoCompiler)),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("no compiler") && text.contains("--features compiler"),
            "{text}"
        );
    }

    /// The file and the compiler process are not looked at: whatever they are, loading cannot work.
    #[test]
    fn only_the_built_in_component_is_loaded() {
        let nowhere = "/nowhere/component.wasm".as_ref();
        assert_no_compiler(Connector::from_file(nowhere));
        assert_no_compiler(Connector::from_bytes(b"\0asm\x0d\0\x01\0"));
        assert_no_compiler(Loader::new("/nowhere/cprflow").file(nowhere));
        assert_no_compiler(Loader::new("/nowhere/cprflow").bytes(b"\0asm\x0d\0\x01\0"));
        assert!(!Connector::embedded().unwrap().catalog().tables().is_empty());
    }

    /// A program with the compiler may run a command without it. The reason reaches the user.
    #[test]
    fn the_compiler_process_reports_that_it_has_none() {
        let mut report = Vec::new();
        let limits = (Duration::from_secs(3600), 1 << 40);
        compile_component(limits.0, limits.1, &b""[..], &mut report).unwrap();
        let report = String::from_utf8(report).unwrap();
        assert!(report.contains("no compiler"), "{report}");
    }
}
