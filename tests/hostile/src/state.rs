//! Attempts to find data of an earlier instance, and to obtain random values.

use std::collections::HashMap;

use crate::attack;

/// The bytes that the tests push into an earlier instance. They are reversed here, so that the search does not find
/// this constant.
const MARKER: &[u8] = b"BFEBTNANET-FO-TERCES";

/// Searches for the marker in all existing memory and in 256 new pages.
pub(crate) fn search_memory() -> Option<String> {
    if !attack("look-back") {
        return None;
    }
    let old = core::arch::wasm32::memory_size::<0>();
    let pages = 256;
    let grown = core::arch::wasm32::memory_grow::<0>(pages) == old;
    let bytes = (old + if grown { pages } else { 0 }) << 16;
    // SAFETY: the slice is the whole linear memory except byte 0, and nothing writes to it meanwhile.
    let memory =
        unsafe { std::slice::from_raw_parts(std::hint::black_box(1 as *const u8), bytes - 1) };
    let found = memory
        .windows(MARKER.len())
        .any(|window| window.iter().eq(MARKER.iter().rev()));
    let fresh = memory.get((old << 16)..).unwrap_or_default();
    let dirty = fresh.iter().filter(|byte| **byte != 0).count();
    Some(format!("found {found}, grown {grown}, dirty {dirty}"))
}

/// Returns a text that depends on every source of randomness that a component can reach.
pub(crate) fn random_values() -> Option<String> {
    if !attack("chance") {
        return None;
    }
    let map: HashMap<u32, u32> = (0..100).map(|key| (key, key)).collect();
    let order: Vec<u32> = map.into_keys().collect();
    let allocation = Box::new(1);
    Some(format!("{order:?} {:p}", &*allocation))
}
