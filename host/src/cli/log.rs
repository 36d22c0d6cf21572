//! The log: events on standard error, for people or for a service's collector.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

static FORMAT: OnceLock<Format> = OnceLock::new();

/// Whether all that is said on standard error is JSON.
pub(crate) fn is_json() -> bool {
    matches!(FORMAT.get(), Some(Format::Json))
}

/// How events are logged.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct Log {
    /// How to write the log, on standard error
    #[arg(long, value_enum, default_value_t, global = true)]
    log_format: Format,

    /// What to log: error, warn, info, debug or trace. Warnings by default; with JSON, info
    #[arg(long, value_name = "LEVEL", env = "CPRFLOW_LOG", global = true)]
    log_level: Option<tracing::Level>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

impl Log {
    /// Begins to log. Events of libraries are left out: only cprflow's are known to hold no personal data.
    pub(crate) fn begin(&self) {
        // It begins once.
        let _ = FORMAT.set(self.log_format);
        let level = self.log_level.unwrap_or(match self.log_format {
            Format::Text => tracing::Level::WARN,
            Format::Json => tracing::Level::INFO,
        });
        let filter = EnvFilter::new(format!("off,cprflow={level}"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr);
        // Setting it fails only if it is set already, and then there is a log.
        let _ = match self.log_format {
            Format::Text => log
                .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
                .with_target(false)
                .try_init(),
            Format::Json => log.json().flatten_event(true).try_init(),
        };
    }
}
