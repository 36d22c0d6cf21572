//! The current tables of a dataset: every table as it is now, made from the extracts in the register.
//!
//! They are made anew after each run that applied an extract, and once a day, because everybody is judged each day: a
//! child who turns five enters a scope although nothing was delivered that night.
//!
//! | module | contents |
//! |---|---|
//! | `history` | the counts of past generations, for reports |
//! | `inputs` | the extracts that the tables are made from |
//! | `protections` | the persons whom each agreement of a tenant protects |
//! | `comparison` | the persons with whom those in scope are compared |
//! | `clock` | whether the clock may be wrong |
//! | `plan` | whether a new generation is needed, and its number and day |
//! | `outlived` | which older generations of a tenant may stay |
//! | `rosters` | the persons in a tenant's scope in each generation |
//! | `tables` | reads the extracts and writes the tables |
//! | `update` | makes a generation, switches to it, and removes older ones |
//! | `error` | [`CurrentError`] |

mod clock;
mod comparison;
mod error;
mod history;
mod inputs;
mod outlived;
mod plan;
mod protections;
mod rosters;
mod tables;
mod update;

pub(crate) use clock::check_clock;
pub use error::CurrentError;
pub(crate) use history::for_each_row;
pub use history::{PastGeneration, past_generations};
pub(crate) use inputs::{Inputs, RegisterSource};
pub(crate) use outlived::{forget_shown, shown_lists};
pub(crate) use protections::protected_persons;
pub(crate) use update::{Check, CurrentTables, Purposes, TenantRules, withdraw};
