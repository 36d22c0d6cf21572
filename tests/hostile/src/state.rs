//! Bytes that shall outlive their instance, and chance.

use std::collections::HashMap;

use crate::attack;

/// What is looked for, as the tests push it. It stands reversed here, not to find itself.
const MARKER: &[u8] = b"BFEBTNANET-FO-TERCES";

/// Looks for the marker in all memory that there is and in as much again that is new.
pub(crate) fn look_back() -> Option<String> {
    if !attack("look-back") {
        return None;
    }
    let old = core::arch::wasm32::memory_size::<0>();
    let pages = 256;
    let grown = core::arch::wasm32::memory_grow::<0>(pages) == old;
    let bytes = (old + if grown { pages } else { 0 }) << 16;
    // SAFETY: it is all the memory that there is; nothing writes to it meanwhile.
    let memory =
        unsafe { std::slice::from_raw_parts(std::hint::black_box(1 as *const u8), bytes - 1) };
    let found = memory
        .windows(MARKER.len())
        .any(|window| window.iter().eq(MARKER.iter().rev()));
    let fresh = memory.get((old << 16)..).unwrap_or_default();
    let dirty = fresh.iter().filter(|byte| **byte != 0).count();
    Some(format!("found {found}, grown {grown}, dirty {dirty}"))
}

/// A text that depends on all the chance that a component can lay hands on.
pub(crate) fn chance() -> Option<String> {
    if !attack("chance") {
        return None;
    }
    let map: HashMap<u32, u32> = (0..100).map(|key| (key, key)).collect();
    let order: Vec<u32> = map.into_keys().collect();
    let place = Box::new(1);
    Some(format!("{order:?} {:p}", &*place))
}
