//! What a server offers, asked for when nothing of it will do.
//!
//! libssh2 says the same of a server with which it has no algorithm in common and of one that hangs up while they
//! agree. The first needs somebody to act and the second another try, so the difference is worth one more
//! connection: a server tells its algorithms right after the greetings, in the clear.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The algorithms of one side, by what they are for, each list separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// For agreeing on keys.
    pub(super) key_exchange: String,
    /// For proving who the server is.
    pub(super) host_keys: String,
    /// For what the server sends.
    pub(super) ciphers: String,
}

impl Offer {
    /// Reads a server's.
    pub(super) fn read(stream: TcpStream, limit: Duration) -> io::Result<Self> {
        let mut line = Line {
            stream,
            deadline: Instant::now() + limit,
        };
        line.greet()?;
        let packet = line.packet()?;
        Self::parse(&packet).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// What this offer has in a list of which another one has nothing; none if there is no such list.
    pub(super) fn nothing_in_common(&self, other: &Self) -> Option<String> {
        let lists = [
            ("host keys", &self.host_keys, &other.host_keys),
            ("key exchange", &self.key_exchange, &other.key_exchange),
            ("ciphers", &self.ciphers, &other.ciphers),
        ];
        let apart = |(_, ours, theirs): &(_, &String, &String)| {
            !ours
                .split(',')
                .any(|our| theirs.split(',').any(|their| our == their))
        };
        let (what, offered, _) = lists.into_iter().find(apart)?;
        let shown: String = offered.chars().take(SHOWN).collect();
        Some(format!("for {what} only {shown}"))
    }

    /// A `SSH_MSG_KEXINIT` (RFC 4253, section 7.1): the number of the message, 16 random bytes, and lists of names,
    /// of which the third and fourth are the ciphers of the client and the server.
    fn parse(packet: &[u8]) -> Option<Self> {
        let (20, rest) = packet.split_first().map(|(first, rest)| (*first, rest))? else {
            return None;
        };
        let (key_exchange, rest) = names(rest.get(16..)?)?;
        let (host_keys, rest) = names(rest)?;
        let (_, rest) = names(rest)?;
        let (ciphers, _) = names(rest)?;
        Some(Self {
            key_exchange,
            host_keys,
            ciphers,
        })
    }
}

/// A connection that must be done by a certain time.
struct Line {
    stream: TcpStream,
    deadline: Instant,
}

impl Line {
    /// Reads lines up to the server's greeting, and greets.
    fn greet(&mut self) -> io::Result<()> {
        let (mut line, mut total) = (Vec::new(), 0);
        while total < MAX_BYTES {
            let [byte] = self.take::<1>()?;
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

    /// Reads a packet before encryption (RFC 4253, section 6): its length, that of its padding, and its payload.
    fn packet(&mut self) -> io::Result<Vec<u8>> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        let [padding] = self.take()?;
        let payload = length.checked_sub(1 + usize::from(padding));
        let payload = payload.filter(|payload| *payload <= MAX_BYTES);
        let mut bytes = vec![0; payload.ok_or(io::ErrorKind::InvalidData)?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read_exact(bytes)
    }
}

fn names(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (names, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let names = names.iter().copied().map(char::from);
    let shown: String = names.filter(char::is_ascii_graphic).collect();
    Some((shown, rest))
}

/// Far more than any server needs.
const MAX_BYTES: usize = 64 * 1024;

/// Characters of a list that are shown.
const SHOWN: usize = 200;

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
    fn an_offer_is_read_and_anything_else_is_none() {
        let mut packet = packet(&["curve25519-sha256", "ssh-rsa,ssh-dss\n", "", "aes128-cbc"]);
        let offer = Offer::parse(&packet).unwrap();
        assert_eq!(offer.key_exchange, "curve25519-sha256");
        assert_eq!(offer.host_keys, "ssh-rsa,ssh-dss");
        assert_eq!(offer.ciphers, "aes128-cbc");
        for end in 0..packet.len() {
            assert_eq!(Offer::parse(&packet[..end]), None, "{end}");
        }
        packet[17..21].copy_from_slice(&[0xff; 4]);
        assert_eq!(Offer::parse(&packet), None);
        packet[0] = 21;
        assert_eq!(Offer::parse(&packet), None);
    }

    #[test]
    fn the_list_without_anything_in_common_is_named() {
        let offer = |lists: &[&str]| Offer::parse(&packet(lists)).unwrap();
        let ours = offer(&[
            "curve25519-sha256",
            "ssh-ed25519,rsa-sha2-512",
            "",
            "aes256-ctr",
        ]);
        let old = offer(&["curve25519-sha256", "ssh-rsa", "", "aes256-ctr"]);
        let fine = offer(&["x,curve25519-sha256", "rsa-sha2-512", "", "aes256-ctr"]);
        let lacking = old.nothing_in_common(&ours);
        assert_eq!(lacking.as_deref(), Some("for host keys only ssh-rsa"));
        assert_eq!(fine.nothing_in_common(&ours), None);
    }
}
