//! Selects the persons of an agreement's nightly extract, and what is delivered of each.

use std::collections::{BTreeMap, BTreeSet};

use cprflow_connector::generate::{Day, Person, Share};
use serde::{Deserialize, Serialize};

use crate::filter::{Filter, FilterGroup};
use crate::platform_state::SubscriptionState;

/// How filters of different groups combine. No document describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FilterCombination {
    /// Covers a person whom at least one filter covers.
    #[default]
    Union,
    /// Covers a person whom at least one filter of every non-empty group covers.
    Intersection,
}

/// The content of an agreement's extract of one nightly run.
#[derive(Debug, Default)]
pub(crate) struct DeliveryPlan {
    /// What is delivered, by person number. Numbers that are missing here are not delivered.
    pub(crate) shares: BTreeMap<String, Share>,
    /// The numbers that the filters cover in this run, with what the filters see of the persons.
    covered: BTreeMap<String, Traits>,
    /// The numbers whose full load is postponed to the next run.
    backlog: BTreeSet<String>,
}

/// The options that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanRules {
    pub(crate) filter_combination: FilterCombination,
    /// Whether newly covered persons are delivered in full.
    pub(crate) has_initial_load: bool,
    /// The most persons that are delivered in full in one run; `None` for no limit.
    pub(crate) cut_after: Option<usize>,
}

/// What filters see of a person, apart from the person number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traits {
    municipality_code: Option<u32>,
    /// The age in whole years on the production date.
    age: u32,
}

impl Traits {
    fn of(person: &Person, day: Day) -> Self {
        let code = person.municipality_code();
        Self {
            municipality_code: code.and_then(|code| code.parse().ok()),
            age: age(person.birth_date(), day),
        }
    }
}

/// Plans an agreement's extract for a production date.
///
/// `everyone` is the whole population after that night. Fails if the generator fails.
pub(crate) fn plan_delivery(
    subscription: &SubscriptionState,
    rules: PlanRules,
    day: Day,
    everyone: impl Iterator<Item = std::io::Result<Person>>,
) -> std::io::Result<DeliveryPlan> {
    let all: Vec<_> = subscription.filters.all().collect();
    let active: Vec<_> = subscription.filters.active().collect();
    let pending: Vec<_> = subscription.filters.pending().collect();
    let combination = rules.filter_combination;
    let mut plan = DeliveryPlan::default();
    if all.is_empty() {
        return Ok(plan);
    }
    let mut loads = 0;
    for person in everyone {
        let person = person?;
        let (number, traits) = (person.number(), Traits::of(&person, day));
        // Age ranges and NoFilter bring changes only: the specification names full loads for the other two groups.
        let is_loaded_by = |filters: &[&Filter]| {
            filters.iter().any(|filter| {
                let loads = matches!(filter, Filter::Pnr(_) | Filter::MunicipalityCode(_));
                loads && matches(filter, number, traits)
            })
        };
        let is_covered = covers(&all, combination, number, traits);
        let is_new = is_loaded_by(&pending) && !covers(&active, combination, number, traits);
        let is_continued = subscription.backlog.contains(number) && is_loaded_by(&all);
        if rules.has_initial_load && is_covered && (is_new || is_continued) {
            if rules.cut_after.is_some_and(|limit| loads >= limit) {
                plan.backlog.insert(number.to_owned());
                continue;
            }
            loads += 1;
            plan.shares.insert(number.to_owned(), Share::Everything);
        } else if person.is_touched() && change_codes_allow(&all, combination, &person) {
            // A person who is no longer covered is delivered once more, so that the receiver learns of it. The filters
            // that have been removed since the last run do not count, so they are not in `active`.
            let has_left = || {
                let before = subscription.last_covered.get(number);
                before.is_some_and(|before| covers(&active, combination, number, *before))
            };
            if is_covered || has_left() || change_codes_add(&all, combination, &person) {
                plan.shares.insert(number.to_owned(), Share::Changes);
            }
        }
        if is_covered {
            plan.covered.insert(number.to_owned(), traits);
        }
    }
    Ok(plan)
}

impl DeliveryPlan {
    /// Whether a part of the full load is postponed to the next run.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Returns the numbers with this share.
    pub(crate) fn numbers(&self, wanted: Share) -> BTreeSet<String> {
        let of_share = self.shares.iter().filter(|(_, share)| **share == wanted);
        of_share.map(|(number, _)| number.clone()).collect()
    }

    /// Stores the outcome of the run in the subscription.
    pub(crate) fn store(self, subscription: &mut SubscriptionState) {
        subscription.filters.activate_all();
        subscription.last_covered = self.covered;
        subscription.backlog = self.backlog;
    }
}

/// Whether the filters cover the person. Change codes are ignored, because they select events and not persons.
fn covers(
    filters: &[&Filter],
    combination: FilterCombination,
    number: &str,
    traits: Traits,
) -> bool {
    let selects_persons = |filter: &&&Filter| filter.group() != FilterGroup::EventChangeCode;
    match combination {
        FilterCombination::Union => filters
            .iter()
            .filter(selects_persons)
            .any(|filter| matches(filter, number, traits)),
        FilterCombination::Intersection => {
            let present: BTreeSet<_> = filters.iter().map(|filter| filter.group()).collect();
            let matched: BTreeSet<_> = filters
                .iter()
                .filter(|filter| matches(filter, number, traits))
                .map(|filter| filter.group())
                .collect();
            !present.is_empty()
                && present
                    .iter()
                    .all(|group| *group == FilterGroup::EventChangeCode || matched.contains(group))
        }
    }
}

/// Whether the change codes let the person's events through. They only exclude events in an intersection.
fn change_codes_allow(
    filters: &[&Filter],
    combination: FilterCombination,
    person: &Person,
) -> bool {
    let has_codes = filters
        .iter()
        .any(|filter| filter.group() == FilterGroup::EventChangeCode);
    combination == FilterCombination::Union || !has_codes || has_filtered_event(filters, person)
}

/// Whether a change code adds the person to the extract. This only happens in a union.
fn change_codes_add(filters: &[&Filter], combination: FilterCombination, person: &Person) -> bool {
    combination == FilterCombination::Union && has_filtered_event(filters, person)
}

fn has_filtered_event(filters: &[&Filter], person: &Person) -> bool {
    filters.iter().any(|filter| match filter {
        Filter::ChangeCode(code) => person.event_codes().contains(&code.as_str()),
        _ => false,
    })
}

fn matches(filter: &Filter, number: &str, traits: Traits) -> bool {
    match filter {
        Filter::Pnr(wanted) => number == wanted,
        Filter::MunicipalityCode(code) => traits.municipality_code == Some(*code),
        Filter::AgeRange { start, end } => (*start..=*end).contains(&traits.age),
        Filter::NoFilter => true,
        Filter::ChangeCode(_) => false,
    }
}

/// Returns the age in whole years on a day; 0 before the birth.
fn age(born: Day, day: Day) -> u32 {
    let ((year, month, birthday), (now, this_month, today)) = (born.parts(), day.parts());
    let has_had_birthday = (this_month, today) >= (month, birthday);
    u32::try_from(now - year - i32::from(!has_had_birthday)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_increases_on_the_birthday() {
        let day = |year, month, day| Day::new(year, month, day).unwrap();
        let born = day(2000, 2, 29);
        assert_eq!(age(born, day(2018, 2, 28)), 17);
        assert_eq!(age(born, day(2018, 3, 1)), 18);
        assert_eq!(age(born, day(2020, 2, 29)), 20);
        assert_eq!(age(born, day(1999, 1, 1)), 0);
    }
}
