//! Tests with components that attack their host. `docs/hostile.md` has a line for each of these tests.

mod batches;
mod catalog;
mod imports;
mod load;
mod memory;
mod output;
mod parts;
mod selection;
mod spin;
mod state;
mod table;
