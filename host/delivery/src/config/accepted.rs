//! The findings that a configuration or an operator can accept.

/// The findings of level error that an agreement can accept: those with which an extract is still whole.
pub const ACCEPTABLE: [&str; 7] = [
    "missing-start",
    "missing-end",
    "count-mismatch",
    "damaged-encoding",
    "records-after-end",
    "protection-unreadable",
    "control-characters",
];
