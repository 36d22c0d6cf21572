//! Opens an inbox of either kind.

use crate::error::TransportError;
use crate::inbox::Inbox;
use crate::local::LocalDirectory;
use crate::sftp::{SftpInbox, SftpSettings};
use crate::transport::Transport;

/// Opens an inbox: a local directory, or a folder on an SFTP server. The settings apply to SFTP only.
///
/// # Errors
///
/// Fails if the inbox cannot be reached, if its server has no trusted host key, or if the login is refused.
pub fn connect(
    inbox: &Inbox,
    settings: &SftpSettings,
) -> Result<Box<dyn Transport>, TransportError> {
    Ok(match inbox {
        Inbox::Directory(path) => Box::new(LocalDirectory::open(path)?),
        Inbox::Sftp(server) => Box::new(SftpInbox::connect(server, settings)?),
    })
}
