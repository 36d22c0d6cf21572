//! The digest of a policy, which changes when the policy changes.

use std::collections::BTreeSet;

use cprflow::policy::{PersonFilter, Policy};
use serde_json::json;
use sha2::Digest;

use crate::keyed_hash::ListKey;

/// Returns the SHA-256 of a policy in a canonical form, in lower-case hexadecimal. Policies with the same rules have the
/// same digest, whatever the order of their lists.
///
/// A list of person numbers is included as a keyed hash, so that the list cannot be found by trying lists until the
/// digest fits. Returns `None` if there is a list and no key.
pub fn policy_digest(policy: &Policy, key: Option<&ListKey>) -> Option<String> {
    // Sorted, because the order in the configuration has no meaning.
    let sorted = |texts: &Option<Vec<String>>| texts.clone().map(BTreeSet::from_iter);
    let PersonFilter {
        municipality_codes,
        status_codes,
        ages,
        event_codes,
        numbers,
    } = &policy.persons;
    let numbers = match numbers {
        None => None,
        Some(numbers) => {
            let sorted: BTreeSet<&str> = numbers.iter().map(cprflow::Pnr::as_str).collect();
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
        "leavers": policy.leavers,
        "may_reveal": policy.may_reveal,
    });
    Some(base16ct::lower::encode_string(&sha2::Sha256::digest(
        canonical.to_string(),
    )))
}

#[cfg(test)]
mod tests {
    use cprflow::policy::NumberRule;

    use super::*;

    #[test]
    fn the_digest_depends_on_the_rules_and_not_on_their_order() {
        let persons = |codes: &[&str]| Policy {
            persons: PersonFilter {
                municipality_codes: Some(codes.iter().map(|code| (*code).to_owned()).collect()),
                ..PersonFilter::default()
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
            numbers: NumberRule::Pseudonym,
            ..persons(&["0265", "0851"])
        };
        assert_ne!(one, policy_digest(&pseudonyms));
    }

    /// A list with few numbers could be found by trying all lists, if the digest had no key.
    #[test]
    fn the_digest_of_a_list_depends_on_the_key() {
        let list = |numbers: &[&str]| Policy {
            persons: PersonFilter {
                numbers: Some(numbers.iter().map(|one| one.parse().unwrap()).collect()),
                ..PersonFilter::default()
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
        // The digest is the same in the same installation, differs in another one, and does not exist without a key.
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
}
