//! What a night changes in a family.

mod life;
mod moves;

use super::calendar::{Day, Moment};
use super::family::{Family, Former, Member, Status};
use super::founding::is_adult;
use super::number::{Role, Seat};
use super::rng::{Key, Rng};

/// A kind of change, as one thing that the register is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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
}

impl Kind {
    /// Every kind: those that need a rare kind of person come first, so that they find one.
    pub(super) const ALL: [Self; 19] = [
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

    /// One at random, moves the most often. Births are not among them: they come by turn.
    pub(super) fn draw(rng: &mut Rng) -> Self {
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
}

/// An event that makes the register deliver one of the family's entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) member: usize,
    /// Whether it is told under the member's former number.
    pub(super) under_former: bool,
    pub(super) code: &'static str,
    /// How the member is derived from the event's main person; blank for that person.
    pub(super) mark: &'static str,
    /// Requisitions have no time.
    pub(super) registered: Option<Moment>,
}

/// The night of a change, and what comes with its place in the population.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) seed: Key,
    pub(super) first_day: Day,
    /// The production date.
    pub(super) day: Day,
    pub(super) night: u32,
    /// The place of a child among those born the same night.
    pub(super) birth_order: u64,
}

/// Makes the change if the family has someone whom it can happen to, and tells its events.
pub(super) fn apply(family: &mut Family, kind: Kind, turn: &Turn) -> Option<Vec<Event>> {
    let mut rng = family.key.with(1000 + u64::from(turn.night)).rng();
    let at = Moment::exact(turn.day, &mut rng);
    let mut change = Change {
        family,
        turn,
        at,
        rng,
        events: Vec::new(),
    };
    change.make(kind)?;
    Some(change.events)
}

struct Change<'a> {
    family: &'a mut Family,
    turn: &'a Turn,
    at: Moment,
    rng: Rng,
    events: Vec<Event>,
}

impl Change<'_> {
    fn make(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::MoveWithin | Kind::MoveAway | Kind::MoveToAalborg | Kind::MoveFromAalborg => {
                self.move_home(kind)
            }
            Kind::Emigrate => self.emigrate(),
            Kind::Return => self.come_back(),
            Kind::Death => self.die(),
            Kind::Disappear => self.disappear(),
            Kind::Found => self.be_found(),
            Kind::NewNumber => self.change_number(),
            Kind::Protect => self.protect(),
            Kind::Unprotect => self.lift_protection(),
            Kind::Birth => self.bear(),
            Kind::Rename => self.rename(),
            Kind::Marriage => self.marry(),
            Kind::Divorce => self.divorce(),
            Kind::Church => self.change_church(),
            Kind::Requisition | Kind::PeriodicRequisition => self.requisition(kind),
        }
    }

    /// The old number stays in the register and points to the new one, which takes over all else.
    fn change_number(&mut self) -> Option<()> {
        let place = self.find(|member| {
            let has_spare = matches!(member.role, Role::First | Role::Child(0));
            has_spare && member.former.is_none() && member.is_resident()
        })?;
        let member = &mut self.family.members[place];
        let spare = match member.role {
            Role::First => Role::FirstAgain,
            _ => Role::ChildAgain,
        };
        let seat = Seat::new(self.turn.seed, self.family.index, self.turn.first_day);
        let born = seat.birth(spare)?;
        let mut person = member.clone();
        person.move_to(None, self.at);
        member.born = born;
        member.number = seat.number(spare, born, member.sex);
        member.number_since = Moment::certain(self.turn.day);
        member.former = Some(Box::new(Former {
            status: Status::Changed,
            person,
            until: self.at,
        }));
        self.tell(place, "P03");
        for (under_former, mark) in [(false, "PN"), (true, "PT")] {
            self.events.push(Event {
                member: place,
                under_former,
                code: "P03",
                mark,
                registered: Some(self.at),
            });
        }
        Some(())
    }

    fn requisition(&mut self, kind: Kind) -> Option<()> {
        let member = self.find(Member::is_resident)?;
        self.events.push(Event {
            member,
            under_former: false,
            code: if kind == Kind::Requisition {
                "A74"
            } else {
                "K74"
            },
            mark: "",
            registered: None,
        });
        Some(())
    }

    /// One who fits; the search starts at random, so that not always the same is found.
    fn find(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        let count = self.family.members.len();
        let start = self.rng.below(count as u32) as usize;
        (0..count)
            .map(|step| (start + step) % count)
            .find(|&place| fits(&self.family.members[place]))
    }

    fn find_adult(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        let first_day = self.turn.first_day;
        self.find(|member| is_adult(member.born, first_day) && fits(member))
    }

    fn tell(&mut self, member: usize, code: &'static str) {
        self.events.push(Event {
            member,
            under_former: false,
            code,
            mark: "",
            registered: Some(self.at),
        });
    }
}

/// The mark of a member whom an event of another reaches: what it is to that other.
pub(super) fn derived_mark(family: &Family, main: usize, reached: usize) -> &'static str {
    let (person, other) = (&family.members[main], &family.members[reached]);
    let partner = person.civil.code == "P" || other.civil.code == "P";
    if person.mother.member() == Some(reached) {
        "MO"
    } else if person.father.member() == Some(reached) {
        "FA"
    } else if [other.mother, other.father]
        .iter()
        .any(|known| known.member() == Some(main))
    {
        "BØ"
    } else if partner {
        "PA"
    } else if matches!((main, reached), (0, 1) | (1, 0)) {
        "ÆG"
    } else {
        "NV"
    }
}
