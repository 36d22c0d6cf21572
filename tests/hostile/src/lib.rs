//! A component that attacks its host.
//!
//! It keeps the contract in everything but one attack, whose name stands in `ATTACK`: the tests build this once
//! and write another name into the binary for each. Without an attack it hands on what it is given: a block that is
//! pushed says which table it is to be returned as, so that the tests make the batches.
//!
//! A file for each family of attacks; `healthy` is what it does otherwise.
#![cfg(target_family = "wasm")]
#![expect(unsafe_code, reason = "attacks do what safe code cannot")]

mod catalog;
mod healthy;
mod memory;
mod output;
mod shims;
mod spin;
mod state;
mod text;

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "connector" });
    export!(Component with_types_in self);

    use super::Component;
}

/// The component.
struct Component;

/// Where the name of the attack stands: behind the mark, ended by a zero. The tests look for the mark.
#[used]
static ATTACK: [u8; 64] = *b"cprflow-attack:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const MARK: usize = b"cprflow-attack:".len();

/// Whether this is the attack.
fn attack(name: &str) -> bool {
    // The compiler must not know what stands there.
    let slot = std::hint::black_box(&ATTACK);
    let slot = slot.get(MARK..).unwrap_or_default();
    let end = slot.iter().position(|byte| *byte == 0);
    slot.get(..end.unwrap_or(slot.len())) == Some(name.as_bytes())
}
