//! Writes what authorities have registered: 017 to 022 and 050 to 052.

use std::io::{self, Write};

use super::super::family::{Family, Guardian, Member};
use super::{GUARDIANSHIP_TYPED, Recorder, address_lines, of, set_moment};
use crate::layout::Table;

impl<W: Write> Recorder<'_, W> {
    pub(super) fn guardianship(
        &mut self,
        family: &Family,
        member: &Member,
        table: &'static Table,
    ) -> io::Result<()> {
        let Some(guardianship) = &member.guardianship else {
            return Ok(());
        };
        let since = guardianship.since;
        let record = self.begin(table, member.number);
        set_moment!(record, "start_date", iso, &since);
        if member.is_odd(79, 150) {
            let end = since.day.plus(10 * 365).to_string();
            record.set("deletion_date", &end);
        }
        match &guardianship.guardian {
            Guardian::NotInRegister => {
                record.set("guardian_relation_type", "0000");
            }
            Guardian::Member(place) => {
                record
                    .set("guardian_relation_type", "0001")
                    .set("guardian_pnr", family.members[*place].number.as_str())
                    .set("guardian_pnr_start_date", &since.iso());
            }
            Guardian::Addressed(name, dwelling) => {
                let lines = address_lines(dwelling);
                record
                    .set("guardian_relation_type", "0002")
                    .set("guardian_name", &name.addressing())
                    .set("guardian_address_start_date", &since.iso())
                    .set("guardian_address_1", &lines[0])
                    .set("guardian_address_2", &lines[1]);
                if member.is_odd(80, 400) {
                    record
                        .set("guardian_address_3", "Att. værgesekretariatet")
                        .set("guardian_address_4", "Postboks 12")
                        .set("guardian_address_5", "Danmark");
                }
            }
        }
        if std::ptr::eq(table, GUARDIANSHIP_TYPED) {
            record.set(
                "guardianship_type",
                if guardianship.full { "FULD" } else { "DELVIS" },
            );
        }
        self.put()
    }

    /// Writes 018 to 022: registrations of municipality and state.
    pub(super) fn municipal(&mut self, member: &Member) -> io::Result<()> {
        for condition in &member.conditions {
            let record = self.begin(MUNICIPAL_CONDITION, member.number);
            record
                .set("condition_type", condition.kind)
                .set("condition_code", condition.code);
            set_moment!(record, "start_date", iso, &condition.since);
            record.set("remark", condition.remark);
            self.put()?;
        }
        for (place, (text, start, end)) in member.notes.iter().enumerate() {
            self.begin(NOTE, member.number)
                .set("note_number", &format!("{:02}", place + 1))
                .set("note_text", text)
                .set("start_date", &start.iso())
                .set(
                    "deletion_date",
                    &end.map(|day| day.iso()).unwrap_or_default(),
                );
            self.put()?;
        }
        for (code, since) in &member.franchise {
            let record = self.begin(FRANCHISE, member.number);
            record
                .set("election_code", code)
                .set("franchise_date", &since.iso())
                .set("start_date", &since.iso());
            if member.is_odd(81, 200) {
                record.set("deletion_date", &since.day.plus(4 * 365).to_string());
            }
            self.put()?;
        }
        if let Some(since) = &member.relocation_order {
            self.begin(RELOCATION_ORDER, member.number)
                .set("start_date", &since.iso())
                .set("remark", "Påbud efter CPR-lovens § 10, stk. 2");
            self.put()?;
        }
        for former in &member.former {
            let record = self.begin(FORMER_PNR, member.number);
            record.set("former_pnr", former.person.number.as_str());
            set_moment!(record, "pnr_start_date", iso, &former.person.number_since);
            set_moment!(record, "pnr_end_date", iso, &former.until);
            self.put()?;
        }
        Ok(())
    }

    /// Writes 050 and 051: credit warnings and shared residence.
    pub(super) fn credit_and_sharing(&mut self, member: &Member) -> io::Result<()> {
        if let Some(since) = &member.credit_warning {
            self.begin(CREDIT_WARNING, member.number)
                .set("protection_type", "0005")
                .set("credit_warning_start", &since.timestamp());
            self.put()?;
        }
        if let Some(since) = &member.shared_residence {
            let record = self.begin(SHARED_RESIDENCE, member.number);
            set_moment!(record, "start_date", iso, since);
            self.put()?;
        }
        Ok(())
    }
}

static MUNICIPAL_CONDITION: &Table = of("018");
static NOTE: &Table = of("019");
static FRANCHISE: &Table = of("020");
static RELOCATION_ORDER: &Table = of("021");
static FORMER_PNR: &Table = of("022");
static CREDIT_WARNING: &Table = of("050");
static SHARED_RESIDENCE: &Table = of("051");
