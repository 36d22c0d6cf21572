//! A stand-in for KOMBIT's Serviceplatformen, as far as the integration SF6002 "CPR Abonnement" goes.
//!
//! [`Platform::start`] gives a SOAP service on loopback that demands a client certificate and judges every request by
//! the contract, an inbox over SFTP, and a nightly run that delivers generated persons as the filters ask:
//! [`Platform::night`]. It shares no code with the product that it judges, but for the layouts and the generator of
//! persons.
//!
//! - [`Fault`]: what can go wrong with the service, armed by [`Platform::arm`]
//! - [`Hazard`]: what can be wrong with a delivery, armed by [`Platform::arm_hazard`]
//! - [`Seen`]: what the service saw, so that a test can prove that a fault was met
//! - [`ASSUMPTIONS`]: what it does where documents are silent
//! - [`Sshd`]: an SFTP server of OpenSSH, also by itself
//!
//! The way of a request: `service` (connections and TLS) → `http` → `judge` (by the contract) → `book` (what is
//! remembered) → `reply` → `sending` (faults). The way of a night: `coverage` (whom) → the generator → `inbox`.
#![forbid(unsafe_code)]

mod agreement;
mod assumptions;
mod book;
mod certificates;
mod coverage;
mod error;
mod fault;
mod filter;
mod hazard;
mod http;
mod in_process;
mod inbox;
mod judge;
mod metadata;
mod options;
mod platform;
mod reply;
mod sending;
mod service;
mod sftp;
mod sshd;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use agreement::{Agreement, SERVICE_UUID};
pub use assumptions::{ASSUMPTIONS, Assumption};
pub use certificates::{
    ClientCertificate, ClientKeys, ClientKind, P12_PASSWORD, ServerCertificate, TlsVersions,
};
pub use coverage::Groups;
pub use error::Error;
pub use fault::{Fault, FaultStyle, KnownError};
pub use filter::{Filter, FilterGroup};
pub use hazard::Hazard;
pub use judge::Operation;
pub use metadata::MetadataRoot;
pub use options::{Naming, Options, Previous};
pub use platform::{Delivered, Night, Platform};
pub use reply::Prefixes;
pub use service::Seen;
pub use sftp::{Sftp, SftpServer};
pub use sshd::{KeyType, Sshd, SshdOptions};

/// What is behind a lock. A thread that failed while it held it has left nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
