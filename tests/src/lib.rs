//! Support code shared by cprflow's end-to-end tests.
//!
//! - [`command`]: runs the command `cprflow` as a process
//! - [`dataset`]: published deliveries, and the current state that follows from them
//! - [`delivery_history`]: generated deliveries over many nights, and random changes of person numbers
//! - [`extract`]: extracts in memory, public and generated, and random damage to them
//! - [`handmade`]: extracts that are made record by record
//! - [`hostile_guest`]: components that attack their host
//! - [`hostile_server`]: servers that break their protocol
//! - [`layout_data`]: the record types and fields of `tests/data`
//! - [`marked`]: extracts in which every value is a mark that stands nowhere else
//! - [`messages`]: Arrow IPC messages of batches, also with wrong contents
//! - [`oracle`]: the expected result of a policy, computed without the product's code
//! - [`proxy`]: a proxy that delays, stalls, ends and resets connections
//! - [`python`]: finds the Python that reads results
//! - [`output_bytes`]: searches all bytes of a result, also the hidden parts of its files
//! - [`raw_record`]: a record whose fields can be changed
//! - [`reference_reader`]: reads an extract by plain slicing, without the parser's code
//! - [`requirement`]: skips a test, or fails it, if a prerequisite is missing
//! - [`rows`]: collects the rows of scans
//! - [`scope`]: the persons in a tenant's scope, computed from the lines of extracts
//! - [`service`]: a stand-in platform and clients of its subscription service
//! - [`sshd`]: OpenSSH's server with its own keys and inbox
//! - [`subscription_run`]: runs `cprflow subscription` against a stand-in platform
//! - [`threads`]: compares scans with several threads with those of one
//! - [`test_run`]: runs the daily job with its own inbox, dataset and state directory
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot be set up must fail, loudly and at once"
)]

use std::path::{Path, PathBuf};

pub mod command;
pub mod dataset;
pub mod delivery_history;
pub mod extract;
pub mod handmade;
pub mod hostile_guest;
pub mod hostile_server;
pub mod layout_data;
pub mod marked;
pub mod messages;
pub mod oracle;
pub mod output_bytes;
pub mod proxy;
pub mod python;
pub mod raw_record;
pub mod reference_reader;
pub mod requirement;
pub mod rows;
pub mod scope;
pub mod search;
pub mod service;
pub mod sshd;
pub mod subscription_run;
pub mod test_run;
pub mod threads;

pub use requirement::{Requirement, require};

/// Returns the root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}

/// Returns a file or folder of the public samples in `../shared`.
///
/// Without it the test is skipped, or fails if `CPRFLOW_REQUIRE_SHARED` is set; see [`require`].
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = root().parent().map(|folder| folder.join("shared"));
    let found = shared.map(|shared| shared.join(path));
    require(
        Requirement::Shared,
        found.filter(|found| found.exists()),
        format_args!("the public samples have no ../shared/{path}"),
    )
}
