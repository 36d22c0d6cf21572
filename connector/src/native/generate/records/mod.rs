//! Writes the records of a person from the generated state.

mod history;
mod present;
mod registered;
mod relatives;

use std::io::{self, Write};

use super::LayoutAge;
use super::calendar::{Day, Moment};
use super::change::Event;
use super::family::{Entry, Family, Former, Member, Spouse};
use super::names::PersonName;
use super::number::Number;
use super::places::Dwelling;
use super::rng::Key;
use crate::layout::{self, Table};
use crate::native::writer::{RecordBuilder, RecordWriter};

/// The part of a person's records to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// All records but 003.
    First,
    /// Only 003.
    Second,
}

/// Returns the table of a record type. Evaluated at compile time.
pub(super) const fn of(record_type: &str) -> &'static Table {
    let tables = layout::tables();
    let wanted = record_type.as_bytes();
    let mut place = 0;
    loop {
        let initial_family = tables[place].record_type.as_bytes();
        if initial_family[0] == wanted[0]
            && initial_family[1] == wanted[1]
            && initial_family[2] == wanted[2]
        {
            return &tables[place];
        }
        place += 1;
    }
}

/// Sets a field to a moment in the given form, and the flag beside it if the moment is uncertain.
macro_rules! set_moment {
    ($record:expr, $column:literal, $form:ident, $moment:expr) => {{
        let moment: &$crate::native::generate::calendar::Moment = $moment;
        $record.set($column, &moment.$form());
        if moment.uncertain {
            $record.set(concat!($column, "_uncertain"), "*");
        }
    }};
}
use set_moment;

/// Sets the fields of a plain-text address, which several record types have.
macro_rules! set_plaintext {
    ($record:expr, $residence:expr) => {{
        let residence: &$crate::native::generate::family::Residence = $residence;
        let dwelling = &residence.dwelling;
        if let Some(name) = &residence.co_name {
            $record.set("co_name", &$crate::native::generate::records::care_of(name));
        }
        $record
            .set("locality", dwelling.locality)
            .set("standard_address", &dwelling.standard_address())
            .set("town_name", dwelling.town.name)
            .set("postal_code", dwelling.town.postal_code)
            .set("postal_district", dwelling.town.postal_district)
            .set("municipality_code", dwelling.town.municipality_code)
            .set("street_code", &dwelling.street_code())
            .set("house_number", &dwelling.house_number())
            .set("floor", dwelling.floor())
            .set("door", &dwelling.door())
            .set("building_number", &dwelling.building_number())
            .set("street_addressing_name", &dwelling.street_for_letters());
    }};
}
use set_plaintext;

/// Writes records of persons.
pub(super) struct Recorder<'a, W> {
    writer: &'a mut RecordWriter<W>,
    buffer: RecordBuilder,
    layout: LayoutAge,
    first_day: Day,
}

impl<'a, W: Write> Recorder<'a, W> {
    pub(super) fn new(writer: &'a mut RecordWriter<W>, layout: LayoutAge, first_day: Day) -> Self {
        Self {
            writer,
            buffer: RecordBuilder::new(PERSON),
            layout,
            first_day,
        }
    }

    /// Writes the records of one person, with the events that deliver them.
    pub(super) fn write(
        &mut self,
        family: &Family,
        entry: Entry,
        events: &[Event],
        part: Part,
    ) -> io::Result<()> {
        let member = &family.members[entry.member];
        match family.former(entry) {
            None => self.current(family, member, events, part),
            Some(former) => self.former(member, former, events, part),
        }
    }

    fn current(
        &mut self,
        family: &Family,
        member: &Member,
        events: &[Event],
        part: Part,
    ) -> io::Result<()> {
        if part != Part::Second {
            self.person(member, None)?;
            self.address(member)?;
        }
        if part != Part::First {
            self.plaintext(member, member.residence.as_ref())?;
        }
        if part == Part::Second {
            return Ok(());
        }
        self.protections(member)?;
        self.absence(member)?;
        self.name(member)?;
        self.faith_and_origin(member)?;
        self.civil(family, member)?;
        self.relatives(family, member)?;
        self.guardianship(family, member, GUARDIANSHIP)?;
        self.municipal(member)?;
        self.history(family, member)?;
        self.relatives_addresses(family, member)?;
        self.begin(PERSON_ID, member.number)
            .set("person_id", &member.key.with(37).uuid());
        self.put()?;
        self.credit_and_sharing(member)?;
        self.guardianship(family, member, GUARDIANSHIP_TYPED)?;
        if let Some(residence) = &member.residence {
            let uuid = residence.dwelling.uuid();
            self.begin(ADDRESS_ID, member.number)
                .set("address_uuid", &uuid);
            self.put()?;
        }
        self.events(member, events)
    }

    /// Writes the records of a number that is no longer valid: its last state, without references to others.
    fn former(
        &mut self,
        member: &Member,
        former: &Former,
        events: &[Event],
        part: Part,
    ) -> io::Result<()> {
        let person = &former.person;
        if part != Part::Second {
            self.person(person, Some((former.status, member.number, &former.until)))?;
        }
        if part != Part::First {
            self.plaintext(person, None)?;
        }
        if part == Part::Second {
            return Ok(());
        }
        self.name(person)?;
        self.faith_and_origin(person)?;
        let civil = &person.civil;
        let record = self.begin(CIVIL_STATUS, person.number);
        record
            .set("civil_status", civil.code)
            .set("spouse_pnr", NOBODY);
        if let Some(since) = &civil.since {
            set_moment!(record, "civil_status_start", timestamp, since);
        }
        self.put()?;
        self.begin(PARENTS, person.number)
            .set("mother_pnr", NOBODY)
            .set("father_pnr", NOBODY);
        self.put()?;
        self.events(person, events)
    }

    fn events(&mut self, member: &Member, events: &[Event]) -> io::Result<()> {
        for event in events {
            self.begin(EVENT, member.number)
                .set(
                    "registered",
                    &event
                        .registered
                        .map(|at| at.timestamp())
                        .unwrap_or_default(),
                )
                .set("event_code", event.code)
                .set("derived_mark", event.mark)
                .set("key_constant", &member.key_constant);
            // `put` is not used: a blank time means that the event was a requisition.
            self.writer.write_built(&self.buffer)?;
        }
        Ok(())
    }

    /// Begins a blank record of that person.
    fn begin(&mut self, table: &'static Table, number: Number) -> &mut RecordBuilder {
        let length = match self.layout {
            LayoutAge::Current => table.record_length(),
            LayoutAge::Original => table.lengths[0],
        };
        self.buffer.restart(table, length);
        self.buffer.set(table.columns[0].name, number.as_str());
        &mut self.buffer
    }

    /// Writes the record. A small share gets a blank with the unusual filling.
    fn put(&mut self) -> io::Result<()> {
        let record = self.buffer.as_bytes();
        let sum = record
            .iter()
            .take(32)
            .fold(0, |sum: u64, &byte| sum.wrapping_mul(31) + u64::from(byte));
        if Key::new(sum).bits().is_multiple_of(400) {
            self.buffer.swap_blank_filling();
        }
        self.writer.write_built(&self.buffer)
    }
}

/// Ten zeros stand for a person whom the register does not know.
const NOBODY: &str = "0000000000";

fn care_of(name: &PersonName) -> String {
    format!("c/o {} {}", name.given, name.surname)
        .chars()
        .take(34)
        .collect()
}

fn address_lines(dwelling: &Dwelling) -> [String; 2] {
    let town = dwelling.town;
    [
        dwelling.standard_address(),
        format!("{} {}", town.postal_code, town.postal_district),
    ]
}

fn set_name(record: &mut RecordBuilder, name: &PersonName) {
    record
        .set("given_name", &name.given_names())
        .set("middle_name", name.middle.unwrap_or_default())
        .set("surname", name.surname);
    let (given, middle, surname) = name.marks();
    record
        .set("given_name_mark", given)
        .set("middle_name_mark", middle)
        .set("surname_mark", surname);
}

fn set_spouse(record: &mut RecordBuilder, family: &Family, spouse: &Spouse) {
    match spouse {
        Spouse::Blank => {}
        Spouse::Zeros => {
            record.set("spouse_pnr", NOBODY);
        }
        Spouse::Member(place) => {
            record.set("spouse_pnr", family.members[*place].number.as_str());
        }
        Spouse::Named(name, born) => {
            set_moment!(record, "spouse_birth_date", iso, born);
            record
                .set("spouse_name", &name.addressing())
                .set("spouse_name_mark", "*");
        }
    }
}

static PERSON: &Table = of("001");
static CIVIL_STATUS: &Table = of("012");
static PARENTS: &Table = of("015");
static GUARDIANSHIP: &Table = of("017");
static PERSON_ID: &Table = of("037");
static GUARDIANSHIP_TYPED: &Table = of("052");
static ADDRESS_ID: &Table = of("060");
static EVENT: &Table = of("099");
