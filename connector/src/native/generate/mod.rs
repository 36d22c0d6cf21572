//! Generates synthetic extracts: a population of invented persons, its status file and its change files.
//!
//! Everything follows from [`Settings`]: the same settings give the same bytes. A family is generated when it is
//! written and is not kept, so the memory does not depend on the size of the file. Every number fails modulus 11, which
//! the numbers issued until 2007 satisfy.
//!
//! ```
//! use cprflow_connector::generate::{Settings, changes, status};
//!
//! # fn main() -> std::io::Result<()> {
//! let settings = Settings::busy(500, 1);
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
mod initial_state;
mod municipalities;
mod names;
mod number;
mod person;
mod places;
mod population;
mod records;
mod rng;
mod scenario;
mod traits;

use std::io::{self, BufWriter, Write};

pub use calendar::Day;
pub use person::{Person, population};
pub use scenario::{Scenario, ScenarioExtract, ScenarioOutput};

pub use crate::native::writer::OutputShape;
use crate::native::writer::{RecordBuilder, RecordWriter};
use change::Event;
use family::Entry;
use initial_state::Basis;
use number::Number;
use population::{FamilyState, Population};
use records::{Part, Recorder, of};
use rng::Key;

/// The settings of the generator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The number of person numbers in the status file of the first day; at most 5,000,000.
    pub persons: u64,
    /// The seed: another seed gives another population.
    pub seed: u64,
    /// The physical shape of the file.
    pub shape: OutputShape,
    /// The order of a person's records.
    pub order: Order,
    /// The edition of the layouts of 001 and 002.
    pub layout: LayoutAge,
    /// The task number in the start record, six digits.
    pub task_number: String,
    /// The production date of the first status file, in 2001 to 2035.
    pub first_day: Day,
    /// The number of nights of changes that the status file includes.
    pub night: u32,
    /// Whether far more happens than in Denmark, see [`busy`](Self::busy).
    pub busy: bool,
}

impl Settings {
    /// Returns settings for that many persons, in the shape and order of the public test extracts and the current
    /// layout. Ages, families, protections and changes are about as frequent as in Denmark.
    pub fn new(persons: u64, seed: u64) -> Self {
        Self {
            persons,
            seed,
            shape: OutputShape::Trimmed,
            order: Order::SecondPass,
            layout: LayoutAge::Current,
            task_number: "431101".to_owned(),
            first_day: Day::DEFAULT,
            night: 0,
            busy: false,
        }
    }

    /// Returns settings as [`new`](Self::new), of a population in which far more happens than in Denmark, for tests that
    /// need every kind of change among few persons. In each night, the first families have every frequent kind of change,
    /// and about 1 of 100 persons is delivered; many persons are protected, and many live in Aalborg.
    pub fn busy(persons: u64, seed: u64) -> Self {
        Self {
            busy: true,
            ..Self::new(persons, seed)
        }
    }

    const fn basis(&self) -> Basis {
        Basis {
            seed: Key::new(self.seed),
            first_day: self.first_day,
            busy: self.busy,
        }
    }

    /// Returns the production date of a night's extract: the `night`th working day after the first day.
    pub fn production_date(&self, night: u32) -> Day {
        self.first_day.working_day_after(night)
    }

    fn check(&self) -> io::Result<()> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.persons > MAX_PERSONS {
            return refuse("too many persons: there are not enough person numbers");
        }
        if !(2001..=2035).contains(&self.first_day.year()) {
            return refuse("the first day must be in 2001 to 2035");
        }
        if self.task_number.len() != 6
            || !self.task_number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return refuse("the task number must have six digits");
        }
        Ok(())
    }
}

/// The order of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A person's records follow each other.
    ByPerson,
    /// All 003 records follow the other records of the last person, as in the public test extracts.
    SecondPass,
}

/// The edition of the layouts to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutAge {
    /// 001 of 121 bytes and 002 of 382.
    Current,
    /// 001 of 106 bytes and 002 of 306.
    Original,
}

/// The size of a written extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The number of records of all types, including the start and end record.
    pub records: u64,
    /// The number of bytes, including line ends.
    pub bytes: u64,
    /// The number of person numbers, with one 001 record each.
    pub persons: u64,
}

/// The part of a person's data in a subscriber's extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All current data without events, as in a status file.
    Everything,
    /// All current data with the night's events, if the person changed in that night, as in a change file.
    Changes,
}

/// Writes a status file (the initial load): all persons with all their data.
pub fn status(settings: &Settings, out: &mut impl Write) -> io::Result<Written> {
    Extract::start(settings, settings.night, None, out)?.finish(|step| {
        Ok(step
            .family
            .entries()
            .map(|entry| (entry, Vec::new()))
            .collect())
    })
}

/// Writes the change file of a night, numbered from 1: the persons who changed, with all their data after the change.
pub fn changes(settings: &Settings, night: u32, out: &mut impl Write) -> io::Result<Written> {
    let Some(before) = night.checked_sub(1) else {
        let why = "the first night is number 1";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    };
    let previous = Some(settings.production_date(before));
    Extract::start(settings, night, previous, out)?.finish(|step| step.touched(settings.first_day))
}

/// Writes a subscriber's extract of a night (0 is the first day), with the part of each person's data that `share`
/// returns.
///
/// `share` is called more than once for a number and must return the same each time. The extract has no input errors,
/// because a subscriber sends no input.
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

/// An extract that is being written.
struct Extract<'a, W: Write> {
    settings: &'a Settings,
    night: u32,
    input_errors: &'static [(&'static str, &'static str)],
    writer: RecordWriter<BufWriter<W>>,
}

/// The entries of a family to deliver, with their events.
type Delivered = Vec<(Entry, Vec<Event>)>;

impl<'a, W: Write> Extract<'a, W> {
    fn start(
        settings: &'a Settings,
        night: u32,
        previous: Option<Day>,
        out: W,
    ) -> io::Result<Self> {
        settings.check()?;
        let mut writer = RecordWriter::new(BufWriter::with_capacity(1 << 16, out), settings.shape);
        let mut record = RecordBuilder::new(of("000"));
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
        writer.write_built(&record)?;
        Ok(Self {
            settings,
            night,
            input_errors: &INPUT_ERRORS,
            writer,
        })
    }

    fn finish(
        self,
        delivered: impl Fn(&FamilyState) -> io::Result<Delivered>,
    ) -> io::Result<Written> {
        let (settings, night) = (self.settings, self.night);
        self.finish_of(|| Population::new(settings, night), delivered)
    }

    /// Writes the persons of these families, which are generated for each pass, and the end of the extract.
    fn finish_of<F: Iterator<Item = FamilyState>>(
        mut self,
        families: impl Fn() -> F,
        delivered: impl Fn(&FamilyState) -> io::Result<Delivered>,
    ) -> io::Result<Written> {
        let persons = match self.settings.order {
            Order::ByPerson => self.pass(Part::All, families(), &delivered)?,
            Order::SecondPass => {
                let persons = self.pass(Part::First, families(), &delivered)?;
                self.pass(Part::Second, families(), &delivered)?;
                persons
            }
        };
        self.end()?;
        let (records, bytes) = (self.writer.records(), self.writer.bytes());
        self.writer.into_inner().flush()?;
        Ok(Written {
            records,
            bytes,
            persons,
        })
    }

    /// Writes that part of all persons' records and returns the number of persons.
    fn pass(
        &mut self,
        part: Part,
        families: impl Iterator<Item = FamilyState>,
        delivered: impl Fn(&FamilyState) -> io::Result<Delivered>,
    ) -> io::Result<u64> {
        let Settings {
            layout, first_day, ..
        } = *self.settings;
        let mut count = 0;
        for step in families {
            for (entry, events) in delivered(&step)? {
                Recorder::new(&mut self.writer, layout, first_day).write(
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

    /// Writes a receipt that the subscription to a changed number was deleted.
    fn receipt(&mut self, step: &FamilyState, entry: Entry, events: &[Event]) -> io::Result<()> {
        let Some(event) = events.iter().find(|event| event.entry.former.is_some()) else {
            return Ok(());
        };
        let mut record = RecordBuilder::new(of("997"));
        record
            .set("pnr", step.family.number(entry).as_str())
            .set(
                "registered",
                &event
                    .registered
                    .map(|at| at.timestamp())
                    .unwrap_or_default(),
            )
            .set("event_code", "A45")
            .set(
                "key_constant",
                &step.family.members[entry.member].key_constant,
            );
        self.writer.write_built(&record)
    }

    /// Writes the end record, followed by the input errors.
    fn end(&mut self) -> io::Result<()> {
        // All records except the start record, which is already written.
        let count = (self.writer.records() - 1).min(99_999_999);
        let mut record = RecordBuilder::new(of("999"));
        record
            .set("sort_key", "9999999999")
            .set("record_count", &format!("{count:08}"));
        self.writer.write_built(&record)?;

        for (place, &(number, text)) in self.input_errors.iter().enumerate() {
            let key = Key::new(self.settings.seed)
                .with(u64::from(self.night))
                .with(place as u64);
            let rejected = Number::unassigned(key);
            let mut record = RecordBuilder::new(of("910"));
            record
                .set("sort_key", rejected.as_str())
                .set(
                    "input_key",
                    &format!("06{}{:04}", rejected.as_str(), place + 1),
                )
                .set("error_number", number)
                .set("error_text", text);
            self.writer.write_built(&record)?;
        }
        Ok(())
    }
}

const INPUT_ERRORS: [(&str, &str); 3] = [
    ("8451", "PERSONNUMMER ER FEJLBEHÆFTET"),
    ("8452", "PERSONNUMMER FINDES IKKE I CPR"),
    ("8478", "NØGLEN FINDES I FORVEJEN"),
];

/// The most persons. There are enough families for them, see the test of the population.
const MAX_PERSONS: u64 = 5_000_000;

#[cfg(test)]
mod tests;
