//! Writes the historical records: 023 to 030, 034 and 035.

use std::io::{self, Write};

use super::super::calendar::Moment;
use super::super::family::{Family, Member};
use super::{Recorder, of, set_moment, set_name, set_spouse};
use crate::layout::Table;

impl<W: Write> Recorder<'_, W> {
    pub(super) fn history(&mut self, family: &Family, member: &Member) -> io::Result<()> {
        self.former_addresses(member)?;
        self.former_absences(member)?;
        for (name, until) in &member.former_names {
            let record = self.begin(NAME_HISTORY, member.number);
            record.set("correction_mark", correction(member, until, 26));
            set_name(record, name);
            set_moment!(record, "name_start", timestamp, &name.since);
            set_moment!(record, "name_end", timestamp, until);
            self.put()?;
        }
        for (country, since, until) in &member.former_citizenships {
            let record = self.begin(CITIZENSHIP_HISTORY, member.number);
            record
                .set("correction_mark", correction(member, until, 27))
                .set("country_code", country);
            set_moment!(record, "citizenship_start", timestamp, since);
            set_moment!(record, "citizenship_end", timestamp, until);
            self.put()?;
        }
        for (relation, since, until) in &member.former_churches {
            let record = self.begin(CHURCH_HISTORY, member.number);
            record.set("church_relation", relation);
            set_moment!(record, "start_date", iso, since);
            set_moment!(record, "end_date", iso, until);
            self.put()?;
        }
        self.former_bonds(family, member)?;
        for (protection, until) in &member.former_protections {
            self.begin(PROTECTION_HISTORY, member.number)
                .set("protection_type", protection.kind)
                .set(
                    "start_date",
                    &protection.start.map(|day| day.iso()).unwrap_or_default(),
                )
                .set("end_date", &until.iso());
            self.put()?;
        }
        for (since, until) in &member.former_credit_warnings {
            self.begin(CREDIT_WARNING_HISTORY, member.number)
                .set("protection_type", "0005")
                .set("credit_warning_start", &since.timestamp())
                .set("credit_warning_end", &until.timestamp());
            self.put()?;
        }
        Ok(())
    }

    fn former_addresses(&mut self, member: &Member) -> io::Result<()> {
        for (residence, until) in &member.former_residences {
            let dwelling = &residence.dwelling;
            let record = self.begin(ADDRESS_HISTORY, member.number);
            record
                .set("correction_mark", correction(member, until, 23))
                .set("municipality_code", dwelling.town.municipality_code)
                .set("street_code", &dwelling.street_code())
                .set("house_number", &dwelling.house_number())
                .set("floor", dwelling.floor())
                .set("door", &dwelling.door())
                .set("building_number", &dwelling.building_number());
            if let Some(name) = &residence.co_name {
                record.set("co_name", &super::care_of(name));
            }
            set_moment!(record, "moved_in", timestamp, &residence.since);
            set_moment!(record, "moved_out", timestamp, until);
            self.put()?;
        }
        Ok(())
    }

    fn former_absences(&mut self, member: &Member) -> io::Result<()> {
        for (left, entered) in &member.former_emigrations {
            let record = self.begin(EMIGRATION_HISTORY, member.number);
            record.set("correction_mark", correction(member, &entered.at, 24));
            record.set(
                "emigration_country_code",
                left.map_or("0000", |left| left.country.code),
            );
            if let Some(left) = left {
                set_moment!(record, "emigrated", timestamp, &left.at);
            }
            record.set("immigration_country_code", entered.country.code);
            set_moment!(record, "immigrated", timestamp, &entered.at);
            if let Some((left, house)) = left.and_then(|left| Some((left, left.house?))) {
                record
                    .set(
                        "foreign_address_1",
                        &format!("{} {house}", left.country.street),
                    )
                    .set("foreign_address_2", left.country.city)
                    .set("foreign_address_3", left.country.name);
                if member.is_odd(82, 150) {
                    record
                        .set("foreign_address_4", "Box 117")
                        .set("foreign_address_5", "Building C");
                }
            }
            self.put()?;
        }
        for (since, until) in &member.former_disappearances {
            let record = self.begin(DISAPPEARANCE_HISTORY, member.number);
            record.set("correction_mark", correction(member, until, 25));
            set_moment!(record, "disappeared", timestamp, since);
            set_moment!(record, "found", timestamp, until);
            self.put()?;
        }
        Ok(())
    }

    fn former_bonds(&mut self, family: &Family, member: &Member) -> io::Result<()> {
        for (civil, until) in &member.former_civils {
            let record = self.begin(CIVIL_STATUS_HISTORY, member.number);
            record
                .set("correction_mark", correction(member, until, 29))
                .set("civil_status", civil.code);
            set_spouse(record, family, &civil.spouse);
            if let Some(since) = &civil.since {
                set_moment!(record, "civil_status_start", timestamp, since);
            }
            set_moment!(record, "civil_status_end", timestamp, until);
            let ended = member.former_separations.iter().map(|(since, _)| since);
            let mut of_bond = ended.filter(|_| matches!(civil.code, "G" | "P"));
            if let Some(since) = of_bond.find(|since| since.day < until.day) {
                record.set("separation_reference", &since.timestamp());
            }
            self.put()?;
        }
        for (since, until) in &member.former_separations {
            let record = self.begin(SEPARATION_HISTORY, member.number);
            record
                .set("correction_mark", correction(member, until, 30))
                .set("civil_status_reference", &since.timestamp());
            set_moment!(record, "start_date", iso, since);
            set_moment!(record, "end_date", iso, until);
            self.put()?;
        }
        Ok(())
    }
}

/// Returns the correction mark. Most history is valid; some was corrected, annulled or changed for technical reasons.
fn correction(member: &Member, until: &Moment, record_type: u64) -> &'static str {
    let key = member
        .key
        .with(record_type)
        .with(until.day.days_since_1970() as u64);
    match key.rng().below(100) {
        0..4 => "K",
        4..7 => "A",
        7 => "Æ",
        _ => "",
    }
}

static ADDRESS_HISTORY: &Table = of("023");
static EMIGRATION_HISTORY: &Table = of("024");
static DISAPPEARANCE_HISTORY: &Table = of("025");
static NAME_HISTORY: &Table = of("026");
static CITIZENSHIP_HISTORY: &Table = of("027");
static CHURCH_HISTORY: &Table = of("028");
static CIVIL_STATUS_HISTORY: &Table = of("029");
static SEPARATION_HISTORY: &Table = of("030");
static PROTECTION_HISTORY: &Table = of("034");
static CREDIT_WARNING_HISTORY: &Table = of("035");
