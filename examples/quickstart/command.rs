//! Runs commands of cprflow as processes of their own, as a shell does.
//!
//! The quickstart contains the command, so that it works before anything is installed: it starts itself with a first
//! argument that says so.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use cprflow::{Error, Loader};

/// The first argument of a process that is to be the command.
const NAME: &str = "cprflow";

/// Runs the command if the first argument asks for it, and returns its exit code.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_none_or(|first| first != NAME) {
        return None;
    }
    let code = cprflow_cli::main_with(arguments, || {
        let compiler = std::env::current_exe().map_err(Error::file("cprflow"))?;
        Ok(Loader::new(compiler))
    });
    Some(code.into())
}

/// Runs the command with these arguments in a directory. What it prints goes to standard output, messages too, so that
/// they stay in order.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> io::Result<ExitStatus> {
    let messages = io::stdout().as_fd().try_clone_to_owned()?;
    Command::new(std::env::current_exe()?)
        .arg(NAME)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stderr(messages)
        .status()
}
