//! The program `cprflow`. All of it is in the library of this crate.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cprflow::{Error, Loader};
use signal_hook::consts::SIGXFSZ;

fn main() -> ExitCode {
    // Without a handler, a limit of file sizes (`ulimit -f`) ends the process without a message. With one, the write fails.
    // If no handler can be installed, all else works.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let code = std::panic::catch_unwind(|| {
        cprflow_cli::main_with(std::env::args_os(), || {
            let compiler = std::env::current_exe().map_err(Error::file("cprflow"))?;
            Ok(Loader::new(compiler))
        })
    });
    // The hook for panics has printed what happened. All that fails ends with 2.
    code.unwrap_or(2).into()
}
