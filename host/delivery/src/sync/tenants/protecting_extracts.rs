//! The kept extracts that tell who is protected from a tenant.

use std::collections::BTreeSet;

use crate::current::RegisterSource;
use crate::error::Error;
use crate::ledger::{KeptExtract, Ledger};
use crate::register::Register;
use cprflow::Pnr;

/// The kept extracts that tell who is protected from a tenant, newest first.
pub(super) struct ProtectingExtracts {
    /// Those of the tenant's agreements.
    pub(super) own: Vec<(Register, KeptExtract)>,
    /// Those of agreements that the tenant may no longer see.
    pub(super) former: Vec<(Register, KeptExtract)>,
    /// The persons whom records of erased persons protected.
    pub(super) protected: BTreeSet<Pnr>,
    /// Whether the register has all of them.
    pub(super) is_complete: bool,
}

impl ProtectingExtracts {
    /// Returns those of a tenant's agreements whose files are there.
    pub(super) fn of_sources(sources: &[RegisterSource]) -> Result<Self, Error> {
        let mut extracts = Self {
            own: Vec::new(),
            former: Vec::new(),
            protected: BTreeSet::new(),
            is_complete: true,
        };
        for source in sources {
            let Some(ledger) = Ledger::open_to_read(&source.state)? else {
                continue;
            };
            extracts.protected.extend(source.protected()?);
            let register = Register::of(&source.state);
            for kept in ledger.applied_extracts()? {
                let chosen = match () {
                    () if source.is_own(&kept.agreement) => &mut extracts.own,
                    () if source.is_former(&kept.agreement) => &mut extracts.former,
                    () => continue,
                };
                match register.has(&kept) {
                    true => chosen.push((register.clone(), kept)),
                    false => extracts.is_complete = false,
                }
            }
            let mut missing = ledger.missing_in_register()?.into_iter();
            if missing.any(|record| {
                source.is_own(&record.agreement) || source.is_former(&record.agreement)
            }) {
                extracts.is_complete = false;
            }
        }
        let order = |(_, kept): &(Register, KeptExtract)| {
            (
                kept.production_date.clone(),
                kept.sequence,
                kept.agreement.clone(),
            )
        };
        for extracts in [&mut extracts.own, &mut extracts.former] {
            extracts.sort_by_key(order);
            extracts.reverse();
        }
        Ok(extracts)
    }

    /// Returns all of them, in the order in which they apply.
    pub(super) fn oldest_first(&self) -> Vec<(Register, KeptExtract)> {
        let mut all = [self.own.as_slice(), &self.former].concat();
        all.reverse();
        all
    }
}
