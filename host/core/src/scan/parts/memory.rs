//! Keeps the memory of parts in the process until the next parts use it.

use std::hint::black_box;
use std::sync::Once;

/// The largest block whose size glibc takes as a limit, without its own bytes.
const BLOCK: usize = (32 << 20) - (64 << 10);

/// Makes glibc keep freed memory, of at most twice 32 MiB for each thread.
///
/// The batches of a part are made by one thread and freed by another. By default glibc then soon returns their memory to the
/// kernel, and the next part fetches it again, page by page: 100,000 pages for a gigabyte of the extract, a seventh of the
/// time on two cores. The limit is twice the largest block that was ever mapped and freed (`mallopt(3)`,
/// `M_MMAP_THRESHOLD`), so a large block is mapped and freed here once. Its pages are never touched. Other allocators do not
/// care.
pub(super) fn keep_freed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut block: Vec<u8> = Vec::new();
        // Without room for it, all else works too.
        let _ = block.try_reserve_exact(BLOCK);
        drop(black_box(block));
    });
}
