//! Words to people on standard error, in colour on a terminal. Where the log is JSON, they are events of it: whoever
//! collects it gets nothing else on that stream.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use cprflow::sync::Problem;
use cprflow::{Level, Summary};
use indicatif::HumanCount;

use super::log;

/// Why the command failed.
pub(crate) fn error(message: &str) {
    line(AnsiColor::Red, "error", message);
}

/// What went wrong in a run that went on.
pub(crate) fn problem(problem: &Problem) {
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

/// The findings of a scan, the notes in one line.
pub(crate) fn findings(summary: &Summary) {
    for finding in &summary.findings {
        let (color, word) = level(finding.level);
        let text = format!(
            "{} ({}): {}",
            finding.code,
            HumanCount(finding.count),
            finding.message
        );
        line(color, word, &text);
    }
}

/// What went well.
pub(crate) fn done(message: &str) {
    line(AnsiColor::Green, "done", message);
}

/// What a person should know before going on.
pub(crate) fn warning(message: &str) {
    line(AnsiColor::Yellow, "warning", message);
}

/// The colour and the word of a level.
pub(crate) fn level(level: Level) -> (AnsiColor, &'static str) {
    match level {
        Level::Error => (AnsiColor::Red, "error"),
        Level::Warning => (AnsiColor::Yellow, "warning"),
        Level::Note => (AnsiColor::Cyan, "note"),
    }
}

fn line(color: AnsiColor, word: &str, message: &str) {
    if log::is_json() {
        return match word {
            "error" => tracing::error!("{message}"),
            "warning" => tracing::warn!("{message}"),
            _ => tracing::info!("{message}"),
        };
    }
    let style = Style::new().bold().fg_color(Some(color.into()));
    // Nobody may be listening, and then there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}: {message}");
}
