//! The persons who are protected from a tenant now, and the search for them in an extract.
//!
//! Protection is the union over the tenant's agreements, also over those that it has seen and no longer may see. A protection
//! under one number of a person counts for all numbers of the person, as in the current tables.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use serde_json::json;
use sha2::Digest;

use super::ProtectedByExtracts;
use crate::current::{RegisterSource, protected_persons};
use crate::erase::protections;
use crate::error::Error;
use crate::ledger::{KeptExtract, Record, TenantDelivery};
use crate::register::{Register, open_file};
use crate::sync::tenants::error::TenantPublishError;
use crate::sync::tenants::protecting_extracts::ProtectingExtracts;
use crate::sync::tenants::publisher::TenantPublisher;
use crate::sync::tenants::ready::ReadyTenant;
use crate::sync::tenants::scheduler::Heartbeat;
use crate::tenant::hidden::HiddenPersons;
use cprflow::policy::ProtectionRule;
use cprflow::{ExtractPlace, Pnr, StateScan};

impl TenantPublisher {
    /// Returns the persons who are protected now. Stores the list if the extracts changed since it was made.
    ///
    /// While the register lacks extracts, a protection can be missing, so no person leaves the list.
    pub(in crate::sync::tenants) fn hidden_persons(
        &self,
        ready: &ReadyTenant,
        shares: &[TenantDelivery],
        heartbeat: &Heartbeat,
    ) -> Result<HiddenPersons, Error> {
        let (state, tenant) = (&self.store.state, ready.tenant.name.as_str());
        let newest = shares.iter().map(|share| share.hidden).max();
        let newest = newest.unwrap_or_default();
        let stored = HiddenPersons::read(state, tenant)?;
        // A version that the ledger knows is never used for another list.
        let stored = stored.filter(|stored| stored.version >= newest);
        let stored = stored.unwrap_or_else(|| HiddenPersons {
            version: newest,
            ..HiddenPersons::default()
        });
        let sources = RegisterSource::with_former(&self.store, &ready.tenant)?;
        let extracts = ProtectingExtracts::of_sources(&sources)?;
        let (own, former) = (digest(&extracts.own), digest(&extracts.former));
        let erased = protections::digest(&extracts.protected).unwrap_or_default();
        let inputs = format!("{own}+{former}+{erased}");
        if stored.inputs == inputs {
            return Ok(HiddenPersons {
                is_complete: extracts.is_complete,
                ..stored
            });
        }
        let mut numbers = self.protected_by_all(ready, &extracts, &inputs, heartbeat)?;
        if !extracts.is_complete {
            numbers.extend(stored.numbers.iter().copied());
        }
        let hidden = HiddenPersons {
            is_complete: extracts.is_complete,
            ..stored.next(inputs, numbers)
        };
        let _ledger = self.ledger_of(heartbeat)?;
        hidden.write(state, tenant)?;
        crate::failpoint::reached("hidden-stored");
        Ok(hidden)
    }

    /// Returns the persons whom the agreements of these extracts protect, and records of erased persons. `inputs` is a digest of
    /// both.
    fn protected_by_all(
        &self,
        ready: &ReadyTenant,
        extracts: &ProtectingExtracts,
        inputs: &str,
        heartbeat: &Heartbeat,
    ) -> Result<BTreeSet<Pnr>, Error> {
        let lock = || {
            self.protected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().get(inputs) {
            return Ok((**known).clone());
        }
        let all = extracts.oldest_first();
        let (heartbeat, stop) = (heartbeat.clone(), self.stop.clone());
        let open = move |path: &Path| {
            Ok(Watched {
                reader: open_file(path)?,
                heartbeat: heartbeat.clone(),
                stop: stop.clone(),
            })
        };
        let numbers = protected_persons(&self.state_scan(ready), &all, &extracts.protected, open)?;
        lock().insert(inputs.to_owned(), Arc::new(numbers.clone()));
        Ok(numbers)
    }

    /// Returns a scan within the tenant's limits.
    fn state_scan(&self, ready: &ReadyTenant) -> StateScan {
        StateScan::new(&self.connector)
            .limits(ready.tenant.limits.sandbox())
            .tenant(ready.tenant.name.as_str())
    }

    /// Returns the persons in the extract of a new delivery whom other extracts protect.
    pub(in crate::sync::tenants) fn protected_elsewhere(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        extract: impl Read,
        path: &Path,
        heartbeat: &Heartbeat,
    ) -> Result<BTreeSet<Pnr>, Error> {
        if ready.policy.protection == ProtectionRule::Include {
            return Ok(BTreeSet::new());
        }
        let mut shares = self.ledger().tenant_deliveries()?;
        shares.retain(|share| share.tenant == ready.tenant.name.as_str());
        let hidden = self.hidden_persons(ready, &shares, heartbeat)?;
        if !hidden.is_complete {
            // An extract that is missing may protect somebody who is in this delivery.
            let tenant = ready.tenant.name.to_string();
            return Err(TenantPublishError::RegisterIncomplete { tenant }.into());
        }
        let reader = self.watched(extract, &ready.tenant.limits, heartbeat);
        let found = numbers_in(reader, &hidden.numbers).map_err(Error::file(path))?;
        let register = Register::of(&self.store.state);
        let kept = self.ledger().kept_extract(record.id)?;
        let Some(kept) = kept.filter(|kept| !found.is_empty() && register.has(kept)) else {
            return Ok(found);
        };
        // What the extract itself says of a person needs no help.
        let own = self.protected_in_extract(ready, &register, &kept, heartbeat)?;
        Ok(&found - &*own)
    }

    /// Returns the persons of a delivery's extract who are protected by what the extract itself says.
    pub(super) fn protected_in_extract(
        &self,
        ready: &ReadyTenant,
        register: &Register,
        kept: &KeptExtract,
        heartbeat: &Heartbeat,
    ) -> Result<Arc<BTreeSet<Pnr>>, Error> {
        let extracts = [(register.clone(), kept.clone())];
        self.protected_in_extracts(ready, &extracts, &digest(&extracts), heartbeat)
    }

    fn protected_in_extracts(
        &self,
        ready: &ReadyTenant,
        extracts: &[(Register, KeptExtract)],
        inputs: &str,
        heartbeat: &Heartbeat,
    ) -> Result<Arc<BTreeSet<Pnr>>, Error> {
        let known = |all: &ProtectedByExtracts| all.get(inputs).cloned();
        let all = self.protected.lock();
        if let Some(known) = known(&all.unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let count = extracts.len() as u64;
        // Numbered by the order of applying.
        let places = extracts
            .iter()
            .enumerate()
            .map(|(index, (_, kept))| ExtractPlace {
                production_date: kept.production_date.clone(),
                sequence: count - index as u64,
                agreement: kept.agreement.clone(),
            });
        let places: Vec<_> = places.collect();
        let paths: Vec<_> = places
            .iter()
            .cloned()
            .zip(extracts.iter().map(|(register, kept)| register.path(kept)))
            .collect();
        let (heartbeat, stop) = (heartbeat.clone(), self.stop.clone());
        let open = move |wanted: &ExtractPlace| {
            let found = paths.iter().find(|(place, _)| place == wanted);
            let (_, path) = found.ok_or(io::ErrorKind::NotFound)?;
            Ok(Watched {
                reader: open_file(path)?,
                heartbeat: heartbeat.clone(),
                stop: stop.clone(),
            })
        };
        let mut survey = self.state_scan(ready).survey(places, open)?;
        let numbers: BTreeSet<Pnr> = survey.protected_numbers()?.into_iter().collect();
        let numbers = Arc::new(numbers);
        let all = self.protected.lock();
        all.unwrap_or_else(PoisonError::into_inner)
            .insert(inputs.to_owned(), numbers.clone());
        Ok(numbers)
    }

    /// Returns those of the numbers that stand in an extract.
    pub(super) fn search(
        &self,
        ready: &ReadyTenant,
        register: &Register,
        kept: &KeptExtract,
        numbers: &BTreeSet<Pnr>,
        heartbeat: &Heartbeat,
    ) -> Result<BTreeSet<Pnr>, Error> {
        let path = register.path(kept);
        let reader = open_file(&path).map_err(Error::file(&path))?;
        let reader = self.watched(reader, &ready.tenant.limits, heartbeat);
        numbers_in(reader, numbers).map_err(Error::file(&path))
    }
}

/// A reader that beats the heartbeat at each read, and fails once the run is stopped.
struct Watched<R> {
    reader: R,
    heartbeat: Heartbeat,
    stop: crate::stop::Stop,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.heartbeat.beat();
        self.stop.check().map_err(io::Error::other)?;
        self.reader.read(buffer)
    }
}

/// Returns a digest of kept extracts. The file of an extract is part of it, because erasing persons changes the file.
fn digest(extracts: &[(Register, KeptExtract)]) -> String {
    let kept = extracts.iter().map(|(_, kept)| {
        json!([
            kept.agreement,
            kept.production_date,
            kept.sequence,
            kept.file_sha256
        ])
    });
    let text = serde_json::Value::from_iter(kept).to_string();
    base16ct::lower::encode_string(&sha2::Sha256::digest(text))
}

/// The bytes that are read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// The number of digits of a person number.
const DIGITS: usize = 10;

/// The number of bits of the filter that rejects most numbers at once.
const FILTER_BITS: u64 = 1 << 20;

/// Returns those of the numbers that stand anywhere in a text, as ten digits in a row.
pub(crate) fn numbers_in(
    mut text: impl Read,
    numbers: &BTreeSet<Pnr>,
) -> io::Result<BTreeSet<Pnr>> {
    let mut found = BTreeSet::new();
    if numbers.is_empty() {
        return Ok(found);
    }
    let value = |number: &Pnr| -> u64 { number.as_str().parse().unwrap_or_default() };
    let wanted: std::collections::BTreeMap<u64, Pnr> = numbers
        .iter()
        .map(|number| (value(number), *number))
        .collect();
    let mut filter = vec![false; FILTER_BITS as usize];
    for value in wanted.keys() {
        if let Some(bit) = filter.get_mut((value % FILTER_BITS) as usize) {
            *bit = true;
        }
    }
    let largest = 10_u64.pow(DIGITS as u32);
    let (mut last, mut digits) = (0_u64, 0_usize);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match text.read(&mut buffer) {
            Ok(0) => return Ok(found),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for byte in buffer.get(..count).unwrap_or_default() {
            if !byte.is_ascii_digit() {
                (last, digits) = (0, 0);
                continue;
            }
            last = (last * 10 + u64::from(byte - b'0')) % largest;
            digits += 1;
            let may_be = digits >= DIGITS
                && filter.get((last % FILTER_BITS) as usize).copied() == Some(true);
            if let Some(number) = may_be.then(|| wanted.get(&last)).flatten() {
                found.insert(*number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_wherever_they_stand() {
        let numbers = |digits: &[&str]| -> BTreeSet<Pnr> {
            digits.iter().map(|one| one.parse().unwrap()).collect()
        };
        let wanted = numbers(&["0101010010", "0000000000", "9999999999"]);
        let find = |text: &[u8]| numbers_in(text, &wanted).unwrap();
        assert_eq!(find(b"0010101010010"), numbers(&["0101010010"]));
        assert_eq!(find(b"x0101010010x"), numbers(&["0101010010"]));
        for absent in [&b""[..], b"010101001", b"010101 0010", b"1010100101"] {
            assert!(find(absent).is_empty(), "{absent:?}");
        }
        let mut long = vec![b' '; BUFFER_BYTES - 5];
        long.extend(b"01010100109999999999");
        assert_eq!(find(&long), numbers(&["0101010010", "9999999999"]));
        assert!(
            numbers_in(&b"0101010010"[..], &BTreeSet::new())
                .unwrap()
                .is_empty()
        );
    }
}
