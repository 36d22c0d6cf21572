//! Attacks in error texts.

use crate::attack;
use crate::bindings::exports::cprflow::connector::source::{Error, ErrorKind};
use crate::{shims, state};

/// Returns the error of the attack, if it returns one.
pub(crate) fn error() -> Option<Error> {
    let message = state::search_memory()
        .or_else(state::random_values)
        .or_else(shims::use_wasi);
    let message = if let Some(message) = message {
        message
    } else if attack("error-numbers") {
        "persons 0101010101, 010203-1234, 01 02 03 1234 and\u{1b}[2J 010203\u{200b}1234\nare here"
            .to_owned()
    } else if attack("error-huge") {
        zeroed_text(1 << 30)
    } else if attack("error-not-utf8") {
        // SAFETY: not upheld; invalid UTF-8 is the attack.
        unsafe { String::from_utf8_unchecked(vec![0xff; 100]) }
    } else if attack("error-outside") {
        // SAFETY: not upheld; the invalid address is the attack. It is never freed, because the host stops first.
        unsafe {
            String::from_raw_parts(
                std::ptr::without_provenance_mut(0xffff_0000),
                1 << 16,
                1 << 16,
            )
        }
    } else {
        return None;
    };
    Some(Error {
        kind: ErrorKind::Internal,
        line: Some(u64::MAX),
        offset: Some(u64::MAX),
        message,
    })
}

/// Returns a string of this many zero bytes without writing them.
fn zeroed_text(bytes: usize) -> String {
    let mut text = Vec::with_capacity(bytes);
    // SAFETY: new memory of a component is zero, and zero bytes are valid UTF-8.
    unsafe {
        text.set_len(bytes);
        String::from_utf8_unchecked(text)
    }
}
