//! The sandbox: runs every scan in a fresh instance of a component, with limits of its own.
//!
//! - `code` has the settings that decide the machine code, and `code_generation` those of the compiler.
//! - `compiler` compiles components that are not built in. Without the feature of this name it only fails.
//! - `engine` creates the engine and its pool of instances.
//! - `clock` interrupts calls at their deadline.
//! - `limits` describes what an instance may use, and watches its memory.
//! - `link` checks the imports and the contract of a component.
//! - `output` counts what a scan returns.
//! - `session` is a running instance.

mod clock;
mod code;
#[cfg(feature = "compiler")]
mod code_generation;
#[cfg_attr(not(feature = "compiler"), path = "no_compiler.rs")]
pub(crate) mod compiler;
mod engine;
mod limits;
mod link;
mod output;
mod session;

pub use limits::Limits;

pub(crate) use code::MemoryLayout;
pub(crate) use engine::Runtime;
pub(crate) use limits::{MAX_COLUMNS, StoreState};
pub(crate) use link::link;
pub(crate) use output::OutputCounter;
pub(crate) use session::Session;
