//! Whom an agreement's filters cover in a night, and what of each is delivered.

use std::collections::{BTreeMap, BTreeSet};

use cprflow_connector::generate::{Day, Person, Share};

use crate::book::Memory;
use crate::filter::{Filter, FilterGroup};

/// How filters of different groups go together. No document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Groups {
    /// A person is covered whom any filter covers.
    #[default]
    AddUp,
    /// A person is covered whom a filter of every group covers that has any.
    Narrow,
}

/// What a night's extract of an agreement has.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What is delivered of a number; nothing for those that are not here.
    pub(crate) shares: BTreeMap<String, Share>,
    /// Whom the filters cover from this night on.
    covered: BTreeSet<String>,
    /// Whose full load is left for the next night.
    backlog: BTreeSet<String>,
}

/// What the plan depends on beside the filters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) groups: Groups,
    /// Whether persons newly covered are loaded in full.
    pub(crate) has_initial_load: bool,
    /// How many persons are loaded in a night before the run is cut off.
    pub(crate) cut_after: Option<usize>,
}

/// Plans an agreement's extract: what of everyone is delivered on that production date.
pub(crate) fn plan(
    memory: &Memory,
    rules: Rules,
    day: Day,
    everyone: impl Iterator<Item = std::io::Result<Person>>,
) -> std::io::Result<Plan> {
    let all: Vec<_> = memory.filters.all().collect();
    let settled: Vec<_> = memory.filters.settled().collect();
    let pending: Vec<_> = memory.filters.pending().collect();
    let mut plan = Plan::default();
    if all.is_empty() {
        return Ok(plan);
    }
    let mut loads = 0;
    for person in everyone {
        let person = person?;
        let number = person.number();
        let is_covered = covers(&all, rules.groups, &person, day);
        // An age range or no filter at all brings changes alone: the specification names the other two.
        let is_asked_for = pending.iter().any(|filter| {
            let loads = matches!(filter, Filter::Pnr(_) | Filter::MunicipalityCode(_));
            loads && matches(filter, &person, day)
        });
        let is_new = is_asked_for && !covers(&settled, rules.groups, &person, day);
        let is_due = rules.has_initial_load && is_covered;
        if is_due && (is_new || memory.backlog.contains(number)) {
            if rules.cut_after.is_some_and(|most| loads >= most) {
                plan.backlog.insert(number.to_owned());
                continue;
            }
            loads += 1;
            plan.shares.insert(number.to_owned(), Share::Everything);
        } else if person.is_touched() && is_wanted(&all, rules.groups, &person) {
            // Whoever leaves what is covered is delivered once more, which says so.
            let is_in_scope = is_covered || memory.covered.contains(number);
            if is_in_scope || has_code(&all, rules.groups, &person) {
                plan.shares.insert(number.to_owned(), Share::Changes);
            }
        }
        if is_covered {
            plan.covered.insert(number.to_owned());
        }
    }
    Ok(plan)
}

impl Plan {
    /// Whether everybody's full load is in it.
    pub(crate) fn is_cut(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The numbers of that share.
    pub(crate) fn numbers(&self, wanted: Share) -> BTreeSet<String> {
        let of_share = self.shares.iter().filter(|(_, share)| **share == wanted);
        of_share.map(|(number, _)| number.clone()).collect()
    }

    /// Remembers that the night is done.
    pub(crate) fn settle(self, memory: &mut Memory) {
        memory.filters.settle();
        memory.covered = self.covered;
        memory.backlog = self.backlog;
    }
}

/// Whether the filters cover the person, change codes aside: those ask for events, not for persons.
fn covers(filters: &[&Filter], groups: Groups, person: &Person, day: Day) -> bool {
    let of_persons = |filter: &&&Filter| filter.group() != FilterGroup::EventChangeCode;
    match groups {
        Groups::AddUp => filters
            .iter()
            .filter(of_persons)
            .any(|filter| matches(filter, person, day)),
        Groups::Narrow => {
            let present: BTreeSet<_> = filters.iter().map(|filter| filter.group()).collect();
            let matched: BTreeSet<_> = filters
                .iter()
                .filter(|filter| matches(filter, person, day))
                .map(|filter| filter.group())
                .collect();
            !present.is_empty()
                && present
                    .iter()
                    .all(|group| *group == FilterGroup::EventChangeCode || matched.contains(group))
        }
    }
}

/// Whether change codes, where they narrow, let the person's events through.
fn is_wanted(filters: &[&Filter], groups: Groups, person: &Person) -> bool {
    let has_codes = filters
        .iter()
        .any(|filter| filter.group() == FilterGroup::EventChangeCode);
    groups == Groups::AddUp || !has_codes || names_event(filters, person)
}

/// Whether change codes, where they add up, bring the person in.
fn has_code(filters: &[&Filter], groups: Groups, person: &Person) -> bool {
    groups == Groups::AddUp && names_event(filters, person)
}

fn names_event(filters: &[&Filter], person: &Person) -> bool {
    filters.iter().any(|filter| match filter {
        Filter::ChangeCode(code) => person.event_codes().contains(&code.as_str()),
        _ => false,
    })
}

fn matches(filter: &Filter, person: &Person, day: Day) -> bool {
    match filter {
        Filter::Pnr(number) => person.number() == number,
        Filter::MunicipalityCode(code) => {
            let known = person
                .municipality_code()
                .and_then(|known| known.parse().ok());
            known == Some(*code)
        }
        Filter::AgeRange { start, end } => (*start..=*end).contains(&age(person.birth_date(), day)),
        Filter::NoFilter => true,
        Filter::ChangeCode(_) => false,
    }
}

/// Whole years at that day.
fn age(born: Day, day: Day) -> u32 {
    let ((year, month, birthday), (now, this_month, today)) = (born.parts(), day.parts());
    let has_had_birthday = (this_month, today) >= (month, birthday);
    u32::try_from(now - year - i32::from(!has_had_birthday)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_change_on_the_birthday() {
        let day = |year, month, day| Day::new(year, month, day).unwrap();
        let born = day(2000, 2, 29);
        assert_eq!(age(born, day(2018, 2, 28)), 17);
        assert_eq!(age(born, day(2018, 3, 1)), 18);
        assert_eq!(age(born, day(2020, 2, 29)), 20);
        assert_eq!(age(born, day(1999, 1, 1)), 0);
    }
}
