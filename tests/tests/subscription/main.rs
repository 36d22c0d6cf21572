//! Tests of the subscription service: messages, commands, faults.

mod command;
mod faults;
mod few_threads;
mod foreign_server;
mod messages;
mod odd_service;
mod removal;
mod stand_in;
