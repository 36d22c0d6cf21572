//! The command `cprflow`, which the package installs.

use std::ffi::OsString;

use cprflow::Loader;
use pyo3::prelude::*;

/// Run the command line and return its exit code.
///
/// `arguments` begins with the name of the program. `again` is the command line that runs this function again in a
/// process of its own; components that are not trusted are compiled there.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>, again: Vec<OsString>) -> u8 {
    py.detach(|| {
        cprflow_cli::main_with(arguments, || {
            let mut again = again.into_iter();
            let interpreter = again.next().unwrap_or_default();
            Ok(Loader::new(interpreter).arguments(again))
        })
    })
}
