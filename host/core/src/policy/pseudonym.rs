//! Pseudonyms of person numbers. The host makes them, because the key never enters a component.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::DataType;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{ComponentError, Error, RequestError};

/// A tenant's key for pseudonyms. `Debug` hides it.
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
    /// The smallest length of a key, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Creates a key from secret random bytes.
    ///
    /// Fails if there are fewer than [`MIN_BYTES`](Self::MIN_BYTES). There are so few person numbers that only the key
    /// prevents anyone from computing all pseudonyms.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        let too_short = || RequestError::ShortPseudonymKey {
            bytes: bytes.len(),
            minimum: Self::MIN_BYTES,
        };
        if bytes.len() < Self::MIN_BYTES {
            return Err(too_short().into());
        }
        // HMAC takes a key of any length.
        Hmac::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| too_short().into())
    }

    /// Returns the pseudonym of a person number: its HMAC-SHA-256 in lower-case hexadecimal.
    pub(crate) fn pseudonym(&self, number: &str) -> String {
        let mut hash = self.0.clone();
        hash.update(number.as_bytes());
        base16ct::lower::encode_string(&hash.finalize().into_bytes())
    }

    /// Returns the batch with every value of these columns replaced by its pseudonym. Null stays null.
    ///
    /// Fails if one of the columns is not text, or if a null appears in a column without nulls.
    pub(crate) fn replace(
        &self,
        batch: &RecordBatch,
        columns_to_replace: &[usize],
    ) -> Result<RecordBatch, Error> {
        let mut columns = batch.columns().to_vec();
        for index in columns_to_replace {
            let Some(column) = columns.get_mut(*index) else {
                continue;
            };
            if column.data_type() != &DataType::Utf8 {
                let error = ComponentError::misbehaved("a column of person numbers is not text");
                return Err(error.into());
            }
            *column = self.pseudonyms(column.as_ref());
        }
        RecordBatch::try_new(batch.schema(), columns).map_err(|_| {
            let what = "a column of person numbers without nulls has the number 0000000000";
            ComponentError::misbehaved(what).into()
        })
    }

    fn pseudonyms(&self, numbers: &dyn Array) -> ArrayRef {
        let numbers = numbers.as_string::<i32>();
        let mut pseudonyms = StringBuilder::with_capacity(numbers.len(), numbers.len() * 64);
        // Consecutive rows are often of the same person.
        let mut last: Option<(&str, String)> = None;
        for number in numbers {
            match (number, &last) {
                // A pseudonym here would look like a person. Fewer zeros are a damaged number and get a pseudonym, like
                // any other part of a number.
                (Some(NO_PERSON), _) => {
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

/// CPR's number for "no person".
const NO_PERSON: &str = "0000000000";

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

    /// The expected value was computed with OpenSSL.
    #[test]
    fn pseudonym_is_the_hmac_of_the_digits() {
        assert_eq!(
            key(0x0b).pseudonym("0101010101"),
            "9c8181d8b812d26de079ab1df579cd1647052a3685b7fd2da6cfcc65cfab4cf7"
        );
    }

    #[test]
    fn replaces_only_the_given_columns() {
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
    fn rejects_short_keys_and_hides_the_key_in_debug() {
        assert!(PseudonymKey::new([7; 31]).is_err());
        assert_eq!(format!("{:?}", key(0x37)), "PseudonymKey(…)");
    }
}
