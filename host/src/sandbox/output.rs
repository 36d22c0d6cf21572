//! What has come out of a scan so far, held against its limits.

use super::limits::{FREE_OUTPUT, LimitKind, Limits};
use crate::error::ComponentError;

/// The count of what a scan has made.
#[derive(Debug)]
pub(crate) struct Output {
    limits: Limits,
    /// Rows that the scan asked for in a batch at the most.
    batch_rows: u64,
    rows: u64,
    bytes: u64,
    /// Batches without a row since the last with one.
    empty: u32,
}

impl Output {
    /// Of a scan with these limits, which has asked for batches of so many rows at the most.
    pub(crate) fn new(limits: Limits, batch_rows: u64) -> Self {
        Self {
            limits,
            batch_rows: batch_rows.min(limits.batch_rows as u64),
            rows: 0,
            bytes: 0,
            empty: 0,
        }
    }

    /// Counts a batch, before it is looked into, of a scan that has been given so many bytes.
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
        let passed = counts.into_iter().find(|(_, count, limit)| count > limit);
        match passed {
            Some((limit, _, at_most)) => Err(ComponentError::Limit { limit, at_most }),
            None => Ok(()),
        }
    }

    /// The limits that it is held against.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(result: Result<(), ComponentError>) -> LimitKind {
        match result {
            Err(ComponentError::Limit { limit, .. }) => limit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_limit_ends_a_scan() {
        let limits = Limits::new()
            .batch_rows(100)
            .batch_bytes(1_000)
            .output_rows(150)
            .output_bytes(1_500)
            .empty_batches(2);
        let output = || Output::new(limits, 200);
        assert_eq!(passed(output().count(101, 1, 1)), LimitKind::BatchRows);
        assert_eq!(passed(output().count(1, 1_001, 1)), LimitKind::BatchBytes);
        let mut rows = output();
        rows.count(100, 1, 1).unwrap();
        rows.count(50, 1, 1).unwrap();
        assert_eq!(passed(rows.count(1, 1, 1)), LimitKind::OutputRows);
        let mut bytes = output();
        bytes.count(1, 1_000, 1).unwrap();
        assert_eq!(passed(bytes.count(1, 501, 1)), LimitKind::OutputBytes);
        let mut empty = output();
        empty.count(0, 1, 1).unwrap();
        empty.count(0, 1, 1).unwrap();
        empty.count(1, 1, 1).unwrap();
        empty.count(0, 1, 1).unwrap();
        empty.count(0, 1, 1).unwrap();
        assert_eq!(passed(empty.count(0, 1, 1)), LimitKind::EmptyBatches);
        assert_eq!(
            passed(Output::new(limits, 10).count(11, 1, 1)),
            LimitKind::BatchRows
        );
    }

    /// Rows out of nothing end long before the limit for all of Denmark.
    #[test]
    fn output_keeps_to_the_input() {
        let mut output = Output::new(Limits::new(), 8192);
        for _ in 0..64 {
            output.count(1, 1 << 20, 100).unwrap();
        }
        assert_eq!(
            passed(output.count(1, 1 << 20, 100)),
            LimitKind::OutputBytes
        );
        // A large input allows for more.
        let mut output = Output::new(Limits::new(), 8192);
        for _ in 0..128 {
            output.count(1, 1 << 20, 1 << 20).unwrap();
        }
    }
}
