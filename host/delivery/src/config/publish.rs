//! What a run publishes, and how long that is kept: the keys `publish` and `keep_deliveries`.

use super::error::{ConfigurationError, KeyPath, KeyProblem};

/// What a run publishes in each dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// The tables as they are now, in `current`.
    pub current: bool,
    /// Each delivery in a directory of its own.
    pub deliveries: bool,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            current: true,
            deliveries: true,
        }
    }
}

/// A time for which something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A number of days.
    Days(u32),
    /// Without end.
    Forever,
}

/// How long cprflow keeps what it published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long the directories of deliveries are kept after publication. Default: 90 days.
    pub deliveries: Period,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            deliveries: Period::Days(90),
        }
    }
}

/// Reads `publish`.
pub(super) fn publish(texts: Option<Vec<String>>) -> Result<Publish, ConfigurationError> {
    let Some(texts) = texts else {
        return Ok(Publish::default());
    };
    let mut publish = Publish {
        current: false,
        deliveries: false,
    };
    for text in &texts {
        match text.as_str() {
            "current" => publish.current = true,
            "deliveries" => publish.deliveries = true,
            _ => return Err(invalid("publish", EXPECTED_PUBLISH)),
        }
    }
    match texts.is_empty() {
        true => Err(invalid("publish", EXPECTED_PUBLISH)),
        false => Ok(publish),
    }
}

const EXPECTED_PUBLISH: &str = "[\"current\", \"deliveries\"], or one of the two in brackets";

/// Reads the keys of the retention.
pub(super) fn retention(deliveries: Option<&str>) -> Result<Retention, ConfigurationError> {
    let defaults = Retention::default();
    let read = |key: &'static str, text: Option<&str>, default: Period| match text {
        None => Ok(default),
        Some(text) => period(text).ok_or_else(|| invalid(key, EXPECTED_PERIOD)),
    };
    Ok(Retention {
        deliveries: read("keep_deliveries", deliveries, defaults.deliveries)?,
    })
}

const EXPECTED_PERIOD: &str =
    "a number of days like \"90d\", a number of years like \"1y\", or \"forever\"";

/// The days of a year, in periods.
const YEAR_DAYS: u32 = 365;

/// The longest period in days.
const MAX_DAYS: u32 = 100 * YEAR_DAYS;

fn period(text: &str) -> Option<Period> {
    if text == "forever" {
        return Some(Period::Forever);
    }
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('y')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, YEAR_DAYS),
        (None, None) => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let days = number.parse::<u32>().ok()?.checked_mul(unit)?;
    let is_valid = is_number && (1..=MAX_DAYS).contains(&days);
    is_valid.then_some(Period::Days(days))
}

fn invalid(key: &str, expected: &str) -> ConfigurationError {
    KeyPath::new("", key).error(KeyProblem::Invalid {
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_periods() {
        for (text, days) in [("90d", 90), ("1y", 365), ("2y", 730), ("1d", 1)] {
            assert_eq!(period(text), Some(Period::Days(days)), "{text}");
        }
        assert_eq!(period("forever"), Some(Period::Forever));
        for text in [
            "",
            "d",
            "0d",
            "90",
            "-1d",
            "+1d",
            "1.5y",
            "1 d",
            "101y",
            "99999999999d",
        ] {
            assert_eq!(period(text), None, "{text}");
        }
    }

    #[test]
    fn reads_what_is_published() {
        let read = |texts: &[&str]| {
            let texts = texts.iter().map(|text| (*text).to_owned()).collect();
            publish(Some(texts)).map(|publish| (publish.current, publish.deliveries))
        };
        assert_eq!(publish(None).unwrap(), Publish::default());
        assert_eq!(read(&["current"]).unwrap(), (true, false));
        assert_eq!(read(&["deliveries"]).unwrap(), (false, true));
        assert_eq!(read(&["deliveries", "current"]).unwrap(), (true, true));
        for wrong in [&[][..], &["all"], &["current", "x"]] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(
                error.contains("publish: ") && !error.contains("all"),
                "{error}"
            );
        }
    }
}
