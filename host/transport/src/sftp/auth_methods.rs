//! Asks a server which ways of logging in it accepts.
#![expect(
    unsafe_code,
    reason = "ssh2's own function panics if the server's answer is not UTF-8, so this calls libssh2 directly"
)]

use std::ffi::{CStr, c_uint};

use libssh2_sys as raw;
use ssh2::{Error, ErrorCode, Session};

/// Returns the ways of logging in that the server accepts, separated by commas, or `None` if the user is logged in
/// already. The list has only printable ASCII characters and a limited length.
pub(super) fn auth_methods(session: &Session, user: &str) -> Result<Option<String>, Error> {
    let length = c_uint::try_from(user.len())
        .map_err(|_| Error::from_errno(ErrorCode::Session(raw::LIBSSH2_ERROR_INVAL)))?;
    let list = {
        let mut locked = session.raw();
        // SAFETY: the guard keeps the session locked, and `user` has `length` bytes. libssh2 copies them before it
        // returns. The result is null or a string that ends with NUL and lives until the next call for this session,
        // which cannot happen while the guard lives; it is copied before that.
        unsafe {
            let list = raw::libssh2_userauth_list(&raw mut *locked, user.as_ptr().cast(), length);
            (!list.is_null()).then(|| CStr::from_ptr(list).to_bytes().to_vec())
        }
    };
    match list {
        Some(list) => {
            let list = list.into_iter().filter(u8::is_ascii_graphic);
            Ok(Some(list.take(MAX_CHARS).map(char::from).collect()))
        }
        None if session.authenticated() => Ok(None),
        None => Err(Error::last_session_error(session).unwrap_or_else(Error::unknown)),
    }
}

/// The most characters of the list that are kept.
const MAX_CHARS: usize = 200;
