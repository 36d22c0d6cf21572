//! Changes of residence.

use super::super::family::{Abroad, Status};
use super::super::places::{self, AALBORG, DANISH_TOWNS, Dwelling};
use super::{Change, ChangeKind};

impl Change<'_> {
    /// Moves all who live in one dwelling.
    pub(super) fn move_home(&mut self, kind: ChangeKind) -> Option<()> {
        let in_aalborg = |dwelling: &Dwelling| AALBORG.iter().any(|town| dwelling.town == town);
        let mover = self.find(|member| {
            let home = member
                .residence
                .filter(|_| member.status == Status::Resident);
            home.is_some_and(|home| match kind {
                ChangeKind::MoveToAalborg => !in_aalborg(&home.dwelling),
                ChangeKind::MoveFromAalborg => in_aalborg(&home.dwelling),
                _ => true,
            })
        })?;
        let old = self.family.members[mover].residence?.dwelling;
        let new = match kind {
            ChangeKind::MoveToAalborg => Dwelling::draw(AALBORG, &mut self.rng),
            ChangeKind::MoveWithin => Dwelling::near(&old, &mut self.rng),
            ChangeKind::MoveAway if !self.context.basis.busy => {
                Dwelling::elsewhere(&old, &mut self.rng)
            }
            _ => Dwelling::away_from(Some(&old), DANISH_TOWNS, &mut self.rng),
        };
        self.move_from(&old, new);
        Some(())
    }

    /// Moves all residents of a dwelling into another one.
    pub(in crate::native::generate) fn move_from(&mut self, old: &Dwelling, new: Dwelling) {
        for place in 0..self.family.members.len() {
            let member = &mut self.family.members[place];
            let same_home = member.residence.is_some_and(|home| home.dwelling == *old);
            if same_home && member.status == Status::Resident {
                member.move_to(Some(new), self.at);
                self.add_event(place, "A01");
            }
        }
    }

    pub(super) fn emigrate(&mut self) -> Option<()> {
        let place = self.find_leaver(|member| member.status == Status::Resident)?;
        self.emigrate_member(place);
        Some(())
    }

    pub(in crate::native::generate) fn emigrate_member(&mut self, place: usize) {
        let country = places::country(&mut self.rng);
        let house = Some(1 + self.rng.below(99));
        let member = &mut self.family.members[place];
        member.leave_home(self.at);
        member.emigration = Some(Abroad {
            country,
            at: self.at,
            house,
        });
        member.set_status(Status::Emigrated, self.at);
        self.add_event(place, "A06");
    }

    pub(in crate::native::generate) fn come_back(&mut self) -> Option<()> {
        let place = self.find(|member| member.emigration.is_some())?;
        let dwelling = self.new_dwelling();
        let member = &mut self.family.members[place];
        let left = member.emigration.take()?;
        let entry = Abroad {
            country: left.country,
            at: self.at,
            house: None,
        };
        member.former_emigrations.push((Some(left), entry));
        // A last known address ends with the emigration.
        member.move_to(None, left.at);
        self.settle(place, dwelling);
        self.add_event(place, "A04");
        Some(())
    }

    pub(super) fn disappear(&mut self) -> Option<()> {
        let place = self.find_leaver(|member| member.status == Status::Resident)?;
        let member = &mut self.family.members[place];
        member.leave_home(self.at);
        member.disappeared = Some(self.at);
        member.set_status(Status::Disappeared, self.at);
        self.add_event(place, "A02");
        Some(())
    }

    pub(super) fn be_found(&mut self) -> Option<()> {
        let place = self.find(|member| member.disappeared.is_some())?;
        let dwelling = self.new_dwelling();
        let member = &mut self.family.members[place];
        let since = member.disappeared.take()?;
        member.former_disappearances.push((since, self.at));
        member.move_to(None, since);
        self.settle(place, dwelling);
        self.add_event(place, "A03");
        Some(())
    }

    pub(super) fn new_dwelling(&mut self) -> Dwelling {
        match self.context.basis.busy {
            true => Dwelling::draw(DANISH_TOWNS, &mut self.rng),
            false => Dwelling::anywhere(&mut self.rng),
        }
    }

    pub(super) fn settle(&mut self, place: usize, dwelling: Dwelling) {
        let member = &mut self.family.members[place];
        member.move_to(Some(dwelling), self.at);
        member.set_status(Status::Resident, self.at);
    }
}
