//! The log on standard error: lines for people, or JSON for the collector of a service.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

static QUIET: OnceLock<bool> = OnceLock::new();
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Returns whether everything on standard error has to be JSON.
pub(crate) fn is_json() -> bool {
    matches!(FORMAT.get(), Some(LogFormat::Json))
}

/// Returns whether only errors are to be printed on standard error.
pub(crate) fn is_quiet() -> bool {
    QUIET.get().copied().unwrap_or_default()
}

/// The options of the log.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogOptions {
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value_t, global = true)]
    log_format: LogFormat,

    /// Lowest level to log: error, warn, info, debug or trace. Default: warn, or info with
    /// --log-format json
    #[arg(long, value_name = "LEVEL", env = "CPRFLOW_LOG", global = true)]
    log_level: Option<tracing::Level>,

    /// Print only errors on standard error: no progress, warnings or notes
    #[arg(long, short, global = true, conflicts_with = "log_level")]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

impl LogOptions {
    /// Starts the log. Events of libraries are left out, because only those of cprflow are known to contain no personal
    /// data.
    pub(crate) fn start(&self) {
        // `start` is called once per process, so none of these calls can fail.
        let _ = FORMAT.set(self.log_format);
        let _ = QUIET.set(self.quiet);
        let level = self.log_level.unwrap_or(match self.log_format {
            _ if self.quiet => tracing::Level::ERROR,
            LogFormat::Text => tracing::Level::WARN,
            LogFormat::Json => tracing::Level::INFO,
        });
        let filter = EnvFilter::new(format!("off,cprflow={level}"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr);
        let _ = match self.log_format {
            LogFormat::Text => log
                .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
                .with_target(false)
                .try_init(),
            LogFormat::Json => log.json().flatten_event(true).try_init(),
        };
    }
}
