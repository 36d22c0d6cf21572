//! Writes the current records of a person: 001 to 013.

use std::io::{self, Write};

use super::super::calendar::Moment;
use super::super::family::{Family, Member, Residence, Status};
use super::super::number::Number;
use super::{
    CIVIL_STATUS, PERSON, Recorder, address_lines, care_of, of, set_moment, set_name,
    set_plaintext, set_spouse,
};
use crate::layout::Table;

impl<W: Write> Recorder<'_, W> {
    pub(super) fn person(
        &mut self,
        member: &Member,
        replaced: Option<(Status, Number, &Moment)>,
    ) -> io::Result<()> {
        let record = self.begin(PERSON, member.number);
        match replaced {
            Some((status, current, until)) => {
                record
                    .set("current_pnr", current.as_str())
                    .set("status", status.code());
                record.set("status_start", &until.timestamp());
                set_moment!(record, "pnr_end_date", iso, until);
            }
            None => {
                record.set("status", member.status.code());
                if let Some(since) = &member.status_since {
                    set_moment!(record, "status_start", timestamp, since);
                }
            }
        }
        record
            .set("sex", member.sex.code())
            .set("birth_date", &member.born.to_string());
        if member.is_odd(70, 3) {
            record.set("birth_date_uncertain", "*");
        }
        set_moment!(record, "pnr_start_date", iso, &member.number_since);
        record.set("occupation", member.occupation.unwrap_or_default());
        record.set("key_constant", &member.key_constant);
        self.put()
    }

    pub(super) fn address(&mut self, member: &Member) -> io::Result<()> {
        let Some(residence) = &member.residence else {
            return Ok(());
        };
        let dwelling = residence.dwelling;
        let record = self.begin(ADDRESS, member.number);
        record
            .set("municipality_code", dwelling.town.municipality_code)
            .set("street_code", &dwelling.street_code())
            .set("house_number", &dwelling.house_number())
            .set("floor", dwelling.floor())
            .set("door", &dwelling.door())
            .set("building_number", &dwelling.building_number());
        if let Some(name) = &residence.co_name {
            record.set("co_name", &care_of(name));
        }
        set_moment!(record, "moved_in", timestamp, &residence.since);
        set_moment!(
            record,
            "moved_into_municipality",
            timestamp,
            &residence.in_municipality_since
        );
        record.set("previous_municipality_code", "0000");
        if let Some((code, left)) = &residence.previous {
            record.set("previous_municipality_code", code);
            set_moment!(record, "left_previous_municipality", timestamp, left);
        }
        record.set("supplementary_authority_code", "0000");
        if let Some(since) = &residence.supplement {
            record
                .set(
                    "supplementary_authority_code",
                    dwelling.town.municipality_code,
                )
                .set(
                    "supplementary_address_1",
                    "Kollegieværelse 12, nøgle i gården",
                )
                .set("supplementary_address_2", "Opgang B")
                .set("supplementary_address_start_date", &since.iso());
            if member.is_odd(71, 200) {
                record
                    .set("supplementary_address_3", "Ring på hos viceværten")
                    .set("supplementary_address_4", "i nr. 4, stuen")
                    .set("supplementary_address_5", "efter kl. 16");
            }
            if member.is_odd(72, 300) {
                let end = since.day.plus(3 * 365).to_string();
                record.set("supplementary_address_deletion_date", &end);
            }
        }
        record
            .set("street_name", dwelling.street())
            .set("address_uuid", &dwelling.uuid());
        self.put()
    }

    pub(super) fn plaintext(
        &mut self,
        member: &Member,
        residence: Option<&Residence>,
    ) -> io::Result<()> {
        let record = self.begin(PLAINTEXT_ADDRESS, member.number);
        record.set("addressing_name", &member.name.addressing());
        match residence {
            Some(residence) => set_plaintext!(record, residence),
            None => {
                record
                    .set("postal_code", "0000")
                    .set("municipality_code", "0000")
                    .set("street_code", "0000");
            }
        }
        self.put()
    }

    pub(super) fn protections(&mut self, member: &Member) -> io::Result<()> {
        for protection in &member.protections {
            let record = self.begin(PROTECTION, member.number);
            record.set("protection_type", protection.kind);
            record.set(
                "start_date",
                &protection.start.map(|day| day.iso()).unwrap_or_default(),
            );
            record.set(
                "deletion_date",
                &protection.deletion.map(|day| day.iso()).unwrap_or_default(),
            );
            self.put()?;
        }
        Ok(())
    }

    /// Writes 005 to 007: emigration, disappearance or contact address.
    pub(super) fn absence(&mut self, member: &Member) -> io::Result<()> {
        if let Some(abroad) = &member.emigration {
            let record = self.begin(EMIGRATION, member.number);
            record.set("emigration_country_code", abroad.country.code);
            set_moment!(record, "emigrated", timestamp, &abroad.at);
            if let Some(house) = abroad.house {
                record
                    .set(
                        "foreign_address_1",
                        &format!("{} {house}", abroad.country.street),
                    )
                    .set("foreign_address_2", abroad.country.city)
                    .set("foreign_address_3", abroad.country.name);
                if member.is_odd(73, 150) {
                    record
                        .set("foreign_address_4", "Box 117")
                        .set("foreign_address_5", "Building C");
                }
            }
            self.put()?;
        }
        if let Some((dwelling, since)) = &member.contact {
            let lines = address_lines(dwelling);
            let record = self.begin(CONTACT_ADDRESS, member.number);
            record.set("contact_address_1", &care_of(&member.name));
            record
                .set("contact_address_2", &lines[0])
                .set("contact_address_3", &lines[1]);
            if member.is_odd(74, 200) {
                record
                    .set("contact_address_4", "Att. bogholderiet")
                    .set("contact_address_5", "2. sal");
            }
            record.set("start_date", &since.iso());
            if member.is_odd(75, 300) {
                record.set("deletion_date", &since.day.plus(2 * 365).to_string());
            }
            self.put()?;
        }
        if let Some(since) = &member.disappeared {
            let record = self.begin(DISAPPEARANCE, member.number);
            set_moment!(record, "disappeared", timestamp, since);
            self.put()?;
        }
        Ok(())
    }

    pub(super) fn name(&mut self, member: &Member) -> io::Result<()> {
        let name = &member.name;
        let record = self.begin(NAME, member.number);
        set_name(record, name);
        set_moment!(record, "name_start", timestamp, &name.since);
        record.set("addressing_name", &name.addressing());
        self.put()
    }

    /// Writes 009 to 011: birth registration, citizenship and church.
    pub(super) fn faith_and_origin(&mut self, member: &Member) -> io::Result<()> {
        let (code, text) = member.birthplace;
        self.begin(BIRTH_REGISTRATION, member.number)
            .set("birth_authority_code", code)
            .set("birth_authority_text", text);
        self.put()?;
        let (country, since) = &member.citizenship;
        let record = self.begin(CITIZENSHIP, member.number);
        record.set("country_code", country);
        set_moment!(record, "citizenship_start", timestamp, since);
        self.put()?;
        let (relation, since) = &member.church;
        let record = self.begin(CHURCH, member.number);
        record.set("church_relation", relation);
        set_moment!(record, "start_date", iso, since);
        self.put()
    }

    pub(super) fn civil(&mut self, family: &Family, member: &Member) -> io::Result<()> {
        let civil = &member.civil;
        let separation = member.separation.map(|at| at.timestamp());
        let record = self.begin(CIVIL_STATUS, member.number);
        record.set("civil_status", civil.code);
        set_spouse(record, family, &civil.spouse);
        if let Some(since) = &civil.since {
            set_moment!(record, "civil_status_start", timestamp, since);
        }
        record.set(
            "separation_reference",
            separation.as_deref().unwrap_or_default(),
        );
        self.put()?;
        if let (Some(since), Some(reference)) = (&member.separation, &separation) {
            let record = self.begin(SEPARATION, member.number);
            record.set("civil_status_reference", reference);
            set_moment!(record, "start_date", iso, since);
            self.put()?;
        }
        Ok(())
    }
}

static ADDRESS: &Table = of("002");
static PLAINTEXT_ADDRESS: &Table = of("003");
static PROTECTION: &Table = of("004");
static EMIGRATION: &Table = of("005");
static CONTACT_ADDRESS: &Table = of("006");
static DISAPPEARANCE: &Table = of("007");
static NAME: &Table = of("008");
static BIRTH_REGISTRATION: &Table = of("009");
static CITIZENSHIP: &Table = of("010");
static CHURCH: &Table = of("011");
static SEPARATION: &Table = of("013");
