//! Tests of the stand-in platform through its public interfaces.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod client;
mod command_line;
mod delivery_faults;
mod nightly_runs;
mod operations;
mod request_validation;
mod service_faults;
mod sftp;
mod zeep_client;
