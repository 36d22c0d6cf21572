//! Secrets in files and environment variables, and other files that only their owner may read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use cprflow_transport::{Secret, exposed_mode};
use zeroize::Zeroizing;

use super::SecretError;
use crate::error::Error;

/// The place of a secret. The secret is read when it is needed, so that commands that do not need it work without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner may read. Line ends after the secret are ignored.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl SecretSource {
    /// Reads the secret.
    pub fn read(&self) -> Result<Secret, Error> {
        Ok(self.read_secret()?)
    }

    /// Reads the secret, with an error of this module.
    pub(crate) fn read_secret(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => {
                let mut bytes = Zeroizing::new(Vec::new());
                private_file(path, "this secret")?
                    .read_to_end(&mut bytes)
                    .map_err(SecretError::file(path))?;
                // A zero character belongs to no secret, and UTF-16 has one beside each letter.
                let text = match std::str::from_utf8(&bytes) {
                    Ok(text) if !text.contains('\0') => text,
                    _ => {
                        let path = path.clone();
                        return Err(SecretError::NotUtf8 { path });
                    }
                };
                // Some editors write a byte order mark, which belongs to no password.
                let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
            }
            Self::Environment(variable) => match std::env::var(variable) {
                Ok(secret) => Ok(Secret::new(secret)),
                Err(_) => Err(SecretError::VariableNotSet {
                    variable: variable.clone(),
                }),
            },
        }
    }
}

/// Opens a file with a secret. Fails if it belongs to this process and others may read it too; `contents` is for the
/// error.
pub(crate) fn private_file(path: &Path, contents: &'static str) -> Result<File, SecretError> {
    let file = File::open(path).map_err(SecretError::file(path))?;
    let metadata = file.metadata().map_err(SecretError::file(path))?;
    match exposed_mode(path, &metadata) {
        None => Ok(file),
        Some(mode) => Err(SecretError::ReadableByOthers {
            path: path.to_owned(),
            contents,
            mode,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn reads_a_secret_only_if_others_cannot() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "hunter2\r\n").unwrap();
        let source = SecretSource::File(path.clone());
        for mode in [0o640, 0o604, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = source.read().unwrap_err().to_string();
            assert!(error.contains(&format!("(mode {mode:o})")), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(source.read().unwrap().expose(), "hunter2");
        fs::write(&path, "\u{feff}hunter2\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "hunter2");
        // UTF-16 with and without a byte order mark, and Windows-1252.
        for bytes in [
            &b"\xff\xfeh\0u\0n\0t\0e\0r\0"[..],
            b"h\0u\0n\0t\0e\0r\0",
            b"hunter\xe6",
        ] {
            fs::write(&path, bytes).unwrap();
            let error = source.read().unwrap_err().to_string();
            assert!(error.contains("Save it as UTF-8"), "{error}");
            assert!(!error.contains("unter"), "{error}");
        }
    }

    #[test]
    fn names_the_variable_that_is_not_set() {
        let source = SecretSource::Environment("CPRFLOW_NO_SUCH_VARIABLE".to_owned());
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains("CPRFLOW_NO_SUCH_VARIABLE"), "{error}");
    }
}
