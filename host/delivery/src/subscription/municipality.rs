//! The codes of Denmark's municipalities.
//!
//! The platform accepts any number as a municipality code and delivers no persons for a wrong one, without an error.

/// Returns the name of the municipality with this code of four digits; `None` if no such municipality exists today.
pub fn municipality_name(code: &str) -> Option<&'static str> {
    cprflow_connector::codes::municipality_name(code)
}
