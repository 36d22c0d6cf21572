//! The state of a family: its members, their relations and their history.

use super::calendar::{Day, Moment};
use super::names::PersonName;
use super::number::{Number, Role, Sex};
use super::places::{Country, Dwelling};
use super::rng::Key;

/// The unit of the population: all persons whose numbers occur in a person's records belong to the same family.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) index: u64,
    pub(super) key: Key,
    pub(super) members: Vec<Member>,
    /// The number of its entries that belong to the population: all, except for the last family.
    pub(super) kept: usize,
}

/// A person number in the extract: a member with the valid number, or with one of the former numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The member's index in the family.
    pub(super) member: usize,
    /// The index among the member's former numbers; `None` for the valid number.
    pub(super) former: Option<usize>,
}

/// A person with everything that the register holds.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: Key,
    pub(super) role: Role,
    pub(super) number: Number,
    pub(super) number_since: Moment,
    /// The numbers that are no longer valid, the earliest first.
    pub(super) former: Vec<Former>,
    pub(super) sex: Sex,
    pub(super) born: Day,
    pub(super) status: Status,
    pub(super) status_since: Option<Moment>,
    pub(super) occupation: Option<&'static str>,
    pub(super) key_constant: String,
    pub(super) name: PersonName,
    pub(super) former_names: Vec<(PersonName, Moment)>,
    pub(super) residence: Option<Residence>,
    pub(super) former_residences: Vec<(Residence, Moment)>,
    pub(super) emigration: Option<Abroad>,
    pub(super) former_emigrations: Vec<(Option<Abroad>, Abroad)>,
    pub(super) disappeared: Option<Moment>,
    pub(super) former_disappearances: Vec<(Moment, Moment)>,
    pub(super) contact: Option<(Dwelling, Moment)>,
    pub(super) protections: Vec<Protection>,
    pub(super) former_protections: Vec<(Protection, Moment)>,
    pub(super) credit_warning: Option<Moment>,
    pub(super) former_credit_warnings: Vec<(Moment, Moment)>,
    pub(super) birthplace: (&'static str, &'static str),
    pub(super) citizenship: (&'static str, Moment),
    pub(super) former_citizenships: Vec<(&'static str, Moment, Moment)>,
    pub(super) church: (&'static str, Moment),
    pub(super) former_churches: Vec<(&'static str, Moment, Moment)>,
    pub(super) civil: Civil,
    pub(super) former_civils: Vec<(Civil, Moment)>,
    pub(super) separation: Option<Moment>,
    pub(super) former_separations: Vec<(Moment, Moment)>,
    pub(super) mother: Parent,
    pub(super) father: Parent,
    pub(super) custodian: Option<usize>,
    pub(super) shared_residence: Option<Moment>,
    pub(super) guardianship: Option<Guardianship>,
    pub(super) conditions: Vec<MunicipalCondition>,
    pub(super) notes: Vec<(&'static str, Moment, Option<Moment>)>,
    pub(super) franchise: Vec<(&'static str, Moment)>,
    pub(super) relocation_order: Option<Moment>,
}

/// The status of a person number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Resident,
    HighStreetCode,
    Greenland,
    GreenlandHighStreetCode,
    NotResident,
    Annulled,
    Deleted,
    Changed,
    Disappeared,
    Emigrated,
    Dead,
}

/// A person under a number that is no longer valid, in its last state.
#[derive(Debug, Clone)]
pub(super) struct Former {
    /// [`Status::Deleted`] or [`Status::Changed`].
    pub(super) status: Status,
    pub(super) person: Member,
    pub(super) until: Moment,
}

/// A dwelling, with the start of residence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Residence {
    pub(super) dwelling: Dwelling,
    pub(super) co_name: Option<PersonName>,
    pub(super) since: Moment,
    pub(super) in_municipality_since: Moment,
    /// The previous municipality, and when it was left.
    pub(super) previous: Option<(&'static str, Moment)>,
    pub(super) supplement: Option<Moment>,
}

/// An emigration or immigration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abroad {
    pub(super) country: &'static Country,
    pub(super) at: Moment,
    /// The house number abroad, if the address is known.
    pub(super) house: Option<u32>,
}

/// A protection with its type, start and deletion date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Protection {
    pub(super) kind: &'static str,
    pub(super) start: Option<Moment>,
    pub(super) deletion: Option<Moment>,
}

/// A civil status, with the spouse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Civil {
    pub(super) code: &'static str,
    pub(super) spouse: Spouse,
    pub(super) since: Option<Moment>,
}

/// A spouse as the register knows them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spouse {
    /// The field is blank.
    Blank,
    /// The field has ten zeros.
    Zeros,
    /// A member of the family, by index.
    Member(usize),
    /// A person without a number, by name and birth date.
    Named(PersonName, Moment),
}

/// A parent as the register knows them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parent {
    Unknown,
    Member(usize),
    Named(PersonName, Moment),
}

/// Legal incapacity, with the guardian.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guardianship {
    pub(super) since: Moment,
    pub(super) full: bool,
    pub(super) guardian: Guardian,
}

/// A guardian as the register knows them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Guardian {
    NotInRegister,
    Member(usize),
    Addressed(PersonName, Dwelling),
}

/// A registration of a municipality: type, code, start and remark.
#[derive(Debug, Clone, Copy)]
pub(super) struct MunicipalCondition {
    pub(super) kind: &'static str,
    pub(super) code: &'static str,
    pub(super) since: Moment,
    pub(super) remark: &'static str,
}

impl Family {
    /// Returns all numbers of the family that belong to the population.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let all = self.members.iter().enumerate().flat_map(|(place, member)| {
            let former = (0..member.former.len()).map(Some);
            std::iter::once(None)
                .chain(former)
                .map(move |former| Entry {
                    member: place,
                    former,
                })
        });
        all.take(self.kept)
    }

    /// Returns the number of an entry.
    pub(super) fn number(&self, entry: Entry) -> Number {
        let member = &self.members[entry.member];
        self.former(entry)
            .map_or(member.number, |former| former.person.number)
    }

    /// Returns the former number of an entry; `None` for a valid number.
    pub(super) fn former(&self, entry: Entry) -> Option<&Former> {
        self.members[entry.member].former.get(entry.former?)
    }

    /// Returns the children of a member.
    pub(super) fn children_of(&self, parent: usize) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |child| {
            [child.mother, child.father]
                .iter()
                .any(|known| known.member() == Some(parent))
        })
    }
}

impl Member {
    pub(super) fn is_resident(&self) -> bool {
        self.status < Status::NotResident
    }

    /// Returns whether the member has one of the rare peculiarities of real records, which `number` names. It is decided
    /// by the member's key, so it stays the same from night to night.
    pub(super) const fn is_odd(&self, number: u64, permille: u32) -> bool {
        self.key.with(number).rng().permille(permille)
    }

    /// Returns the spouse of a marriage or registered partnership that lasts.
    pub(super) fn spouse(&self) -> Option<usize> {
        self.civil.spouse.member().filter(|_| self.is_bound())
    }

    /// Returns whether the member is married or in a registered partnership.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.civil.code, "G" | "P")
    }

    /// Returns the former spouse as the register shows them beside the status that follows: mostly by number.
    pub(super) fn last_spouse(&self) -> Spouse {
        match self.key.with(61).bits() % 4 {
            0 => Spouse::Zeros,
            _ => self.civil.spouse,
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.status == Status::Dead
    }

    /// Replaces the dwelling and keeps the previous one as history.
    pub(super) fn move_to(&mut self, dwelling: Option<Dwelling>, at: Moment) {
        let before = self.residence.take();
        self.residence = dwelling.map(|dwelling| {
            let code = dwelling.town.municipality_code;
            let stays = before.filter(|old| old.dwelling.town.municipality_code == code);
            Residence {
                dwelling,
                co_name: None,
                since: at,
                in_municipality_since: stays.map_or(at, |old| old.in_municipality_since),
                previous: match (stays, before) {
                    (Some(old), _) => old.previous,
                    (None, old) => old.map(|old| (old.dwelling.town.municipality_code, at)),
                },
                supplement: None,
            }
        });
        self.former_residences
            .extend(before.map(|before| (before, at)));
    }

    /// Ends the residence. One in three persons keeps the last known address.
    pub(super) fn leave_home(&mut self, at: Moment) {
        if !self.key.with(38).bits().is_multiple_of(3) {
            self.move_to(None, at);
        }
    }

    /// Replaces the civil status and keeps the previous one as history.
    pub(super) fn set_civil(&mut self, code: &'static str, spouse: Spouse, at: Moment) {
        let since = Some(at);
        let before = std::mem::replace(
            &mut self.civil,
            Civil {
                code,
                spouse,
                since,
            },
        );
        self.former_civils.push((before, at));
    }

    pub(super) const fn set_status(&mut self, status: Status, at: Moment) {
        self.status = status;
        self.status_since = Some(at);
    }
}

impl Status {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Resident => "01",
            Self::HighStreetCode => "03",
            Self::Greenland => "05",
            Self::GreenlandHighStreetCode => "07",
            Self::NotResident => "20",
            Self::Annulled => "30",
            Self::Deleted => "50",
            Self::Changed => "60",
            Self::Disappeared => "70",
            Self::Emigrated => "80",
            Self::Dead => "90",
        }
    }
}

impl Protection {
    /// Returns whether the protection is in force on a day. Only a complete and valid date can end or postpone it.
    pub(super) fn in_force(&self, day: Day) -> bool {
        let starts_later = self
            .start
            .is_some_and(|start| start.has_day() && start.day > day);
        let is_over = self
            .deletion
            .is_some_and(|end| end.has_day() && end.day <= day);
        !starts_later && !is_over
    }
}

impl Parent {
    pub(super) const fn member(self) -> Option<usize> {
        match self {
            Self::Member(place) => Some(place),
            Self::Unknown | Self::Named(..) => None,
        }
    }
}

impl Spouse {
    pub(super) const fn member(self) -> Option<usize> {
        match self {
            Self::Member(place) => Some(place),
            Self::Blank | Self::Zeros | Self::Named(..) => None,
        }
    }
}
