//! Adds what authorities have registered about a person: protections, conditions, custody, guardians.

use super::super::calendar::Moment;
use super::super::family::{
    Family, Guardian, Guardianship, Member, MunicipalCondition, Protection,
};
use super::super::names::{self, PersonName};
use super::super::number::{Role, Sex};
use super::super::places::{AALBORG, DANISH_TOWNS, Dwelling};
use super::super::traits::Trait;
use super::{FIRST, FamilyBuilder, Partnership, is_adult};

impl FamilyBuilder {
    pub(super) fn protections(&mut self, member: &mut Member) {
        // The shares of a thousand, in Denmark and with `busy`.
        const SHARES: [(&str, u32, u32); 5] = [
            ("0001", 10, 60),
            ("0002", 10, 40),
            ("0003", 150, 250),
            ("0004", 50, 50),
            ("0005", 3, 10),
        ];
        let all = self.has(Trait::AllProtections, member);
        for (kind, share, busy_share) in SHARES {
            let share = if self.busy { busy_share } else { share };
            if all || self.rng.permille(share) {
                let protection = self.protection(kind, member);
                member.protections.push(protection);
            }
        }
        if self.has(Trait::FormerProtection, member) {
            let (start, end) = self.lived_dates(member);
            let kind = self.rng.pick(&["0001", "0002", "0003"]);
            let former = Protection {
                kind,
                start: Some(start),
                deletion: None,
            };
            member.former_protections.push((former, end));
        }
        if self.has(Trait::CreditWarning, member) {
            member.credit_warning = Some(self.life_moment(member));
        }
        if self.has(Trait::FormerCreditWarning, member) {
            let span = self.life_span(member);
            member.former_credit_warnings.push(span);
        }
    }

    /// Returns a protection with every combination of dates that occurs: both, one, neither, in the future, ended.
    fn protection(&mut self, kind: &'static str, member: &Member) -> Protection {
        let (past, over) = self.lived_dates(member);
        let ahead = self.first_day.plus(self.rng.between(400, 1500));
        let ahead = Moment::certain(ahead);
        let (start, deletion) = match self.rng.below(100) {
            0..50 => (Some(past), None),
            50..80 => (Some(past), Some(ahead)),
            80..90 => (Some(past), Some(over)),
            90..94 => (None, Some(ahead)),
            94..97 => (None, None),
            _ => (Some(ahead), None),
        };
        Protection {
            kind,
            start,
            deletion,
        }
    }

    /// Adds the registrations of municipality and state.
    pub(super) fn municipal(&mut self, member: &mut Member) {
        let adult = is_adult(member.born, self.first_day);
        let pensioner = member.born.years_until(self.first_day) >= 67;
        if pensioner || self.has(Trait::MunicipalCondition, member) {
            let (kind, code, remark) = match (adult, pensioner, self.rng.below(6)) {
                (_, true, _) => ("3", "F", ""),
                (false, ..) => ("2", "P", "Plejebarn"),
                (.., 0) => ("1", "A", "Lever adskilt fra ægtefælle"),
                (.., 1) => ("3", "I", ""),
                (.., 2) => ("3", "N", ""),
                (.., 3) => ("4", "0851", "Betalingskommune"),
                (.., 4) => ("5", "00017", ""),
                _ => ("6", "B", "Fri anvendelse"),
            };
            let since = self.lived_date(member);
            member.conditions.push(MunicipalCondition {
                kind,
                code,
                since,
                remark,
            });
        }
        if self.has(Trait::Note, member) {
            let (start, end) = self.lived_dates(member);
            let text = self.rng.pick(&[
                "Afventer dokumentation for fødsel",
                "Se sag i økonomiforvaltningen",
            ]);
            member
                .notes
                .push((text, start, self.rng.permille(400).then_some(end)));
        }
        if adult && self.has(Trait::Franchise, member) {
            let code = self
                .rng
                .pick(&["0001", "0002", "0004", "0005", "0006", "0007", "0008"]);
            let since = self.lived_date(member);
            member.franchise.push((code, since));
        }
        if self.has(Trait::RelocationOrder, member) {
            member.relocation_order = Some(self.lived_date(member));
        }
        if self.has(Trait::ContactAddress, member) {
            let since = self.lived_date(member);
            member.contact = Some((Dwelling::draw(DANISH_TOWNS, &mut self.rng), since));
        }
    }

    /// Adds custody by a person other than the parents, and shared residence after a divorce.
    pub(super) fn custody(&mut self, family: &mut Family, place: usize) {
        let first = family.members[FIRST].role;
        let member = &mut family.members[place];
        if !matches!(member.role, Role::Child(_)) || is_adult(member.born, self.first_day) {
            return;
        }
        // The first child replaces the first adult, who is of age and cannot be in custody.
        let of_first = member.role == Role::Child(0) && first == Role::First;
        if Trait::CustodyByAnother.holds(self.index, of_first, &mut self.rng) {
            member.custodian = Some(FIRST);
        }
        if self.partnership == Partnership::Divorced
            && Trait::SharedResidence.holds(self.index, of_first, &mut self.rng)
        {
            member.shared_residence = Some(self.lived_date(member));
        }
    }

    pub(super) fn guardianship(&mut self, family: &mut Family, place: usize) {
        let member = &family.members[place];
        if !is_adult(member.born, self.first_day) {
            return;
        }
        let Some(kind) = (0..3).find(|&kind| {
            let chosen = matches!(member.role, Role::Grandparent);
            Trait::Guardianship(kind).holds(self.index, chosen, &mut self.rng)
        }) else {
            return;
        };
        let (since, _) = self.lived_dates(member);
        let rng = &mut self.rng;
        let guardian = match kind {
            1 if place != FIRST => Guardian::Member(FIRST),
            2 => {
                let surname = names::surname(rng);
                let name = PersonName::draw(Sex::Female, surname, since, rng);
                Guardian::Addressed(name, Dwelling::draw(AALBORG, rng))
            }
            _ => Guardian::NotInRegister,
        };
        let full = rng.permille(400);
        family.members[place].guardianship = Some(Guardianship {
            since,
            full,
            guardian,
        });
    }
}
