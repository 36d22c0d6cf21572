//! The errors of inboxes.

mod key_files;
mod operation;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::host_key::HostKey;
use crate::name::RemoteName;
pub use key_files::{KeyFileProblem, KnownHostsProblem};
pub use operation::Operation;

/// Why an inbox cannot be used.
///
/// No variant holds a secret. Texts that come from a server are stripped of control characters and cut to a fixed length.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The host's name has no address.
    #[error(
        "cannot find the address of {host}: {reason}. Check the host name and the DNS of this machine"
    )]
    Dns {
        /// The host.
        host: String,
        /// The resolver's error.
        reason: String,
    },

    /// The system refuses to start a thread.
    #[error(
        "cannot start a thread for the connection to {server}: {error}. The system allows this user too few processes or \
         threads: raise the limit (`ulimit -u`, or TasksMax= of the systemd unit)"
    )]
    Thread {
        /// Host and port.
        server: String,
        /// The system's error.
        #[source]
        error: io::Error,
    },

    /// The host is reachable and nothing listens on the port.
    #[error(
        "{server} refuses the connection: no SSH server listens on that port. Check host and port. If they are right, the \
         server may be down for maintenance: try again later"
    )]
    Refused {
        /// Host and port.
        server: String,
    },

    /// The host cannot be reached.
    #[error(
        "cannot reach {server}: {error}. Check the network and its firewalls. The server may also accept connections only \
         from registered addresses"
    )]
    Unreachable {
        /// Host and port.
        server: String,
        /// The system's error.
        #[source]
        error: io::Error,
    },

    /// The connection made no progress for too long.
    #[error(
        "{server}: no progress for {limit:?} while {}, so cprflow gave up. Try again later. If it happens again, check the \
         network and ask the server's operator",
        operation.of(what.as_deref())
    )]
    Timeout {
        /// Host and port.
        server: String,
        /// The step that made no progress.
        operation: Operation,
        /// The file or folder; `None` if the step concerns none.
        what: Option<String>,
        /// The limit that was reached.
        limit: Duration,
    },

    /// The connection ended during an operation.
    #[error(
        "the connection to {server} was lost while {}. Try again later. If it happens again, check the network and ask \
         the server's operator",
        operation.of(what.as_deref())
    )]
    Lost {
        /// Host and port.
        server: String,
        /// The step during which the connection ended.
        operation: Operation,
        /// The file or folder; `None` if the step concerns none.
        what: Option<String>,
    },

    /// The two sides have no algorithm in common.
    #[error(
        "{server} offers no algorithm that cprflow accepts; it offers {offer}. It is probably an old server that knows \
         only weak algorithms, such as SHA-1. Ask its operator to update it: cprflow does not use weaker algorithms"
    )]
    NoCommonAlgorithm {
        /// Host and port.
        server: String,
        /// The server's algorithms, and what they are for.
        offer: String,
    },

    /// No key is known for the host.
    #[error(
        "the host key of {server} is not known, so nothing was sent to it. It shows {}. Ask the server's operator \
         for the fingerprint, for example by phone. If both are equal, configure the fingerprint (--host-key, or host_keys \
         in the configuration), or add the key to the known_hosts file",
        listed(offered)
    )]
    HostKeyUnknown {
        /// Host and port.
        server: String,
        /// The keys that the host showed.
        offered: Vec<HostKey>,
    },

    /// The host shows another key than the known one.
    #[error(
        "the host key of {server} is not the one that is known, so nothing was sent to it. It shows {}. Either the server \
         has a new key, or somebody intercepts the connection. Ask its operator before you configure another key",
        listed(offered)
    )]
    HostKeyChanged {
        /// Host and port.
        server: String,
        /// The keys that the host showed.
        offered: Vec<HostKey>,
    },

    /// The host shows a key that is marked as revoked.
    #[error(
        "{server} shows the host key {offered}, which the known_hosts file marks as revoked. Nothing was sent to it. Ask \
         its operator which key is valid"
    )]
    HostKeyRevoked {
        /// Host and port.
        server: String,
        /// The key that the host showed.
        offered: HostKey,
    },

    /// The `known_hosts` file cannot be used.
    #[error("cannot use the known_hosts file {path}: {problem}", path = path.display())]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: KnownHostsProblem,
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

    /// The server does not accept this key for this user.
    #[error(
        "{server} does not let {user} log in with this key. Check the user name, and that the public key is registered \
         with the server as one line: `ssh-ed25519 AAAA… comment`"
    )]
    KeyRefused {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
    },

    /// The server accepts the key, and the login needs something else besides.
    #[error(
        "{server} accepted the key of {user} and also demands {methods}, so {user} is not logged in. cprflow logs in with a \
         key only. Ask the server's operator to let this account log in with the key alone"
    )]
    MoreThanKey {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
        /// The ways of logging in that the server still demands, as it names them, such as `password`.
        methods: String,
    },

    /// The server accepts no keys.
    #[error(
        "{server} does not let {user} log in with a key: it accepts only {methods}. cprflow logs in with a key only. Ask the \
         server's operator to register the public key and to enable public-key login for this account"
    )]
    NoKeyLogin {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
        /// The ways of logging in that the server accepts, as it names them, such as `password`.
        methods: String,
    },

    /// The server does not accept this RSA key for this user, or knows no RSA signatures but those with SHA-1.
    #[error(
        "{server} does not let {user} log in with this RSA key. Check the user name, and that the public key is registered \
         with the server as one line: `ssh-rsa AAAA… comment`. If both are right, the server may know only RSA signatures \
         with SHA-1, which cprflow does not make: use an Ed25519 or ECDSA key, or ask the server's operator to update it"
    )]
    RsaKeyRefused {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
    },

    /// The connection ended during a login with an RSA key. Some servers end it when they know no signature that the client
    /// offers.
    #[error(
        "the connection to {server} was lost while logging in with an RSA key. Try again later. If it happens again, the \
         server may know only RSA signatures with SHA-1, which cprflow does not make: use an Ed25519 or ECDSA key, or ask \
         the server's operator to update it"
    )]
    LostAtRsaLogin {
        /// Host and port.
        server: String,
    },

    /// The server sends text where SFTP should begin.
    #[error(
        "{server} sent text instead of SFTP after the login of {user}: \"{text}\". A login script on the server probably \
         prints it. Ask the server's operator to let the account's login print nothing"
    )]
    TextBeforeSftp {
        /// Host and port.
        server: String,
        /// The user.
        user: String,
        /// The beginning of the text, without control characters and person numbers.
        text: String,
    },

    /// The login succeeds and the server offers no SFTP.
    #[error(
        "{server} accepted the login and offers no SFTP: the account is not set up for file exchange. Ask the server's \
         operator to enable SFTP for it"
    )]
    NoSftp {
        /// Host and port.
        server: String,
    },

    /// The folder does not exist.
    #[error("there is no folder {folder}. Check the path of the inbox")]
    NoFolder {
        /// The folder's path or address.
        folder: String,
    },

    /// The account or user has no permission for an operation.
    #[error(
        "permission denied while {operation} {what}. Give the account the rights to list the inbox, and to read and delete \
         the files in it"
    )]
    Denied {
        /// The step that was denied.
        operation: Operation,
        /// The file or folder.
        what: String,
    },

    /// The file is no longer in the inbox.
    #[error(
        "{name} is no longer in the inbox: another program or the server's clean-up removed it. Run `cprflow sync` again: it \
         lists the inbox anew"
    )]
    Gone {
        /// The file's name.
        name: RemoteName,
    },

    /// The entry is a directory, a link or a device.
    #[error(
        "{name} is a directory, a link or a device, and cprflow fetches regular files only. If it should be a delivery, ask \
         the server's operator to put a regular file in its place"
    )]
    NotAFile {
        /// The entry's name.
        name: RemoteName,
    },

    /// A file ended before its known size.
    #[error(
        "{name} ended at byte {found} and should have {expected} bytes: it was cut or replaced. Run `cprflow sync` \
         again: it fetches the file from its start"
    )]
    Shrunk {
        /// The file's name.
        name: RemoteName,
        /// The bytes that the file should have.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },

    /// The folder has too many entries.
    #[error(
        "{folder} has more than {limit} entries, the limit for an inbox. Check the path. If it is right, move the files \
         that are no deliveries to another folder"
    )]
    TooManyEntries {
        /// The folder's path or address.
        folder: String,
        /// The limit.
        limit: usize,
    },

    /// The system reports an error about a local file or directory.
    #[error(
        "i/o error while {operation} {what}: {error}. Check the disk, the file system and the limit of open files (`ulimit \
         -n`), then try again"
    )]
    Io {
        /// The step that failed.
        operation: Operation,
        /// The file or folder.
        what: String,
        /// The system's error.
        #[source]
        error: io::Error,
    },

    /// The server reports that it could not do what it was asked for.
    #[error(
        "{server} reported a failure while {operation} {what}: {reason}. Try again later. If it happens again, ask the \
         server's operator"
    )]
    Server {
        /// Host and port.
        server: String,
        /// The step that failed.
        operation: Operation,
        /// The file or folder.
        what: String,
        /// The server's answer.
        reason: String,
    },

    /// The other side breaks the rules of SSH or SFTP.
    #[error(
        "{server} broke the SSH or SFTP protocol while {}: {reason}. Check that host and port are those of an SFTP server. \
         If they are, try again later",
        operation.of(what.as_deref())
    )]
    Protocol {
        /// Host and port.
        server: String,
        /// The step that failed.
        operation: Operation,
        /// The file or folder; `None` if the step concerns none.
        what: Option<String>,
        /// The rule that was broken.
        reason: String,
    },
}

impl TransportError {
    /// Returns whether the error can go away by itself. If so, try again, with growing pauses.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::LostAtRsaLogin { .. }
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
            Self::Thread { .. }
            | Self::NoCommonAlgorithm { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyRevoked { .. }
            | Self::KnownHosts { .. }
            | Self::KeyFile { .. }
            | Self::KeyRefused { .. }
            | Self::RsaKeyRefused { .. }
            | Self::MoreThanKey { .. }
            | Self::NoKeyLogin { .. }
            | Self::TextBeforeSftp { .. }
            | Self::NoSftp { .. }
            | Self::NoFolder { .. }
            | Self::Denied { .. }
            | Self::NotAFile { .. }
            | Self::TooManyEntries { .. } => false,
        }
    }

    /// Returns whether the error may concern one file only, so that the other files of the inbox can still be fetched.
    ///
    /// A failure that the server reports for a file counts too: it may be permanent for that file, and must not hold
    /// up the others.
    pub fn is_of_one_file(&self) -> bool {
        match self {
            Self::Denied { operation, .. } | Self::Server { operation, .. } => matches!(
                operation,
                Operation::Stat | Operation::Open | Operation::Read | Operation::Remove
            ),
            Self::NotAFile { .. } => true,
            _ => false,
        }
    }

    /// Adds the name of a file or folder to an error that has none.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if let Self::Timeout { what, .. } | Self::Lost { what, .. } | Self::Protocol { what, .. } =
            &mut self
        {
            what.get_or_insert_with(|| name.to_owned());
        }
        self
    }

    /// Returns whether the connection cannot be used after this error. If so, open the inbox again.
    pub fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Lost { .. }
                | Self::LostAtRsaLogin { .. }
                | Self::Protocol { .. }
        )
    }

    /// Returns the transport error inside an error of a reader from [`Transport::open`](crate::Transport::open).
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Converts an error of a reader: takes the transport error inside it, or makes an [`Io`](TransportError::Io).
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

fn listed(keys: &[HostKey]) -> String {
    let keys: Vec<_> = keys.iter().map(HostKey::to_string).collect();
    keys.join(" and ")
}
