//! The stand-in, tested from the outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod client;
mod command;
mod contract;
mod faults;
mod hazards;
mod inbox;
mod nights;
mod operations;
mod zeep;
