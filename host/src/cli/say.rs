//! Words to people on standard error, in colour on a terminal.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use cprflow::{Level, Summary};
use indicatif::HumanCount;

/// Why the command failed.
pub(crate) fn error(message: &str) {
    line(AnsiColor::Red, "error", message);
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
    let style = Style::new().bold().fg_color(Some(color.into()));
    // Nobody may be listening, and then there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}: {message}");
}
