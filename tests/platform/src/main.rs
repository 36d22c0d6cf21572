//! The command `cprflow-platform`. See `cprflow-platform --help`.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
