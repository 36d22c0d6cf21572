//! The population as it stands after a night, family by family, and who was touched in that night.

use std::io;

use super::LayoutAge;
use super::calendar::Day;
use super::change::{self, Event, Kind, Turn};
use super::family::{Entry, Family};
use super::founding::found;
use super::number::FAMILIES_PER_BIRTH;
use super::records::{Part, Recorder};
use super::rng::Key;
use crate::emit::{Emitter, Shape};

/// A family after the night, and what the night did to it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) family: Family,
    /// How it was the day before, and what happened; nothing for most families.
    change: Option<(Family, Vec<Event>)>,
}

/// All families after a night. Nothing is kept but the few that show every kind of change.
pub(super) struct Population {
    seed: Key,
    first_day: Day,
    night: u32,
    next: u64,
    /// Entries that the status file of the first day has room for.
    left: u64,
    showcase: std::vec::IntoIter<Step>,
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
        population.showcase = population.play(persons).into_iter();
        population
    }

    /// The first families have every kind of change every night, as long as anyone is left whom it can
    /// happen to. What happens to one depends on the others, so they are played from the first night on.
    fn play(&self, persons: u64) -> Vec<Step> {
        let mut left = persons;
        let mut steps = Vec::new();
        for index in 0..SHOWCASE {
            let family = found(self.seed, index, self.first_day);
            left = left.saturating_sub(family.entries().count() as u64);
            if left == 0 {
                break;
            }
            steps.push(Step {
                family,
                change: None,
            });
        }
        for night in 1..=self.night {
            let turn = self.turn(night, 0);
            for step in &mut steps {
                step.change = None;
            }
            for (place, kind) in Kind::ALL.into_iter().enumerate() {
                let start = night as usize * 11 + place * 5;
                let start = start % steps.len().max(1);
                let (early, late) = steps.split_at_mut(start);
                late.iter_mut()
                    .chain(early)
                    .filter(|step| step.change.is_none())
                    .find_map(|step| step.take(kind, &turn).then_some(()));
            }
        }
        steps
    }

    /// A family beyond the first ones goes its way alone.
    fn follow(&self, family: Family) -> Step {
        let mut step = Step {
            family,
            change: None,
        };
        for night in 1..=self.night {
            step.change = None;
            if let Some(kind) = self.lot(step.family.index, night) {
                step.take(
                    kind,
                    &self.turn(night, 1 + step.family.index / FAMILIES_PER_BIRTH),
                );
            }
        }
        step
    }

    /// What falls to a family in a night, if anything does.
    fn lot(&self, index: u64, night: u32) -> Option<Kind> {
        let of_night = self.seed.with(5).with(u64::from(night));
        if index % FAMILIES_PER_BIRTH == of_night.bits() % FAMILIES_PER_BIRTH {
            return Some(Kind::Birth);
        }
        let mut rng = of_night.with(index).rng();
        rng.permille(CHANGES_PERMILLE).then(|| Kind::draw(&mut rng))
    }

    fn turn(&self, night: u32, birth_order: u64) -> Turn {
        Turn {
            seed: self.seed,
            first_day: self.first_day,
            day: self.first_day.working_day_after(night),
            night,
            birth_order,
        }
    }
}

impl Iterator for Population {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.left == 0 {
            return None;
        }
        let index = self.next;
        self.next += 1;
        if let Some(step) = self.showcase.next() {
            let founded = found(self.seed, index, self.first_day).entries().count() as u64;
            self.left = self.left.saturating_sub(founded);
            return Some(step);
        }
        let mut family = found(self.seed, index, self.first_day);
        let founded = family.entries().count() as u64;
        if founded >= self.left {
            // The last family is cut to size, and nothing ever happens to it.
            family.kept = self.left as usize;
            self.left = 0;
            return Some(Step {
                family,
                change: None,
            });
        }
        self.left -= founded;
        Some(self.follow(family))
    }
}

impl Step {
    /// The entries that the night's change file delivers, each with its events: those to whom something
    /// happened, and those in whose records it shows.
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

    fn take(&mut self, kind: Kind, turn: &Turn) -> bool {
        let before = self.family.clone();
        match change::apply(&mut self.family, kind, turn) {
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

    /// Whether the entry's records are others than the day before.
    fn shows_in(&self, before: &Family, entry: Entry, first_day: Day) -> io::Result<bool> {
        if !before.entries().any(|known| known == entry) {
            return Ok(true);
        }
        let now = records_of(&self.family, entry, first_day)?;
        Ok(records_of(before, entry, first_day)? != now)
    }
}

fn records_of(family: &Family, entry: Entry, first_day: Day) -> io::Result<Vec<u8>> {
    let mut emitter = Emitter::new(Vec::new(), Shape::Packed);
    let mut recorder = Recorder::new(&mut emitter, LayoutAge::Current, first_day);
    recorder.write(family, entry, &[], Part::All)?;
    Ok(emitter.into_inner())
}

/// How many families show every kind of change.
const SHOWCASE: u64 = 64;
/// Families of a thousand to which something happens in a night.
const CHANGES_PERMILLE: u32 = 10;

#[cfg(test)]
mod tests {
    use super::super::number::MAX_FAMILIES;
    use super::*;

    #[test]
    fn families_suffice_for_the_most_persons() {
        for seed in 0..3 {
            let families = Population::new(seed, 100_000, Day::DEFAULT, 0).count() as u64;
            assert!(families * super::super::MAX_PERSONS / 100_000 <= MAX_FAMILIES);
        }
    }

    #[test]
    fn derived_marks_tell_what_a_relative_is() {
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
