//! The findings that a configuration or an operator can accept.

use crate::routing::ROUTING_MISMATCH;

/// The findings of level error that an agreement can accept: those with which an extract is still whole.
pub const ACCEPTABLE: [&str; 8] = [
    "missing-start",
    "missing-end",
    "count-mismatch",
    "damaged-encoding",
    "records-after-end",
    "nothing-known",
    "protection-unreadable",
    "control-characters",
];

/// The reasons that an operator can accept for one delivery (`cprflow retry --accept`), beside [`ACCEPTABLE`]. An
/// agreement cannot accept them for all its deliveries.
pub const ACCEPTABLE_ONCE: [&str; 3] = [SAME_CONTENT, FUTURE_DATE, ROUTING_MISMATCH];

/// The reason code of a delivery that has the bytes of a published delivery of its agreement.
pub(crate) const SAME_CONTENT: &str = "same-content";

/// The reason code of a delivery that was produced after the present day.
pub(crate) const FUTURE_DATE: &str = "future-date";
