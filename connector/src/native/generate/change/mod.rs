//! Applies the changes of a night to a family.

mod life;
mod moves;
mod rates;
mod relation;
mod upkeep;

use super::calendar::{Day, Moment};
use super::family::{Entry, Family, Former, Member, Status};
use super::initial_state::{Basis, is_adult};
use super::number::{Number, Role};
use super::rng::Rng;
pub(super) use rates::draw_of_denmark;
pub(super) use relation::derived_mark;
use upkeep::Upkeep;

/// A kind of change that is reported to the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Found,
    Return,
    Unprotect,
    NewNumber,
    Birth,
    Death,
    Marriage,
    Divorce,
    MoveToAalborg,
    MoveFromAalborg,
    MoveAway,
    MoveWithin,
    Emigrate,
    Disappear,
    Protect,
    Rename,
    Church,
    Requisition,
    PeriodicRequisition,
    /// The death of a member at the rate of the age, if one is due.
    DeathOfAge,
    /// One of the rarer events, by its index in [`upkeep::FOR_MANY`].
    Upkeep(usize),
    /// The first event for which a member qualifies, from that index in [`upkeep::FOR_FEW`] on.
    UpkeepForFew(usize),
}

impl ChangeKind {
    /// The kinds that the first families of a busy population show every night. Those that need a rare kind of person
    /// come first, so that they find one.
    pub(super) const SHOWN: [Self; 19] = [
        Self::Found,
        Self::Return,
        Self::Unprotect,
        Self::NewNumber,
        Self::Birth,
        Self::Death,
        Self::Marriage,
        Self::Divorce,
        Self::MoveFromAalborg,
        Self::MoveToAalborg,
        Self::MoveAway,
        Self::MoveWithin,
        Self::Emigrate,
        Self::Disappear,
        Self::Protect,
        Self::Rename,
        Self::Church,
        Self::Requisition,
        Self::PeriodicRequisition,
    ];

    /// Returns a random kind of a busy population; moves are the most frequent. Births are not included, because they are
    /// assigned by the family's index.
    pub(super) fn draw_busy(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..24 => Self::MoveWithin,
            24..40 => Self::MoveAway,
            40..46 => Self::MoveToAalborg,
            46..52 => Self::MoveFromAalborg,
            52..55 => Self::Emigrate,
            55..59 => Self::Return,
            59..64 => Self::Death,
            64 => Self::Disappear,
            65 => Self::Found,
            66..68 => Self::NewNumber,
            68..74 => Self::Protect,
            74..79 => Self::Unprotect,
            79..83 => Self::Rename,
            83..86 => Self::Marriage,
            86..88 => Self::Divorce,
            88..93 => Self::Church,
            93..97 => Self::Requisition,
            _ => Self::PeriodicRequisition,
        }
    }

    /// Returns one of the rarer events.
    pub(super) fn draw_upkeep(rng: &mut Rng) -> Self {
        match rng.permille(300) {
            true => Self::Upkeep(rng.below(upkeep::FOR_MANY.len() as u32) as usize),
            false => Self::UpkeepForFew(rng.below(upkeep::FOR_FEW.len() as u32) as usize),
        }
    }
}

/// An event, which makes the register deliver an entry of the family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// The number under which the event is delivered.
    pub(super) entry: Entry,
    pub(super) code: &'static str,
    /// The member's relation to the main person of the event; blank for that person.
    pub(super) mark: &'static str,
    /// The time of registration; `None` for requisitions.
    pub(super) registered: Option<Moment>,
}

/// The night of a change, with what depends on the family's place in the population.
#[derive(Debug, Clone, Copy)]
pub(super) struct NightContext {
    pub(super) basis: Basis,
    /// The production date.
    pub(super) day: Day,
    pub(super) night: u32,
    /// The number of a child among those born in the same night.
    pub(super) birth_order: u64,
}

/// Applies the change and returns its events. Returns `None` if no member of the family qualifies.
pub(super) fn apply(
    family: &mut Family,
    kind: ChangeKind,
    context: &NightContext,
) -> Option<Vec<Event>> {
    apply_with(family, context, |change| change.make(kind))
}

/// Applies the changes that a function makes and returns their events.
pub(super) fn apply_with(
    family: &mut Family,
    context: &NightContext,
    make: impl FnOnce(&mut Change<'_>) -> Option<()>,
) -> Option<Vec<Event>> {
    let mut rng = family.key.with(1000 + u64::from(context.night)).rng();
    let at = Moment::exact(context.day, &mut rng);
    let mut change = Change {
        family,
        context,
        at,
        rng,
        events: Vec::new(),
    };
    make(&mut change)?;
    Some(change.events)
}

/// The changes of a family in a night.
pub(super) struct Change<'a> {
    family: &'a mut Family,
    context: &'a NightContext,
    at: Moment,
    rng: Rng,
    events: Vec<Event>,
}

impl Change<'_> {
    fn make(&mut self, kind: ChangeKind) -> Option<()> {
        match kind {
            ChangeKind::MoveWithin
            | ChangeKind::MoveAway
            | ChangeKind::MoveToAalborg
            | ChangeKind::MoveFromAalborg => self.move_home(kind),
            ChangeKind::Emigrate => self.emigrate(),
            ChangeKind::Return => self.come_back(),
            ChangeKind::Death => self.die(),
            ChangeKind::Disappear => self.disappear(),
            ChangeKind::Found => self.be_found(),
            ChangeKind::NewNumber => self.change_number(),
            ChangeKind::Protect => self.protect(),
            ChangeKind::Unprotect => self.lift_protection(),
            ChangeKind::Birth => self.give_birth(),
            ChangeKind::Rename => self.rename(),
            ChangeKind::Marriage => self.marry(),
            ChangeKind::Divorce => self.divorce(),
            ChangeKind::Church => self.change_church(),
            ChangeKind::Requisition | ChangeKind::PeriodicRequisition => self.requisition(kind),
            ChangeKind::DeathOfAge => self.die_of_age(),
            ChangeKind::Upkeep(index) => self.upkeep(upkeep::FOR_MANY.get(index)?),
            ChangeKind::UpkeepForFew(start) => {
                let (early, late) = upkeep::FOR_FEW.split_at_checked(start)?;
                late.iter()
                    .chain(early)
                    .find_map(|event| self.upkeep(event))
            }
        }
    }

    /// Applies a rarer event. Changes nothing if no member qualifies.
    fn upkeep(&mut self, (code, apply): &Upkeep) -> Option<()> {
        let place = apply(self)?;
        self.add_event(place, code);
        Some(())
    }

    /// Gives a member a new number. The old number stays in the register and points to the new one, which takes over
    /// everything else.
    fn change_number(&mut self) -> Option<()> {
        let place = self.replace_number(Status::Changed)?;
        self.add_change_of_number(place);
        Some(())
    }

    /// Adds the events of a change of number: for the person, and under the new and the last number.
    fn add_change_of_number(&mut self, place: usize) {
        self.add_event(place, "P03");
        let former = self.family.members[place].former.len().checked_sub(1);
        for (former, mark) in [(None, "PN"), (former, "PT")] {
            self.events.push(Event {
                entry: Entry {
                    member: place,
                    former,
                },
                code: "P03",
                mark,
                registered: Some(self.at),
            });
        }
    }

    /// Gives a member that number and birth date. The last number points to it.
    pub(super) fn give_number(&mut self, place: usize, number: Number, born: Day) {
        self.set_number(place, number, born, Status::Changed);
        self.add_change_of_number(place);
    }

    /// Gives a member another number and returns the member's index.
    fn replace_number(&mut self, status: Status) -> Option<usize> {
        let place = self.find(|member| {
            let has_spare = matches!(member.role, Role::First | Role::Child(0));
            has_spare && member.former.is_empty() && member.is_resident()
        })?;
        let member = &self.family.members[place];
        let spare = match member.role {
            Role::First => Role::FirstAgain,
            _ => Role::ChildAgain,
        };
        let number_plan = self.context.basis.number_plan(self.family.index);
        let born = number_plan.birth(spare)?;
        let number = number_plan.number(spare, born, member.sex);
        self.set_number(place, number, born, status);
        Some(place)
    }

    fn set_number(&mut self, place: usize, number: Number, born: Day, status: Status) {
        let member = &mut self.family.members[place];
        let mut person = member.clone();
        person.former.clear();
        person.move_to(None, self.at);
        member.born = born;
        member.number = number;
        member.number_since = Moment::certain(self.context.day);
        member.former.push(Former {
            status,
            person,
            until: self.at,
        });
    }

    fn requisition(&mut self, kind: ChangeKind) -> Option<()> {
        let member = self.find(Member::is_resident)?;
        self.events.push(Event {
            entry: Entry {
                member,
                former: None,
            },
            code: if kind == ChangeKind::Requisition {
                "A74"
            } else {
                "K74"
            },
            mark: "",
            registered: None,
        });
        Some(())
    }

    /// Returns a member who qualifies. The search starts at a random member, so that it does not always find the same
    /// one.
    fn find(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        self.find_place(|_, member| fits(member))
    }

    /// Returns a member who qualifies by the member and its index.
    fn find_place(&mut self, fits: impl Fn(usize, &Member) -> bool) -> Option<usize> {
        let count = self.family.members.len();
        let start = self.rng.below(count as u32) as usize;
        (0..count)
            .map(|step| (start + step) % count)
            .find(|&place| fits(place, &self.family.members[place]))
    }

    /// Returns an adult who qualifies and who leaves no child alone.
    fn find_leaver(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        let count = self.family.members.len();
        let alone: Vec<_> = (0..count)
            .map(|place| self.leaves_a_child_alone(place))
            .collect();
        let first_day = self.context.basis.first_day;
        self.find_place(|place, member| {
            !alone[place] && is_adult(member.born, first_day) && fits(member)
        })
    }

    /// Returns whether a minor of the home would have no parent there without this member.
    fn leaves_a_child_alone(&self, place: usize) -> bool {
        let members = &self.family.members;
        let lives_with = |one: usize, other: &Member| {
            let home = members.get(one).filter(|one| one.is_resident())?.residence;
            Some(home?.dwelling == other.residence?.dwelling)
        };
        let first_day = self.context.basis.first_day;
        let minors = members.iter().filter(|child| {
            matches!(child.role, Role::Child(_)) && !is_adult(child.born, first_day)
        });
        minors.into_iter().any(|child| {
            let parents = [child.mother.member(), child.father.member()];
            let mut others = parents
                .into_iter()
                .flatten()
                .filter(|&other| other != place);
            child.is_resident()
                && parents.contains(&Some(place))
                && !others.any(|other| lives_with(other, child) == Some(true))
        })
    }

    fn find_adult(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        let first_day = self.context.basis.first_day;
        self.find(|member| is_adult(member.born, first_day) && fits(member))
    }

    fn add_event(&mut self, member: usize, code: &'static str) {
        self.events.push(Event {
            entry: Entry {
                member,
                former: None,
            },
            code,
            mark: "",
            registered: Some(self.at),
        });
    }
}
