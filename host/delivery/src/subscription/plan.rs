//! The changes from the current to the wanted filters of a subscription, and the checks of these changes.

use std::collections::{BTreeMap, BTreeSet};

use super::SubscriptionError;
use super::filter::{CurrentFilters, Filter, FilterKind, of_kind};

/// The filters that a subscription should have, by kind. Other kinds are left unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedFilters(pub BTreeMap<FilterKind, BTreeSet<Filter>>);

/// The difference between the wanted and the current filters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The filters to add.
    pub add: BTreeSet<Filter>,
    /// The current filters that are not wanted.
    pub surplus: BTreeSet<Filter>,
    /// The number of current filters that are wanted, by kind. A kind without such filters is missing.
    pub unchanged: BTreeMap<FilterKind, usize>,
    /// The number of current filters of the kinds that are left unchanged.
    pub unmanaged: BTreeMap<FilterKind, usize>,
}

/// The limits of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeLimits {
    /// Whether filters are allowed that can match persons in all of Denmark.
    pub allow_national: bool,
    /// The maximum number of filters to remove; `None` if the plan removes no filters.
    pub max_removals: Option<usize>,
    /// Whether more than half of the person numbers may be removed.
    pub may_remove_most: bool,
}

impl Plan {
    /// Compares the wanted with the current filters. Fails if some current filters are unreadable.
    pub fn new(
        wanted: &WantedFilters,
        current: &CurrentFilters,
    ) -> Result<Self, SubscriptionError> {
        let current = current.complete()?;
        let mut plan = Self::default();
        for kind in FilterKind::ALL {
            let existing: BTreeSet<_> = of_kind(current, kind).cloned().collect();
            let Some(wanted) = wanted.0.get(&kind) else {
                if !existing.is_empty() {
                    plan.unmanaged.insert(kind, existing.len());
                }
                continue;
            };
            let unchanged = wanted.intersection(&existing).count();
            if unchanged > 0 {
                plan.unchanged.insert(kind, unchanged);
            }
            plan.add.extend(wanted.difference(&existing).cloned());
            plan.surplus.extend(existing.difference(wanted).cloned());
        }
        Ok(plan)
    }

    /// Returns the filters of a kind to add.
    pub fn add_of(&self, kind: FilterKind) -> impl Iterator<Item = &Filter> {
        of_kind(&self.add, kind)
    }

    /// Returns the current filters of a kind that are not wanted.
    pub fn surplus_of(&self, kind: FilterKind) -> impl Iterator<Item = &Filter> {
        of_kind(&self.surplus, kind)
    }

    /// Returns whether the current filters are the wanted ones.
    pub fn is_done(&self) -> bool {
        self.add.is_empty() && self.surplus.is_empty()
    }

    /// Fails if the plan exceeds the limits. The caller must not carry out any part of it then.
    pub fn check(&self, limits: ChangeLimits) -> Result<(), SubscriptionError> {
        check_national(&self.add, limits.allow_national)?;
        let Some(limit) = limits.max_removals else {
            return Ok(());
        };
        if self.surplus.len() > limit {
            return Err(SubscriptionError::TooManyRemovals {
                count: self.surplus.len(),
                limit,
            });
        }
        for kind in FilterKind::ALL {
            // The absence of NoFilter is explicit in the configuration (`no_filter = false`).
            let is_emptied = kind != FilterKind::NoFilter
                && self.surplus_of(kind).next().is_some()
                && !self.unchanged.contains_key(&kind)
                && self.add_of(kind).next().is_none();
            if is_emptied {
                return Err(SubscriptionError::WouldEmpty { kind });
            }
        }
        let count = self.surplus_of(FilterKind::Pnr).count();
        let total = count
            + self
                .unchanged
                .get(&FilterKind::Pnr)
                .copied()
                .unwrap_or_default();
        if count * 2 > total && !limits.may_remove_most {
            return Err(SubscriptionError::MostRemoved { count, total });
        }
        Ok(())
    }
}

/// Fails if one of the filters can match persons in all of Denmark and that is not allowed.
pub fn check_national<'a>(
    add: impl IntoIterator<Item = &'a Filter>,
    is_allowed: bool,
) -> Result<(), SubscriptionError> {
    let mut kinds = add.into_iter().map(Filter::kind);
    match kinds.find(|kind| kind.is_national()) {
        Some(kind) if !is_allowed => Err(SubscriptionError::National { kind }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(kind: FilterKind, texts: &[&str]) -> BTreeSet<Filter> {
        let parse = |text: &&str| Filter::parse(kind, text).unwrap();
        texts.iter().map(parse).collect()
    }

    fn current(kind: FilterKind, texts: &[&str]) -> CurrentFilters {
        CurrentFilters {
            filters: filters(kind, texts),
            unreadable: 0,
        }
    }

    fn wanted(kind: FilterKind, texts: &[&str]) -> WantedFilters {
        WantedFilters([(kind, filters(kind, texts))].into())
    }

    const PRUNE: ChangeLimits = ChangeLimits {
        allow_national: false,
        max_removals: Some(2),
        may_remove_most: false,
    };

    #[test]
    fn finds_missing_and_surplus_filters() {
        let mut current_filters = current(FilterKind::Municipality, &["0265", "0350", "0360"]);
        current_filters
            .filters
            .extend(filters(FilterKind::Pnr, &["0101010101"]));
        let wanted = wanted(FilterKind::Municipality, &["265", "0101"]);
        let plan = Plan::new(&wanted, &current_filters).unwrap();
        assert_eq!(plan.add, filters(FilterKind::Municipality, &["0101"]));
        assert_eq!(
            plan.surplus,
            filters(FilterKind::Municipality, &["0350", "0360"])
        );
        assert_eq!(plan.unchanged, [(FilterKind::Municipality, 1)].into());
        assert_eq!(plan.unmanaged, [(FilterKind::Pnr, 1)].into());
        plan.check(PRUNE).unwrap();
        let as_wanted = current(FilterKind::Municipality, &["0101", "0265"]);
        assert!(Plan::new(&wanted, &as_wanted).unwrap().is_done());
    }

    #[test]
    fn refuses_changes_that_exceed_the_limits() {
        let removals = Plan::new(
            &wanted(FilterKind::Municipality, &["0101"]),
            &current(FilterKind::Municipality, &["0101", "0265", "0350", "0360"]),
        )
        .unwrap();
        assert!(matches!(
            removals.check(PRUNE),
            Err(SubscriptionError::TooManyRemovals { count: 3, limit: 2 })
        ));
        let only_add = ChangeLimits {
            max_removals: None,
            ..PRUNE
        };
        removals.check(only_add).unwrap();

        // A list that was cut off at the end of a line is valid. The number of removals shows that it is incomplete.
        let numbers = ["3113000001", "3113000002", "3113000003"];
        let most = Plan::new(
            &wanted(FilterKind::Pnr, &numbers[..1]),
            &current(FilterKind::Pnr, &numbers),
        );
        let most = most.unwrap();
        let error = most.check(PRUNE).unwrap_err();
        assert!(
            matches!(error, SubscriptionError::MostRemoved { count: 2, total: 3 }),
            "{error}"
        );
        let meant = ChangeLimits {
            may_remove_most: true,
            ..PRUNE
        };
        most.check(meant).unwrap();
        let some = Plan::new(
            &wanted(FilterKind::Pnr, &numbers[..2]),
            &current(FilterKind::Pnr, &numbers),
        );
        some.unwrap().check(PRUNE).unwrap();

        let emptied = Plan::new(
            &wanted(FilterKind::Municipality, &[]),
            &current(FilterKind::Municipality, &["0101"]),
        )
        .unwrap();
        assert!(matches!(
            emptied.check(PRUNE),
            Err(SubscriptionError::WouldEmpty {
                kind: FilterKind::Municipality
            })
        ));

        for (kind, text) in [
            (FilterKind::AgeRange, "0-17"),
            (FilterKind::ChangeCode, "A01"),
        ] {
            let national = Plan::new(&wanted(kind, &[text]), &CurrentFilters::default()).unwrap();
            assert!(matches!(
                national.check(only_add),
                Err(SubscriptionError::National { .. })
            ));
            let allowed = ChangeLimits {
                allow_national: true,
                ..only_add
            };
            national.check(allowed).unwrap();
            // An existing filter is not added.
            let unchanged = Plan::new(&wanted(kind, &[text]), &current(kind, &[text])).unwrap();
            unchanged.check(only_add).unwrap();
        }

        let mut unread = current(FilterKind::Municipality, &["0101", "0265"]);
        unread.unreadable = 1;
        assert!(matches!(
            Plan::new(&wanted(FilterKind::Municipality, &["0101"]), &unread),
            Err(SubscriptionError::Unreadable { count: 1 })
        ));
    }
}
