//! Rare traits of persons, and a cycle that ensures that each of them occurs.

use super::rng::Rng;

/// The number of consecutive families in which each trait occurs at least once.
const CYCLE: u64 = 128;

/// The traits that determine the status. A person has at most one of them.
const STATUS_TRAITS: [Trait; 7] = [
    Trait::Annulled,
    Trait::Disappeared,
    Trait::Emigrated,
    Trait::Greenland,
    Trait::GreenlandHighStreetCode,
    Trait::HighStreetCode,
    Trait::NotResident,
];

/// A trait that a person may have. Each trait has a probability, and a position in the cycle of families where the
/// first adult always has it. So every record type and status occurs even among a few hundred persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trait {
    AllProtections,
    Annulled,
    Church(u8),
    CitizenByNaturalisation,
    ContactAddress,
    CreditWarning,
    CustodyByAnother,
    DeletedNumber,
    Disappeared,
    Emigrated,
    Franchise,
    FormerChurch,
    FormerCreditWarning,
    FormerDisappearance,
    FormerEmigration,
    FormerName,
    FormerNumber,
    FormerProtection,
    FormerSeparation,
    Greenland,
    GreenlandHighStreetCode,
    Guardianship(u8),
    HighStreetCode,
    LastKnownAddress,
    MunicipalCondition,
    NotResident,
    Note,
    RelocationOrder,
    Separation,
    SharedResidence,
}

impl Trait {
    /// Returns whether the person has the trait, by the family's position in the cycle or by chance.
    pub(super) fn holds(self, family: u64, is_first: bool, rng: &mut Rng) -> bool {
        let (place, permille) = self.place_and_share();
        let by_chance = rng.permille(permille);
        let by_place = is_first && family % CYCLE == place;
        // A person has at most one of the status traits. If the cycle sets one, chance must not add another.
        let is_set = is_first
            && STATUS_TRAITS
                .iter()
                .any(|fate| fate.place_and_share().0 == family % CYCLE);
        by_place || (by_chance && !(is_set && STATUS_TRAITS.contains(&self)))
    }

    /// The position modulo 16 is the class of the family, see `initial_state`.
    const fn place_and_share(self) -> (u64, u32) {
        match self {
            Self::FormerNumber => (0, 12),
            Self::Emigrated => (1, 30),
            Self::Franchise => (2, 60),
            Self::DeletedNumber => (3, 3),
            Self::Disappeared => (4, 4),
            Self::Separation => (5, 20),
            Self::MunicipalCondition => (6, 70),
            Self::NotResident => (7, 8),
            Self::Guardianship(kind) => (8 + 16 * kind as u64, 2),
            Self::RelocationOrder => (10, 5),
            Self::AllProtections => (12, 2),
            Self::Annulled => (13, 3),
            Self::ContactAddress => (16, 15),
            Self::HighStreetCode => (17, 6),
            Self::FormerEmigration => (18, 80),
            Self::Greenland => (20, 12),
            Self::FormerSeparation => (21, 20),
            Self::SharedResidence => (22, 600),
            Self::GreenlandHighStreetCode => (23, 2),
            Self::CustodyByAnother => (27, 30),
            Self::Note => (33, 15),
            Self::FormerChurch => (34, 60),
            Self::FormerProtection => (35, 60),
            Self::FormerCreditWarning => (36, 8),
            Self::CreditWarning => (37, 10),
            Self::FormerDisappearance => (39, 6),
            Self::FormerName => (42, 300),
            Self::CitizenByNaturalisation => (49, 30),
            Self::LastKnownAddress => (1, 80),
            Self::Church(kind) => (50 + kind as u64, 15),
        }
    }
}
