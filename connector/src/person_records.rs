//! Finds persons who have several 001 in one extract.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::value::trimmed_len;
use crate::wire::{Reader, Writer};

/// The bits of a digest. A person number has 34 bits, so both fit 64 bits.
const DIGEST_BITS: u32 = 30;

/// The records in a chunk: 32 KiB.
const CHUNK: usize = 4096;

/// The 001 records of an extract, as digests: 8 bytes for each.
#[derive(Clone, Default)]
pub(crate) struct PersonRecords {
    /// The persons with a 001.
    persons: RoaringTreemap,
    /// The first 001 of every person: the number and, in the lowest bits, the record's digest. In chunks, because one
    /// list would need twice its size whenever it grows.
    first: Vec<Vec<u64>>,
    /// Further 001 of these persons, in the same form, each with its line.
    again: Vec<(u64, u64)>,
}

/// The persons with several 001.
#[derive(Default)]
pub(crate) struct SeveralRecords {
    /// The persons whose 001 differ, each with the line of the first that does.
    pub(crate) different: BTreeMap<u64, u64>,
    /// The persons whose 001 are all the same, each with the line of the second.
    pub(crate) identical: BTreeMap<u64, u64>,
}

impl PersonRecords {
    /// Returns records of which nothing is known but their persons.
    pub(crate) fn of(persons: RoaringTreemap) -> Self {
        Self {
            persons,
            ..Self::default()
        }
    }

    /// Adds a 001. Trailing spaces make no difference.
    pub(crate) fn add(&mut self, person: u64, record: &[u8], line: u64) {
        self.add_digest(Self::digest(person, record), line);
    }

    /// Returns what is kept of a 001: the number and the record's digest.
    pub(crate) fn digest(person: u64, record: &[u8]) -> u64 {
        person << DIGEST_BITS | digest(record)
    }

    /// Adds a 001 of which [`digest`](Self::digest) is known.
    pub(crate) fn add_digest(&mut self, digest: u64, line: u64) {
        if self.persons.insert(digest >> DIGEST_BITS) {
            self.push_first(digest);
        } else {
            self.again.push((digest, line));
        }
    }

    fn push_first(&mut self, digest: u64) {
        match self.first.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(digest),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(digest);
                self.first.push(chunk);
            }
        }
    }

    /// Returns the persons with a 001.
    pub(crate) fn persons(&self) -> &RoaringTreemap {
        &self.persons
    }

    /// Writes the records, without their lines.
    pub(crate) fn write(&self, writer: &mut Writer) {
        let first: usize = self.first.iter().map(Vec::len).sum();
        writer.number((first + self.again.len()) as u64);
        let again = self.again.iter().map(|(digest, _)| digest);
        for digest in self.first.iter().flatten().chain(again) {
            writer.number(*digest);
        }
    }

    /// Reads what [`write`](Self::write) has written.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut read = Self::default();
        for _ in 0..reader.number()? {
            read.add_digest(reader.number()?, 0);
        }
        Ok(read)
    }

    /// Adds the records of another part of the extract.
    pub(crate) fn merge(&mut self, other: &Self) {
        for digest in other.first.iter().flatten() {
            if self.persons.insert(digest >> DIGEST_BITS) {
                self.push_first(*digest);
            } else {
                self.again.push((*digest, 0));
            }
        }
        self.again.extend_from_slice(&other.again);
    }

    /// Returns the persons with several 001.
    pub(crate) fn several(&self) -> SeveralRecords {
        let mut several = SeveralRecords::default();
        if self.again.is_empty() {
            return several;
        }
        let again: RoaringTreemap = self
            .again
            .iter()
            .map(|(digest, _)| digest >> DIGEST_BITS)
            .collect();
        let first: BTreeMap<u64, u64> = self
            .first
            .iter()
            .flatten()
            .map(|digest| (digest >> DIGEST_BITS, *digest))
            .filter(|(person, _)| again.contains(*person))
            .collect();
        for (digest, line) in &self.again {
            let person = digest >> DIGEST_BITS;
            if first.get(&person) != Some(digest) {
                several.different.entry(person).or_insert(*line);
            }
        }
        for (digest, line) in &self.again {
            let person = digest >> DIGEST_BITS;
            if !several.different.contains_key(&person) {
                several.identical.entry(person).or_insert(*line);
            }
        }
        several
    }
}

/// Returns the lowest bits of an FNV-1a hash of the record.
fn digest(record: &[u8]) -> u64 {
    let record = record.get(..trimmed_len(record)).unwrap_or(record);
    let hash = record.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32) & ((1 << DIGEST_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(persons: &BTreeMap<u64, u64>) -> Vec<(u64, u64)> {
        persons
            .iter()
            .map(|(person, line)| (*person, *line))
            .collect()
    }

    #[test]
    fn tells_identical_records_from_different_ones() {
        let mut records = PersonRecords::default();
        for (line, (person, record)) in [
            (1, &b"001a"[..]),
            (9_999_999_999, b"001b"),
            (2, b"001c"),
            (1, b"001a  "),
            (9_999_999_999, b"001b"),
            (9_999_999_999, b"001x"),
        ]
        .into_iter()
        .enumerate()
        {
            records.add(person, record, line as u64);
        }
        let several = records.several();
        assert_eq!(keys(&several.identical), [(1, 3)]);
        assert_eq!(keys(&several.different), [(9_999_999_999, 5)]);
        assert_eq!(records.persons().len(), 3);
        let mut part = PersonRecords::default();
        part.add(2, b"001d", 7);
        part.add(3, b"001e", 8);
        part.merge(&records);
        let several = part.several();
        assert_eq!(keys(&several.different), [(2, 0), (9_999_999_999, 5)]);
        assert_eq!(part.persons().len(), 4);
        assert!(keys(&PersonRecords::default().several().different).is_empty());
    }
}
