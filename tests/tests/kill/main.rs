//! Tests that kill a run at every step.

mod current;
mod sync;
mod tenants;
