//! Errors whose texts are attacks.

use crate::attack;
use crate::bindings::exports::cprflow::connector::source::{Error, ErrorKind};
use crate::{shims, state};

/// The error of this attack, if it is one.
pub(crate) fn error() -> Option<Error> {
    let told = state::look_back()
        .or_else(state::chance)
        .or_else(shims::reach_out);
    let message = if let Some(told) = told {
        told
    } else if attack("error-numbers") {
        "persons 0101010101, 010203-1234, 01 02 03 1234 and\u{1b}[2J 010203\u{200b}1234\nare here"
            .to_owned()
    } else if attack("error-huge") {
        garbage(1 << 30)
    } else if attack("error-not-utf8") {
        // SAFETY: there is none; that is the attack.
        unsafe { String::from_utf8_unchecked(vec![0xff; 100]) }
    } else if attack("error-outside") {
        // SAFETY: there is none; that is the attack. It is never freed: the host stops before.
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

/// So many bytes, without writing them.
fn garbage(bytes: usize) -> String {
    let mut text = Vec::with_capacity(bytes);
    // SAFETY: fresh memory of a component is zero, and zero is UTF-8.
    unsafe {
        text.set_len(bytes);
        String::from_utf8_unchecked(text)
    }
}
