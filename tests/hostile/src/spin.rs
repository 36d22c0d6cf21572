//! Loops that do not end.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::attack;

/// Loops for ever, if this is the attack.
pub(crate) fn spin(name: &str) {
    if attack(name) {
        for_ever();
    }
}

/// A loop that the compiler cannot see the end of.
pub(crate) fn for_ever() -> ! {
    loop {
        std::hint::black_box(());
    }
}

/// Takes some milliseconds, if this is the attack: never too long, and for ever.
pub(crate) fn dawdle(name: &str) {
    if attack(name) {
        for turn in 0..2_000_000_u64 {
            std::hint::black_box(turn);
        }
    }
}

/// Allocates and frees for ever.
pub(crate) fn churn(name: &str) {
    if attack(name) {
        loop {
            std::hint::black_box(vec![1_u8; 100_000]);
        }
    }
}

/// The allocator, which the host calls too: for the bytes that it hands over (`cabi_realloc`), and when it has
/// copied an answer (`cabi_post_…`).
struct Allocator;

/// Set when an answer is about to go out, whose freeing is the attack.
pub(crate) static IN_POST_RETURN: AtomicBool = AtomicBool::new(false);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: every call goes to the system's allocator as it is, unless it does not come back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Blocks come in through here, and little else is of that size.
        if layout.size() == BLOCK {
            spin("spin-realloc");
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if IN_POST_RETURN.load(Ordering::Relaxed) {
            for_ever();
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The size of a block that loops on its way in.
const BLOCK: usize = 12_345;
