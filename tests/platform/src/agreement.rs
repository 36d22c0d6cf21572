//! Service agreements (serviceaftaler).

use sha2::{Digest, Sha256};
use uuid::Builder;

/// The UUID of the service "CPR Abonnement".
pub const SERVICE_UUID: &str = "9cdccc2f-3243-11e2-8fef-d4bed98c5934";

/// A service agreement: a municipality's permission for an IT system to use the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// `ServiceAgreementUUID`.
    pub uuid: String,
    /// `UserSystemUUID`: the UUID of the IT system.
    pub user_system: String,
    /// `UserUUID`: the UUID of the municipality.
    pub user: String,
    /// The task number (opgavenummer) in the extracts, six digits.
    pub task_number: String,
}

impl Agreement {
    /// Derives an agreement from a seed and an index. All agreements of a seed have the same IT system.
    pub fn from_seed(seed: u64, index: u32) -> Self {
        let uuid =
            |what: &str, index: u32| derived_uuid(&["agreement", what], &[seed, index.into()]);
        Self {
            uuid: uuid("agreement", index),
            user_system: uuid("system", 0),
            user: uuid("user", index),
            task_number: format!("{:06}", 431_101 + index % 500_000),
        }
    }
}

/// Derives a UUID from words and numbers. The same input gives the same UUID.
pub(crate) fn derived_uuid(words: &[&str], numbers: &[u64]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    let hash = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreements_are_reproducible_and_distinct() {
        let agreement = Agreement::from_seed(1, 0);
        assert_eq!(agreement, Agreement::from_seed(1, 0));
        let other = Agreement::from_seed(1, 1);
        assert_eq!(agreement.user_system, other.user_system);
        assert_ne!(agreement.uuid, other.uuid);
        assert_ne!(agreement.user, other.user);
        assert_ne!(agreement.uuid, Agreement::from_seed(2, 0).uuid);
        assert!(agreement.uuid.chars().all(|c| !c.is_ascii_uppercase()));
    }
}
