//! Reads the algorithms that an SSH server offers, after a key exchange (KEX) has failed.
//!
//! libssh2 reports the same error if there is no common algorithm and if the server closes the connection during the
//! key exchange. Only the second can succeed on another try. To tell them apart, this module opens one more connection:
//! a server sends the list of its algorithms unencrypted, right after the greetings.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The algorithms that one side offers, as comma-separated lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KexOffer {
    /// The key exchange algorithms.
    pub(super) key_exchange: String,
    /// The signature algorithms for the server's host key.
    pub(super) host_keys: String,
    /// The ciphers for the data that the server sends.
    pub(super) ciphers: String,
    /// The checksums (MACs) of the data that the server sends, for ciphers that do not authenticate.
    pub(super) macs: String,
}

impl KexOffer {
    /// Reads the offer of the server at the other end of a new connection, within a time limit.
    pub(super) fn read(stream: TcpStream, limit: Duration) -> io::Result<Self> {
        let mut connection = ProbeConnection {
            stream,
            deadline: Instant::now() + limit,
        };
        connection.exchange_greetings()?;
        let packet = connection.read_packet()?;
        Self::parse(&packet).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns the first list of this offer that has no algorithm in common with the other side's list, as a text for an
    /// error. Returns `None` if all lists have a common algorithm.
    pub(super) fn disjoint_list(&self, other: &Self) -> Option<String> {
        let lists = [
            ("host keys", &self.host_keys, &other.host_keys),
            ("key exchange", &self.key_exchange, &other.key_exchange),
            ("ciphers", &self.ciphers, &other.ciphers),
            ("checksums (MACs)", &self.macs, &other.macs),
        ];
        let is_disjoint = |(_, ours, theirs): &(_, &String, &String)| {
            !ours
                .split(',')
                .any(|our| theirs.split(',').any(|their| our == their))
        };
        let (what, offered, _) = lists.into_iter().find(is_disjoint)?;
        let shown: String = offered.chars().take(MAX_SHOWN_CHARS).collect();
        Some(format!("for {what} only {shown}"))
    }

    /// Parses an `SSH_MSG_KEXINIT` (RFC 4253, section 7.1): the message number 20, 16 random bytes, and lists of names.
    /// The first two lists are the key exchange and the host key algorithms; the fourth is the server's ciphers, the sixth
    /// its MACs.
    fn parse(packet: &[u8]) -> Option<Self> {
        let (20, rest) = packet.split_first().map(|(first, rest)| (*first, rest))? else {
            return None;
        };
        let (key_exchange, rest) = parse_names(rest.get(16..)?)?;
        let (host_keys, rest) = parse_names(rest)?;
        let (_, rest) = parse_names(rest)?;
        let (ciphers, rest) = parse_names(rest)?;
        let (_, rest) = parse_names(rest)?;
        let (macs, _) = parse_names(rest)?;
        Some(Self {
            key_exchange,
            host_keys,
            ciphers,
            macs,
        })
    }
}

/// An unencrypted connection with a deadline.
struct ProbeConnection {
    stream: TcpStream,
    deadline: Instant,
}

impl ProbeConnection {
    /// Reads lines up to the server's greeting, then sends the client's.
    fn exchange_greetings(&mut self) -> io::Result<()> {
        let (mut line, mut total) = (Vec::new(), 0);
        while total < MAX_BYTES {
            let [byte] = self.read_array::<1>()?;
            total += 1;
            match byte {
                b'\n' if line.starts_with(b"SSH-") => {
                    return self.stream.write_all(b"SSH-2.0-cprflow\r\n");
                }
                b'\n' => line.clear(),
                _ => line.push(byte),
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Reads an unencrypted packet (RFC 4253, section 6): its length, the length of its padding, and its payload.
    fn read_packet(&mut self) -> io::Result<Vec<u8>> {
        let length = u32::from_be_bytes(self.read_array()?) as usize;
        let [padding] = self.read_array()?;
        let payload = length.checked_sub(1 + usize::from(padding));
        let payload = payload.filter(|payload| *payload <= MAX_BYTES);
        let mut bytes = vec![0; payload.ok_or(io::ErrorKind::InvalidData)?];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read_exact(bytes)
    }
}

/// Parses a list of names: a length of four bytes, then the text. Returns the list and the remaining bytes.
fn parse_names(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (names, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let names = names.iter().copied().map(char::from);
    // The list can end up in an error text, so only printable characters are kept.
    let names: String = names.filter(char::is_ascii_graphic).collect();
    Some((names, rest))
}

/// The size limit for the greeting and for a packet, far more than any server needs.
const MAX_BYTES: usize = 64 * 1024;

/// The characters of a list that an error text shows.
const MAX_SHOWN_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(lists: &[&str]) -> Vec<u8> {
        let mut packet = vec![20];
        packet.extend([7; 16]);
        for list in lists {
            packet.extend((list.len() as u32).to_be_bytes());
            packet.extend(list.as_bytes());
        }
        packet
    }

    #[test]
    fn parses_an_offer_and_rejects_incomplete_or_other_packets() {
        let mut packet = packet(&[
            "curve25519-sha256",
            "ssh-rsa,ssh-dss\n",
            "",
            "aes128-cbc",
            "",
            "hmac-sha1",
        ]);
        let offer = KexOffer::parse(&packet).unwrap();
        assert_eq!(offer.key_exchange, "curve25519-sha256");
        assert_eq!(offer.host_keys, "ssh-rsa,ssh-dss");
        assert_eq!(offer.ciphers, "aes128-cbc");
        assert_eq!(offer.macs, "hmac-sha1");
        for end in 0..packet.len() {
            assert_eq!(KexOffer::parse(&packet[..end]), None, "{end}");
        }
        packet[17..21].copy_from_slice(&[0xff; 4]);
        assert_eq!(KexOffer::parse(&packet), None);
        packet[0] = 21;
        assert_eq!(KexOffer::parse(&packet), None);
    }

    #[test]
    fn reports_the_list_without_a_common_algorithm() {
        let offer = |lists: &[&str]| KexOffer::parse(&packet(lists)).unwrap();
        let ours = offer(&[
            "curve25519-sha256",
            "ssh-ed25519,rsa-sha2-512",
            "",
            "aes256-ctr",
            "",
            "hmac-sha2-256",
        ]);
        let kex = "x,curve25519-sha256";
        let (ctr, mac) = ("aes256-ctr", "hmac-sha2-256");
        let old = offer(&[kex, "ssh-rsa", "", ctr, "", mac]);
        let weak = offer(&[kex, "rsa-sha2-512", "", ctr, "", "hmac-sha1"]);
        let fine = offer(&[kex, "rsa-sha2-512", "", ctr, "", mac]);
        let disjoint = old.disjoint_list(&ours);
        assert_eq!(disjoint.as_deref(), Some("for host keys only ssh-rsa"));
        let disjoint = weak.disjoint_list(&ours);
        assert_eq!(
            disjoint.as_deref(),
            Some("for checksums (MACs) only hmac-sha1")
        );
        assert_eq!(fine.disjoint_list(&ours), None);
    }
}
