//! Tests of the daily job, from an inbox to a dataset, with faults of every kind.

mod answers;
mod backup;
mod current;
mod daily_job;
mod erase;
mod erase_exports;
mod faults;
mod few_threads;
mod kept_again;
mod manners;
mod purpose;
mod quickstart;
mod reconcile;
mod register_state;
mod rename;
mod retention;
mod switching;
mod unusual;
mod views;
