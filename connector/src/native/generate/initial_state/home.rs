//! Adds the current and former homes of a family.

use super::super::calendar::{Day, Moment};
use super::super::family::{Family, Residence, Status};
use super::super::names::{self, PersonName};
use super::super::number::{Role, Sex};
use super::super::places::{AALBORG, DANISH_TOWNS, Dwelling, GREENLAND};
use super::super::traits::Trait;
use super::{FamilyBuilder, Partnership, between};

impl FamilyBuilder {
    /// Gives every member a dwelling: the same for those at home, an own one for the others.
    pub(super) fn add_homes(&mut self, family: &mut Family) {
        let first_day = self.first_day;
        let greenland = Trait::Greenland.holds(self.index, true, &mut self.rng)
            || Trait::GreenlandHighStreetCode.holds(self.index, true, &mut self.rng);
        let home = self.dwelling(greenland);
        let home_since = self.recent(first_day);
        for place in 0..family.members.len() {
            let (role, born) = (family.members[place].role, family.members[place].born);
            let at_home = match role {
                Role::First => true,
                Role::Second => self.partnership != Partnership::Divorced,
                Role::Child(_) => born.years_until(first_day) < 20,
                _ => false,
            };
            let dwelling = if at_home {
                home
            } else {
                self.dwelling(greenland)
            };
            let since = if at_home {
                home_since
            } else {
                self.recent(first_day)
            };
            let since = if since.day < born {
                Moment::certain(born)
            } else {
                since
            };
            let residence = self.residence(dwelling, since, born);
            let member = &mut family.members[place];
            member.former_residences = self.former_residences(since, born, greenland);
            member.residence = Some(residence);
            if member.status == Status::Resident && greenland {
                member.status = Status::Greenland;
            }
        }
    }

    fn dwelling(&mut self, greenland: bool) -> Dwelling {
        let towns = match (greenland, self.rng.below(100)) {
            (true, _) => GREENLAND,
            (false, _) if !self.busy => return Dwelling::anywhere(&mut self.rng),
            (false, 0..15) => AALBORG,
            (false, _) => DANISH_TOWNS,
        };
        Dwelling::draw(towns, &mut self.rng)
    }

    fn residence(&mut self, dwelling: Dwelling, since: Moment, born: Day) -> Residence {
        let rng = &mut self.rng;
        let longer = rng.permille(300);
        let in_municipality_since = if longer {
            Moment::past(between(born, since.day, rng), rng)
        } else {
            since
        };
        let co_sex = if rng.permille(500) {
            Sex::Male
        } else {
            Sex::Female
        };
        let surname = names::surname(rng);
        Residence {
            dwelling,
            co_name: rng
                .permille(30)
                .then(|| PersonName::draw(co_sex, surname, since, rng)),
            since,
            in_municipality_since,
            previous: rng.permille(500).then(|| {
                let town = &DANISH_TOWNS[rng.below(DANISH_TOWNS.len() as u32) as usize];
                (town.municipality_code, in_municipality_since)
            }),
            supplement: rng.permille(20).then_some(since),
        }
    }

    /// Returns former dwellings, the latest first. Each was left on the day of the move into the next.
    fn former_residences(
        &mut self,
        since: Moment,
        born: Day,
        greenland: bool,
    ) -> Vec<(Residence, Moment)> {
        let mut until = since;
        let count = self.rng.below(6);
        let mut former = Vec::new();
        for _ in 0..count {
            let earlier = until.day.plus(-self.rng.between(200, 3500));
            if earlier < born {
                break;
            }
            let moved_in = Moment::past(earlier, &mut self.rng);
            let dwelling = self.dwelling(greenland);
            former.push((self.residence(dwelling, moved_in, born), until));
            until = moved_in;
        }
        former
    }
}
