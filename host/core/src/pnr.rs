//! Person numbers.

use std::fmt;
use std::str::FromStr;

/// A person number: ten digits. `Display` and `Debug` hide it; only [`as_str`](Self::as_str) returns the digits.
///
/// The check digit is not verified, because CPR also assigns numbers that fail the check.
///
/// ```
/// use cprflow::Pnr;
///
/// let pnr: Pnr = "0101010101".parse()?;
/// assert_eq!(pnr.as_str(), "0101010101");
/// assert_eq!(format!("{pnr} {pnr:?}"), "********** Pnr(**********)");
/// assert!("010101-0101".parse::<Pnr>().is_err());
/// # Ok::<(), cprflow::PnrError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pnr([u8; Pnr::DIGITS]);

impl Pnr {
    /// The number of digits in a person number.
    pub const DIGITS: usize = 10;

    /// Returns the ten digits.
    pub fn as_str(&self) -> &str {
        // Every constructor checks that these are ASCII digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The error for a text that is not a person number. It does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a person number: it must be ten digits, without hyphen and spaces")]
pub struct PnrError;

impl TryFrom<&[u8]> for Pnr {
    type Error = PnrError;

    fn try_from(digits: &[u8]) -> Result<Self, PnrError> {
        let digits = <[u8; Self::DIGITS]>::try_from(digits).map_err(|_| PnrError)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(PnrError)
        }
    }
}

impl FromStr for Pnr {
    type Err = PnrError;

    fn from_str(text: &str) -> Result<Self, PnrError> {
        Self::try_from(text.as_bytes())
    }
}

impl fmt::Display for Pnr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("**********")
    }
}

impl fmt::Debug for Pnr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pnr({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_ten_ascii_digits() {
        assert!("0000000000".parse::<Pnr>().is_ok());
        for text in [
            "",
            "010101010",
            "01010101010",
            "010101-0101",
            "010101010x",
            " 101010101",
            "\u{ff10}1010101",
        ] {
            let error = text.parse::<Pnr>().unwrap_err();
            assert_eq!(error, PnrError, "{text}");
        }
    }

    #[test]
    fn hides_its_digits_when_it_is_formatted() {
        let pnr: Pnr = "0102030405".parse().unwrap();
        for printed in [
            format!("{pnr}"),
            format!("{pnr:?}"),
            format!("{:#?}", Some(pnr)),
            format!("{pnr:>20}"),
        ] {
            assert!(!printed.chars().any(|c| c.is_ascii_digit()), "{printed}");
        }
    }
}
