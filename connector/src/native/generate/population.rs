//! Generates the population after a night, family by family, and tells which families changed in that night.

use std::io;

use super::LayoutAge;
use super::calendar::Day;
use super::change::{self, ChangeKind, Event, NightContext};
use super::family::{Entry, Family};
use super::initial_state::initial_family;
use super::number::FAMILIES_PER_BIRTH;
use super::records::{Part, Recorder};
use super::rng::Key;
use crate::native::writer::{OutputShape, RecordWriter};

/// A family after the night, and its change in that night.
#[derive(Debug, Clone)]
pub(super) struct FamilyState {
    pub(super) family: Family,
    /// The family on the day before, and the events; `None` for most families.
    change: Option<(Family, Vec<Event>)>,
}

/// Iterates over all families after a night. It keeps in memory only the few families that show every kind of change.
pub(super) struct Population {
    seed: Key,
    first_day: Day,
    night: u32,
    next: u64,
    /// The number of entries that still fit into the status file of the first day.
    left: u64,
    showcase: std::vec::IntoIter<FamilyState>,
}

impl Population {
    pub(super) fn new(seed: u64, persons: u64, first_day: Day, night: u32) -> Self {
        let mut population = Self {
            seed: Key::new(seed),
            first_day,
            night,
            next: 0,
            left: persons,
            showcase: Vec::new().into_iter(),
        };
        population.showcase = population.generate_showcase(persons).into_iter();
        population
    }

    /// Generates the first families, which have every kind of change every night, as long as a member qualifies. A
    /// change in one family depends on the others, so all nights are generated from the first one on.
    fn generate_showcase(&self, persons: u64) -> Vec<FamilyState> {
        let mut left = persons;
        let mut steps = Vec::new();
        for index in 0..SHOWCASE {
            let family = initial_family(self.seed, index, self.first_day);
            left = left.saturating_sub(family.entries().count() as u64);
            if left == 0 {
                break;
            }
            steps.push(FamilyState {
                family,
                change: None,
            });
        }
        for night in 1..=self.night {
            let context = self.context(night, 0);
            for step in &mut steps {
                step.change = None;
            }
            for (place, kind) in ChangeKind::ALL.into_iter().enumerate() {
                let start = night as usize * 11 + place * 5;
                let start = start % steps.len().max(1);
                let (early, late) = steps.split_at_mut(start);
                late.iter_mut()
                    .chain(early)
                    .filter(|step| step.change.is_none())
                    .find_map(|step| step.take(kind, &context).then_some(()));
            }
        }
        steps
    }

    /// Generates a family after the first ones, which does not depend on others.
    fn generate_independent(&self, family: Family) -> FamilyState {
        let mut step = FamilyState {
            family,
            change: None,
        };
        for night in 1..=self.night {
            step.change = None;
            if let Some(kind) = self.draw_change(step.family.index, night) {
                step.take(
                    kind,
                    &self.context(night, 1 + step.family.index / FAMILIES_PER_BIRTH),
                );
            }
        }
        step
    }

    /// Returns the change of a family in a night, if it has one.
    fn draw_change(&self, index: u64, night: u32) -> Option<ChangeKind> {
        let of_night = self.seed.with(5).with(u64::from(night));
        if index % FAMILIES_PER_BIRTH == of_night.bits() % FAMILIES_PER_BIRTH {
            return Some(ChangeKind::Birth);
        }
        let mut rng = of_night.with(index).rng();
        rng.permille(CHANGES_PERMILLE)
            .then(|| ChangeKind::draw(&mut rng))
    }

    fn context(&self, night: u32, birth_order: u64) -> NightContext {
        NightContext {
            seed: self.seed,
            first_day: self.first_day,
            day: self.first_day.working_day_after(night),
            night,
            birth_order,
        }
    }
}

impl Iterator for Population {
    type Item = FamilyState;

    fn next(&mut self) -> Option<FamilyState> {
        if self.left == 0 {
            return None;
        }
        let index = self.next;
        self.next += 1;
        if let Some(step) = self.showcase.next() {
            let founded = initial_family(self.seed, index, self.first_day)
                .entries()
                .count() as u64;
            self.left = self.left.saturating_sub(founded);
            return Some(step);
        }
        let mut family = initial_family(self.seed, index, self.first_day);
        let founded = family.entries().count() as u64;
        if founded >= self.left {
            // The last family is cut to size and never changes.
            family.kept = self.left as usize;
            self.left = 0;
            return Some(FamilyState {
                family,
                change: None,
            });
        }
        self.left -= founded;
        Some(self.generate_independent(family))
    }
}

impl FamilyState {
    /// Returns the entries that the night's change file delivers, each with its events: the members with an event, and
    /// those whose records change because of it.
    pub(super) fn touched(&self, first_day: Day) -> io::Result<Vec<(Entry, Vec<Event>)>> {
        let Some((before, events)) = &self.change else {
            return Ok(Vec::new());
        };
        let mut touched = Vec::new();
        for entry in self.family.entries() {
            let (place, is_former) = match entry {
                Entry::Current(place) => (place, false),
                Entry::Former(place) => (place, true),
            };
            let own = events
                .iter()
                .filter(|event| event.member == place && event.under_former == is_former);
            let mut own: Vec<Event> = own.copied().collect();
            if own.is_empty() && self.shows_in(before, entry, first_day)? {
                own.extend(events.first().map(|main| Event {
                    member: place,
                    under_former: is_former,
                    mark: change::derived_mark(&self.family, main.member, place),
                    ..*main
                }));
            }
            if !own.is_empty() {
                touched.push((entry, own));
            }
        }
        Ok(touched)
    }

    fn take(&mut self, kind: ChangeKind, context: &NightContext) -> bool {
        let before = self.family.clone();
        match change::apply(&mut self.family, kind, context) {
            Some(events) => {
                self.change = Some((before, events));
                true
            }
            None => {
                self.family = before;
                false
            }
        }
    }

    /// Returns whether the entry's records differ from the day before.
    fn shows_in(&self, before: &Family, entry: Entry, first_day: Day) -> io::Result<bool> {
        if !before.entries().any(|known| known == entry) {
            return Ok(true);
        }
        let now = records_of(&self.family, entry, first_day)?;
        Ok(records_of(before, entry, first_day)? != now)
    }
}

fn records_of(family: &Family, entry: Entry, first_day: Day) -> io::Result<Vec<u8>> {
    let mut writer = RecordWriter::new(Vec::new(), OutputShape::Packed);
    let mut recorder = Recorder::new(&mut writer, LayoutAge::Current, first_day);
    recorder.write(family, entry, &[], Part::All)?;
    Ok(writer.into_inner())
}

/// The number of families that show every kind of change.
const SHOWCASE: u64 = 64;
/// The number of families of a thousand that change in a night.
const CHANGES_PERMILLE: u32 = 10;

#[cfg(test)]
mod tests {
    use super::super::number::MAX_FAMILIES;
    use super::*;

    #[test]
    fn there_are_enough_families_for_the_most_persons() {
        for seed in 0..3 {
            let families = Population::new(seed, 100_000, Day::DEFAULT, 0).count() as u64;
            assert!(families * super::super::MAX_PERSONS / 100_000 <= MAX_FAMILIES);
        }
    }

    #[test]
    fn derived_marks_give_the_relation() {
        let population = Population::new(1, 20_000, Day::DEFAULT, 3);
        let marks: std::collections::BTreeSet<_> = population
            .flat_map(|step| step.touched(Day::DEFAULT).unwrap())
            .flat_map(|(_, events)| events)
            .map(|event| event.mark)
            .collect();
        for mark in ["", "BØ", "FA", "MO", "PN", "PT", "ÆG"] {
            assert!(marks.contains(mark), "{mark}");
        }
    }
}
