//! Pseudonyms of person numbers: the one thing that the host does to rows, because the key never enters a component.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::DataType;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{ComponentError, Error};
use crate::spool::hexadecimal;

/// A tenant's key for pseudonyms. It cannot be printed by accident.
///
/// ```
/// use cprflow::PseudonymKey;
///
/// let key = PseudonymKey::new(b"32 random bytes, kept as a secret".to_vec())?;
/// assert_eq!(format!("{key:?}"), "PseudonymKey(…)");
/// assert!(PseudonymKey::new(b"too short".to_vec()).is_err());
/// # Ok::<(), cprflow::Error>(())
/// ```
#[derive(Clone)]
pub struct PseudonymKey(Hmac<Sha256>);

impl PseudonymKey {
    /// Bytes that a key has at the least.
    pub const MIN_BYTES: usize = 32;

    /// The key of these bytes. Fewer than [`MIN_BYTES`](Self::MIN_BYTES) are refused: there are so few person
    /// numbers that the key alone keeps pseudonyms from being turned back.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        if bytes.len() < Self::MIN_BYTES {
            return Err(Error::Request(format!(
                "a key for pseudonyms has {} bytes at the least, and this one has {}: make one of random bytes",
                Self::MIN_BYTES,
                bytes.len()
            )));
        }
        Hmac::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| Error::Request("the key for pseudonyms is of no use".to_owned()))
    }

    /// The pseudonym of a number: its HMAC-SHA-256 in lower-case hexadecimal.
    pub(crate) fn pseudonym(&self, number: &str) -> String {
        let mut hash = self.0.clone();
        hash.update(number.as_bytes());
        hexadecimal(&hash.finalize().into_bytes())
    }

    /// The batch with every value of these columns replaced by its pseudonym; null stays null.
    pub(crate) fn replace(
        &self,
        batch: &RecordBatch,
        places: &[usize],
    ) -> Result<RecordBatch, Error> {
        let mut columns = batch.columns().to_vec();
        for place in places {
            let Some(column) = columns.get_mut(*place) else {
                continue;
            };
            if column.data_type() != &DataType::Utf8 {
                let what = "a column of person numbers is no text".to_owned();
                return Err(ComponentError::Misbehaved(what).into());
            }
            *column = self.column(column.as_ref());
        }
        RecordBatch::try_new(batch.schema(), columns).map_err(|_| {
            let what = "a column that must name somebody names nobody".to_owned();
            ComponentError::Misbehaved(what).into()
        })
    }

    fn column(&self, numbers: &dyn Array) -> ArrayRef {
        let numbers = numbers.as_string::<i32>();
        let mut pseudonyms = StringBuilder::with_capacity(numbers.len(), numbers.len() * 64);
        // A person's rows stand together more often than not.
        let mut last: Option<(&str, String)> = None;
        for number in numbers {
            match (number, &last) {
                // Ten zeros are nobody, and must not become somebody.
                (Some(number), _) if number.bytes().all(|byte| byte == b'0') => {
                    pseudonyms.append_null();
                }
                (Some(number), Some((same, pseudonym))) if number == *same => {
                    pseudonyms.append_value(pseudonym);
                }
                (Some(number), _) => {
                    let pseudonym = self.pseudonym(number);
                    pseudonyms.append_value(&pseudonym);
                    last = Some((number, pseudonym));
                }
                (None, _) => pseudonyms.append_null(),
            }
        }
        Arc::new(pseudonyms.finish())
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};

    fn key(byte: u8) -> PseudonymKey {
        PseudonymKey::new([byte; 32]).unwrap()
    }

    /// The figure is OpenSSL's.
    #[test]
    fn a_pseudonym_is_the_hmac_of_the_digits() {
        assert_eq!(
            key(0x0b).pseudonym("0101010101"),
            "9c8181d8b812d26de079ab1df579cd1647052a3685b7fd2da6cfcc65cfab4cf7"
        );
    }

    #[test]
    fn columns_are_replaced_and_others_stay() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "pnr",
                Arc::new(StringArray::from(vec![
                    Some("0101010101"),
                    Some("0101010101"),
                    None,
                    Some("0000000000"),
                    Some("0202020202"),
                ])) as ArrayRef,
                true,
            ),
            (
                "line",
                Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5])),
                false,
            ),
        ])
        .unwrap();
        let replaced = key(1).replace(&batch, &[0]).unwrap();
        let numbers = replaced.column(0).as_string::<i32>();
        assert_eq!(numbers.value(0), key(1).pseudonym("0101010101"));
        assert_eq!(numbers.value(1), numbers.value(0));
        assert!(numbers.is_null(2) && numbers.is_null(3));
        assert_eq!(numbers.value(4), key(1).pseudonym("0202020202"));
        assert_ne!(numbers.value(4), key(2).pseudonym("0202020202"));
        assert_eq!(replaced.column(1), batch.column(1));
        assert!(key(1).replace(&batch, &[1]).is_err());
    }

    #[test]
    fn a_key_is_long_and_never_printed() {
        assert!(PseudonymKey::new([7; 31]).is_err());
        assert_eq!(format!("{:?}", key(0x37)), "PseudonymKey(…)");
    }
}
