//! The program `cprflow`. All of it is in the library of this crate.

use std::process::ExitCode;

use cprflow::{Error, Loader};

fn main() -> ExitCode {
    let code = cprflow_cli::main_with(std::env::args_os(), || {
        let compiler = std::env::current_exe().map_err(Error::file("cprflow"))?;
        Ok(Loader::new(compiler))
    });
    code.into()
}
