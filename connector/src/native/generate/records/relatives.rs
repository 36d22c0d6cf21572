//! Writes the records about relatives: 014 to 016 and 031 to 033.

use std::io::{self, Write};

use super::super::calendar::Day;
use super::super::family::{Family, Member, Parent};
use super::super::initial_state::is_adult;
use super::{NOBODY, PARENTS, Recorder, of, set_moment, set_plaintext};
use crate::layout::Table;
use crate::native::writer::RecordBuilder;

impl<W: Write> Recorder<'_, W> {
    pub(super) fn relatives(&mut self, family: &Family, member: &Member) -> io::Result<()> {
        for child in family.children_of(place_of(family, member)) {
            self.begin(CHILD, member.number)
                .set("child_pnr", child.number.as_str());
            self.put()?;
        }
        let birth = member.born.to_string();
        let record = self.begin(PARENTS, member.number);
        if member.is_odd(76, 15) {
            record
                .set("mother_since_uncertain", "*")
                .set("father_since_uncertain", "*");
        }
        record.set("mother_since", &birth).set("mother_pnr", NOBODY);
        match &member.mother {
            Parent::Unknown => {}
            Parent::Member(place) => {
                record.set("mother_pnr", family.members[*place].number.as_str());
            }
            Parent::Named(name, born) => {
                set_moment!(record, "mother_birth_date", iso, born);
                record
                    .set("mother_name", &name.addressing())
                    .set("mother_name_mark", "*");
            }
        }
        record.set("father_since", &birth).set("father_pnr", NOBODY);
        match &member.father {
            Parent::Unknown => {}
            Parent::Member(place) => {
                record.set("father_pnr", family.members[*place].number.as_str());
            }
            Parent::Named(name, born) => {
                set_moment!(record, "father_birth_date", iso, born);
                record
                    .set("father_name", &name.addressing())
                    .set("father_name_mark", "*");
            }
        }
        self.put()?;
        self.custody(family, member)
    }

    /// Writes the custody of a minor. Parents have custody of children under 18; the type says who, and 015 by which
    /// number.
    fn custody(&mut self, family: &Family, member: &Member) -> io::Result<()> {
        if !self.is_minor(member) {
            return Ok(());
        }
        let since = member.born.to_string();
        for (kind, parent) in [("0003", &member.mother), ("0004", &member.father)] {
            if parent
                .member()
                .is_some_and(|place| !family.members[place].is_dead())
            {
                let record = self.begin(CUSTODY, member.number);
                record.set("custody_type", kind).set("start_date", &since);
                if member.is_odd(77, 20) {
                    record.set("start_date_uncertain", "*");
                }
                self.put()?;
            }
        }
        if let Some(place) = member.custodian {
            let record = self.begin(CUSTODY, member.number);
            if member.is_odd(78, 300) {
                // Custody ends when the child comes of age, at the latest.
                let end = member.born.plus(18 * 365).to_string();
                record.set("deletion_date", &end);
            }
            record
                .set(
                    "custody_type",
                    if member.father.member().is_some() {
                        "0005"
                    } else {
                        "0006"
                    },
                )
                .set("start_date", &since)
                .set("custodian_pnr", family.members[place].number.as_str())
                .set("custodian_pnr_start_date", &since);
            self.put()?;
        }
        Ok(())
    }

    /// Writes the addresses of a minor's parents, and of a parent's minor children.
    pub(super) fn relatives_addresses(
        &mut self,
        family: &Family,
        member: &Member,
    ) -> io::Result<()> {
        if self.is_minor(member) {
            let parents = [
                (MOTHER_ADDRESS, "mother_pnr", member.mother),
                (FATHER_ADDRESS, "father_pnr", member.father),
            ];
            for (table, column, parent) in parents {
                if let Some(parent) = parent.member().map(|place| &family.members[place]) {
                    self.relative(table, column, member, parent)?;
                }
            }
        }
        for child in family.children_of(place_of(family, member)) {
            if self.is_minor(child) {
                self.relative(CHILD_ADDRESS, "child_pnr", member, child)?;
            }
        }
        Ok(())
    }

    fn relative(
        &mut self,
        table: &'static Table,
        column: &'static str,
        member: &Member,
        relative: &Member,
    ) -> io::Result<()> {
        let first_day = self.first_day;
        let record = self.begin(table, member.number);
        record
            .set(column, relative.number.as_str())
            .set("addressing_name", &relative.name.addressing());
        match &relative.residence {
            Some(residence) => set_plaintext!(record, residence),
            None => {
                record
                    .set("postal_code", "0000")
                    .set("municipality_code", "0000")
                    .set("street_code", "0000");
            }
        }
        set_protection(record, relative, first_day);
        self.put()
    }

    /// Returns whether the member is a minor on the first day. The first day is used so that no member comes of age
    /// without an event.
    fn is_minor(&self, member: &Member) -> bool {
        !is_adult(member.born, self.first_day) && !member.is_dead()
    }
}

/// Fills the field if the relative is protected, also if the start is unknown or in the future.
fn set_protection(record: &mut RecordBuilder, relative: &Member, first_day: Day) {
    let mut held = relative
        .protections
        .iter()
        .filter(|held| held.kind == "0001");
    let ended = |day: Day| move |end: &super::Moment| end.has_day() && end.day <= day;
    if let Some(held) = held.find(|held| !held.deletion.as_ref().is_some_and(ended(first_day))) {
        let start = held
            .start
            .map_or_else(|| first_day.to_string(), |start| start.iso());
        record.set("protection_start_date", &start);
    }
}

/// Returns the index of the member in its family.
fn place_of(family: &Family, member: &Member) -> usize {
    let place = family
        .members
        .iter()
        .position(|other| other.number == member.number);
    place.unwrap_or(usize::MAX)
}

static CHILD: &Table = of("014");
static CUSTODY: &Table = of("016");
static MOTHER_ADDRESS: &Table = of("031");
static FATHER_ADDRESS: &Table = of("032");
static CHILD_ADDRESS: &Table = of("033");
