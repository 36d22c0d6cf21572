//! Service agreements: who may subscribe to what.

use sha2::{Digest, Sha256};
use uuid::Builder;

/// The UUID of the service "CPR Abonnement".
pub const SERVICE_UUID: &str = "9cdccc2f-3243-11e2-8fef-d4bed98c5934";

/// A service agreement: a municipality's permission for an IT system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// `ServiceAgreementUUID`.
    pub uuid: String,
    /// `UserSystemUUID`: the IT system.
    pub user_system: String,
    /// `UserUUID`: the municipality.
    pub user: String,
    /// The task number in its extracts, six digits.
    pub task_number: String,
}

impl Agreement {
    /// The agreement of that place, as the seed has it. All have one IT system.
    pub fn of_seed(seed: u64, place: u32) -> Self {
        let uuid = |what: &str, place: u32| uuid_of(&["agreement", what], &[seed, place.into()]);
        Self {
            uuid: uuid("agreement", place),
            user_system: uuid("system", 0),
            user: uuid("user", place),
            task_number: format!("{:06}", 431_101 + place % 500_000),
        }
    }
}

/// A UUID that follows from what it is for.
pub(crate) fn uuid_of(words: &[&str], numbers: &[u64]) -> String {
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
    fn agreements_are_told_apart_and_made_again() {
        let agreement = Agreement::of_seed(1, 0);
        assert_eq!(agreement, Agreement::of_seed(1, 0));
        let other = Agreement::of_seed(1, 1);
        assert_eq!(agreement.user_system, other.user_system);
        assert_ne!(agreement.uuid, other.uuid);
        assert_ne!(agreement.user, other.user);
        assert_ne!(agreement.uuid, Agreement::of_seed(2, 0).uuid);
        assert!(agreement.uuid.chars().all(|c| !c.is_ascii_uppercase()));
    }
}
