//! `cprflow export`: part of the Python package.

use std::ffi::OsString;

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::usage::UsageError;

/// Load a dataset into Delta tables or PostgreSQL (with the Python package)
///
/// This command is part of the Python package, which has the libraries for it: pip install 'cprflow[export]'.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

impl Export {
    /// Says where the subcommand is.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        Err(UsageError::ExportInPython.into())
    }
}
