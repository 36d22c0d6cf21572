//! Messages on standard error, in colour on a terminal.
//!
//! With `--log-format json` each message is an event of the log, so that a log collector gets nothing but JSON.

use std::io::Write;
use std::path::Path;

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

/// Prints something that is useful to know.
pub(crate) fn note(message: &str) {
    print(Kind::Note, message);
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

/// Prints the findings of a scan, one per line. `file` is the extract, if there are several.
pub(crate) fn findings(summary: &Summary, file: Option<&Path>) {
    let file = prefix(file);
    for finding in &summary.findings {
        let text = format!(
            "{file}{} ({}): {}",
            finding.code,
            HumanCount(finding.count),
            finding.message
        );
        print(finding.level.into(), &text);
    }
}

/// Prints an error about a file.
pub(crate) fn error_in(file: Option<&Path>, message: &str) {
    error(&format!("{}{message}", prefix(file)));
}

/// Returns the name of the file for the beginning of a message. A file can be named by a person number.
fn prefix(file: Option<&Path>) -> String {
    let name = file.map(|file| cprflow_redact::redact(&file.display().to_string(), 200));
    name.map(|name| format!("{name}: ")).unwrap_or_default()
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
    if log::is_quiet() && !matches!(kind, Kind::Error) {
        return;
    }
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
