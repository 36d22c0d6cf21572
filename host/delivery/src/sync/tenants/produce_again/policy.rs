//! The policy under which a delivery is made again: its own, narrowed by that of today.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Error;
use crate::keyed_hash::ListKey;
use crate::sync::tenants::ready::ReadyTenant;
use crate::tenant::narrow::narrowed;
use crate::tenant::policies::KeptPolicies;
use crate::tenant::policy_digest;
use cprflow::policy::NumberRule;
use cprflow::{Connector, Policy};

/// The policy of a delivery, narrowed by that of today.
#[derive(Debug, Clone)]
pub(super) struct DeliveryPolicy {
    pub(super) policy: Policy,
    pub(super) digest: String,
    /// Whether it hides something that the delivery shows.
    pub(super) is_narrower: bool,
}

/// Narrows the policies of a tenant's deliveries, each once.
pub(super) struct Narrowing<'a> {
    connector: &'a Connector,
    state: &'a Path,
    ready: &'a ReadyTenant,
    kept: KeptPolicies,
    /// By the digest in the ledger. An error says why there is no such policy.
    known: BTreeMap<String, Result<DeliveryPolicy, String>>,
}

impl<'a> Narrowing<'a> {
    pub(super) fn new(connector: &'a Connector, state: &'a Path, ready: &'a ReadyTenant) -> Self {
        Self {
            connector,
            state,
            ready,
            kept: KeptPolicies::new(state, ready.tenant.name.as_str()),
            known: BTreeMap::new(),
        }
    }

    /// Returns the policy of deliveries that were made under the policy with this digest. An error says why they cannot be
    /// made again.
    pub(super) fn policy(&mut self, digest: &str) -> Result<Result<DeliveryPolicy, String>, Error> {
        if let Some(known) = self.known.get(digest) {
            return Ok(known.clone());
        }
        let policy = self.narrow(digest)?;
        self.known.insert(digest.to_owned(), policy.clone());
        Ok(policy)
    }

    fn narrow(&self, before: &str) -> Result<Result<DeliveryPolicy, String>, Error> {
        let before = before.strip_prefix("sha256:").unwrap_or(before);
        let today = &self.ready.policy;
        if before == self.ready.policy_digest {
            return Ok(Ok(DeliveryPolicy {
                policy: today.clone(),
                digest: before.to_owned(),
                is_narrower: false,
            }));
        }
        let Some(kept) = self.kept.read(before)? else {
            return Ok(Err(
                "the policy has changed, and the policy of the delivery is gone".to_owned(),
            ));
        };
        // A policy that the component refuses, for example because it is that of another version, has no common one.
        let Ok(Some(policy)) = narrowed(self.connector, &kept, today) else {
            return Ok(Err(
                "the policy has changed so that nothing of the delivery can be shown".to_owned(),
            ));
        };
        let has_list = policy.persons.numbers.is_some();
        let key = has_list.then(|| ListKey::open(self.state)).transpose()?;
        let digest_of = |policy| policy_digest(policy, key.as_ref()).unwrap_or_default();
        // An erased person is in no list any more, so the digest of the kept policy can have changed.
        let is_narrower = digest_of(&policy) != digest_of(&kept);
        let digest = match is_narrower {
            true => digest_of(&policy),
            false => before.to_owned(),
        };
        if policy.numbers == NumberRule::Pseudonym && self.ready.key().is_none() && is_narrower {
            return Ok(Err(
                "the tenant has no key for pseudonyms any more".to_owned()
            ));
        }
        Ok(Ok(DeliveryPolicy {
            policy,
            digest,
            is_narrower,
        }))
    }
}
