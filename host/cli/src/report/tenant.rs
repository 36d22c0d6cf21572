//! What the report tells of a tenant.

use std::collections::{BTreeMap, BTreeSet};

use cprflow::Connector;
use cprflow_delivery::config::{Configuration, Period, Store};
use cprflow_delivery::overview::{PastGeneration, past_generations};
use cprflow_delivery::status::Status;
use cprflow_delivery::{Generation, Tenant};
use cprflow_report::{Fact, PolicySection, ScopePoint, StoragePlace, TenantReport};
use jiff::civil::Date;

use crate::failure::Failure;
use crate::tenant::policy_sections;

/// The sections of a policy that the report shows elsewhere, or that are not about data.
const SHOWN_ELSEWHERE: [&str; 4] = ["purpose", "legal basis", "dataset", "limits"];

/// Returns what the report tells of a tenant.
pub(super) fn report(
    connector: &Connector,
    configuration: &Configuration,
    tenant: &Tenant,
    statuses: &[Status],
) -> Result<TenantReport, Failure> {
    let name = tenant.name.as_str();
    let prefix = format!("tenant {name}: ");
    let remarks = |is_urgent: bool| -> Vec<String> {
        let remarks = statuses.iter().flat_map(|status| &status.remarks);
        let texts = remarks
            .filter(|remark| remark.needs_attention == is_urgent)
            .filter_map(|remark| remark.text.strip_prefix(&prefix).map(str::to_owned));
        // A tenant of several agreements can have the same remark from each.
        texts.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let mut attention = remarks(true);
    let policy = match policy_sections(connector, tenant) {
        Ok(sections) => sections
            .into_iter()
            .map(|(label, lines)| PolicySection {
                label: label.to_owned(),
                lines,
            })
            .filter(|section| !SHOWN_ELSEWHERE.contains(&section.label.as_str()))
            .collect(),
        Err(error) => {
            attention.push(format!("the policy cannot be read: {error}"));
            Vec::new()
        }
    };
    let has_tenant = |store: &&Store| store.tenants.iter().any(|one| one.name == tenant.name);
    let stores: Vec<_> = configuration.stores.iter().filter(has_tenant).collect();
    let mut past = Vec::new();
    for store in &stores {
        let of_store = past_generations(&store.state, Some(name))?;
        if of_store.len() > past.len() {
            past = of_store;
        }
    }
    let current = statuses.iter().flat_map(|status| &status.tenants);
    let mut current = current.filter(|one| one.tenant == name);
    let current = current.find_map(|one| one.current.as_ref());
    Ok(TenantReport {
        name: name.to_owned(),
        purpose: tenant.purpose.clone(),
        legal_basis: tenant.legal_basis.clone(),
        attention,
        notes: remarks(false),
        figures: figures(current),
        policy,
        reasons: reasons(&past),
        policy_changes: policy_changes(&past),
        scope: past.iter().filter_map(scope_point).collect(),
        places: places(tenant, &stores),
    })
}

fn figures(current: Option<&Generation>) -> Vec<Fact> {
    let Some(current) = current else {
        return vec![Fact::new("persons in scope", "not known yet")];
    };
    let tables = match current.is_current {
        true => Fact::new("current tables for", current.day.clone()),
        false => Fact::new("current tables", "withdrawn"),
    };
    vec![
        Fact::new("persons in scope", current.persons.to_string()),
        Fact::new("entered since the day before", current.entered.to_string()),
        Fact::new("left since the day before", current.left.to_string()),
        tables,
    ]
}

fn scope_point(past: &PastGeneration) -> Option<ScopePoint> {
    Some(ScopePoint {
        day: past.day.parse().ok()?,
        persons: past.persons,
        entered: past.entered,
        left: past.left,
    })
}

/// Returns how many persons left for each reason, the most frequent first.
fn reasons(past: &[PastGeneration]) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in past.iter().flat_map(|past| &past.reasons) {
        *counts.entry(reason).or_default() += count;
    }
    let mut counts: Vec<_> = counts
        .into_iter()
        .map(|(reason, count)| (reason.to_owned(), count))
        .collect();
    counts.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), reason.clone()));
    counts
}

/// Returns the days on which another policy came into force.
fn policy_changes(past: &[PastGeneration]) -> Vec<Date> {
    let pairs = past.iter().zip(past.iter().skip(1));
    let changed = pairs.filter(|(before, after)| before.policy != after.policy);
    changed
        .filter_map(|(_, after)| after.day.parse().ok())
        .collect()
}

fn places(tenant: &Tenant, stores: &[&Store]) -> Vec<StoragePlace> {
    let readers = match &tenant.group {
        Some(group) => format!("the owner and group {group}"),
        None => "the owner".to_owned(),
    };
    let place = |what: &str, place: String, readers: &str, kept: String| StoragePlace {
        what: what.to_owned(),
        place,
        readers: readers.to_owned(),
        kept,
    };
    let mut places = Vec::new();
    let publishes = |what: fn(&Store) -> bool| stores.iter().any(|store| what(store));
    if publishes(|store| store.publish.current) {
        places.push(place(
            "current tables",
            tenant.dataset.join("current").display().to_string(),
            &readers,
            "until newer ones replace them, and up to 48 hours longer".to_owned(),
        ));
    }
    if publishes(|store| store.publish.deliveries) {
        let kept: Vec<_> = stores
            .iter()
            .map(|store| match store.retention.deliveries {
                Period::Days(days) => format!("{days} days"),
                Period::Forever => "forever".to_owned(),
            })
            .collect();
        let directories: Vec<_> = tenant
            .agreements
            .iter()
            .map(|agreement| {
                tenant
                    .dataset
                    .join(format!("agreement={}", agreement.as_str()))
                    .display()
                    .to_string()
            })
            .collect();
        places.push(place(
            "deliveries",
            directories.join(", "),
            &readers,
            kept.join(", "),
        ));
    }
    for store in stores {
        places.push(place(
            "numbers of the persons in scope, and of those in the register who are not masked",
            format!(
                "{} and {}",
                store
                    .state
                    .join("generations")
                    .join(tenant.name.as_str())
                    .display(),
                store.state.join("rosters").display()
            ),
            "the owner",
            format!(
                "until the next generation; those of a delivery {} days",
                store.max_age_days
            ),
        ));
        places.push(place(
            "extracts, with all persons of the agreement",
            store.state.join("register").display().to_string(),
            "the owner",
            "until newer records replace them".to_owned(),
        ));
    }
    places
}
