//! Attacks that use up memory, the stack or handles.

use std::hint::black_box;

use crate::attack;
use crate::bindings::exports::cprflow::connector::source;
use crate::healthy::Session;

/// Performs the attack. Does not return from it.
pub(crate) fn exhaust() {
    if attack("memory-grow") {
        while core::arch::wasm32::memory_grow::<0>(1) != usize::MAX {}
        unreachable!("the host refused more memory but did not stop the component");
    }
    if attack("memory-huge") {
        black_box(vec![1_u8; 1 << 30]);
    }
    if attack("memory-many") {
        let mut kept = Vec::new();
        loop {
            kept.push(black_box(Box::new([1_u8; 1000])));
        }
    }
    if attack("recursion") {
        black_box(recurse(black_box(1)));
    }
    if attack("panic") {
        panic!("person 0101010101 made me do it");
    }
    if attack("abort") {
        std::process::abort();
    }
    if attack("handles") {
        loop {
            std::mem::forget(source::Scan::new(Session::default()));
        }
    }
}

#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + 1
}
