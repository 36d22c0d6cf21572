//! The policy of an older delivery, narrowed by a tenant's policy of today: what both let through.

use std::collections::BTreeSet;

use cprflow::policy::{
    LeaverRule, NumberRule, OUT_OF_SCOPE, PersonFilter, Policy, PolicyView, ProtectionRule,
};
use cprflow::{Connector, Error};

/// The statuses of residents. A scope by municipality has these unless it names statuses.
const RESIDENTS: [&str; 4] = ["01", "03", "05", "07"];

/// Returns the policy that lets through what both policies let through; `None` if there is no such policy, for example
/// because no person can be in scope of both.
///
/// Fails if the component refuses one of the two policies.
pub(crate) fn narrowed(
    connector: &Connector,
    before: &Policy,
    today: &Policy,
) -> Result<Option<Policy>, Error> {
    let Some(persons) = persons(&before.persons, &today.persons) else {
        return Ok(None);
    };
    if before.day != today.day && persons.ages.is_some() {
        // Ages on two days cannot be told in one policy.
        return Ok(None);
    }
    let views = (connector.view(before)?, connector.view(today)?);
    let mut rows = before.rows.clone();
    for (table, condition) in &today.rows {
        let both = match rows.get(table) {
            Some(before) if before == condition => continue,
            Some(before) => format!("({before}) and ({condition})"),
            None => condition.clone(),
        };
        rows.insert(table.clone(), both);
    }
    let lists = before.columns.keys().chain(today.columns.keys());
    let tables = match before.tables.is_none() && today.tables.is_none() {
        true => None,
        false => Some(common_tables(&views.0, &views.1)),
    };
    let is_visible = |table: &&String| tables.as_ref().is_none_or(|all| all.contains(*table));
    let columns = lists
        .filter(is_visible)
        .map(|table| (table.clone(), common_columns(&views.0, &views.1, table)))
        .collect();
    rows.retain(|table, _| is_visible(&table));
    let policy = Policy {
        persons,
        day: today.day.clone(),
        as_of: None,
        classes: &before.classes & &today.classes,
        columns,
        rows,
        tables,
        protection: stricter_protection(before.protection, today.protection),
        numbers: stricter_numbers(before.numbers, today.numbers),
        leavers: match (before.leavers, today.leavers) {
            (LeaverRule::Last, LeaverRule::Last) => LeaverRule::Last,
            _ => LeaverRule::Notice,
        },
        may_reveal: before.may_reveal && today.may_reveal,
    };
    // The component refuses a policy that selects by something it hides. Then there is no common policy.
    Ok(connector.view(&policy).is_ok().then_some(policy))
}

/// Returns the filter that selects the persons whom both filters select; `None` if they have no person in common.
fn persons(before: &PersonFilter, today: &PersonFilter) -> Option<PersonFilter> {
    let statuses = |filter: &PersonFilter, other: &PersonFilter| {
        let residents = || RESIDENTS.map(str::to_owned).to_vec();
        let is_implied = filter.municipality_codes.is_some() && other.status_codes.is_some();
        match &filter.status_codes {
            None if is_implied => Some(residents()),
            given => given.clone(),
        }
    };
    let ages = match (before.ages, today.ages) {
        (Some(one), Some(other)) => Some((one.0.max(other.0), one.1.min(other.1))),
        (one, other) => one.or(other),
    };
    let filter = PersonFilter {
        municipality_codes: common(&before.municipality_codes, &today.municipality_codes),
        status_codes: common(&statuses(before, today), &statuses(today, before)),
        ages,
        event_codes: common(&before.event_codes, &today.event_codes),
        numbers: common(&before.numbers, &today.numbers),
    };
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
    let is_nobody = is_empty(&filter.municipality_codes)
        || is_empty(&filter.status_codes)
        || is_empty(&filter.event_codes)
        || filter.numbers.as_ref().is_some_and(Vec::is_empty)
        || ages.is_some_and(|(youngest, oldest)| youngest > oldest);
    (!is_nobody).then_some(filter)
}

/// Returns what is in both lists. Without a list, everything is.
fn common<T: Clone + Ord>(one: &Option<Vec<T>>, other: &Option<Vec<T>>) -> Option<Vec<T>> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let other: BTreeSet<&T> = other.iter().collect();
            Some(
                one.iter()
                    .filter(|item| other.contains(item))
                    .cloned()
                    .collect(),
            )
        }
        (one, other) => one.clone().or_else(|| other.clone()),
    }
}

fn common_tables(before: &PolicyView, today: &PolicyView) -> BTreeSet<String> {
    let names = before.tables().iter().map(|table| table.name.as_str());
    let common = names.filter(|name| *name != OUT_OF_SCOPE && today.table(name).is_some());
    common.map(str::to_owned).collect()
}

fn common_columns(before: &PolicyView, today: &PolicyView, table: &str) -> Vec<String> {
    let columns = |view: &PolicyView| -> Vec<String> {
        let columns = view.table(table).into_iter().flat_map(|one| &one.columns);
        columns.map(|column| column.name.clone()).collect()
    };
    let today: BTreeSet<String> = columns(today).into_iter().collect();
    let mut common = columns(before);
    // These two cannot be named in a policy: the component adds them where they belong.
    common.retain(|name| today.contains(name) && name != "line" && name != "protected");
    common
}

fn stricter_protection(one: ProtectionRule, other: ProtectionRule) -> ProtectionRule {
    match (one, other) {
        (ProtectionRule::Drop, _) | (_, ProtectionRule::Drop) => ProtectionRule::Drop,
        (ProtectionRule::Mask, _) | (_, ProtectionRule::Mask) => ProtectionRule::Mask,
        (ProtectionRule::Include, ProtectionRule::Include) => ProtectionRule::Include,
    }
}

fn stricter_numbers(one: NumberRule, other: NumberRule) -> NumberRule {
    match (one, other) {
        (NumberRule::Drop, _) | (_, NumberRule::Drop) => NumberRule::Drop,
        (NumberRule::Pseudonym, _) | (_, NumberRule::Pseudonym) => NumberRule::Pseudonym,
        (NumberRule::Keep, NumberRule::Keep) => NumberRule::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::policy_digest;

    fn of(change: impl FnOnce(&mut Policy)) -> Policy {
        let mut policy = Policy::default();
        change(&mut policy);
        policy
    }

    fn texts(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    fn both(before: &Policy, today: &Policy) -> Option<Policy> {
        narrowed(&Connector::embedded().unwrap(), before, today).unwrap()
    }

    #[test]
    fn a_wider_policy_of_today_changes_nothing() {
        let before = of(|policy| {
            policy.persons.municipality_codes = texts(&["0265"]);
            policy.protection = ProtectionRule::Drop;
            policy.leavers = LeaverRule::Notice;
        });
        let today = of(|policy| {
            policy.persons.municipality_codes = texts(&["0265", "0851"]);
            policy.classes.insert("family".to_owned());
            policy.leavers = LeaverRule::Last;
        });
        let found = both(&before, &today).unwrap();
        assert_eq!(
            policy_digest(&found, None),
            policy_digest(&before, None),
            "{found:?}"
        );
        let same = both(&before, &before).unwrap();
        assert_eq!(policy_digest(&same, None), policy_digest(&before, None));
    }

    #[test]
    fn lets_through_what_both_let_through() {
        let before = of(|policy| {
            policy.persons.ages = Some((0, 16));
            policy.columns = [(
                "person".to_owned(),
                texts(&["pnr", "status", "birth_date"]).unwrap(),
            )]
            .into();
            policy.rows = [("person".to_owned(), "status = '01'".to_owned())].into();
        });
        let today = of(|policy| {
            policy.persons.ages = Some((5, 18));
            policy.tables = Some(["person".to_owned(), "name".to_owned()].into());
            policy.columns = [("person".to_owned(), texts(&["pnr", "birth_date"]).unwrap())].into();
            policy.rows = [("person".to_owned(), "birth_date > '2000-01-01'".to_owned())].into();
            policy.protection = ProtectionRule::Drop;
            policy.may_reveal = true;
        });
        let today = Policy {
            may_reveal: false,
            ..today
        };
        let before = Policy {
            numbers: NumberRule::Keep,
            ..before
        };
        let found = both(&before, &today).unwrap();
        let rows = "(status = '01') and (birth_date > '2000-01-01')";
        assert_eq!(found.rows["person"], rows);
        let before = Policy {
            rows: Default::default(),
            ..before
        };
        let found = both(&before, &today).unwrap();
        assert_eq!(found.persons.ages, Some((5, 16)));
        assert_eq!(found.columns["person"], ["pnr", "birth_date"]);
        assert_eq!(found.rows["person"], "birth_date > '2000-01-01'");
        assert_eq!(
            found.tables.unwrap(),
            ["name".to_owned(), "person".to_owned()].into()
        );
        assert_eq!(found.protection, ProtectionRule::Drop);
    }

    #[test]
    fn a_scope_by_municipality_means_residents() {
        let residents = of(|policy| policy.persons.municipality_codes = texts(&["0265"]));
        let all = of(|policy| {
            policy.persons.municipality_codes = texts(&["0265"]);
            policy.persons.status_codes = texts(&["01", "90"]);
        });
        for (before, today) in [(&residents, &all), (&all, &residents)] {
            let found = both(before, today).unwrap();
            assert_eq!(found.persons.status_codes, texts(&["01"]));
        }
        let dead = of(|policy| policy.persons.status_codes = texts(&["90"]));
        assert!(both(&dead, &residents).is_none());
        let elsewhere = of(|policy| policy.persons.municipality_codes = texts(&["0851"]));
        assert!(both(&residents, &elsewhere).is_none());
    }

    #[test]
    fn ages_on_two_days_have_no_common_policy() {
        let children = of(|policy| policy.persons.ages = Some((0, 16)));
        let fixed = of(|policy| {
            policy.persons.ages = Some((0, 16));
            policy.day = Some("2026-03-02".to_owned());
        });
        assert!(both(&children, &fixed).is_none());
    }
}
