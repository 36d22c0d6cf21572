//! Tests of scans: rows, files and messages that an extract is turned into.

mod all_of_denmark;
mod bad_input;
mod codes;
mod command;
mod conformance;
mod cut_off;
mod distributed;
mod engines;
mod handmade;
mod limits;
mod manners;
mod messages;
mod metadata;
mod native;
mod output;
mod predicates;
mod round_trip;
mod sandbox;
mod start;
mod threads;
