//! Attacks by what is read in parts.

use crate::attack;
use crate::bindings::exports::cprflow::connector::source;
use crate::spin::loop_forever;

/// The attacks of this file.
const ATTACKS: [&str; 6] = [
    "parts-spin",
    "parts-trap",
    "parts-refuse",
    "parts-lines",
    "parts-rest",
    "parts-walk",
];

/// Leaves the input to parts, if the attack is one of this file.
pub(crate) fn start() -> Option<source::PartStart> {
    ATTACKS.into_iter().any(attack).then(|| source::PartStart {
        context: Vec::new(),
        rest: match attack("parts-rest") {
            true => vec![b'\n'; 32 << 20],
            false => Vec::new(),
        },
        has_line_ends: !attack("parts-walk"),
    })
}

pub(crate) fn end() {
    if attack("parts-spin") {
        loop_forever();
    }
    if attack("parts-trap") {
        std::process::abort();
    }
}

/// Returns the number of records before a part.
pub(crate) fn add() -> Option<u64> {
    match attack("parts-refuse") {
        true => None,
        false => Some(u64::MAX),
    }
}
