//! Tenants: the parties that share deliveries, each with a policy, a dataset, a key and limits of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use sha2::Digest;

use crate::agreement::AgreementName;
use crate::config::private_file;
use crate::error::Error;
use crate::group::Group;
use crate::keyed::ListKey;
use crate::policy::{Numbers, Persons, Policy};
use crate::pseudonym::PseudonymKey;
use crate::sandbox::Limits;
use crate::spool::hexadecimal;
use crate::subscriber::{ListError, SecretPlace, SubscriberError, read_list};

/// The name of a tenant. It becomes a directory of the state, and a word in logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(AgreementName);

impl TenantName {
    /// A name of small letters, digits, `-` and `_`, 1 to 64 of them; none for anything else.
    pub fn new(name: &str) -> Option<Self> {
        AgreementName::new(name).map(Self)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One party: which data it may see, what of it, and what for.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name in the configuration.
    pub name: TenantName,
    /// The agreements whose data it may see.
    pub agreements: BTreeSet<AgreementName>,
    /// What it uses the data for. It stands in every `_delivery.json`.
    pub purpose: String,
    /// What it uses church membership for, if it may see that.
    pub church_purpose: Option<String>,
    /// Where its deliveries are published.
    pub dataset: PathBuf,
    /// The name or number of the group that may read its dataset; none if only its owner may.
    pub group: Option<String>,
    /// Where the key of its pseudonyms is.
    pub key: Option<SecretPlace>,
    /// What it may see, but for the list of numbers: [`policy`](Self::policy) has that too.
    pub(crate) rules: Policy,
    /// The list of the numbers that it may see, if it may see no others.
    pub numbers: Option<PathBuf>,
    /// What its scans may use.
    pub limits: TenantLimits,
}

/// What the scans of a tenant may use at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantLimits {
    /// Bytes of the component's memory.
    pub memory: usize,
    /// How long one call of the component may take.
    pub call: Duration,
    /// How long the publication of one delivery may take.
    pub total: Duration,
    /// Bytes of batches of one delivery.
    pub output: u64,
    /// Rows of one delivery, of all tables together.
    pub rows: u64,
    /// Columns of a table.
    pub columns: usize,
    /// Bytes of a text.
    pub text_bytes: usize,
}

impl Default for TenantLimits {
    /// Room for a full load of all of Denmark.
    fn default() -> Self {
        let sandbox = Limits::default();
        Self {
            memory: sandbox.memory,
            call: sandbox.call,
            total: Duration::from_secs(2 * 60 * 60),
            output: 1 << 40,
            rows: 1 << 32,
            columns: sandbox.columns,
            text_bytes: sandbox.text_bytes,
        }
    }
}

impl TenantLimits {
    /// What the sandbox holds the component to.
    pub fn sandbox(&self) -> Limits {
        Limits::new()
            .memory(self.memory)
            .call(self.call)
            .total(self.total)
            .output_bytes(self.output)
            .output_rows(self.rows)
            .columns(self.columns)
            .text_bytes(self.text_bytes)
    }
}

impl Tenant {
    /// Whether it may see data of an agreement.
    pub fn sees(&self, agreement: &str) -> bool {
        self.agreements.iter().any(|own| own.as_str() == agreement)
    }

    /// Its policy; the list of numbers is read now.
    pub fn policy(&self) -> Result<Policy, Error> {
        let mut policy = self.rules.clone();
        if let Some(path) = &self.numbers {
            let file = private_file(path, "person numbers")?;
            let numbers = read_list(file).map_err(|error| match error {
                ListError::Empty => Error::Configuration {
                    path: path.clone(),
                    what: "there is no person number in it, so that the tenant would get nobody; without \
                           `persons.numbers` it gets everybody who meets the other conditions"
                        .to_owned(),
                },
                error => SubscriberError::List {
                    path: path.clone(),
                    error,
                }
                .into(),
            })?;
            policy.persons.numbers = Some(numbers.into_iter().collect());
        }
        Ok(policy)
    }

    /// The group that may read its dataset, if there is one; looked up now.
    pub fn group(&self) -> Result<Option<Group>, Error> {
        self.group.as_deref().map(Group::find).transpose()
    }

    /// The key of its pseudonyms, if it has pseudonyms; read now.
    pub fn pseudonym_key(&self) -> Result<Option<PseudonymKey>, Error> {
        let (Some(place), Numbers::Pseudonym) = (&self.key, self.rules.numbers) else {
            return Ok(None);
        };
        let key = PseudonymKey::new(place.read()?.expose());
        key.map(Some)
            .map_err(|error| Error::Request(format!("key: {error}")))
    }
}

/// The SHA-256 of a policy in a canonical form: equal for policies that let through the same by the same words.
///
/// A list of numbers goes into it as a keyed hash: whoever has the digest cannot try lists until one fits. None where
/// there is a list and no key.
pub fn policy_digest(policy: &Policy, key: Option<&ListKey>) -> Option<String> {
    // Sorted: the order in which a configuration names things changes nothing.
    let sorted = |texts: &Option<Vec<String>>| texts.clone().map(BTreeSet::from_iter);
    let Persons {
        municipality_codes,
        status_codes,
        ages,
        event_codes,
        numbers,
    } = &policy.persons;
    let numbers = match numbers {
        None => None,
        Some(numbers) => {
            let sorted: BTreeSet<&str> = numbers.iter().map(crate::pnr::Pnr::as_str).collect();
            Some(key?.hash(sorted))
        }
    };
    let columns = policy.columns.iter();
    let canonical = json!({
        "persons": {
            "municipalities": sorted(municipality_codes),
            "statuses": sorted(status_codes),
            "ages": ages,
            "events": sorted(event_codes),
            "numbers": numbers,
        },
        "day": policy.day,
        "classes": policy.classes,
        "tables": policy.tables,
        "columns": columns.collect::<std::collections::BTreeMap<_, _>>(),
        "rows": policy.rows,
        "protection": policy.protection,
        "numbers": policy.numbers,
        "also": policy.also,
        "leavers": policy.leavers,
    });
    Some(hexadecimal(&sha2::Sha256::digest(canonical.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_what_is_let_through() {
        let persons = |codes: &[&str]| Policy {
            persons: Persons {
                municipality_codes: Some(codes.iter().map(|code| (*code).to_owned()).collect()),
                ..Persons::default()
            },
            ..Policy::default()
        };
        let policy_digest = |policy: &Policy| super::policy_digest(policy, None).unwrap();
        let one = policy_digest(&persons(&["0265", "0851"]));
        assert_eq!(one.len(), 64);
        assert_eq!(one, policy_digest(&persons(&["0851", "0265"])));
        assert_ne!(one, policy_digest(&persons(&["0265"])));
        assert_ne!(one, policy_digest(&Policy::default()));
        let pseudonyms = Policy {
            numbers: Numbers::Pseudonym,
            ..persons(&["0265", "0851"])
        };
        assert_ne!(one, policy_digest(&pseudonyms));
    }

    /// With few numbers in the list, all lists can be tried.
    #[test]
    fn nobody_finds_a_list_by_its_digest() {
        let list = |numbers: &[&str]| Policy {
            persons: Persons {
                numbers: Some(numbers.iter().map(|one| one.parse().unwrap()).collect()),
                ..Persons::default()
            },
            ..Policy::default()
        };
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = ListKey::open(one.path()).unwrap();
        let digest = |policy: &Policy| policy_digest(policy, Some(&key)).unwrap();
        let two = digest(&list(&["0101010101", "0202020202"]));
        assert_eq!(two, digest(&list(&["0202020202", "0101010101"])));
        assert_ne!(two, digest(&list(&["0101010101"])));
        assert_ne!(two, digest(&Policy::default()));
        // The same installation says the same, another does not, and nobody says anything without a key.
        let again = ListKey::read(one.path()).unwrap().unwrap();
        assert_eq!(
            Some(&two),
            policy_digest(&list(&["0101010101", "0202020202"]), Some(&again)).as_ref()
        );
        let foreign = ListKey::open(other.path()).unwrap();
        assert_ne!(
            Some(two),
            policy_digest(&list(&["0101010101", "0202020202"]), Some(&foreign))
        );
        assert_eq!(policy_digest(&list(&["0101010101"]), None), None);
    }

    #[test]
    fn names_are_safe_directories() {
        assert_eq!(
            TenantName::new("social-0265").unwrap().as_str(),
            "social-0265"
        );
        for bad in ["", "..", "a/b", "A", "å"] {
            assert!(TenantName::new(bad).is_none(), "{bad}");
        }
    }
}
