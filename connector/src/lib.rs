//! cprflow connector
pub mod layout;
