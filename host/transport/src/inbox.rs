//! The address of an inbox.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of an inbox: a local directory, or a folder on an SFTP server.
///
/// ```
/// use cprflow_transport::Inbox;
///
/// let inbox: Inbox = "sftp://KOMMUNE_SIMPELSFTP@sftp.example.dk/IN".parse()?;
/// assert!(matches!(&inbox, Inbox::Sftp(server) if server.port == 22 && server.folder == "/IN"));
/// assert!(matches!("deliveries/".parse()?, Inbox::Directory(_)));
/// # Ok::<(), cprflow_transport::InboxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbox {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A folder on an SFTP server.
    Sftp(Server),
}

/// A folder on an SFTP server, and the user to log in as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// The user to log in as.
    pub user: String,
    /// The host's name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// The TCP port. Default in an address: 22.
    pub port: u16,
    /// The path of the folder. A path without `/` at its beginning is relative to the folder in which the login starts;
    /// `.` is that folder itself. Empty if the address names no folder.
    pub folder: String,
}

impl Server {
    /// Returns host and port in the form of `known_hosts`: `host`, or `[host]:port` if the port is not 22.
    pub(crate) fn address(&self) -> String {
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
                parse_server(rest).map(Self::Sftp)
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
        match self.folder.as_str() {
            LOGIN_FOLDER => write!(formatter, "/~"),
            folder if folder.is_empty() || folder.starts_with('/') => {
                write_encoded(formatter, folder)
            }
            relative => {
                write!(formatter, "/~/")?;
                write_encoded(formatter, relative)
            }
        }
    }
}

/// Why a text is not the address of an inbox. The error never contains the text, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The text is empty.
    #[error("the address of the inbox is empty. Give a directory or sftp://user@host/path")]
    Empty,
    /// The address begins with another scheme than `sftp://`.
    #[error(
        "the address of the inbox has an unknown scheme. Give a directory or sftp://user@host/path"
    )]
    Scheme,
    /// The address names no user.
    #[error("the address of the inbox names no user. Write sftp://user@host/path")]
    User,
    /// The address holds a password.
    #[error(
        "the address of the inbox holds a password. Remove it: cprflow logs in with a private key only, and addresses are \
         written to logs"
    )]
    Password,
    /// The address names no host, or one with characters that no host name has.
    #[error("the address of the inbox names no valid host. Write sftp://user@host/path")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error(
        "the port in the address of the inbox is not a number from 1 to 65535. Correct it, or leave it out to use port 22"
    )]
    Port,
    /// The address contains a control character, `?`, `#`, or an incomplete percent-encoding.
    #[error(
        "the address of the inbox contains a character that is not allowed there. Percent-encode `?`, `#` and `%` (as %3F, \
         %23 and %25); control characters are never allowed"
    )]
    Character,
}

/// Parses the part after `sftp://`.
fn parse_server(rest: &str) -> Result<Server, InboxError> {
    if rest.contains(['?', '#']) || rest.chars().any(char::is_control) {
        return Err(InboxError::Character);
    }
    let (authority, folder) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, host_and_port) = authority.rsplit_once('@').ok_or(InboxError::User)?;
    if user.contains(':') {
        return Err(InboxError::Password);
    }
    let user = percent_decode(user)?;
    if user.is_empty() {
        return Err(InboxError::User);
    }
    let (host, port) = parse_host_and_port(host_and_port)?;
    let folder = percent_decode(folder)?;
    let folder = match folder.trim_end_matches('/') {
        "" if folder.starts_with('/') => "/",
        "/~" => LOGIN_FOLDER,
        folder => match folder.strip_prefix("/~/") {
            // Without the slashes at its beginning: they would make the path absolute.
            Some(relative) => relative.trim_start_matches('/'),
            None => folder,
        },
    };
    Ok(Server {
        user,
        host,
        port,
        folder: folder.to_owned(),
    })
}

fn parse_host_and_port(text: &str) -> Result<(String, u16), InboxError> {
    let (host, after) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(InboxError::Host)?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| InboxError::Host)?;
            (host, after)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_ipv6 = text.starts_with('[');
    if host.is_empty() || host.len() > 253 || !(is_ipv6 || host.bytes().all(is_allowed)) {
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

/// Decodes percent-encoding. Fails if the result is not UTF-8 or holds control characters.
fn percent_decode(text: &str) -> Result<String, InboxError> {
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

/// The path of the folder in which a login starts.
const LOGIN_FOLDER: &str = ".";

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
    fn parses_addresses_and_prints_them_unchanged() {
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
            ("sftp://u@h/~", "u", "h", 22, "."),
            ("sftp://u@h/~/IN", "u", "h", 22, "IN"),
            ("sftp://u@h/~/a/b%20c", "u", "h", 22, "a/b c"),
            ("sftp://u@h/~user/IN", "u", "h", 22, "/~user/IN"),
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
        assert_eq!(sftp("sftp://u@h/~//IN/").to_string(), "sftp://u@h/~/IN");
        assert_eq!(sftp("sftp://u@h/~/").to_string(), "sftp://u@h/~");
    }

    #[test]
    fn rejects_invalid_addresses_without_repeating_them() {
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
