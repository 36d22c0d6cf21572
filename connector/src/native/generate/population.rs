//! Generates the population after a night, family by family, and tells which families changed in that night.

use std::io;

use super::calendar::Day;
use super::change::{self, ChangeKind, Event, NightContext, derived_mark};
use super::family::{Entry, Family};
use super::initial_state::{Basis, initial_family};
use super::number::FAMILIES_PER_BIRTH;
use super::records::{Part, Recorder};
use super::{LayoutAge, Settings};
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
    basis: Basis,
    night: u32,
    next: u64,
    /// The number of entries that still fit into the status file of the first day.
    left: u64,
    showcase: std::vec::IntoIter<FamilyState>,
    births: Births,
}

impl Population {
    pub(super) fn new(settings: &Settings, night: u32) -> Self {
        let basis = settings.basis();
        let mut population = Self {
            basis,
            night,
            next: 0,
            left: settings.persons,
            showcase: Vec::new().into_iter(),
            births: Births::new(basis, night),
        };
        if basis.busy {
            population.showcase = population.generate_showcase(settings.persons).into_iter();
        }
        population
    }

    /// Generates the first families, which have every kind of change every night, as long as a member qualifies. A
    /// change in one family depends on the others, so all nights are generated from the first one on.
    fn generate_showcase(&self, persons: u64) -> Vec<FamilyState> {
        let mut left = persons;
        let mut steps = Vec::new();
        for index in 0..SHOWCASE {
            let family = initial_family(&self.basis, index);
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
            for (place, kind) in ChangeKind::SHOWN.into_iter().enumerate() {
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

    /// Generates a family that does not depend on others.
    fn generate_independent(&mut self, family: Family) -> FamilyState {
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
    fn draw_change(&mut self, index: u64, night: u32) -> Option<ChangeKind> {
        if self.births.is_due(index, night) {
            return Some(ChangeKind::Birth);
        }
        let mut rng = self.basis.of_night(night).with(index).rng();
        if !self.basis.busy {
            return change::draw_of_denmark(&mut rng);
        }
        if rng.permille(CHANGES_PERMILLE) {
            return Some(ChangeKind::draw_busy(&mut rng));
        }
        rng.permille(UPKEEP_PERMILLE)
            .then(|| ChangeKind::draw_upkeep(&mut rng))
    }

    fn context(&self, night: u32, birth_order: u64) -> NightContext {
        NightContext {
            basis: self.basis,
            day: self.basis.first_day.working_day_after(night),
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
            let founded = initial_family(&self.basis, index).entries().count() as u64;
            self.left = self.left.saturating_sub(founded);
            return Some(step);
        }
        let mut family = initial_family(&self.basis, index);
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
            let own = events.iter().filter(|event| event.entry == entry);
            let mut own: Vec<Event> = own.copied().collect();
            if own.is_empty() && self.shows_in(before, entry, first_day)? {
                let (main, reached) = (events.first(), entry.member);
                own.extend(main.map(|main| Event {
                    entry,
                    mark: derived_mark(before, &self.family, main.entry.member, reached),
                    ..*main
                }));
            }
            if !own.is_empty() {
                touched.push((entry, own));
            }
        }
        Ok(touched)
    }

    /// Returns a family without a change in the night.
    pub(super) const fn unchanged(family: Family) -> Self {
        Self {
            family,
            change: None,
        }
    }

    /// Returns a family after a change.
    pub(super) const fn changed(before: Family, family: Family, events: Vec<Event>) -> Self {
        Self {
            family,
            change: Some((before, events)),
        }
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

/// The families that have a child in a night: one of each [`FAMILIES_PER_BIRTH`] families, if its members may.
struct Births {
    basis: Basis,
    nights: u32,
    /// The block of families for which `due` is known.
    block: u64,
    /// The family of the block that has a child, for each night from the first.
    due: Vec<u64>,
}

impl Births {
    const fn new(basis: Basis, nights: u32) -> Self {
        Self {
            basis,
            nights,
            block: u64::MAX,
            due: Vec::new(),
        }
    }

    fn is_due(&mut self, index: u64, night: u32) -> bool {
        let block = index / FAMILIES_PER_BIRTH;
        if block != self.block {
            self.block = block;
            self.due = (1..=self.nights)
                .map(|night| self.choose(block, night))
                .collect();
        }
        self.due.get(night as usize - 1) == Some(&index)
    }

    fn choose(&self, block: u64, night: u32) -> u64 {
        let first = block * FAMILIES_PER_BIRTH;
        let of_night = self.basis.of_night(night);
        if self.basis.busy {
            return first + of_night.bits() % FAMILIES_PER_BIRTH;
        }
        // Most families have no woman of the age, so several are tried.
        let draws = (0..BIRTH_TRIES).map(|draw| {
            let draw = of_night.with(block).with(1 << 40 | draw);
            first + draw.bits() % FAMILIES_PER_BIRTH
        });
        let mut last = first;
        for family in draws {
            last = family;
            if self.basis.may_have_children(family) {
                break;
            }
        }
        last
    }
}

/// The number of families that show every kind of change.
const SHOWCASE: u64 = 64;
/// The number of families of a thousand of a busy population that change in a night, apart from the rarer events.
const CHANGES_PERMILLE: u32 = 10;
/// The number of families of a thousand of a busy population that have one of the rarer events in a night.
const UPKEEP_PERMILLE: u32 = 3;
/// The families that are tried for a birth, until one is found that may have a child.
const BIRTH_TRIES: u64 = 24;

#[cfg(test)]
mod tests {
    use super::super::number::MAX_FAMILIES;
    use super::*;

    #[test]
    fn there_are_enough_families_for_the_most_persons() {
        for seed in 0..3 {
            for settings in [Settings::new(100_000, seed), Settings::busy(100_000, seed)] {
                let families = Population::new(&settings, 0).count() as u64;
                assert!(families * super::super::MAX_PERSONS / 100_000 <= MAX_FAMILIES);
            }
        }
    }

    #[test]
    fn derived_marks_give_the_relation() {
        let population = Population::new(&Settings::busy(20_000, 1), 3);
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
