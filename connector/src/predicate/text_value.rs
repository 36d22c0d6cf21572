//! A text that a condition compares with the texts of records.

use std::cmp::Ordering;

/// A text of a condition, ready to be compared with the bytes of a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TextValue {
    text: String,
    /// The text in ISO-8859-1, up to the first character that ISO-8859-1 does not have.
    latin1: Vec<u8>,
    /// Whether there is such a character.
    is_beyond: bool,
}

impl TextValue {
    pub(super) fn new(text: String) -> Self {
        let latin1 = text.chars().map_while(|one| u8::try_from(one).ok());
        let latin1: Vec<u8> = latin1.collect();
        Self {
            is_beyond: text.chars().count() > latin1.len(),
            latin1,
            text,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text in ISO-8859-1, if all its characters are in it.
    pub(super) fn latin1(&self) -> Option<&[u8]> {
        (!self.is_beyond).then_some(&self.latin1)
    }

    /// Returns how a text in ISO-8859-1 compares with this one, by code points. The bytes of ISO-8859-1 are the code
    /// points.
    #[inline]
    pub(super) fn compare_latin1(&self, text: &[u8]) -> Ordering {
        let own = self.latin1.as_slice();
        // What follows in this text is greater than any character of ISO-8859-1.
        match self.is_beyond && text.starts_with(own) {
            true => Ordering::Less,
            false => text.cmp(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn compares_by_code_points(
            text in proptest::collection::vec(97_u8..100, 0..4),
            last in any::<u8>(),
            other in "[a-c]{0,4}[a-c\u{e6}\u{f8}\u{101}\u{1f600}]?[a-c]?",
        ) {
            for text in [&text, &[text.clone(), vec![last]].concat()] {
                let expected = text.iter().copied().map(char::from).cmp(other.chars());
                prop_assert_eq!(TextValue::new(other.clone()).compare_latin1(text), expected);
            }
        }

        #[test]
        fn sorts_like_the_texts(one in any::<String>(), other in any::<String>()) {
            let order = TextValue::new(one.clone()).cmp(&TextValue::new(other.clone()));
            prop_assert_eq!(order, one.cmp(&other));
        }
    }
}
