//! Messages on standard error, in colour on a terminal.
//!
//! With `--log-format json` each message is an event of the log, so that a log collector gets nothing but JSON.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use cprflow::{Level, Summary};
use cprflow_delivery::sync::RunProblem;
use indicatif::HumanCount;

use crate::log;

/// Prints an error.
pub(crate) fn error(message: &str) {
    print(Kind::Error, message);
}

/// Prints a warning.
pub(crate) fn warning(message: &str) {
    print(Kind::Warning, message);
}

/// Prints what the command did.
pub(crate) fn done(message: &str) {
    print(Kind::Done, message);
}

/// Prints an error of a run that continued.
pub(crate) fn problem(problem: &RunProblem) {
    match log::is_json() {
        true => tracing::error!(
            agreement = problem.agreement,
            tenant = problem.tenant,
            error = %problem.error,
            "a part of the run failed"
        ),
        false => error(&problem.to_string()),
    }
}

/// Prints the findings of a scan, one per line.
pub(crate) fn findings(summary: &Summary) {
    for finding in &summary.findings {
        let text = format!(
            "{} ({}): {}",
            finding.code,
            HumanCount(finding.count),
            finding.message
        );
        print(finding.level.into(), &text);
    }
}

/// Returns the colour and the name of a level.
pub(crate) fn level(level: Level) -> (AnsiColor, &'static str) {
    Kind::from(level).label()
}

#[derive(Clone, Copy)]
enum Kind {
    Error,
    Warning,
    Note,
    Done,
}

impl Kind {
    const fn label(self) -> (AnsiColor, &'static str) {
        match self {
            Self::Error => (AnsiColor::Red, "error"),
            Self::Warning => (AnsiColor::Yellow, "warning"),
            Self::Note => (AnsiColor::Cyan, "note"),
            Self::Done => (AnsiColor::Green, "done"),
        }
    }
}

impl From<Level> for Kind {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Note => Self::Note,
        }
    }
}

fn print(kind: Kind, message: &str) {
    if log::is_json() {
        return match kind {
            Kind::Error => tracing::error!("{message}"),
            Kind::Warning => tracing::warn!("{message}"),
            Kind::Note | Kind::Done => tracing::info!("{message}"),
        };
    }
    let (color, label) = kind.label();
    let style = Style::new().bold().fg_color(Some(color.into()));
    // If standard error is closed, the message has no reader, and the exit code remains.
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {message}");
}
