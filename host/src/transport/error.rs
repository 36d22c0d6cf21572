//! What can go wrong between us and an inbox, by whose move it is.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::name::RemoteName;

/// Why an inbox cannot be worked on.
///
/// No variant holds a secret. Texts of a server are freed of control characters and cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The host's name has no address.
    #[error("cannot find the address of {host}: {reason}. Check the name and this machine's DNS")]
    Dns {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },

    /// The host is there and nothing listens at the port.
    #[error(
        "{server} refuses the connection: no SSH server listens there now. Check host and port; it may be a service window"
    )]
    Refused {
        /// Host and port.
        server: String,
    },

    /// There is no way to the host.
    #[error(
        "cannot reach {server}: {error}. Check the network and the firewall on the way; the server may admit known addresses only"
    )]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },

    /// Nothing moved for too long.
    #[error("no progress for {limit:?} while {operation}: the connection was given up")]
    Timeout {
        /// At what.
        operation: Operation,
        /// The limit.
        limit: Duration,
    },

    /// The connection ended in the middle of something.
    #[error("the connection was lost while {operation}")]
    Lost {
        /// At what.
        operation: Operation,
    },

    /// There is no way of encrypting that both sides take.
    #[error(
        "{server} offers no algorithm that is still safe: it is probably so old that it only signs with SHA-1. It must \
         be updated; cprflow does not step down. It offers {offer}"
    )]
    NoCommonAlgorithm {
        /// Host and port.
        server: String,
        /// What it offers.
        offer: String,
    },

    /// No key is known for the host.
    #[error(
        "nothing is known about {server}, so nothing was sent to it. It shows {}. Compare that with what its operator \
         tells you over another way, then configure the fingerprint, or add the key to the known_hosts file",
        shown(offered)
    )]
    HostKeyUnknown {
        /// Host and port.
        server: String,
        /// The keys that it showed.
        offered: Vec<HostKey>,
    },

    /// The host shows another key than the known one.
    #[error(
        "the host key of {server} is not the one that is known: it shows {}. Either the server got a new key, or somebody \
         is in between. Nothing was sent to it. Ask its operator before you configure another key",
        shown(offered)
    )]
    HostKeyChanged {
        /// Host and port.
        server: String,
        /// The keys that it showed.
        offered: Vec<HostKey>,
    },

    /// The host shows a key that is marked as revoked.
    #[error(
        "{server} shows {}, which known_hosts marks as revoked. Nothing was sent to it. Ask its operator",
        shown(std::slice::from_ref(offered))
    )]
    HostKeyRevoked {
        /// Host and port.
        server: String,
        /// The key that it showed.
        offered: HostKey,
    },

    /// The file of known hosts cannot be used.
    #[error("cannot use the known hosts in {path}: {reason}", path = path.display())]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// The private key cannot be used.
    #[error("cannot use the private key {path}: {problem}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: KeyFileProblem,
    },

    /// The server does not let this key in.
    #[error(
        "{server} does not let {user} in with this key. Check the user name, and that the public half of the key is \
         registered there: one line, `ssh-rsa AAAA… comment`"
    )]
    KeyRefused {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
    },

    /// The server lets us in and offers no SFTP.
    #[error(
        "{server} let us in and offers no SFTP: the account is not set up for file exchange. Ask its operator"
    )]
    NoSftp {
        /// Host and port.
        server: String,
    },

    /// The folder is not there.
    #[error("there is no folder {folder}: check the path of the inbox")]
    NoFolder {
        /// Its path.
        folder: String,
    },

    /// The inbox forbids it.
    #[error(
        "permission denied while {operation} {what}: the account lacks a right that cprflow needs. It must list, read and delete"
    )]
    Denied {
        /// At what.
        operation: Operation,
        /// A file or a folder.
        what: String,
    },

    /// The file is not there any more.
    #[error("{name} is gone: it was removed meanwhile, by somebody else or because it was too old")]
    Gone {
        /// Its name.
        name: RemoteName,
    },

    /// It is a directory, a link or a device.
    #[error("{name} is no regular file, and nothing else is fetched")]
    NotAFile {
        /// Its name.
        name: RemoteName,
    },

    /// A file ended before the size that it had.
    #[error(
        "{name} ended at byte {found} although it had {expected}: it was cut or replaced meanwhile. Fetch it again from its start"
    )]
    Shrunk {
        /// Its name.
        name: RemoteName,
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are.
        found: u64,
    },

    /// The folder holds too much.
    #[error("there are more than {limit} entries in {folder}: no inbox has that many. Tidy it up")]
    TooManyEntries {
        /// Its path.
        folder: String,
        /// The limit.
        limit: usize,
    },

    /// A local file or directory could not be worked on.
    #[error("i/o error while {operation} {what}: {error}")]
    Io {
        /// At what.
        operation: Operation,
        /// A file or a folder.
        what: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },

    /// The server failed to do what it was asked for.
    #[error("the server failed while {operation} {what}: {reason}")]
    Server {
        /// At what.
        operation: Operation,
        /// A file or a folder.
        what: String,
        /// Its answer.
        reason: String,
    },

    /// What the other side said is not SSH or SFTP as we know it.
    #[error("the server does not keep to the protocol while {operation}: {reason}")]
    Protocol {
        /// At what.
        operation: Operation,
        /// What was wrong.
        reason: String,
    },
}

impl TransportError {
    /// Whether it can be well later without anybody doing something: try again, with growing pauses.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::Gone { .. }
            | Self::Shrunk { .. }
            | Self::Server { .. }
            | Self::Protocol { .. } => true,
            Self::Io { error, .. } => matches!(
                error.kind(),
                io::ErrorKind::Interrupted
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::StaleNetworkFileHandle
                    | io::ErrorKind::ResourceBusy
            ),
            Self::NoCommonAlgorithm { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyRevoked { .. }
            | Self::KnownHosts { .. }
            | Self::KeyFile { .. }
            | Self::KeyRefused { .. }
            | Self::NoSftp { .. }
            | Self::NoFolder { .. }
            | Self::Denied { .. }
            | Self::NotAFile { .. }
            | Self::TooManyEntries { .. } => false,
        }
    }

    /// Whether another file of the same inbox may do better. A server that fails may do so for good where one file is
    /// concerned: it does not hold up the others.
    pub(crate) fn is_of_one_file(&self) -> bool {
        match self {
            Self::Denied { operation, .. } | Self::Server { operation, .. } => matches!(
                operation,
                Operation::Stat | Operation::Open | Operation::Read | Operation::Remove
            ),
            Self::NotAFile { .. } => true,
            _ => false,
        }
    }

    /// Whether the connection is of no more use after it.
    pub fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Lost { .. } | Self::Protocol { .. }
        )
    }

    /// The error inside an error of a reader that [`Transport::open`](super::Transport::open) gave.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// For errors of readers: the one inside, or an [`Io`](TransportError::Io).
impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        let read = |error| Self::Io {
            operation: Operation::Read,
            what: "a file".to_owned(),
            error,
        };
        error.downcast().unwrap_or_else(read)
    }
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Looking up the host's name.
    Resolve,
    /// Connecting.
    Connect,
    /// Agreeing on keys.
    Handshake,
    /// Logging in.
    Login,
    /// Starting SFTP.
    Start,
    /// Listing.
    List,
    /// Asking for size and time.
    Stat,
    /// Opening.
    Open,
    /// Reading.
    Read,
    /// Removing.
    Remove,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Resolve => "looking up the host's address",
            Self::Connect => "connecting",
            Self::Handshake => "agreeing on keys",
            Self::Login => "logging in",
            Self::Start => "starting SFTP",
            Self::List => "listing",
            Self::Stat => "asking for the size of",
            Self::Open => "opening",
            Self::Read => "reading",
            Self::Remove => "removing",
        })
    }
}

/// A host key, as people compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`, `ssh-rsa`, …
    pub algorithm: String,
    /// `SHA256:…`
    pub fingerprint: super::Fingerprint,
}

impl fmt::Display for HostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.algorithm, self.fingerprint)
    }
}

/// What is wrong with a private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileProblem {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(#[source] io::Error),
    /// Others than the owner may read it.
    #[error(
        "others can read it (mode {mode:o}): `chmod 600` it, and ask yourself who has it already"
    )]
    Exposed {
        /// Its permissions.
        mode: u32,
    },
    /// It is larger than any key.
    #[error("it is no key: it is larger than {0} bytes")]
    TooLarge(u64),
    /// It is the public half.
    #[error("it is the public half; the private one is the file without .pub")]
    Public,
    /// It is PuTTY's format.
    #[error("it is in PuTTY's own format: export it with `puttygen KEY -O private-openssh -o NEW`")]
    Putty,
    /// It is no key, or none that can be used.
    #[error("it is no private key that can be used: RSA, ECDSA or Ed25519 in OpenSSH or PEM form")]
    Unsupported,
    /// It is encrypted and no passphrase was given.
    #[error("it is encrypted: configure its passphrase")]
    NeedsPassphrase,
    /// The passphrase does not open it.
    #[error("its passphrase is wrong")]
    WrongPassphrase,
}

fn shown(keys: &[HostKey]) -> String {
    let keys: Vec<_> = keys.iter().map(HostKey::to_string).collect();
    keys.join(" and ")
}
