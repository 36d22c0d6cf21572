//! Adds a person's life until the first day: status, church, protections, registrations, history.

use super::super::calendar::{Day, Moment};
use super::super::family::{Abroad, Family, Member, Parent, Spouse, Status};
use super::super::names::{self, PersonName};
use super::super::number::{Role, Sex};
use super::super::places;
use super::super::traits::Trait;
use super::civil::dead_permille;
use super::{FIRST, FamilyBuilder, between, is_adult};

impl FamilyBuilder {
    /// Adds everything that does not come from birth, partnership and home.
    pub(super) fn add_life(&mut self, family: &mut Family, place: usize) {
        let member = &mut family.members[place];
        self.origins(member);
        self.church(member);
        self.names(member);
        self.protections(member);
        self.municipal(member);
        self.travels(member);
        if is_adult(member.born, self.first_day) {
            self.separation(member);
        }
        self.custody(family, place);
        self.guardianship(family, place);
        // Last, because a person who is no longer resident keeps no address.
        let stays = place == FIRST && self.has_minor_children(family);
        self.set_final_status(&mut family.members[place], stays);
    }

    /// Returns whether the family has children under 18, who live with the first adult.
    fn has_minor_children(&self, family: &Family) -> bool {
        family.members.iter().any(|member| {
            matches!(member.role, Role::Child(_)) && !is_adult(member.born, self.first_day)
        })
    }

    pub(super) fn has(&mut self, quality: Trait, member: &Member) -> bool {
        quality.holds(self.index, member.role == Role::First, &mut self.rng)
    }

    /// Returns a random moment of the person's life.
    pub(super) fn life_moment(&mut self, member: &Member) -> Moment {
        let day = between(member.born, self.first_day, &mut self.rng);
        Moment::past(day, &mut self.rng)
    }

    pub(super) fn lived_date(&mut self, member: &Member) -> Moment {
        let day = between(member.born, self.first_day, &mut self.rng);
        Moment::date(day, &mut self.rng)
    }

    /// Returns a random period of the person's life.
    pub(super) fn life_span(&mut self, member: &Member) -> (Moment, Moment) {
        self.span(member.born, self.first_day)
    }

    fn span(&mut self, first: Day, last: Day) -> (Moment, Moment) {
        let start = between(first, last, &mut self.rng);
        let end = between(start, last, &mut self.rng);
        (
            Moment::past(start, &mut self.rng),
            Moment::past(end, &mut self.rng),
        )
    }

    pub(super) fn lived_dates(&mut self, member: &Member) -> (Moment, Moment) {
        let start = between(member.born, self.first_day, &mut self.rng);
        let end = between(start, self.first_day, &mut self.rng);
        (
            Moment::date(start, &mut self.rng),
            Moment::date(end, &mut self.rng),
        )
    }

    /// Adds birthplace, citizenship and parents outside the family.
    fn origins(&mut self, member: &mut Member) {
        let naturalised = self.has(Trait::CitizenByNaturalisation, member);
        let foreign = naturalised || self.rng.permille(70);
        if foreign {
            let country = places::country(&mut self.rng);
            let city: &str = country.city;
            member.birthplace = (
                country.code,
                if city.len() <= 20 { city } else { country.name },
            );
            let arrived = self.life_moment(member);
            member.citizenship = (country.code, member.citizenship.1);
            member.former_emigrations.push((
                None,
                Abroad {
                    country,
                    at: arrived,
                    house: None,
                },
            ));
            if naturalised {
                let since = member.citizenship.1;
                member.citizenship = (places::DENMARK, arrived);
                member
                    .former_citizenships
                    .push((country.code, since, arrived));
            }
        }
        let is_child = matches!(member.role, Role::Child(_));
        if !is_child && self.rng.permille(450) {
            let (mother, father) = (
                self.named_parent(member, Sex::Female),
                self.named_parent(member, Sex::Male),
            );
            for (known, named) in [(&mut member.mother, mother), (&mut member.father, father)] {
                if matches!(known, Parent::Unknown) {
                    *known = named;
                }
            }
        }
    }

    fn named_parent(&mut self, child: &Member, sex: Sex) -> Parent {
        let rng = &mut self.rng;
        let born = Moment::date(child.born.plus(-rng.between(8000, 13_000)), rng);
        Parent::Named(PersonName::draw(sex, child.name.surname, born, rng), born)
    }

    fn church(&mut self, member: &mut Member) {
        let codes = ["A", "S", "M", "F", "U"];
        let special = (0..5).find(|&kind| self.has(Trait::Church(kind), member));
        let code = match special {
            Some(kind) => codes[usize::from(kind)],
            None if self.rng.permille(740) => "F",
            None => "U",
        };
        member.church = (
            code,
            Moment::date(member.born, &mut self.rng).doubted(self.rng.permille(200)),
        );
        if self.has(Trait::FormerChurch, member) {
            let (changed, start) = (self.lived_date(member), member.church.1);
            let before = if code == "F" { "A" } else { "F" };
            member.church = (code, changed);
            member.former_churches.push((before, start, changed));
        }
    }

    fn names(&mut self, member: &mut Member) {
        if !self.has(Trait::FormerName, member) {
            return;
        }
        let changed = self.life_moment(member);
        let mut before = member.name;
        before.surname = names::surname(&mut self.rng);
        before.since = Moment::past(member.born, &mut self.rng);
        member.name.since = changed;
        member.former_names.push((before, changed));
    }

    /// Adds former emigrations and disappearances, before the first known home.
    fn travels(&mut self, member: &mut Member) {
        let homes = member
            .former_residences
            .iter()
            .map(|(home, _)| home)
            .chain(&member.residence);
        let settled = homes.map(|home| home.since.day).min();
        let settled = settled
            .filter(|day| *day > member.born)
            .unwrap_or(self.first_day);
        if self.has(Trait::FormerEmigration, member) {
            let (left, back) = self.span(member.born, settled);
            let country = places::country(&mut self.rng);
            let house = self.rng.permille(400).then(|| 1 + self.rng.below(99));
            let journey = (
                Some(Abroad {
                    country,
                    at: left,
                    house,
                }),
                Abroad {
                    country,
                    at: back,
                    house: None,
                },
            );
            member.former_emigrations.push(journey);
        }
        if self.has(Trait::FormerDisappearance, member) {
            let span = self.span(member.born, settled);
            member.former_disappearances.push(span);
        }
    }

    /// Adds a separation between the wedding and the end of the marriage.
    fn separation(&mut self, member: &mut Member) {
        let is_married = member.is_bound();
        let bonds = member
            .former_civils
            .iter()
            .map(|(civil, _)| civil)
            .chain([&member.civil]);
        let Some(wedding) = bonds
            .filter_map(|civil| civil.since)
            .map(|since| since.day)
            .min()
        else {
            return;
        };
        let ended = member.civil.since.filter(|_| !is_married);
        let last = ended.map_or(self.first_day, |ended| ended.day);
        let former = self
            .has(Trait::FormerSeparation, member)
            .then(|| self.span(wedding, last));
        if is_married && self.has(Trait::Separation, member) {
            let earliest = former.map_or(wedding, |(_, until)| until.day);
            member.separation = Some(self.moment_after(earliest));
        }
        member.former_separations.extend(former);
    }

    /// Sets the final status: resident, emigrated, disappeared, dead, or a number that was annulled. A member who
    /// `stays` is a resident at the home of the family.
    fn set_final_status(&mut self, member: &mut Member, stays: bool) {
        let age = member.born.years_until(self.first_day);
        let adult = age >= 18;
        if adult && self.has(Trait::Annulled, member) && !stays {
            member.status = Status::Annulled;
        } else if adult && self.has(Trait::NotResident, member) && !stays {
            member.status = Status::NotResident;
        } else if self.has(Trait::HighStreetCode, member)
            && member.status == Status::Resident
            && adult
            && !stays
        {
            self.hide(member, Status::HighStreetCode);
        } else if member.status == Status::Greenland {
            if self.has(Trait::GreenlandHighStreetCode, member) && adult && !stays {
                self.hide(member, Status::GreenlandHighStreetCode);
            }
        } else if adult && member.status == Status::Resident {
            let before = stays.then(|| member.clone());
            self.leave(member, age);
            if let Some(before) = before {
                *member = before;
            }
        }
        if member.is_resident() {
            return;
        }
        if member.status_since.is_none() {
            member.status_since = Some(self.recent(self.first_day));
        }
        let kept =
            member.status >= Status::Disappeared && self.has(Trait::LastKnownAddress, member);
        if let (false, Some(left)) = (kept, member.status_since) {
            // A person who had left before could not move in.
            member.residence = member.residence.filter(|home| home.since.day <= left.day);
            member
                .former_residences
                .retain(|(_, until)| until.day <= left.day);
            member.move_to(None, left);
        }
    }

    fn hide(&mut self, member: &mut Member, status: Status) {
        member.status = status;
        member.status_since = Some(self.recent(self.first_day));
        if let Some(residence) = &mut member.residence {
            residence.dwelling = residence.dwelling.high_street_code();
        }
    }

    fn leave(&mut self, member: &mut Member, age: i32) {
        let at = self.recent(self.first_day);
        let at = if at.day < member.born {
            Moment::certain(member.born)
        } else {
            at
        };
        if self.has(Trait::Emigrated, member) {
            let country = places::country(&mut self.rng);
            let house = self.rng.permille(800).then(|| 1 + self.rng.below(99));
            member.emigration = Some(Abroad { country, at, house });
            member.set_status(Status::Emigrated, at);
        } else if self.has(Trait::Disappeared, member) {
            member.disappeared = Some(at);
            member.set_status(Status::Disappeared, at);
        } else if self.has_died(member, age) {
            // A widowed status must follow a death, so only persons without a living spouse die here.
            if member.spouse().is_none() {
                let bound = member.civil.since.filter(|since| since.day > at.day);
                let at = bound.map_or(at, |since| self.moment_after(since.day));
                let spouse = match member.civil.code {
                    "U" => Spouse::Blank,
                    _ => member.last_spouse(),
                };
                member.set_civil("D", spouse, at);
                member.set_status(Status::Dead, at);
            }
        }
    }

    fn has_died(&mut self, member: &Member, age: i32) -> bool {
        match self.busy {
            true => age > 100 || (age > 70 && self.rng.permille(120)),
            false => member.key.with(64).rng().permille(dead_permille(age)),
        }
    }
}
