//! Tests that kill a run at every step.

mod sync;
mod tenants;
