//! The number of attempts for a call, and the pauses between them.

use std::time::Duration;

use super::SubscriptionError;
use super::audit::random;

/// The number of attempts and their pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The maximum number of attempts.
    pub attempts: u32,
    /// The maximum pause after the first attempt.
    pub first: Duration,
    /// The maximum pause.
    pub longest: Duration,
}

impl Default for Retry {
    /// 3 attempts, with pauses from 1 s to 30 s. The platform evaluates filters at night, so faster retries gain nothing.
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// Returns the pause after an attempt, counted from 1; `None` after the last attempt.
    ///
    /// The maximum doubles with each attempt. The pause is random between half the maximum and the maximum, so that
    /// callers who failed at the same time do not retry at the same time.
    pub fn pause(&self, attempt: u32) -> Result<Option<Duration>, SubscriptionError> {
        if attempt >= self.attempts {
            return Ok(None);
        }
        let doubled = self.first.saturating_mul(1 << (attempt - 1).min(16));
        let maximum = doubled.min(self.longest);
        let mut byte = [0];
        random(&mut byte)?;
        let fraction = 0.5 + f64::from(byte[0]) / 255.0 / 2.0;
        Ok(Some(maximum.mul_f64(fraction)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_end() {
        let retry = Retry {
            attempts: 8,
            ..Retry::default()
        };
        for (attempt, maximum) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30)] {
            let pause = retry.pause(attempt).unwrap().unwrap();
            let maximum = Duration::from_secs(maximum);
            assert!(
                pause >= maximum / 2 && pause <= maximum,
                "{attempt}: {pause:?}"
            );
        }
        assert_eq!(retry.pause(8).unwrap(), None);
    }
}
