//! Decides which older generations of a tenant may stay for their 48 hours beside a new one.
//!
//! An older generation stays only if it shows nothing that the new one hides. That is so if
//!
//! - the rules are the same: policy, component, key for pseudonyms, and the protections of erased persons,
//! - the new one has all extracts of the older one,
//! - everybody in scope then is in scope now,
//! - everybody who is masked now was masked then too, under any number, in scope or only named as a relative. Masked are the
//!   persons who count as protected, and those without a valid 001,
//! - the older one does not repeat rows of persons who left (`leavers = "last"`),
//! - the policy has no conditions on rows, or no extract came.
//!
//! Nothing else depends on the day or on the extracts. A protection counts as soon as it is delivered, whatever its dates. The
//! day decides only ages, and so the persons in scope.
//!
//! The comparison is with the generation that was the newest one. What shows no more than that one may stay too: if it was
//! allowed to stay beside that one, it shows nothing that the new one hides.
//!
//! The answer is in the file `<state>/generations/<tenant>/<number>.shown`, with the lists for the next comparison. It is on
//! the disk before `current` leads to the generation, so a killed run makes no difference. Without the file, all older
//! generations go. `cprflow erase` removes it. It holds person numbers, and only its owner may read it.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::inputs::Inputs;
use super::rosters::{DIRECTORY, GenerationRosters};
use super::tables::{self, WrittenTables};
use super::update::{CurrentTables, TenantRules};
use crate::dataset::GenerationManifest;
use crate::erase::protections;
use crate::error::Error;
use crate::fs::{entries, remove_file, sync_directory};
use crate::ledger::{Generation, KeptExtract};
use crate::register::Register;
use cprflow::policy::LeaverRule;
use cprflow::{Connector, DeliveryReader, Limits};

/// The ending of the names of the files.
pub(super) const EXTENSION: &str = "shown";

/// The version of the files' format.
const FORMAT: u32 = 1;

/// Returns the persons who are not masked where a record names them, in the component's format: those with a valid 001 who do
/// not count as protected. `batches` is a finished scan of a state under the policy of the tenant.
pub(super) fn unmasked<R: Read>(
    connector: &Connector,
    tenant: TenantRules<'_>,
    batches: &mut DeliveryReader<R>,
) -> Result<Vec<u8>, cprflow::Error> {
    let present = batches.delivered_persons()?;
    let protected = batches.protected_numbers()?;
    connector.roster_without(tenant.tenant.limits.sandbox(), &present, &protected)
}

/// What a generation shows, and the older ones that show nothing that it hides.
struct Shown {
    facts: Facts,
    lists: Option<Lists>,
}

/// The lists of persons of a generation, in the component's format.
struct Lists {
    /// The persons in scope.
    scope: Vec<u8>,
    /// The persons who are not masked: see [`unmasked`].
    unmasked: Vec<u8>,
}

/// What is known of a generation, without persons: the first line of its file.
#[derive(Serialize, Deserialize)]
struct Facts {
    format: u32,
    /// The digest of the inputs, and the day. They tell whether the file is of this generation.
    inputs: String,
    day: String,
    /// The older generations that may stay.
    older: BTreeSet<u64>,
    rules: Rules,
    /// The extracts as they were delivered: agreement, sequence number and digest. A rewritten extract is the same one.
    extracts: BTreeSet<(String, u64, String)>,
    /// Whether it has rows of persons who left.
    repeats_leavers: bool,
    /// The lengths of the lists after this line; `None` if they could not be made.
    lengths: Option<[usize; 2]>,
    /// The SHA-256 of the lists.
    sha256: String,
}

/// What decides what is hidden, beside the extracts and the day.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Rules {
    policy: String,
    component: String,
    /// The digest of the key for pseudonyms.
    key: Option<String>,
    /// The digest of the persons whom records of erased persons protected.
    erased: Option<String>,
}

impl CurrentTables<'_> {
    /// Decides which older generations may stay beside a generation that was written, and stores the answer. `known` is the
    /// newest generation before.
    pub(super) fn judge_older(
        &self,
        tenant: TenantRules<'_>,
        inputs: &Inputs,
        manifest: &GenerationManifest,
        written: &mut WrittenTables,
        known: Option<&Generation>,
    ) -> Result<(), Error> {
        let Some(rosters) = self.rosters() else {
            return Ok(());
        };
        let lists = self.lists(inputs, manifest, written)?;
        let mut new = Shown {
            facts: self.facts(tenant, inputs, manifest),
            lists,
        };
        if let Some(known) = known
            && let Some(old) = Shown::read(&rosters, known.number, &known.inputs, &known.day)?
            && self.is_outlived(tenant, &old, &new)?
        {
            let on_disk = self.dataset.generations()?;
            let mut older = old.facts.older;
            older.insert(known.number);
            older.retain(|number| on_disk.contains(number) && *number < manifest.number);
            new.facts.older = older;
        }
        rosters.write_shown(manifest.number, &new.into_bytes()?)
    }

    /// Returns the older generations that may stay beside a generation; `None` for all of them, in the unrestricted dataset.
    pub(super) fn older_that_stay(
        &self,
        number: u64,
        inputs: &str,
        day: &str,
    ) -> Result<Option<BTreeSet<u64>>, Error> {
        let Some(rosters) = self.rosters() else {
            return Ok(None);
        };
        let shown = Shown::read(&rosters, number, inputs, day)?;
        Ok(Some(
            shown.map(|shown| shown.facts.older).unwrap_or_default(),
        ))
    }

    /// Returns whether an older generation shows nothing that the new one hides. If that cannot be found out, it does.
    fn is_outlived(
        &self,
        tenant: TenantRules<'_>,
        old: &Shown,
        new: &Shown,
    ) -> Result<bool, Error> {
        let has_same_extracts = old.facts.extracts == new.facts.extracts;
        let is_possible = old.facts.rules == new.facts.rules
            && old.facts.extracts.is_subset(&new.facts.extracts)
            && !old.facts.repeats_leavers
            && (has_same_extracts || tenant.policy.rows.is_empty());
        let (true, Some(before), Some(now)) = (is_possible, &old.lists, &new.lists) else {
            return Ok(false);
        };
        let limits = tenant.tenant.limits.sandbox();
        let within = self
            .is_within(limits, &before.scope, &now.scope)
            .and_then(|is_within| {
                Ok(is_within && self.is_within(limits, &before.unmasked, &now.unmasked)?)
            });
        self.or_unknown(within).map(Option::unwrap_or_default)
    }

    /// Returns whether all persons of a list are in another one.
    fn is_within(&self, limits: Limits, some: &[u8], all: &[u8]) -> Result<bool, Error> {
        if some == all {
            return Ok(true);
        }
        let common = self.connector.common_roster(limits, Some(some), all)?;
        Ok(count(some).is_some() && count(&common) == count(some))
    }

    /// Returns the lists of persons of a generation that was written; `None` if they cannot be made.
    fn lists(
        &self,
        inputs: &Inputs,
        manifest: &GenerationManifest,
        written: &mut WrittenTables,
    ) -> Result<Option<Lists>, Error> {
        let (Some(unmasked), Some(roster)) = (written.unmasked.take(), &written.roster) else {
            return Ok(None);
        };
        // The roster also keeps persons who are not shown and whose leaving is not certain. They are rare.
        let scope = match count(roster) == Some(written.counts.persons) {
            true => Some(roster.clone()),
            false => {
                let selected = tables::select(self, inputs, &manifest.day, None);
                self.or_unknown(selected)?.map(|(scope, _)| scope)
            }
        };
        Ok(scope.map(|scope| Lists { scope, unmasked }))
    }

    /// Logs an error and returns `None`: the tables are complete, and the older generations go. Fails if the work must stop.
    pub(super) fn or_unknown<T>(&self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                (self.check)()?;
                tracing::warn!(%error, "{UNKNOWN}");
                Ok(None)
            }
        }
    }

    fn facts(
        &self,
        tenant: TenantRules<'_>,
        inputs: &Inputs,
        manifest: &GenerationManifest,
    ) -> Facts {
        let extract = |(_, kept): &(Register, KeptExtract)| {
            (kept.agreement.clone(), kept.sequence, kept.sha256.clone())
        };
        Facts {
            format: FORMAT,
            inputs: manifest.inputs.clone(),
            day: manifest.day.clone(),
            older: BTreeSet::new(),
            rules: Rules {
                policy: tenant.policy_digest.to_owned(),
                component: self.connector.sha256().to_owned(),
                key: inputs.key().map(str::to_owned),
                erased: protections::digest(&inputs.protected),
            },
            extracts: inputs.extracts.iter().map(extract).collect(),
            repeats_leavers: tenant.policy.leavers == LeaverRule::Last && manifest.left > 0,
            lengths: None,
            sha256: String::new(),
        }
    }
}

/// The warning if the lists of persons cannot be made or compared.
const UNKNOWN: &str = "cannot find out whether older generations of the tenant show what is hidden now, so they are removed";

impl Shown {
    /// Reads the file of a generation; `None` if there is none, if it is damaged, or if it is of another generation.
    fn read(
        rosters: &GenerationRosters,
        number: u64,
        inputs: &str,
        day: &str,
    ) -> Result<Option<Self>, Error> {
        let shown = rosters
            .read_shown(number)?
            .and_then(|bytes| Self::parse(&bytes));
        Ok(shown.filter(|shown| shown.facts.inputs == inputs && shown.facts.day == day))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, lists) = (bytes.get(..end)?, bytes.get(end + 1..)?);
        let facts: Facts = serde_json::from_slice(line).ok()?;
        if facts.format != FORMAT || facts.sha256 != digest(lists) {
            return None;
        }
        let lists = match facts.lengths {
            None => None,
            Some([scope, unmasked]) => {
                let (scope, rest) = lists.split_at_checked(scope)?;
                (rest.len() == unmasked).then(|| Lists {
                    scope: scope.to_vec(),
                    unmasked: rest.to_vec(),
                })
            }
        };
        Some(Self { facts, lists })
    }

    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        let Self { mut facts, lists } = self;
        let mut body = Vec::new();
        if let Some(lists) = lists {
            let parts = [lists.scope, lists.unmasked];
            facts.lengths = Some(parts.each_ref().map(Vec::len));
            body = parts.concat();
        }
        facts.sha256 = digest(&body);
        let line = serde_json::to_vec(&facts).map_err(std::io::Error::other);
        let mut bytes = line.map_err(Error::file("shown"))?;
        bytes.push(b'\n');
        bytes.append(&mut body);
        Ok(bytes)
    }
}

/// Returns the lists of persons in such a file: those in scope, and those who are not masked.
pub(crate) fn shown_lists(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    let damaged = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is damaged");
    let shown = Shown::parse(&bytes).ok_or_else(damaged);
    let lists = shown.map_err(Error::file(path))?.lists.into_iter();
    Ok(lists
        .flat_map(|lists| [lists.scope, lists.unmasked])
        .collect())
}

/// Removes these files of all tenants of a state directory, because they may hold the numbers of erased persons. Then the next
/// run removes all older generations.
pub(crate) fn forget_shown(state: &Path) -> Result<(), Error> {
    for tenant in entries(&state.join(DIRECTORY))? {
        let mut is_any_removed = false;
        for path in entries(&tenant)? {
            if path.extension().is_some_and(|own| own == EXTENSION) {
                remove_file(&path)?;
                is_any_removed = true;
            }
        }
        if is_any_removed {
            sync_directory(Some(&tenant))?;
        }
    }
    Ok(())
}

fn digest(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&sha2::Sha256::digest(bytes))
}

/// Returns the number of persons that a list in the component's format says it has. `wit/connector.wit` names the format at
/// `roster`: a mark (8 bytes), a version (4 bytes), the number of persons (8 bytes), and more.
fn count(list: &[u8]) -> Option<u64> {
    let count = list.get(12..20)?;
    Some(u64::from_le_bytes(count.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lists: Option<Lists>) -> Shown {
        Shown {
            facts: Facts {
                format: FORMAT,
                inputs: "a".to_owned(),
                day: "2026-03-02".to_owned(),
                older: [1, 2].into(),
                rules: Rules {
                    policy: "p".to_owned(),
                    component: "c".to_owned(),
                    key: None,
                    erased: None,
                },
                extracts: [("town".to_owned(), 1, "s".to_owned())].into(),
                repeats_leavers: false,
                lengths: None,
                sha256: String::new(),
            },
            lists,
        }
    }

    fn lists() -> Option<Lists> {
        Some(Lists {
            scope: b"one\ntwo".to_vec(),
            unmasked: b"three".to_vec(),
        })
    }

    #[test]
    fn a_file_is_read_as_written_and_refused_if_it_is_damaged() {
        let bytes = shown(lists()).into_bytes().unwrap();
        let read = Shown::parse(&bytes).unwrap();
        assert_eq!(read.facts.older, BTreeSet::from([1, 2]));
        let found = read.lists.unwrap();
        assert_eq!(found.scope, b"one\ntwo");
        assert_eq!(found.unmasked, b"three");
        for length in 0..bytes.len() {
            assert!(Shown::parse(&bytes[..length]).is_none(), "{length}");
        }
        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(Shown::parse(&damaged).is_none());
        assert!(Shown::parse(&[&bytes[..], b"more"].concat()).is_none());
    }

    #[test]
    fn a_file_without_lists_still_names_no_list() {
        let bytes = shown(None).into_bytes().unwrap();
        assert!(Shown::parse(&bytes).unwrap().lists.is_none());
    }

    #[test]
    fn the_number_of_persons_stands_after_the_version() {
        let list = [
            &b"CPRROSTR"[..],
            &[1, 0, 0, 0],
            &7_u64.to_le_bytes(),
            b"rest",
        ]
        .concat();
        assert_eq!(count(&list), Some(7));
        assert_eq!(count(b"CPRROSTR"), None);
    }
}
