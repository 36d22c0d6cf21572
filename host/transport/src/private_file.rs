//! Who may read a file with a secret.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Returns the permission bits of a file with a secret if other users have access to it and its owner could prevent that.
///
/// As in OpenSSH, the permissions count only if the file belongs to this process. Another owner, such as the system that
/// mounts secrets, has decided who may read it. Files below `$CREDENTIALS_DIRECTORY` are accepted: systemd gives that
/// directory to one service alone.
pub fn exposed_mode(path: &Path, metadata: &Metadata) -> Option<u32> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let user = rustix::process::getuid().as_raw();
    exposed_to_others(path, metadata, user, credentials.as_deref().map(Path::new))
}

fn exposed_to_others(
    path: &Path,
    metadata: &Metadata,
    user: u32,
    credentials: Option<&Path>,
) -> Option<u32> {
    let mode = metadata.mode() & 0o777;
    let is_credential = || {
        let directory = credentials.and_then(|credentials| credentials.canonicalize().ok());
        let path = path.canonicalize();
        directory.is_some_and(|directory| path.is_ok_and(|path| path.starts_with(directory)))
    };
    (mode & 0o077 != 0 && metadata.uid() == user && !is_credential()).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn judges_permissions_only_of_own_files_outside_the_credentials() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = directory.path().join("credentials");
        fs::create_dir(&credentials).unwrap();
        let other = directory.path().join("key");
        let inside = credentials.join("key");
        let user = rustix::process::getuid().as_raw();
        for path in [&other, &inside] {
            fs::write(path, "").unwrap();
        }
        let link = credentials.join("link");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        for (mode, exposed) in [
            (0o600, None),
            (0o400, None),
            (0o440, Some(0o440)),
            (0o644, Some(0o644)),
        ] {
            for path in [&other, &inside] {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            let found = |path: &Path, user, credentials| {
                exposed_to_others(path, &fs::metadata(path).unwrap(), user, credentials)
            };
            let credentials = Some(credentials.as_path());
            assert_eq!(found(&other, user, None), exposed);
            assert_eq!(found(&other, user, credentials), exposed);
            // The owner is another user, as for a mounted secret.
            assert_eq!(found(&other, user + 1, None), None);
            assert_eq!(found(&inside, user, credentials), None);
            // A link out of the directory, and a path that only begins there.
            assert_eq!(found(&link, user, credentials), exposed);
            let outside = inside.parent().unwrap().join("../key");
            assert_eq!(found(&outside, user, credentials), exposed);
        }
    }
}
