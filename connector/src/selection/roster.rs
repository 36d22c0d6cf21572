//! Reads and writes rosters: the persons in scope, kept from one extract to the next.
//!
//! The format is `CPRROSTR`, a version (4 bytes), the number of persons (8 bytes), a checksum of the rest (8 bytes),
//! and then Roaring's portable format for 64-bit numbers. Numbers are little-endian.

use roaring::RoaringTreemap;

use crate::error::Error;

const MAGIC: &[u8; 8] = b"CPRROSTR";
const VERSION: u32 = 1;

/// The largest person number.
const LARGEST: u64 = 9_999_999_999;

/// Writes a roster. The same persons always give the same bytes.
pub(super) fn write(persons: &RoaringTreemap) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(persons.serialized_size());
    persons
        .serialize_into(&mut body)
        .map_err(|_| Error::Internal)?;
    let mut bytes = Vec::with_capacity(body.len() + 28);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(persons.len().to_le_bytes());
    bytes.extend(checksum(&body).to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// Reads a roster. Fails if it is damaged, because a partial roster would lose leavers.
pub(super) fn read(bytes: &[u8]) -> Result<RoaringTreemap, Error> {
    persons(bytes).map_err(|why| {
        Error::InvalidRequest(format!(
            "the roster of persons who were in scope cannot be read: {why}. Restore it from a backup, or start without \
             a roster and deliver all persons again; persons who left in between are then not reported"
        ))
    })
}

/// Reads a list of persons whom a later extract has delivered, in the same format. Fails if it is damaged, because a
/// partial list would bring back persons who have left.
pub(super) fn read_delivered(bytes: &[u8]) -> Result<RoaringTreemap, Error> {
    persons(bytes).map_err(|why| {
        Error::InvalidRequest(format!(
            "the list of persons whom a later extract has delivered cannot be read: {why}. Restore it from a backup, \
             or leave this extract out, because later ones are more recent"
        ))
    })
}

/// Reads a list of persons whose records in an extract are superseded, in the same format. Fails if it is damaged, because
/// a wrong list would lose records.
pub(crate) fn read_superseded(bytes: &[u8]) -> Result<RoaringTreemap, Error> {
    persons(bytes).map_err(|why| {
        Error::InvalidRequest(format!(
            "the list of persons whose records are superseded cannot be read: {why}. Make it again from the extracts"
        ))
    })
}

fn persons(bytes: &[u8]) -> Result<RoaringTreemap, String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("it does not begin with CPRROSTR")?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(CUT_OFF)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(format!(
            "it has version {version}, but only version {VERSION} is supported"
        ));
    }
    let parts = rest.split_first_chunk::<8>();
    let parts = parts.and_then(|(count, rest)| Some((count, rest.split_first_chunk::<8>()?)));
    let (count, (sum, mut body)) = parts.ok_or(CUT_OFF)?;
    if checksum(body) != u64::from_le_bytes(*sum) {
        return Err("it is damaged or cut off".to_owned());
    }
    let persons = RoaringTreemap::deserialize_from(&mut body)
        .map_err(|_| "it does not hold a list of persons")?;
    let is_valid = body.is_empty()
        && persons.len() == u64::from_le_bytes(*count)
        && persons.max().is_none_or(|largest| largest <= LARGEST);
    match is_valid {
        true => Ok(persons),
        false => Err("it contradicts itself".to_owned()),
    }
}

const CUT_OFF: &str = "it is cut off";

/// Calculates an FNV-1a checksum: it detects accidents, not forgery.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(bytes: &[u8]) -> String {
        match read(bytes) {
            Err(Error::InvalidRequest(message)) => message,
            other => panic!("{:?}", other.map(|persons| persons.len())),
        }
    }

    #[test]
    fn refuses_damaged_rosters() {
        let whole = write(&(1..2000).map(|n| n * 1_000_003).collect()).unwrap();
        for length in 0..whole.len() {
            refused(&whole[..length]);
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            refused(&damaged);
        }
        let of_delivered = read_delivered(&whole[1..]);
        assert!(
            matches!(of_delivered, Err(Error::InvalidRequest(what)) if what.contains("later extract"))
        );
        refused(&[&whole[..], b"more"].concat());
        let mut newer = whole.clone();
        newer[8] = 2;
        assert!(refused(&newer).contains("version 2"));
        assert!(refused(b"").contains("does not begin with CPRROSTR"));
        let too_large = write(&RoaringTreemap::from_iter([LARGEST + 1])).unwrap();
        assert!(refused(&too_large).contains("contradicts itself"));
    }

    /// The checksum is easy to forge, so the content is checked too.
    #[test]
    fn checks_content_despite_a_correct_checksum() {
        let sealed = |count: u64, body: &[u8]| {
            let (version, sum) = (VERSION.to_le_bytes(), checksum(body).to_le_bytes());
            [&MAGIC[..], &version, &count.to_le_bytes(), &sum, body].concat()
        };
        refused(&sealed(0, b""));
        refused(&sealed(1, &[0xff; 64]));
        refused(&sealed(u64::MAX, &[0; 8]));
        refused(&sealed(0, &[0; 9]));
        assert!(read(&sealed(0, &[0; 8])).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_roster_is_read_as_written(numbers in prop::collection::btree_set(0..=LARGEST, 0..500)) {
            let persons = RoaringTreemap::from_iter(&numbers);
            let bytes = write(&persons).unwrap();
            prop_assert_eq!(&read(&bytes).unwrap(), &persons);
            prop_assert_eq!(write(&read(&bytes).unwrap()).unwrap(), bytes);
        }

        #[test]
        fn refuses_garbage(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
            refused(&garbage);
        }
    }
}
