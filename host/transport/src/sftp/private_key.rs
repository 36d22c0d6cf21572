//! The private key for the login.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::rsa_public_key::rsa_public_key;
use crate::byte_order::{UTF8_MARK, is_utf16};
use crate::error::{KeyFileProblem, TransportError};
use crate::private_file::exposed_mode;
use crate::secret::Secret;

/// A private key in the form of its file, with its passphrase.
pub(super) struct PrivateKey {
    path: PathBuf,
    text: Secret,
    passphrase: Option<Secret>,
}

impl PrivateKey {
    /// Reads a key and checks everything that can be checked before a connection is opened.
    pub(super) fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Self, TransportError> {
        let problem = |problem| TransportError::KeyFile {
            path: path.to_owned(),
            problem,
        };
        let text = read_file(path).map_err(problem)?;
        check_text(&text, passphrase).map_err(problem)?;
        Ok(Self {
            path: path.to_owned(),
            text: Secret::new(text),
            passphrase: passphrase.cloned(),
        })
    }

    /// Returns the text of the key.
    pub(super) fn text(&self) -> &str {
        self.text.expose()
    }

    /// Returns the passphrase, or `None` if the key is not encrypted and does not need it.
    pub(super) fn passphrase(&self) -> Option<&str> {
        let passphrase = self.passphrase.as_ref()?;
        is_encrypted(self.text()).then(|| passphrase.expose())
    }

    /// Returns the public half of an RSA key, in base64; `None` if it is another key.
    pub(super) fn rsa_public_key(&self) -> Option<String> {
        rsa_public_key(self.text(), self.passphrase())
    }

    /// Returns the error for a key that libssh2 does not accept. libssh2 reports the same error for every reason.
    pub(super) fn unusable_key_error(&self) -> TransportError {
        TransportError::KeyFile {
            path: self.path.clone(),
            problem: match is_encrypted(self.text()) {
                true => KeyFileProblem::WrongPassphrase,
                false => KeyFileProblem::Unsupported,
            },
        }
    }
}

fn read_file(path: &Path) -> Result<String, KeyFileProblem> {
    let file = File::open(path).map_err(KeyFileProblem::Unreadable)?;
    let metadata = file.metadata().map_err(KeyFileProblem::Unreadable)?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(KeyFileProblem::Unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(KeyFileProblem::TooLarge(MAX_BYTES));
    }
    if is_utf16(&text) {
        return Err(KeyFileProblem::Utf16);
    }
    if text.starts_with(UTF8_MARK) {
        text.drain(..UTF8_MARK.len());
    }
    let text = String::from_utf8(text).ok();
    // A public key may be read by everybody, so the advice to protect it would miss the point.
    if text.as_deref().is_some_and(is_public) {
        return Err(KeyFileProblem::Public);
    }
    if let Some(mode) = exposed_mode(path, &metadata) {
        return Err(KeyFileProblem::Exposed { mode });
    }
    text.filter(|text| !text.contains('\0'))
        .ok_or(KeyFileProblem::Unsupported)
}

/// Returns whether the text is the public half of a key pair.
fn is_public(text: &str) -> bool {
    let starts = [
        "ssh-",
        "ecdsa-",
        "-----BEGIN PUBLIC KEY",
        "---- BEGIN SSH2 PUBLIC",
    ];
    let text = text.trim_start();
    starts.iter().any(|start| text.starts_with(start))
}

fn check_text(text: &str, passphrase: Option<&Secret>) -> Result<(), KeyFileProblem> {
    let text = text.trim_start();
    if text.starts_with("PuTTY-User-Key-File") {
        return Err(KeyFileProblem::Putty);
    }
    if is_public(text) {
        return Err(KeyFileProblem::Public);
    }
    if !text.contains("PRIVATE KEY-----") {
        return Err(KeyFileProblem::Unsupported);
    }
    if is_encrypted(text) && passphrase.is_none() {
        return Err(KeyFileProblem::NeedsPassphrase);
    }
    Ok(())
}

fn is_encrypted(text: &str) -> bool {
    match text.split_once(OPENSSH_HEADER) {
        Some((_, body)) => !body.trim_start().starts_with(OPENSSH_NOT_ENCRYPTED),
        None => text.contains("ENCRYPTED"),
    }
}

/// The size limit for a key file; real keys have a few thousand bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The first line of a key in OpenSSH format.
pub(super) const OPENSSH_HEADER: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// The beginning of the body of an OpenSSH key that is not encrypted: base64 of `openssh-key-v1`, a NUL, the length 4
/// and the cipher name `none`.
const OPENSSH_NOT_ENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_private_keys_and_says_why_other_files_are_rejected() {
        let checked = |text: &str| check_text(text, None).map_err(|problem| problem.to_string());
        let openssh = format!("{OPENSSH_HEADER}\n{OPENSSH_NOT_ENCRYPTED}AAAA\n");
        assert_eq!(checked(&openssh), Ok(()));
        assert_eq!(checked("-----BEGIN RSA PRIVATE KEY-----\nMII"), Ok(()));
        for (text, word) in [
            ("ssh-rsa AAAAB3 comment", "public half"),
            ("PuTTY-User-Key-File-3: ssh-rsa", "PuTTY"),
            ("<html>", "no private key"),
            ("", "no private key"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "is encrypted"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                "is encrypted",
            ),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI",
                "is encrypted",
            ),
        ] {
            assert!(checked(text).unwrap_err().contains(word), "{text}");
        }
    }

    #[test]
    fn a_public_key_is_named_although_everybody_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pub");
        let public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA user@host\n";
        std::fs::write(&path, public).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_file(&path), Err(KeyFileProblem::Public)));
        std::fs::write(&path, "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
        assert!(matches!(
            read_file(&path),
            Err(KeyFileProblem::Exposed { .. })
        ));
    }
}
