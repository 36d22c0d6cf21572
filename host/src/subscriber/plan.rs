//! What would have to be done for a subscription to be as it is wanted, and whether it may be done.

use std::collections::{BTreeMap, BTreeSet};

use super::SubscriberError;
use super::filter::{Filter, Holding, Kind, of_kind};

/// What a subscription should hold, for the kinds that somebody has spoken about. Others are left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted(pub BTreeMap<Kind, BTreeSet<Filter>>);

/// The difference between what is wanted and what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Filters to add.
    pub add: BTreeSet<Filter>,
    /// Filters that are there and not wanted.
    pub surplus: BTreeSet<Filter>,
    /// How many filters of a kind are as they should be.
    pub stay: BTreeMap<Kind, usize>,
    /// How many filters there are of kinds that nobody has spoken about.
    pub unmanaged: BTreeMap<Kind, usize>,
}

/// What a plan may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Whether filters may be added that can reach all of Denmark.
    pub allow_national: bool,
    /// How many filters may be removed; none if none may.
    pub max_removals: Option<usize>,
    /// Whether that may be more than half of the person numbers.
    pub may_remove_most: bool,
}

impl Plan {
    /// The plan that leads from what is there to what is wanted; none where not all that is there can be read.
    pub fn new(wanted: &Wanted, there: &Holding) -> Result<Self, SubscriberError> {
        let there = there.whole()?;
        let mut plan = Self::default();
        for kind in Kind::ALL {
            let held: BTreeSet<_> = of_kind(there, kind).cloned().collect();
            let Some(wanted) = wanted.0.get(&kind) else {
                if !held.is_empty() {
                    plan.unmanaged.insert(kind, held.len());
                }
                continue;
            };
            let stay = wanted.intersection(&held).count();
            if stay > 0 {
                plan.stay.insert(kind, stay);
            }
            plan.add.extend(wanted.difference(&held).cloned());
            plan.surplus.extend(held.difference(wanted).cloned());
        }
        Ok(plan)
    }

    /// The filters of a kind to add.
    pub fn add_of(&self, kind: Kind) -> impl Iterator<Item = &Filter> {
        of_kind(&self.add, kind)
    }

    /// The filters of a kind that are there and not wanted.
    pub fn surplus_of(&self, kind: Kind) -> impl Iterator<Item = &Filter> {
        of_kind(&self.surplus, kind)
    }

    /// Whether everything is as it should be.
    pub fn is_done(&self) -> bool {
        self.add.is_empty() && self.surplus.is_empty()
    }

    /// An error if the plan does more than it may. Nothing of it is done then.
    pub fn check(&self, permission: Permission) -> Result<(), SubscriberError> {
        check_national(&self.add, permission.allow_national)?;
        let Some(limit) = permission.max_removals else {
            return Ok(());
        };
        if self.surplus.len() > limit {
            return Err(SubscriberError::TooManyRemovals {
                count: self.surplus.len(),
                limit,
            });
        }
        for kind in Kind::ALL {
            // That there should be no NoFilter is said in so many words.
            let is_emptied = kind != Kind::NoFilter
                && self.surplus_of(kind).next().is_some()
                && !self.stay.contains_key(&kind)
                && self.add_of(kind).next().is_none();
            if is_emptied {
                return Err(SubscriberError::WouldEmpty { kind });
            }
        }
        let count = self.surplus_of(Kind::Pnr).count();
        let held = count + self.stay.get(&Kind::Pnr).copied().unwrap_or_default();
        if count * 2 > held && !permission.may_remove_most {
            return Err(SubscriberError::MostRemoved { count, held });
        }
        Ok(())
    }
}

/// An error if one of the filters may reach all of Denmark and that is not allowed.
pub fn check_national<'a>(
    add: impl IntoIterator<Item = &'a Filter>,
    is_allowed: bool,
) -> Result<(), SubscriberError> {
    let mut kinds = add.into_iter().map(Filter::kind);
    match kinds.find(|kind| kind.is_national()) {
        Some(kind) if !is_allowed => Err(SubscriberError::National { kind }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(kind: Kind, texts: &[&str]) -> BTreeSet<Filter> {
        let parse = |text: &&str| Filter::parse(kind, text).unwrap();
        texts.iter().map(parse).collect()
    }

    fn holding(kind: Kind, texts: &[&str]) -> Holding {
        Holding {
            filters: filters(kind, texts),
            unreadable: 0,
        }
    }

    fn wanted(kind: Kind, texts: &[&str]) -> Wanted {
        Wanted([(kind, filters(kind, texts))].into())
    }

    const PRUNE: Permission = Permission {
        allow_national: false,
        max_removals: Some(2),
        may_remove_most: false,
    };

    #[test]
    fn the_difference() {
        let mut there = holding(Kind::Municipality, &["0265", "0350", "0360"]);
        there.filters.extend(filters(Kind::Pnr, &["0101010101"]));
        let wanted = wanted(Kind::Municipality, &["265", "0101"]);
        let plan = Plan::new(&wanted, &there).unwrap();
        assert_eq!(plan.add, filters(Kind::Municipality, &["0101"]));
        assert_eq!(plan.surplus, filters(Kind::Municipality, &["0350", "0360"]));
        assert_eq!(plan.stay, [(Kind::Municipality, 1)].into());
        assert_eq!(plan.unmanaged, [(Kind::Pnr, 1)].into());
        plan.check(PRUNE).unwrap();
        let there = holding(Kind::Municipality, &["0101", "0265"]);
        assert!(Plan::new(&wanted, &there).unwrap().is_done());
    }

    #[test]
    fn what_it_may_not_do() {
        let removals = Plan::new(
            &wanted(Kind::Municipality, &["0101"]),
            &holding(Kind::Municipality, &["0101", "0265", "0350", "0360"]),
        )
        .unwrap();
        assert!(matches!(
            removals.check(PRUNE),
            Err(SubscriberError::TooManyRemovals { count: 3, limit: 2 })
        ));
        let only_add = Permission {
            max_removals: None,
            ..PRUNE
        };
        removals.check(only_add).unwrap();

        // A list that was cut off at the end of a line is sound; that it lacks so much is a sign.
        let numbers = ["3113000001", "3113000002", "3113000003"];
        let most = Plan::new(
            &wanted(Kind::Pnr, &numbers[..1]),
            &holding(Kind::Pnr, &numbers),
        );
        let most = most.unwrap();
        let error = most.check(PRUNE).unwrap_err();
        assert!(
            matches!(error, SubscriberError::MostRemoved { count: 2, held: 3 }),
            "{error}"
        );
        let meant = Permission {
            may_remove_most: true,
            ..PRUNE
        };
        most.check(meant).unwrap();
        let some = Plan::new(
            &wanted(Kind::Pnr, &numbers[..2]),
            &holding(Kind::Pnr, &numbers),
        );
        some.unwrap().check(PRUNE).unwrap();

        let emptied = Plan::new(
            &wanted(Kind::Municipality, &[]),
            &holding(Kind::Municipality, &["0101"]),
        )
        .unwrap();
        assert!(matches!(
            emptied.check(PRUNE),
            Err(SubscriberError::WouldEmpty {
                kind: Kind::Municipality
            })
        ));

        for (kind, text) in [(Kind::AgeRange, "0-17"), (Kind::ChangeCode, "A01")] {
            let national = Plan::new(&wanted(kind, &[text]), &Holding::default()).unwrap();
            assert!(matches!(
                national.check(only_add),
                Err(SubscriberError::National { .. })
            ));
            let allowed = Permission {
                allow_national: true,
                ..only_add
            };
            national.check(allowed).unwrap();
            // What is there already is not added.
            let there = Plan::new(&wanted(kind, &[text]), &holding(kind, &[text])).unwrap();
            there.check(only_add).unwrap();
        }

        let mut unread = holding(Kind::Municipality, &["0101", "0265"]);
        unread.unreadable = 1;
        assert!(matches!(
            Plan::new(&wanted(Kind::Municipality, &["0101"]), &unread),
            Err(SubscriberError::Unreadable { count: 1 })
        ));
    }
}
