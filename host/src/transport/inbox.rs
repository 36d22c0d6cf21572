//! Where an inbox is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where an inbox is: a local directory, or a folder on an SFTP server.
///
/// ```
/// use cprflow::transport::Inbox;
///
/// let inbox: Inbox = "sftp://KOMMUNE_SIMPELSFTP@sftp.example.dk/IN".parse()?;
/// assert!(matches!(&inbox, Inbox::Sftp(server) if server.port == 22 && server.folder == "/IN"));
/// assert!(matches!("deliveries/".parse()?, Inbox::Directory(_)));
/// # Ok::<(), cprflow::transport::InboxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbox {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A folder on a server.
    Sftp(Server),
}

/// A folder on an SFTP server, and who is to log in there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// The user's name.
    pub user: String,
    /// The host's name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The folder; empty for the one in which a login ends up.
    pub folder: String,
}

impl Server {
    /// Host and port, as people and `known_hosts` write it.
    pub(super) fn address(&self) -> String {
        match self.port {
            SSH_PORT => self.host.clone(),
            port => format!("[{}]:{port}", self.host),
        }
    }
}

impl FromStr for Inbox {
    type Err = InboxError;

    fn from_str(text: &str) -> Result<Self, InboxError> {
        if text.is_empty() {
            return Err(InboxError::Empty);
        }
        match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sftp") => {
                server(rest).map(Self::Sftp)
            }
            Some(_) => Err(InboxError::Scheme),
            None => Ok(Self::Directory(text.into())),
        }
    }
}

impl fmt::Display for Inbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(formatter),
            Self::Sftp(server) => server.fmt(formatter),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sftp://")?;
        write_encoded(formatter, &self.user)?;
        match self.host.contains(':') {
            true => write!(formatter, "@[{}]", self.host)?,
            false => write!(formatter, "@{}", self.host)?,
        }
        if self.port != SSH_PORT {
            write!(formatter, ":{}", self.port)?;
        }
        write_encoded(formatter, &self.folder)
    }
}

/// Why a text does not say where an inbox is. The text itself is not told: somebody may have put a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// There is nothing.
    #[error("the inbox is empty: give a directory or sftp://user@host/path")]
    Empty,
    /// It is an address of another kind.
    #[error("the inbox is neither a directory nor an address that begins with sftp://")]
    Scheme,
    /// There is no user.
    #[error("the inbox names no user: write sftp://user@host/path")]
    User,
    /// There is a password.
    #[error(
        "the inbox holds a password: take it out. Only keys are used to log in, and an address ends up in logs"
    )]
    Password,
    /// There is no host, or none that can be one.
    #[error("the inbox names no host that can be one: write sftp://user@host/path")]
    Host,
    /// The port is none.
    #[error("the port of the inbox is not a number from 1 to 65535")]
    Port,
    /// It has control characters, `?`, `#`, or a percent sign that encodes nothing.
    #[error("the inbox has a character that must be percent-encoded")]
    Character,
}

/// The part after `sftp://`.
fn server(rest: &str) -> Result<Server, InboxError> {
    if rest.contains(['?', '#']) || rest.chars().any(char::is_control) {
        return Err(InboxError::Character);
    }
    let (authority, folder) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, place) = authority.rsplit_once('@').ok_or(InboxError::User)?;
    if user.contains(':') {
        return Err(InboxError::Password);
    }
    let user = decoded(user)?;
    if user.is_empty() {
        return Err(InboxError::User);
    }
    let (host, port) = host_and_port(place)?;
    let folder = decoded(folder)?;
    let folder = match folder.trim_end_matches('/') {
        "" if folder.starts_with('/') => "/",
        folder => folder,
    };
    Ok(Server {
        user,
        host,
        port,
        folder: folder.to_owned(),
    })
}

fn host_and_port(place: &str) -> Result<(String, u16), InboxError> {
    let (host, after) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(InboxError::Host)?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| InboxError::Host)?;
            (host, after)
        }
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_address = place.starts_with('[');
    if host.is_empty() || host.len() > 253 || !(is_address || host.bytes().all(of_names)) {
        return Err(InboxError::Host);
    }
    let port = match after.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| InboxError::Port)?,
        None if after.is_empty() => SSH_PORT,
        None => return Err(InboxError::Host),
    };
    match port {
        0 => Err(InboxError::Port),
        port => Ok((host.to_ascii_lowercase(), port)),
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String, InboxError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || {
                    let digit = char::from(rest.next()?).to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (high, low) = (digit(), digit());
                match (high, low) {
                    (Some(high), Some(low)) => high << 4 | low,
                    _ => return Err(InboxError::Character),
                }
            }
            byte => byte,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        _ => Err(InboxError::Character),
    }
}

fn write_encoded(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        match character {
            '%' | '?' | '#' | '@' | ':' | ' ' => write!(formatter, "%{:02X}", u32::from(character)),
            character => write!(formatter, "{character}"),
        }?;
    }
    Ok(())
}

const SSH_PORT: u16 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    fn sftp(text: &str) -> Server {
        match text.parse() {
            Ok(Inbox::Sftp(server)) => server,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_address_is_taken_apart_and_shown_again() {
        for (text, user, host, port, folder) in [
            (
                "sftp://SYS@sftp.example.dk/IN",
                "SYS",
                "sftp.example.dk",
                22,
                "/IN",
            ),
            ("sftp://u@h:2222/a/b", "u", "h", 2222, "/a/b"),
            ("sftp://u@h", "u", "h", 22, ""),
            ("sftp://u@h/", "u", "h", 22, "/"),
            ("sftp://u@[::1]:2222/IN", "u", "::1", 2222, "/IN"),
            ("sftp://a%40b@h/my%20in", "a@b", "h", 22, "/my in"),
        ] {
            let server = sftp(text);
            let parts = (
                server.user.as_str(),
                server.host.as_str(),
                server.port,
                server.folder.as_str(),
            );
            assert_eq!(parts, (user, host, port, folder), "{text}");
            assert_eq!(server.to_string(), text);
        }
        assert_eq!(sftp("SFTP://u@HOST/IN/").to_string(), "sftp://u@host/IN");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, error) in [
            ("", InboxError::Empty),
            ("ftp://u@h/IN", InboxError::Scheme),
            ("sftp://h/IN", InboxError::User),
            ("sftp://@h/IN", InboxError::User),
            ("sftp://u:secret@h/IN", InboxError::Password),
            ("sftp://u@/IN", InboxError::Host),
            ("sftp://u@h h/IN", InboxError::Host),
            ("sftp://u@[::1/IN", InboxError::Host),
            ("sftp://u@[nonsense]/IN", InboxError::Host),
            ("sftp://u@h:0/IN", InboxError::Port),
            ("sftp://u@h:65536/IN", InboxError::Port),
            ("sftp://u@h:/IN", InboxError::Port),
            ("sftp://u@h/IN?x", InboxError::Character),
            ("sftp://u@h/%0a", InboxError::Character),
            ("sftp://u@h/%4", InboxError::Character),
            ("sftp://u@h/%00", InboxError::Character),
        ] {
            assert_eq!(text.parse::<Inbox>(), Err(error), "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
