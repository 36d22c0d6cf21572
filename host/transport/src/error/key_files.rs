//! Why a file of keys cannot be used. Each text completes "cannot use … PATH: ".

use std::io;

/// Why a private key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileProblem {
    /// The file cannot be read.
    #[error("it cannot be read: {0}. Check the path and the permissions")]
    Unreadable(#[source] io::Error),
    /// Other users than the owner have access to the file.
    #[error(
        "other users have access to it (mode {mode:o}). Run `chmod 600` on it (for a mounted secret of Kubernetes, set \
         `defaultMode: 0400`), and replace the key if somebody may have copied it"
    )]
    Exposed {
        /// The file's permission bits.
        mode: u32,
    },
    /// The file is larger than any key. The value is the limit in bytes.
    #[error("it is larger than {0} bytes, so it is not a key. Check the path")]
    TooLarge(u64),
    /// The file holds the public half of a key pair.
    #[error(
        "it is the public half of a key pair. Configure the private key: the file without `.pub`"
    )]
    Public,
    /// The key is in PuTTY's format.
    #[error(
        "it is in PuTTY's format. Convert it with `puttygen KEY -O private-openssh -o NEW` and configure the new file"
    )]
    Putty,
    /// The file is text in UTF-16, which some editors write.
    #[error("it is text in UTF-16. Save it as UTF-8, or copy the original key again")]
    Utf16,
    /// The file holds no private key, or one of an unsupported kind.
    #[error(
        "it holds no private key that cprflow supports. Configure an RSA, ECDSA or Ed25519 key in OpenSSH or PEM format"
    )]
    Unsupported,
    /// The key is encrypted and no passphrase is configured.
    #[error(
        "it is encrypted and no passphrase is configured. Add --passphrase-file FILE, or the passphrase in the configuration"
    )]
    NeedsPassphrase,
    /// The passphrase does not decrypt the key.
    #[error("its passphrase is wrong. Correct the configured passphrase")]
    WrongPassphrase,
}

/// Why a `known_hosts` file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownHostsProblem {
    /// The file cannot be read.
    #[error("it cannot be read: {0}. Check the path and the permissions")]
    Unreadable(#[source] io::Error),
    /// The file is text in UTF-16, which some editors write.
    #[error("it is text in UTF-16. Save it as UTF-8")]
    Utf16,
    /// A line with `@revoked` holds no key, so it is unknown which key is revoked.
    #[error("line {line} begins with @revoked and holds no valid key. Correct the line")]
    InvalidRevokedKey {
        /// The number of the line, 1-based.
        line: usize,
    },
}
