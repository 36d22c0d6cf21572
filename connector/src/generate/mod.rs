//! Makes synthetic extracts: a population that nobody is part of, its status file and its change files.
//!
//! Everything follows from [`Settings`]: the same settings give the same bytes. A family is made when it is
//! written and forgotten after, so a file of any size needs no more memory than one of a hundred persons.
//! Every number fails modulus 11, which the numbers issued until 2007 satisfy.
//!
//! ```
//! use cprflow_connector::generate::{Settings, changes, status};
//!
//! # fn main() -> std::io::Result<()> {
//! let settings = Settings::new(500, 1);
//! let mut extract = Vec::new();
//! let written = status(&settings, &mut extract)?;
//! assert_eq!(written.persons, 500);
//! assert_eq!(written.bytes, extract.len() as u64);
//!
//! let mut next_night = Vec::new();
//! assert!(changes(&settings, 1, &mut next_night)?.persons > 0);
//! # Ok(())
//! # }
//! ```

mod calendar;
mod change;
mod family;
mod founding;
mod names;
mod number;
mod person;
mod places;
mod population;
mod records;
mod rng;
mod traits;

use std::io::{self, BufWriter, Write};

pub use calendar::Day;
pub use person::{Person, population};

pub use crate::emit::Shape;
use crate::emit::{Emitter, RecordBuffer};
use change::Event;
use family::Entry;
use number::{MAX_FAMILIES, Number};
use population::{Population, Step};
use records::{Part, Recorder, of};
use rng::Key;

/// What to make.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many person numbers the status file of the first day has.
    pub persons: u64,
    /// Another seed gives another population.
    pub seed: u64,
    /// How records follow each other.
    pub shape: Shape,
    /// In which order a person's records come.
    pub order: Order,
    /// Which lengths 001 and 002 have.
    pub layout: LayoutAge,
    /// The task number in the start record, six digits.
    pub task_number: String,
    /// The production date of the first status file, in 2001 to 2035.
    pub first_day: Day,
    /// The status file shows the population after this many nights of changes.
    pub night: u32,
}

impl Settings {
    /// So many persons, in the shape and order of the public test extracts and today's layout.
    pub fn new(persons: u64, seed: u64) -> Self {
        Self {
            persons,
            seed,
            shape: Shape::Trimmed,
            order: Order::SecondPass,
            layout: LayoutAge::Current,
            task_number: "431101".to_owned(),
            first_day: Day::DEFAULT,
            night: 0,
        }
    }

    /// The production date of a night's extract: the first day's, or that of the working day so many later.
    pub fn production_date(&self, night: u32) -> Day {
        self.first_day.working_day_after(night)
    }

    fn check(&self) -> io::Result<()> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.persons > MAX_PERSONS {
            return refuse("more persons than there are numbers for");
        }
        if !(2001..=2035).contains(&self.first_day.year()) {
            return refuse("the first day must be in 2001 to 2035");
        }
        if self.task_number.len() != 6
            || !self.task_number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return refuse("a task number has six digits");
        }
        Ok(())
    }
}

/// The order of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A person's records stand together.
    ByPerson,
    /// All 003 records follow after the last person's other records, as in the public test extracts.
    SecondPass,
}

/// Which edition of the layouts is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutAge {
    /// 001 of 121 bytes and 002 of 382.
    Current,
    /// 001 of 106 bytes and 002 of 306.
    Original,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Records of all types, start and end record among them.
    pub records: u64,
    /// Bytes, line ends among them.
    pub bytes: u64,
    /// Person numbers delivered, one 001 record each.
    pub persons: u64,
}

/// What a subscriber's extract has of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All that is true of it, without events, as in a status file.
    Everything,
    /// All that is true of it, with the night's events, if the night touched it, as in a change file.
    Changes,
}

/// Writes a status file: the initial load, everyone with all that is true of them.
pub fn status(settings: &Settings, out: &mut impl Write) -> io::Result<Written> {
    Extract::start(settings, settings.night, None, out)?.finish(|step| {
        Ok(step
            .family
            .entries()
            .map(|entry| (entry, Vec::new()))
            .collect())
    })
}

/// Writes the change file of a night, the first being 1: whoever was touched, with all that is true of them after it.
pub fn changes(settings: &Settings, night: u32, out: &mut impl Write) -> io::Result<Written> {
    let Some(before) = night.checked_sub(1) else {
        let why = "the first night is number 1";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    };
    let previous = Some(settings.production_date(before));
    Extract::start(settings, night, previous, out)?.finish(|step| step.touched(settings.first_day))
}

/// Writes a subscriber's extract of a night (0 is the first day): of each number, what `share` says.
///
/// `share` is asked more than once about a number and must say the same each time. The extract has no input
/// errors, for a subscriber has sent none.
pub fn subscribed(
    settings: &Settings,
    night: u32,
    previous: Option<Day>,
    share: impl Fn(&str) -> Option<Share>,
    out: &mut impl Write,
) -> io::Result<Written> {
    let mut extract = Extract::start(settings, night, previous, out)?;
    extract.input_errors = &[];
    extract.finish(|step| {
        let touched = step.touched(settings.first_day)?;
        let delivered = step.family.entries().filter_map(|entry| {
            match share(step.family.number(entry).as_str())? {
                Share::Everything => Some((entry, Vec::new())),
                Share::Changes => touched.iter().find(|(known, _)| *known == entry).cloned(),
            }
        });
        Ok(delivered.collect())
    })
}

/// An extract in the making.
struct Extract<'a, W: Write> {
    settings: &'a Settings,
    night: u32,
    input_errors: &'static [(&'static str, &'static str)],
    emitter: Emitter<BufWriter<W>>,
}

/// What is delivered of a family: entries and the events that deliver them.
type Delivered = Vec<(Entry, Vec<Event>)>;

impl<'a, W: Write> Extract<'a, W> {
    fn start(
        settings: &'a Settings,
        night: u32,
        previous: Option<Day>,
        out: W,
    ) -> io::Result<Self> {
        settings.check()?;
        let mut emitter = Emitter::new(BufWriter::with_capacity(1 << 16, out), settings.shape);
        let mut record = RecordBuffer::new(of("000"));
        record
            .set("sort_key", "0000000000")
            .set("task_number", &settings.task_number)
            .set(
                "production_date",
                &settings.production_date(night).compact(),
            )
            .set(
                "previous_production_date",
                &previous.map(Day::compact).unwrap_or_default(),
            );
        emitter.write_buffer(&record)?;
        Ok(Self {
            settings,
            night,
            input_errors: &INPUT_ERRORS,
            emitter,
        })
    }

    fn finish(mut self, delivered: impl Fn(&Step) -> io::Result<Delivered>) -> io::Result<Written> {
        let persons = match self.settings.order {
            Order::ByPerson => self.pass(Part::All, &delivered)?,
            Order::SecondPass => {
                let persons = self.pass(Part::First, &delivered)?;
                self.pass(Part::Second, &delivered)?;
                persons
            }
        };
        self.end()?;
        let (records, bytes) = (self.emitter.records(), self.emitter.bytes());
        self.emitter.into_inner().flush()?;
        Ok(Written {
            records,
            bytes,
            persons,
        })
    }

    /// Writes that part of everyone's records and counts the persons.
    fn pass(
        &mut self,
        part: Part,
        delivered: impl Fn(&Step) -> io::Result<Delivered>,
    ) -> io::Result<u64> {
        let Settings {
            seed,
            persons,
            layout,
            first_day,
            ..
        } = *self.settings;
        let mut count = 0;
        for step in Population::new(seed, persons, first_day, self.night) {
            for (entry, events) in delivered(&step)? {
                Recorder::new(&mut self.emitter, layout, first_day).write(
                    &step.family,
                    entry,
                    &events,
                    part,
                )?;
                if part != Part::Second {
                    self.receipt(&step, entry, &events)?;
                }
                count += 1;
            }
        }
        Ok(count)
    }

    /// A subscription to a number that has changed is deleted.
    fn receipt(&mut self, step: &Step, entry: Entry, events: &[Event]) -> io::Result<()> {
        let Some(event) = events.iter().find(|event| event.under_former) else {
            return Ok(());
        };
        let mut record = RecordBuffer::new(of("997"));
        record
            .set("pnr", step.family.number(entry).as_str())
            .set(
                "registered",
                &event
                    .registered
                    .map(|at| at.timestamp())
                    .unwrap_or_default(),
            )
            .set("event_code", "A45");
        self.emitter.write_buffer(&record)
    }

    /// The end record, and after it what CPR rejected of the customer's input.
    fn end(&mut self) -> io::Result<()> {
        // Everything but the start record, which is written already.
        let count = (self.emitter.records() - 1).min(99_999_999);
        let mut record = RecordBuffer::new(of("999"));
        record
            .set("sort_key", "9999999999")
            .set("record_count", &format!("{count:08}"));
        self.emitter.write_buffer(&record)?;

        for (place, &(number, text)) in self.input_errors.iter().enumerate() {
            let key = Key::new(self.settings.seed)
                .with(u64::from(self.night))
                .with(place as u64);
            let rejected = Number::of_nobody(key);
            let mut record = RecordBuffer::new(of("910"));
            record
                .set("sort_key", rejected.as_str())
                .set(
                    "input_key",
                    &format!("06{}{:04}", rejected.as_str(), place + 1),
                )
                .set("error_number", number)
                .set("error_text", text);
            self.emitter.write_buffer(&record)?;
        }
        Ok(())
    }
}

const INPUT_ERRORS: [(&str, &str); 3] = [
    ("8451", "PERSONNUMMER ER FEJLBEHÆFTET"),
    ("8452", "PERSONNUMMER FINDES IKKE I CPR"),
    ("8478", "NØGLEN FINDES I FORVEJEN"),
];

/// Families have more than two and a half persons on average.
const MAX_PERSONS: u64 = MAX_FAMILIES * 5 / 2;

#[cfg(test)]
mod tests;
