//! The component that is built into this crate, as machine code.
//!
//! The build script compiles it. Loading the code takes about a millisecond and needs neither a compiler, a cache nor a
//! file.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::code_digest::digest;
use crate::error::{ComponentError, Error};
use crate::sandbox::{MemoryLayout, Runtime};

/// The SHA-256 of the component, in lower-case hexadecimal.
pub(super) const SHA256: &str = env!("CPRFLOW_COMPONENT_SHA256");

/// The component in WebAssembly's binary format, for processors on which the machine code does not run.
#[cfg(feature = "compiler")]
static COMPONENT: &[u8] = include_bytes!(env!("CPRFLOW_COMPONENT_FILE"));

/// The code for memories with reserved address space.
static RESERVED: MachineCode = MachineCode {
    bytes: include_bytes!(env!("CPRFLOW_CODE_RESERVED")),
    digest: env!("CPRFLOW_CODE_RESERVED_DIGEST"),
};

/// The code for memories that move.
static MOVING: MachineCode = MachineCode {
    bytes: include_bytes!(env!("CPRFLOW_CODE_MOVING")),
    digest: env!("CPRFLOW_CODE_MOVING_DIGEST"),
};

/// The machine code of a component. Only this module can make a value, and outside its tests there are two.
struct MachineCode {
    bytes: &'static [u8],
    /// The digest that the build script computed, in lower-case hexadecimal.
    digest: &'static str,
}

impl MachineCode {
    /// Loads the code into an engine.
    ///
    /// Fails if the code is not what the build script made, or if it does not run on this processor.
    #[expect(
        unsafe_code,
        reason = "loading machine code is as trusting as loading a library; see the comment of the block"
    )]
    fn load(&self, engine: &Engine) -> Result<Component, ComponentError> {
        if format!("{:016x}", digest(self.bytes)) != self.digest {
            return Err(ComponentError::DamagedCode);
        }
        // SAFETY: `deserialize` trusts its bytes to be unchanged code of the same version of wasmtime. The build script
        // made them with `Engine::precompile_component` of that version, because `Cargo.lock` has only one. They are a
        // part of this program, and the digest says that they are unchanged. wasmtime itself compares its version, the
        // settings, the architecture and the instructions that the processor needs with this engine, and refuses
        // others.
        let component = unsafe { Component::deserialize(engine, self.bytes) };
        component.map_err(|error| ComponentError::OtherProcessor(format!("{error:#}")))
    }
}

/// Loads the component, and the runtime that it runs in.
///
/// With the feature `compiler`, the component is compiled if its code does not run on this processor.
pub(super) fn load() -> Result<(&'static Runtime, Component), Error> {
    let runtime = Runtime::shared()?;
    let code = match runtime.layout {
        MemoryLayout::Reserved => &RESERVED,
        MemoryLayout::Moving => &MOVING,
    };
    match code.load(&runtime.engine) {
        Ok(component) => Ok((runtime, component)),
        #[cfg(feature = "compiler")]
        Err(ComponentError::OtherProcessor(why)) => {
            tracing::warn!(
                why,
                "the built-in component was not compiled for this processor, so it is compiled now"
            );
            crate::sandbox::compiler::compile(COMPONENT)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the code with one bit changed.
    fn changed(place: usize) -> MachineCode {
        let mut bytes = RESERVED.bytes.to_vec();
        bytes[place] ^= 1;
        MachineCode {
            bytes: bytes.leak(),
            digest: RESERVED.digest,
        }
    }

    #[test]
    fn code_of_the_build_is_loaded() {
        let runtime = Runtime::shared().unwrap();
        assert_eq!(runtime.layout, MemoryLayout::Reserved);
        RESERVED.load(&runtime.engine).map(drop).unwrap();
    }

    #[test]
    fn changed_code_is_refused() {
        let runtime = Runtime::shared().unwrap();
        let last = RESERVED.bytes.len() - 1;
        for place in [0, 64, last / 2, last / 3, last] {
            let loaded = changed(place).load(&runtime.engine).map(drop);
            assert!(
                matches!(loaded, Err(ComponentError::DamagedCode)),
                "{loaded:?}"
            );
        }
        let shorter = MachineCode {
            bytes: &RESERVED.bytes[..last],
            digest: RESERVED.digest,
        };
        let loaded = shorter.load(&runtime.engine).map(drop);
        assert!(matches!(loaded, Err(ComponentError::DamagedCode)));
    }

    /// The engine compares the code with its own settings and with the processor. Code for memories that move stands for
    /// code of another processor, because no test can take instructions away from the processor.
    #[test]
    fn code_of_other_settings_is_refused() {
        let runtime = Runtime::shared().unwrap();
        let error = MOVING.load(&runtime.engine).map(drop).unwrap_err();
        assert!(
            matches!(error, ComponentError::OtherProcessor(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
