//! Support of cprflow's end-to-end tests: what more than one of them needs.
//!
//! - [`extract`]: extracts in memory, public and generated, and damage done to them
//! - [`cut`]: an extract cut and read by plain slicing, with no code of the parser's
//! - [`hostile`]: servers that do not do what they must
//! - [`hostile_guest`]: components that attack their host
//! - [`messages`]: Arrow batches as messages, and messages that lie
//! - [`rows`]: scans, sandboxed and native, gathered
//! - [`dataset`]: published deliveries, and what is true after them
//! - [`nights`]: deliveries over many nights, for what becomes of them
//! - [`command`]: the command `cprflow` as a process
//! - [`oracle`]: what a tenant must get, worked out the slow and obvious way
//! - [`proxy`]: a proxy that delays, stalls, cuts and resets connections
//! - [`python`]: a Python to read results with
//! - [`service`]: a stand-in platform and clients of its subscription service
//! - [`sshd`]: OpenSSH's server with keys and a folder of its own
//! - [`steering`]: `cprflow subscription` on a stand-in platform
//! - [`trial`]: the daily job on an inbox and a dataset of its own
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot be set up must fail, loudly and at once"
)]

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

pub mod command;
pub mod cut;
pub mod dataset;
pub mod extract;
pub mod hostile;
pub mod hostile_guest;
pub mod messages;
pub mod nights;
pub mod oracle;
pub mod proxy;
pub mod python;
pub mod rows;
pub mod scope;
pub mod service;
pub mod sshd;
pub mod steering;
pub mod trial;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests have the workspace around them")
}

/// The folder of facts and public samples beside the repository; none if it is not there.
pub fn shared() -> Option<PathBuf> {
    let shared = root().parent()?.join("shared");
    shared.is_dir().then_some(shared)
}

/// Says that a part of the suite did not run, past the test harness, which swallows what is printed.
pub fn skipped(why: impl Display) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").expect("standard error is open");
}
