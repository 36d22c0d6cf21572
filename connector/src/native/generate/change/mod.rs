//! Applies the changes of a night to a family.

mod life;
mod moves;

use super::calendar::{Day, Moment};
use super::family::{Family, Former, Member, Status};
use super::initial_state::is_adult;
use super::number::{NumberPlan, Role};
use super::rng::{Key, Rng};

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
}

impl ChangeKind {
    /// All kinds. Those that need a rare kind of person come first, so that they find one.
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

    /// Returns a random kind; moves are the most frequent. Births are not included, because they are assigned by the
    /// family's index.
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

/// An event, which makes the register deliver an entry of the family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) member: usize,
    /// Whether the event is delivered under the member's former number.
    pub(super) under_former: bool,
    pub(super) code: &'static str,
    /// The member's relation to the main person of the event; blank for that person.
    pub(super) mark: &'static str,
    /// The time of registration; `None` for requisitions.
    pub(super) registered: Option<Moment>,
}

/// The night of a change, with what depends on the family's place in the population.
#[derive(Debug, Clone, Copy)]
pub(super) struct NightContext {
    pub(super) seed: Key,
    pub(super) first_day: Day,
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
    let mut rng = family.key.with(1000 + u64::from(context.night)).rng();
    let at = Moment::exact(context.day, &mut rng);
    let mut change = Change {
        family,
        context,
        at,
        rng,
        events: Vec::new(),
    };
    change.make(kind)?;
    Some(change.events)
}

struct Change<'a> {
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
        }
    }

    /// Gives a member a new number. The old number stays in the register and points to the new one, which takes over
    /// everything else.
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
        let number_plan =
            NumberPlan::new(self.context.seed, self.family.index, self.context.first_day);
        let born = number_plan.birth(spare)?;
        let mut person = member.clone();
        person.move_to(None, self.at);
        member.born = born;
        member.number = number_plan.number(spare, born, member.sex);
        member.number_since = Moment::certain(self.context.day);
        member.former = Some(Box::new(Former {
            status: Status::Changed,
            person,
            until: self.at,
        }));
        self.add_event(place, "P03");
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

    fn requisition(&mut self, kind: ChangeKind) -> Option<()> {
        let member = self.find(Member::is_resident)?;
        self.events.push(Event {
            member,
            under_former: false,
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
        let count = self.family.members.len();
        let start = self.rng.below(count as u32) as usize;
        (0..count)
            .map(|step| (start + step) % count)
            .find(|&place| fits(&self.family.members[place]))
    }

    fn find_adult(&mut self, fits: impl Fn(&Member) -> bool) -> Option<usize> {
        let first_day = self.context.first_day;
        self.find(|member| is_adult(member.born, first_day) && fits(member))
    }

    fn add_event(&mut self, member: usize, code: &'static str) {
        self.events.push(Event {
            member,
            under_former: false,
            code,
            mark: "",
            registered: Some(self.at),
        });
    }
}

/// Returns the mark of a member whom another member's event affects: the relation between the two.
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
