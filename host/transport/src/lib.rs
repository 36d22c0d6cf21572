//! Byte transport for cprflow: inboxes on SFTP servers and in local directories, and SOAP calls over mutual TLS.
//!
//! The crate moves bytes and never interprets them. It accepts a server only if its host key or certificate authority
//! was configured beforehand. Otherwise it closes the connection before it logs in or sends a request.
//!
//! ```no_run
//! use cprflow_transport::{Inbox, SftpSettings, connect};
//!
//! let inbox: Inbox = "sftp://KOMMUNE_SIMPELSFTP@sftp.example.dk/IN".parse()?;
//! let mut settings = SftpSettings::new("sftp_key");
//! settings.known_hosts = Some("known_hosts".into());
//! for file in connect(&inbox, &settings)?.list()?.entries {
//!     println!("{} {}", file.name, file.stat.size);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | content |
//! |---|---|
//! | `inbox` | [`Inbox`]: the address of an inbox, `DIR` or `sftp://user@host[:port]/path` |
//! | `connect` | [`connect`]: opens an inbox of either kind |
//! | `transport` | [`Transport`]: lists, reads and removes files; [`Listing`]: the entries of an inbox |
//! | `name` | [`RemoteName`]: a checked file name |
//! | `local`, `sftp` | [`LocalDirectory`] and [`SftpInbox`]: the two kinds of inbox |
//! | `host_key` | [`Fingerprint`] and [`HostKey`]: host keys as people compare them |
//! | `helpdesk` | [`HELPDESK`]: the address of the platform's helpdesk |
//! | `exact_reader` | reports a file that ends before its known size |
//! | `pipelined_copy` | [`pipelined_copy`]: reads and writes at the same time |
//! | [`soap`] | [`SoapClient`](soap::SoapClient): calls the subscription service |
//! | `byte_order` | the marks that editors write at the beginning of a text |
//! | `private_file` | [`exposed_mode`]: whether other users can read a file with a secret |
//! | `secret` | [`Secret`]: a text that is never printed |
//! | `error` | [`TransportError`]: why an inbox cannot be used, and whether to try again |
#![deny(unsafe_code)]

mod byte_order;
mod connect;
mod error;
mod exact_reader;
mod helpdesk;
mod host_key;
mod inbox;
mod local;
mod name;
mod pipelined_copy;
mod private_file;
mod secret;
mod sftp;
pub mod soap;
mod transport;

pub use connect::connect;
pub use error::{KeyFileProblem, KnownHostsProblem, Operation, TransportError};
pub use helpdesk::HELPDESK;
pub use host_key::{Fingerprint, FingerprintError, HostKey};
pub use inbox::{Inbox, InboxError, Server};
pub use local::LocalDirectory;
pub use name::{NameError, RemoteName, redacted_name};
pub use pipelined_copy::pipelined_copy;
pub use private_file::exposed_mode;
pub use secret::Secret;
pub use sftp::{SftpInbox, SftpSettings, Timeouts};
pub use transport::{
    Listing, MAX_ENTRIES, MAX_REFUSED, Refusal, RefusedName, RemoteFile, Stat, Transport,
};
