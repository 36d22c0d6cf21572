//! Writes and reads what one instance tells another about its part of an extract.
//!
//! Both ends are the same component, so the format has no version. Numbers are in LEB128, lists begin with their length.

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::finding::Occurrences;

/// The error if the bytes were not written by [`Writer`].
pub(crate) const DAMAGED: Error =
    Error::Misuse("what another part of the extract has told cannot be read");

/// Writes values one after the other.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Returns what was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.0.push(flag.into());
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn optional(&mut self, number: Option<u64>) {
        self.flag(number.is_some());
        self.number(number.unwrap_or_default());
    }

    /// Writes a day number.
    pub(crate) fn day(&mut self, day: Option<i32>) {
        self.optional(day.map(|day| u64::from(day as u32)));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn seen(&mut self, seen: Occurrences) {
        self.number(seen.count);
        self.number(seen.first_line);
    }

    pub(crate) fn pairs(&mut self, pairs: &[(u64, u64)]) {
        self.number(pairs.len() as u64);
        for (one, other) in pairs {
            self.number(*one);
            self.number(*other);
        }
    }

    pub(crate) fn persons(&mut self, persons: &RoaringTreemap) -> Result<(), Error> {
        self.0.reserve(persons.serialized_size());
        let written = persons.serialize_into(&mut self.0);
        written.map_err(|_| Error::Internal)
    }
}

/// Reads the values in the order in which they were written.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Fails if there are more bytes.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.0.is_empty().then_some(()).ok_or(DAMAGED)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DAMAGED),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DAMAGED)
    }

    pub(crate) fn optional(&mut self) -> Result<Option<u64>, Error> {
        let is_there = self.flag()?;
        let number = self.number()?;
        Ok(is_there.then_some(number))
    }

    pub(crate) fn day(&mut self) -> Result<Option<i32>, Error> {
        let day = self.optional()?;
        let day = day.map(|day| u32::try_from(day).map(|day| day as i32));
        day.transpose().map_err(|_| DAMAGED)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.number()?).map_err(|_| DAMAGED)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn seen(&mut self) -> Result<Occurrences, Error> {
        Ok(Occurrences {
            count: self.number()?,
            first_line: self.number()?,
        })
    }

    pub(crate) fn pairs(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        let mut pairs = Vec::new();
        for _ in 0..self.number()? {
            pairs.push((self.number()?, self.number()?));
        }
        Ok(pairs)
    }

    pub(crate) fn persons(&mut self) -> Result<RoaringTreemap, Error> {
        RoaringTreemap::deserialize_from(&mut self.0).map_err(|_| DAMAGED)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.0.split_first().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_read_as_written(
            number in any::<u64>(),
            optional in any::<Option<u64>>(),
            day in any::<Option<i32>>(),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            flag in any::<bool>(),
            numbers in prop::collection::btree_set(0..=9_999_999_999_u64, 0..100),
        ) {
            let persons = RoaringTreemap::from_iter(&numbers);
            let seen = Occurrences { count: number, first_line: number / 2 };
            let mut writer = Writer::default();
            writer.number(number);
            writer.optional(optional);
            writer.day(day);
            writer.bytes(&bytes);
            writer.flag(flag);
            writer.persons(&persons).unwrap();
            writer.seen(seen);
            writer.pairs(&[(number, 1), (2, 3)]);
            let written = writer.into_bytes();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert_eq!(reader.optional().unwrap(), optional);
            prop_assert_eq!(reader.day().unwrap(), day);
            prop_assert_eq!(reader.bytes().unwrap(), &bytes);
            prop_assert_eq!(reader.flag().unwrap(), flag);
            prop_assert_eq!(reader.persons().unwrap(), persons);
            prop_assert_eq!(reader.seen().unwrap(), seen);
            prop_assert_eq!(reader.pairs().unwrap(), [(number, 1), (2, 3)]);
            prop_assert!(reader.end().is_ok());
        }

        #[test]
        fn refuses_garbage_without_a_panic(garbage in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = Reader::new(&garbage);
            while reader.number().is_ok() && reader.bytes().is_ok() && reader.persons().is_ok() {}
        }
    }

    #[test]
    fn refuses_what_is_left_over() {
        assert!(Reader::new(&[0]).end().is_err());
        assert!(Reader::new(&[0xff; 10]).number().is_err());
        assert!(Reader::new(&[2]).flag().is_err());
        assert!(Reader::new(&[5, 0]).bytes().is_err());
    }
}
