//! The rarer events: corrections, annulments, registrations of authorities, and changes of parents.

use super::super::calendar::Moment;
use super::super::family::{
    Abroad, Guardian, Guardianship, Member, MunicipalCondition, Parent, Residence, Status,
};
use super::super::initial_state::is_adult;
use super::super::names::{self, PersonName};
use super::super::number::{Role, Sex};
use super::super::places::{self, DENMARK, Dwelling};
use super::Change;

/// An event code, and the function that applies the event to a member who qualifies and returns that member's index. The
/// function changes nothing if no member qualifies.
pub(super) type Upkeep = (&'static str, fn(&mut Change<'_>) -> Option<usize>);

/// The rarer events for which a member of most families qualifies.
pub(super) const FOR_MANY: &[Upkeep] = &[
    ("A07", |change| change.supplement_address()),
    ("A08", |change| change.change_franchise()),
    ("A09", |change| change.correct_address()),
    ("A15", |change| change.turn_addressing_name()),
    ("A16", |change| change.correct_name()),
    ("A17", |change| change.annul_name()),
    ("A24", |change| change.correct_civil_status()),
    ("A29", |change| change.correct_citizenship()),
    ("A31", |change| change.note()),
    ("A32", |change| change.change_condition()),
    ("A42", |change| change.change_street_code()),
    ("A47", |change| change.change_contact_address()),
    ("A73", |change| change.change_guardianship()),
    ("P02", |change| change.delete_number()),
    ("P10", |change| change.rename_place()),
    ("P32", |change| change.order_relocation()),
    ("P40", |change| change.change_custody()),
];

/// The rarer events for which a member of few families qualifies. An event follows those for which other families qualify,
/// so that it is often the first that applies.
pub(super) const FOR_FEW: &[Upkeep] = &[
    ("A40", |change| change.annul_number()),
    ("P31", |change| change.enter()),
    ("A05", |change| change.enter()),
    ("A10", |change| change.annul_departure()),
    ("A25", |change| change.annul_death()),
    ("P11", |change| change.expire()),
    ("A27", |change| change.naturalise()),
    ("A37", |change| change.find_father()),
    ("A36", |change| change.change_mother()),
    ("A38", |change| change.annul_father()),
    ("A35", |change| change.adopt()),
    ("A14", |change| change.name_child()),
    ("P48", |change| change.correct_separation()),
    ("P36", |change| change.end_separation()),
    ("P49", |change| change.annul_separation()),
    ("P35", |change| change.separate()),
    ("P58", |change| change.marry_into_a_name()),
    ("P56", |change| change.annul_church()),
];

impl Change<'_> {
    fn now(&self) -> Moment {
        Moment::certain(self.context.day)
    }

    fn find_minor(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        let first_day = self.context.basis.first_day;
        self.find(|member| {
            let is_child = matches!(member.role, Role::Child(_)) && member.is_resident();
            is_child && !is_adult(member.born, first_day) && fits(member)
        })
    }

    /// Lets a person with a number and without residence enter the country for the first time.
    fn enter(&mut self) -> Option<usize> {
        let place = self.find(|member| member.status == Status::NotResident)?;
        let dwelling = self.new_dwelling();
        let country = places::country(&mut self.rng);
        let entry = Abroad {
            country,
            at: self.at,
            house: None,
        };
        self.family.members[place]
            .former_emigrations
            .push((None, entry));
        self.settle(place, dwelling);
        Some(place)
    }

    fn supplement_address(&mut self) -> Option<usize> {
        let place = self.find(|member| member.status == Status::Resident)?;
        let now = self.now();
        let home = self.family.members[place].residence.as_mut()?;
        home.supplement = match home.supplement {
            None => Some(now),
            Some(_) => None,
        };
        Some(place)
    }

    fn change_franchise(&mut self) -> Option<usize> {
        let place = self.find_adult(Member::is_resident)?;
        let now = self.now();
        let franchise = &mut self.family.members[place].franchise;
        if franchise.pop().is_none() {
            franchise.push(("0004", now));
        }
        Some(place)
    }

    /// Replaces the dwelling of all who live there, without a move.
    fn replace_dwelling(&mut self, change: fn(Dwelling) -> Dwelling) -> Option<usize> {
        let place = self.find(|member| member.status == Status::Resident)?;
        let old = self.family.members[place].residence?.dwelling;
        for member in &mut self.family.members {
            if let Some(home) = member
                .residence
                .as_mut()
                .filter(|home| home.dwelling == old)
            {
                home.dwelling = change(old);
            }
        }
        Some(place)
    }

    fn correct_address(&mut self) -> Option<usize> {
        self.replace_dwelling(Dwelling::next_door)
    }

    fn change_street_code(&mut self) -> Option<usize> {
        self.replace_dwelling(Dwelling::other_street_code)
    }

    fn rename_place(&mut self) -> Option<usize> {
        self.replace_dwelling(Dwelling::renamed_place)
    }

    /// Undoes an emigration or disappearance that was registered by mistake.
    fn annul_departure(&mut self) -> Option<usize> {
        let place = self.find(|member| {
            let left = matches!(member.status, Status::Emigrated | Status::Disappeared);
            left && member.residence.is_none() && !member.former_residences.is_empty()
        })?;
        let member = &mut self.family.members[place];
        member.emigration = None;
        member.disappeared = None;
        member.status = Status::Resident;
        member.status_since = Some(self.at);
        member.residence = take_last_home(member);
        Some(place)
    }

    /// Gives a small child its name.
    fn name_child(&mut self) -> Option<usize> {
        let day = self.context.day;
        let place = self.find_minor(|member| member.born.years_until(day) < 2)?;
        let at = self.at;
        let member = &mut self.family.members[place];
        member.name = PersonName::draw(member.sex, member.name.surname, at, &mut self.rng);
        Some(place)
    }

    fn turn_addressing_name(&mut self) -> Option<usize> {
        let place = self.find(Member::is_resident)?;
        let name = &mut self.family.members[place].name;
        name.given_first = !name.given_first;
        Some(place)
    }

    fn correct_name(&mut self) -> Option<usize> {
        let place = self.find(Member::is_resident)?;
        let name = &mut self.family.members[place].name;
        name.mark = if name.mark.is_empty() { "=" } else { "" };
        Some(place)
    }

    fn annul_name(&mut self) -> Option<usize> {
        let place = self.find(|member| member.is_resident() && !member.former_names.is_empty())?;
        let member = &mut self.family.members[place];
        (member.name, _) = member.former_names.pop()?;
        Some(place)
    }

    fn correct_civil_status(&mut self) -> Option<usize> {
        let place = self.find(|member| member.is_resident() && member.civil.since.is_some())?;
        let since = self.family.members[place].civil.since.as_mut()?;
        *since = since.doubted(!since.uncertain);
        Some(place)
    }

    /// Undoes a death that was registered by mistake in the last years, also for the surviving spouse.
    fn annul_death(&mut self) -> Option<usize> {
        let day = self.context.day;
        let place = self.find(|member| {
            let died = member.status_since.filter(|_| member.is_dead());
            died.is_some_and(|died| died.day > day.plus(-1500))
                && !member.former_civils.is_empty()
                && (member.residence.is_some() || !member.former_residences.is_empty())
        })?;
        let died = self.family.members[place].status_since?;
        let ended = |member: &Member| member.civil.since == Some(died);
        let member = &mut self.family.members[place];
        if !ended(member) {
            return None;
        }
        (member.civil, _) = member.former_civils.pop()?;
        member.status = Status::Resident;
        member.status_since = None;
        if member.residence.is_none() {
            member.residence = take_last_home(member);
        }
        let spouse = member.spouse();
        if let Some(widowed) = spouse.and_then(|spouse| self.family.members.get_mut(spouse))
            && ended(widowed)
            && let Some((civil, _)) = widowed.former_civils.pop()
        {
            widowed.civil = civil;
        }
        Some(place)
    }

    fn naturalise(&mut self) -> Option<usize> {
        let place = self.find(|member| member.is_resident() && member.citizenship.0 != DENMARK)?;
        let at = self.at;
        let member = &mut self.family.members[place];
        let (country, since) = member.citizenship;
        member.former_citizenships.push((country, since, at));
        member.citizenship = (DENMARK, at);
        Some(place)
    }

    fn correct_citizenship(&mut self) -> Option<usize> {
        let place = self.find(Member::is_resident)?;
        let since = &mut self.family.members[place].citizenship.1;
        *since = since.doubted(!since.uncertain);
        Some(place)
    }

    fn note(&mut self) -> Option<usize> {
        let place = self.find(Member::is_resident)?;
        let now = self.now();
        let notes = &mut self.family.members[place].notes;
        if notes.pop().is_none() {
            notes.push(("Afventer dokumentation for fødsel", now, None));
        }
        Some(place)
    }

    fn change_condition(&mut self) -> Option<usize> {
        let place = self.find_adult(Member::is_resident)?;
        let now = self.now();
        let conditions = &mut self.family.members[place].conditions;
        if conditions.pop().is_none() {
            conditions.push(MunicipalCondition {
                kind: "6",
                code: "B",
                since: now,
                remark: "Fri anvendelse",
            });
        }
        Some(place)
    }

    /// Lets a stepfather who has no number adopt a child whose father is unknown.
    fn adopt(&mut self) -> Option<usize> {
        let place = self.find_minor(|member| matches!(member.father, Parent::Unknown))?;
        let born = self.family.members[place].born;
        let born = Moment::date(born.plus(-12_000), &mut self.rng);
        let surname = names::surname(&mut self.rng);
        let name = PersonName::draw(Sex::Male, surname, born, &mut self.rng);
        self.family.members[place].father = Parent::Named(name, born);
        Some(place)
    }

    /// Corrects who the mother is: the two mothers of a child change places, or a grandmother is found or is no longer
    /// known.
    fn change_mother(&mut self) -> Option<usize> {
        let women: Vec<_> = self
            .family
            .members
            .iter()
            .map(|member| member.sex == Sex::Female)
            .collect();
        let is_woman = |parent: Parent| parent.member().is_some_and(|place| women[place]);
        if let Some(place) =
            self.find_minor(|child| is_woman(child.mother) && is_woman(child.father))
        {
            let child = &mut self.family.members[place];
            std::mem::swap(&mut child.mother, &mut child.father);
            return Some(place);
        }
        let grandmother = self.find(|member| {
            member.role == Role::Grandparent && member.sex == Sex::Female && !member.is_dead()
        })?;
        let child = self.family.members.first_mut()?;
        child.mother = match child.mother {
            Parent::Member(_) => Parent::Unknown,
            _ => Parent::Member(grandmother),
        };
        Some(0)
    }

    /// Registers the man who lives with the mother as the father.
    fn find_father(&mut self) -> Option<usize> {
        let place = self.find_minor(|member| matches!(member.father, Parent::Unknown))?;
        let mother = self.family.members[place].mother.member()?;
        let home = self.family.members[mother].residence?.dwelling;
        let father = self.family.members.iter().position(|man| {
            let may = matches!(man.role, Role::First | Role::Second) && man.sex == Sex::Male;
            may && man.is_resident() && man.residence.is_some_and(|lives| lives.dwelling == home)
        })?;
        self.family.members[place].father = Parent::Member(father);
        Some(place)
    }

    fn annul_father(&mut self) -> Option<usize> {
        let place = self.find_minor(|member| {
            member.father.member().is_some() && member.mother.member().is_some()
        })?;
        let child = &self.family.members[place];
        let mother = &self.family.members[child.mother.member()?];
        // The child stays with the mother.
        let lives_there = mother.residence?.dwelling == child.residence?.dwelling;
        if !mother.is_resident() || !lives_there {
            return None;
        }
        self.family.members[place].father = Parent::Unknown;
        Some(place)
    }

    /// Annuls the number of a person without relatives.
    fn annul_number(&mut self) -> Option<usize> {
        let [only] = self.family.members.as_mut_slice() else {
            return None;
        };
        if only.status != Status::Resident || !only.former.is_empty() {
            return None;
        }
        only.move_to(None, self.at);
        only.set_status(Status::Annulled, self.at);
        Some(0)
    }

    fn change_contact_address(&mut self) -> Option<usize> {
        let place = self.find_adult(Member::is_resident)?;
        let dwelling = self.new_dwelling();
        let now = self.now();
        let contact = &mut self.family.members[place].contact;
        *contact = match contact {
            None => Some((dwelling, now)),
            Some(_) => None,
        };
        Some(place)
    }

    fn change_guardianship(&mut self) -> Option<usize> {
        let place = self.find_adult(Member::is_resident)?;
        let since = self.now();
        let guardian = match place {
            0 => Guardian::NotInRegister,
            _ => Guardian::Member(0),
        };
        let guardianship = &mut self.family.members[place].guardianship;
        *guardianship = match guardianship {
            None => Some(Guardianship {
                since,
                full: false,
                guardian,
            }),
            Some(_) => None,
        };
        Some(place)
    }

    /// Deletes the number of a person who has two.
    fn delete_number(&mut self) -> Option<usize> {
        self.replace_number(Status::Deleted)
    }

    /// Removes a protection or note whose deletion date has come.
    fn expire(&mut self) -> Option<usize> {
        let day = self.context.day;
        let has_come =
            |end: &Option<Moment>| end.is_some_and(|end| end.has_day() && end.day <= day);
        let place = self.find(|member| {
            member
                .protections
                .iter()
                .any(|held| has_come(&held.deletion))
                || member.notes.iter().any(|(.., end)| has_come(end))
        })?;
        let member = &mut self.family.members[place];
        member.notes.retain(|(.., end)| !has_come(end));
        let protections = std::mem::take(&mut member.protections);
        for held in protections {
            match held.deletion.filter(|end| has_come(&Some(*end))) {
                Some(end) => member.former_protections.push((held, end)),
                None => member.protections.push(held),
            }
        }
        Some(place)
    }

    fn order_relocation(&mut self) -> Option<usize> {
        let place = self.find_adult(|member| member.status == Status::Resident)?;
        let now = self.now();
        let order = &mut self.family.members[place].relocation_order;
        *order = match order {
            None => Some(now),
            Some(_) => None,
        };
        Some(place)
    }

    /// Separates a married couple.
    fn separate(&mut self) -> Option<usize> {
        let (a, b) =
            self.couple(|member| member.spouse().is_some() && member.separation.is_none())?;
        let now = self.now();
        for place in [a, b] {
            self.family.members[place].separation = Some(now);
        }
        Some(a)
    }

    fn end_separation(&mut self) -> Option<usize> {
        let (place, since) = self.find_separated()?;
        let now = self.now();
        let member = &mut self.family.members[place];
        member.separation = None;
        member.former_separations.push((since, now));
        Some(place)
    }

    fn correct_separation(&mut self) -> Option<usize> {
        let (place, since) = self.find_separated()?;
        self.family.members[place].separation = Some(since.doubted(!since.uncertain));
        Some(place)
    }

    fn annul_separation(&mut self) -> Option<usize> {
        let (place, _) = self.find_separated()?;
        self.family.members[place].separation = None;
        Some(place)
    }

    fn find_separated(&mut self) -> Option<(usize, Moment)> {
        let place = self.find(|member| member.is_resident() && member.separation.is_some())?;
        Some((place, self.family.members[place].separation?))
    }

    fn change_custody(&mut self) -> Option<usize> {
        let first_day = self.context.basis.first_day;
        let first = self.family.members.first()?;
        if !first.is_resident() || !is_adult(first.born, first_day) {
            return None;
        }
        let place = self.find_minor(|_| true)?;
        let custodian = &mut self.family.members[place].custodian;
        *custodian = match custodian {
            None => Some(0),
            Some(_) => None,
        };
        Some(place)
    }

    fn annul_church(&mut self) -> Option<usize> {
        let place =
            self.find(|member| member.is_resident() && !member.former_churches.is_empty())?;
        let member = &mut self.family.members[place];
        let (relation, since, _) = member.former_churches.pop()?;
        member.church = (relation, since);
        Some(place)
    }

    /// Marries a couple. One of them takes the surname of the other.
    fn marry_into_a_name(&mut self) -> Option<usize> {
        self.marry()?;
        let surname = self.family.members.first()?.name.surname;
        let at = self.at;
        let member = self.family.members.get_mut(1)?;
        let before = member.name;
        member.name.surname = surname;
        member.name.since = at;
        member.former_names.push((before, at));
        Some(1)
    }
}

/// Takes the home that the member left last.
fn take_last_home(member: &mut Member) -> Option<Residence> {
    let last = (0..member.former_residences.len())
        .max_by_key(|&place| member.former_residences[place].1.day)?;
    Some(member.former_residences.remove(last).0)
}
