//! Person numbers.

use std::fmt;
use std::str::FromStr;

/// A person number: ten digits. Printing it, by accident or otherwise, tells nothing of it; [`as_str`](Self::as_str)
/// is the one way to its digits.
///
/// The check digit is not looked at: numbers that fail it are given to people.
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
    /// Digits of a person number.
    pub const DIGITS: usize = 10;

    /// The digits.
    pub fn as_str(&self) -> &str {
        // They are ASCII digits, which no constructor lets differ.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A text is no person number. It does not say what the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a person number is ten digits, without hyphen and without spaces")]
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
    fn ten_digits_and_nothing_else() {
        assert!("0000000000".parse::<Pnr>().is_ok());
        for wrong in [
            "",
            "010101010",
            "01010101010",
            "010101-0101",
            "010101010x",
            " 101010101",
            "\u{ff10}1010101",
        ] {
            let error = wrong.parse::<Pnr>().unwrap_err();
            assert_eq!(error, PnrError, "{wrong}");
        }
    }

    #[test]
    fn it_is_never_printed() {
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
