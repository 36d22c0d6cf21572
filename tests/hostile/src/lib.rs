//! A component that attacks its host.
//!
//! It satisfies the contract except for one attack, whose name is stored in `ATTACK`. The tests build the component
//! once and write the name of an attack into the binary. Without an attack the component returns the batches that it is
//! given: each pushed block names its table, so the tests control the batches.
//!
//! Each file contains one family of attacks; `healthy` is the behaviour without an attack.
#![cfg(target_family = "wasm")]
#![expect(unsafe_code, reason = "attacks do what safe code cannot")]

mod catalog;
mod healthy;
mod memory;
mod output;
mod parts;
mod shims;
mod spin;
mod state;
mod text;

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "connector" });
    export!(Component with_types_in self);

    use super::Component;
}

/// The component that exports the contract.
struct Component;

/// The slot for the name of the attack: a marker, the name and a zero byte. The tests search the binary for the
/// marker.
#[used]
static ATTACK: [u8; 64] = *b"cprflow-attack:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const NAME_OFFSET: usize = b"cprflow-attack:".len();

/// Whether the component has to perform this attack.
fn attack(name: &str) -> bool {
    // `black_box`: the compiler must not assume the content, because the tests change it in the binary.
    let slot = std::hint::black_box(&ATTACK);
    let slot = slot.get(NAME_OFFSET..).unwrap_or_default();
    let end = slot.iter().position(|byte| *byte == 0);
    slot.get(..end.unwrap_or(slot.len())) == Some(name.as_bytes())
}
