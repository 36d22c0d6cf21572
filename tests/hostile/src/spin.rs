//! Endless loops.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::attack;

/// Loops forever, if this is the attack.
pub(crate) fn spin(name: &str) {
    if attack(name) {
        loop_forever();
    }
}

/// Loops forever. The compiler cannot remove the loop.
pub(crate) fn loop_forever() -> ! {
    loop {
        std::hint::black_box(());
    }
}

/// Takes some milliseconds, if this is the attack. Each call stays within its limit, but all calls together do not.
pub(crate) fn slow_down(name: &str) {
    if attack(name) {
        for turn in 0..2_000_000_u64 {
            std::hint::black_box(turn);
        }
    }
}

/// Allocates and frees memory forever, if this is the attack.
pub(crate) fn allocate_forever(name: &str) {
    if attack(name) {
        loop {
            std::hint::black_box(vec![1_u8; 100_000]);
        }
    }
}

/// The global allocator. The host reaches it too: with `cabi_realloc` for the bytes that it passes in, and with
/// `cabi_post_…` after it has copied a result.
struct Allocator;

/// Set before a result is returned, if freeing that result is the attack.
pub(crate) static IN_POST_RETURN: AtomicBool = AtomicBool::new(false);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: every call is passed on to the system allocator unchanged, or never returns.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The host allocates a pushed block here, and hardly anything else has this size.
        if layout.size() == BLOCK_BYTES {
            spin("spin-realloc");
        }
        // SAFETY: the caller satisfies the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if IN_POST_RETURN.load(Ordering::Relaxed) {
            loop_forever();
        }
        // SAFETY: the caller satisfies the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The size of the block whose allocation loops.
const BLOCK_BYTES: usize = 12_345;
