//! What an operator decides about a tenant's current tables.

use super::OperatorError;
use crate::config::Configuration;
use crate::current::RegisterSource;
use crate::error::Error;
use crate::fs::StateLock;
use crate::keyed_hash::ListKey;
use crate::ledger::{AdoptedDataset, Ledger, PolicyChange};
use crate::tenant::policy_digest;
use jiff::Timestamp;

/// What was accepted for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptedForTenant {
    /// The change of the policy.
    pub policy_change: Option<PolicyChange>,
    /// The day before which persons left the scope without being listed.
    pub compare_since: Option<String>,
}

/// Accepts, for a tenant, a change of the policy that hides more than half of its persons, and that the list of the
/// persons who were in scope was lost. The next run makes the current tables and publishes the deliveries.
pub fn accept_tenant(
    configuration: &Configuration,
    name: &str,
    now: Timestamp,
) -> Result<AcceptedForTenant, Error> {
    let tenant = configuration.tenant(name)?;
    let name = tenant.name.as_str();
    let mut stores = configuration.stores.iter();
    let home = stores.find_map(|store| RegisterSource::of_tenant(store, tenant).into_iter().next());
    let mut accepted = AcceptedForTenant::default();
    let Some(home) = home.filter(|home| Ledger::is_in(&home.state)) else {
        return Ok(accepted);
    };
    let _lock = StateLock::take(&home.state)?;
    let ledger = Ledger::open(&home.state)?;
    let change = ledger.policy_change(name)?;
    if let Some(change) = change.filter(|change| change.accepted.is_none()) {
        let key = ListKey::read(&home.state)?;
        // Only the policy that a run has judged can be accepted.
        if policy_digest(&tenant.policy()?, key.as_ref()).as_ref() != Some(&change.policy) {
            return Err(OperatorError::PolicyNotJudged {
                tenant: name.to_owned(),
            }
            .into());
        }
        let change = PolicyChange {
            accepted: Some(now),
            ..change
        };
        ledger.set_policy_change(name, Some(&change))?;
        accepted.policy_change = Some(change);
    }
    let place = AdoptedDataset::Tenant(name);
    if let Some(known) = ledger.generation(place)?
        && known.compare_since.is_some()
    {
        ledger.accept_comparison(place)?;
        accepted.compare_since = known.compare_since;
    }
    Ok(accepted)
}
