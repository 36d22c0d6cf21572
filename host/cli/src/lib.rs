//! The command `cprflow` as a library: [`main_with`] runs a command line. `cprflow --help` explains its use.
//!
//! The program `cprflow` and the command of the Python package both call it.
//!
//! | module | content |
//! |---|---|
//! | `command_line` | the whole command line; runs the subcommand |
//! | `tables`, `schema`, `codes` | subcommands that list tables, columns and the meaning of codes |
//! | `scan`, `verify`, `generate`, `write` | subcommands for one extract |
//! | `sync`, `inbox`, `status`, `retry`, `set_aside`, `deliveries`, `expire` | subcommands for deliveries |
//! | `erase` | the subcommand that erases persons, agreements and tenants |
//! | `backup`, `restore` | subcommands that back up the state directory and restore it |
//! | `report` | subcommand that writes an HTML page about deliveries and tenants |
//! | `register` | subcommands for the kept extracts |
//! | `init`, `doctor`, `tenant`, `agreement` | subcommands for the configuration |
//! | `subscription` | subcommands that show and change what the platform delivers |
//! | `views`, `ddl`, `completions` | subcommands that print SQL and shell scripts |
//! | `man` | hidden subcommand that writes the manual pages, for packages |
//! | `export` | says that this subcommand is part of the Python package |
//! | `compile_component` | hidden subcommand that compiles a foreign component |
//! | `options` | options that several subcommands share |
//! | `input` | extracts as input: files, directories or standard input |
//! | `table_name` | tables and columns by what a person writes |
//! | `output` | tables, rows and JSON on standard output; messages and progress bars on standard error |
//! | `metrics` | the option that writes Prometheus text |
//! | `log` | the log on standard error |
//! | `usage` | `UsageError`: wrong use of the command line |
//! | `failure` | how a command ends, and its exit code |

mod agreement;
mod backup;
mod codes;
mod command_line;
mod compile_component;
mod completions;
mod ddl;
mod deliveries;
mod doctor;
mod erase;
mod expire;
mod export;
mod failure;
mod generate;
mod inbox;
mod init;
mod input;
mod log;
mod man;
mod metrics;
mod options;
mod output;
mod reconcile;
mod register;
mod report;
mod restore;
mod retry;
mod scan;
mod schema;
mod set_aside;
mod status;
mod subscription;
mod sync;
mod table_name;
mod tables;
mod tenant;
mod usage;
mod verify;
mod views;
mod write;

pub use command_line::main_with;
