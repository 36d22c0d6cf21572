//! How often a call is made again, and after which pauses.

use std::time::Duration;

use super::SubscriberError;
use super::audit::random;

/// How often and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// The pause after the first.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Retry {
    /// Filters are evaluated at night: there is nothing to be won by hurrying.
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// The pause after that attempt, from 1 on; none if it was the last. Pauses double, and each is between half and
    /// all of that, so that callers who failed together do not come back together.
    pub fn pause(&self, attempt: u32) -> Result<Option<Duration>, SubscriberError> {
        if attempt >= self.attempts {
            return Ok(None);
        }
        let doubled = self.first.saturating_mul(1 << (attempt - 1).min(16));
        let whole = doubled.min(self.longest);
        let mut byte = [0];
        random(&mut byte)?;
        let share = 0.5 + f64::from(byte[0]) / 255.0 / 2.0;
        Ok(Some(whole.mul_f64(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let retry = Retry {
            attempts: 8,
            ..Retry::default()
        };
        for (attempt, whole) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30)] {
            let pause = retry.pause(attempt).unwrap().unwrap();
            let whole = Duration::from_secs(whole);
            assert!(pause >= whole / 2 && pause <= whole, "{attempt}: {pause:?}");
        }
        assert_eq!(retry.pause(8).unwrap(), None);
    }
}
