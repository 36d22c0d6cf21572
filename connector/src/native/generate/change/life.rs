//! Changes in a person's life: birth, death, marriage, name, church, protection.

use super::super::calendar::Moment;
use super::super::family::{Member, Parent, Protection, Spouse, Status};
use super::super::initial_state::{born_member, is_adult, too_close};
use super::super::names;
use super::super::number::{Number, Role, Sex};
use super::Change;
use super::rates::{MEMBERS_AT_RISK, deaths_of_ten_thousand};

impl Change<'_> {
    pub(super) fn die(&mut self) -> Option<()> {
        let day = self.context.day;
        let elders = |member: &Member| member.born.years_until(day) >= 60;
        let living = |member: &Member| member.is_resident();
        let place = self
            .find_leaver(|member| living(member) && elders(member))
            .or_else(|| self.find_leaver(living))?;
        self.die_at(place);
        Some(())
    }

    /// Ends the life of a member, at the rate of the age. Not every member of every family has a turn.
    pub(super) fn die_of_age(&mut self) -> Option<()> {
        let place = self.rng.below(MEMBERS_AT_RISK) as usize;
        let member = self.family.members.get(place)?;
        let age = member.born.years_until(self.context.day);
        let dies = member.is_resident() && self.rng.below(2500) < deaths_of_ten_thousand(age);
        (dies && !self.leaves_a_child_alone(place)).then(|| self.die_at(place))
    }

    pub(in crate::native::generate) fn die_at(&mut self, place: usize) {
        let spouse = self.family.members[place].spouse();
        let dead = &mut self.family.members[place];
        let partnership = dead.civil.code;
        let of_dead = match partnership {
            "U" => Spouse::Blank,
            _ => dead.last_spouse(),
        };
        dead.set_civil("D", of_dead, self.at);
        dead.separation = None;
        dead.leave_home(self.at);
        dead.set_status(Status::Dead, self.at);
        self.add_event(place, "A21");
        if let Some(widowed) = spouse.and_then(|spouse| self.family.members.get_mut(spouse)) {
            let former = widowed.last_spouse();
            widowed.set_civil(if partnership == "P" { "L" } else { "E" }, former, self.at);
            widowed.separation = None;
        }
    }

    pub(super) fn protect(&mut self) -> Option<()> {
        let place = self.find(|member| {
            member.is_resident() && member.protections.iter().all(|held| held.kind != "0001")
        })?;
        self.protect_member(place);
        Some(())
    }

    /// Gives a member the protection of name and address from the production date on.
    pub(in crate::native::generate) fn protect_member(&mut self, place: usize) {
        self.family.members[place].protections.insert(
            0,
            Protection {
                kind: "0001",
                start: Some(Moment::certain(self.context.day)),
                deletion: None,
            },
        );
        self.add_event(place, "A33");
    }

    pub(super) fn lift_protection(&mut self) -> Option<()> {
        let day = self.context.day;
        let holds = |held: &Protection| held.kind == "0001" && held.in_force(day);
        let place = self.find(|member| member.protections.iter().any(holds))?;
        let member = &mut self.family.members[place];
        let held = member.protections.iter().position(holds)?;
        let lifted = member.protections.remove(held);
        member
            .former_protections
            .push((lifted, Moment::certain(self.context.day)));
        self.add_event(place, "A33");
        Some(())
    }

    /// Adds a child, born on the day before the production date.
    pub(super) fn give_birth(&mut self) -> Option<()> {
        let day = self.context.day;
        let newborns = self
            .family
            .members
            .iter()
            .filter(|m| matches!(m.role, Role::Child(3..)));
        let newborns = newborns.count() as u8;
        let born = day.plus(-1);
        let births: Vec<_> = self
            .family
            .members
            .iter()
            .filter_map(|child| Some((child.mother.member()?, child.born)))
            .collect();
        let is_recent = |mother: usize| {
            let mut own = births.iter().filter(|(parent, _)| *parent == mother);
            own.any(|(_, earlier)| *earlier == born || too_close(*earlier, born))
        };
        let mother = self.find_place(|place, member| {
            let age = member.born.years_until(day);
            let may = member.sex == Sex::Female && (18..46).contains(&age) && newborns < 4;
            may && member.status == Status::Resident
                && !matches!(member.role, Role::Child(_))
                && !is_recent(place)
        })?;
        let father = self.family.members[mother].spouse();
        let father = father.filter(|&spouse| {
            let spouse = &self.family.members[spouse];
            spouse.sex == Sex::Male && !spouse.is_dead()
        });
        let sex = if self.rng.permille(490) {
            Sex::Female
        } else {
            Sex::Male
        };
        let number = Number::of_newborn(born, self.context.birth_order, sex);
        let key = self.family.key.with(2000 + u64::from(self.context.night));
        let surname = self.family.members[mother].name.surname;
        let mut child = born_member(key, Role::Child(3 + newborns), number, sex, born, surname);
        child.mother = Parent::Member(mother);
        child.father = father.map_or(Parent::Unknown, Parent::Member);
        child.move_to(
            self.family.members[mother]
                .residence
                .map(|home| home.dwelling),
            Moment::certain(born),
        );
        self.family.members.push(child);
        self.add_event(self.family.members.len() - 1, "A51");
        Some(())
    }

    pub(super) fn rename(&mut self) -> Option<()> {
        let place = self.find(Member::is_resident)?;
        let member = &mut self.family.members[place];
        let before = member.name;
        let mut surname = names::surname(&mut self.rng);
        if surname == before.surname {
            surname = names::foreign_surname(&mut self.rng);
        }
        member.name.surname = surname;
        member.name.middle = self.rng.permille(500).then_some(before.surname);
        member.name.since = self.at;
        member.former_names.push((before, self.at));
        self.add_event(place, "A13");
        Some(())
    }

    /// Marries two adults who live together and are not related.
    pub(super) fn marry(&mut self) -> Option<()> {
        let day = self.context.day;
        let (a, b) = self.couple(|member| {
            !member.is_bound() && member.civil.code != "D" && is_adult(member.born, day)
        })?;
        for (place, spouse) in [(a, b), (b, a)] {
            self.family.members[place].set_civil("G", Spouse::Member(spouse), self.at);
            self.add_event(place, "A19");
        }
        Some(())
    }

    pub(super) fn divorce(&mut self) -> Option<()> {
        let (a, b) = self.couple(|member| member.spouse().is_some())?;
        for place in [a, b] {
            let member = &mut self.family.members[place];
            let code = if member.civil.code == "P" { "O" } else { "F" };
            let former = member.last_spouse();
            member.set_civil(code, former, self.at);
            member.separation = None;
            self.add_event(place, "A20");
        }
        Some(())
    }

    pub(super) fn change_church(&mut self) -> Option<()> {
        let place = self.find(Member::is_resident)?;
        let member = &mut self.family.members[place];
        let (before, since) = member.church;
        let now = Moment::certain(self.context.day);
        member.church = (if before == "F" { "U" } else { "F" }, now);
        member.former_churches.push((before, since, now));
        self.add_event(place, "A34");
        Some(())
    }

    pub(super) fn couple(&self, fits: impl Fn(&Member) -> bool) -> Option<(usize, usize)> {
        let [first, second, ..] = self.family.members.as_slice() else {
            return None;
        };
        let adults = first.role == Role::First && second.role == Role::Second;
        let fits = |member: &Member| member.is_resident() && fits(member);
        (adults && fits(first) && fits(second)).then_some((0, 1))
    }
}
