//! What the quickstart looks like: numbered steps, facts in a column, rows as a frame; in colour on a terminal.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use indicatif::ProgressBar;

use super::Outcome;

/// Where the steps are shown.
pub(crate) struct Stage {
    out: anstream::AutoStream<std::io::Stdout>,
    step: usize,
    steps: usize,
}

impl Stage {
    /// A stage for so many steps.
    pub(crate) fn new(steps: usize) -> Self {
        Self {
            out: anstream::stdout(),
            step: 0,
            steps,
        }
    }

    /// The next step, and the command that does the same.
    pub(crate) fn step(&mut self, title: &str, command: &str) -> Outcome<()> {
        self.step += 1;
        let (bold, dim) = (bold(AnsiColor::Green), Style::new().dimmed());
        let command = match command {
            "" => String::new(),
            command => format!("   {dim}$ {command}{dim:#}"),
        };
        let (step, steps) = (self.step, self.steps);
        writeln!(self.out, "\n{bold}{step}/{steps}  {title}{bold:#}{command}")?;
        Ok(())
    }

    /// What comes after the last step.
    pub(crate) fn end(&mut self, title: &str) -> Outcome<()> {
        let bold = bold(AnsiColor::Green);
        Ok(writeln!(self.out, "\n{bold}{title}{bold:#}")?)
    }

    /// A line.
    pub(crate) fn say(&mut self, text: &str) -> Outcome<()> {
        Ok(writeln!(self.out, "     {text}")?)
    }

    /// A line with a name in front.
    pub(crate) fn fact(&mut self, name: &str, value: &str) -> Outcome<()> {
        let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        Ok(writeln!(self.out, "     {cyan}{name:14}{cyan:#} {value}")?)
    }

    /// The first rows of a table.
    pub(crate) fn rows(&mut self, title: &str, rows: &RecordBatch, most: usize) -> Outcome<()> {
        self.say(&format!("{title}:"))?;
        let rows = rows.slice(0, most.min(rows.num_rows()));
        for line in pretty_format_batches(&[rows])?.to_string().lines() {
            self.say(line)?;
        }
        Ok(())
    }

    /// Does something that takes its time, and says how much it took. A terminal sees that it goes on.
    pub(crate) fn working<T, E>(
        &mut self,
        what: &str,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Outcome<T>
    where
        Box<dyn Error>: From<E>,
    {
        let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        let begun = Instant::now();
        let done = act();
        spinner.finish_and_clear();
        let done = done?;
        let dim = Style::new().dimmed();
        let took = begun.elapsed().as_secs_f64();
        writeln!(self.out, "     {dim}{what}: {took:.1} s{dim:#}")?;
        Ok(done)
    }
}

/// Why it ended before its end.
pub(crate) fn failed(error: &dyn Error) {
    let red = bold(AnsiColor::Red);
    // Nobody may be listening, and then there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{red}error{red:#}: {error}");
}

fn bold(color: AnsiColor) -> Style {
    Style::new().bold().fg_color(Some(color.into()))
}
