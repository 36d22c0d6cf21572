//! The steps of working with an inbox, as error texts name them.

use std::fmt;

/// The step at which an error happened. `Display` gives it in the form that fits before a name: `opening`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Looking up the host's address.
    Resolve,
    /// Connecting to the host.
    Connect,
    /// The SSH handshake, in which both sides agree on keys.
    Handshake,
    /// Logging in with the private key.
    Login,
    /// Starting SFTP after the login.
    Start,
    /// Listing the folder.
    List,
    /// Reading the size and the time of a file.
    Stat,
    /// Opening a file or the folder.
    Open,
    /// Reading a file.
    Read,
    /// Removing a file.
    Remove,
}

impl Operation {
    /// Returns the step with the name of its file or folder, if there is one.
    pub(super) fn of(self, what: Option<&str>) -> String {
        match what {
            Some(what) => format!("{self} {what}"),
            None => self.with_object().to_owned(),
        }
    }

    /// Returns the step in the form that needs no name after it: `opening a file`.
    fn with_object(self) -> &'static str {
        match self {
            Self::List => "listing the folder",
            Self::Stat => "reading the size of a file",
            Self::Open => "opening a file or the folder",
            Self::Read => "reading a file",
            Self::Remove => "removing a file",
            Self::Resolve | Self::Connect | Self::Handshake | Self::Login | Self::Start => {
                self.verb()
            }
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Resolve => "looking up the host's address",
            Self::Connect => "connecting",
            Self::Handshake => "agreeing on keys",
            Self::Login => "logging in",
            Self::Start => "starting SFTP",
            Self::List => "listing",
            Self::Stat => "reading the size of",
            Self::Open => "opening",
            Self::Read => "reading",
            Self::Remove => "removing",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.verb())
    }
}
