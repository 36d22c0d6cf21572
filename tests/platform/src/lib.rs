//! A stand-in for KOMBIT's Serviceplatformen, for the integration SF6002 "CPR Abonnement" only.
//!
//! [`Platform::start`] starts three things, by default on loopback:
//!
//! - the SOAP service `CprSubscriptionService`, which requires a client certificate and validates every request
//!   against its contract;
//! - an inbox served over SFTP;
//! - a nightly run, [`Platform::run_night`], which delivers generated persons according to the filters.
//!
//! The stand-in shares no code with the product under test, except the record layouts and the person generator.
//!
//! - [`ServiceFault`]: a fault of the service, armed by [`Platform::arm`]
//! - [`DeliveryFault`]: a fault of a delivery, armed by [`Platform::arm_delivery_fault`]
//! - [`ServiceEvent`]: an entry of the service's event log, which proves that a request met an armed fault
//! - [`ASSUMPTIONS`]: how the stand-in behaves where the documents say nothing
//! - [`Sshd`]: an SFTP server that runs OpenSSH, also usable without a platform
//!
//! A request passes through `service` (connections and TLS), `http`, `request_validation`, `platform_state` (filters),
//! `soap_response` and `fault_injection`. A nightly run passes through `delivery_plan` (persons to deliver), the
//! generator and `inbox`.
#![forbid(unsafe_code)]

mod agreement;
mod assumptions;
mod certificates;
mod clock;
mod contract;
mod delivery_fault;
mod delivery_plan;
mod error;
mod event_log;
mod fault_injection;
mod filter;
mod foreign_client;
mod http;
mod in_process;
mod inbox;
mod inbox_server;
mod metadata;
mod options;
mod platform;
mod platform_state;
mod request_validation;
mod service;
mod service_fault;
mod soap_response;
mod sshd;
mod wsdl;

use std::net::Ipv6Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use agreement::{Agreement, SERVICE_UUID};
pub use assumptions::{ASSUMPTIONS, Assumption};
pub use certificates::{
    ClientCertificate, ClientKeys, ClientKind, P12_PASSWORD, ServerCertificate, TlsVersions,
};
pub use contract::Contract;
pub use delivery_fault::DeliveryFault;
pub use delivery_plan::FilterCombination;
pub use error::Error;
pub use event_log::ServiceEvent;
pub use filter::{Filter, FilterGroup};
pub use foreign_client::ForeignClient;
pub use inbox_server::{InboxServer, SftpBackend};
pub use metadata::MetadataRoot;
pub use options::{FileNaming, Options, PreviousDate};
pub use platform::{Delivery, NightlyRun, Platform};
pub use request_validation::Operation;
pub use service_fault::{FaultStyle, ServiceErrorCode, ServiceFault};
pub use soap_response::NamespacePrefixes;
pub use sshd::{KeyType, Sshd, SshdOptions};

/// Returns a host name or address as it is written in a URL: IPv6 addresses stand in brackets.
fn url_host(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}

/// Returns the start of a line in a `known_hosts` file. Only the default port is left out.
fn known_host(host: &str, port: u16) -> String {
    match port {
        22 => host.to_owned(),
        port => format!("[{host}]:{port}"),
    }
}

/// Locks a mutex. Ignores poisoning, because no thread leaves a value half changed while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
