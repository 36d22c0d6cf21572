//! The persons with whom those in scope are compared: those of the generation before, or of the tenant's deliveries.

use super::error::CurrentError;
use super::inputs::Inputs;
use super::plan::Plan;
use super::tables;
use super::update::{CurrentTables, TenantRules};
use crate::dataset::GenerationManifest;
use crate::error::Error;
use crate::ledger::{Generation, Ledger, PolicyChange};
use crate::tenant::rosters::Rosters;
use cprflow::Limits;

/// The number that stands for the persons in scope after the tenant's deliveries.
pub(super) const OF_DELIVERIES: u64 = 0;

/// What a generation is compared with.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The persons, in the component's format; `None` if all persons are new.
    pub(super) roster: Option<Vec<u8>>,
    /// The number of the generation that had them.
    pub(super) number: Option<u64>,
    /// Whether the persons are lost, so that those who left since are not known.
    pub(super) is_lost: bool,
}

impl Comparison {
    const LOST: Self = Self {
        roster: None,
        number: None,
        is_lost: true,
    };
}

/// What is known of an earlier generation.
struct Earlier {
    day: String,
    made: jiff::Timestamp,
    persons: u64,
    policy: Option<String>,
}

impl CurrentTables<'_> {
    /// Returns the persons with whom those in scope are compared.
    ///
    /// If the list of a generation is lost, it is made again from the extracts that the generation had, if the policy is
    /// the same. The number of persons tells whether the result is right.
    pub(super) fn comparison(
        &self,
        plan: &Plan,
        known: Option<&Generation>,
    ) -> Result<Comparison, Error> {
        let (Some(tenant), Some(rosters)) = (self.tenant, self.rosters()) else {
            return Ok(Comparison::default());
        };
        let number = match (plan.compared_with, known) {
            (Some(number), _) => number,
            (None, None) if !tenant.has_deliveries => OF_DELIVERIES,
            (None, _) => return Ok(Comparison::default()),
        };
        if let Some(roster) = rosters.read(number)? {
            return Ok(Comparison {
                roster: Some(roster),
                number: Some(number),
                is_lost: false,
            });
        }
        let made = match number {
            OF_DELIVERIES => match self.of_deliveries(tenant)? {
                None if known.is_none() => return Ok(Comparison::default()),
                made => made.flatten(),
            },
            number => self.select_again(tenant, number, known)?,
        };
        let Some(roster) = made else {
            tracing::warn!(
                "the list of the persons who were in scope is lost, so persons who left since then are not reported"
            );
            return Ok(Comparison::LOST);
        };
        rosters.write(number, &roster)?;
        Ok(Comparison {
            roster: Some(roster),
            number: Some(number),
            is_lost: false,
        })
    }

    /// Returns the persons in scope after the newest deliveries of the tenant's agreements: `None` if there are no
    /// deliveries, `Some(None)` if the list of an agreement is lost.
    fn of_deliveries(&self, tenant: TenantRules<'_>) -> Result<Option<Option<Vec<u8>>>, Error> {
        let name = tenant.tenant.name.as_str();
        let mut all: Option<Vec<u8>> = None;
        for source in self.sources {
            let Some(ledger) = Ledger::open_to_read(&source.state)? else {
                continue;
            };
            for agreement in &source.agreements {
                let agreement = agreement.as_str();
                let Some(number) = ledger.newest_tenant_sequence(name, agreement)? else {
                    continue;
                };
                let Some(roster) = Rosters::new(&source.state, name, agreement).read(number)?
                else {
                    return Ok(Some(None));
                };
                all = Some(match all {
                    None => roster,
                    Some(before) => {
                        let limits: Limits = tenant.tenant.limits.sandbox();
                        self.connector.merge_rosters(limits, &before, &roster)?
                    }
                });
            }
        }
        Ok(all.map(Some))
    }

    /// Returns the persons who were in scope in an earlier generation, from the extracts that it had; `None` if that is
    /// not certain.
    fn select_again(
        &self,
        tenant: TenantRules<'_>,
        number: u64,
        known: Option<&Generation>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let earlier = match known.filter(|known| known.number == number) {
            Some(known) => Some(Earlier {
                day: known.day.clone(),
                made: known.made,
                persons: known.persons,
                policy: known.policy.clone(),
            }),
            None => self.earlier(number, tenant.tenant.name.as_str())?,
        };
        let Some(earlier) = earlier else {
            return Ok(None);
        };
        if earlier.policy.as_deref() != Some(tenant.policy_digest) {
            return Ok(None);
        }
        let none = serde_json::Value::Null;
        let inputs =
            Inputs::of_tenant_until(self.sources, tenant.policy, &none, Some(earlier.made))?;
        if inputs.check().is_err() {
            return Ok(None);
        }
        let (roster, counts) = tables::select(self, &inputs, &earlier.day, None)?;
        Ok((counts.persons == earlier.persons).then_some(roster))
    }

    /// Reads what the manifest of a generation says, if the generation is still on the disk.
    fn earlier(&self, number: u64, tenant: &str) -> Result<Option<Earlier>, Error> {
        let manifest = GenerationManifest::read(&self.dataset.generation(number))?;
        let manifest = manifest.filter(|manifest| manifest.tenant.as_deref() == Some(tenant));
        Ok(manifest.and_then(|manifest| {
            Some(Earlier {
                day: manifest.day,
                made: manifest.made.parse().ok()?,
                persons: manifest.persons,
                policy: manifest.policy.strip_prefix("sha256:").map(str::to_owned),
            })
        }))
    }

    /// Fails if the policy was changed since the newest generation so that more than half of its persons are hidden, and
    /// no person has accepted that.
    pub(crate) fn check_policy_change(
        &self,
        ledger: &Ledger,
        inputs: &Inputs,
    ) -> Result<(), Error> {
        let (Some(tenant), Some(rosters)) = (self.tenant, self.rosters()) else {
            return Ok(());
        };
        let name = tenant.tenant.name.as_str();
        let known = ledger.generation(self.place())?;
        let Some(known) = known.filter(|known| known.persons > 0) else {
            return Ok(());
        };
        let found = ledger.policy_change(name)?;
        if known.policy.as_deref() == Some(tenant.policy_digest) {
            if found.is_some() {
                ledger.set_policy_change(name, None)?;
            }
            return Ok(());
        }
        let found = found.filter(|found| found.policy == tenant.policy_digest);
        let change = match found {
            Some(found) => found,
            None => {
                let roster = rosters.read(known.number)?;
                let has_roster = roster.is_some();
                let (_, counts) = tables::select(self, inputs, &known.day, roster)?;
                // Without the list, only the number of persons can be compared.
                let hidden = match has_roster {
                    true => counts.left,
                    false => known.persons.saturating_sub(counts.persons),
                };
                PolicyChange {
                    policy: tenant.policy_digest.to_owned(),
                    persons: known.persons,
                    hidden,
                    since: self.now,
                    accepted: None,
                }
            }
        };
        if change.hidden <= change.persons / 2 || change.accepted.is_some() {
            return Ok(());
        }
        ledger.set_policy_change(name, Some(&change))?;
        Err(CurrentError::PolicyHidesMost {
            tenant: name.to_owned(),
            hidden: change.hidden,
            persons: change.persons,
        }
        .into())
    }
}
