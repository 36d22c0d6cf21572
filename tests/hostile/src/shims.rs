//! Attempts to use the WASI functions that Rust's standard library imports.

use std::io::{Read, Write};

use crate::attack;

/// Performs the attack. If the call returns, the result becomes the text of an error.
pub(crate) fn use_wasi() -> Option<String> {
    if attack("environment") {
        return Some(format!("{:?}", std::env::vars().next()));
    }
    if attack("arguments") {
        return Some(format!("{:?}", std::env::args().next()));
    }
    if attack("stdout") {
        let written = std::io::stdout().write_all(b"0101010101\n");
        return Some(format!("{written:?}"));
    }
    if attack("stdin") {
        let mut byte = [0];
        let read = std::io::stdin().read(&mut byte);
        return Some(format!("{read:?}"));
    }
    if attack("exit") {
        std::process::exit(0);
    }
    None
}
