//! The output of the quickstart: numbered steps, commands, facts in a column, rows in a frame. It is coloured on a
//! terminal.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use indicatif::ProgressBar;

use super::{Outcome, command};

/// Prints the steps of the quickstart to standard output.
pub(crate) struct StepPrinter<'a> {
    out: anstream::AutoStream<std::io::Stdout>,
    /// Where the commands run.
    directory: &'a Path,
    step: usize,
    steps: usize,
}

impl<'a> StepPrinter<'a> {
    /// Makes a printer for this number of steps, whose commands run in a directory.
    pub(crate) fn new(steps: usize, directory: &'a Path) -> Self {
        Self {
            out: anstream::stdout(),
            directory,
            step: 0,
            steps,
        }
    }

    /// Prints the number and title of the next step.
    pub(crate) fn step(&mut self, title: &str) -> Outcome<()> {
        self.step += 1;
        let bold = bold(AnsiColor::Green);
        let (step, steps) = (self.step, self.steps);
        Ok(writeln!(
            self.out,
            "\n{bold}{step}/{steps}  {title}{bold:#}"
        )?)
    }

    /// Prints a command as one would type it, and runs it.
    pub(crate) fn command(&mut self, arguments: &[&str]) -> Outcome<()> {
        match self.run(arguments)? {
            Some(0) => Ok(()),
            _ => Err(format!(
                "`cprflow {}` has failed. The files are in {}",
                arguments.join(" "),
                self.directory.display()
            )
            .into()),
        }
    }

    /// Prints and runs a command that is to find a problem, and prints its exit code.
    pub(crate) fn command_that_fails(&mut self, arguments: &[&str]) -> Outcome<()> {
        match self.run(arguments)? {
            Some(code @ 1..) => self.line(&format!("exit code {code}")),
            _ => Err(format!("`cprflow {}` has found no problem", arguments.join(" ")).into()),
        }
    }

    /// Prints and runs a command, and returns its exit code.
    fn run(&mut self, arguments: &[&str]) -> Outcome<Option<i32>> {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let bold = Style::new().bold();
        let words = words.join(" ");
        writeln!(self.out, "\n   {bold}$ cprflow {words}{bold:#}")?;
        self.out.flush()?;
        Ok(command::run(self.directory, arguments)?.code())
    }

    /// Prints a title after the last step.
    pub(crate) fn closing_title(&mut self, title: &str) -> Outcome<()> {
        let bold = bold(AnsiColor::Green);
        Ok(writeln!(self.out, "\n{bold}{title}{bold:#}")?)
    }

    /// Prints an indented line.
    pub(crate) fn line(&mut self, text: &str) -> Outcome<()> {
        Ok(writeln!(self.out, "     {text}")?)
    }

    /// Prints a name and its value on a line.
    pub(crate) fn value(&mut self, name: &str, value: &str) -> Outcome<()> {
        let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        Ok(writeln!(self.out, "     {cyan}{name:14}{cyan:#} {value}")?)
    }

    /// Prints up to `most` rows of a table, with a title.
    pub(crate) fn rows(&mut self, title: &str, rows: &RecordBatch, most: usize) -> Outcome<()> {
        self.line(&format!("{title}:"))?;
        let rows = rows.slice(0, most.min(rows.num_rows()));
        for line in pretty_format_batches(&[rows])?.to_string().lines() {
            self.line(line)?;
        }
        Ok(())
    }

    /// Calls `action` and prints how long it took. While it runs, a terminal shows a spinner.
    pub(crate) fn timed<T, E>(
        &mut self,
        what: &str,
        action: impl FnOnce() -> Result<T, E>,
    ) -> Outcome<T>
    where
        Box<dyn Error>: From<E>,
    {
        let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        let started = Instant::now();
        let result = action();
        spinner.finish_and_clear();
        let result = result?;
        let dim = Style::new().dimmed();
        let seconds = started.elapsed().as_secs_f64();
        writeln!(self.out, "     {dim}{what}: {seconds:.1} s{dim:#}")?;
        Ok(result)
    }
}

/// Prints the error that ended the quickstart.
pub(crate) fn print_error(error: &dyn Error) {
    let red = bold(AnsiColor::Red);
    // Standard error may be closed; then the error cannot be printed anywhere.
    let _ = writeln!(anstream::stderr(), "{red}error{red:#}: {error}");
}

/// Returns an argument as one would type it in a shell.
fn quoted(argument: &str) -> String {
    match argument.contains([' ', '*', '>', '<', '(']) {
        true => format!("\"{argument}\""),
        false => argument.to_owned(),
    }
}

fn bold(color: AnsiColor) -> Style {
    Style::new().bold().fg_color(Some(color.into()))
}
