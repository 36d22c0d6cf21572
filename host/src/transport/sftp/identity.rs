//! The private key that logs us in.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::super::error::{KeyFileProblem, TransportError};
use super::super::secret::Secret;

/// A private key, as it stands in its file.
pub(super) struct Identity {
    path: PathBuf,
    text: Secret,
    passphrase: Option<Secret>,
}

impl Identity {
    /// Reads it.
    ///
    /// Before anything is sent to a server, whatever can be told of the key without one is told.
    pub(super) fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Self, TransportError> {
        let problem = |problem| TransportError::KeyFile {
            path: path.to_owned(),
            problem,
        };
        let text = read(path).map_err(problem)?;
        check(&text, passphrase).map_err(problem)?;
        Ok(Self {
            path: path.to_owned(),
            text: Secret::new(text),
            passphrase: passphrase.cloned(),
        })
    }

    /// The key's text.
    pub(super) fn text(&self) -> &str {
        self.text.expose()
    }

    /// Its passphrase. One that the key does not need is not given on.
    pub(super) fn passphrase(&self) -> Option<&str> {
        let passphrase = self.passphrase.as_ref()?;
        is_encrypted(self.text()).then(|| passphrase.expose())
    }

    /// What it means that libssh2 cannot take the key: it says the same for every reason.
    pub(super) fn unusable(&self) -> TransportError {
        TransportError::KeyFile {
            path: self.path.clone(),
            problem: match is_encrypted(self.text()) {
                true => KeyFileProblem::WrongPassphrase,
                false => KeyFileProblem::Unsupported,
            },
        }
    }
}

fn read(path: &Path) -> Result<String, KeyFileProblem> {
    let file = File::open(path).map_err(KeyFileProblem::Unreadable)?;
    let metadata = file.metadata().map_err(KeyFileProblem::Unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileProblem::Exposed { mode });
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(KeyFileProblem::Unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(KeyFileProblem::TooLarge(MAX_BYTES));
    }
    match String::from_utf8(text) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(KeyFileProblem::Unsupported),
    }
}

fn check(text: &str, passphrase: Option<&Secret>) -> Result<(), KeyFileProblem> {
    let text = text.trim_start();
    if text.starts_with("PuTTY-User-Key-File") {
        return Err(KeyFileProblem::Putty);
    }
    if [
        "ssh-",
        "ecdsa-",
        "-----BEGIN PUBLIC KEY",
        "---- BEGIN SSH2 PUBLIC",
    ]
    .iter()
    .any(|public| text.starts_with(public))
    {
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
    match text.split_once(OPENSSH) {
        Some((_, body)) => !body.trim_start().starts_with(NOT_ENCRYPTED),
        None => text.contains("ENCRYPTED"),
    }
}

/// Keys have a few thousand bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// OpenSSH's own form.
const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// How the body of OpenSSH's form begins when its cipher is `none`: base64 of `openssh-key-v1`, a NUL, the length 4
/// and the word.
const NOT_ENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_private_key_is_told_from_what_is() {
        let found = |text: &str| check(text, None).map_err(|problem| problem.to_string());
        let openssh = format!("{OPENSSH}\n{NOT_ENCRYPTED}AAAA\n");
        assert_eq!(found(&openssh), Ok(()));
        assert_eq!(found("-----BEGIN RSA PRIVATE KEY-----\nMII"), Ok(()));
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
            assert!(found(text).unwrap_err().contains(word), "{text}");
        }
    }
}
