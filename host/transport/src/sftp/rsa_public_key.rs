//! The public half of an RSA key, read from the file of the private key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::PKey;
use zeroize::Zeroizing;

/// Returns the public half of a private RSA key in the form of `authorized_keys`, in base64 and without the type before
/// it. Returns `None` if the key is of another type, or cannot be read.
pub(super) fn rsa_public_key(text: &str, passphrase: Option<&str>) -> Option<String> {
    let key = match text.split_once(super::private_key::OPENSSH_HEADER) {
        Some((_, body)) => of_openssh_key(body)?,
        None => of_pem_key(text, passphrase)?,
    };
    Some(STANDARD.encode(key))
}

/// Reads the public half of a key in OpenSSH format, where it is not encrypted.
fn of_openssh_key(body: &str) -> Option<Vec<u8>> {
    let (body, _) = body.split_once("-----END")?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let bytes = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
    let rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    // The names of the cipher and of the key derivation, and its options.
    let (_, rest) = string(rest)?;
    let (_, rest) = string(rest)?;
    let (_, rest) = string(rest)?;
    // The number of keys is always 1.
    let (public, _) = string(rest.get(4..)?)?;
    let (kind, _) = string(public)?;
    (kind == RSA).then(|| public.to_vec())
}

fn of_pem_key(text: &str, passphrase: Option<&str>) -> Option<Vec<u8>> {
    // Without a passphrase, OpenSSL would ask for it on the terminal.
    let passphrase = passphrase.unwrap_or_default().as_bytes();
    let key = PKey::private_key_from_pem_passphrase(text.as_bytes(), passphrase).ok()?;
    let rsa = key.rsa().ok()?;
    let mut public = Vec::new();
    push_string(&mut public, RSA)?;
    push_string(&mut public, &positive(rsa.e().to_vec()))?;
    push_string(&mut public, &positive(rsa.n().to_vec()))?;
    Some(public)
}

/// Returns a number so that its first bit is 0: SSH takes it for a sign.
fn positive(mut number: Vec<u8>) -> Vec<u8> {
    if number.first().is_some_and(|first| first & 0x80 != 0) {
        number.insert(0, 0);
    }
    number
}

/// Reads a text of SSH: a length of four bytes, then the bytes. Returns the text and the remaining bytes.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

fn push_string(target: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    target.extend(u32::try_from(text.len()).ok()?.to_be_bytes());
    target.extend(text);
    Some(())
}

const RSA: &[u8] = b"ssh-rsa";
