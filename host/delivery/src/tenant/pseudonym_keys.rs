//! Keys for pseudonyms: the form that a key must have, and tenants that have the same key.

use std::fmt;
use std::time::Duration;

use cprflow::PseudonymKey;
use cprflow::policy::NumberRule;
use sha2::{Digest, Sha256};

use super::Tenant;
use crate::fs::{SecretSource, ask_disks};
use crate::names::TenantName;

/// Why a secret is no key for pseudonyms. The error does not hold the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PseudonymKeyError {
    /// The secret is not random bytes in a usual notation, so it may be a password or another variable.
    #[error(
        "the key for pseudonyms is not written as hexadecimal or base64. Make a key with `openssl rand -hex 32 > FILE` \
         and `chmod 600 FILE`, and write key = {{ file = \"FILE\" }}"
    )]
    Notation,

    /// The key is too short to protect the person numbers.
    #[error(
        "the key for pseudonyms has {bytes} bytes, but needs at least {}. Make a key with `openssl rand -hex 32 > FILE` \
         and `chmod 600 FILE`, and write key = {{ file = \"FILE\" }}",
        PseudonymKey::MIN_BYTES
    )]
    TooShort {
        /// The number of bytes that the hexadecimal or base64 text stands for.
        bytes: usize,
    },
}

/// Checks that a text is a key: at least 32 bytes in hexadecimal or base64. White space in it does not count.
pub(crate) fn check_key(text: &str) -> Result<(), PseudonymKeyError> {
    let symbols: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let bytes = match symbols.iter().all(u8::is_ascii_hexdigit) {
        // Random base64 of this length has other letters, so a shorter hexadecimal text must not pass as base64.
        true => symbols.len().is_multiple_of(2).then_some(symbols.len() / 2),
        false => base64_bytes(&symbols),
    };
    match bytes {
        None => Err(PseudonymKeyError::Notation),
        Some(bytes) if bytes < PseudonymKey::MIN_BYTES => {
            Err(PseudonymKeyError::TooShort { bytes })
        }
        Some(_) => Ok(()),
    }
}

/// Returns how many bytes a text in base64 or base64url stands for, with or without padding.
fn base64_bytes(symbols: &[u8]) -> Option<usize> {
    let padding = symbols.iter().rev().take_while(|byte| **byte == b'=');
    let padding = padding.count();
    let digits = symbols.get(..symbols.len().saturating_sub(padding))?;
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let is_padded = padding == 0 || padding <= 2 && symbols.len().is_multiple_of(4);
    let is_valid = digits.iter().all(is_digit) && digits.len() % 4 != 1 && is_padded;
    is_valid.then_some(digits.len() / 4 * 3 + digits.len() % 4 * 3 / 4)
}

/// Tenants that have the same key for pseudonyms. It displays as a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// The names of the tenants, in the order of the configuration.
    pub tenants: Vec<TenantName>,
}

impl fmt::Display for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.tenants.iter().map(TenantName::as_str).collect();
        write!(
            f,
            "the tenants {} have the same key for pseudonyms, so a person has the same pseudonym in all their datasets, and \
             the datasets can be joined. Give each tenant its own key: `openssl rand -hex 32 > FILE`. All pseudonyms of a \
             tenant change with its key, so order a new full load afterwards (`cprflow subscription reorder`)",
            names.join(", ")
        )
    }
}

/// Time in which the disk of a key must respond.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A tenant's key, for comparisons.
struct OwnKey<'a> {
    tenant: &'a TenantName,
    source: &'a SecretSource,
    /// The SHA-256 of the key; `None` if the key cannot be read.
    digest: Option<[u8; 32]>,
}

/// Returns the tenants that have the same key for pseudonyms: from the same file or variable, or with the same content.
///
/// A key that cannot be read is compared by its file or variable only. It is an error where it is needed.
pub fn shared_keys(tenants: &[&Tenant]) -> Vec<SharedKey> {
    let mut keys: Vec<OwnKey<'_>> = Vec::new();
    for tenant in tenants {
        if let (Some(source), NumberRule::Pseudonym) = (&tenant.key, tenant.rules.numbers) {
            keys.push(OwnKey {
                tenant: &tenant.name,
                source,
                digest: None,
            });
        }
    }
    let question = |key: &OwnKey<'_>| {
        let source = key.source.clone();
        move || {
            let secret = source.read_secret().ok()?;
            Some(Sha256::digest(secret.expose()).into())
        }
    };
    let answers = ask_disks(DISK_TIMEOUT, keys.iter().map(question));
    for (key, answer) in keys.iter_mut().zip(answers) {
        key.digest = answer.flatten();
    }
    let is_same = |one: &OwnKey<'_>, other: &OwnKey<'_>| {
        one.source == other.source || one.digest.is_some() && one.digest == other.digest
    };
    let mut groups: Vec<Vec<OwnKey<'_>>> = Vec::new();
    for key in keys {
        let mut known = groups.iter_mut();
        let group = known.find(|group| group.iter().any(|other| is_same(&key, other)));
        match group {
            Some(group) => group.push(key),
            None => groups.push(vec![key]),
        }
    }
    groups.retain(|group| group.len() > 1);
    let shared = |group: Vec<OwnKey<'_>>| SharedKey {
        tenants: group.into_iter().map(|key| key.tenant.clone()).collect(),
    };
    groups.into_iter().map(shared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn accepts_32_bytes_in_hexadecimal_or_base64() {
        for key in [
            HEX,
            &HEX.to_uppercase(),
            "00112233445566778899aabbccddeeff 00112233445566778899aabbccddeeff\r\n",
            // `openssl rand -base64 32`, the same without padding, and base64url.
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
            "_83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWe-A=",
            // `openssl rand -base64 64` writes two lines.
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ\nq83vEjRWeJCrze8SNFZ4kA==",
        ] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
    }

    #[test]
    fn refuses_short_keys_and_says_how_long_they_are() {
        for (key, bytes) in [
            ("", 0),
            // Hexadecimal of 31 bytes is not taken for base64 of 46 bytes.
            (&HEX[2..], 31),
            ("password", 6),
            ("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeA==", 31),
        ] {
            let error = check_key(key).unwrap_err();
            assert_eq!(error, PseudonymKeyError::TooShort { bytes }, "{key}");
            assert!(
                error.to_string().contains("openssl rand -hex 32 > FILE"),
                "{error}"
            );
        }
    }

    #[test]
    fn refuses_texts_that_are_no_key_and_does_not_repeat_them() {
        for text in [
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "a password that is long enough, but has commas and a letter æ",
            // An odd number of hexadecimal digits, and wrong padding.
            &HEX[1..],
            &format!("{HEX}="),
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA==",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ=q83vEjRWeJA",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrz",
        ] {
            let error = check_key(text).unwrap_err();
            assert_eq!(error, PseudonymKeyError::Notation, "{text}");
            let said = error.to_string();
            assert!(said.contains("openssl rand -hex 32 > FILE"), "{said}");
            assert!(!said.contains(text), "{said}");
        }
    }
}
