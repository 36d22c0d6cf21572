//! Tests that kill a run at every step.

mod current;
mod erase;
mod produce_again;
mod sync;
mod tenants;
