//! Makes a tenant's published deliveries again when something in them is hidden now: a person became protected, the policy
//! was narrowed, or the tenant no longer has the agreement. Erasures use it too.
//!
//! A delivery is never edited. It is made from the kept extract under its own policy narrowed by that of today, and then
//! exchanged. A delivery that cannot be made again is removed: what is hidden must not stay.
//!
//! The steps are durable in this order:
//! 1. The list of protected persons is stored.
//! 2. The new tables are complete beside the dataset.
//! 3. The ledger has the rewriting, not complete.
//! 4. The directories are exchanged.
//! 5. What was published before is removed.
//! 6. The ledger completes the rewriting.
//!
//! | module | contents |
//! |---|---|
//! | this file | which deliveries are made again |
//! | `protected` | the persons who are protected now, and the search for them in an extract |
//! | `policy` | the policy of a delivery, narrowed by that of today |
//! | `exchange` | makes one delivery again, or removes it |

mod exchange;
mod policy;
mod protected;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use self::policy::{DeliveryPolicy, Narrowing};
pub(crate) use self::protected::numbers_in;
use super::dataset_claim::claim;
use super::publisher::TenantPublisher;
use super::ready::ReadyTenant;
use super::scheduler::Heartbeat;
use crate::config::Store;
use crate::dataset::DeliveryPlace;
use crate::error::Error;
use crate::integrity::{GONE, has_no_tables};
use crate::ledger::{KeptExtract, Ledger, Record, TenantDelivery, TenantDeliveryState};
use crate::register::Register;
use crate::stop::Stop;
use crate::sync::report::RewrittenDelivery;
use crate::sync::tenants::error::TenantPublishError;
use crate::tenant::Tenant;
use crate::tenant::hidden::HiddenPersons;
use crate::tenant::policies::KeptPolicies;
use cprflow::policy::ProtectionRule;
use cprflow::{Connector, Pnr};

/// What is known about one of the tenant's deliveries.
struct Published<'a> {
    share: &'a TenantDelivery,
    directory: &'a str,
    /// Whether an earlier run began to make it again, or an erasure wants that.
    is_begun: bool,
}

/// What is done with a delivery.
enum Step {
    /// It has nothing that is hidden now.
    Keep,
    /// It is made again under a policy without these protected persons.
    Again(Box<DeliveryPolicy>, BTreeSet<Pnr>),
    /// It cannot be made again, and is removed for this reason.
    Remove(String),
}

impl TenantPublisher {
    /// Makes those of a tenant's deliveries again that have something which is hidden now, and completes what a run that was
    /// killed has begun. If that fails, what is erased or hidden does not stay.
    pub(super) fn produce_again(
        &self,
        ready: &ReadyTenant,
        heartbeat: &Heartbeat,
    ) -> Result<(), Error> {
        let allowed = self.check_policy_change(ready, heartbeat);
        let is_allowed = allowed.is_ok();
        let ended = allowed.and_then(|()| self.produce_all_again(ready, heartbeat));
        let Err(error) = ended else {
            return Ok(());
        };
        if self.is_ended(&error, heartbeat) {
            return Err(error);
        }
        match is_allowed {
            // The others were judged, or cannot be judged.
            true => self.withdraw_begun(ready, heartbeat)?,
            // The new policy waits for a person. What became hidden must not stay meanwhile.
            false => self.withdraw_hidden(ready, heartbeat)?,
        }
        Err(error)
    }

    /// Does what [`produce_again`](Self::produce_again) does, under a policy that may take effect.
    fn produce_all_again(&self, ready: &ReadyTenant, heartbeat: &Heartbeat) -> Result<(), Error> {
        let tenant = ready.tenant.name.as_str();
        let (shares, begun) = self.published_shares(ready)?;
        if shares.is_empty() {
            return Ok(());
        }
        let mut narrowing = Narrowing::new(&self.connector, &self.store.state, ready);
        let hidden = match ready.policy.protection {
            ProtectionRule::Include => None,
            ProtectionRule::Mask | ProtectionRule::Drop => {
                Some(self.hidden_persons(ready, &shares, heartbeat)?)
            }
        };
        let version = hidden.as_ref().map_or(0, |hidden| hidden.version);
        let is_complete = hidden.as_ref().is_none_or(|hidden| hidden.is_complete);
        let mut compared = Vec::new();
        let mut failed = Ok(());
        for share in &shares {
            heartbeat.beat();
            self.stop.check()?;
            let Some(directory) = share.directory.as_deref() else {
                continue;
            };
            let is_begun = begun.contains(&share.delivery);
            let published = Published {
                share,
                directory,
                is_begun,
            };
            let Some(record) = self.ledger_of(heartbeat)?.delivery(share.delivery)? else {
                continue;
            };
            let step = self.step(
                ready,
                &published,
                &mut narrowing,
                hidden.as_ref(),
                heartbeat,
            );
            let done = match step {
                // It cannot be told whether something in it is hidden now. The other deliveries are judged all the same.
                Err(error) => Err(error),
                Ok(Step::Keep) if share.hidden == version => continue,
                Ok(Step::Keep) => {
                    compared.push(share.delivery);
                    continue;
                }
                // The delivery may hide a person whose protection the register has lost.
                Ok(Step::Again(..)) if !is_complete => {
                    let tenant = tenant.to_owned();
                    Err(TenantPublishError::RegisterIncomplete { tenant }.into())
                }
                Ok(Step::Again(policy, protected)) => {
                    let protected = (version, protected);
                    self.make_again(ready, &record, &published, &policy, protected, heartbeat)
                }
                Ok(Step::Remove(why)) => self
                    .remove(ready, &record, &published, why, heartbeat)
                    .map(Some),
            };
            match done {
                Ok(rewritten) => self.report_rewritten(rewritten),
                Err(error) if self.is_ended(&error, heartbeat) => return Err(error),
                Err(error) => {
                    // What is hidden must not stay. The next run makes the delivery again.
                    self.withdraw_delivery(ready, &published, heartbeat)?;
                    failed = failed.and(Err(error));
                }
            }
        }
        self.ledger_of(heartbeat)?
            .compared_with_hidden(tenant, &compared, version)?;
        failed?;
        let needed: BTreeSet<String> = self.policies_in_use(ready)?;
        KeptPolicies::new(&self.store.state, tenant)
            .keep_only(&needed.iter().map(String::as_str).collect())
    }

    /// Withdraws those of a tenant's deliveries that are begun to be made again: an erasure wants that, or something in them is
    /// hidden. A later run makes them again. This needs neither the register nor the policy.
    fn withdraw_begun(&self, ready: &ReadyTenant, heartbeat: &Heartbeat) -> Result<(), Error> {
        let (shares, begun) = self.published_shares(ready)?;
        for share in shares {
            heartbeat.beat();
            let Some(directory) = share.directory.as_deref() else {
                continue;
            };
            if !begun.contains(&share.delivery)
                || !ready.dataset.has_delivery(&share.agreement, directory)
            {
                continue;
            }
            let published = Published {
                share: &share,
                directory,
                is_begun: true,
            };
            self.withdraw_delivery(ready, &published, heartbeat)?;
            tracing::warn!(
                tenant = ready.tenant.name.as_str(),
                agreement = share.agreement,
                directory,
                "a delivery was withdrawn, because something in it is erased or hidden and it cannot be made again now"
            );
        }
        Ok(())
    }

    /// Withdraws those of a tenant's deliveries that are begun to be made again, that have persons who are protected now, or
    /// whose agreement the tenant no longer has. A later run makes them again.
    fn withdraw_hidden(&self, ready: &ReadyTenant, heartbeat: &Heartbeat) -> Result<(), Error> {
        // First, because what follows reads the register, and so can fail.
        self.withdraw_begun(ready, heartbeat)?;
        let (mut shares, begun) = self.published_shares(ready)?;
        shares.retain(|share| !begun.contains(&share.delivery));
        if shares.is_empty() {
            return Ok(());
        }
        let hidden = self.hidden_persons(ready, &shares, heartbeat)?;
        let policies = KeptPolicies::new(&self.store.state, ready.tenant.name.as_str());
        for share in &shares {
            heartbeat.beat();
            self.stop.check()?;
            let Some(directory) = share.directory.as_deref() else {
                continue;
            };
            let digest = &share.counts.policy;
            let policy = policies.read(digest.strip_prefix("sha256:").unwrap_or(digest))?;
            let shows_protected =
                policy.is_some_and(|policy| policy.protection == ProtectionRule::Include);
            let is_seen = ready.tenant.sees(&share.agreement);
            if is_seen && (shows_protected || !self.has_hidden(ready, share, &hidden, heartbeat)?) {
                continue;
            }
            let published = Published {
                share,
                directory,
                is_begun: false,
            };
            self.withdraw_delivery(ready, &published, heartbeat)?;
            tracing::warn!(
                tenant = ready.tenant.name.as_str(),
                agreement = share.agreement,
                directory,
                "a delivery was withdrawn, because something in it is hidden now and the tenant is not ready"
            );
        }
        Ok(())
    }

    /// Returns whether a delivery may show a person who is protected since it was compared last.
    fn has_hidden(
        &self,
        ready: &ReadyTenant,
        share: &TenantDelivery,
        hidden: &HiddenPersons,
        heartbeat: &Heartbeat,
    ) -> Result<bool, Error> {
        let since = hidden.since(share.hidden);
        if since.is_empty() {
            return Ok(false);
        }
        let Some((register, kept)) = self.kept(share)? else {
            return Ok(true);
        };
        let found = self.search(ready, &register, &kept, since, heartbeat)?;
        if found.is_empty() {
            return Ok(false);
        }
        let own = self.protected_in_extract(ready, &register, &kept, heartbeat)?;
        Ok(!found.is_subset(&own))
    }

    /// Returns the tenant's deliveries that have a directory, and those that were begun to be made again.
    fn published_shares(
        &self,
        ready: &ReadyTenant,
    ) -> Result<(Vec<TenantDelivery>, BTreeSet<i64>), Error> {
        let tenant = ready.tenant.name.as_str();
        let ledger = self.ledger();
        begin_restored(&ledger, ready, (self.now)())?;
        let rewritings = ledger.rewritings(Some(tenant))?.into_iter();
        let begun: BTreeSet<i64> = rewritings
            .filter(|rewriting| !rewriting.is_done)
            .map(|rewriting| rewriting.delivery)
            .collect();
        let mut shares = ledger.tenant_deliveries()?;
        drop(ledger);
        shares.retain(|share| {
            let mut reason = share.reason.iter();
            let is_accepted_as_gone = reason.any(|reason| reason.code == GONE);
            let has_directory = share.directory.as_deref().is_some_and(|name| {
                ready.dataset.has_delivery(&share.agreement, name)
                    || begun.contains(&share.delivery) && !is_accepted_as_gone
            });
            share.tenant == tenant
                && share.state == TenantDeliveryState::Published
                && share.expired.is_none()
                && has_directory
        });
        Ok((shares, begun))
    }

    /// Decides what is done with a delivery.
    fn step(
        &self,
        ready: &ReadyTenant,
        published: &Published<'_>,
        narrowing: &mut Narrowing<'_>,
        hidden: Option<&HiddenPersons>,
        heartbeat: &Heartbeat,
    ) -> Result<Step, Error> {
        let share = published.share;
        if !ready.tenant.sees(&share.agreement) {
            let why = "the tenant no longer has the agreement".to_owned();
            return Ok(Step::Remove(why));
        }
        let policy = match narrowing.policy(&share.counts.policy)? {
            Ok(policy) => policy,
            Err(why) => return Ok(Step::Remove(why)),
        };
        let is_as_before = !policy.is_narrower && !published.is_begun;
        let since = hidden.map(|hidden| hidden.since(share.hidden));
        if is_as_before && since.is_none_or(BTreeSet::is_empty) {
            return Ok(Step::Keep);
        }
        let Some((register, kept)) = self.kept(share)? else {
            return Ok(Step::Remove(
                "the register has no extract of it, and something in it can be hidden now"
                    .to_owned(),
            ));
        };
        if let Some(hidden) = hidden.filter(|_| is_as_before)
            && !self.has_hidden(ready, share, hidden, heartbeat)?
        {
            return Ok(Step::Keep);
        }
        let protected = match hidden {
            Some(hidden) => self.search(ready, &register, &kept, &hidden.numbers, heartbeat)?,
            None => BTreeSet::new(),
        };
        Ok(Step::Again(Box::new(policy), protected))
    }

    /// Returns the kept extract of a delivery, if its file is as it was written. Persons are not erased from one that was
    /// changed.
    fn kept(&self, share: &TenantDelivery) -> Result<Option<(Register, KeptExtract)>, Error> {
        let register = Register::of(&self.store.state);
        let kept = self.ledger().kept_extract(share.delivery)?;
        match kept {
            Some(kept) if register.is_whole(&kept)? => Ok(Some((register, kept))),
            _ => Ok(None),
        }
    }

    /// Returns the digests of the policies of the tenant's deliveries, and of today's.
    fn policies_in_use(&self, ready: &ReadyTenant) -> Result<BTreeSet<String>, Error> {
        let shares = self.ledger().tenant_deliveries()?.into_iter();
        let own = shares.filter(|share| share.tenant == ready.tenant.name.as_str());
        let mut digests: BTreeSet<String> = own.map(|share| share.counts.policy).collect();
        digests.insert(ready.policy_digest.clone());
        Ok(digests)
    }

    /// Returns whether an error ends the job: the run was stopped, or the job was abandoned.
    fn is_ended(&self, error: &Error, heartbeat: &Heartbeat) -> bool {
        matches!(error, Error::Stopped | Error::Ledger(_))
            || self.stop.is_set()
            || heartbeat.is_abandoned()
    }

    fn report_rewritten(&self, rewritten: Option<RewrittenDelivery>) {
        let all = self.rewritten.lock();
        all.unwrap_or_else(PoisonError::into_inner)
            .extend(rewritten);
    }
}

/// Withdraws those deliveries of a tenant that have something which is hidden now, although the tenant could not be prepared:
/// its key for pseudonyms may be gone, or its policy cannot be used. The deliveries are made again when the tenant is in order.
pub(super) fn withdraw_of_unready(
    connector: &Connector,
    store: &Store,
    tenant: &Tenant,
    stop: &Stop,
    now: fn() -> Timestamp,
) -> Result<(), Error> {
    // Nothing is there to withdraw, and its disk may not be mounted.
    if has_no_tables(&tenant.dataset) {
        return Ok(());
    }
    // If a thread still uses the dataset, the run has reported it.
    let Ok(_claim) = claim(&tenant.dataset) else {
        return Ok(());
    };
    let with_policy = ReadyTenant::without_key(connector, tenant);
    let opened = with_policy.and_then(|ready| ready.open(&store.state));
    let has_policy = opened.is_ok();
    // Its group, or the key of its list, may be gone too.
    let Ok(ready) = opened.or_else(|_| ReadyTenant::without_policy(tenant)) else {
        return Ok(());
    };
    let publisher = TenantPublisher {
        connector: connector.clone(),
        store: store.clone(),
        ledger: Mutex::new(Ledger::open(&store.state)?),
        stop: stop.clone(),
        now,
        // It makes no current tables.
        may_show_erased: false,
        protected: Mutex::default(),
        rewritten: Mutex::default(),
    };
    let heartbeat = Heartbeat::new();
    publisher.remove_unrestricted(&ready, &heartbeat)?;
    match has_policy {
        true => publisher.produce_again(&ready, &heartbeat),
        false => publisher.withdraw_hidden(&ready, &heartbeat),
    }
}

/// Notes those of a tenant's deliveries that a person put back from an older copy: they are as they were before they were made
/// again. Removes those that were removed.
fn begin_restored(ledger: &Ledger, ready: &ReadyTenant, now: Timestamp) -> Result<(), Error> {
    let tenant = ready.tenant.name.as_str();
    let mut seen = BTreeSet::new();
    for rewriting in ledger.rewritings(Some(tenant))? {
        if !seen.insert(rewriting.delivery) {
            continue;
        }
        let Some(share) = ledger.tenant_delivery(rewriting.delivery, tenant)? else {
            continue;
        };
        let Some(place) = DeliveryPlace::of_tenant(&share) else {
            continue;
        };
        if share.expired.is_some() {
            ready.dataset.remove_own_delivery(Some(tenant), &place)?;
            continue;
        }
        let times = ledger.times_rewritten(share.delivery, Some(tenant))?;
        if ready
            .dataset
            .is_older(&place.agreement, &place.name, times)?
        {
            ledger.begin_rewriting(share.delivery, Some(tenant), rewriting.kind, now)?;
        }
    }
    Ok(())
}

/// Returns the directory of a delivery, relative to its dataset.
fn relative(record: &Record, directory: &str) -> PathBuf {
    Path::new(&format!("agreement={}", record.agreement)).join(directory)
}

/// The protected persons by the extracts that tell them.
type ProtectedByExtracts = BTreeMap<String, Arc<BTreeSet<Pnr>>>;
