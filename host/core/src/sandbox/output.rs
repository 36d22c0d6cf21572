//! Counts the output of a scan and checks it against the limits.

use super::limits::{FREE_OUTPUT, Limits};
use crate::error::{ComponentError, LimitKind};

/// The output of a scan so far.
#[derive(Debug)]
pub(crate) struct OutputCounter {
    limits: Limits,
    /// The largest number of rows in a batch.
    batch_rows: u64,
    rows: u64,
    bytes: u64,
    /// The number of empty batches since the last batch with rows.
    empty: u32,
}

impl OutputCounter {
    /// Creates a counter for a scan with these limits that has asked for batches of at most `batch_rows` rows.
    pub(crate) fn new(limits: Limits, batch_rows: u64) -> Self {
        Self {
            limits,
            batch_rows: batch_rows.min(limits.batch_rows as u64),
            rows: 0,
            bytes: 0,
            empty: 0,
        }
    }

    /// Counts a batch of a scan that has read `input` bytes. Call it before the batch is decoded.
    ///
    /// Fails if a limit is exceeded.
    pub(crate) fn count(
        &mut self,
        rows: u64,
        bytes: u64,
        input: u64,
    ) -> Result<(), ComponentError> {
        self.rows = self.rows.saturating_add(rows);
        self.bytes = self.bytes.saturating_add(bytes);
        self.empty = if rows == 0 { self.empty + 1 } else { 0 };
        let for_input = self.limits.output_per_input.saturating_mul(input);
        let output_bytes = self
            .limits
            .output_bytes
            .min(for_input.saturating_add(FREE_OUTPUT));
        let counts = [
            (LimitKind::BatchRows, rows, self.batch_rows),
            (LimitKind::BatchBytes, bytes, self.limits.batch_bytes as u64),
            (
                LimitKind::EmptyBatches,
                self.empty.into(),
                self.limits.empty_batches.into(),
            ),
            (LimitKind::OutputRows, self.rows, self.limits.output_rows),
            (LimitKind::OutputBytes, self.bytes, output_bytes),
        ];
        let exceeded = counts.into_iter().find(|(_, count, limit)| count > limit);
        match exceeded {
            Some((limit, _, at_most)) => Err(ComponentError::Limit { limit, at_most }),
            None => Ok(()),
        }
    }

    /// Returns the number of rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the number of bytes of batches so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceeded(result: Result<(), ComponentError>) -> LimitKind {
        match result {
            Err(ComponentError::Limit { limit, .. }) => limit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_limit_ends_a_scan() {
        let limits = Limits::new()
            .batch_rows(100)
            .batch_bytes(1_000)
            .output_rows(150)
            .output_bytes(1_500)
            .empty_batches(2);
        let output = || OutputCounter::new(limits, 200);
        assert_eq!(exceeded(output().count(101, 1, 1)), LimitKind::BatchRows);
        assert_eq!(exceeded(output().count(1, 1_001, 1)), LimitKind::BatchBytes);
        let mut rows = output();
        rows.count(100, 1, 1).unwrap();
        rows.count(50, 1, 1).unwrap();
        assert_eq!(exceeded(rows.count(1, 1, 1)), LimitKind::OutputRows);
        let mut bytes = output();
        bytes.count(1, 1_000, 1).unwrap();
        assert_eq!(exceeded(bytes.count(1, 501, 1)), LimitKind::OutputBytes);
        let mut empty = output();
        empty.count(0, 1, 1).unwrap();
        empty.count(0, 1, 1).unwrap();
        empty.count(1, 1, 1).unwrap();
        empty.count(0, 1, 1).unwrap();
        empty.count(0, 1, 1).unwrap();
        assert_eq!(exceeded(empty.count(0, 1, 1)), LimitKind::EmptyBatches);
        assert_eq!(
            exceeded(OutputCounter::new(limits, 10).count(11, 1, 1)),
            LimitKind::BatchRows
        );
    }

    /// A component that makes rows out of nothing is stopped long before the limit on all output.
    #[test]
    fn limits_the_output_by_the_input() {
        let mut output = OutputCounter::new(Limits::new(), 8192);
        for _ in 0..64 {
            output.count(1, 1 << 20, 100).unwrap();
        }
        assert_eq!(
            exceeded(output.count(1, 1 << 20, 100)),
            LimitKind::OutputBytes
        );
        // A larger input allows more output.
        let mut output = OutputCounter::new(Limits::new(), 8192);
        for _ in 0..128 {
            output.count(1, 1 << 20, 1 << 20).unwrap();
        }
    }
}
